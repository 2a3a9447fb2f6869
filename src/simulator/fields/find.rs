//! Finds the rows that a request carries, and where: what the refusal of unsupported rows is made of.
//!
//! Looks at the raw request and judges nothing: a row is present whether or not its value makes sense.

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::simulator::content_block::Block;
use crate::simulator::fields::row::Row;

/// Top-level keys that are rows.
const FIELDS: &[(&str, Row)] = &[
    ("model", Row::Model),
    ("max_tokens", Row::MaxTokens),
    ("container", Row::Container),
    ("mcp_servers", Row::McpServers),
    ("metadata", Row::Metadata),
    ("service_tier", Row::ServiceTier),
    ("stop_sequences", Row::StopSequences),
    ("stream", Row::Stream),
    ("system", Row::System),
    ("temperature", Row::Temperature),
    ("thinking", Row::Thinking),
    ("top_k", Row::TopK),
    ("top_p", Row::TopP),
];

const HEADERS: &[(&str, Row)] = &[("anthropic-beta", Row::AnthropicBeta), ("anthropic-version", Row::AnthropicVersion)];

/// All occurrences of the wanted rows with their paths, in the order of the request.
pub(crate) fn occurrences(
    headers: &HeaderMap,
    body: &Map<String, Value>,
    wanted: &dyn Fn(Row) -> bool,
) -> Vec<(Row, String)> {
    let mut finder = Finder { wanted, found: Vec::new() };
    for (name, row) in HEADERS {
        if headers.contains_key(*name) {
            finder.note(*row, || format!("header {name}"));
        }
    }
    finder.fields(body);
    for (i, tool) in array(body.get("tools")).iter().enumerate() {
        finder.tool(tool, i);
    }
    finder.tool_choice(body.get("tool_choice"));
    for (i, message) in array(body.get("messages")).iter().enumerate() {
        finder.message(message, &format!("messages.{i}.content"));
    }
    finder.found
}

struct Finder<'a> {
    wanted: &'a dyn Fn(Row) -> bool,
    found: Vec<(Row, String)>,
}

impl Finder<'_> {
    fn note(&mut self, row: Row, path: impl FnOnce() -> String) {
        if (self.wanted)(row) {
            self.found.push((row, path()));
        }
    }

    fn fields(&mut self, body: &Map<String, Value>) {
        for (key, row) in FIELDS {
            // `container: null` is how clients leave it out.
            if body.get(*key).is_some_and(|value| *row != Row::Container || !value.is_null()) {
                self.note(*row, || (*key).to_owned());
            }
        }
        if let Some(thinking) = body.get("thinking").filter(|t| t.get("budget_tokens").is_some()) {
            let tag = thinking.get("type").and_then(Value::as_str).filter(|t| matches!(*t, "adaptive" | "disabled"));
            self.note(Row::ThinkingBudget, || format!("thinking.{}.budget_tokens", tag.unwrap_or("enabled")));
        }
    }

    fn tool(&mut self, tool: &Value, i: usize) {
        let Some(tag) = tool_tag(tool) else { return };
        let rows = [
            ("name", Row::ToolName, tag == "custom"),
            ("description", Row::ToolDescription, tag == "custom"),
            ("input_schema", Row::ToolInputSchema, tag == "custom"),
            ("cache_control", Row::ToolCacheControl, true),
        ];
        for (key, row, here) in rows {
            if here && is_set(tool, key) {
                self.note(row, || format!("tools.{i}.{tag}.{key}"));
            }
        }
    }

    fn tool_choice(&mut self, choice: Option<&Value>) {
        match choice {
            Some(Value::String(_)) => self.note(Row::ChoiceString, || "tool_choice".to_owned()),
            Some(Value::Object(object)) => {
                self.note(Row::ChoiceObject, || "tool_choice".to_owned());
                let word = object.get("type").and_then(Value::as_str).unwrap_or_default();
                let Some(rows) = choice_rows(word) else { return };
                self.note(rows.variant, || format!("tool_choice.{word}"));
                if let Some(row) = rows.parallel.filter(|_| object.contains_key("disable_parallel_tool_use")) {
                    self.note(row, || format!("tool_choice.{word}.disable_parallel_tool_use"));
                }
            }
            _ => {}
        }
    }

    fn message(&mut self, message: &Value, path: &str) {
        match message.get("content") {
            Some(Value::String(_)) => self.note(Row::ContentString, || path.to_owned()),
            content => {
                for (i, block) in array(content).iter().enumerate() {
                    self.block(block, &format!("{path}.{i}"));
                }
            }
        }
    }

    fn block(&mut self, value: &Value, path: &str) {
        let Some(block) = block_of(value) else { return };
        let tag = block.word();
        if let Some(row) = block.row() {
            self.note(row, || format!("{path}.{tag}"));
        }
        for (key, row) in block.key_rows() {
            if is_set(value, key) {
                self.note(*row, || format!("{path}.{tag}.{key}"));
            }
        }
        let nested = match block {
            Block::ToolResult => ("content", value.get("content")),
            Block::Document => ("source.content", value.pointer("/source/content")),
            _ => return,
        };
        for (i, inner) in array(nested.1).iter().enumerate() {
            self.nested(inner, &format!("{path}.{tag}.{}.{i}", nested.0));
        }
    }

    /// A block inside a tool's result or a document. Text and markers there belong to the block around them.
    fn nested(&mut self, value: &Value, path: &str) {
        let Some(block) = block_of(value) else { return };
        if let Some(row) = block.row() {
            self.note(row, || format!("{path}.{}", block.word()));
        }
        if block == Block::Document {
            for (i, inner) in array(value.pointer("/source/content")).iter().enumerate() {
                if let Some((row, inner)) = block_of(inner).and_then(|b| b.row().map(|row| (row, b))) {
                    self.note(row, || format!("{path}.document.source.content.{i}.{}", inner.word()));
                }
            }
        }
    }
}

/// A tool's tag in paths: its type, `custom` for the client's own tools.
pub(crate) fn tool_tag(tool: &Value) -> Option<&str> {
    match tool.as_object()?.get("type") {
        None | Some(Value::Null) => Some("custom"),
        Some(Value::String(word)) => Some(crate::simulator::error_path::clip(word)),
        Some(_) => None,
    }
}

/// The rows of one kind of `tool_choice` object.
pub(crate) struct ChoiceRows {
    pub variant: Row,
    /// The row of `disable_parallel_tool_use`, which `none` does not have.
    pub parallel: Option<Row>,
}

/// The rows of a `tool_choice` object of this `type`.
pub(crate) fn choice_rows(word: &str) -> Option<ChoiceRows> {
    let (variant, parallel) = match word {
        "none" => (Row::ChoiceNone, None),
        "auto" => (Row::ChoiceAuto, Some(Row::ChoiceAutoParallel)),
        "any" => (Row::ChoiceAny, Some(Row::ChoiceAnyParallel)),
        "tool" => (Row::ChoiceTool, Some(Row::ChoiceToolParallel)),
        _ => return None,
    };
    Some(ChoiceRows { variant, parallel })
}

/// The entries of an array; none when it is no array.
pub(crate) fn array(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The kind of a block, when its `type` is known.
pub(crate) fn block_of(value: &Value) -> Option<Block> {
    Block::of(value.get("type")?.as_str()?)
}

/// A key that says something: `cache_control: null` and the like are how clients leave it out.
fn is_set(value: &Value, key: &str) -> bool {
    value.get(key).is_some_and(|v| !v.is_null() || !matches!(key, "cache_control" | "citations"))
}
