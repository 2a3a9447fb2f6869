//! Validation of tool calls and their results: each result belongs to a call of the previous
//! assistant turn, and each call has a result in the next turn.
//!
//! All of it belongs to the row `content.tool_use.id`: without ids, calls and results cannot be
//! compared.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::error_path::{ErrorPath, truncate_text};
use crate::simulator::fields::lookup::{array_items, has_type, string_at};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::request_value::{ApiResult, reject};

/// Consecutive messages of one role, which count as one turn.
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
        let mut pending = PendingToolCalls::default();
        for turn in group_turns(array_items(body.get("messages"))) {
            if turn.role == "assistant" {
                pending.require_all_answered()?;
                pending = PendingToolCalls::from_turn(&turn, &mut used)?;
            } else {
                pending.take_results(&turn)?;
                pending.require_all_answered()?;
                pending = PendingToolCalls::default();
            }
        }
        pending.require_all_answered()
    }
}

/// The calls of an assistant turn, and whether each has its result.
#[derive(Default)]
struct PendingToolCalls<'a> {
    calls: Vec<PendingToolCall<'a>>,
    by_id: HashMap<&'a str, usize>,
    /// The index where the search for the next unanswered call starts.
    search_start: usize,
}

struct PendingToolCall<'a> {
    id: &'a str,
    path: ErrorPath,
    is_answered: bool,
}

impl<'a> PendingToolCalls<'a> {
    fn from_turn(turn: &ToolTurn<'a>, used: &mut HashSet<&'a str>) -> ApiResult<Self> {
        let mut pending = Self::default();
        for (i, blocks) in &turn.messages {
            for (j, block) in blocks.iter().enumerate().filter(|(_, b)| has_type(b, "tool_use")) {
                let Some(id) = string_at(block, "id") else { continue };
                let path = ErrorPath::root("messages").index(*i).key("content").index(j).key("tool_use").key("id");
                if !used.insert(id) {
                    return reject(&path, "tool_use ids must be unique");
                }
                pending.by_id.insert(id, pending.calls.len());
                pending.calls.push(PendingToolCall { id, path, is_answered: false });
            }
        }
        Ok(pending)
    }

    fn require_all_answered(&self) -> ApiResult {
        match self.calls.iter().find(|call| !call.is_answered) {
            None => Ok(()),
            Some(call) => {
                let message = format!("no tool_result for '{}' follows in the next message", truncate_text(call.id));
                reject(&call.path, message)
            }
        }
    }

    fn take_results(&mut self, turn: &ToolTurn) -> ApiResult {
        for (i, blocks) in &turn.messages {
            let mut has_other_block = false;
            for (j, block) in blocks.iter().enumerate() {
                if !has_type(block, "tool_result") {
                    has_other_block = true;
                    continue;
                }
                let path = ErrorPath::root("messages").index(*i).key("content").index(j).key("tool_result");
                if has_other_block {
                    return reject(&path, "tool results must come before the other blocks of their message");
                }
                self.take_result(block, &path)?;
            }
        }
        Ok(())
    }

    fn take_result(&mut self, block: &Value, path: &ErrorPath) -> ApiResult {
        let at = path.key("tool_use_id");
        let call = match string_at(block, "tool_use_id") {
            Some(id) => self.by_id.get(id).copied().ok_or_else(|| {
                ApiError::invalid_field(
                    &at,
                    format!("no tool_use '{}' stands in the previous message", truncate_text(id)),
                )
            })?,
            // Another row validates that a result has an id. Without an id, it belongs to the next
            // call.
            None => self
                .next_unanswered()
                .ok_or_else(|| ApiError::invalid_field(path, "there is no tool_use left to answer"))?,
        };
        if std::mem::replace(&mut self.calls[call].is_answered, true) {
            return reject(&at, "answered more than once");
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

/// Groups messages into turns. System messages do not separate turns.
fn group_turns(messages: &[Value]) -> Vec<ToolTurn<'_>> {
    let mut turns: Vec<ToolTurn> = Vec::new();
    for (i, message) in messages.iter().enumerate() {
        let role = string_at(message, "role").unwrap_or_default();
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
