//! Validation of `system` and `messages` down to the blocks: roles, empty content, and the places
//! of blocks.

use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::content_block::{BlockLocation, ContentBlockKind};
use crate::simulator::error_path::{ErrorPath, truncate_text};
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::lookup::{block_kind, has_role, string_at};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::types::{
    ApiResult, array, object, reject, reject_unknown_keys, required_non_empty_string, required_value, string,
};

impl RequestValidator<'_> {
    pub(super) fn validate_system(&self, body: &Map<String, Value>) -> ApiResult {
        let Some(value) = body.get("system").filter(|_| self.is_enforced(SupportRow::System)) else { return Ok(()) };
        let path = ErrorPath::root("system");
        if value.is_string() {
            return Ok(());
        }
        let blocks = value
            .as_array()
            .ok_or_else(|| ApiError::invalid_field(&path, "expected a string or an array of blocks"))?;
        for (i, block) in blocks.iter().enumerate() {
            validate_text_block(block, &path.index(i))?;
        }
        Ok(())
    }

    pub(super) fn validate_messages(&self, body: &Map<String, Value>) -> ApiResult {
        let path = ErrorPath::root("messages");
        let value = body.get("messages").ok_or_else(|| ApiError::invalid_field(&path, "required"))?;
        let messages = array(value, &path)?;
        if messages.is_empty() && !self.config.has_fault(BehaviourFault::ErrorsEmptyMessagesAccepted) {
            return reject(&path, "expected at least 1 message");
        }
        if messages.len() > 100_000 {
            return reject(&path, "expected at most 100000 messages");
        }
        for (i, message) in messages.iter().enumerate() {
            self.validate_message(message, &path.index(i), i, i + 1 == messages.len())?;
        }
        validate_system_turns(messages, &path)
    }

    fn validate_message(&self, message: &Value, path: &ErrorPath, i: usize, is_last: bool) -> ApiResult {
        let map = object(message, path)?;
        reject_unknown_keys(map, Some(path), &[&["role", "content"]])?;
        let role = string(required_value(map, path, "role")?, &path.key("role"))?;
        let location = match role {
            "user" => BlockLocation::User,
            "assistant" => BlockLocation::Assistant,
            "system" if i > 0 => BlockLocation::System,
            "system" => {
                return reject(&path.key("role"), "the first message cannot be of role system");
            }
            _ if self.config.has_fault(BehaviourFault::ErrorsUnknownRoleAccepted) => BlockLocation::User,
            other => {
                return reject(&path.key("role"), format!("unknown role '{}'", truncate_text(other)));
            }
        };
        if i == 0 && location == BlockLocation::Assistant {
            return reject(&path.key("role"), "the first message must be of role user");
        }
        let at = path.key("content");
        let is_prefill = is_last && location == BlockLocation::Assistant;
        match required_value(map, path, "content")? {
            Value::String(text) if text.is_empty() && !is_prefill => reject(&at, "must not be empty"),
            Value::String(text) if is_prefill => reject_trailing_space(text, &at),
            Value::String(_) => Ok(()),
            Value::Array(blocks) if blocks.is_empty() && !is_prefill => reject(&at, "must not be empty"),
            Value::Array(blocks) => {
                for (j, block) in blocks.iter().enumerate() {
                    self.validate_block(block, &at.index(j), location)?;
                }
                match blocks.last().and_then(|block| string_at(block, "text")) {
                    Some(text) if is_prefill => reject_trailing_space(text, &at),
                    _ => Ok(()),
                }
            }
            _ => reject(&at, "expected a string or an array of blocks"),
        }
    }

    /// Validates a block. `path` is its place without the tag.
    pub(super) fn validate_block(&self, value: &Value, path: &ErrorPath, location: BlockLocation) -> ApiResult {
        let map = object(value, path)?;
        let word = string(required_value(map, path, "type")?, &path.key("type"))?;
        let Some(block) = ContentBlockKind::from_type(word) else {
            return reject(&path.key("type"), format!("unknown block type '{}'", truncate_text(word)));
        };
        let path = path.key(word);
        if !block.allowed_in(location) {
            return reject(&path, format!("not allowed in {}", location.as_str()));
        }
        reject_unknown_keys(map, Some(&path), &[&["type"], block.allowed_keys()])?;
        match block.row() {
            Some(row) if !self.is_enforced(row) => Ok(()),
            _ => self.validate_block_content(block, map, &path, location),
        }
    }
}

/// A system message must follow a user message or the result of a server tool, and an assistant
/// message must follow it.
fn validate_system_turns(messages: &[Value], path: &ErrorPath) -> ApiResult {
    let ends_with_server_block = |message: &Value| {
        let last = message.get("content").and_then(Value::as_array).and_then(|blocks| blocks.last());
        last.and_then(block_kind).is_some_and(ContentBlockKind::is_server_side)
    };
    for (i, pair) in messages.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        let reject = |message: &str| Err(ApiError::invalid_field(&path.index(i + 1).key("role"), message));
        if has_role(after, "system") && !has_role(before, "user") && !ends_with_server_block(before) {
            return reject("a message of role system must follow a message of role user");
        }
        if has_role(before, "system") && !has_role(after, "assistant") {
            return reject("only a message of role assistant may follow one of role system");
        }
    }
    Ok(())
}

/// Validates a text block that belongs to the row of the outer field.
pub(super) fn validate_text_block(value: &Value, path: &ErrorPath) -> ApiResult {
    let map = object(value, path)?;
    match string(required_value(map, path, "type")?, &path.key("type"))? {
        "text" => {}
        other => {
            return reject(&path.key("type"), format!("expected 'text', not '{}'", truncate_text(other)));
        }
    }
    reject_unknown_keys(map, Some(path), &[&["type"], ContentBlockKind::Text.allowed_keys()])?;
    required_non_empty_string(map, path, "text").map(drop)
}

fn reject_trailing_space(text: &str, path: &ErrorPath) -> ApiResult {
    if text.ends_with(char::is_whitespace) {
        return reject(path, "the final assistant content cannot end in white space");
    }
    Ok(())
}
