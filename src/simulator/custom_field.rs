//! Fields that the simulator does not know by name: a [`CustomField`] has a location, a status and
//! the behaviour of the supported field.
//!
//! They are handled before the pipeline looks at the request: rejected, removed, or supported in
//! one of the two ways that do not depend on the meaning of the field. This file knows locations
//! only. It must not know what an experiment asks about them.

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::catalog::{ClaimStatus, FieldLocation, FieldSpec, SupportedBehaviour};
use crate::simulator::activity_log::RequestActivity;
use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::SimulatorConfig;
use crate::simulator::error_path::truncate_text;
use crate::simulator::fields::lookup::{array_items, array_items_mut, has_type};

/// Replaces the last block of a message when it is removed, because an empty message is rejected.
const PLACEHOLDER_TEXT: &str = "-";

/// The field of a row, and how this server treats it.
#[derive(Debug)]
pub(super) struct CustomField {
    row: String,
    spec: FieldSpec,
    status: ClaimStatus,
}

impl CustomField {
    /// The fields that the configuration adds.
    pub fn from_config(config: &SimulatorConfig) -> Vec<Self> {
        let own = config.fields.iter().filter(|(_, spec)| spec.at.row().is_none());
        own.map(|(row, spec)| Self {
            row: row.clone(),
            spec: spec.clone(),
            status: config.statuses.get(row).copied().unwrap_or(ClaimStatus::Supported),
        })
        .collect()
    }

    /// Treats the field wherever it is in the request. The field is removed, except if it is
    /// supported without a known behaviour: then the pipeline sees it. Texts that the model must
    /// read are added to `texts`.
    pub fn apply(
        &self,
        headers: &mut HeaderMap,
        body: &mut Map<String, Value>,
        texts: &mut Vec<String>,
        activity: &mut RequestActivity,
    ) -> Result<(), ApiError> {
        let mut found = Vec::new();
        let is_supported = matches!(self.status, ClaimStatus::Supported | ClaimStatus::Partial);
        let keep = is_supported && self.spec.supported_by.is_none();
        take_field(&self.spec.at, headers, body, keep, &mut found);
        if found.is_empty() {
            return Ok(());
        }
        activity.record(&self.row);
        match (self.status, &self.spec.supported_by) {
            (ClaimStatus::Unsupported, _) => Err(ApiError::unsupported(found.iter().map(|(path, _)| path))),
            (ClaimStatus::Ignored | ClaimStatus::Accepted | ClaimStatus::Substituted, _)
            | (ClaimStatus::Supported | ClaimStatus::Partial, None) => Ok(()),
            (ClaimStatus::Supported | ClaimStatus::Partial, Some(SupportedBehaviour::Read)) => {
                found.iter().for_each(|(_, value)| collect_texts(value, texts));
                Ok(())
            }
            (ClaimStatus::Supported | ClaimStatus::Partial, Some(SupportedBehaviour::Values(values))) => {
                match found.iter().find(|(_, value)| !values.contains(value)) {
                    None => Ok(()),
                    Some((path, value)) => {
                        let given = value.to_string();
                        let message = format!("{path}: unknown value {}", truncate_text(&given));
                        Err(ApiError::new(ApiErrorKind::InvalidRequest, message))
                    }
                }
            }
        }
    }
}

/// Adds texts to the system prompt, where the model reads them.
pub(super) fn inject_texts(body: &mut Map<String, Value>, texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    let block = json!({ "type": "text", "text": texts.join(" ") });
    let system = match body.remove("system") {
        Some(Value::Array(mut blocks)) => {
            blocks.push(block);
            Value::Array(blocks)
        }
        Some(Value::String(text)) => json!([{ "type": "text", "text": text }, block]),
        _ => json!([block]),
    };
    body.insert("system".to_owned(), system);
}

/// Collects the values at a location, with their paths, and removes them unless `keep` is set.
fn take_field(
    at: &FieldLocation,
    headers: &mut HeaderMap,
    body: &mut Map<String, Value>,
    keep: bool,
    found: &mut Vec<(String, Value)>,
) {
    match at {
        FieldLocation::Header(name) => {
            let values = headers.get_all(name.as_str()).iter();
            let value = |v: &axum::http::HeaderValue| json!(String::from_utf8_lossy(v.as_bytes()));
            found.extend(values.map(|v| (format!("header {name}"), value(v))));
            if !keep {
                headers.remove(name.as_str());
            }
        }
        // A row that refers to another row has no location of its own and is never added.
        FieldLocation::Row(_) | FieldLocation::Rows(_) => {}
        FieldLocation::Body(path) => take_key(body, path, "", keep, found),
        FieldLocation::Tool(path) => {
            for (i, tool) in array_items_mut(body.get_mut("tools")).iter_mut().enumerate() {
                if let Some(tool) = tool.as_object_mut() {
                    take_key(tool, path, &format!("tools.{i}."), keep, found);
                }
            }
        }
        FieldLocation::Block(path) => {
            let (kind, inner) = path.split_once('.').map_or((path.as_str(), None), |(kind, key)| (kind, Some(key)));
            for (i, message) in array_items_mut(body.get_mut("messages")).iter_mut().enumerate() {
                let path = format!("messages.{i}.content");
                if let Some(content) = message.get_mut("content") {
                    take_blocks(content, &path, (kind, inner), keep, found);
                }
            }
        }
    }
}

