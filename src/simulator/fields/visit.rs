//! The walk over a request's fields: [`visit_fields`] visits every place that a row owns.
//!
//! It reads the request as it was sent. A row is present whether or not its value is valid.

use serde_json::{Map, Value};

use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::fields::lookup::{array_items, block_kind, string_at, tool_tag};
use crate::simulator::fields::row::{SupportRow, choice_rows};

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

/// A place of a request that a row owns.
pub(super) struct FieldSlot {
    /// The place as error messages name it, with the tags of unions: `tools.0.custom.name`.
    pub path: String,
    /// The place as a JSON pointer: `/tools/0/name`.
    pub pointer: String,
}

impl FieldSlot {
    fn root(key: &str) -> Self {
        Self { path: key.to_owned(), pointer: format!("/{key}") }
    }

    fn key(&self, key: &str) -> Self {
        Self { path: format!("{}.{key}", self.path), pointer: format!("{}/{key}", self.pointer) }
    }

    fn index(&self, index: usize) -> Self {
        self.key(&index.to_string())
    }

    /// The same place, with the tag of a union in its error path.
    fn tag(&self, tag: &str) -> Self {
        Self { path: format!("{}.{tag}", self.path), pointer: self.pointer.clone() }
    }
}

/// Calls `on_field` for every place of the body that a row owns.
pub(super) fn visit_fields(body: &Map<String, Value>, on_field: &mut dyn FnMut(SupportRow, &FieldSlot)) {
    for (key, row) in FIELD_ROWS {
        // Clients send `container: null` for no container.
        if body.get(*key).is_some_and(|value| *row != SupportRow::Container || !value.is_null()) {
            on_field(*row, &FieldSlot::root(key));
        }
    }
    if let Some(thinking) = body.get("thinking").filter(|thinking| thinking.get("budget_tokens").is_some()) {
        let tag = string_at(thinking, "type").filter(|tag| matches!(*tag, "adaptive" | "disabled"));
        let slot = FieldSlot::root("thinking").tag(tag.unwrap_or("enabled"));
        on_field(SupportRow::ThinkingBudget, &slot.key("budget_tokens"));
    }
    let tools = FieldSlot::root("tools");
    for (i, tool) in array_items(body.get("tools")).iter().enumerate() {
        visit_tool(tool, &tools.index(i), on_field);
    }
    visit_tool_choice(body.get("tool_choice"), on_field);
    let messages = FieldSlot::root("messages");
    for (i, message) in array_items(body.get("messages")).iter().enumerate() {
        visit_content(message.get("content"), &messages.index(i).key("content"), on_field);
    }
}

fn visit_tool(tool: &Value, slot: &FieldSlot, on_field: &mut dyn FnMut(SupportRow, &FieldSlot)) {
    let Some(tag) = tool_tag(tool) else { return };
    let rows = [
        ("name", SupportRow::ToolName, tag == "custom"),
        ("description", SupportRow::ToolDescription, tag == "custom"),
        ("input_schema", SupportRow::ToolInputSchema, tag == "custom"),
        ("cache_control", SupportRow::ToolCacheControl, true),
    ];
    for (key, row, is_owned) in rows {
        if is_owned && is_set(tool, key) {
            on_field(row, &slot.tag(tag).key(key));
        }
    }
}

fn visit_tool_choice(choice: Option<&Value>, on_field: &mut dyn FnMut(SupportRow, &FieldSlot)) {
    let slot = FieldSlot::root("tool_choice");
    match choice {
        Some(Value::String(_)) => on_field(SupportRow::ChoiceString, &slot),
        Some(Value::Object(object)) => {
            on_field(SupportRow::ChoiceObject, &slot);
            let word = object.get("type").and_then(Value::as_str).unwrap_or_default();
            let Some(rows) = choice_rows(word) else { return };
            let slot = slot.tag(word);
            on_field(rows.variant, &slot);
            if let Some(row) = rows.parallel.filter(|_| object.contains_key("disable_parallel_tool_use")) {
                on_field(row, &slot.key("disable_parallel_tool_use"));
            }
        }
        _ => {}
    }
}

fn visit_content(content: Option<&Value>, slot: &FieldSlot, on_field: &mut dyn FnMut(SupportRow, &FieldSlot)) {
    if let Some(Value::String(_)) = content {
        on_field(SupportRow::ContentString, slot);
        return;
    }
    for (i, value) in array_items(content).iter().enumerate() {
        let Some(block) = block_kind(value) else { continue };
        let slot = slot.index(i).tag(block.as_str());
        if let Some(row) = block.row() {
            on_field(row, &slot);
        }
        for (key, row) in block.key_rows() {
            if is_set(value, key) {
                on_field(*row, &slot.key(key));
            }
        }
        visit_nested_blocks(block, value, &slot, on_field);
    }
}

/// Visits the blocks inside a tool result or a document. Their text and their cache markers belong
/// to the outer block.
fn visit_nested_blocks(
    block: ContentBlockKind,
    value: &Value,
    slot: &FieldSlot,
    on_field: &mut dyn FnMut(SupportRow, &FieldSlot),
) {
    let (content, slot) = match block {
        ContentBlockKind::ToolResult => (value.get("content"), slot.key("content")),
        ContentBlockKind::Document => (value.pointer("/source/content"), slot.key("source").key("content")),
        _ => return,
    };
    for (i, inner) in array_items(content).iter().enumerate() {
        let Some(block) = block_kind(inner) else { continue };
        let slot = slot.index(i).tag(block.as_str());
        if let Some(row) = block.row() {
            on_field(row, &slot);
        }
        if block == ContentBlockKind::Document {
            visit_nested_blocks(block, inner, &slot, on_field);
        }
    }
}

/// Whether a key has a value. Clients send `null` for an optional `cache_control` or `citations`.
fn is_set(value: &Value, key: &str) -> bool {
    value.get(key).is_some_and(|v| !v.is_null() || !matches!(key, "cache_control" | "citations"))
}
