//! An HTTP answer as it came, whatever it is: a message, a refusal, a count, a list of models.
//!
//! For tests that look at more than messages. Nothing is judged here.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::wire::exchange::{AttemptResult, Exchange, Response};
use crate::wire::message::excerpt;
use crate::wire::sse;

/// What the last attempt of an exchange was answered with.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body, where it is JSON; else `null`.
    pub json: Value,
    /// The beginning of the body, on one line.
    pub excerpt: String,
    /// The names of the events in it, each once, where it is a stream.
    pub event_names: BTreeSet<String>,
    /// When the body came.
    pub timing: Option<ChunkTiming>,
}

/// When a body came, in milliseconds from the start of the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkTiming {
    /// A quarter of its bytes were there.
    pub quarter_ms: u64,
    /// All of them were.
    pub complete_ms: u64,
}

/// How much of a body is shown.
const MAX_EXCERPT_CHARS: usize = 200;

/// The answer of an exchange; `None` where none came, or not to its end.
pub fn parse_last_response(exchange: &Exchange) -> Option<ParsedResponse> {
    match &exchange.last_attempt()?.result {
        AttemptResult::Response(response) if response.cut.is_none() => Some(parse_response(response)),
        AttemptResult::Response(_) | AttemptResult::Failure(_) => None,
    }
}

fn parse_response(response: &Response) -> ParsedResponse {
    let text = String::from_utf8_lossy(&response.body.0);
    ParsedResponse {
        status: response.status,
        json: serde_json::from_str(&text).unwrap_or(Value::Null),
        excerpt: excerpt(&text, MAX_EXCERPT_CHARS),
        event_names: if response.is_event_stream() { collect_event_names(response) } else { BTreeSet::new() },
        timing: measure_timing(&response.arrivals),
    }
}

fn collect_event_names(response: &Response) -> BTreeSet<String> {
    let (frames, _) = sse::decode(&response.body.0);
    frames.into_iter().filter_map(|frame| frame.event).map(Cow::into_owned).collect()
}

fn measure_timing(arrivals: &[(u64, u64)]) -> Option<ChunkTiming> {
    let whole: u64 = arrivals.iter().map(|(_, size)| size).sum();
    let mut come = 0;
    let quarter = arrivals.iter().find(|(_, size)| {
        come += size;
        come * 4 >= whole
    });
    Some(ChunkTiming { quarter_ms: quarter?.0, complete_ms: arrivals.last()?.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_counted_in_bytes() {
        assert_eq!(measure_timing(&[]), None);
        assert_eq!(measure_timing(&[(7, 100)]), Some(ChunkTiming { quarter_ms: 7, complete_ms: 7 }));
        // What comes at once and says little does not make a stream of the rest.
        assert_eq!(
            measure_timing(&[(1, 10), (90, 80), (95, 10)]),
            Some(ChunkTiming { quarter_ms: 90, complete_ms: 95 })
        );
        assert_eq!(measure_timing(&[(1, 25), (90, 75)]), Some(ChunkTiming { quarter_ms: 1, complete_ms: 90 }));
    }
}