/// Takes a key of an object. A dotted path leads into inner objects, which are removed if they
/// become empty.
fn take_key(map: &mut Map<String, Value>, path: &str, prefix: &str, keep: bool, found: &mut Vec<(String, Value)>) {
    match path.split_once('.') {
        None => {
            if let Some(value) = map.get(path) {
                found.push((format!("{prefix}{path}"), value.clone()));
            }
            if !keep {
                map.shift_remove(path);
            }
        }
        Some((first, rest)) => {
            let before = found.len();
            let Some(Value::Object(inner)) = map.get_mut(first) else { return };
            take_key(inner, rest, &format!("{prefix}{first}."), keep, found);
            if inner.is_empty() && found.len() > before {
                map.shift_remove(first);
            }
        }
    }
}

/// Takes blocks of a kind, or a key of these blocks. Includes blocks in tool results.
fn take_blocks(
    content: &mut Value,
    path: &str,
    wanted: (&str, Option<&str>),
    keep: bool,
    found: &mut Vec<(String, Value)>,
) {
    let (kind, inner) = wanted;
    let is_kind = |block: &Value| has_type(block, kind);
    for (i, block) in
        array_items(Some(content)).iter().enumerate().filter(|(_, block)| inner.is_none() && is_kind(block))
    {
        found.push((format!("{path}.{i}.{kind}"), block.clone()));
    }
    let Value::Array(list) = content else { return };
    let before = list.len();
    if inner.is_none() && !keep {
        list.retain(|block| !is_kind(block));
    }
    if list.is_empty() && before > 0 {
        list.push(json!({ "type": "text", "text": PLACEHOLDER_TEXT }));
    }
    for (i, block) in list.iter_mut().enumerate() {
        let is_wanted = is_kind(block);
        let Some(map) = block.as_object_mut() else { continue };
        if let (Some(inner), true) = (inner, is_wanted) {
            take_key(map, inner, &format!("{path}.{i}.{kind}."), keep, found);
        }
        if map.get("type").and_then(Value::as_str) == Some("tool_result")
            && let Some(content) = map.get_mut("content")
        {
            take_blocks(content, &format!("{path}.{i}.tool_result.content"), wanted, keep, found);
        }
    }
}

/// Every text in a value, except the `type` of blocks.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies a field to a request: the error or the remaining body, and the texts for the model.
    fn apply_field(
        at: FieldLocation,
        supported_by: Option<SupportedBehaviour>,
        status: ClaimStatus,
        body: Value,
    ) -> (Result<Value, String>, String) {
        let Value::Object(mut body) = body else { panic!("an object") };
        let mut texts = Vec::new();
        let mut headers = HeaderMap::new();
        headers.insert("x-policy", "lax".parse().unwrap());
        let field = CustomField { row: "my.row".to_owned(), spec: FieldSpec { at, supported_by }, status };
        let applied = field.apply(&mut headers, &mut body, &mut texts, &mut RequestActivity::default());
        (applied.map(|()| Value::Object(body)).map_err(|error| error.message), texts.join(" "))
    }

    #[test]
    fn ignored_fields_are_removed_with_their_empty_objects() {
        let at = || FieldLocation::Body("output_config.effort".into());
        let body = json!({"model": "m", "output_config": {"effort": "low"}});
        assert_eq!(apply_field(at(), None, ClaimStatus::Ignored, body.clone()).0, Ok(json!({"model": "m"})));
        assert_eq!(apply_field(at(), None, ClaimStatus::Supported, body.clone()).0, Ok(body));
    }

    #[test]
    fn unsupported_fields_are_rejected_with_their_paths() {
        let body = json!({"messages": [{"content": [{"type": "text"}, {"type": "audio", "data": "x"}]}]});
        let error =
            apply_field(FieldLocation::Block("audio".into()), None, ClaimStatus::Unsupported, body).0.unwrap_err();
        assert_eq!(error, "messages.0.content.1.audio: not supported by this endpoint");
        let (result, _) =
            apply_field(FieldLocation::Header("x-policy".into()), None, ClaimStatus::Unsupported, json!({}));
        assert_eq!(result.unwrap_err(), "header x-policy: not supported by this endpoint");
    }

    #[test]
    fn values_are_validated_and_texts_are_collected() {
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
        let (remaining, texts) = apply_field(
            FieldLocation::Block("audio".into()),
            Some(SupportedBehaviour::Read),
            ClaimStatus::Supported,
            body,
        );
        assert_eq!(texts, "Hello.");
        assert_eq!(remaining.unwrap()["messages"][0]["content"], json!([{"type": "text", "text": PLACEHOLDER_TEXT}]));
    }

    #[test]
    fn injected_texts_follow_the_system_prompt() {
        for (system, expected) in [(json!("a"), 2), (json!([{"type": "text", "text": "a"}]), 2), (Value::Null, 1)] {
            let mut body = Map::from_iter([("system".to_owned(), system)]);
            inject_texts(&mut body, &["b".to_owned()]);
            assert_eq!(body["system"].as_array().unwrap().len(), expected);
        }
    }
}
