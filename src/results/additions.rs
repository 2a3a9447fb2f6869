//! What a request has in addition to a plain one: [`find_additions`].
//!
//! Reports show what an arm tests without the whole request. A plain turn of a user adds nothing, since
//! its text is only the question.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::wire::exchange::{Request, RequestCredential};
use crate::wire::message::excerpt;

/// Longer JSON texts are cut.
const MAX_VALUE_CHARS: usize = 120;
/// The maximum number of parts that an arm lists.
const MAX_PARTS: usize = 12;

/// The parts of a request that the plain request does not have, and the parts that it lacks: places with
/// the JSON texts of their values. `restore` replaces random values in a text by their names.
pub fn find_additions(
    request: &Request,
    plain: &Request,
    restore: &dyn Fn(&str) -> String,
) -> BTreeMap<String, String> {
    let mut parts: Vec<(String, Value)> = Vec::new();
    if request.method != plain.method {
        parts.push(("method".to_owned(), json!(request.method)));
    }
    if request.path != plain.path {
        parts.push(("path".to_owned(), json!(request.path)));
    }
    if request.credential != plain.credential && request.credential != RequestCredential::Target {
        parts.push(("credential".to_owned(), json!(request.credential)));
    }
    let names = request.headers.keys().chain(plain.headers.keys().filter(|name| !request.headers.contains_key(*name)));
    for name in names.filter(|name| request.headers.get(*name) != plain.headers.get(*name)) {
        parts.push((format!("header {name}"), json!(request.headers.get(name))));
    }
    match (&request.raw, request.body.as_object(), plain.body.as_object()) {
        (Some(raw), _, _) => parts.push(("body".to_owned(), json!(raw))),
        (None, Some(body), Some(plain)) => {
            for (key, value) in body {
                match key.as_str() {
                    "messages" => add_messages(value, &mut parts),
                    _ if plain.get(key) != Some(value) => parts.push((format!("/{key}"), value.clone())),
                    _ => {}
                }
            }
            let missing = plain.keys().filter(|key| !body.contains_key(*key));
            parts.extend(missing.map(|key| (format!("/{key}"), Value::Null)));
        }
        (None, _, _) => {}
    }
    parts.truncate(MAX_PARTS);
    let to_text = |value| excerpt(&restore_texts(value, restore).to_string(), MAX_VALUE_CHARS);
    parts.into_iter().map(|(at, value)| (at, to_text(value))).collect()
}

/// Adds turns and content blocks that are more than the plain text of a user.
fn add_messages(messages: &Value, parts: &mut Vec<(String, Value)>) {
    let Some(messages) = messages.as_array() else {
        parts.push(("/messages".to_owned(), messages.clone()));
        return;
    };
    if messages.is_empty() {
        parts.push(("/messages".to_owned(), json!([])));
    }
    for (i, message) in messages.iter().enumerate() {
        let blocks = message["content"].as_array().map_or(&[][..], Vec::as_slice);
        let special = || blocks.iter().enumerate().filter(|(_, block)| !is_plain_text(block));
        if special().next().is_some() {
            parts.extend(special().map(|(j, block)| (format!("/messages/{i}/content/{j}"), block.clone())));
        } else if message["role"] != "user"
            || message["content"].as_str().is_none_or(str::is_empty) && blocks.is_empty()
        {
            parts.push((format!("/messages/{i}"), message.clone()));
        }
    }
}

fn is_plain_text(block: &Value) -> bool {
    let keys = block.as_object().map_or(0, serde_json::Map::len);
    block["type"] == "text" && block["text"].is_string() && keys == 2
}

fn restore_texts(value: Value, restore: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(restore(&text)),
        Value::Array(items) => items.into_iter().map(|item| restore_texts(item, restore)).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(key, item)| (restore(&key), restore_texts(item, restore))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::exchange::HttpMethod;

    fn request(body: Value) -> Request {
        Request {
            method: HttpMethod::Post,
            path: "/v1/messages".to_owned(),
            headers: BTreeMap::from([("anthropic-version".to_owned(), "2023-06-01".to_owned())]),
            credential: RequestCredential::Target,
            body,
            raw: None,
        }
    }

    fn plain() -> Request {
        request(json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "Hi" }] }))
    }

    fn list(request: &Request) -> Vec<(String, String)> {
        find_additions(request, &plain(), &|text| text.replace("amber", "{{word}}")).into_iter().collect()
    }

    fn texts<const N: usize>(parts: [(&str, &str); N]) -> Vec<(String, String)> {
        parts.map(|(at, text)| (at.to_owned(), text.to_owned())).to_vec()
    }

    #[test]
    fn a_plain_question_adds_nothing() {
        assert_eq!(list(&plain()), []);
        let other = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "Say amber" }] });
        assert_eq!(list(&request(other)), []);
        let block = json!({ "role": "user", "content": [{ "type": "text", "text": "Say amber" }] });
        assert_eq!(list(&request(json!({ "model": "m", "max_tokens": 9, "messages": [block] }))), []);
    }

    #[test]
    fn fields_headers_credentials_and_blocks_are_listed_with_names_of_random_values() {
        let block = json!({ "type": "text", "text": "the amber one", "cache_control": { "type": "ephemeral" } });
        let mut full = request(json!({
            "model": "m",
            "max_tokens": 9,
            "system": "amber",
            "messages": [{ "role": "user", "content": [{ "type": "text", "text": "x" }, block] }],
        }));
        full.headers = BTreeMap::from([("anthropic-beta".to_owned(), "b".to_owned())]);
        full.credential = RequestCredential::Missing;
        full.path = "/v1/messages?beta=true".to_owned();
        assert_eq!(
            list(&full),
            texts([
                (
                    "/messages/0/content/1",
                    r#"{"type":"text","text":"the {{word}} one","cache_control":{"type":"ephemeral"}}"#
                ),
                ("/system", r#""{{word}}""#),
                ("credential", r#""missing""#),
                ("header anthropic-beta", r#""b""#),
                ("header anthropic-version", "null"),
                ("path", r#""/v1/messages?beta=true""#),
            ])
        );
    }

    #[test]
    fn missing_keys_other_turns_and_other_bodies_are_listed() {
        let turns = json!([{ "role": "user", "content": "a" }, { "role": "assistant", "content": "b" }]);
        assert_eq!(
            list(&request(json!({ "model": "m", "messages": turns }))),
            texts([("/max_tokens", "null"), ("/messages/1", r#"{"role":"assistant","content":"b"}"#)])
        );
        let mut broken = request(Value::Null);
        broken.raw = Some("{".to_owned());
        assert_eq!(list(&broken), texts([("body", r#""{""#)]));
    }

    proptest! {
        #[test]
        fn parts_are_few_and_short(texts in proptest::collection::vec("\\PC{0,400}", 0..40)) {
            let mut body = plain().body;
            for (i, text) in texts.iter().enumerate() {
                body[format!("key{i}")] = json!(text);
            }
            let parts = find_additions(&request(body), &plain(), &str::to_owned);
            prop_assert!(parts.len() <= MAX_PARTS);
            prop_assert!(parts.values().all(|text| text.chars().count() <= MAX_VALUE_CHARS + 1), "{parts:?}");
        }
    }
}
