//! A listener that keeps a recording in memory, to be judged at the end of a run.

use super::recording::Recording;
use super::run::{Event, Listener};

/// Keeps every exchange and every trial.
pub struct Memory<'a>(pub &'a mut Recording);

impl Listener for Memory<'_> {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Exchange(exchange) => self.0.exchanges.push(exchange.clone()),
            Event::Trial(trial) => self.0.trials.push(trial.clone()),
            Event::RowStarted(_) | Event::AskedAgain(_) | Event::Verdict(..) => {}
        }
    }
}
