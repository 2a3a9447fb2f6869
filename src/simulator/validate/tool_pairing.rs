//! The check that calls and results fit together: a result answers a call of the assistant's turn before it, and
//! each call is answered in the turn after it.
//!
//! All of it belongs to `content.tool_use.id`: without ids there is nothing to hold against each other.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::simulator::api_error::Refusal;
use crate::simulator::error_path::{Path, clip};
use crate::simulator::fields::find::array;
use crate::simulator::fields::row::Row;
use crate::simulator::validate::Rules;
use crate::simulator::validate::types::Checked;

/// Neighbouring messages of one role, which count as one turn.
struct Turn<'a> {
    role: &'a str,
    messages: Vec<(usize, &'a [Value])>,
}

impl Rules<'_> {
    pub(super) fn pairing(&self, body: &Map<String, Value>) -> Checked {
        if !self.on(Row::ToolUseId) {
            return Ok(());
        }
        let mut used = HashSet::new();
        let mut open = Open::default();
        for turn in turns(array(body.get("messages"))) {
            if turn.role == "assistant" {
                open.all_answered()?;
                open = Open::of(&turn, &mut used)?;
            } else {
                open.take_results(&turn)?;
                open.all_answered()?;
                open = Open::default();
            }
        }
        open.all_answered()
    }
}

/// The calls of one assistant's turn, and which of them have their result.
#[derive(Default)]
struct Open<'a> {
    calls: Vec<Call<'a>>,
    by_id: HashMap<&'a str, usize>,
    /// Where the search for the next unanswered call starts.
    next: usize,
}

struct Call<'a> {
    id: &'a str,
    path: Path,
    is_answered: bool,
}

impl<'a> Open<'a> {
    fn of(turn: &Turn<'a>, used: &mut HashSet<&'a str>) -> Checked<Self> {
        let mut open = Self::default();
        for (i, blocks) in &turn.messages {
            for (j, block) in blocks.iter().enumerate().filter(|(_, b)| is(b, "tool_use")) {
                let Some(id) = block.get("id").and_then(Value::as_str) else { continue };
                let path = Path::root("messages").index(*i).key("content").index(j).key("tool_use").key("id");
                if !used.insert(id) {
                    return Err(Refusal::at(&path, "tool_use ids must be unique"));
                }
                open.by_id.insert(id, open.calls.len());
                open.calls.push(Call { id, path, is_answered: false });
            }
        }
        Ok(open)
    }

    fn all_answered(&self) -> Checked {
        match self.calls.iter().find(|call| !call.is_answered) {
            None => Ok(()),
            Some(call) => {
                let what = format!("no tool_result for '{}' follows in the next message", clip(call.id));
                Err(Refusal::at(&call.path, what))
            }
        }
    }

    fn take_results(&mut self, turn: &Turn) -> Checked {
        for (i, blocks) in &turn.messages {
            let mut other_before = false;
            for (j, block) in blocks.iter().enumerate() {
                if !is(block, "tool_result") {
                    other_before = true;
                    continue;
                }
                let path = Path::root("messages").index(*i).key("content").index(j).key("tool_result");
                if other_before {
                    return Err(Refusal::at(&path, "tool results must come before the other blocks of their message"));
                }
                self.take_result(block, &path)?;
            }
        }
        Ok(())
    }

    fn take_result(&mut self, block: &Value, path: &Path) -> Checked {
        let at = path.key("tool_use_id");
        let call = match block.get("tool_use_id").and_then(Value::as_str) {
            Some(id) => self.by_id.get(id).copied().ok_or_else(|| {
                Refusal::at(&at, format!("no tool_use '{}' stands in the previous message", clip(id)))
            })?,
            // Whether a result may lack its id is another row's question; here it answers the next call.
            None => self.next_unanswered().ok_or_else(|| Refusal::at(path, "there is no tool_use left to answer"))?,
        };
        if std::mem::replace(&mut self.calls[call].is_answered, true) {
            return Err(Refusal::at(&at, "answered more than once"));
        }
        Ok(())
    }

    fn next_unanswered(&mut self) -> Option<usize> {
        while self.calls.get(self.next)?.is_answered {
            self.next += 1;
        }
        Some(self.next)
    }
}

/// System turns stand between the others without parting them.
fn turns(messages: &[Value]) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn> = Vec::new();
    for (i, message) in messages.iter().enumerate() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if role == "system" {
            continue;
        }
        let blocks = array(message.get("content"));
        match turns.last_mut().filter(|turn| turn.role == role) {
            Some(turn) => turn.messages.push((i, blocks)),
            None => turns.push(Turn { role, messages: vec![(i, blocks)] }),
        }
    }
    turns
}

fn is(block: &Value, word: &str) -> bool {
    block.get("type").and_then(Value::as_str) == Some(word)
}
