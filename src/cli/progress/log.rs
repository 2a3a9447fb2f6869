//! The log: what goes on in runs, through `tracing`, for those who ask with `-v` or `RUST_LOG`.
//!
//! Nothing that is secret gets here: the client takes it out of whatever it is told.

use tracing::{debug, info, trace};

use crate::engine::Event;
use crate::wire::exchange::AttemptResult;
use crate::wire::message::Reading;

/// The name that `RUST_LOG` knows it by.
const RUN: &str = "fieldtest::run";

/// The log of one run.
pub struct Log {
    run: String,
}

impl Log {
    /// A log that calls the run by its target's name.
    pub fn new(run: &str) -> Self {
        Self { run: crate::report::visible(run) }
    }

    /// Tells what happened.
    pub fn tell(&self, event: Event<'_>, reading: Option<&Reading>) {
        let run = self.run.as_str();
        match event {
            Event::RowStarted(row) => debug!(target: RUN, run, row, "row begun"),
            Event::Exchange(exchange) => {
                let last = exchange.last();
                let (id, attempts) = (exchange.id.as_str(), exchange.attempts.len());
                let ms = last.map_or(0, |attempt| attempt.duration_ms);
                match last.map(|attempt| &attempt.result) {
                    Some(AttemptResult::Response(response)) => {
                        let (status, what) = (response.status, what(reading));
                        debug!(target: RUN, run, id, attempts, status, ms, what, "answered");
                    }
                    Some(AttemptResult::Failure(failure)) => {
                        let why = crate::report::visible(&failure.message);
                        debug!(target: RUN, run, id, attempts, ms, why, "no answer");
                    }
                    None => debug!(target: RUN, run, id, "not sent"),
                }
            }
            Event::Trial(trial) => trace!(target: RUN, run, trial = trial.key.to_string(), "trial done"),
            Event::AskedAgain(rows) => info!(target: RUN, run, rows, "unequal answers to equal requests: asking again"),
            Event::Verdict(row, verdict) => {
                let reason = crate::report::visible(&verdict.reason);
                info!(target: RUN, run, row, status = verdict.status.word(), reason, "verdict");
            }
        }
    }
}

fn what(reading: Option<&Reading>) -> &'static str {
    match reading {
        Some(Reading::Message(_)) => "message",
        Some(Reading::Refused(_)) => "refused",
        Some(Reading::Broken(_)) => "broken",
        Some(Reading::Failed(_)) => "failed",
        None => "unread",
    }
}
