//! [`ClientResponse`]: the response that the client got, parsed and decompressed. Pure.
//!
//! It must not judge the response.

use serde_json::Value;

use crate::checks;
use crate::redact::decompress_once;
use crate::wire::assemble::{MessageAssembler, StreamObserver, parse_stream};
use crate::wire::bounded_json::parse_json;
use crate::wire::exchange::{AttemptResult, BodyBytes, Exchange, FailureKind, Response};
use crate::wire::message::excerpt;
use crate::wire::sse::SseItem;

/// The number of characters of an error in a report.
const MAX_ERROR_CHARS: usize = 200;

/// The result of a request, as the client sees it.
#[derive(Debug, Clone)]
pub(super) enum ClientResponse {
    /// No response, and why.
    NoResponse(String),
    /// A response.
    Received(Box<ReceivedResponse>),
}

/// A response that the client got.
#[derive(Debug, Clone)]
pub(super) struct ReceivedResponse {
    /// The HTTP status.
    pub status: u16,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, String)>,
    /// The body as JSON, or the assembled message of a stream; `null` if there is none.
    pub json: Value,
    /// The events of a stream.
    pub events: Vec<SseEvent>,
    /// True for an event stream.
    pub is_stream: bool,
    /// Why the response is incomplete.
    pub truncation: Option<ResponseTruncation>,
    /// The decompressed body as text.
    pub text: String,
    /// The original encoding of the body.
    pub content_encoding: Option<String>,
}

/// Why a response is incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResponseTruncation {
    /// True if the client timed out.
    pub is_timeout: bool,
    /// What happened.
    pub message: String,
}

/// An event of a stream.
#[derive(Debug, Clone)]
pub(super) struct SseEvent {
    /// The name.
    pub name: String,
    /// The data.
    pub data: Value,
}

/// Reads the response of an exchange.
pub(super) fn read_response(exchange: &Exchange) -> ClientResponse {
    match exchange.last_attempt().map(|attempt| &attempt.result) {
        None => ClientResponse::NoResponse("nothing was sent".to_owned()),
        Some(AttemptResult::Failure(failure)) => ClientResponse::NoResponse(failure.message.clone()),
        Some(AttemptResult::Response(response)) => {
            let decompressed = decompress_response(response);
            ClientResponse::Received(Box::new(parse_response(decompressed.as_ref().unwrap_or(response), response)))
        }
    }
}

/// Runs the passive checks on the decompressed response of an exchange.
pub(super) fn check_exchange(exchange: &Exchange) -> Vec<checks::Finding> {
    let mut decompressed = exchange.clone();
    for attempt in &mut decompressed.attempts {
        if let AttemptResult::Response(response) = &mut attempt.result
            && let Some(plain) = decompress_response(response)
        {
            *response = plain;
        }
    }
    checks::check_exchange(&decompressed).findings
}

fn parse_response(plain: &Response, original: &Response) -> ReceivedResponse {
    let text = plain.text().into_owned();
    let is_stream = plain.is_event_stream();
    let mut events = Vec::new();
    let json = if is_stream {
        parse_stream(&plain.body.0, plain.cut.is_some(), &mut events).message
    } else {
        parse_json(&text).ok()
    };
    ReceivedResponse {
        status: plain.status,
        headers: plain.headers.clone(),
        json: json.unwrap_or(Value::Null),
        events,
        is_stream,
        truncation: plain.cut.as_ref().map(|cut| ResponseTruncation {
            is_timeout: cut.kind == FailureKind::Timeout,
            message: cut.message.clone(),
        }),
        text,
        content_encoding: content_encoding(original).map(str::to_owned),
    }
}

impl ReceivedResponse {
    /// True if a stream has its last event.
    pub fn is_finished(&self) -> bool {
        self.events.iter().any(|event| ["message_stop", "error"].contains(&event.name.as_str()))
    }

    /// The error in the stream, the status or the body.
    pub fn error(&self) -> Option<String> {
        let error_text = |value: &Value| match &value["error"]["message"] {
            Value::String(message) => excerpt(message, MAX_ERROR_CHARS),
            _ => excerpt(&value.to_string(), MAX_ERROR_CHARS),
        };
        if let Some(event) = self.events.iter().find(|event| event.name == "error") {
            return Some(format!("an error event: {}", error_text(&event.data)));
        }
        if self.status >= 400 {
            let text = if self.json.is_null() { excerpt(&self.text, MAX_ERROR_CHARS) } else { error_text(&self.json) };
            return Some(format!("HTTP {}: {text}", self.status));
        }
        let is_error = self.json["type"] == "error" || self.json.get("error").is_some_and(|error| !error.is_null());
        is_error.then(|| format!("HTTP {} with an error in the body: {}", self.status, error_text(&self.json)))
    }

    /// The error, or the status if there is no error.
    pub fn describe(&self) -> String {
        self.error().unwrap_or_else(|| format!("HTTP {}", self.status))
    }
}

fn content_encoding(response: &Response) -> Option<&str> {
    response.header("content-encoding").filter(|encoding| !encoding.is_empty() && *encoding != "identity")
}

/// The response with a decompressed body, if its encoding is known.
fn decompress_response(response: &Response) -> Option<Response> {
    let bytes = decompress_once(content_encoding(response)?, &response.body.0)?;
    let mut plain = response.clone();
    plain.headers.retain(|(name, _)| name != "content-encoding");
    plain.body = BodyBytes(bytes);
    Some(plain)
}

/// Collects the events of a stream while it is parsed.
impl StreamObserver for Vec<SseEvent> {
    fn on_item(&mut self, item: &SseItem<'_>, json: Option<&Value>, _before: &MessageAssembler) {
        let SseItem::Frame(frame) = item else { return };
        let data = json.cloned().unwrap_or(Value::Null);
        let name = frame.event.as_deref().or(data["type"].as_str()).map(str::to_owned);
        self.extend(name.map(|name| SseEvent { name, data }));
    }
}
