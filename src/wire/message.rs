//! What an exchange amounts to: a message, a refusal, something broken, or nothing.
//!
//! Reading is lenient: unknown keys and blocks are kept, and only what makes an answer unusable as a message counts
//! as broken (a 200 that holds an error, HTML, a stream without its end). Strictness about shape is not judged here.

use serde_json::{Map, Value};

use crate::wire::exchange::{AttemptResult, Exchange, FailureKind, Request, RequestCredential, Response};
use crate::wire::fast_delta::{ContentDelta, DeltaKind, ParseMode};
use crate::wire::{fast_delta, sse};

/// An exchange, read.
#[derive(Debug, Clone, PartialEq)]
pub enum InterpretedExchange {
    /// A message came back.
    Message(Message),
    /// An HTTP error status came back.
    HttpError(HttpError),
    /// A success status came back with something that is no message; in words.
    Malformed(String),
    /// Nothing came back, or not to the end; in words.
    NoResponse(String),
}

impl InterpretedExchange {
    /// True if the exchange says nothing about its request: no complete response, or a status that
    /// concerns the credential, the quota or the server (401, 403, 429, 5xx).
    pub fn is_uninformative(&self, request: &Request) -> bool {
        match self {
            Self::NoResponse(_) => true,
            Self::HttpError(error) => {
                let rejects_credential =
                    request.credential == RequestCredential::Target && matches!(error.status, 401 | 403);
                rejects_credential || error.status == 429 || error.status >= 500
            }
            Self::Message(_) | Self::Malformed(_) => false,
        }
    }

    /// The input and output tokens that the response counts. Without a message, both are 0.
    pub fn token_counts(&self) -> (u64, u64) {
        match self {
            Self::Message(message) => (message.input_tokens().unwrap_or(0), message.output_tokens().unwrap_or(0)),
            Self::HttpError(_) | Self::Malformed(_) | Self::NoResponse(_) => (0, 0),
        }
    }
}

/// A message: the answer to `POST /v1/messages`, streamed or not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// The served model's name, where it is given.
    pub model: Option<String>,
    /// The content blocks, as they came.
    pub content: Vec<Value>,
    /// Why the answer ended.
    pub stop_reason: Option<String>,
    /// The stop sequence that ended it.
    pub stop_sequence: Option<String>,
    /// The token counters, as they came.
    pub usage: Map<String, Value>,
    /// True when it came as an event stream.
    pub streamed: bool,
}

