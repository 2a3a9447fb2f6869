//! Keeps what a run brings: in memory, to be judged, and in its recording, each thing once.
//!
//! Where a run is gone on with, what stands already is not written again, and what takes its place does so here and
//! there alike.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Serialize;

use crate::recording::durable_file::DurableFile;
use crate::recording::event::{RunEvent, RunListener};
use crate::recording::run;
use crate::recording::run::{LineRef, Recording, RunLine, TrialKey, TrialRecord};
use crate::recording::upsert::RecordingPositions;
use crate::redact::ContentPolicy;
use crate::redact::content::without_content;

/// A recording in memory and on disk.
pub struct RecordingWriter {
    /// What stands so far.
    pub recording: Recording,
    positions: RecordingPositions,
    file: DurableFile,
    content_policy: ContentPolicy,
    /// The trials that the run needed, since it was begun or gone on with.
    used_trials: HashSet<TrialKey>,
}

impl RecordingWriter {
    /// Keeps what comes behind what stands in `recording`, and in its file.
    pub fn new(recording: Recording, file: DurableFile, redact: ContentPolicy) -> Self {
        Self {
            positions: RecordingPositions::new(&recording),
            recording,
            file,
            content_policy: redact,
            used_trials: HashSet::new(),
        }
    }

    /// Writes a line.
    pub fn write_line(&mut self, line: &impl Serialize) {
        if let Ok(text) = run::to_json_line(line) {
            self.file.write_line(&text);
        }
    }

    /// Takes back the trials that stand and were not needed by the run as it went to its end.
    pub fn discard_unused_trials(&mut self) {
        let unneeded = |trial: &&TrialRecord| !self.used_trials.contains(&trial.key);
        let gone: Vec<TrialKey> = self.recording.trials.iter().filter(unneeded).map(|t| t.key.clone()).collect();
        if !gone.is_empty() {
            self.recording.trials.retain(|trial| !gone.contains(&trial.key));
            self.positions = RecordingPositions::new(&self.recording);
            self.write_line(&RunLine::Withdrawn(gone));
        }
    }

    /// Ends it: where the file is, and what is wrong with it.
    pub fn finish(self) -> (PathBuf, Option<String>) {
        self.file.finish()
    }
}

impl RunListener for RecordingWriter {
    fn on_event(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Exchange(exchange) => {
                // Secrets never come this far: the client takes them out of whatever it gets.
                match self.content_policy {
                    ContentPolicy::KeepContent => self.write_line(&LineRef::Exchange(exchange)),
                    ContentPolicy::RemoveContent => self.write_line(&LineRef::Exchange(&without_content(exchange))),
                }
                self.positions.upsert_exchange(&mut self.recording, exchange.clone());
            }
            RunEvent::Trial(trial) => {
                self.used_trials.insert(trial.key.clone());
                if self.positions.find_trial(&self.recording, &trial.key) == Some(trial) {
                    return;
                }
                match self.content_policy {
                    ContentPolicy::KeepContent => self.write_line(&LineRef::Trial(trial)),
                    ContentPolicy::RemoveContent => self.write_line(&LineRef::Trial(&trial.without_values())),
                }
                self.positions.upsert_trial(&mut self.recording, trial.clone());
            }
            RunEvent::Verdict(..) => self.file.sync_in_background(),
            RunEvent::RowStarted(_) | RunEvent::RowsRestarted(_) => {}
        }
    }
}
