//! The interpretation of an exchange: [`InterpretedExchange`].
//!
//! Interpretation is lenient: it keeps unknown keys and blocks, and calls a response malformed only
//! if it is unusable as a message (a 200 response with an error or HTML in it, a stream without its
//! end). The passive checks test the details of the format; this module must not.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::wire::exchange::{Request, RequestCredential, Response};

/// The meaning of the last attempt of an exchange.
#[derive(Debug, Clone, PartialEq)]
pub enum InterpretedExchange {
    /// The response is a message.
    Message(Arc<Message>),
    /// The response has an HTTP error status.
    HttpError(HttpError),
    /// The response has a success status and is not a message. The text describes it.
    Malformed(String),
    /// The response is an event stream that the official SDKs cannot read: it has no
    /// `message_start`, or its events have no names or no types. The text describes it.
    UnreadableStream(String),
    /// There is no response, or only a part of one. The text gives the reason.
    NoResponse(String),
}

impl InterpretedExchange {
    /// Returns true if the exchange says nothing about its request: no complete response, or a
    /// status that concerns the credential, the quota or the server (401, 403, 429, 5xx).
    pub fn is_uninformative(&self, request: &Request) -> bool {
        match self {
            Self::NoResponse(_) => true,
            Self::HttpError(error) => {
                let rejects_credential =
                    request.credential == RequestCredential::Target && matches!(error.status, 401 | 403);
                rejects_credential || error.status == 429 || error.status >= 500
            }
            Self::Message(_) | Self::Malformed(_) | Self::UnreadableStream(_) => false,
        }
    }

    /// The input and output tokens that the response counts. Without a message, both are 0.
    pub fn token_counts(&self) -> (u64, u64) {
        match self {
            Self::Message(message) => (message.input_tokens().unwrap_or(0), message.output_tokens().unwrap_or(0)),
            Self::HttpError(_) | Self::Malformed(_) | Self::UnreadableStream(_) | Self::NoResponse(_) => (0, 0),
        }
    }
}

/// A successful response to `POST /v1/messages`, streamed or not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// The name of the model that the response gives.
    pub model: Option<String>,
    /// The content blocks, unchanged.
    pub content: Vec<Value>,
    /// The reason why the model stopped.
    pub stop_reason: Option<String>,
    /// The stop sequence that the model reached.
    pub stop_sequence: Option<String>,
    /// The token counters, unchanged.
    pub usage: Map<String, Value>,
    /// True if the response was an event stream.
    pub streamed: bool,
}

impl Message {
    /// Returns the content blocks of one type.
    pub fn blocks<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.content.iter().filter(move |b| b["type"] == kind)
    }

    /// Returns the texts of all text blocks, joined with newlines.
    pub fn text(&self) -> String {
        self.blocks("text").filter_map(|b| b["text"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Returns the texts of all thinking blocks, joined with newlines.
    pub fn thinking(&self) -> String {
        self.blocks("thinking").filter_map(|b| b["thinking"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Returns a counter of `usage` by its dotted path.
    pub fn counter(&self, path: &str) -> Option<u64> {
        let mut keys = path.split('.');
        let first = self.usage.get(keys.next()?)?;
        keys.try_fold(first, |value, key| value.get(key))?.as_u64()
    }

    /// Returns the size of the whole prompt in tokens: uncached, written to a cache and read from a
    /// cache. `None` if `usage` has no `input_tokens`.
    pub fn input_tokens(&self) -> Option<u64> {
        let uncached = self.counter("input_tokens")?;
        let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"];
        // A server may send any number, so the sum must not overflow.
        Some(cached.iter().filter_map(|c| self.counter(c)).fold(uncached, u64::saturating_add))
    }

    /// Returns the size of the response in tokens.
    pub fn output_tokens(&self) -> Option<u64> {
        self.counter("output_tokens")
    }

    /// Reads a message. `None` if `json` is not an object with content.
    pub(super) fn from_json(json: &Value, streamed: bool) -> Option<Self> {
        let content = match json.get("content")? {
            Value::Array(blocks) => blocks.clone(),
            // Some servers send null instead of an empty list.
            Value::Null => Vec::new(),
            _ => return None,
        };
        let text = |key: &str| json[key].as_str().map(str::to_owned);
        Some(Self {
            model: text("model"),
            content,
            stop_reason: text("stop_reason"),
            stop_sequence: text("stop_sequence"),
            usage: json["usage"].as_object().cloned().unwrap_or_default(),
            streamed,
        })
    }
}

/// An HTTP error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError {
    /// The HTTP status.
    pub status: u16,
    /// The `error.type` of the body, if it has one.
    pub kind: Option<String>,
    /// The text of the error: `error.message` or one of the other known places, otherwise the
    /// beginning of the body.
    pub message: String,
    /// The number of attempts in a row, up to the last one, that got this error.
    pub sends: u32,
    /// The places in the request that the body names in keys for them (`param`, `loc`, `path`), as
    /// dotted paths.
    pub paths: Vec<String>,
}

/// Keys in which errors name the place that they are about.
const PATH_KEYS: [&str; 8] =
    ["param", "loc", "path", "pointer", "instancePath", "instance_path", "field", "propertyPath"];
/// A larger number of places is not read.
const MAX_ERROR_PATHS: usize = 40;

impl HttpError {
    /// Returns true if the server failed, and neither load nor a slow model explains it (429, 503,
    /// 504, 524 and 529 do).
    pub fn is_server_fault(&self) -> bool {
        is_server_fault(self.status)
    }

    /// Returns true if another error says the same: equal status and text, apart from ids and
    /// numbers.
    pub fn is_same(&self, other: &Self) -> bool {
        self.status == other.status && mask_variable_words(&self.message) == mask_variable_words(&other.message)
    }

    pub(super) fn from_response(response: &Response, json: &Value) -> Self {
        let error = &json["error"];
        let message = [&error["message"], error, &json["message"], &json["detail"], &json["msg"]]
            .into_iter()
            .find_map(|v| match v {
                Value::String(s) if !s.is_empty() => Some(s.clone()),
                Value::Array(list) if !list.is_empty() => {
                    Some(list.iter().map(remove_echoed_input).collect::<Value>().to_string())
                }
                _ => None,
            })
            .unwrap_or_else(|| excerpt(&String::from_utf8_lossy(&response.body.0), 300));
        Self {
            status: response.status,
            kind: error["type"].as_str().map(str::to_owned),
            message: excerpt(&message, 600),
            sends: 1,
            paths: collect_error_paths(json),
        }
    }
}

/// Returns true for a status with which a server says that it failed, unless load or a slow model
/// explains it.
pub fn is_server_fault(status: u16) -> bool {
    status >= 500 && !matches!(status, 503 | 504 | 524 | 529)
}

/// Replaces the words of a text that differ from response to response: those with a digit.
pub fn mask_variable_words(text: &str) -> String {
    let is_variable = |word: &str| word.chars().any(|c| c.is_ascii_digit());
    let mask = |word| if is_variable(word) { "#" } else { word };
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).map(mask).collect::<Vec<_>>().join(" ")
}

/// Collects the places that the body of an error names. Everything that it repeats from the request
/// (`input`) is skipped.
fn collect_error_paths(json: &Value) -> Vec<String> {
    fn visit(node: &Value, paths: &mut Vec<String>) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| visit(item, paths)),
            Value::Object(map) => {
                for (key, value) in map.iter().filter(|(key, _)| *key != "input" && *key != "ctx") {
                    let path = if PATH_KEYS.contains(&key.as_str()) { read_error_path(value) } else { None };
                    match path {
                        Some(path) if paths.len() < MAX_ERROR_PATHS => paths.push(path),
                        Some(_) => {}
                        None => visit(value, paths),
                    }
                }
            }
            _ => {}
        }
    }
    let mut paths = Vec::new();
    visit(json, &mut paths);
    paths
}

