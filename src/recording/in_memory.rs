//! [`RecordingListener`]: keeps the recording of a run in memory.

use crate::recording::event::{RunEvent, RunListener};
use crate::recording::run::Recording;

/// Keeps every exchange and every trial.
pub struct RecordingListener<'a>(pub &'a mut Recording);

impl RunListener for RecordingListener<'_> {
    fn on_event(&mut self, event: RunEvent<'_>) {
        match event {
            // A request that was sent again replaces its exchange.
            RunEvent::Exchange(exchange, _) => match self.0.exchanges.iter_mut().rev().find(|e| e.id == exchange.id) {
                Some(earlier) => *earlier = exchange.clone(),
                None => self.0.exchanges.push(exchange.clone()),
            },
            RunEvent::TrialsWithdrawn(withdrawn) => self.0.trials.retain(|trial| !withdrawn.contains(&trial.key)),
            RunEvent::Trial(trial) => self.0.trials.push(trial.clone()),
            RunEvent::RowStarted(_) | RunEvent::RowsRestarted(_) | RunEvent::Verdict(..) => {}
        }
    }
}
