//! Validation of text, thinking and client tool blocks, and the choice of the validation for other
//! blocks.

use serde_json::{Map, Value};

use crate::simulator::content_block::{BlockLocation, ContentBlockKind};
use crate::simulator::error_path::{ErrorPath, truncate_text};
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::lookup::{block_kind, non_null};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::server_blocks::validate_server_block;
use crate::simulator::validate::tools::is_identifier;
use crate::simulator::validate::types::{
    ApiResult, array, boolean, non_empty_string, object, reject, required_non_empty_string, required_one_of,
    required_string, required_value, string,
};

/// The types of citations.
const CITATION_TYPES: &[&str] = &[
    "char_location",
    "page_location",
    "content_block_location",
    "search_result_location",
    "web_search_result_location",
];

impl RequestValidator<'_> {
    /// Validates the keys of a block, unless the block's own row is not enforced.
    pub(super) fn validate_block_content(
        &self,
        block: ContentBlockKind,
        map: &Map<String, Value>,
        path: &ErrorPath,
        location: BlockLocation,
    ) -> ApiResult {
        match block {
            ContentBlockKind::Text => self.validate_text(map, path, location),
            ContentBlockKind::Image => self.validate_image(map, path),
            ContentBlockKind::Document => self.validate_document(map, path, location),
            ContentBlockKind::SearchResult => self.validate_search_result(map, path),
            ContentBlockKind::Thinking => self.validate_thinking_block(map, path),
            ContentBlockKind::RedactedThinking => {
                required_non_empty_string(map, path, "data")?;
                // The server never returns redacted thinking, so none can come back.
                reject(&path.key("data"), "could not be decrypted")
            }
            ContentBlockKind::ToolUse => self.validate_tool_use(map, path),
            ContentBlockKind::ToolResult => self.validate_tool_result(map, path),
            ContentBlockKind::ToolReference => required_non_empty_string(map, path, "tool_name").map(drop),
            ContentBlockKind::ContainerUpload => {
                let id = required_non_empty_string(map, path, "file_id")?;
                reject(&path.key("file_id"), format!("file '{}' was not found", truncate_text(id)))
            }
            _ => validate_server_block(block, map, path),
        }
    }

    fn validate_text(&self, map: &Map<String, Value>, path: &ErrorPath, location: BlockLocation) -> ApiResult {
        // The text of a nested block belongs to the outer block.
        let in_message = matches!(location, BlockLocation::User | BlockLocation::Assistant | BlockLocation::System);
        let accepts_any = self.config.has_fault(BehaviourFault::ErrorsEmptyTextAccepted);
        if !accepts_any && (!in_message || self.is_enforced(SupportRow::TextText)) {
            required_non_empty_string(map, path, "text")?;
        }
        let Some(citations) = non_null(map, "citations") else { return Ok(()) };
        let path = path.key("citations");
        let is_given = citations.as_array().is_some_and(|list| !list.is_empty());
        if self.is_newer_version() && location == BlockLocation::User && is_given {
            return reject(&path, "not allowed in user messages under anthropic-version 2026-10-21");
        }
        if in_message && !self.is_enforced(SupportRow::TextCitations) {
            return Ok(());
        }
        for (i, citation) in array(citations, &path)?.iter().enumerate() {
            let path = path.index(i);
            let map = object(citation, &path)?;
            required_one_of(map, &path, "type", CITATION_TYPES)?;
            required_string(map, &path, "cited_text")?;
        }
        Ok(())
    }

    fn validate_thinking_block(&self, map: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
        let text = required_string(map, path, "thinking")?;
        let signature = required_string(map, path, "signature")?;
        // A server that does not support thinking has signed nothing, so it cannot verify.
        let is_checked = self.support.supports(SupportRow::Thinking)
            && !self.config.has_fault(BehaviourFault::ThinkingSignatureUnchecked);
        if is_checked && !self.signer.verify(text, signature) {
            return reject(&path.key("signature"), "does not belong to this thinking");
        }
        Ok(())
    }

    fn validate_tool_use(&self, map: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
        self.enforce(SupportRow::ToolUseId, || {
            let at = path.key("id");
            match is_identifier(string(required_value(map, path, "id")?, &at)?, usize::MAX) {
                true => Ok(()),
                false => reject(&at, "expected letters, digits, underscores and hyphens"),
            }
        })?;
        self.enforce(SupportRow::ToolUseName, || {
            let at = path.key("name");
            match non_empty_string(required_value(map, path, "name")?, &at)?.chars().count() {
                1..=200 => Ok(()),
                _ => reject(&at, "expected at most 200 characters"),
            }
        })?;
        self.enforce(SupportRow::ToolUseInput, || {
            object(required_value(map, path, "input")?, &path.key("input")).map(drop)
        })
    }

    fn validate_tool_result(&self, map: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
        self.enforce(SupportRow::ToolResultId, || required_non_empty_string(map, path, "tool_use_id").map(drop))?;
        self.enforce(SupportRow::ToolResultIsError, || match non_null(map, "is_error") {
            Some(flag) => boolean(flag, &path.key("is_error")).map(drop),
            None => Ok(()),
        })?;
        let Some(content) = non_null(map, "content") else { return Ok(()) };
        let at = path.key("content");
        match content {
            Value::String(_) => Ok(()),
            Value::Array(blocks) => {
                for (i, block) in blocks.iter().enumerate() {
                    self.validate_result_block(block, &at.index(i))?;
                }
                Ok(())
            }
            _ => self.enforce(SupportRow::ToolResultContent, || reject(&at, "expected a string or an array of blocks")),
        }
    }

    /// Validates a block inside a tool result. Images, documents and search results have their own
    /// rows. Other blocks belong to the content of the result.
    fn validate_result_block(&self, value: &Value, path: &ErrorPath) -> ApiResult {
        let block = block_kind(value);
        let own_row = block.filter(|b| b.allowed_in(BlockLocation::ToolResult)).and_then(ContentBlockKind::row);
        if own_row.is_none() && !self.is_enforced(SupportRow::ToolResultContent) {
            return Ok(());
        }
        self.validate_block(value, path, BlockLocation::ToolResult)
    }
}
