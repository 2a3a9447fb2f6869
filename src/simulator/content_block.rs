//! The content blocks that a request can have: [`ContentBlockKind`], with the keys of each block,
//! the messages that it is allowed in, and the rows that own it.
//!
//! A flat catalogue. Validation and the prompt know what the keys contain.

use crate::simulator::fields::row::SupportRow;
use crate::string_enum::string_enum;

string_enum! {
    /// The kinds of content block.
    pub(super) enum ContentBlockKind {
        Text = "text",
        Image = "image",
        Document = "document",
        SearchResult = "search_result",
        Thinking = "thinking",
        RedactedThinking = "redacted_thinking",
        ToolUse = "tool_use",
        ToolResult = "tool_result",
        ToolReference = "tool_reference",
        ServerToolUse = "server_tool_use",
        WebSearchToolResult = "web_search_tool_result",
        WebFetchToolResult = "web_fetch_tool_result",
        CodeExecutionToolResult = "code_execution_tool_result",
        BashCodeExecutionToolResult = "bash_code_execution_tool_result",
        TextEditorCodeExecutionToolResult = "text_editor_code_execution_tool_result",
        ToolSearchToolResult = "tool_search_tool_result",
        McpToolUse = "mcp_tool_use",
        McpToolResult = "mcp_tool_result",
        ContainerUpload = "container_upload",
    }
}

string_enum! {
    /// The place of a block, as error messages name it.
    pub(super) enum BlockLocation {
        User = "user messages",
        Assistant = "assistant messages",
        /// A system message between other messages.
        System = "system messages",
        /// Inside a `tool_result`.
        ToolResult = "tool results",
        /// Inside a document of blocks.
        Document = "documents",
    }
}

impl ContentBlockKind {
    /// The block with this `type`.
    pub fn from_type(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|block| block.as_str() == word)
    }

    /// The keys that the block can have in addition to `type`.
    pub fn allowed_keys(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["text", "cache_control", "citations"],
            Self::Image => &["source", "cache_control", "transformations"],
            Self::Document => &["source", "title", "context", "citations", "cache_control"],
            Self::SearchResult => &["source", "title", "content", "citations", "cache_control"],
            Self::Thinking => &["thinking", "signature"],
            Self::RedactedThinking => &["data"],
            Self::ToolUse => &["id", "name", "input", "cache_control", "caller", "toolset_name"],
            Self::ToolResult => &["tool_use_id", "content", "is_error", "cache_control", "toolset_name"],
            Self::ToolReference => &["tool_name", "cache_control"],
            Self::ServerToolUse => &["id", "name", "input", "caller", "cache_control"],
            Self::WebSearchToolResult | Self::WebFetchToolResult => {
                &["tool_use_id", "content", "caller", "cache_control"]
            }
            Self::CodeExecutionToolResult
            | Self::BashCodeExecutionToolResult
            | Self::TextEditorCodeExecutionToolResult
            | Self::ToolSearchToolResult => &["tool_use_id", "content", "cache_control"],
            Self::McpToolUse => &["id", "name", "server_name", "input", "cache_control"],
            Self::McpToolResult => &["tool_use_id", "content", "is_error", "cache_control"],
            Self::ContainerUpload => &["file_id", "cache_control"],
        }
    }

    /// Whether the block is allowed in a place.
    pub fn allowed_in(self, location: BlockLocation) -> bool {
        match self {
            Self::Text => true,
            Self::Image => {
                matches!(location, BlockLocation::User | BlockLocation::ToolResult | BlockLocation::Document)
            }
            // The older API version allows it in assistant messages. Validation rejects it in the
            // newer one.
            Self::Document => {
                matches!(location, BlockLocation::User | BlockLocation::Assistant | BlockLocation::ToolResult)
            }
            Self::SearchResult => matches!(location, BlockLocation::User | BlockLocation::ToolResult),
            Self::ToolReference => location == BlockLocation::ToolResult,
            Self::ToolResult | Self::ContainerUpload => location == BlockLocation::User,
            Self::Thinking | Self::RedactedThinking | Self::ToolUse => location == BlockLocation::Assistant,
            _ => self.is_server_side() && location == BlockLocation::Assistant,
        }
    }

    /// Whether the block records the work of a tool that ran on the server.
    pub fn is_server_side(self) -> bool {
        matches!(
            self,
            Self::ServerToolUse
                | Self::WebSearchToolResult
                | Self::WebFetchToolResult
                | Self::CodeExecutionToolResult
                | Self::BashCodeExecutionToolResult
                | Self::TextEditorCodeExecutionToolResult
                | Self::ToolSearchToolResult
                | Self::McpToolUse
                | Self::McpToolResult
        )
    }

    /// The row that owns the whole block. Text and client tool blocks have a row for each key
    /// instead.
    pub fn row(self) -> Option<SupportRow> {
        match self {
            Self::Image => Some(SupportRow::Image),
            Self::Document => Some(SupportRow::Document),
            Self::SearchResult => Some(SupportRow::SearchResult),
            Self::Thinking => Some(SupportRow::ContentThinking),
            Self::RedactedThinking => Some(SupportRow::RedactedThinking),
            Self::ServerToolUse => Some(SupportRow::ServerToolUse),
            Self::WebSearchToolResult => Some(SupportRow::WebSearchToolResult),
            Self::CodeExecutionToolResult => Some(SupportRow::CodeExecutionToolResult),
            Self::McpToolUse => Some(SupportRow::McpToolUse),
            Self::McpToolResult => Some(SupportRow::McpToolResult),
            Self::ContainerUpload => Some(SupportRow::ContainerUpload),
            _ => None,
        }
    }

    /// The rows of single keys, for blocks directly in a message.
    pub fn key_rows(self) -> &'static [(&'static str, SupportRow)] {
        match self {
            Self::Text => &[
                ("text", SupportRow::TextText),
                ("cache_control", SupportRow::TextCacheControl),
                ("citations", SupportRow::TextCitations),
            ],
            Self::ToolUse => &[
                ("id", SupportRow::ToolUseId),
                ("input", SupportRow::ToolUseInput),
                ("name", SupportRow::ToolUseName),
                ("cache_control", SupportRow::ToolUseCacheControl),
            ],
            Self::ToolResult => &[
                ("tool_use_id", SupportRow::ToolResultId),
                ("content", SupportRow::ToolResultContent),
                ("cache_control", SupportRow::ToolResultCacheControl),
                ("is_error", SupportRow::ToolResultIsError),
            ],
            // One row owns the whole block, or none does.
            _ => &[],
        }
    }

    /// The row that owns a cache marker on the block.
    pub fn marker_row(self) -> Option<SupportRow> {
        match self {
            Self::Text => Some(SupportRow::TextCacheControl),
            Self::ToolUse => Some(SupportRow::ToolUseCacheControl),
            Self::ToolResult => Some(SupportRow::ToolResultCacheControl),
            other => other.row(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_finds_its_block() {
        for block in ContentBlockKind::ALL {
            assert_eq!(ContentBlockKind::from_type(block.as_str()), Some(block));
        }
        assert_eq!(ContentBlockKind::from_type("banana"), None);
    }
}
