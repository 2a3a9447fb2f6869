//! Where things stand in a recording that is gone on with: what comes again takes the place of what was there.

use std::collections::HashMap;

use crate::recording::run::{Recording, TrialKey, TrialRecord};
use crate::wire::exchange::Exchange;

/// Where things stand in a recording, so that later ones can take the places of earlier ones.
#[derive(Debug, Default)]
pub struct RecordingPositions {
    exchanges: HashMap<String, usize>,
    trials: HashMap<TrialKey, usize>,
}

impl RecordingPositions {
    /// Those of a recording.
    pub fn new(recording: &Recording) -> Self {
        Self {
            exchanges: recording.exchanges.iter().enumerate().map(|(at, e)| (e.id.clone(), at)).collect(),
            trials: recording.trials.iter().enumerate().map(|(at, t)| (t.key.clone(), at)).collect(),
        }
    }

    /// Puts an exchange where the one of its id stands, else behind all others; and says where.
    pub fn upsert_exchange(&mut self, recording: &mut Recording, exchange: Exchange) -> usize {
        let at = *self.exchanges.entry(exchange.id.clone()).or_insert(recording.exchanges.len());
        upsert(&mut recording.exchanges, at, exchange);
        at
    }

    /// The trial of this name.
    pub fn find_trial<'a>(&self, recording: &'a Recording, key: &TrialKey) -> Option<&'a TrialRecord> {
        recording.trials.get(*self.trials.get(key)?)
    }

    /// Puts a trial where the one of its name stands, else behind all others; and says where.
    pub fn upsert_trial(&mut self, recording: &mut Recording, trial: TrialRecord) -> usize {
        let at = *self.trials.entry(trial.key.clone()).or_insert(recording.trials.len());
        upsert(&mut recording.trials, at, trial);
        at
    }
}

/// Puts one thing into a place, or behind all others.
pub(crate) fn upsert<T>(all: &mut Vec<T>, at: usize, one: T) {
    match all.get_mut(at) {
        Some(place) => *place = one,
        None => all.push(one),
    }
}
