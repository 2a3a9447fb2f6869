//! The events of a run: [`RunEvent`] and [`RunListener`] are the contract between the engine, which
//! emits events, and everything that observes a run (the recording, progress bars, logs).
//!
//! Listeners must not know each other.

use crate::recording::run::{TrialKey, TrialRecord};
use crate::results::model::Verdict;
use crate::wire::exchange::Exchange;
use crate::wire::parsed_exchange::ParsedExchange;

/// Something that happened in a run.
#[derive(Debug, Clone, Copy)]
pub enum RunEvent<'a> {
    /// A row was started.
    RowStarted(&'a str),
    /// An exchange ended. It is parsed once, for all listeners.
    Exchange(&'a Exchange, &'a ParsedExchange),
    /// A trial ended.
    Trial(&'a TrialRecord),
    /// The endpoint is inconsistent, so all rows are run again with more trials. Carries the number
    /// of rows.
    RowsRestarted(usize),
    /// Trials whose responses are void were withdrawn.
    TrialsWithdrawn(&'a [TrialKey]),
    /// A row has its verdict.
    Verdict(&'a str, &'a Verdict),
}

/// Receives the events of a run.
pub trait RunListener: Send {
    /// Called once for each event, in order.
    fn on_event(&mut self, event: RunEvent<'_>);
}
