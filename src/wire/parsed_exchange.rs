//! An exchange, parsed once: [`ParsedExchange`].
//!
//! The run parses each exchange when it is complete, and all listeners read the result. The judge
//! gets it from the passive checks, which observe the same pass. This module must not judge.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::wire::assemble::{AssembledStream, StreamEnd, StreamObserver, parse_stream};
use crate::wire::bounded_json::{MAX_JSON_VALUES, UnreadableJson, estimate_bytes, parse_json};
use crate::wire::exchange::{AttemptFailure, AttemptResult, Exchange, FailureKind, Response};
use crate::wire::message::{HttpError, InterpretedExchange, Message, excerpt, is_server_fault};

/// The maximum length of the beginning of a body that reasons quote.
const MAX_EXCERPT_CHARS: usize = 200;

/// The content of the last attempt of an exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedExchange {
    /// Its meaning as a response to `POST /v1/messages`.
    pub interpretation: InterpretedExchange,
    /// The response, for rows that any HTTP response can decide. `None` if there is none, or only a
    /// part of one.
    pub response: Option<Arc<ParsedResponse>>,
}

/// An HTTP response of any kind: a message, an error, a token count, a list of models.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body if it is JSON, otherwise `null`.
    pub json: Value,
    /// The beginning of the body on one line.
    pub excerpt: String,
    /// The names of the events of a stream, without repetition.
    pub event_names: BTreeSet<String>,
    /// The time when the body arrived.
    pub timing: Option<ChunkTiming>,
}

/// The times when parts of a body arrived, in milliseconds from the start of the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkTiming {
    /// A quarter of the bytes.
    pub quarter_ms: u64,
    /// All bytes.
    pub complete_ms: u64,
}

/// The body of a response.
#[derive(Debug)]
pub enum ParsedBody {
    /// JSON of any kind.
    Json(Value),
    /// Neither JSON nor the event stream of a successful response.
    Other,
    /// JSON with more values than are read.
    TooLarge,
    /// The event stream of a successful response.
    Stream(AssembledStream),
}

impl ParsedBody {
    /// Parses a body. The observer sees the items of a stream.
    pub fn parse(response: &Response, observer: &mut impl StreamObserver) -> Self {
        if response.is_success() && response.is_event_stream() {
            return Self::Stream(parse_stream(&response.body.0, response.cut.is_some(), observer));
        }
        match parse_json(&response.text()) {
            Ok(json) => Self::Json(json),
            Err(UnreadableJson::NotJson) => Self::Other,
            Err(UnreadableJson::TooLarge) => Self::TooLarge,
        }
    }

    /// Returns the body if it is JSON.
    pub fn json(&self) -> &Value {
        match self {
            Self::Json(json) => json,
            Self::Other | Self::TooLarge | Self::Stream(_) => &Value::Null,
        }
    }

    /// Returns true if the body is too large to read.
    pub fn is_too_large(&self) -> bool {
        match self {
            Self::TooLarge => true,
            Self::Stream(stream) => stream.is_too_large,
            Self::Json(_) | Self::Other => false,
        }
    }
}

/// Parses an exchange.
pub fn parse_exchange(exchange: &Exchange) -> ParsedExchange {
    let body = match exchange.last_attempt().map(|attempt| &attempt.result) {
        Some(AttemptResult::Response(response)) => Some(ParsedBody::parse(response, &mut ())),
        Some(AttemptResult::Failure(_)) | None => None,
    };
    ParsedExchange::from_body(exchange, body)
}

impl ParsedExchange {
    /// Interprets the parsed body of the last attempt.
    pub fn from_body(exchange: &Exchange, body: Option<ParsedBody>) -> Self {
        let no_response = |why: &str| InterpretedExchange::NoResponse(why.to_owned());
        let interpretation = match (exchange.last_attempt().map(|attempt| &attempt.result), body) {
            (Some(AttemptResult::Failure(failure)), _) => no_response(&failure.message),
            (Some(AttemptResult::Response(response)), Some(body)) => {
                let mut interpretation = interpret_response(response, &body);
                if let InterpretedExchange::HttpError(error) = &mut interpretation {
                    error.sends = count_equal_errors(exchange, error);
                }
                // A part of a response shows nothing about the rest.
                let is_complete = response.cut.is_none() && !(response.is_success() && body.is_too_large());
                let response = is_complete.then(|| Arc::new(ParsedResponse::new(response, body)));
                return Self { interpretation, response };
            }
            (Some(AttemptResult::Response(_)) | None, _) => no_response("nothing was sent"),
        };
        Self { interpretation, response: None }
    }
}

impl ParsedExchange {
    /// The memory that the parsed content takes, about.
    pub fn estimate_bytes(&self) -> usize {
        let content = match &self.interpretation {
            InterpretedExchange::Message(message) => message.content.iter().map(estimate_bytes).sum(),
            InterpretedExchange::HttpError(_)
            | InterpretedExchange::Malformed(_)
            | InterpretedExchange::UnreadableStream(_)
            | InterpretedExchange::NoResponse(_) => 0,
        };
        content + self.response.as_ref().map_or(0, |response| estimate_bytes(&response.json))
    }
}

