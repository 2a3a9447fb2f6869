//! The checks of `thinking`, and of the turns that go with it: a round of tools keeps its thinking, and nothing is
//! continued.

use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::error_path::ErrorPath;
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::find::{array_items, block_kind};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::types::{ApiResult, integer, object, one_of, reject_unknown_keys, required_value};

impl RequestValidator<'_> {
    pub(super) fn validate_thinking(&self, body: &Map<String, Value>) -> ApiResult {
        let Some(value) = body.get("thinking") else { return Ok(()) };
        let path = ErrorPath::root("thinking");
        self.enforce(SupportRow::Thinking, || validate_thinking_config(value, &path))?;
        self.enforce(SupportRow::ThinkingBudget, || {
            let path = path.key("enabled").key("budget_tokens");
            match (value.get("type").and_then(Value::as_str), value.get("budget_tokens")) {
                (Some("enabled"), Some(budget)) => validate_thinking_budget(budget, body, &path),
                (Some("enabled"), None) => Err(ApiError::invalid_field(&path, "required")),
                (Some("adaptive" | "disabled"), Some(_)) => {
                    Err(ApiError::invalid_field(&path, "only thinking of type enabled has a budget"))
                }
                _ => Ok(()),
            }
        })
    }

    /// What the turns must be like while thinking is on.
    pub(super) fn validate_thinking_turns(&self, body: &Map<String, Value>) -> ApiResult {
        let word = body.get("thinking").and_then(|t| t.get("type")).and_then(Value::as_str);
        if !self.is_enforced(SupportRow::Thinking) || !matches!(word, Some("enabled" | "adaptive")) {
            return Ok(());
        }
        let messages = array_items(body.get("messages"));
        let Some((last, before)) = messages.split_last() else { return Ok(()) };
        let path = ErrorPath::root("messages");
        if is_assistant(last) {
            return Err(ApiError::invalid_field(&path.index(before.len()), "cannot be continued while thinking is on"));
        }
        // With a budget, thinking stands before the first call of a round; where the model decides, there may be none.
        let is_strict = word == Some("enabled")
            && self.is_enforced(SupportRow::ContentThinking)
            && !self.config.has_fault(BehaviourFault::ThinkingStrippedAccepted);
        let end = messages.iter().rposition(is_assistant).map_or(0, |at| at + 1);
        if !is_strict || end == 0 || !messages[end..].iter().any(has_tool_results) {
            return Ok(());
        }
        let start = messages[..end].iter().rposition(|message| !is_assistant(message)).map_or(0, |at| at + 1);
        match array_items(messages[start].get("content")).first() {
            Some(first) if is_thinking(first) => Ok(()),
            _ => {
                let path = path.index(start).key("content").index(0).key("type");
                Err(ApiError::invalid_field(
                    &path,
                    "expected thinking or redacted_thinking: the turn must begin with it",
                ))
            }
        }
    }
}

fn validate_thinking_config(value: &Value, path: &ErrorPath) -> ApiResult {
    let map = object(value, path)?;
    let word = one_of(required_value(map, path, "type")?, &path.key("type"), &["enabled", "adaptive", "disabled"])?;
    let path = path.key(word);
    let keys: &[&str] = if word == "disabled" { &[] } else { &["display"] };
    // The budget has a row of its own.
    reject_unknown_keys(map, Some(&path), &[&["type", "budget_tokens"], keys])?;
    match map.get("display").filter(|v| !v.is_null()) {
        Some(display) => one_of(display, &path.key("display"), &["summarized", "omitted"]).map(drop),
        None => Ok(()),
    }
}

fn validate_thinking_budget(budget: &Value, body: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
    let budget = integer(budget, path)?;
    if budget < 1024 {
        return Err(ApiError::invalid_field(path, "expected at least 1024"));
    }
    match body.get("max_tokens").and_then(Value::as_u64) {
        Some(max) if budget >= max => Err(ApiError::invalid_field(path, "expected less than max_tokens")),
        _ => Ok(()),
    }
}

fn is_assistant(message: &Value) -> bool {
    message.get("role").and_then(Value::as_str) == Some("assistant")
}

/// True when a message brings results of tools.
pub(crate) fn has_tool_results(message: &Value) -> bool {
    array_items(message.get("content")).iter().any(|block| block_kind(block) == Some(ContentBlockKind::ToolResult))
}

/// True when a block is thinking, readable or not.
pub(crate) fn is_thinking(block: &Value) -> bool {
    matches!(block_kind(block), Some(ContentBlockKind::Thinking | ContentBlockKind::RedactedThinking))
}