impl Message {
    /// The blocks of one type.
    pub fn blocks<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.content.iter().filter(move |b| b["type"] == kind)
    }

    /// All text blocks' text, joined with newlines.
    pub fn text(&self) -> String {
        self.blocks("text").filter_map(|b| b["text"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// All thinking blocks' text, joined with newlines.
    pub fn thinking(&self) -> String {
        self.blocks("thinking").filter_map(|b| b["thinking"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// A counter of `usage` by its dotted path.
    pub fn counter(&self, path: &str) -> Option<u64> {
        let mut keys = path.split('.');
        let first = self.usage.get(keys.next()?)?;
        keys.try_fold(first, |value, key| value.get(key))?.as_u64()
    }

    /// The whole prompt in tokens: uncached, written to and read from a cache. `None` where usage is missing.
    pub fn input_tokens(&self) -> Option<u64> {
        let plain = self.counter("input_tokens")?;
        let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"];
        // Whatever a server writes into its counters, adding them up is no panic.
        Some(cached.iter().filter_map(|c| self.counter(c)).fold(plain, u64::saturating_add))
    }

    /// The answer in tokens.
    pub fn output_tokens(&self) -> Option<u64> {
        self.counter("output_tokens")
    }

    fn from_json(mut object: Map<String, Value>) -> Option<Self> {
        // What is taken away leaves its key, so that nothing behind it need be moved.
        let mut take = |key: &str| object.get_mut(key).map(Value::take);
        let content = match take("content")? {
            Value::Array(blocks) => blocks,
            // Seen from servers that had nothing to say; the shape is wrong, the meaning is clear.
            Value::Null => Vec::new(),
            _ => return None,
        };
        let usage = match take("usage") {
            Some(Value::Object(usage)) => usage,
            _ => Map::new(),
        };
        let mut text = |key: &str| match take(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Some(Self {
            model: text("model"),
            content,
            stop_reason: text("stop_reason"),
            stop_sequence: text("stop_sequence"),
            usage,
            streamed: false,
        })
    }
}

/// An HTTP error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError {
    /// The HTTP status.
    pub status: u16,
    /// `error.type`, where the body has one.
    pub kind: Option<String>,
    /// The error's text: `error.message` in any of the shapes seen in the wild, else the body's beginning.
    pub message: String,
}

impl HttpError {
    fn from_response(response: &Response) -> Self {
        let body = String::from_utf8_lossy(&response.body.0);
        let json: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
        let error = &json["error"];
        let message = [&error["message"], error, &json["message"], &json["detail"], &json["msg"]]
            .into_iter()
            .find_map(|v| match v {
                Value::String(s) if !s.is_empty() => Some(s.clone()),
                Value::Array(list) if !list.is_empty() => {
                    Some(list.iter().map(strip_input_echo).collect::<Value>().to_string())
                }
                _ => None,
            })
            .unwrap_or_else(|| excerpt(&body, 300));
        Self {
            status: response.status,
            kind: error["type"].as_str().map(str::to_owned),
            message: excerpt(&message, 600),
        }
    }
}

/// An entry of a validation library's list, without the part of the request that it says back: what the request said
/// is no word of the server's.
fn strip_input_echo(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Some(entry) = entry.as_object_mut() {
        entry.retain(|key, _| key != "input");
    }
    entry
}

/// The beginning of a text on one line, at most `limit` characters, with a mark where it was cut.
pub fn excerpt(text: &str, limit: usize) -> String {
    // However long the text is, no more than this is made of it.
    let words = text.split_whitespace().enumerate();
    let mut line = words.flat_map(|(n, word)| (n > 0).then_some(' ').into_iter().chain(word.chars()));
    let mut shown: String = line.by_ref().take(limit).collect();
    if line.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Reads an exchange: what its last attempt amounts to.
pub fn interpret(exchange: &Exchange) -> InterpretedExchange {
    interpret_with_mode(ParseMode::Fast, exchange)
}

/// The same with or without shortcuts, so that tests can hold the one against the other.
#[doc(hidden)]
pub fn interpret_with_mode(pace: ParseMode, exchange: &Exchange) -> InterpretedExchange {
    let Some(attempt) = exchange.last_attempt() else {
        return InterpretedExchange::NoResponse("nothing was sent".to_owned());
    };
    match &attempt.result {
        AttemptResult::Failure(failure) => InterpretedExchange::NoResponse(failure.message.clone()),
        AttemptResult::Response(response) => interpret_response(response, pace),
    }
}

fn interpret_response(response: &Response, pace: ParseMode) -> InterpretedExchange {
    match response.status {
        200..=299 => {}
        300..=399 => {
            let to = response.header("location").unwrap_or("nowhere");
            return InterpretedExchange::NoResponse(format!(
                "HTTP {}: a redirect to {}; redirects are not followed, give the final address as the base URL",
                response.status,
                excerpt(to, 200)
            ));
        }
        _ => return InterpretedExchange::HttpError(HttpError::from_response(response)),
    }
    if response.is_event_stream() {
        return interpret_stream(response, pace);
    }
    if let Some(cut) = &response.cut {
        return interpret_truncation(cut.kind, &cut.message);
    }
    let body = String::from_utf8_lossy(&response.body.0);
    let json: Value = match serde_json::from_str(&body) {
        Ok(json) => json,
        Err(_) => {
            let what = response.header("content-type").unwrap_or("no content type");
            return InterpretedExchange::Malformed(format!(
                "HTTP {} with a body that is not JSON ({what}): {}",
                response.status,
                excerpt(&body, 160)
            ));
        }
    };
    if json["type"] == "error" || (json.get("error").is_some_and(|e| !e.is_null()) && json.get("content").is_none()) {
        return InterpretedExchange::Malformed(format!(
            "HTTP {} with an error in the body: {}",
            response.status,
            excerpt(&body, 300)
        ));
    }
    let object = if let Value::Object(object) = json { Some(object) } else { None };
    match object.and_then(Message::from_json) {
        Some(message) => InterpretedExchange::Message(message),
        None => InterpretedExchange::Malformed(format!(
            "HTTP {} with JSON that is no message: {}",
            response.status,
            excerpt(&body, 160)
        )),
    }
}

fn interpret_truncation(kind: FailureKind, message: &str) -> InterpretedExchange {
    match kind {
        FailureKind::TooLarge => InterpretedExchange::Malformed(message.to_owned()),
        FailureKind::Connect
        | FailureKind::Tls
        | FailureKind::Timeout
        | FailureKind::Reset
        | FailureKind::Protocol
        | FailureKind::Stopped
        | FailureKind::NotRecorded => InterpretedExchange::NoResponse(message.to_owned()),
    }
}

/// Puts a message together from an event stream, the way the official accumulators do.
fn interpret_stream(response: &Response, pace: ParseMode) -> InterpretedExchange {
    let (text, _) = sse::decode_text(&response.body.0);
    let mut message: Option<Message> = None;
    let mut partial_json: Vec<String> = Vec::new();
    for part in sse::iter_items(&text) {
        let sse::SseItem::Frame(sse::SseFrame { event, data: Some(data) }) = part else { continue };
        let data = data.as_ref();
        // Nearly all events are plain deltas.
        if event.is_none_or(|name| name == fast_delta::EVENT_NAME)
            && let (Some(message), Some(delta)) = (&mut message, pace.parse_delta(data))
            && append_delta_fast(message, &mut partial_json, &delta)
        {
            continue;
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            // `[DONE]` and the like: no part of a message.
            continue;
        };
        match (event["type"].as_str().unwrap_or_default(), &mut message) {
            ("error", _) => {
                return InterpretedExchange::NoResponse(format!(
                    "the stream ended with an error event: {}",
                    excerpt(data, 300)
                ));
            }
            ("message_start", None) => {
                let started = event.get("message").and_then(Value::as_object).cloned();
                let mut started = started.and_then(Message::from_json).unwrap_or_default();
                started.streamed = true;
                message = Some(started);
            }
            ("content_block_start", Some(message)) => {
                message.content.push(event["content_block"].clone());
                partial_json.push(String::new());
            }
            ("content_block_delta", Some(message)) => {
                let index = event["index"].as_u64().map_or(usize::MAX, |i| i as usize);
                if let (Some(block), Some(json)) = (message.content.get_mut(index), partial_json.get_mut(index)) {
                    apply_delta(block, json, &event["delta"]);
                }
            }
            ("message_delta", Some(message)) => {
                let text = |key: &str| event["delta"][key].as_str().map(str::to_owned);
                message.stop_reason = text("stop_reason").or(message.stop_reason.take());
                message.stop_sequence = text("stop_sequence").or(message.stop_sequence.take());
                for (key, value) in event["usage"].as_object().into_iter().flatten() {
                    message.usage.insert(key.clone(), value.clone());
                }
            }
            ("message_stop", Some(message)) => {
                for (block, json) in message.content.iter_mut().zip(&partial_json) {
                    if let (false, Ok(input)) = (json.is_empty(), serde_json::from_str::<Value>(json))
                        && let Some(block) = block.as_object_mut()
                    {
                        block.insert("input".to_owned(), input);
                    }
                }
                return InterpretedExchange::Message(std::mem::take(message));
            }
            _ => {}
        }
    }
    if let Some(cut) = &response.cut {
        return interpret_truncation(cut.kind, &cut.message);
    }
    InterpretedExchange::Malformed(match message {
        Some(_) => "an event stream that ends without message_stop".to_owned(),
        None => format!("an event stream without message_start: {}", excerpt(&text, 160)),
    })
}

/// Adds a plain delta; false, and nothing added, where its block is not as plain.
fn append_delta_fast(message: &mut Message, partial_json: &mut [String], delta: &ContentDelta<'_>) -> bool {
    let (Some(block), Some(json)) = (message.content.get_mut(delta.index), partial_json.get_mut(delta.index)) else {
        return false;
    };
    let text = match delta.kind {
        DeltaKind::Text => block.get_mut("text"),
        DeltaKind::Thinking => block.get_mut("thinking"),
        DeltaKind::Input => {
            json.push_str(&delta.fragment);
            return true;
        }
    };
    match text {
        Some(Value::String(text)) => text.push_str(&delta.fragment),
        _ => return false,
    }
    true
}

fn apply_delta(block: &mut Value, partial_json: &mut String, delta: &Value) {
    let (key, piece) = match delta["type"].as_str() {
        Some("text_delta") => ("text", &delta["text"]),
        Some("thinking_delta") => ("thinking", &delta["thinking"]),
        Some("signature_delta") => ("signature", &delta["signature"]),
        Some("input_json_delta") => {
            partial_json.push_str(delta["partial_json"].as_str().unwrap_or_default());
            return;
        }
        _ => return,
    };
    if !block.is_object() {
        return;
    }
    let piece = piece.as_str().unwrap_or_default();
    match &mut block[key] {
        Value::String(so_far) => so_far.push_str(piece),
        other => *other = Value::from(piece),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::exchange::{AttemptFailure, BodyBytes};

    fn response(status: u16, kind: &str, body: &str) -> Response {
        Response {
            status,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body: BodyBytes(body.as_bytes().to_vec()),
            arrivals: Vec::new(),
            cut: None,
        }
    }

    fn stream(events: &[Value]) -> String {
        events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap())).collect()
    }

    #[test]
    fn a_stream_becomes_the_message_it_spells() {
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
        let InterpretedExchange::Message(message) =
            interpret_response(&response(200, "text/event-stream; charset=utf-8", &body), ParseMode::Fast)
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
    fn what_is_no_message_is_never_read_as_one() {
        let cases = [
            (response(200, "text/html", "<html>hi</html>"), "not JSON"),
            (response(200, "application/json", r#"{"type":"error","error":{"message":"no"}}"#), "error in the body"),
            (response(200, "application/json", r#"{"choices":[]}"#), "no message"),
            (response(200, "text/event-stream", "data: hello\n\n"), "without message_start"),
            (
                response(
                    200,
                    "text/event-stream",
                    &stream(&[json!({"type": "message_start", "message": {"content": []}})]),
                ),
                "without message_stop",
            ),
        ];
        for (response, part) in cases {
            match interpret_response(&response, ParseMode::Fast) {
                InterpretedExchange::Malformed(why) => assert!(why.contains(part), "{why}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_cut_stream_is_a_failure_not_a_message() {
        let mut cut = response(
            200,
            "text/event-stream",
            &stream(&[json!({"type": "message_start", "message": {"content": []}})]),
        );
        cut.cut = Some(AttemptFailure { kind: FailureKind::Reset, message: "the connection broke".to_owned() });
        assert_eq!(
            interpret_response(&cut, ParseMode::Fast),
            InterpretedExchange::NoResponse("the connection broke".to_owned())
        );
    }

    #[test]
    fn refusals_are_read_in_every_shape_seen_in_the_wild() {
        let bodies = [
            (
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"no top_k"}}"#,
                Some("invalid_request_error"),
                "no top_k",
            ),
            (r#"{"error":{"message":"bad","type":null,"code":"400"}}"#, None, "bad"),
            (r#"{"error":"plain"}"#, None, "plain"),
            (r#"{"detail":[{"loc":["body","x"],"msg":"extra"}]}"#, None, r#"[{"loc":["body","x"],"msg":"extra"}]"#),
            ("<html>502</html>", None, "<html>502</html>"),
        ];
        for (body, kind, message) in bodies {
            let refusal = HttpError::from_response(&response(400, "application/json", body));
            assert_eq!((refusal.kind.as_deref(), refusal.message.as_str()), (kind, message));
        }
    }

    #[test]
    fn the_prompt_counts_cached_tokens_too() {
        let message = Message {
            usage: json!({"input_tokens": 3, "cache_read_input_tokens": 40, "cache_creation_input_tokens": null})
                .as_object()
                .unwrap()
                .clone(),
            ..Message::default()
        };
        assert_eq!(message.input_tokens(), Some(43));
        assert_eq!(message.counter("cache_creation_input_tokens"), None);
    }
}
