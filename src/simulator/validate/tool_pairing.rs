//! The check that calls and results fit together: a result answers a call of the assistant's turn before it, and
//! each call is answered in the turn after it.
//!
//! All of it belongs to `content.tool_use.id`: without ids there is nothing to hold against each other.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::error_path::{ErrorPath, truncate_text};
use crate::simulator::fields::find::array_items;
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::types::ApiResult;

/// Neighbouring messages of one role, which count as one turn.
struct ToolTurn<'a> {
    role: &'a str,
    messages: Vec<(usize, &'a [Value])>,
}

impl RequestValidator<'_> {
    pub(super) fn validate_tool_pairing(&self, body: &Map<String, Value>) -> ApiResult {
        if !self.is_enforced(SupportRow::ToolUseId) {
            return Ok(());
        }
        let mut used = HashSet::new();
        let mut open = PendingToolCalls::default();
        for turn in group_turns(array_items(body.get("messages"))) {
            if turn.role == "assistant" {
                open.require_all_answered()?;
                open = PendingToolCalls::from_turn(&turn, &mut used)?;
            } else {
                open.take_results(&turn)?;
                open.require_all_answered()?;
                open = PendingToolCalls::default();
            }
        }
        open.require_all_answered()
    }
}

/// The calls of one assistant's turn, and which of them have their result.
#[derive(Default)]
struct PendingToolCalls<'a> {
    calls: Vec<PendingToolCall<'a>>,
    by_id: HashMap<&'a str, usize>,
    /// Where the search for the next unanswered call starts.
    search_start: usize,
}

struct PendingToolCall<'a> {
    id: &'a str,
    path: ErrorPath,
    is_answered: bool,
}

impl<'a> PendingToolCalls<'a> {
    fn from_turn(turn: &ToolTurn<'a>, used: &mut HashSet<&'a str>) -> ApiResult<Self> {
        let mut open = Self::default();
        for (i, blocks) in &turn.messages {
            for (j, block) in blocks.iter().enumerate().filter(|(_, b)| has_type(b, "tool_use")) {
                let Some(id) = block.get("id").and_then(Value::as_str) else { continue };
                let path = ErrorPath::root("messages").index(*i).key("content").index(j).key("tool_use").key("id");
                if !used.insert(id) {
                    return Err(ApiError::invalid_field(&path, "tool_use ids must be unique"));
                }
                open.by_id.insert(id, open.calls.len());
                open.calls.push(PendingToolCall { id, path, is_answered: false });
            }
        }
        Ok(open)
    }

    fn require_all_answered(&self) -> ApiResult {
        match self.calls.iter().find(|call| !call.is_answered) {
            None => Ok(()),
            Some(call) => {
                let what = format!("no tool_result for '{}' follows in the next message", truncate_text(call.id));
                Err(ApiError::invalid_field(&call.path, what))
            }
        }
    }

    fn take_results(&mut self, turn: &ToolTurn) -> ApiResult {
        for (i, blocks) in &turn.messages {
            let mut other_before = false;
            for (j, block) in blocks.iter().enumerate() {
                if !has_type(block, "tool_result") {
                    other_before = true;
                    continue;
                }
                let path = ErrorPath::root("messages").index(*i).key("content").index(j).key("tool_result");
                if other_before {
                    return Err(ApiError::invalid_field(
                        &path,
                        "tool results must come before the other blocks of their message",
                    ));
                }
                self.take_result(block, &path)?;
            }
        }
        Ok(())
    }

    fn take_result(&mut self, block: &Value, path: &ErrorPath) -> ApiResult {
        let at = path.key("tool_use_id");
        let call = match block.get("tool_use_id").and_then(Value::as_str) {
            Some(id) => self.by_id.get(id).copied().ok_or_else(|| {
                ApiError::invalid_field(
                    &at,
                    format!("no tool_use '{}' stands in the previous message", truncate_text(id)),
                )
            })?,
            // Whether a result may lack its id is another row's question; here it answers the next call.
            None => self
                .next_unanswered()
                .ok_or_else(|| ApiError::invalid_field(path, "there is no tool_use left to answer"))?,
        };
        if std::mem::replace(&mut self.calls[call].is_answered, true) {
            return Err(ApiError::invalid_field(&at, "answered more than once"));
        }
        Ok(())
    }

    fn next_unanswered(&mut self) -> Option<usize> {
        while self.calls.get(self.search_start)?.is_answered {
            self.search_start += 1;
        }
        Some(self.search_start)
    }
}

/// System turns stand between the others without parting them.
fn group_turns(messages: &[Value]) -> Vec<ToolTurn<'_>> {
    let mut turns: Vec<ToolTurn> = Vec::new();
    for (i, message) in messages.iter().enumerate() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if role == "system" {
            continue;
        }
        let blocks = array_items(message.get("content"));
        match turns.last_mut().filter(|turn| turn.role == role) {
            Some(turn) => turn.messages.push((i, blocks)),
            None => turns.push(ToolTurn { role, messages: vec![(i, blocks)] }),
        }
    }
    turns
}

fn has_type(block: &Value, word: &str) -> bool {
    block.get("type").and_then(Value::as_str) == Some(word)
}
