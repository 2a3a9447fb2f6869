//! The checks inside the blocks of text, thinking and client tools.

use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::content_block::{BlockLocation, ContentBlockKind};
use crate::simulator::error_path::{ErrorPath, truncate_text};
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::tools::is_identifier;
use crate::simulator::validate::types::{
    ApiResult, array, boolean, non_empty_string, object, one_of, required_non_empty_string, required_string,
    required_value, string,
};

/// The kinds of citation.
const CITATION_TYPES: &[&str] = &[
    "char_location",
    "page_location",
    "content_block_location",
    "search_result_location",
    "web_search_result_location",
];

impl RequestValidator<'_> {
    /// Checks what stands inside a block whose own row, if it has one, is honoured.
    pub(super) fn validate_block_content(
        &self,
        block: ContentBlockKind,
        map: &Map<String, Value>,
        path: &ErrorPath,
        place: BlockLocation,
    ) -> ApiResult {
        match block {
            ContentBlockKind::Text => self.validate_text(map, path, place),
            ContentBlockKind::Image => self.validate_image(map, path),
            ContentBlockKind::Document => self.validate_document(map, path, place),
            ContentBlockKind::SearchResult => self.validate_search_result(map, path),
            ContentBlockKind::Thinking => self.validate_thinking_block(map, path),
            ContentBlockKind::RedactedThinking => {
                required_non_empty_string(map, path, "data")?;
                // Nothing that this server gave out comes back here: it never redacts.
                Err(ApiError::invalid_field(&path.key("data"), "could not be decrypted"))
            }
            ContentBlockKind::ToolUse => self.validate_tool_use(map, path),
            ContentBlockKind::ToolResult => self.validate_tool_result(map, path),
            ContentBlockKind::ToolReference => required_non_empty_string(map, path, "tool_name").map(drop),
            ContentBlockKind::ContainerUpload => {
                let id = required_non_empty_string(map, path, "file_id")?;
                Err(ApiError::invalid_field(
                    &path.key("file_id"),
                    format!("file '{}' was not found", truncate_text(id)),
                ))
            }
            ContentBlockKind::ServerToolUse
            | ContentBlockKind::WebSearchToolResult
            | ContentBlockKind::WebFetchToolResult
            | ContentBlockKind::CodeExecutionToolResult
            | ContentBlockKind::BashCodeExecutionToolResult
            | ContentBlockKind::TextEditorCodeExecutionToolResult
            | ContentBlockKind::ToolSearchToolResult
            | ContentBlockKind::McpToolUse
            | ContentBlockKind::McpToolResult => {
                crate::simulator::validate::server_blocks::validate_server_block(block, map, path)
            }
        }
    }

    fn validate_text(&self, map: &Map<String, Value>, path: &ErrorPath, place: BlockLocation) -> ApiResult {
        // Inside another block, text belongs to that block.
        let in_message = matches!(place, BlockLocation::User | BlockLocation::Assistant | BlockLocation::System);
        let accepts_any = self.config.has_fault(BehaviourFault::ErrorsEmptyTextAccepted);
        if !accepts_any && (!in_message || self.is_enforced(SupportRow::TextText)) {
            required_non_empty_string(map, path, "text")?;
        }
        let Some(citations) = map.get("citations").filter(|v| !v.is_null()) else { return Ok(()) };
        let path = path.key("citations");
        let given = citations.as_array().is_some_and(|list| !list.is_empty());
        if self.is_newer_version() && place == BlockLocation::User && given {
            return Err(ApiError::invalid_field(
                &path,
                "not allowed in user messages under anthropic-version 2026-10-21",
            ));
        }
        if in_message && !self.is_enforced(SupportRow::TextCitations) {
            return Ok(());
        }
        for (i, citation) in array(citations, &path)?.iter().enumerate() {
            let path = path.index(i);
            let map = object(citation, &path)?;
            one_of(required_value(map, &path, "type")?, &path.key("type"), CITATION_TYPES)?;
            required_string(map, &path, "cited_text")?;
        }
        Ok(())
    }

    fn validate_thinking_block(&self, map: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
        let text = required_string(map, path, "thinking")?;
        let signature = required_string(map, path, "signature")?;
        // A server that never thinks has signed nothing, so it has nothing to compare with.
        let is_checked = self.support.supports(SupportRow::Thinking)
            && !self.config.has_fault(BehaviourFault::ThinkingSignatureUnchecked);
        if is_checked && !self.signer.verify(text, signature) {
            return Err(ApiError::invalid_field(&path.key("signature"), "does not belong to this thinking"));
        }
        Ok(())
    }

    fn validate_tool_use(&self, map: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
        self.enforce(SupportRow::ToolUseId, || {
            let at = path.key("id");
            match is_identifier(string(required_value(map, path, "id")?, &at)?, usize::MAX) {
                true => Ok(()),
                false => Err(ApiError::invalid_field(&at, "expected letters, digits, underscores and hyphens")),
            }
        })?;
        self.enforce(SupportRow::ToolUseName, || {
            let at = path.key("name");
            match non_empty_string(required_value(map, path, "name")?, &at)?.chars().count() {
                1..=200 => Ok(()),
                _ => Err(ApiError::invalid_field(&at, "expected at most 200 characters")),
            }
        })?;
        self.enforce(SupportRow::ToolUseInput, || {
            object(required_value(map, path, "input")?, &path.key("input")).map(drop)
        })
    }

    fn validate_tool_result(&self, map: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
        self.enforce(SupportRow::ToolResultId, || required_non_empty_string(map, path, "tool_use_id").map(drop))?;
        self.enforce(SupportRow::ToolResultIsError, || match map.get("is_error").filter(|v| !v.is_null()) {
            Some(flag) => boolean(flag, &path.key("is_error")).map(drop),
            None => Ok(()),
        })?;
        let Some(content) = map.get("content").filter(|v| !v.is_null()) else { return Ok(()) };
        let at = path.key("content");
        match content {
            Value::String(_) => Ok(()),
            Value::Array(blocks) => {
                for (i, block) in blocks.iter().enumerate() {
                    self.validate_result_block(block, &at.index(i))?;
                }
                Ok(())
            }
            _ => self.enforce(SupportRow::ToolResultContent, || {
                Err(ApiError::invalid_field(&at, "expected a string or an array of blocks"))
            }),
        }
    }

    /// A block inside a tool's result. Images, documents and search results keep their own rows there; all else
    /// belongs to the result's content.
    fn validate_result_block(&self, value: &Value, path: &ErrorPath) -> ApiResult {
        let block = crate::simulator::fields::find::block_kind(value);
        let own_row = block.filter(|b| b.allowed_in(BlockLocation::ToolResult)).and_then(ContentBlockKind::row);
        if own_row.is_none() && !self.is_enforced(SupportRow::ToolResultContent) {
            return Ok(());
        }
        self.validate_block(value, path, BlockLocation::ToolResult)
    }
}
