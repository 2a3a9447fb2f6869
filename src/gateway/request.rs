//! From a row to the request that a client sends. Pure.

use serde_json::{Map, Value, json};

use crate::catalog;
use crate::catalog::RequestSpec;
use crate::variables::fill::{VariableValues, filler_from_values, merge_objects};
use crate::wire::exchange::{HttpMethod, Request, RequestCredential};

/// `max_tokens` of requests that do not set it.
const DEFAULT_MAX_TOKENS: u32 = 512;

/// What a request carries without the field, or with it.
pub(super) fn merge_specs(base: &RequestSpec, send: Option<&RequestSpec>) -> RequestSpec {
    let mut all = base.clone();
    let Some(send) = send else { return all };
    // Destructured, so that a new part cannot be forgotten here.
    let RequestSpec { body, headers, turns, content, after, path, method } = send;
    merge_objects(&mut all.body, body);
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

/// The request that carries this.
pub(super) fn build_request(sending: &RequestSpec, values: &VariableValues) -> Request {
    let filler = filler_from_values(values);
    let path = sending.path.as_ref().map_or("/v1/messages".to_owned(), |path| filler.fill_text(path));
    let method = match sending.method {
        None | Some(catalog::ArmMethod::Post) => HttpMethod::Post,
        Some(catalog::ArmMethod::Get) => HttpMethod::Get,
        Some(catalog::ArmMethod::Head) => HttpMethod::Head,
    };
    let mut headers: std::collections::BTreeMap<String, String> =
        sending.headers.iter().map(|(name, value)| (name.clone(), filler.fill_text(value))).collect();
    headers.entry("anthropic-version".to_owned()).or_insert_with(|| "2023-06-01".to_owned());
    let body = if method == HttpMethod::Post { build_body(sending, &path, values) } else { Value::Null };
    Request { method, path, headers, credential: RequestCredential::Target, body, raw: None }
}

fn build_body(sending: &RequestSpec, path: &str, values: &VariableValues) -> Value {
    let filler = filler_from_values(values);
    let filled = |list: &[Value]| list.iter().map(|item| filler.fill_value(item)).collect::<Vec<_>>();
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
        body.insert("max_tokens".to_owned(), Value::from(DEFAULT_MAX_TOKENS));
    }
    body.insert("messages".to_owned(), Value::from(messages));
    body.extend(filler.fill_object(&sending.body));
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_laid_over_the_base_and_the_question_holds_the_label() {
        let base: RequestSpec = serde_json::from_value(json!({
            "body": { "max_tokens": 9, "thinking": { "type": "enabled" } },
            "turns": [{ "role": "user", "content": "Hi." }, { "role": "assistant", "content": "Hi." }],
        }))
        .unwrap();
        let send: RequestSpec = serde_json::from_value(json!({
            "body": { "thinking": { "budget_tokens": "{{number}}" } }, "content": [{ "type": "text", "text": "{{word}}" }],
        }))
        .unwrap();
        let values: VariableValues = [("label", "lb1"), ("number", "2000"), ("word", "w"), ("model", "m")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let request = build_request(&merge_specs(&base, Some(&send)), &values);
        assert_eq!(request.body["thinking"], json!({ "type": "enabled", "budget_tokens": 2000 }));
        assert_eq!((&request.body["max_tokens"], &request.body["model"]), (&json!(9), &json!("m")));
        let last = json!([{ "type": "text", "text": "w" }, { "type": "text", "text": "Ticket lb1. Please answer." }]);
        assert_eq!(request.body["messages"][2], json!({ "role": "user", "content": last }));
        assert_eq!(request.headers["anthropic-version"], "2023-06-01");
    }
}