impl ParsedResponse {
    fn new(response: &Response, body: ParsedBody) -> Self {
        let text = response.text();
        let (json, event_names) = match body {
            ParsedBody::Json(json) => (json, BTreeSet::new()),
            ParsedBody::Other | ParsedBody::TooLarge => (Value::Null, BTreeSet::new()),
            // Some servers send JSON with the content type of a stream.
            ParsedBody::Stream(stream) => (parse_json(&text).unwrap_or(Value::Null), stream.event_names),
        };
        Self {
            status: response.status,
            json,
            excerpt: excerpt(&text, MAX_EXCERPT_CHARS),
            event_names,
            timing: measure_timing(&response.arrivals),
        }
    }
}

/// Returns true if the request was answered after a server error.
pub fn has_passed_server_error(exchange: &Exchange) -> bool {
    let status = |result: &AttemptResult| match result {
        AttemptResult::Response(response) => Some(response.status),
        AttemptResult::Failure(_) => None,
    };
    let is_answered = exchange.last_attempt().and_then(|a| status(&a.result)).is_some_and(|s| s < 500 && s != 429);
    is_answered && exchange.attempts.iter().filter_map(|a| status(&a.result)).any(is_server_fault)
}

/// Counts the attempts in a row, up to the last one, that got the same error.
fn count_equal_errors(exchange: &Exchange, last: &HttpError) -> u32 {
    let is_same = |result: &AttemptResult| match result {
        AttemptResult::Response(response) if response.status == last.status => {
            let json = parse_json(&response.text()).unwrap_or(Value::Null);
            HttpError::from_response(response, &json).is_same(last)
        }
        AttemptResult::Response(_) | AttemptResult::Failure(_) => false,
    };
    exchange.attempts.iter().rev().take_while(|attempt| is_same(&attempt.result)).count() as u32
}

fn interpret_response(response: &Response, body: &ParsedBody) -> InterpretedExchange {
    let status = response.status;
    if !(200..400).contains(&status) {
        return InterpretedExchange::HttpError(HttpError::from_response(response, body.json()));
    }
    if !response.is_success() {
        let location = response.header("location").unwrap_or("nowhere");
        return InterpretedExchange::NoResponse(format!(
            "HTTP {status}: a redirect to {}; redirects are not followed, give the final address as the base URL",
            excerpt(location, 200)
        ));
    }
    if body.is_too_large() && response.cut.is_none() {
        return InterpretedExchange::Malformed(format!(
            "HTTP {status} with an answer too large to read: more than {MAX_JSON_VALUES} JSON values, or nested too deep"
        ));
    }
    let json = match (body, &response.cut) {
        (ParsedBody::Stream(stream), _) => return interpret_stream(response, stream),
        (_, Some(cut)) => return interpret_truncation(cut),
        (ParsedBody::Json(json), None) => json,
        (ParsedBody::Other | ParsedBody::TooLarge, None) => {
            return InterpretedExchange::Malformed(format!(
                "HTTP {status} with a body that is not JSON ({}): {}",
                response.header("content-type").unwrap_or("no content type"),
                excerpt(&response.text(), 160)
            ));
        }
    };
    let has_error = json.get("error").is_some_and(|e| !e.is_null()) && json.get("content").is_none();
    if json["type"] == "error" || has_error {
        let text = excerpt(&response.text(), 300);
        return InterpretedExchange::Malformed(format!("HTTP {status} with an error in the body: {text}"));
    }
    match Message::from_json(json, false) {
        Some(message) => InterpretedExchange::Message(Arc::new(message)),
        None => InterpretedExchange::Malformed(format!(
            "HTTP {status} with JSON that is not a message: {}",
            excerpt(&response.text(), 160)
        )),
    }
}

fn interpret_stream(response: &Response, stream: &AssembledStream) -> InterpretedExchange {
    match (&stream.end, &stream.message) {
        (StreamEnd::Error(text), _) => {
            InterpretedExchange::NoResponse(format!("the stream ended with an error event: {text}"))
        }
        (StreamEnd::MessageStop, Some(message)) if stream.has_readable_start => {
            InterpretedExchange::Message(Arc::new(Message::from_json(message, true).unwrap_or_default()))
        }
        (StreamEnd::Missing | StreamEnd::MessageStop, message) => {
            if let Some(cut) = &response.cut {
                return interpret_truncation(cut);
            }
            match message {
                None => InterpretedExchange::UnreadableStream(format!(
                    "an event stream without message_start: {}",
                    excerpt(&response.text(), 160)
                )),
                Some(_) if !stream.has_readable_start => InterpretedExchange::UnreadableStream(format!(
                    "an event stream whose events do not have the names that the official SDKs look for: {}",
                    excerpt(&response.text(), 160)
                )),
                Some(_) => InterpretedExchange::Malformed("an event stream that ends without message_stop".to_owned()),
            }
        }
    }
}

