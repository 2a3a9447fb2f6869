//! Passive checks: what an exchange shows of the protocol being broken, whatever it was sent for.
//!
//! Pure: an exchange in, findings out; `across` compares the answers of a run with each other. A check looks at every
//! attempt, costs no request, and never decides a row. It must not know experiments, nor who answered. Additions (unknown keys, events, blocks) are notes: clients are told
//! to pass over them.

mod catalog;
pub mod client_reactions;
mod cross_response;
mod error;
mod error_leak;
mod event_sequence;
mod http;
mod message;
mod pages;
mod sse;
mod stream_block;
#[cfg(test)]
mod tests;
mod timing;
mod tool;
mod usage;

use serde_json::Value;

pub use crate::checks::catalog::{CheckDescription, CheckSeverity, ProtocolCheck, SpecDocument};
pub use crate::checks::cross_response::{CheckedResponse, check_across};
use crate::wire::exchange::{AttemptResult, Exchange, Request, Response};
use crate::wire::fast_delta::ParseMode;
use crate::wire::message::excerpt;

/// The longest detail that is kept.
const MAX_DETAIL_CHARS: usize = 240;

/// A check that failed, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: ProtocolCheck,
    /// What was seen, on one line.
    pub detail: String,
}

/// What an exchange shows.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedExchange {
    /// All findings, each check at most once, with what showed it first.
    pub findings: Vec<Finding>,
    /// The message that the last attempt brought, put together where it was a stream, for [`across`].
    pub message: Option<Value>,
}

/// Looks at an exchange.
pub fn check_exchange(exchange: &Exchange) -> CheckedExchange {
    check_exchange_with_mode(ParseMode::Fast, exchange)
}

/// The same with or without shortcuts, so that tests can hold the one against the other.
#[doc(hidden)]
pub fn check_exchange_with_mode(pace: ParseMode, exchange: &Exchange) -> CheckedExchange {
    let mut found = FindingCollector::default();
    let mut message = None;
    for attempt in &exchange.attempts {
        message = match &attempt.result {
            AttemptResult::Response(response) => check_response(&exchange.request, response, pace, &mut found),
            AttemptResult::Failure(_) => None,
        };
    }
    CheckedExchange { findings: found.0, message }
}

fn check_response(
    request: &Request,
    response: &Response,
    pace: ParseMode,
    found: &mut FindingCollector,
) -> Option<Value> {
    let asked = &request.body;
    http::check(asked, response, found);
    if response.status >= 400 {
        error::check(asked, response, found);
    }
    // Only the answer to this path is a message.
    if !(200..300).contains(&response.status) || !request.path_without_query().ends_with("/v1/messages") {
        return None;
    }
    let message = if response.is_event_stream() {
        timing::check(response, found);
        sse::check(asked, response, pace, found)?
    } else {
        parse_message(response, found)?
    };
    message::check(asked, &message, found);
    usage::check(asked, &message, found);
    tool::check(asked, &message, found);
    Some(message)
}

/// The message of an answer that is no stream.
fn parse_message(response: &Response, found: &mut FindingCollector) -> Option<Value> {
    // What came of a cut body proves nothing about the rest.
    if response.cut.is_some() {
        return None;
    }
    let text = String::from_utf8_lossy(&response.body.0);
    let Ok(json) = serde_json::from_str::<Value>(&text) else {
        found.add(ProtocolCheck::BodyNotJson, excerpt(&text, 120));
        return None;
    };
    let is_error = json["type"] == "error" || (json["error"].is_object() && json.get("content").is_none());
    if is_error {
        found.add(ProtocolCheck::ErrorInSuccess, excerpt(&text, 120));
    } else if !json.is_object() || (json.get("content").is_none() && json["type"] != "message") {
        found.add(ProtocolCheck::NoMessage, excerpt(&text, 120));
    } else {
        return Some(json);
    }
    None
}

/// Findings so far; each check once.
#[derive(Debug, Default)]
struct FindingCollector(Vec<Finding>);

impl FindingCollector {
    /// True where nothing more need be said of a check, so that what each frame of a stream does costs little.
    fn contains(&self, check: ProtocolCheck) -> bool {
        self.0.iter().any(|f| f.check == check)
    }

    fn add(&mut self, check: ProtocolCheck, detail: impl AsRef<str>) {
        if !self.contains(check) {
            self.0.push(Finding { check, detail: excerpt(detail.as_ref(), MAX_DETAIL_CHARS) });
        }
    }
}

/// A value as a detail shows it: short, and "nothing" where it is absent.
fn format_value(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |v| excerpt(&v.to_string(), 80))
}
