//! Events on standard output, as JSON lines.

use std::time::Instant;

use crate::cli::io::stdout;
use crate::recording::event::RunEvent;
use crate::results::events::{EventEnvelope as Line, NdjsonEvent as Told, SCHEMA, render};
use crate::results::progress::ProgressCounts;
use crate::wire::exchange::{AttemptResult, Exchange};
use crate::wire::message::InterpretedExchange;

/// Tells events as they come.
pub struct NdjsonEmitter {
    started: Instant,
}

impl NdjsonEmitter {
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }

    /// The first line.
    pub fn start(&self) {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.emit(None, None, Told::Started { schema: SCHEMA.to_owned(), version });
    }

    /// Writes a line, whole and at once. Where nobody reads any more, the run goes on all the same.
    pub fn emit(&self, target: Option<&str>, run: Option<u64>, event: Told) {
        let ms = crate::cli::progress::milliseconds(self.started.elapsed());
        stdout::print(render(&Line { ms, target: target.map(str::to_owned), run, event }));
    }

    /// Tells what happened in a run.
    pub fn emit_run_event(
        &self,
        name: &str,
        run: Option<u64>,
        event: RunEvent<'_>,
        pace: ProgressCounts,
        elapsed_ms: u64,
    ) {
        let told = match event {
            RunEvent::RowStarted(row) => Told::RowStarted { row: row.to_owned() },
            RunEvent::Exchange(exchange, parsed) => exchange_event(exchange, &parsed.interpretation),
            RunEvent::RowsRestarted(rows) => Told::AskedAgain { rows: rows as u64 },
            RunEvent::Verdict(row, verdict) => Told::Verdict {
                row: row.to_owned(),
                status: verdict.status,
                reason: verdict.reason.clone(),
                pace,
                left_ms: pace.remaining_ms(elapsed_ms),
            },
            // Its exchanges are told.
            RunEvent::Trial(_) => return,
        };
        self.emit(Some(name), run, told);
    }
}

fn exchange_event(exchange: &Exchange, interpretation: &InterpretedExchange) -> Told {
    let last = exchange.last_attempt();
    let (status, failure) = match last.map(|attempt| &attempt.result) {
        Some(AttemptResult::Response(response)) => (Some(response.status), None),
        Some(AttemptResult::Failure(failure)) => (None, Some(failure.message.clone())),
        None => (None, None),
    };
    let tokens = match interpretation {
        InterpretedExchange::Message(message) => (message.input_tokens(), message.output_tokens()),
        InterpretedExchange::HttpError(_) | InterpretedExchange::Malformed(_) | InterpretedExchange::NoResponse(_) => {
            (None, None)
        }
    };
    Told::Exchange {
        id: exchange.id.clone(),
        method: exchange.request.method.as_str().to_owned(),
        path: exchange.request.path.clone(),
        status,
        failure,
        attempts: exchange.attempts.len() as u64,
        duration_ms: last.map_or(0, |attempt| attempt.duration_ms),
        input_tokens: tokens.0,
        output_tokens: tokens.1,
    }
}
