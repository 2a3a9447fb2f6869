//! [`RecordingWriter`]: stores a run in memory, for the judge, and in its recording file.
//!
//! In a resumed run, a trial that is already in the file is not written again.

use std::collections::HashSet;

use serde::Serialize;

use crate::recording::durable_file::DurableFile;
use crate::recording::event::{RunEvent, RunListener};
use crate::recording::jsonl::to_json_line;
use crate::recording::positions::RecordingPositions;
use crate::recording::run::{LineRef, Recording, RunLine, TrialKey, TrialRecord};
use crate::redact::ContentPolicy;
use crate::redact::content::without_content;

/// A recording in memory and on disk.
pub struct RecordingWriter {
    /// The recording so far, with its texts.
    pub recording: Recording,
    positions: RecordingPositions,
    file: DurableFile,
    content_policy: ContentPolicy,
    /// The trials that the run needed since it was started or resumed.
    used_trials: HashSet<TrialKey>,
}

impl RecordingWriter {
    /// Continues a recording and its file. The recording may have only its header.
    pub fn new(recording: Recording, file: DurableFile, content_policy: ContentPolicy) -> Self {
        let positions = RecordingPositions::new(&recording);
        Self { recording, positions, file, content_policy, used_trials: HashSet::new() }
    }

    /// Writes a line.
    pub fn write_line(&mut self, line: &impl Serialize) {
        if let Ok(text) = to_json_line(line) {
            self.file.write_line(&text);
        }
    }

    /// Withdraws the trials that the finished run did not need.
    pub fn discard_unused_trials(&mut self) {
        let is_unused = |trial: &&TrialRecord| !self.used_trials.contains(&trial.key);
        let withdrawn: Vec<TrialKey> =
            self.recording.trials.iter().filter(is_unused).map(|trial| trial.key.clone()).collect();
        self.withdraw_trials(withdrawn);
    }

    fn withdraw_trials(&mut self, withdrawn: Vec<TrialKey>) {
        if !withdrawn.is_empty() {
            self.used_trials.retain(|key| !withdrawn.contains(key));
            self.recording.trials.retain(|trial| !withdrawn.contains(&trial.key));
            self.positions = RecordingPositions::new(&self.recording);
            self.write_line(&RunLine::Withdrawn(withdrawn));
        }
    }

    /// Writes everything to the disk.
    ///
    /// # Errors
    /// The problem, if the file is incomplete or not stored.
    pub fn finish(self) -> Result<(), String> {
        self.file.finish()
    }
}

impl RunListener for RecordingWriter {
    fn on_event(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Exchange(exchange, _) => {
                // The client has already removed all secrets.
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
            RunEvent::TrialsWithdrawn(withdrawn) => self.withdraw_trials(withdrawn.to_vec()),
            RunEvent::Verdict(..) => self.file.sync_in_background(),
            RunEvent::RowStarted(_) | RunEvent::RowsRestarted(_) => {}
        }
    }
}
