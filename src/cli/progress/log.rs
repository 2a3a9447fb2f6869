//! The log: what goes on in runs, through `tracing`, for those who ask with `-v` or `RUST_LOG`.
//!
//! Nothing that is secret gets here: the client takes it out of whatever it is told.

use tracing::{debug, info, trace};

use crate::recording::event::RunEvent;
use crate::wire::exchange::AttemptResult;
use crate::wire::message::InterpretedExchange;

/// The name that `RUST_LOG` knows it by.
const LOG_TARGET: &str = "fieldtest::run";

/// The log of one run.
pub struct RunLog {
    run_name: String,
}

impl RunLog {
    /// A log that calls the run by its target's name.
    pub fn new(run: &str) -> Self {
        Self { run_name: crate::report::visible(run) }
    }

    /// Tells what happened.
    pub fn log_event(&self, event: RunEvent<'_>) {
        let run = self.run_name.as_str();
        match event {
            RunEvent::RowStarted(row) => debug!(target: LOG_TARGET, run, row, "row begun"),
            RunEvent::Exchange(exchange, parsed) => {
                let last = exchange.last_attempt();
                let (id, attempts) = (exchange.id.as_str(), exchange.attempts.len());
                let ms = last.map_or(0, |attempt| attempt.duration_ms);
                match last.map(|attempt| &attempt.result) {
                    Some(AttemptResult::Response(response)) => {
                        let (status, what) = (response.status, interpretation_label(&parsed.interpretation));
                        debug!(target: LOG_TARGET, run, id, attempts, status, ms, what, "answered");
                    }
                    Some(AttemptResult::Failure(failure)) => {
                        let why = crate::report::visible(&failure.message);
                        debug!(target: LOG_TARGET, run, id, attempts, ms, why, "no answer");
                    }
                    None => debug!(target: LOG_TARGET, run, id, "not sent"),
                }
            }
            RunEvent::Trial(trial) => trace!(target: LOG_TARGET, run, trial = trial.key.to_string(), "trial done"),
            RunEvent::RowsRestarted(rows) => {
                info!(target: LOG_TARGET, run, rows, "unequal answers to equal requests: asking again")
            }
            RunEvent::Verdict(row, verdict) => {
                let reason = crate::report::visible(&verdict.reason);
                info!(target: LOG_TARGET, run, row, status = verdict.status.as_str(), reason, "verdict");
            }
        }
    }
}

fn interpretation_label(interpretation: &InterpretedExchange) -> &'static str {
    match interpretation {
        InterpretedExchange::Message(_) => "message",
        InterpretedExchange::HttpError(_) => "refused",
        InterpretedExchange::Malformed(_) => "broken",
        InterpretedExchange::NoResponse(_) => "failed",
    }
}
