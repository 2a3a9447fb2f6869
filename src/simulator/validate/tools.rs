//! Validation of `tools` and `tool_choice`.

use std::collections::HashSet;

use serde_json::Value;

use crate::simulator::error_path::truncate_text;
use crate::simulator::fields::lookup::{array_items, string_at, tool_tag};
use crate::simulator::fields::row::{SupportRow, choice_rows};
use crate::simulator::route::MessagesRoute;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::request_value::{ApiResult, KeyPresence, KeyRule, RequestObject, ValueRule, reject};

/// The tools that the API defines, one a line: their `type`, a space, and their name. Toolsets have no name.
const DEFINED_TOOLS: &str = include_str!("defined_tools.txt");

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

/// Keys of a client's own tool that no row owns.
const EXTRA_TOOL_RULES: &[KeyRule] = &[
    (KeyPresence::NonNull, "strict", ValueRule::Boolean),
    (KeyPresence::NonNull, "eager_input_streaming", ValueRule::Boolean),
    (KeyPresence::NonNull, "defer_loading", ValueRule::Boolean),
    (KeyPresence::NonNull, "input_examples", ValueRule::Array),
    (KeyPresence::NonNull, "allowed_callers", ValueRule::Array),
];

impl RequestValidator<'_> {
    pub(super) fn validate_tools(&self, body: &RequestObject) -> ApiResult {
        let Some(value) = body.non_null("tools") else { return Ok(()) };
        let mut names = HashSet::new();
        for tool in value.items()? {
            let map = tool.object()?;
            let Some(tag) = tool_tag(tool.json) else { return reject(&map.path.key("type"), "expected a string") };
            if tag == "custom" {
                self.validate_custom_tool(&map.tag(tag))?;
            } else {
                self.validate_defined_tool(&map, tag)?;
            }
            // Toolsets have no name.
            if let Some(name) = string_at(tool.json, "name")
                && self.is_enforced(SupportRow::ToolName)
                && !names.insert(name)
            {
                return reject(&map.path.key(tag).key("name"), "tool names must be unique");
            }
        }
        Ok(())
    }

    fn validate_defined_tool(&self, map: &RequestObject, tag: &str) -> ApiResult {
        let tools =
            DEFINED_TOOLS.lines().map(|line| line.split_once(' ').map_or((line, None), |(t, name)| (t, Some(name))));
        let Some((_, name)) = tools.into_iter().find(|(known, _)| *known == tag) else {
            return reject(&map.path.key("type"), format!("unknown tool type '{tag}'"));
        };
        if self.endpoint == MessagesRoute::CountTokens
            && UNCOUNTED_TOOL_PREFIXES.iter().any(|family| tag.starts_with(family))
        {
            return reject(&map.path.key("type"), "tools of the server cannot be counted");
        }
        match name {
            Some(name) => map.tag(tag).required("name")?.one_of(&[name]).map(drop),
            None => Ok(()),
        }
    }

    fn validate_custom_tool(&self, map: &RequestObject) -> ApiResult {
        map.reject_unknown_keys(&[CUSTOM_TOOL_KEYS])?;
        self.enforce(SupportRow::ToolName, || {
            let name = map.required("name")?;
            match is_identifier(name.string()?, 128) {
                true => Ok(()),
                false => name.reject("expected 1 to 128 letters, digits, underscores and hyphens"),
            }
        })?;
        self.enforce(SupportRow::ToolInputSchema, || {
            let schema = map.required("input_schema")?.object()?;
            match schema.map.get("type").and_then(Value::as_str) {
                Some("object") => Ok(()),
                _ => reject(&schema.path.key("type"), "expected 'object'"),
            }
        })?;
        let description = (KeyPresence::Given, "description", ValueRule::String);
        self.enforce(SupportRow::ToolDescription, || map.validate_keys(&[description]))?;
        map.validate_keys(EXTRA_TOOL_RULES)
    }

    pub(super) fn validate_tool_choice(&self, body: &RequestObject) -> ApiResult {
        let Some(choice) = body.non_null("tool_choice") else { return Ok(()) };
        match choice.json {
            Value::String(word) => self.enforce(SupportRow::ChoiceString, || match word.as_str() {
                "auto" | "any" | "none" => Ok(()),
                other => choice.reject(format!("unknown value '{}'", truncate_text(other))),
            }),
            _ => self.validate_choice_object(&choice.object()?, body),
        }
    }

    fn validate_choice_object(&self, map: &RequestObject, body: &RequestObject) -> ApiResult {
        let word = map.map.get("type").and_then(Value::as_str).unwrap_or_default();
        let Some(rows) = choice_rows(word) else {
            return self.enforce(SupportRow::ChoiceObject, || {
                let tag = map.required("type")?;
                tag.reject(format!("unknown tool_choice type '{}'", truncate_text(tag.string()?)))
            });
        };
        let map = map.tag(word);
        let tools = array_items(body.map.get("tools"));
        self.enforce(rows.variant, || {
            let name: &[&str] = if word == "tool" { &["name"] } else { &[] };
            let parallel: &[&str] = if rows.parallel.is_some() { &["disable_parallel_tool_use"] } else { &[] };
            map.reject_unknown_keys(&[&["type"], name, parallel])?;
            match word {
                "tool" => {
                    let name = map.required("name")?;
                    let wanted = name.non_empty_string()?;
                    match tools.iter().any(|tool| string_at(tool, "name") == Some(wanted)) {
                        true => Ok(()),
                        false => name.reject(format!("no tool is named '{}'", truncate_text(wanted))),
                    }
                }
                "any" if tools.is_empty() => reject(&map.path, "needs tools"),
                _ => Ok(()),
            }
        })?;
        let flag = (KeyPresence::Given, "disable_parallel_tool_use", ValueRule::Boolean);
        rows.parallel.map_or(Ok(()), |row| self.enforce(row, || map.validate_keys(&[flag])))
    }
}

/// Whether the text is one to `max_length` letters, digits, underscores and hyphens.
pub(crate) fn is_identifier(text: &str, max_length: usize) -> bool {
    (1..=max_length).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}
