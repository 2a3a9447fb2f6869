//! [`RunLog`]: the events of a run in the log of `tracing`, for `-v` and `RUST_LOG`.
//!
//! Events have no secrets: the client removes them from responses.

use tracing::{debug, info, trace};

use crate::recording::event::RunEvent;
use crate::wire::exchange::AttemptResult;
use crate::wire::message::InterpretedExchange;

/// The name for `RUST_LOG`.
const LOG_TARGET: &str = "fieldtest::run";

/// The log of one run.
pub struct RunLog {
    run_name: String,
}

impl RunLog {
    /// A log with the name of the target.
    pub fn new(run: &str) -> Self {
        Self { run_name: crate::report::visible(run) }
    }

    /// Logs an event.
    pub fn log_event(&self, event: RunEvent<'_>) {
        let run = self.run_name.as_str();
        match event {
            RunEvent::RowStarted(row) => debug!(target: LOG_TARGET, run, row, "row started"),
            RunEvent::Exchange(exchange, parsed) => {
                let last = exchange.last_attempt();
                let (id, attempts) = (exchange.id.as_str(), exchange.attempts.len());
                let ms = last.map_or(0, |attempt| attempt.duration_ms);
                match last.map(|attempt| &attempt.result) {
                    Some(AttemptResult::Response(response)) => {
                        let (status, what) = (response.status, interpretation_label(&parsed.interpretation));
                        debug!(target: LOG_TARGET, run, id, attempts, status, ms, what, "response");
                    }
                    Some(AttemptResult::Failure(failure)) => {
                        let why = crate::report::visible(&failure.message);
                        debug!(target: LOG_TARGET, run, id, attempts, ms, why, "no response");
                    }
                    None => debug!(target: LOG_TARGET, run, id, "not sent"),
                }
            }
            RunEvent::Trial(trial) => trace!(target: LOG_TARGET, run, trial = trial.key.to_string(), "trial done"),
            RunEvent::TrialsWithdrawn(trials) => {
                info!(target: LOG_TARGET, run, trials = trials.len(), "void responses; their rows are run again");
            }
            RunEvent::RowsRestarted(rows) => {
                info!(target: LOG_TARGET, run, rows, "inconsistent endpoint: testing rows again")
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
        InterpretedExchange::HttpError(_) => "rejected",
        InterpretedExchange::Malformed(_) | InterpretedExchange::UnreadableStream(_) => "malformed",
        InterpretedExchange::NoResponse(_) => "failed",
    }
}
