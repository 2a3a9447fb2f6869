use axum::http::{HeaderName, HeaderValue};
use base64::Engine as _;
use serde_json::Value;

use super::*;
use crate::case::{ClaimStatus, Range};
use crate::simulator::{DEFAULT_CREDENTIAL, ROWS, picture, stream};

mod reference;
mod rows;
mod survival;

/// A request: the usual headers with changes, and a body.
#[derive(Debug, Clone)]
struct Ask {
    headers: Vec<(&'static str, Option<String>)>,
    body: Value,
}

impl Ask {
    /// A plain request with other keys put over it.
    fn with(changes: Value) -> Self {
        let mut body =
            json!({"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "Say hello."}]});
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        Self { headers: Vec::new(), body }
    }

    /// A conversation of one user message.
    fn user(content: impl Into<Value>) -> Self {
        Self::with(json!({"messages": [{"role": "user", "content": content.into()}]}))
    }

    /// A conversation whose second message is the assistant's.
    fn assistant(block: Value, last: impl Into<Value>) -> Self {
        Self::with(json!({"messages": [
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": [block]},
            {"role": "user", "content": last.into()},
        ]}))
    }

    fn without(mut self, key: &str) -> Self {
        self.body.as_object_mut().unwrap().remove(key);
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, Some(value.to_owned())));
        self
    }

    fn no_header(mut self, name: &'static str) -> Self {
        self.headers.push((name, None));
        self
    }

    fn map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert("x-api-key", HeaderValue::from_static(DEFAULT_CREDENTIAL));
        map.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        for (name, value) in &self.headers {
            let name = HeaderName::from_static(name);
            match value {
                Some(value) => drop(map.insert(name, HeaderValue::from_str(value).unwrap())),
                None => drop(map.remove(name)),
            }
        }
        map
    }
}

fn behaviour() -> Behaviour {
    Behaviour { model: "m".into(), max_output_tokens: Some(8192), ..Behaviour::default() }
}

fn flipped(row: &str, status: ClaimStatus) -> Behaviour {
    let mut behaviour = behaviour();
    behaviour.flip(row, status).unwrap();
    behaviour
}

fn send(service: &Service, ask: &Ask) -> Result<Reply, Refusal> {
    let body = ask.body.to_string();
    let mut draws = service.fate.of("/v1/messages", body.as_bytes());
    service.answer(&Route::Messages(Endpoint::Messages), &ask.map(), body.as_bytes(), &mut draws, &mut Acts::default())
}

/// The message that a server answers with.
fn message(service: &Service, ask: &Ask) -> Value {
    match send(service, ask) {
        Ok(Reply::Json(message)) => message,
        other => panic!("{ask:?} was answered with {other:?}"),
    }
}

fn text(service: &Service, ask: &Ask) -> String {
    message(service, ask)["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

/// The refusal that a server answers with: status and message.
fn refusal(service: &Service, ask: &Ask) -> (u16, String) {
    match send(service, ask) {
        Err(refusal) => (refusal.kind.status(), refusal.message),
        Ok(reply) => panic!("{ask:?} was answered with {reply:?}"),
    }
}

fn png(colour: [u8; 3]) -> Value {
    let data = base64::engine::general_purpose::STANDARD.encode(picture::tests::png_of(colour, 64));
    json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
}

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "Tells the weather of a city.", "input_schema": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}})
}

/// A call and its result, and a question after it.
fn exchange(call: Value, result: Value, ask: &str) -> Ask {
    Ask::assistant(call, json!([result, {"type": "text", "text": ask}]))
}

fn call() -> Value {
    json!({"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"city": "Paris"}})
}

fn result() -> Value {
    json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "Done."})
}

/// A value with one key more.
fn plus(mut value: Value, key: &str, more: impl Into<Value>) -> Value {
    value[key] = more.into();
    value
}
