//! The rows that the simulator can act on: [`SupportRow`], one enum, so that every check, removal
//! and rejection names its row and the compiler knows them all.
//!
//! It must not know the status of a row (`support` does) or what a row does to a request.

use crate::string_enum::string_enum;

string_enum! {
    /// A row of a support table that the simulator can support, ignore or reject, in the order of the tables.
    pub(crate) enum SupportRow {
    AnthropicBeta = "header.anthropic-beta",
    AnthropicVersion = "header.anthropic-version",
    XApiKey = "header.x-api-key",
    Authorization = "header.authorization",

    Model = "field.model",
    MaxTokens = "field.max_tokens",
    Container = "field.container",
    McpServers = "field.mcp_servers",
    Metadata = "field.metadata",
    ServiceTier = "field.service_tier",
    StopSequences = "field.stop_sequences",
    Stream = "field.stream",
    System = "field.system",
    Temperature = "field.temperature",
    TemperatureRange = "field.temperature.range",
    Thinking = "field.thinking",
    ThinkingBudget = "field.thinking.budget_tokens",
    TopK = "field.top_k",
    TopP = "field.top_p",

    ToolName = "tools.name",
    ToolInputSchema = "tools.input_schema",
    ToolDescription = "tools.description",
    ToolCacheControl = "tools.cache_control",

    ChoiceString = "tool_choice.string_form",
    ChoiceObject = "tool_choice.object_form",
    ChoiceNone = "tool_choice.none",
    ChoiceAuto = "tool_choice.auto",
    ChoiceAny = "tool_choice.any",
    ChoiceTool = "tool_choice.tool",
    ChoiceAutoParallel = "tool_choice.auto.disable_parallel_tool_use",
    ChoiceAnyParallel = "tool_choice.any.disable_parallel_tool_use",
    ChoiceToolParallel = "tool_choice.tool.disable_parallel_tool_use",

    ContentString = "content.string",
    TextText = "content.text.text",
    TextCacheControl = "content.text.cache_control",
    TextCitations = "content.text.citations",
    Image = "content.image",
    Document = "content.document",
    SearchResult = "content.search_result",
    ContentThinking = "content.thinking",
    RedactedThinking = "content.redacted_thinking",
    ToolUseId = "content.tool_use.id",
    ToolUseInput = "content.tool_use.input",
    ToolUseName = "content.tool_use.name",
    ToolUseCacheControl = "content.tool_use.cache_control",
    ToolResultId = "content.tool_result.tool_use_id",
    ToolResultContent = "content.tool_result.content",
    ToolResultCacheControl = "content.tool_result.cache_control",
    ToolResultIsError = "content.tool_result.is_error",
    ServerToolUse = "content.server_tool_use",
    WebSearchToolResult = "content.web_search_tool_result",
    CodeExecutionToolResult = "content.code_execution_tool_result",
    McpToolUse = "content.mcp_tool_use",
    McpToolResult = "content.mcp_tool_result",
    ContainerUpload = "content.container_upload",

    MaxOutputTokens = "limit.max_output_tokens",
    }
}

/// The id of every row that the simulator knows by name, in the order of the tables.
pub const ROW_IDS: &[&str] = &{
    let mut ids = [""; SupportRow::ALL.len()];
    let mut i = 0;
    while i < ids.len() {
        ids[i] = SupportRow::ALL[i].as_str();
        i += 1;
    }
    ids
};

/// The rows of one kind of `tool_choice` object.
pub(crate) struct ChoiceRows {
    pub variant: SupportRow,
    /// The row of `disable_parallel_tool_use`. `none` does not have this key.
    pub parallel: Option<SupportRow>,
}

/// The rows of a `tool_choice` object with this `type`.
pub(crate) fn choice_rows(word: &str) -> Option<ChoiceRows> {
    let (variant, parallel) = match word {
        "none" => (SupportRow::ChoiceNone, None),
        "auto" => (SupportRow::ChoiceAuto, Some(SupportRow::ChoiceAutoParallel)),
        "any" => (SupportRow::ChoiceAny, Some(SupportRow::ChoiceAnyParallel)),
        "tool" => (SupportRow::ChoiceTool, Some(SupportRow::ChoiceToolParallel)),
        _ => return None,
    };
    Some(ChoiceRows { variant, parallel })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_in_the_order_of_the_enum() {
        let ids: std::collections::BTreeSet<&str> = ROW_IDS.iter().copied().collect();
        assert_eq!(ids.len(), ROW_IDS.len());
        assert_eq!(SupportRow::ALL.map(SupportRow::as_str), ROW_IDS);
    }
}
