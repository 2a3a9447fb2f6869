//! Takes what is ignored out of a request, so that the rest of the server never sees it: request in, request out.
//!
//! What remains may have any shape, since the checks of an ignored row are off: everything behind this reads
//! leniently.

use serde_json::{Map, Value, json};

use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::fields::find::{block_kind, choice_rows, tool_tag};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::support::SupportTable;

/// Top-level keys that simply go.
const REMOVABLE_FIELDS: &[(&str, SupportRow)] = &[
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

/// The request as the model of a server with these statuses sees it.
pub(crate) fn without_ignored(mut body: Map<String, Value>, filter: &SupportTable) -> Map<String, Value> {
    for (key, row) in REMOVABLE_FIELDS {
        if filter.ignores(*row) {
            body.shift_remove(*key);
        }
    }
    if filter.ignores(SupportRow::ThinkingBudget)
        && let Some(Value::Object(thinking)) = body.get_mut("thinking")
    {
        thinking.shift_remove("budget_tokens");
    }
    strip_tool_choice(&mut body, filter);
    strip_tools(&mut body, filter);
    for message in array_items_mut(body.get_mut("messages")) {
        if let Some(content) = message.get_mut("content") {
            strip_content(content, filter);
        }
    }
    body
}

/// An ignored kind of choice becomes `auto` and keeps its flag; an ignored form is as good as absent.
fn strip_tool_choice(body: &mut Map<String, Value>, filter: &SupportTable) {
    let is_gone = match body.get("tool_choice") {
        Some(Value::String(_)) => filter.ignores(SupportRow::ChoiceString),
        Some(Value::Object(_)) => filter.ignores(SupportRow::ChoiceObject),
        _ => false,
    };
    if is_gone {
        body.shift_remove("tool_choice");
    }
    let Some(Value::Object(choice)) = body.get_mut("tool_choice") else { return };
    let Some(rows) = choice.get("type").and_then(Value::as_str).and_then(choice_rows) else { return };
    if rows.parallel.is_some_and(|row| filter.ignores(row)) {
        choice.shift_remove("disable_parallel_tool_use");
    }
    if filter.ignores(rows.variant) {
        choice.insert("type".to_owned(), json!("auto"));
        choice.shift_remove("name");
    }
}

fn strip_tools(body: &mut Map<String, Value>, filter: &SupportTable) {
    let forced = body.get("tool_choice").and_then(|c| c.get("name")).cloned();
    let mut forced_now = None;
    for (i, tool) in array_items_mut(body.get_mut("tools")).iter_mut().enumerate() {
        let is_custom = tool_tag(tool) == Some("custom");
        let Some(tool) = tool.as_object_mut() else { continue };
        if filter.ignores(SupportRow::ToolCacheControl) {
            tool.shift_remove("cache_control");
        }
        if !is_custom {
            continue;
        }
        for (key, row) in [("description", SupportRow::ToolDescription), ("input_schema", SupportRow::ToolInputSchema)]
        {
            if filter.ignores(row) {
                tool.shift_remove(key);
            }
        }
        if filter.ignores(SupportRow::ToolName) {
            // The server calls its tools as it likes; a choice of one still means that one.
            let own = json!(format!("tool_{i}"));
            if forced.is_some() && tool.get("name") == forced.as_ref() {
                forced_now = forced_now.or(Some(own.clone()));
            }
            tool.insert("name".to_owned(), own);
        }
    }
    if let (Some(name), Some(Value::Object(choice))) = (forced_now, body.get_mut("tool_choice")) {
        choice.insert("name".to_owned(), name);
    }
}

fn strip_content(content: &mut Value, filter: &SupportTable) {
    match content {
        Value::String(text) if filter.ignores(SupportRow::ContentString) => text.clear(),
        Value::Array(blocks) => {
            blocks.retain(|block| !is_ignored_block(block, filter));
            for value in blocks {
                if let Some(block) = block_kind(value) {
                    strip_block(block, value, filter);
                }
            }
        }
        _ => {}
    }
}

fn is_ignored_block(value: &Value, filter: &SupportTable) -> bool {
    block_kind(value).and_then(ContentBlockKind::row).is_some_and(|row| filter.ignores(row))
}

fn strip_block(block: ContentBlockKind, value: &mut Value, filter: &SupportTable) {
    let Some(map) = value.as_object_mut() else { return };
    for (key, row) in block.key_rows() {
        // Ids that are not checked still tell which result belongs to which call.
        if filter.ignores(*row) && *row != SupportRow::ToolUseId {
            map.shift_remove(*key);
        }
    }
    match block {
        ContentBlockKind::ToolResult => {
            strip_nested_blocks(map.get_mut("content"), filter, filter.ignores(SupportRow::ToolResultCacheControl));
        }
        ContentBlockKind::Document => {
            strip_nested_blocks(map.get_mut("source").and_then(|s| s.get_mut("content")), filter, false)
        }
        _ => {}
    }
}

/// Blocks inside a result or a document: whole blocks go by their own rows, markers by the result's.
fn strip_nested_blocks(content: Option<&mut Value>, filter: &SupportTable, without_markers: bool) {
    let Some(Value::Array(blocks)) = content else { return };
    blocks.retain(|block| !is_ignored_block(block, filter));
    for block in blocks {
        if block_kind(block) == Some(ContentBlockKind::Document) {
            strip_nested_blocks(block.get_mut("source").and_then(|s| s.get_mut("content")), filter, false);
        }
        if let Some(map) = block.as_object_mut().filter(|_| without_markers) {
            map.shift_remove("cache_control");
        }
    }
}

fn array_items_mut(value: Option<&mut Value>) -> &mut [Value] {
    match value {
        Some(Value::Array(entries)) => entries,
        _ => &mut [],
    }
}
