//! [`NdjsonEmitter`]: events on standard output, one JSON object per line.

use std::time::Instant;

use crate::cli::io::stdout;
use crate::recording::event::RunEvent;
use crate::results::events::{EventEnvelope, NdjsonEvent, SCHEMA, render};
use crate::results::progress::ProgressCounts;
use crate::wire::exchange::{AttemptResult, Exchange};
use crate::wire::message::InterpretedExchange;

/// Prints events as they occur.
pub struct NdjsonEmitter {
    started: Instant,
}

impl NdjsonEmitter {
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }

    /// Prints the first line.
    pub fn start(&self) {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.emit(None, None, NdjsonEvent::Started { schema: SCHEMA.to_owned(), version });
    }

    /// Prints one event. The run continues if the reader closes the pipe.
    pub fn emit(&self, target: Option<&str>, run: Option<u64>, event: NdjsonEvent) {
        let ms = self.started.elapsed().as_millis() as u64;
        stdout::print_json(&render(&EventEnvelope { ms, target: target.map(str::to_owned), run, event }));
    }

    /// Prints an event of a run.
    pub fn emit_run_event(
        &self,
        name: &str,
        run: Option<u64>,
        event: RunEvent<'_>,
        progress: ProgressCounts,
        elapsed_ms: u64,
    ) {
        let event = match event {
            RunEvent::RowStarted(row) => NdjsonEvent::RowStarted { row: row.to_owned() },
            RunEvent::Exchange(exchange, parsed) => exchange_event(exchange, &parsed.interpretation),
            RunEvent::RowsRestarted(rows) => NdjsonEvent::AskedAgain { rows: rows as u64 },
            RunEvent::Verdict(row, verdict) => NdjsonEvent::Verdict {
                row: row.to_owned(),
                status: verdict.status,
                reason: verdict.reason.clone(),
                pace: progress,
                left_ms: progress.remaining_ms(elapsed_ms),
            },
            // Its exchanges are events already.
            RunEvent::Trial(_) | RunEvent::TrialsWithdrawn(_) => return,
        };
        self.emit(Some(name), run, event);
    }
}

fn exchange_event(exchange: &Exchange, interpretation: &InterpretedExchange) -> NdjsonEvent {
    let last = exchange.last_attempt();
    let (status, failure) = match last.map(|attempt| &attempt.result) {
        Some(AttemptResult::Response(response)) => (Some(response.status), None),
        Some(AttemptResult::Failure(failure)) => (None, Some(failure.message.clone())),
        None => (None, None),
    };
    let tokens = match interpretation {
        InterpretedExchange::Message(message) => (message.input_tokens(), message.output_tokens()),
        InterpretedExchange::HttpError(_)
        | InterpretedExchange::Malformed(_)
        | InterpretedExchange::UnreadableStream(_)
        | InterpretedExchange::NoResponse(_) => (None, None),
    };
    NdjsonEvent::Exchange {
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
