//! [`ClientResponse`]: the response that the client got, parsed and decompressed. Pure.
//!
//! It must not judge the response.

use serde_json::Value;

use crate::checks;
use crate::redact::decompress_once;
use crate::wire::exchange::{AttemptResult, BodyBytes, Exchange, FailureKind, Response};
use crate::wire::message::excerpt;
use crate::wire::sse;

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
    let text = String::from_utf8_lossy(&plain.body.0).into_owned();
    let is_stream = plain.is_event_stream();
    ReceivedResponse {
        status: plain.status,
        headers: plain.headers.clone(),
        json: if is_stream {
            assemble_message(plain).unwrap_or(Value::Null)
        } else {
            serde_json::from_str(&text).unwrap_or(Value::Null)
        },
        events: if is_stream { parse_events(&text) } else { Vec::new() },
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

fn parse_events(text: &str) -> Vec<SseEvent> {
    let frames = sse::iter_items(text).filter_map(|part| match part {
        sse::SseItem::Frame(frame) => Some(frame),
        sse::SseItem::UnknownLine(_) | sse::SseItem::Unterminated(_) => None,
    });
    frames
        .filter_map(|frame| {
            let data: Value = frame.data.and_then(|data| serde_json::from_str(&data).ok()).unwrap_or(Value::Null);
            let name = frame.event.map(|name| name.into_owned()).or_else(|| Some(data["type"].as_str()?.to_owned()))?;
            Some(SseEvent { name, data })
        })
        .collect()
}

/// The message that a stream spells, as far as it goes, the way the official clients put it together.
pub(super) fn assemble_message(response: &Response) -> Option<Value> {
    let (text, _) = sse::decode_text(&response.body.0);
    let mut message: Option<Value> = None;
    let mut inputs: Vec<String> = Vec::new();
    for SseEvent { data, .. } in parse_events(&text) {
        match (data["type"].as_str().unwrap_or_default(), &mut message) {
            ("message_start", None) => message = Some(data["message"].clone()).filter(Value::is_object),
            ("content_block_start", Some(message)) => {
                if let Some(content) = message["content"].as_array_mut() {
                    content.push(data["content_block"].clone());
                    inputs.push(String::new());
                }
            }
            ("content_block_delta", Some(message)) => {
                let index = data["index"].as_u64().map_or(usize::MAX, |i| i as usize);
                if let (Some(block), Some(input)) = (message["content"].get_mut(index), inputs.get_mut(index)) {
                    apply_delta(block, input, &data["delta"]);
                }
            }
            ("message_delta", Some(message)) => {
                for (into, from) in [("", &data["delta"]), ("usage", &data["usage"])] {
                    let place = if into.is_empty() { Some(&mut *message) } else { message.get_mut(into) };
                    if let (Some(place), Some(from)) = (place.and_then(Value::as_object_mut), from.as_object()) {
                        place.extend(from.clone());
                    }
                }
            }
            _ => {}
        }
    }
    let mut message = message?;
    for (nth, input) in inputs.iter().enumerate().filter(|(_, input)| !input.is_empty()) {
        let block = message["content"].get_mut(nth).and_then(Value::as_object_mut);
        if let (Some(block), Ok(input)) = (block, serde_json::from_str::<Value>(input)) {
            block.insert("input".to_owned(), input);
        }
    }
    Some(message)
}

fn apply_delta(block: &mut Value, input: &mut String, delta: &Value) {
    let text = |key: &str| delta[key].as_str().unwrap_or_default();
    let (key, piece) = match delta["type"].as_str().unwrap_or_default() {
        "text_delta" => ("text", text("text")),
        "thinking_delta" => ("thinking", text("thinking")),
        "signature_delta" => ("signature", text("signature")),
        "input_json_delta" => return input.push_str(text("partial_json")),
        _ => return,
    };
    if let Some(block) = block.as_object_mut() {
        let so_far = block.get(key).and_then(Value::as_str).unwrap_or_default();
        let whole = format!("{so_far}{piece}");
        block.insert(key.to_owned(), Value::from(whole));
    }
}
