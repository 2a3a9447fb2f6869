//! Validation of text, thinking and client tool blocks, and the choice of the validation for other
//! blocks.

use serde_json::Value;

use crate::simulator::content_block::{BlockLocation, ContentBlockKind};
use crate::simulator::error_path::truncate_text;
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::lookup::block_kind;
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::media::validate_search_result;
use crate::simulator::validate::request_value::{
    ApiResult, KeyPresence, KeyRule, RequestObject, RequestValue, ValueRule,
};
use crate::simulator::validate::server_blocks::validate_server_block;
use crate::simulator::validate::tools::is_identifier;

/// The types of citations.
const CITATION_TYPES: &[&str] = &[
    "char_location",
    "page_location",
    "content_block_location",
    "search_result_location",
    "web_search_result_location",
];

const CITATION_KEYS: &[KeyRule] = &[
    (KeyPresence::Required, "type", ValueRule::OneOf(CITATION_TYPES)),
    (KeyPresence::Required, "cited_text", ValueRule::String),
];

impl RequestValidator<'_> {
    /// Validates the keys of a block, unless the block's own row is not enforced.
    pub(super) fn validate_block_content(
        &self,
        block: ContentBlockKind,
        map: &RequestObject,
        location: BlockLocation,
    ) -> ApiResult {
        match block {
            ContentBlockKind::Text => self.validate_text(map, location),
            ContentBlockKind::Image => self.validate_image(map),
            ContentBlockKind::Document => self.validate_document(map, location),
            ContentBlockKind::SearchResult => validate_search_result(map),
            ContentBlockKind::Thinking => self.validate_thinking_block(map),
            ContentBlockKind::RedactedThinking => {
                let data = map.required("data")?;
                data.non_empty_string()?;
                // The server never returns redacted thinking, so none can come back.
                data.reject("could not be decrypted")
            }
            ContentBlockKind::ToolUse => self.validate_tool_use(map),
            ContentBlockKind::ToolResult => self.validate_tool_result(map),
            ContentBlockKind::ToolReference => map.required("tool_name")?.validate(ValueRule::NonEmptyString),
            ContentBlockKind::ContainerUpload => {
                let id = map.required("file_id")?;
                id.reject(format!("file '{}' was not found", truncate_text(id.non_empty_string()?)))
            }
            _ => validate_server_block(block, map),
        }
    }

    fn validate_text(&self, map: &RequestObject, location: BlockLocation) -> ApiResult {
        // The text of a nested block belongs to the outer block.
        let in_message = matches!(location, BlockLocation::User | BlockLocation::Assistant | BlockLocation::System);
        let accepts_any = self.config.has_fault(BehaviourFault::ErrorsEmptyTextAccepted);
        if !accepts_any && (!in_message || self.is_enforced(SupportRow::TextText)) {
            map.required("text")?.non_empty_string()?;
        }
        let Some(citations) = map.non_null("citations") else { return Ok(()) };
        let is_given = citations.json.as_array().is_some_and(|list| !list.is_empty());
        if self.is_newer_version() && location == BlockLocation::User && is_given {
            return citations.reject("not allowed in user messages under anthropic-version 2026-10-21");
        }
        if in_message && !self.is_enforced(SupportRow::TextCitations) {
            return Ok(());
        }
        citations.items()?.iter().try_for_each(|citation| citation.object()?.validate_keys(CITATION_KEYS))
    }

    fn validate_thinking_block(&self, map: &RequestObject) -> ApiResult {
        let text = map.required("thinking")?.string()?;
        let signature = map.required("signature")?;
        // A server that does not support thinking has signed nothing, so it cannot verify.
        let is_checked = self.support.supports(SupportRow::Thinking)
            && !self.config.has_fault(BehaviourFault::ThinkingSignatureUnchecked);
        match self.signer.verify(text, signature.string()?) || !is_checked {
            true => Ok(()),
            false => signature.reject("does not belong to this thinking"),
        }
    }

    fn validate_tool_use(&self, map: &RequestObject) -> ApiResult {
        self.enforce(SupportRow::ToolUseId, || {
            let id = map.required("id")?;
            match is_identifier(id.string()?, usize::MAX) {
                true => Ok(()),
                false => id.reject("expected letters, digits, underscores and hyphens"),
            }
        })?;
        self.enforce(SupportRow::ToolUseName, || {
            let name = map.required("name")?;
            match name.non_empty_string()?.chars().count() {
                1..=200 => Ok(()),
                _ => name.reject("expected at most 200 characters"),
            }
        })?;
        self.enforce(SupportRow::ToolUseInput, || map.required("input")?.validate(ValueRule::Object))
    }

    fn validate_tool_result(&self, map: &RequestObject) -> ApiResult {
        let id = (KeyPresence::Required, "tool_use_id", ValueRule::NonEmptyString);
        self.enforce(SupportRow::ToolResultId, || map.validate_keys(&[id]))?;
        let flag = (KeyPresence::NonNull, "is_error", ValueRule::Boolean);
        self.enforce(SupportRow::ToolResultIsError, || map.validate_keys(&[flag]))?;
        let Some(content) = map.non_null("content") else { return Ok(()) };
        match content.json {
            Value::String(_) => Ok(()),
            Value::Array(_) => content.items()?.iter().try_for_each(|block| self.validate_result_block(block)),
            _ => self
                .enforce(SupportRow::ToolResultContent, || content.reject("expected a string or an array of blocks")),
        }
    }

    /// Validates a block inside a tool result. Images, documents and search results have their own
    /// rows. Other blocks belong to the content of the result.
    fn validate_result_block(&self, value: &RequestValue) -> ApiResult {
        let block = block_kind(value.json);
        let own_row = block.filter(|b| b.allowed_in(BlockLocation::ToolResult)).and_then(ContentBlockKind::row);
        if own_row.is_none() && !self.is_enforced(SupportRow::ToolResultContent) {
            return Ok(());
        }
        self.validate_block(value, BlockLocation::ToolResult)
    }
}
