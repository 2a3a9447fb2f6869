//! Events on standard output, as JSON lines.

use std::time::Instant;

use crate::cli::io::stdout;
use crate::engine::Event;
use crate::results::events::{Event as Told, SCHEMA, Told as Line, render};
use crate::results::progress::Pace;
use crate::wire::exchange::{AttemptResult, Exchange};
use crate::wire::message::Reading;

/// Tells events as they come.
pub struct Events {
    started: Instant,
}

impl Events {
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }

    /// The first line.
    pub fn began(&self) {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.tell(None, None, Told::Started { schema: SCHEMA.to_owned(), version });
    }

    /// Writes a line, whole and at once. Where nobody reads any more, the run goes on all the same.
    pub fn tell(&self, target: Option<&str>, run: Option<u64>, event: Told) {
        let ms = crate::cli::progress::milliseconds(self.started.elapsed());
        stdout::say(render(&Line { ms, target: target.map(str::to_owned), run, event }));
    }

    /// Tells what happened in a run.
    pub fn on(
        &self,
        name: &str,
        run: Option<u64>,
        event: Event<'_>,
        reading: Option<&Reading>,
        pace: Pace,
        elapsed_ms: u64,
    ) {
        let told = match event {
            Event::RowStarted(row) => Told::RowStarted { row: row.to_owned() },
            Event::Exchange(exchange) => of_exchange(exchange, reading),
            Event::AskedAgain(rows) => Told::AskedAgain { rows: rows as u64 },
            Event::Verdict(row, verdict) => Told::Verdict {
                row: row.to_owned(),
                status: verdict.status,
                reason: verdict.reason.clone(),
                pace,
                left_ms: pace.left_ms(elapsed_ms),
            },
            // Its exchanges are told.
            Event::Trial(_) => return,
        };
        self.tell(Some(name), run, told);
    }
}

fn of_exchange(exchange: &Exchange, reading: Option<&Reading>) -> Told {
    let last = exchange.last();
    let (status, failure) = match last.map(|attempt| &attempt.result) {
        Some(AttemptResult::Response(response)) => (Some(response.status), None),
        Some(AttemptResult::Failure(failure)) => (None, Some(failure.message.clone())),
        None => (None, None),
    };
    let tokens = match reading {
        Some(Reading::Message(message)) => (message.input_tokens(), message.output_tokens()),
        Some(Reading::Refused(_) | Reading::Broken(_) | Reading::Failed(_)) | None => (None, None),
    };
    Told::Exchange {
        id: exchange.id.clone(),
        method: exchange.request.method.word().to_owned(),
        path: exchange.request.path.clone(),
        status,
        failure,
        attempts: exchange.attempts.len() as u64,
        duration_ms: last.map_or(0, |attempt| attempt.duration_ms),
        input_tokens: tokens.0,
        output_tokens: tokens.1,
    }
}
