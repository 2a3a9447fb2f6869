//! A server that accepts any request: it removes or repairs what the upstream rejects, and sends
//! the
//! request again.

use axum::http::{HeaderValue, header};
use serde_json::{Value, json};

use crate::proxy::Asked;
use crate::proxy::answer::Answer;
use crate::proxy::mutation::Own;
use crate::proxy::upstream::Upstream;

/// The number of repairs before a request is given up.
const REPAIRS: usize = 8;

/// The response, and whether the request needed a repair.
pub async fn answer(mut asked: Asked, upstream: &Upstream, own: &Own) -> (Answer, bool) {
    let came = asked.headers.clone();
    asked.headers.remove(header::AUTHORIZATION);
    asked.headers.insert("x-api-key", HeaderValue::from_str(&own.credential).expect("a plain key"));
    asked.headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    let mut repaired = came != asked.headers;
    let mut answer = upstream.ask(&asked).await;
    for _ in 0..REPAIRS {
        if !answer.is_refusal() {
            break;
        }
        repaired = true;
        repair(&mut asked, answer.error_text(), own);
        answer = upstream.ask(&asked).await;
    }
    (answer, repaired)
}

/// Removes the header or the top-level key that an error names.
fn repair(asked: &mut Asked, error: &str, own: &Own) {
    let place = error.strip_prefix("header ").unwrap_or(error);
    let named = place.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).next().unwrap_or_default();
    match named {
        "model" => asked.body["model"] = json!(own.model),
        "max_tokens" => asked.body["max_tokens"] = json!(1024),
        "messages" => asked.body["messages"] = json!([{ "role": "user", "content": last_text(&asked.body) }]),
        "anthropic-beta" => {
            asked.headers.remove("anthropic-beta");
        }
        key => {
            let known = asked.body.as_object_mut().and_then(|body| body.shift_remove(key)).is_some();
            assert!(known, "the upstream rejects something that this server cannot find: {error}");
        }
    }
}

/// The last text of the user.
fn last_text(body: &Value) -> String {
    let text = |content: &Value| match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) => blocks.iter().rev().find_map(|block| block["text"].as_str().map(str::to_owned)),
        _ => None,
    };
    let messages = body["messages"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let users = messages.iter().rev().filter(|message| message["role"] == "user");
    users.filter_map(|message| text(&message["content"])).next().unwrap_or_else(|| "Hello.".to_owned())
}