fn interpret_truncation(cut: &AttemptFailure) -> InterpretedExchange {
    match cut.kind {
        FailureKind::TooLarge => InterpretedExchange::Malformed(cut.message.clone()),
        FailureKind::Connect
        | FailureKind::Tls
        | FailureKind::Timeout
        | FailureKind::Reset
        | FailureKind::Stale
        | FailureKind::Protocol
        | FailureKind::Stopped
        | FailureKind::Void
        | FailureKind::NotRecorded => InterpretedExchange::NoResponse(cut.message.clone()),
    }
}

fn measure_timing(arrivals: &[(u64, u64)]) -> Option<ChunkTiming> {
    let total: u64 = arrivals.iter().map(|(_, size)| size).sum();
    let mut received = 0;
    let quarter = arrivals.iter().find(|(_, size)| {
        received += size;
        received * 4 >= total
    });
    Some(ChunkTiming { quarter_ms: quarter?.0, complete_ms: arrivals.last()?.0 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::exchange::BodyBytes;

    fn response(kind: &str, body: &str) -> Response {
        Response {
            status: 200,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body: BodyBytes(body.as_bytes().to_vec()),
            arrivals: Vec::new(),
            cut: None,
        }
    }

    fn interpret(response: &Response) -> InterpretedExchange {
        interpret_response(response, &ParsedBody::parse(response, &mut ()))
    }

    fn stream(events: &[Value]) -> String {
        events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap())).collect()
    }

    #[test]
    fn a_stream_becomes_the_message_that_it_contains() {
        let body = stream(&[
            json!({"type": "message_start", "message": {"model": "m", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "ping"}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "n", "input": {}}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "1}"}}),
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 5}}),
            json!({"type": "message_stop"}),
        ]);
        let InterpretedExchange::Message(message) = interpret(&response("text/event-stream; charset=utf-8", &body))
        else {
            panic!("not a message");
        };
        assert_eq!(message.text(), "Hello");
        assert_eq!(message.content[1]["input"], json!({"a": 1}));
        assert_eq!(message.stop_reason.as_deref(), Some("tool_use"));
        assert_eq!((message.input_tokens(), message.output_tokens()), (Some(9), Some(5)));
        assert!(message.streamed);
    }

    #[test]
    fn a_response_without_a_message_is_malformed() {
        let unfinished = stream(&[json!({"type": "message_start", "message": {"content": []}})]);
        let cases = [
            (response("text/html", "<html>hi</html>"), "not JSON"),
            (response("application/json", r#"{"type":"error","error":{"message":"no"}}"#), "error in the body"),
            (response("application/json", r#"{"choices":[]}"#), "not a message"),
            (response("text/event-stream", &unfinished), "without message_stop"),
        ];
        for (response, part) in cases {
            match interpret(&response) {
                InterpretedExchange::Malformed(why) => assert!(why.contains(part), "{why}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_stream_that_no_sdk_can_read_is_unreadable() {
        let events = [
            json!({"type": "message_start", "message": {"content": []}}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
            json!({"type": "message_stop"}),
        ];
        let readable = stream(&events);
        assert!(matches!(interpret(&response("text/event-stream", &readable)), InterpretedExchange::Message(_)));
        let without_types: Vec<String> = events.iter().map(readable_without_type).collect();
        let bodies = [
            "data: hello\n\n".to_owned(),
            r#"{"type":"message","content":[]}"#.to_owned(),
            stream(&events[1..]),
            events.iter().map(|e| format!("data: {e}\n\n")).collect(),
            events.iter().map(|e| format!("event: message\ndata: {e}\n\n")).collect(),
            readable.replace("\ndata:", "\n\ndata:"),
            without_types.concat(),
        ];
        for body in bodies {
            let interpretation = interpret(&response("text/event-stream", &body));
            assert!(matches!(interpretation, InterpretedExchange::UnreadableStream(_)), "{body}: {interpretation:?}");
        }
    }

    /// An event with its name and without the type in its data.
    fn readable_without_type(event: &Value) -> String {
        let mut data = event.clone();
        data.as_object_mut().unwrap().remove("type");
        format!("event: {}\ndata: {data}\n\n", event["type"].as_str().unwrap())
    }

    #[test]
    fn a_truncated_stream_is_no_response() {
        let mut cut =
            response("text/event-stream", &stream(&[json!({"type": "message_start", "message": {"content": []}})]));
        cut.cut = Some(AttemptFailure { kind: FailureKind::Reset, message: "the connection broke".to_owned() });
        assert_eq!(interpret(&cut), InterpretedExchange::NoResponse("the connection broke".to_owned()));
    }

    #[test]
    fn the_first_quarter_is_measured_in_bytes() {
        assert_eq!(measure_timing(&[]), None);
        assert_eq!(measure_timing(&[(7, 100)]), Some(ChunkTiming { quarter_ms: 7, complete_ms: 7 }));
        // A small first chunk does not make a stream of the rest.
        assert_eq!(
            measure_timing(&[(1, 10), (90, 80), (95, 10)]),
            Some(ChunkTiming { quarter_ms: 90, complete_ms: 95 })
        );
        assert_eq!(measure_timing(&[(1, 25), (90, 75)]), Some(ChunkTiming { quarter_ms: 1, complete_ms: 90 }));
    }
}
