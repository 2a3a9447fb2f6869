//! [`RecordingPositions`]: where exchanges and trials are in a recording.
//!
//! In a resumed run, an exchange replaces an earlier one with the same id, and a trial replaces an
//! earlier one with the same key.

use std::collections::HashMap;

use crate::recording::run::{Recording, TrialKey, TrialRecord};
use crate::wire::exchange::Exchange;

/// The positions of exchanges and trials in a recording.
#[derive(Debug, Default)]
pub struct RecordingPositions {
    exchanges: HashMap<String, usize>,
    trials: HashMap<TrialKey, usize>,
}

impl RecordingPositions {
    /// The positions in a recording.
    pub fn new(recording: &Recording) -> Self {
        Self {
            exchanges: recording.exchanges.iter().enumerate().map(|(position, e)| (e.id.clone(), position)).collect(),
            trials: recording.trials.iter().enumerate().map(|(position, t)| (t.key.clone(), position)).collect(),
        }
    }

    /// Replaces the exchange with the same id, or adds a new one. Returns its position.
    pub fn upsert_exchange(&mut self, recording: &mut Recording, exchange: Exchange) -> usize {
        let position = *self.exchanges.entry(exchange.id.clone()).or_insert(recording.exchanges.len());
        upsert(&mut recording.exchanges, position, exchange);
        position
    }

    /// Finds the trial with this key.
    pub fn find_trial<'a>(&self, recording: &'a Recording, key: &TrialKey) -> Option<&'a TrialRecord> {
        recording.trials.get(*self.trials.get(key)?)
    }

    /// Replaces the trial with the same key, or adds a new one. Returns its position.
    pub fn upsert_trial(&mut self, recording: &mut Recording, trial: TrialRecord) -> usize {
        let position = *self.trials.entry(trial.key.clone()).or_insert(recording.trials.len());
        upsert(&mut recording.trials, position, trial);
        position
    }
}

/// Replaces the item at a position, or appends it.
pub(super) fn upsert<T>(items: &mut Vec<T>, position: usize, item: T) {
    match items.get_mut(position) {
        Some(existing) => *existing = item,
        None => items.push(item),
    }
}
