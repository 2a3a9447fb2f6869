//! What a run is expected to send: what the same rules took in a run against a simulation.
//!
//! Counts a recording; it neither simulates nor prices anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::client::estimate_tokens;
use crate::recording::run::Recording;
use crate::wire::exchange::Exchange;
use crate::wire::message::{InterpretedExchange, interpret};

/// What requests took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUse {
    /// Requests.
    pub requests: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Tokens, as a rate limiter takes them before it knows the answer.
    pub limiter: u64,
}

impl TokenUse {
    /// Both together.
    pub fn merge(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            limiter: self.limiter.saturating_add(other.limiter),
        }
    }

    fn from_exchange(exchange: &Exchange, thinking: u64) -> Self {
        let body = &exchange.request.body;
        let bytes = exchange.request.raw.as_ref().map_or_else(|| body.to_string().len(), String::len);
        let (input, output) = match interpret(exchange) {
            InterpretedExchange::Message(m) => {
                let output = m.output_tokens().unwrap_or(0);
                // No answer is longer than it may be.
                let room = body["max_tokens"].as_u64().unwrap_or(0).saturating_sub(output);
                (m.input_tokens().unwrap_or(0), output + thinking.min(room))
            }
            InterpretedExchange::HttpError(_)
            | InterpretedExchange::Malformed(_)
            | InterpretedExchange::NoResponse(_) => (0, 0),
        };
        Self { requests: 1, input, output, limiter: u64::from(estimate_tokens(body, bytes)) }
    }
}

/// What a run took, row by row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEstimate {
    /// What is asked before any row.
    pub first: TokenUse,
    /// The rows; a request that several need is counted with the first of them.
    pub rows: BTreeMap<String, TokenUse>,
    /// Requests of the longest chain that must go one after the other.
    pub longest: u64,
}

impl RunEstimate {
    /// All of it together.
    pub fn total(&self) -> TokenUse {
        self.rows.values().fold(self.first, |sum, used| sum.merge(*used))
    }

    /// Counts a recording, as if the model had thought so many tokens before each answer.
    pub fn from_recording(recording: &Recording, thinking: u64) -> Self {
        let mut expected = Self::default();
        for exchange in &recording.exchanges {
            let row = exchange.id.split('/').next().unwrap_or_default();
            let used = TokenUse::from_exchange(exchange, thinking);
            if recording.header.rows.iter().any(|known| known == row) {
                let sum = expected.rows.entry(row.to_owned()).or_default();
                *sum = sum.merge(used);
            } else {
                expected.first = expected.first.merge(used);
            }
        }
        let mut chains: BTreeMap<&str, u64> = BTreeMap::new();
        for trial in &recording.trials {
            *chains.entry(trial.key.row.as_str()).or_default() += trial.exchanges.len() as u64;
        }
        let of_rows = chains.iter().filter(|(row, _)| expected.rows.contains_key(**row)).map(|(_, n)| *n);
        expected.longest = expected.first.requests + of_rows.max().unwrap_or(0);
        expected
    }
}
