//! Validation of `tools` and `tool_choice`.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::error_path::{ErrorPath, truncate_text};
use crate::simulator::fields::lookup::{array_items, non_null, string_at, tool_tag};
use crate::simulator::fields::row::{SupportRow, choice_rows};
use crate::simulator::route::MessagesRoute;
use crate::simulator::validate::types::{
    ApiResult, boolean, object, reject, reject_unknown_keys, required_non_empty_string, required_one_of,
    required_value, string,
};
use crate::simulator::validate::{RequestValidator, types};

/// The tools that the API defines: their `type` and their name. Toolsets have no name.
const DEFINED_TOOLS: &[(&str, Option<&str>)] = &[
    ("bash_20241022", Some("bash")),
    ("bash_20250124", Some("bash")),
    ("text_editor_20241022", Some("str_replace_editor")),
    ("text_editor_20250124", Some("str_replace_editor")),
    ("text_editor_20250429", Some("str_replace_based_edit_tool")),
    ("text_editor_20250728", Some("str_replace_based_edit_tool")),
    ("memory_20250818", Some("memory")),
    ("computer_20241022", Some("computer")),
    ("computer_20250124", Some("computer")),
    ("computer_20251124", Some("computer")),
    ("computer_toolset_20260801", None),
    ("browser_toolset_20260801", None),
    ("web_search_20250305", Some("web_search")),
    ("web_search_20260209", Some("web_search")),
    ("web_search_20260318", Some("web_search")),
    ("web_fetch_20250910", Some("web_fetch")),
    ("web_fetch_20260209", Some("web_fetch")),
    ("web_fetch_20260309", Some("web_fetch")),
    ("web_fetch_20260318", Some("web_fetch")),
    ("code_execution_20250522", Some("code_execution")),
    ("code_execution_20250825", Some("code_execution")),
    ("code_execution_20260120", Some("code_execution")),
    ("code_execution_20260521", Some("code_execution")),
    ("tool_search_tool_regex", Some("tool_search_tool_regex")),
    ("tool_search_tool_regex_20251119", Some("tool_search_tool_regex")),
    ("tool_search_tool_bm25", Some("tool_search_tool_bm25")),
    ("tool_search_tool_bm25_20251119", Some("tool_search_tool_bm25")),
    ("advisor_20260301", Some("advisor")),
    ("mcp_toolset", None),
];

/// Tools that run on the server and cannot be counted.
const UNCOUNTED_TOOL_PREFIXES: &[&str] =
    &["web_search_", "web_fetch_", "code_execution_", "tool_search_tool_", "mcp_toolset"];

/// The keys of a client's own tool.
const CUSTOM_TOOL_KEYS: &[&str] = &[
    "type",
    "name",
    "description",
    "input_schema",
    "cache_control",
    "strict",
    "eager_input_streaming",
    "defer_loading",
    "input_examples",
    "allowed_callers",
];

