//! Builds the request that the client sends for a row: [`build_request`]. Pure.

use serde_json::{Map, Value, json};

use crate::catalog;
use crate::catalog::RequestSpec;
use crate::variables::fill::{VariableValues, filler_from_values, merge_objects};
use crate::wire::exchange::{HttpMethod, Request, RequestCredential};

/// `max_tokens` of requests that do not set it.
const DEFAULT_MAX_TOKENS: u32 = 512;

/// Merges the part of a request with the field into the part without it.
pub(super) fn merge_specs(base: &RequestSpec, with_field: Option<&RequestSpec>) -> RequestSpec {
    let mut merged = base.clone();
    let Some(with_field) = with_field else { return merged };
    // No `..`, so that the compiler reports a new part that is missing here.
    let RequestSpec { body, headers, turns, content, after, path, method } = with_field;
    merge_objects(&mut merged.body, body);
    merged.headers.extend(headers.clone());
    for (into, from) in [(&mut merged.turns, turns), (&mut merged.content, content), (&mut merged.after, after)] {
        if !from.is_empty() {
            into.clone_from(from);
        }
    }
    merged.path = path.clone().or(merged.path);
    merged.method = method.or(merged.method);
    merged
}

/// The request of a specification, with variables filled in.
pub(super) fn build_request(spec: &RequestSpec, values: &VariableValues) -> Request {
    let filler = filler_from_values(values);
    let path = spec.path.as_ref().map_or("/v1/messages".to_owned(), |path| filler.fill_text(path));
    let method = match spec.method {
        None | Some(catalog::ArmMethod::Post) => HttpMethod::Post,
        Some(catalog::ArmMethod::Get) => HttpMethod::Get,
        Some(catalog::ArmMethod::Head) => HttpMethod::Head,
    };
    let mut headers: std::collections::BTreeMap<String, String> =
        spec.headers.iter().map(|(name, value)| (name.clone(), filler.fill_text(value))).collect();
    headers.entry("anthropic-version".to_owned()).or_insert_with(|| "2023-06-01".to_owned());
    let body = if method == HttpMethod::Post { build_body(spec, &path, values) } else { Value::Null };
    Request { method, path, headers, credential: RequestCredential::Target, body, raw: None }
}

fn build_body(spec: &RequestSpec, path: &str, values: &VariableValues) -> Value {
    let filler = filler_from_values(values);
    let fill_all = |list: &[Value]| list.iter().map(|item| filler.fill_value(item)).collect::<Vec<_>>();
    let question = format!("Ticket {}. Please answer.", values.get("label").map_or("", String::as_str));
    let content = if spec.content.is_empty() {
        Value::from(question)
    } else {
        let mut blocks = fill_all(&spec.content);
        blocks.push(json!({ "type": "text", "text": question }));
        Value::from(blocks)
    };
    let mut messages = fill_all(&spec.turns);
    messages.push(json!({ "role": "user", "content": content }));
    messages.extend(fill_all(&spec.after));
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(values.get("model").map_or("", String::as_str)));
    if !path.contains("count_tokens") {
        body.insert("max_tokens".to_owned(), Value::from(DEFAULT_MAX_TOKENS));
    }
    body.insert("messages".to_owned(), Value::from(messages));
    body.extend(filler.fill_object(&spec.body));
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_merged_into_the_base_and_the_message_contains_the_label() {
        let base: RequestSpec = serde_json::from_value(json!({
            "body": { "max_tokens": 9, "thinking": { "type": "enabled" } },
            "turns": [{ "role": "user", "content": "Hi." }, { "role": "assistant", "content": "Hi." }],
        }))
        .unwrap();
        let with_field: RequestSpec = serde_json::from_value(json!({
            "body": { "thinking": { "budget_tokens": "{{number}}" } }, "content": [{ "type": "text", "text": "{{word}}" }],
        }))
        .unwrap();
        let values: VariableValues = [("label", "lb1"), ("number", "2000"), ("word", "w"), ("model", "m")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let request = build_request(&merge_specs(&base, Some(&with_field)), &values);
        assert_eq!(request.body["thinking"], json!({ "type": "enabled", "budget_tokens": 2000 }));
        assert_eq!((&request.body["max_tokens"], &request.body["model"]), (&json!(9), &json!("m")));
        let last = json!([{ "type": "text", "text": "w" }, { "type": "text", "text": "Ticket lb1. Please answer." }]);
        assert_eq!(request.body["messages"][2], json!({ "role": "user", "content": last }));
        assert_eq!(request.headers["anthropic-version"], "2023-06-01");
    }
}