/// A place as a text, or as a list of keys and indices.
fn read_error_path(value: &Value) -> Option<String> {
    let segment = |segment: &Value| match segment {
        Value::String(text) => Some(text.clone()),
        Value::Number(index) => Some(index.to_string()),
        _ => None,
    };
    let path = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(segment).collect::<Option<Vec<String>>>()?.join("."),
        _ => return None,
    };
    (!path.is_empty()).then_some(path)
}

/// Removes the part of the request that a validation library repeats in an entry of its error list.
/// The text of the error must contain only words of the server.
fn remove_echoed_input(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Some(entry) = entry.as_object_mut() {
        entry.retain(|key, _| key != "input");
    }
    entry
}

/// Returns the beginning of a text on one line: at most `limit` characters, and `…` if there are
/// more.
pub fn excerpt(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit));
    let (mut length, mut is_between_words) = (0, false);
    // Ends at the limit, so that the cost does not depend on the length of the text.
    for character in text.trim_start().chars() {
        if character.is_whitespace() {
            is_between_words = true;
            continue;
        }
        for next in is_between_words.then_some(' ').into_iter().chain([character]) {
            if length == limit {
                shown.push('…');
                return shown;
            }
            shown.push(next);
            length += 1;
        }
        is_between_words = false;
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::exchange::BodyBytes;

    #[test]
    fn the_text_of_an_http_error_is_found_in_every_known_place() {
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
            let response = Response {
                status: 400,
                headers: Vec::new(),
                body: BodyBytes(body.as_bytes().to_vec()),
                arrivals: Vec::new(),
                cut: None,
            };
            let json = serde_json::from_str(body).unwrap_or(Value::Null);
            let error = HttpError::from_response(&response, &json);
            assert_eq!((error.kind.as_deref(), error.message.as_str()), (kind, message));
        }
    }

    #[test]
    fn an_excerpt_is_one_line_of_limited_length() {
        for (text, limit, shown) in [
            ("", 3, ""),
            (" \n ", 3, ""),
            (" a\n\t b ", 3, "a b"),
            ("a b c", 3, "a b…"),
            ("ab  c", 2, "ab…"),
            ("ab  c", 3, "ab …"),
            ("äöü ", 3, "äöü"),
            ("abc", 0, "…"),
        ] {
            assert_eq!(excerpt(text, limit), shown, "{text:?}");
        }
    }

    #[test]
    fn an_error_is_the_same_with_another_id() {
        let error = |status, message: &str| HttpError {
            status,
            kind: None,
            message: message.to_owned(),
            sends: 1,
            paths: Vec::new(),
        };
        assert!(error(500, "failed, id 7f3a").is_same(&error(500, "failed, id 91bc")));
        assert!(!error(500, "failed, id 7f3a").is_same(&error(502, "failed, id 7f3a")));
        assert!(!error(500, "failed").is_same(&error(500, "overloaded")));
        for (status, is_fault) in [(500, true), (501, true), (502, true), (520, true), (503, false), (529, false)] {
            assert_eq!(error(status, "").is_server_fault(), is_fault, "{status}");
        }
    }

    #[test]
    fn the_size_of_the_prompt_includes_cached_tokens() {
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
