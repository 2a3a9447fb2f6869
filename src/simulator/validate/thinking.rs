//! The checks of `thinking`, and of the turns that go with it: a round of tools keeps its thinking, and nothing is
//! continued.

use serde_json::{Map, Value};

use crate::simulator::api_error::Refusal;
use crate::simulator::content_block::Block;
use crate::simulator::error_path::Path;
use crate::simulator::fault::ConductFault;
use crate::simulator::fields::find::{array, block_of};
use crate::simulator::fields::row::Row;
use crate::simulator::validate::Rules;
use crate::simulator::validate::types::{Checked, known_keys, object, one_of, required, whole};

impl Rules<'_> {
    pub(super) fn thinking(&self, body: &Map<String, Value>) -> Checked {
        let Some(value) = body.get("thinking") else { return Ok(()) };
        let path = Path::root("thinking");
        self.when(Row::Thinking, || thinking(value, &path))?;
        self.when(Row::ThinkingBudget, || {
            let path = path.key("enabled").key("budget_tokens");
            match (value.get("type").and_then(Value::as_str), value.get("budget_tokens")) {
                (Some("enabled"), Some(budget)) => thinking_budget(budget, body, &path),
                (Some("enabled"), None) => Err(Refusal::at(&path, "required")),
                (Some("adaptive" | "disabled"), Some(_)) => {
                    Err(Refusal::at(&path, "only thinking of type enabled has a budget"))
                }
                _ => Ok(()),
            }
        })
    }

    /// What the turns must be like while thinking is on.
    pub(super) fn thinking_turns(&self, body: &Map<String, Value>) -> Checked {
        let word = body.get("thinking").and_then(|t| t.get("type")).and_then(Value::as_str);
        if !self.on(Row::Thinking) || !matches!(word, Some("enabled" | "adaptive")) {
            return Ok(());
        }
        let messages = array(body.get("messages"));
        let Some((last, before)) = messages.split_last() else { return Ok(()) };
        let path = Path::root("messages");
        if is_assistant(last) {
            return Err(Refusal::at(&path.index(before.len()), "cannot be continued while thinking is on"));
        }
        // With a budget, thinking stands before the first call of a round; where the model decides, there may be none.
        let is_strict = word == Some("enabled")
            && self.on(Row::ContentThinking)
            && !self.behaviour.commits(ConductFault::ThinkingStrippedAccepted);
        let end = messages.iter().rposition(is_assistant).map_or(0, |at| at + 1);
        if !is_strict || end == 0 || !messages[end..].iter().any(brings_results) {
            return Ok(());
        }
        let start = messages[..end].iter().rposition(|message| !is_assistant(message)).map_or(0, |at| at + 1);
        match array(messages[start].get("content")).first() {
            Some(first) if is_thinking(first) => Ok(()),
            _ => {
                let path = path.index(start).key("content").index(0).key("type");
                Err(Refusal::at(&path, "expected thinking or redacted_thinking: the turn must begin with it"))
            }
        }
    }
}

fn thinking(value: &Value, path: &Path) -> Checked {
    let map = object(value, path)?;
    let word = one_of(required(map, path, "type")?, &path.key("type"), &["enabled", "adaptive", "disabled"])?;
    let path = path.key(word);
    let keys: &[&str] = if word == "disabled" { &[] } else { &["display"] };
    // The budget has a row of its own.
    known_keys(map, Some(&path), &[&["type", "budget_tokens"], keys])?;
    match map.get("display").filter(|v| !v.is_null()) {
        Some(display) => one_of(display, &path.key("display"), &["summarized", "omitted"]).map(drop),
        None => Ok(()),
    }
}

fn thinking_budget(budget: &Value, body: &Map<String, Value>, path: &Path) -> Checked {
    let budget = whole(budget, path)?;
    if budget < 1024 {
        return Err(Refusal::at(path, "expected at least 1024"));
    }
    match body.get("max_tokens").and_then(Value::as_u64) {
        Some(max) if budget >= max => Err(Refusal::at(path, "expected less than max_tokens")),
        _ => Ok(()),
    }
}

fn is_assistant(message: &Value) -> bool {
    message.get("role").and_then(Value::as_str) == Some("assistant")
}

/// True when a message brings results of tools.
pub(crate) fn brings_results(message: &Value) -> bool {
    array(message.get("content")).iter().any(|block| block_of(block) == Some(Block::ToolResult))
}

/// True when a block is thinking, readable or not.
pub(crate) fn is_thinking(block: &Value) -> bool {
    matches!(block_of(block), Some(Block::Thinking | Block::RedactedThinking))
}
