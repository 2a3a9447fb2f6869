//! Finds the rows that a request carries, and where: what the refusal of unsupported rows is made of.
//!
//! Looks at the raw request and judges nothing: a row is present whether or not its value makes sense.

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::fields::row::SupportRow;

/// Top-level keys that are rows.
const FIELD_ROWS: &[(&str, SupportRow)] = &[
    ("model", SupportRow::Model),
    ("max_tokens", SupportRow::MaxTokens),
    ("container", SupportRow::Container),
    ("mcp_servers", SupportRow::McpServers),
    ("metadata", SupportRow::Metadata),
    ("service_tier", SupportRow::ServiceTier),
    ("stop_sequences", SupportRow::StopSequences),
    ("stream", SupportRow::Stream),
    ("system", SupportRow::System),
    ("temperature", SupportRow::Temperature),
    ("thinking", SupportRow::Thinking),
    ("top_k", SupportRow::TopK),
    ("top_p", SupportRow::TopP),
];

const HEADER_ROWS: &[(&str, SupportRow)] =
    &[("anthropic-beta", SupportRow::AnthropicBeta), ("anthropic-version", SupportRow::AnthropicVersion)];

/// All occurrences of the wanted rows with their paths, in the order of the request.
pub(crate) fn find_rows(
    headers: &HeaderMap,
    body: &Map<String, Value>,
    wanted: &dyn Fn(SupportRow) -> bool,
) -> Vec<(SupportRow, String)> {
    let mut finder = RowFinder { is_wanted: wanted, found: Vec::new() };
    for (name, row) in HEADER_ROWS {
        if headers.contains_key(*name) {
            finder.record(*row, || format!("header {name}"));
        }
    }
    finder.visit_fields(body);
    for (i, tool) in array_items(body.get("tools")).iter().enumerate() {
        finder.visit_tool(tool, i);
    }
    finder.visit_tool_choice(body.get("tool_choice"));
    for (i, message) in array_items(body.get("messages")).iter().enumerate() {
        finder.visit_message(message, &format!("messages.{i}.content"));
    }
    finder.found
}

struct RowFinder<'a> {
    is_wanted: &'a dyn Fn(SupportRow) -> bool,
    found: Vec<(SupportRow, String)>,
}

impl RowFinder<'_> {
    fn record(&mut self, row: SupportRow, path: impl FnOnce() -> String) {
        if (self.is_wanted)(row) {
            self.found.push((row, path()));
        }
    }

    fn visit_fields(&mut self, body: &Map<String, Value>) {
        for (key, row) in FIELD_ROWS {
            // `container: null` is how clients leave it out.
            if body.get(*key).is_some_and(|value| *row != SupportRow::Container || !value.is_null()) {
                self.record(*row, || (*key).to_owned());
            }
        }
        if let Some(thinking) = body.get("thinking").filter(|t| t.get("budget_tokens").is_some()) {
            let tag = thinking.get("type").and_then(Value::as_str).filter(|t| matches!(*t, "adaptive" | "disabled"));
            self.record(SupportRow::ThinkingBudget, || format!("thinking.{}.budget_tokens", tag.unwrap_or("enabled")));
        }
    }

    fn visit_tool(&mut self, tool: &Value, i: usize) {
        let Some(tag) = tool_tag(tool) else { return };
        let rows = [
            ("name", SupportRow::ToolName, tag == "custom"),
            ("description", SupportRow::ToolDescription, tag == "custom"),
            ("input_schema", SupportRow::ToolInputSchema, tag == "custom"),
            ("cache_control", SupportRow::ToolCacheControl, true),
        ];
        for (key, row, here) in rows {
            if here && is_set(tool, key) {
                self.record(row, || format!("tools.{i}.{tag}.{key}"));
            }
        }
    }

    fn visit_tool_choice(&mut self, choice: Option<&Value>) {
        match choice {
            Some(Value::String(_)) => self.record(SupportRow::ChoiceString, || "tool_choice".to_owned()),
            Some(Value::Object(object)) => {
                self.record(SupportRow::ChoiceObject, || "tool_choice".to_owned());
                let word = object.get("type").and_then(Value::as_str).unwrap_or_default();
                let Some(rows) = choice_rows(word) else { return };
                self.record(rows.variant, || format!("tool_choice.{word}"));
                if let Some(row) = rows.parallel.filter(|_| object.contains_key("disable_parallel_tool_use")) {
                    self.record(row, || format!("tool_choice.{word}.disable_parallel_tool_use"));
                }
            }
            _ => {}
        }
    }

    fn visit_message(&mut self, message: &Value, path: &str) {
        match message.get("content") {
            Some(Value::String(_)) => self.record(SupportRow::ContentString, || path.to_owned()),
            content => {
                for (i, block) in array_items(content).iter().enumerate() {
                    self.visit_block(block, &format!("{path}.{i}"));
                }
            }
        }
    }

    fn visit_block(&mut self, value: &Value, path: &str) {
        let Some(block) = block_kind(value) else { return };
        let tag = block.as_str();
        if let Some(row) = block.row() {
            self.record(row, || format!("{path}.{tag}"));
        }
        for (key, row) in block.key_rows() {
            if is_set(value, key) {
                self.record(*row, || format!("{path}.{tag}.{key}"));
            }
        }
        let nested = match block {
            ContentBlockKind::ToolResult => ("content", value.get("content")),
            ContentBlockKind::Document => ("source.content", value.pointer("/source/content")),
            _ => return,
        };
        for (i, inner) in array_items(nested.1).iter().enumerate() {
            self.visit_nested_block(inner, &format!("{path}.{tag}.{}.{i}", nested.0));
        }
    }

    /// A block inside a tool's result or a document. Text and markers there belong to the block around them.
    fn visit_nested_block(&mut self, value: &Value, path: &str) {
        let Some(block) = block_kind(value) else { return };
        if let Some(row) = block.row() {
            self.record(row, || format!("{path}.{}", block.as_str()));
        }
        if block == ContentBlockKind::Document {
            for (i, inner) in array_items(value.pointer("/source/content")).iter().enumerate() {
                if let Some((row, inner)) = block_kind(inner).and_then(|b| b.row().map(|row| (row, b))) {
                    self.record(row, || format!("{path}.document.source.content.{i}.{}", inner.as_str()));
                }
            }
        }
    }
}

/// A tool's tag in paths: its type, `custom` for the client's own tools.
pub(crate) fn tool_tag(tool: &Value) -> Option<&str> {
    match tool.as_object()?.get("type") {
        None | Some(Value::Null) => Some("custom"),
        Some(Value::String(word)) => Some(crate::simulator::error_path::truncate_text(word)),
        Some(_) => None,
    }
}

/// The rows of one kind of `tool_choice` object.
pub(crate) struct ChoiceRows {
    pub variant: SupportRow,
    /// The row of `disable_parallel_tool_use`, which `none` does not have.
    pub parallel: Option<SupportRow>,
}

/// The rows of a `tool_choice` object of this `type`.
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

/// The entries of an array; none when it is no array.
pub(crate) fn array_items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The kind of a block, when its `type` is known.
pub(crate) fn block_kind(value: &Value) -> Option<ContentBlockKind> {
    ContentBlockKind::from_type(value.get("type")?.as_str()?)
}

/// A key that says something: `cache_control: null` and the like are how clients leave it out.
fn is_set(value: &Value, key: &str) -> bool {
    value.get(key).is_some_and(|v| !v.is_null() || !matches!(key, "cache_control" | "citations"))
}
