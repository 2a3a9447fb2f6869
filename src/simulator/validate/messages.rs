//! The checks of `system` and `messages` down to the blocks: roles, emptiness, what may stand where.

use serde_json::{Map, Value};

use crate::simulator::api_error::Refusal;
use crate::simulator::content_block::{Block, Place};
use crate::simulator::error_path::{Path, clip};
use crate::simulator::fault::ConductFault;
use crate::simulator::fields::find::block_of;
use crate::simulator::fields::row::Row;
use crate::simulator::validate::Rules;
use crate::simulator::validate::types::{Checked, array, known_keys, object, required, required_words, string};

impl Rules<'_> {
    pub(super) fn system(&self, body: &Map<String, Value>) -> Checked {
        let Some(value) = body.get("system").filter(|_| self.on(Row::System)) else { return Ok(()) };
        let path = Path::root("system");
        if value.is_string() {
            return Ok(());
        }
        let blocks = value.as_array().ok_or_else(|| Refusal::at(&path, "expected a string or an array of blocks"))?;
        for (i, block) in blocks.iter().enumerate() {
            text_block(block, &path.index(i))?;
        }
        Ok(())
    }

    pub(super) fn messages(&self, body: &Map<String, Value>) -> Checked {
        let path = Path::root("messages");
        let value = body.get("messages").ok_or_else(|| Refusal::at(&path, "required"))?;
        let messages = array(value, &path)?;
        if messages.is_empty() && !self.behaviour.commits(ConductFault::ErrorsEmptyMessagesAccepted) {
            return Err(Refusal::at(&path, "expected at least 1 message"));
        }
        if messages.len() > 100_000 {
            return Err(Refusal::at(&path, "expected at most 100000 messages"));
        }
        for (i, message) in messages.iter().enumerate() {
            self.message(message, &path.index(i), i, i + 1 == messages.len())?;
        }
        system_turns(messages, &path)
    }

    fn message(&self, message: &Value, path: &Path, i: usize, is_last: bool) -> Checked {
        let map = object(message, path)?;
        known_keys(map, Some(path), &[&["role", "content"]])?;
        let role = string(required(map, path, "role")?, &path.key("role"))?;
        let place = match role {
            "user" => Place::User,
            "assistant" => Place::Assistant,
            "system" if i > 0 => Place::System,
            "system" => return Err(Refusal::at(&path.key("role"), "the first message cannot be of role system")),
            _ if self.behaviour.commits(ConductFault::ErrorsUnknownRoleAccepted) => Place::User,
            other => return Err(Refusal::at(&path.key("role"), format!("unknown role '{}'", clip(other)))),
        };
        if i == 0 && place == Place::Assistant {
            return Err(Refusal::at(&path.key("role"), "the first message must be of role user"));
        }
        let at = path.key("content");
        let prefill = is_last && place == Place::Assistant;
        match required(map, path, "content")? {
            Value::String(text) if text.is_empty() && !prefill => Err(Refusal::at(&at, "must not be empty")),
            Value::String(text) if prefill => no_trailing_space(text, &at),
            Value::String(_) => Ok(()),
            Value::Array(blocks) if blocks.is_empty() && !prefill => Err(Refusal::at(&at, "must not be empty")),
            Value::Array(blocks) => {
                for (j, block) in blocks.iter().enumerate() {
                    self.block(block, &at.index(j), place)?;
                }
                match blocks.last().and_then(|b| b.get("text")).and_then(Value::as_str) {
                    Some(text) if prefill => no_trailing_space(text, &at),
                    _ => Ok(()),
                }
            }
            _ => Err(Refusal::at(&at, "expected a string or an array of blocks")),
        }
    }

    /// Checks a block; `path` is its place without the tag.
    pub(super) fn block(&self, value: &Value, path: &Path, place: Place) -> Checked {
        let map = object(value, path)?;
        let word = string(required(map, path, "type")?, &path.key("type"))?;
        let Some(block) = Block::of(word) else {
            return Err(Refusal::at(&path.key("type"), format!("unknown block type '{}'", clip(word))));
        };
        let path = path.key(word);
        if !block.fits(place) {
            return Err(Refusal::at(&path, format!("not allowed in {}", place.word())));
        }
        known_keys(map, Some(&path), &[&["type"], block.keys()])?;
        match block.row() {
            Some(row) if !self.on(row) => Ok(()),
            _ => self.inside(block, map, &path, place),
        }
    }
}

/// A system turn answers a user's, or what a server's own tool brought, and the assistant's turn is next.
fn system_turns(messages: &[Value], path: &Path) -> Checked {
    let role = |message: &Value, word: &str| message.get("role").and_then(Value::as_str) == Some(word);
    let is_served = |message: &Value| {
        let last = message.get("content").and_then(Value::as_array).and_then(|blocks| blocks.last());
        last.and_then(block_of).is_some_and(Block::is_of_server)
    };
    for (i, two) in messages.windows(2).enumerate() {
        let [before, after] = two else { continue };
        if role(after, "system") && !role(before, "user") && !is_served(before) {
            let what = "a message of role system must follow a message of role user";
            return Err(Refusal::at(&path.index(i + 1).key("role"), what));
        }
        if role(before, "system") && !role(after, "assistant") {
            let what = "only a message of role assistant may follow one of role system";
            return Err(Refusal::at(&path.index(i + 1).key("role"), what));
        }
    }
    Ok(())
}

/// A block of text where no row but the surrounding one is at stake.
pub(super) fn text_block(value: &Value, path: &Path) -> Checked {
    let map = object(value, path)?;
    match string(required(map, path, "type")?, &path.key("type"))? {
        "text" => {}
        other => return Err(Refusal::at(&path.key("type"), format!("expected 'text', not '{}'", clip(other)))),
    }
    known_keys(map, Some(path), &[&["type"], Block::Text.keys()])?;
    required_words(map, path, "text").map(drop)
}

fn no_trailing_space(text: &str, path: &Path) -> Checked {
    if text.ends_with(char::is_whitespace) {
        return Err(Refusal::at(path, "the final assistant content cannot end in white space"));
    }
    Ok(())
}
