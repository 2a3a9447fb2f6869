//! The place of each row in a request, from the reference of the Messages API.
//!
//! Rows are known only by their ids. This file must not use the product, so that it does not repeat
//! a
//! wrong place.

/// A place in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// An optional header.
    Header(&'static str),
    /// The required header with the API version.
    Version,
    /// The credential in `x-api-key`, or no credential.
    ApiKey,
    /// The credential in `authorization`.
    Bearer,
    /// The name of the model.
    Model,
    /// The limit of the response.
    MaxTokens,
    /// A limit that is larger than the longest response of the model, or close to it.
    LongestAnswer,
    /// A key of the body.
    Key(&'static str),
    /// A temperature outside 0 to 1, or close to its end.
    TemperatureRange,
    /// `thinking.budget_tokens`.
    Budget,
    /// An optional key of a tool.
    ToolKey(&'static str),
    /// The name of a tool, also in a tool choice.
    ToolName,
    /// The schema of a tool.
    ToolSchema,
    /// `tool_choice` as a string.
    ChoiceString,
    /// `tool_choice` as an object.
    ChoiceObject,
    /// `tool_choice` of one type.
    Choice(&'static str),
    /// The flag against parallel calls, under one type of `tool_choice`.
    ChoiceFlag(&'static str),
    /// The content of a message, as a string.
    StringContent,
    /// The text of a text block.
    BlockText,
    /// An optional key of blocks of one type.
    BlockKey(&'static str, &'static str),
    /// Blocks of one type.
    Block(&'static str),
    /// The id that links a call to its result.
    CallId,
    /// The link between each of several results and its call.
    ResultId,
    /// The input of an earlier call.
    CallInput,
    /// The tool name of an earlier call.
    CallName,
}

/// The place of each row.
const PLACES: [(&str, Place); 57] = [
    ("header.anthropic-beta", Place::Header("anthropic-beta")),
    ("header.anthropic-version", Place::Version),
    ("header.x-api-key", Place::ApiKey),
    ("header.authorization", Place::Bearer),
    ("field.model", Place::Model),
    ("field.max_tokens", Place::MaxTokens),
    ("field.container", Place::Key("container")),
    ("field.mcp_servers", Place::Key("mcp_servers")),
    ("field.metadata", Place::Key("metadata")),
    ("field.service_tier", Place::Key("service_tier")),
    ("field.stop_sequences", Place::Key("stop_sequences")),
    ("field.stream", Place::Key("stream")),
    ("field.system", Place::Key("system")),
    ("field.temperature", Place::Key("temperature")),
    ("field.temperature.range", Place::TemperatureRange),
    ("field.thinking", Place::Key("thinking")),
    ("field.thinking.budget_tokens", Place::Budget),
    ("field.top_k", Place::Key("top_k")),
    ("field.top_p", Place::Key("top_p")),
    ("tools", Place::Key("tools")),
    ("tools.name", Place::ToolName),
    ("tools.input_schema", Place::ToolSchema),
    ("tools.description", Place::ToolKey("description")),
    ("tools.cache_control", Place::ToolKey("cache_control")),
    ("tool_choice.string_form", Place::ChoiceString),
    ("tool_choice.object_form", Place::ChoiceObject),
    ("tool_choice.none", Place::Choice("none")),
    ("tool_choice.auto", Place::Choice("auto")),
    ("tool_choice.any", Place::Choice("any")),
    ("tool_choice.tool", Place::Choice("tool")),
    ("tool_choice.auto.disable_parallel_tool_use", Place::ChoiceFlag("auto")),
    ("tool_choice.any.disable_parallel_tool_use", Place::ChoiceFlag("any")),
    ("tool_choice.tool.disable_parallel_tool_use", Place::ChoiceFlag("tool")),
    ("content.string", Place::StringContent),
    ("content.text.text", Place::BlockText),
    ("content.text.cache_control", Place::BlockKey("text", "cache_control")),
    ("content.text.citations", Place::BlockKey("text", "citations")),
    ("content.image", Place::Block("image")),
    ("content.document", Place::Block("document")),
    ("content.search_result", Place::Block("search_result")),
    ("content.thinking", Place::Block("thinking")),
    ("content.redacted_thinking", Place::Block("redacted_thinking")),
    ("content.tool_use.id", Place::CallId),
    ("content.tool_use.input", Place::CallInput),
    ("content.tool_use.name", Place::CallName),
    ("content.tool_use.cache_control", Place::BlockKey("tool_use", "cache_control")),
    ("content.tool_result.tool_use_id", Place::ResultId),
    ("content.tool_result.content", Place::BlockKey("tool_result", "content")),
    ("content.tool_result.cache_control", Place::BlockKey("tool_result", "cache_control")),
    ("content.tool_result.is_error", Place::BlockKey("tool_result", "is_error")),
    ("content.server_tool_use", Place::Block("server_tool_use")),
    ("content.web_search_tool_result", Place::Block("web_search_tool_result")),
    ("content.code_execution_tool_result", Place::Block("code_execution_tool_result")),
    ("content.mcp_tool_use", Place::Block("mcp_tool_use")),
    ("content.mcp_tool_result", Place::Block("mcp_tool_result")),
    ("content.container_upload", Place::Block("container_upload")),
    ("limit.max_output_tokens", Place::LongestAnswer),
];

/// The place of a row. None for an unknown id.
pub fn of(row: &str) -> Option<Place> {
    PLACES.iter().find(|(id, _)| *id == row).map(|(_, place)| *place)
}

/// All row ids with a place.
pub fn rows() -> impl Iterator<Item = &'static str> {
    PLACES.iter().map(|(id, _)| *id)
}
