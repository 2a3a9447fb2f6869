//! Keeps what a run brings: in memory, to be judged, and in its recording, each thing once.
//!
//! Where a run is gone on with, what stands already is not written again, and what takes its place does so here and
//! there alike.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::args::send::Redact;
use crate::engine::{Event, Listener};
use crate::recording::durable_file::Recorder;
use crate::recording::run;
use crate::recording::run::{Line, LineOf, Recording, TrialKey, TrialRecord};
use crate::recording::upsert::Places;
use crate::redact::content;

/// A recording in memory and on disk.
pub struct Keeper {
    /// What stands so far.
    pub recording: Recording,
    places: Places,
    file: Recorder,
    redact: Redact,
    /// The trials that the run needed, since it was begun or gone on with.
    needed: HashSet<TrialKey>,
}

impl Keeper {
    /// Keeps what comes behind what stands in `recording`, and in its file.
    pub fn new(recording: Recording, file: Recorder, redact: Redact) -> Self {
        Self { places: Places::of(&recording), recording, file, redact, needed: HashSet::new() }
    }

    /// Writes a line.
    pub fn line(&mut self, line: &impl Serialize) {
        if let Ok(text) = run::text_of(line) {
            self.file.line(&text);
        }
    }

    /// Takes back the trials that stand and were not needed by the run as it went to its end.
    pub fn withdraw(&mut self) {
        let unneeded = |trial: &&TrialRecord| !self.needed.contains(&trial.key);
        let gone: Vec<TrialKey> = self.recording.trials.iter().filter(unneeded).map(|t| t.key.clone()).collect();
        if !gone.is_empty() {
            self.recording.trials.retain(|trial| !gone.contains(&trial.key));
            self.places = Places::of(&self.recording);
            self.line(&Line::Withdrawn(gone));
        }
    }

    /// Ends it: where the file is, and what is wrong with it.
    pub fn end(self) -> (PathBuf, Option<String>) {
        self.file.end()
    }
}

impl Listener for Keeper {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Exchange(exchange) => {
                // Secrets never come this far: the client takes them out of whatever it gets.
                match self.redact {
                    Redact::Secrets => self.line(&LineOf::Exchange(exchange)),
                    Redact::Texts => self.line(&LineOf::Exchange(&content::without(exchange))),
                }
                self.places.put_exchange(&mut self.recording, exchange.clone());
            }
            Event::Trial(trial) => {
                self.needed.insert(trial.key.clone());
                if self.places.trial(&self.recording, &trial.key) == Some(trial) {
                    return;
                }
                match self.redact {
                    Redact::Secrets => self.line(&LineOf::Trial(trial)),
                    Redact::Texts => self.line(&LineOf::Trial(&content::without_values(trial))),
                }
                self.places.put_trial(&mut self.recording, trial.clone());
            }
            Event::Verdict(..) => self.file.keep(),
            Event::RowStarted(_) | Event::AskedAgain(_) => {}
        }
    }
}
