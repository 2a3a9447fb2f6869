//! Validation of `thinking` and of the messages while thinking is on: a round of tool calls keeps
//! its thinking, and an assistant message is not continued.

use serde_json::{Map, Value};

use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::error_path::ErrorPath;
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::lookup::{array_items, block_kind, has_role, string_at};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::request_value::{
    ApiResult, KeyPresence, RequestObject, RequestValue, ValueRule, reject,
};

impl RequestValidator<'_> {
    pub(super) fn validate_thinking(&self, body: &RequestObject) -> ApiResult {
        let Some(value) = body.given("thinking") else { return Ok(()) };
        self.enforce(SupportRow::Thinking, || validate_thinking_config(&value))?;
        self.enforce(SupportRow::ThinkingBudget, || {
            let path = value.path.key("enabled").key("budget_tokens");
            match (string_at(value.json, "type"), value.json.get("budget_tokens")) {
                (Some("enabled"), Some(budget)) => {
                    validate_thinking_budget(&RequestValue::new(budget, path), body.map.get("max_tokens"))
                }
                (Some("enabled"), None) => reject(&path, "required"),
                (Some("adaptive" | "disabled"), Some(_)) => reject(&path, "only thinking of type enabled has a budget"),
                _ => Ok(()),
            }
        })
    }

    /// Validates the messages while thinking is on.
    pub(super) fn validate_thinking_turns(&self, body: &Map<String, Value>) -> ApiResult {
        let kind = body.get("thinking").and_then(|thinking| string_at(thinking, "type"));
        if !self.is_enforced(SupportRow::Thinking) || !matches!(kind, Some("enabled" | "adaptive")) {
            return Ok(());
        }
        let messages = array_items(body.get("messages"));
        let Some((last, before)) = messages.split_last() else { return Ok(()) };
        let path = ErrorPath::root("messages");
        if is_assistant(last) {
            return reject(&path.index(before.len()), "cannot be continued while thinking is on");
        }
        // With a budget, a round of tool calls begins with thinking. With `adaptive`, the model may
        // skip it.
        let is_strict = kind == Some("enabled")
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
                reject(&path, "expected thinking or redacted_thinking: the turn must begin with it")
            }
        }
    }
}

fn validate_thinking_config(value: &RequestValue) -> ApiResult {
    let map = value.object()?;
    let word = map.required("type")?.one_of(&["enabled", "adaptive", "disabled"])?;
    let map = map.tag(word);
    let keys: &[&str] = if word == "disabled" { &[] } else { &["display"] };
    // The budget has its own row.
    map.reject_unknown_keys(&[&["type", "budget_tokens"], keys])?;
    map.validate_keys(&[(KeyPresence::NonNull, "display", ValueRule::OneOf(&["summarized", "omitted"]))])
}

fn validate_thinking_budget(budget: &RequestValue, max_tokens: Option<&Value>) -> ApiResult {
    let tokens = budget.integer()?;
    if tokens < 1024 {
        return budget.reject("expected at least 1024");
    }
    match max_tokens.and_then(Value::as_u64) {
        Some(max) if tokens >= max => budget.reject("expected less than max_tokens"),
        _ => Ok(()),
    }
}

fn is_assistant(message: &Value) -> bool {
    has_role(message, "assistant")
}

/// Whether a message has tool results.
pub(crate) fn has_tool_results(message: &Value) -> bool {
    array_items(message.get("content")).iter().any(|block| block_kind(block) == Some(ContentBlockKind::ToolResult))
}

/// Whether a block is thinking or redacted thinking.
pub(crate) fn is_thinking(block: &Value) -> bool {
    matches!(block_kind(block), Some(ContentBlockKind::Thinking | ContentBlockKind::RedactedThinking))
}
