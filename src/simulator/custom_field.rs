//! Fields that somebody outside told the server about: a place, a status, and what honouring comes to.
//!
//! The reference does not know them, so they are dealt with before it looks at the request: refused, taken out, or
//! honoured in one of the two ways that need no knowledge of what the field is for. It knows places only, never what
//! anyone asks about them.

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::catalog::{ClaimStatus, FieldLocation, FieldSpec, SupportedBehaviour};
use crate::simulator::activity_log::RequestActivity;
use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::error_path::truncate_text;
use crate::simulator::fields::find::array_items;

/// What stands in for the last block of a message when it is taken out: a message without any would be refused.
const PLACEHOLDER_TEXT: &str = "-";

/// A field under a row's name, and how this server treats it.
#[derive(Debug)]
pub(super) struct CustomField {
    row: String,
    spec: FieldSpec,
    status: ClaimStatus,
}

impl CustomField {
    pub fn new(row: &str, field: &FieldSpec, status: ClaimStatus) -> Self {
        Self { row: row.to_owned(), spec: field.clone(), status }
    }

    /// Deals with the field, wherever it stands. What remains is as if it had never been there, unless it is left to the
    /// reference. Texts that the model is to read are added to `read`.
    pub fn apply(
        &self,
        headers: &mut HeaderMap,
        body: &mut Map<String, Value>,
        read: &mut Vec<String>,
        acts: &mut RequestActivity,
    ) -> Result<(), ApiError> {
        let mut found = Vec::new();
        let leave = self.status == ClaimStatus::Supported && self.spec.supported_by.is_none();
        take_field(&self.spec.at, headers, body, leave, &mut found);
        if found.is_empty() {
            return Ok(());
        }
        acts.record(&self.row);
        match (self.status, &self.spec.supported_by) {
            (ClaimStatus::Unsupported, _) => {
                let parts: Vec<String> =
                    found.iter().map(|(path, _)| format!("{path}: not supported by this endpoint")).collect();
                Err(ApiError::new(ApiErrorKind::InvalidRequest, parts.join("; ")))
            }
            (ClaimStatus::Ignored | ClaimStatus::Substituted, _) | (ClaimStatus::Supported, None) => Ok(()),
            (ClaimStatus::Supported, Some(SupportedBehaviour::Read)) => {
                found.iter().for_each(|(_, value)| collect_texts(value, read));
                Ok(())
            }
            (ClaimStatus::Supported, Some(SupportedBehaviour::Values(values))) => {
                match found.iter().find(|(_, value)| !values.contains(value)) {
                    None => Ok(()),
                    Some((path, value)) => {
                        let given = value.to_string();
                        let what = format!("{path}: unknown value {}", truncate_text(&given));
                        Err(ApiError::new(ApiErrorKind::InvalidRequest, what))
                    }
                }
            }
        }
    }
}

/// Puts texts into the request where the model reads them.
pub(super) fn inject_texts(body: &mut Map<String, Value>, read: &[String]) {
    if read.is_empty() {
        return;
    }
    let told = json!({ "type": "text", "text": read.join(" ") });
    let system = match body.remove("system") {
        Some(Value::Array(mut blocks)) => {
            blocks.push(told);
            Value::Array(blocks)
        }
        Some(Value::String(text)) => json!([{ "type": "text", "text": text }, told]),
        _ => json!([told]),
    };
    body.insert("system".to_owned(), system);
}

/// Collects what stands at a place, with its path, and takes it out unless it is to be left.
fn take_field(
    at: &FieldLocation,
    headers: &mut HeaderMap,
    body: &mut Map<String, Value>,
    leave: bool,
    found: &mut Vec<(String, Value)>,
) {
    match at {
        FieldLocation::Header(name) => {
            let values = headers.get_all(name.as_str()).iter();
            let value = |v: &axum::http::HeaderValue| json!(String::from_utf8_lossy(v.as_bytes()));
            found.extend(values.map(|v| (format!("header {name}"), value(v))));
            if !leave {
                headers.remove(name.as_str());
            }
        }
        // Such a row has no place of its own, and is never added.
        FieldLocation::Row(_) => {}
        FieldLocation::Body(path) => take_key(body, path, "", leave, found),
        FieldLocation::Tool(path) => {
            for (i, tool) in array_items_mut(body.get_mut("tools")).iter_mut().enumerate() {
                if let Some(tool) = tool.as_object_mut() {
                    take_key(tool, path, &format!("tools.{i}."), leave, found);
                }
            }
        }
        FieldLocation::Block(path) => {
            let (kind, inner) = path.split_once('.').map_or((path.as_str(), None), |(kind, key)| (kind, Some(key)));
            for (i, message) in array_items_mut(body.get_mut("messages")).iter_mut().enumerate() {
                let place = format!("messages.{i}.content");
                if let Some(content) = message.get_mut("content") {
                    take_blocks(content, &place, (kind, inner), leave, found);
                }
            }
        }
    }
}

/// A key, dotted where it lies deeper. Objects that are empty without it go with it.
fn take_key(map: &mut Map<String, Value>, path: &str, above: &str, leave: bool, found: &mut Vec<(String, Value)>) {
    match path.split_once('.') {
        None => {
            if let Some(value) = map.get(path) {
                found.push((format!("{above}{path}"), value.clone()));
            }
            if !leave {
                map.shift_remove(path);
            }
        }
        Some((first, rest)) => {
            let before = found.len();
            let Some(Value::Object(inner)) = map.get_mut(first) else { return };
            take_key(inner, rest, &format!("{above}{first}."), leave, found);
            if inner.is_empty() && found.len() > before {
                map.shift_remove(first);
            }
        }
    }
}

