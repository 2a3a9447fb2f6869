//! The checks inside the blocks of text, thinking and client tools.

use serde_json::{Map, Value};

use crate::simulator::api_error::Refusal;
use crate::simulator::content_block::{Block, Place};
use crate::simulator::error_path::{Path, clip};
use crate::simulator::fault::ConductFault;
use crate::simulator::fields::row::Row;
use crate::simulator::validate::Rules;
use crate::simulator::validate::tools::is_identifier;
use crate::simulator::validate::types::{
    Checked, array, boolean, object, one_of, required, required_string, required_words, string, words,
};

/// The kinds of citation.
const CITATIONS: &[&str] = &[
    "char_location",
    "page_location",
    "content_block_location",
    "search_result_location",
    "web_search_result_location",
];

impl Rules<'_> {
    /// Checks what stands inside a block whose own row, if it has one, is honoured.
    pub(super) fn inside(&self, block: Block, map: &Map<String, Value>, path: &Path, place: Place) -> Checked {
        match block {
            Block::Text => self.text(map, path, place),
            Block::Image => self.image(map, path),
            Block::Document => self.document(map, path, place),
            Block::SearchResult => self.search_result(map, path),
            Block::Thinking => self.thinking_block(map, path),
            Block::RedactedThinking => {
                required_words(map, path, "data")?;
                // Nothing that this server gave out comes back here: it never redacts.
                Err(Refusal::at(&path.key("data"), "could not be decrypted"))
            }
            Block::ToolUse => self.tool_use(map, path),
            Block::ToolResult => self.tool_result(map, path),
            Block::ToolReference => required_words(map, path, "tool_name").map(drop),
            Block::ContainerUpload => {
                let id = required_words(map, path, "file_id")?;
                Err(Refusal::at(&path.key("file_id"), format!("file '{}' was not found", clip(id))))
            }
            Block::ServerToolUse
            | Block::WebSearchToolResult
            | Block::WebFetchToolResult
            | Block::CodeExecutionToolResult
            | Block::BashCodeExecutionToolResult
            | Block::TextEditorCodeExecutionToolResult
            | Block::ToolSearchToolResult
            | Block::McpToolUse
            | Block::McpToolResult => crate::simulator::validate::server_blocks::check(block, map, path),
        }
    }

    fn text(&self, map: &Map<String, Value>, path: &Path, place: Place) -> Checked {
        // Inside another block, text belongs to that block.
        let in_message = matches!(place, Place::User | Place::Assistant | Place::System);
        let accepts_any = self.behaviour.commits(ConductFault::ErrorsEmptyTextAccepted);
        if !accepts_any && (!in_message || self.on(Row::TextText)) {
            required_words(map, path, "text")?;
        }
        let Some(citations) = map.get("citations").filter(|v| !v.is_null()) else { return Ok(()) };
        let path = path.key("citations");
        let given = citations.as_array().is_some_and(|list| !list.is_empty());
        if self.is_newer_contract() && place == Place::User && given {
            return Err(Refusal::at(&path, "not allowed in user messages under anthropic-version 2026-10-21"));
        }
        if in_message && !self.on(Row::TextCitations) {
            return Ok(());
        }
        for (i, citation) in array(citations, &path)?.iter().enumerate() {
            let path = path.index(i);
            let map = object(citation, &path)?;
            one_of(required(map, &path, "type")?, &path.key("type"), CITATIONS)?;
            required_string(map, &path, "cited_text")?;
        }
        Ok(())
    }

    fn thinking_block(&self, map: &Map<String, Value>, path: &Path) -> Checked {
        let text = required_string(map, path, "thinking")?;
        let signature = required_string(map, path, "signature")?;
        // A server that never thinks has signed nothing, so it has nothing to compare with.
        let is_checked =
            self.filter.honours(Row::Thinking) && !self.behaviour.commits(ConductFault::ThinkingSignatureUnchecked);
        if is_checked && !self.signer.is_own(text, signature) {
            return Err(Refusal::at(&path.key("signature"), "does not belong to this thinking"));
        }
        Ok(())
    }

    fn tool_use(&self, map: &Map<String, Value>, path: &Path) -> Checked {
        self.when(Row::ToolUseId, || {
            let at = path.key("id");
            match is_identifier(string(required(map, path, "id")?, &at)?, usize::MAX) {
                true => Ok(()),
                false => Err(Refusal::at(&at, "expected letters, digits, underscores and hyphens")),
            }
        })?;
        self.when(Row::ToolUseName, || {
            let at = path.key("name");
            match words(required(map, path, "name")?, &at)?.chars().count() {
                1..=200 => Ok(()),
                _ => Err(Refusal::at(&at, "expected at most 200 characters")),
            }
        })?;
        self.when(Row::ToolUseInput, || object(required(map, path, "input")?, &path.key("input")).map(drop))
    }

    fn tool_result(&self, map: &Map<String, Value>, path: &Path) -> Checked {
        self.when(Row::ToolResultId, || required_words(map, path, "tool_use_id").map(drop))?;
        self.when(Row::ToolResultIsError, || match map.get("is_error").filter(|v| !v.is_null()) {
            Some(flag) => boolean(flag, &path.key("is_error")).map(drop),
            None => Ok(()),
        })?;
        let Some(content) = map.get("content").filter(|v| !v.is_null()) else { return Ok(()) };
        let at = path.key("content");
        match content {
            Value::String(_) => Ok(()),
            Value::Array(blocks) => {
                for (i, block) in blocks.iter().enumerate() {
                    self.result_block(block, &at.index(i))?;
                }
                Ok(())
            }
            _ => self.when(Row::ToolResultContent, || Err(Refusal::at(&at, "expected a string or an array of blocks"))),
        }
    }

    /// A block inside a tool's result. Images, documents and search results keep their own rows there; all else
    /// belongs to the result's content.
    fn result_block(&self, value: &Value, path: &Path) -> Checked {
        let block = crate::simulator::fields::find::block_of(value);
        let own_row = block.filter(|b| b.fits(Place::ToolResult)).and_then(Block::row);
        if own_row.is_none() && !self.on(Row::ToolResultContent) {
            return Ok(());
        }
        self.block(value, path, Place::ToolResult)
    }
}