impl RequestValidator<'_> {
    pub(super) fn validate_tools(&self, body: &Map<String, Value>) -> ApiResult {
        let Some(value) = non_null(body, "tools") else { return Ok(()) };
        let path = ErrorPath::root("tools");
        let mut names = HashSet::new();
        for (i, tool) in types::array(value, &path)?.iter().enumerate() {
            let path = path.index(i);
            let map = object(tool, &path)?;
            let tag = tool_tag(tool).ok_or_else(|| ApiError::invalid_field(&path.key("type"), "expected a string"))?;
            if tag == "custom" {
                self.validate_custom_tool(map, &path.key(tag))?;
            } else {
                self.validate_defined_tool(map, tag, &path)?;
            }
            // Toolsets have no name.
            if let Some(name) = map.get("name").and_then(Value::as_str)
                && self.is_enforced(SupportRow::ToolName)
                && !names.insert(name)
            {
                return reject(&path.key(tag).key("name"), "tool names must be unique");
            }
        }
        Ok(())
    }

    fn validate_defined_tool(&self, map: &Map<String, Value>, tag: &str, path: &ErrorPath) -> ApiResult {
        let Some((_, name)) = DEFINED_TOOLS.iter().find(|(known, _)| *known == tag) else {
            return reject(&path.key("type"), format!("unknown tool type '{tag}'"));
        };
        if self.endpoint == MessagesRoute::CountTokens
            && UNCOUNTED_TOOL_PREFIXES.iter().any(|family| tag.starts_with(family))
        {
            return reject(&path.key("type"), "tools of the server cannot be counted");
        }
        let path = path.key(tag);
        match name {
            Some(name) => required_one_of(map, &path, "name", &[name]).map(drop),
            None => Ok(()),
        }
    }

    fn validate_custom_tool(&self, map: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
        reject_unknown_keys(map, Some(path), &[CUSTOM_TOOL_KEYS])?;
        self.enforce(SupportRow::ToolName, || {
            let at = path.key("name");
            let name = string(required_value(map, path, "name")?, &at)?;
            if is_identifier(name, 128) {
                return Ok(());
            }
            reject(&at, "expected 1 to 128 letters, digits, underscores and hyphens")
        })?;
        self.enforce(SupportRow::ToolInputSchema, || {
            let at = path.key("input_schema");
            let schema = object(required_value(map, path, "input_schema")?, &at)?;
            match schema.get("type").and_then(Value::as_str) {
                Some("object") => Ok(()),
                _ => reject(&at.key("type"), "expected 'object'"),
            }
        })?;
        self.enforce(SupportRow::ToolDescription, || match map.get("description") {
            Some(text) => string(text, &path.key("description")).map(drop),
            None => Ok(()),
        })?;
        for key in ["strict", "eager_input_streaming", "defer_loading"] {
            if let Some(value) = non_null(map, key) {
                boolean(value, &path.key(key))?;
            }
        }
        for key in ["input_examples", "allowed_callers"] {
            if let Some(value) = non_null(map, key) {
                types::array(value, &path.key(key))?;
            }
        }
        Ok(())
    }

    pub(super) fn validate_tool_choice(&self, body: &Map<String, Value>) -> ApiResult {
        let path = ErrorPath::root("tool_choice");
        match body.get("tool_choice") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(word)) => self.enforce(SupportRow::ChoiceString, || match word.as_str() {
                "auto" | "any" | "none" => Ok(()),
                other => reject(&path, format!("unknown value '{}'", truncate_text(other))),
            }),
            Some(Value::Object(map)) => self.validate_choice_object(map, body, &path),
            Some(_) => reject(&path, "expected an object"),
        }
    }

    fn validate_choice_object(
        &self,
        map: &Map<String, Value>,
        body: &Map<String, Value>,
        path: &ErrorPath,
    ) -> ApiResult {
        let word = map.get("type").and_then(Value::as_str).unwrap_or_default();
        let Some(rows) = choice_rows(word) else {
            return self.enforce(SupportRow::ChoiceObject, || {
                let given = string(required_value(map, path, "type")?, &path.key("type"))?;
                reject(&path.key("type"), format!("unknown tool_choice type '{}'", truncate_text(given)))
            });
        };
        let path = path.key(word);
        self.enforce(rows.variant, || {
            let name: &[&str] = if word == "tool" { &["name"] } else { &[] };
            let parallel: &[&str] = if rows.parallel.is_some() { &["disable_parallel_tool_use"] } else { &[] };
            reject_unknown_keys(map, Some(&path), &[&["type"], name, parallel])?;
            match word {
                "tool" => {
                    let name = required_non_empty_string(map, &path, "name")?;
                    if tool_names(body).any(|known| known == name) {
                        return Ok(());
                    }
                    reject(&path.key("name"), format!("no tool is named '{}'", truncate_text(name)))
                }
                "any" if array_items(body.get("tools")).is_empty() => reject(&path, "needs tools"),
                _ => Ok(()),
            }
        })?;
        match (rows.parallel, map.get("disable_parallel_tool_use")) {
            (Some(row), Some(flag)) => {
                self.enforce(row, || boolean(flag, &path.key("disable_parallel_tool_use")).map(drop))
            }
            _ => Ok(()),
        }
    }
}

fn tool_names(body: &Map<String, Value>) -> impl Iterator<Item = &str> {
    array_items(body.get("tools")).iter().filter_map(|tool| string_at(tool, "name"))
}

/// Whether the text is one to `max_length` letters, digits, underscores and hyphens.
pub(crate) fn is_identifier(text: &str, max_length: usize) -> bool {
    (1..=max_length).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}
