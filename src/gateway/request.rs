//! From a row to the request that a client sends. Pure.

use serde_json::{Map, Value, json};

use crate::catalog;
use crate::catalog::Sending;
use crate::gateway::values::Values;
use crate::variables::fill;
use crate::wire::exchange::{Credential, Method, Request};

/// `max_tokens` of requests that do not set it.
const MAX_TOKENS: u32 = 512;

/// What a request carries without the field, or with it.
pub(super) fn layered(base: &Sending, send: Option<&Sending>) -> Sending {
    let mut all = base.clone();
    let Some(send) = send else { return all };
    // Destructured, so that a new part cannot be forgotten here.
    let Sending { body, headers, turns, content, after, path, method } = send;
    merge(&mut all.body, body);
    all.headers.extend(headers.clone());
    for (into, from) in [(&mut all.turns, turns), (&mut all.content, content), (&mut all.after, after)] {
        if !from.is_empty() {
            into.clone_from(from);
        }
    }
    all.path = path.clone().or(all.path);
    all.method = method.or(all.method);
    all
}

/// Lays keys over others: objects by key, everything else replaced.
fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => merge(into, from),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The request that carries this.
pub(super) fn request(sending: &Sending, values: &Values) -> Request {
    let path = sending.path.as_ref().map_or("/v1/messages".to_owned(), |path| fill::text(path, values));
    let method = match sending.method {
        None | Some(catalog::Method::Post) => Method::Post,
        Some(catalog::Method::Get) => Method::Get,
        Some(catalog::Method::Head) => Method::Head,
    };
    let mut headers: std::collections::BTreeMap<String, String> =
        sending.headers.iter().map(|(name, value)| (name.clone(), fill::text(value, values))).collect();
    headers.entry("anthropic-version".to_owned()).or_insert_with(|| "2023-06-01".to_owned());
    let body = if method == Method::Post { body(sending, &path, values) } else { Value::Null };
    Request { method, path, headers, credential: Credential::Target, body, raw: None }
}

fn body(sending: &Sending, path: &str, values: &Values) -> Value {
    let filled = |list: &[Value]| list.iter().map(|item| fill::value(item, values)).collect::<Vec<_>>();
    let question = format!("Ticket {}. Please answer.", values.get("label").map_or("", String::as_str));
    let content = if sending.content.is_empty() {
        Value::from(question)
    } else {
        let mut blocks = filled(&sending.content);
        blocks.push(json!({ "type": "text", "text": question }));
        Value::from(blocks)
    };
    let mut messages = filled(&sending.turns);
    messages.push(json!({ "role": "user", "content": content }));
    messages.extend(filled(&sending.after));
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(values.get("model").map_or("", String::as_str)));
    if !path.contains("count_tokens") {
        body.insert("max_tokens".to_owned(), Value::from(MAX_TOKENS));
    }
    body.insert("messages".to_owned(), Value::from(messages));
    body.extend(fill::object(&sending.body, values));
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_laid_over_the_base_and_the_question_holds_the_label() {
        let base: Sending = serde_json::from_value(json!({
            "body": { "max_tokens": 9, "thinking": { "type": "enabled" } },
            "turns": [{ "role": "user", "content": "Hi." }, { "role": "assistant", "content": "Hi." }],
        }))
        .unwrap();
        let send: Sending = serde_json::from_value(json!({
            "body": { "thinking": { "budget_tokens": "{{number}}" } }, "content": [{ "type": "text", "text": "{{word}}" }],
        }))
        .unwrap();
        let values: Values = [("label", "lb1"), ("number", "2000"), ("word", "w"), ("model", "m")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let request = request(&layered(&base, Some(&send)), &values);
        assert_eq!(request.body["thinking"], json!({ "type": "enabled", "budget_tokens": 2000 }));
        assert_eq!((&request.body["max_tokens"], &request.body["model"]), (&json!(9), &json!("m")));
        let last = json!([{ "type": "text", "text": "w" }, { "type": "text", "text": "Ticket lb1. Please answer." }]);
        assert_eq!(request.body["messages"][2], json!({ "role": "user", "content": last }));
        assert_eq!(request.headers["anthropic-version"], "2023-06-01");
    }
}
