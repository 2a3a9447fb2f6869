//! Validation of `system` and `messages` down to the blocks: roles, empty content, and the places
//! of blocks.

use serde_json::Value;

use crate::simulator::content_block::{BlockLocation, ContentBlockKind};
use crate::simulator::error_path::truncate_text;
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::lookup::{block_kind, has_role, string_at};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::request_value::{
    ApiResult, KeyPresence, RequestObject, RequestValue, ValueRule, reject,
};

impl RequestValidator<'_> {
    pub(super) fn validate_system(&self, body: &RequestObject) -> ApiResult {
        let Some(value) = body.given("system").filter(|_| self.is_enforced(SupportRow::System)) else { return Ok(()) };
        match value.json {
            Value::String(_) => Ok(()),
            Value::Array(_) => value.items()?.iter().try_for_each(validate_text_block),
            _ => value.reject("expected a string or an array of blocks"),
        }
    }

    pub(super) fn validate_messages(&self, body: &RequestObject) -> ApiResult {
        let value = body.required("messages")?;
        let messages = value.items()?;
        if messages.is_empty() && !self.config.has_fault(BehaviourFault::ErrorsEmptyMessagesAccepted) {
            return value.reject("expected at least 1 message");
        }
        if messages.len() > 100_000 {
            return value.reject("expected at most 100000 messages");
        }
        for (i, message) in messages.iter().enumerate() {
            self.validate_message(message, i == 0, i + 1 == messages.len())?;
        }
        validate_system_turns(&messages)
    }

    fn validate_message(&self, message: &RequestValue, is_first: bool, is_last: bool) -> ApiResult {
        let map = message.object()?;
        map.reject_unknown_keys(&[&["role", "content"]])?;
        let role = map.required("role")?;
        let location = match role.string()? {
            "user" => BlockLocation::User,
            "assistant" if is_first => return role.reject("the first message must be of role user"),
            "assistant" => BlockLocation::Assistant,
            "system" if is_first => return role.reject("the first message cannot be of role system"),
            "system" => BlockLocation::System,
            _ if self.config.has_fault(BehaviourFault::ErrorsUnknownRoleAccepted) => BlockLocation::User,
            other => return role.reject(format!("unknown role '{}'", truncate_text(other))),
        };
        let content = map.required("content")?;
        let is_prefill = is_last && location == BlockLocation::Assistant;
        let last_text = match content.json {
            Value::String(text) if text.is_empty() && !is_prefill => return content.reject("must not be empty"),
            Value::String(text) => Some(text.as_str()),
            Value::Array(blocks) if blocks.is_empty() && !is_prefill => return content.reject("must not be empty"),
            Value::Array(blocks) => {
                content.items()?.iter().try_for_each(|block| self.validate_block(block, location))?;
                blocks.last().and_then(|block| string_at(block, "text"))
            }
            _ => return content.reject("expected a string or an array of blocks"),
        };
        match last_text {
            Some(text) if is_prefill && text.ends_with(char::is_whitespace) => {
                content.reject("the final assistant content cannot end in white space")
            }
            _ => Ok(()),
        }
    }

    /// Validates a block. The path of the value is its place without the tag.
    pub(super) fn validate_block(&self, value: &RequestValue, location: BlockLocation) -> ApiResult {
        let map = value.object()?;
        let tag = map.required("type")?;
        let word = tag.string()?;
        let Some(block) = ContentBlockKind::from_type(word) else {
            return tag.reject(format!("unknown block type '{}'", truncate_text(word)));
        };
        let map = map.tag(word);
        if !block.allowed_in(location) {
            return reject(&map.path, format!("not allowed in {}", location.as_str()));
        }
        map.reject_unknown_keys(&[&["type"], block.allowed_keys()])?;
        match block.row() {
            Some(row) if !self.is_enforced(row) => Ok(()),
            _ => self.validate_block_content(block, &map, location),
        }
    }
}

/// A system message must follow a user message or the result of a server tool, and an assistant
/// message must follow it.
fn validate_system_turns(messages: &[RequestValue]) -> ApiResult {
    let ends_with_server_block = |message: &Value| {
        let last = message.get("content").and_then(Value::as_array).and_then(|blocks| blocks.last());
        last.and_then(block_kind).is_some_and(ContentBlockKind::is_server_side)
    };
    for pair in messages.windows(2) {
        let (before, after) = (pair[0].json, pair[1].json);
        let role = pair[1].path.key("role");
        if has_role(after, "system") && !has_role(before, "user") && !ends_with_server_block(before) {
            return reject(&role, "a message of role system must follow a message of role user");
        }
        if has_role(before, "system") && !has_role(after, "assistant") {
            return reject(&role, "only a message of role assistant may follow one of role system");
        }
    }
    Ok(())
}

/// Validates a text block that belongs to the row of the outer field.
pub(super) fn validate_text_block(value: &RequestValue) -> ApiResult {
    let map = value.object()?;
    let tag = map.required("type")?;
    match tag.string()? {
        "text" => {}
        other => return tag.reject(format!("expected 'text', not '{}'", truncate_text(other))),
    }
    map.reject_unknown_keys(&[&["type"], ContentBlockKind::Text.allowed_keys()])?;
    map.validate_keys(&[(KeyPresence::Required, "text", ValueRule::NonEmptyString)])
}