/// Blocks of a kind, or a key in them; those within results of tools as well.
fn take_blocks(
    content: &mut Value,
    path: &str,
    wanted: (&str, Option<&str>),
    leave: bool,
    found: &mut Vec<(String, Value)>,
) {
    let (kind, inner) = wanted;
    let is_kind = |block: &Value| block.get("type").and_then(Value::as_str) == Some(kind);
    for (i, block) in
        array_items(Some(content)).iter().enumerate().filter(|(_, block)| inner.is_none() && is_kind(block))
    {
        found.push((format!("{path}.{i}.{kind}"), block.clone()));
    }
    let Value::Array(list) = content else { return };
    let before = list.len();
    if inner.is_none() && !leave {
        list.retain(|block| !is_kind(block));
    }
    if list.is_empty() && before > 0 {
        list.push(json!({ "type": "text", "text": PLACEHOLDER_TEXT }));
    }
    for (i, block) in list.iter_mut().enumerate() {
        let here = is_kind(block);
        let Some(map) = block.as_object_mut() else { continue };
        if let (Some(inner), true) = (inner, here) {
            take_key(map, inner, &format!("{path}.{i}.{kind}."), leave, found);
        }
        if map.get("type").and_then(Value::as_str) == Some("tool_result")
            && let Some(content) = map.get_mut("content")
        {
            take_blocks(content, &format!("{path}.{i}.tool_result.content"), wanted, leave, found);
        }
    }
}

/// Every text in a value, but for the words that only name a kind of block.
fn collect_texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, into)),
        Value::Object(map) => {
            map.iter().filter(|(key, _)| *key != "type").for_each(|(_, item)| collect_texts(item, into))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn array_items_mut(value: Option<&mut Value>) -> &mut [Value] {
    match value {
        Some(Value::Array(entries)) => entries,
        _ => &mut [],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a request: the refusal or the rest of the body, what is read, and whether it was acted on.
    fn apply_field(
        at: FieldLocation,
        honoured: Option<SupportedBehaviour>,
        status: ClaimStatus,
        body: Value,
    ) -> (Result<Value, String>, String) {
        let Value::Object(mut body) = body else { panic!("an object") };
        let (mut read, mut acts) = (Vec::new(), RequestActivity::default());
        let mut headers = HeaderMap::new();
        headers.insert("x-policy", "lax".parse().unwrap());
        let added = CustomField::new("my.row", &FieldSpec { at, supported_by: honoured }, status);
        let treated = added.apply(&mut headers, &mut body, &mut read, &mut acts);
        (treated.map(|()| Value::Object(body)).map_err(|r| r.message), read.join(" "))
    }

    #[test]
    fn what_is_ignored_is_taken_out_and_leaves_no_empty_shell() {
        let at = || FieldLocation::Body("output_config.effort".into());
        let body = json!({"model": "m", "output_config": {"effort": "low"}});
        assert_eq!(apply_field(at(), None, ClaimStatus::Ignored, body.clone()).0, Ok(json!({"model": "m"})));
        assert_eq!(apply_field(at(), None, ClaimStatus::Supported, body.clone()).0, Ok(body));
    }

    #[test]
    fn what_is_unsupported_is_refused_by_its_path() {
        let body = json!({"messages": [{"content": [{"type": "text"}, {"type": "audio", "data": "x"}]}]});
        let refused =
            apply_field(FieldLocation::Block("audio".into()), None, ClaimStatus::Unsupported, body).0.unwrap_err();
        assert_eq!(refused, "messages.0.content.1.audio: not supported by this endpoint");
        let refused = apply_field(FieldLocation::Header("x-policy".into()), None, ClaimStatus::Unsupported, json!({}));
        assert_eq!(refused.0.unwrap_err(), "header x-policy: not supported by this endpoint");
    }

    #[test]
    fn values_are_checked_and_texts_are_read() {
        let values = || Some(SupportedBehaviour::Values(vec![json!("low"), json!("high")]));
        let tier = |value: &str| {
            apply_field(
                FieldLocation::Tool("tier".into()),
                values(),
                ClaimStatus::Supported,
                json!({"tools": [{"tier": value}]}),
            )
            .0
        };
        assert_eq!(tier("low"), Ok(json!({"tools": [{}]})));
        assert_eq!(tier("mid").unwrap_err(), "tools.0.tier: unknown value \"mid\"");
        let body = json!({"messages": [{"content": [{"type": "audio", "words": "Hello."}]}]});
        let (left, read) = apply_field(
            FieldLocation::Block("audio".into()),
            Some(SupportedBehaviour::Read),
            ClaimStatus::Supported,
            body,
        );
        assert_eq!(read, "Hello.");
        assert_eq!(left.unwrap()["messages"][0]["content"], json!([{"type": "text", "text": PLACEHOLDER_TEXT}]));
    }

    #[test]
    fn what_is_read_stands_beside_the_system_prompt() {
        for (system, expected) in [(json!("a"), 2), (json!([{"type": "text", "text": "a"}]), 2), (Value::Null, 1)] {
            let mut body = Map::from_iter([("system".to_owned(), system)]);
            inject_texts(&mut body, &["b".to_owned()]);
            assert_eq!(body["system"].as_array().unwrap().len(), expected);
        }
    }
}
