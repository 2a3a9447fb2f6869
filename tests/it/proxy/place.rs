//! Where each line of the support tables stands in a request, written down from the Messages API's reference.
//!
//! Lines are known by their ids and by nothing else. This must not be taken from the product: a place that the
//! product has wrong must not be wrong here in the same way.

/// A place in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A header that a request can go without.
    Header(&'static str),
    /// The header that names the contract, which every request needs.
    Version,
    /// The credential in `x-api-key`, or the lack of any.
    ApiKey,
    /// The credential in `authorization`.
    Bearer,
    /// The model's name.
    Model,
    /// The bound of the answer.
    MaxTokens,
    /// A bound that is larger than the model's longest answer, or close to it.
    LongestAnswer,
    /// A key of the body.
    Key(&'static str),
    /// A temperature outside 0 to 1, or close to its end.
    TemperatureRange,
    /// `thinking.budget_tokens`.
    Budget,
    /// A key of a tool that it can go without.
    ToolKey(&'static str),
    /// A tool's name, which is also what a choice names.
    ToolName,
    /// A tool's schema.
    ToolSchema,
    /// A `tool_choice` that is a string.
    ChoiceString,
    /// A `tool_choice` that is an object.
    ChoiceObject,
    /// A `tool_choice` of one type.
    Choice(&'static str),
    /// The flag against parallel calls, under one type of `tool_choice`.
    ChoiceFlag(&'static str),
    /// A message's content, where it is a string.
    StringContent,
    /// A text block's text.
    BlockText,
    /// A key that blocks of one type can go without.
    BlockKey(&'static str, &'static str),
    /// Blocks of one type.
    Block(&'static str),
    /// The id that makes a call and its result belong together.
    CallId,
    /// Which of several results belongs to which call.
    ResultId,
    /// The arguments of a call that was made.
    CallInput,
    /// The name of a call that was made.
    CallName,
}

/// Each line's place.
const PLACES: [(&str, Place); 56] = [
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

/// The place of a line; none for an id that is not in the tables.
pub fn of(row: &str) -> Option<Place> {
    PLACES.iter().find(|(id, _)| *id == row).map(|(_, place)| *place)
}

/// All ids that have a place.
pub fn rows() -> impl Iterator<Item = &'static str> {
    PLACES.iter().map(|(id, _)| *id)
}
