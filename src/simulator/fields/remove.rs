//! Takes what is ignored out of a request, so that the rest of the server never sees it: request in, request out.
//!
//! What remains may have any shape, since the checks of an ignored row are off: everything behind this reads
//! leniently.

use serde_json::{Map, Value, json};

use crate::simulator::content_block::Block;
use crate::simulator::fields::find::{block_of, choice_rows, tool_tag};
use crate::simulator::fields::row::Row;
use crate::simulator::support::Filter;

/// Top-level keys that simply go.
const FIELDS: &[(&str, Row)] = &[
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

/// The request as the model of a server with these statuses sees it.
pub(crate) fn effective(mut body: Map<String, Value>, filter: &Filter) -> Map<String, Value> {
    for (key, row) in FIELDS {
        if filter.ignores(*row) {
            body.shift_remove(*key);
        }
    }
    if filter.ignores(Row::ThinkingBudget)
        && let Some(Value::Object(thinking)) = body.get_mut("thinking")
    {
        thinking.shift_remove("budget_tokens");
    }
    tool_choice(&mut body, filter);
    tools(&mut body, filter);
    for message in array_mut(body.get_mut("messages")) {
        if let Some(content) = message.get_mut("content") {
            self::content(content, filter);
        }
    }
    body
}

/// An ignored kind of choice becomes `auto` and keeps its flag; an ignored form is as good as absent.
fn tool_choice(body: &mut Map<String, Value>, filter: &Filter) {
    let is_gone = match body.get("tool_choice") {
        Some(Value::String(_)) => filter.ignores(Row::ChoiceString),
        Some(Value::Object(_)) => filter.ignores(Row::ChoiceObject),
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

fn tools(body: &mut Map<String, Value>, filter: &Filter) {
    let forced = body.get("tool_choice").and_then(|c| c.get("name")).cloned();
    let mut forced_now = None;
    for (i, tool) in array_mut(body.get_mut("tools")).iter_mut().enumerate() {
        let is_custom = tool_tag(tool) == Some("custom");
        let Some(tool) = tool.as_object_mut() else { continue };
        if filter.ignores(Row::ToolCacheControl) {
            tool.shift_remove("cache_control");
        }
        if !is_custom {
            continue;
        }
        for (key, row) in [("description", Row::ToolDescription), ("input_schema", Row::ToolInputSchema)] {
            if filter.ignores(row) {
                tool.shift_remove(key);
            }
        }
        if filter.ignores(Row::ToolName) {
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

fn content(content: &mut Value, filter: &Filter) {
    match content {
        Value::String(text) if filter.ignores(Row::ContentString) => text.clear(),
        Value::Array(blocks) => {
            blocks.retain(|block| !is_gone(block, filter));
            for value in blocks {
                if let Some(block) = block_of(value) {
                    self::block(block, value, filter);
                }
            }
        }
        _ => {}
    }
}

fn is_gone(value: &Value, filter: &Filter) -> bool {
    block_of(value).and_then(Block::row).is_some_and(|row| filter.ignores(row))
}

fn block(block: Block, value: &mut Value, filter: &Filter) {
    let Some(map) = value.as_object_mut() else { return };
    for (key, row) in block.key_rows() {
        // Ids that are not checked still tell which result belongs to which call.
        if filter.ignores(*row) && *row != Row::ToolUseId {
            map.shift_remove(*key);
        }
    }
    match block {
        Block::ToolResult => {
            nested(map.get_mut("content"), filter, filter.ignores(Row::ToolResultCacheControl));
        }
        Block::Document => nested(map.get_mut("source").and_then(|s| s.get_mut("content")), filter, false),
        _ => {}
    }
}

/// Blocks inside a result or a document: whole blocks go by their own rows, markers by the result's.
fn nested(content: Option<&mut Value>, filter: &Filter, without_markers: bool) {
    let Some(Value::Array(blocks)) = content else { return };
    blocks.retain(|block| !is_gone(block, filter));
    for block in blocks {
        if block_of(block) == Some(Block::Document) {
            nested(block.get_mut("source").and_then(|s| s.get_mut("content")), filter, false);
        }
        if let Some(map) = block.as_object_mut().filter(|_| without_markers) {
            map.shift_remove("cache_control");
        }
    }
}

fn array_mut(value: Option<&mut Value>) -> &mut [Value] {
    match value {
        Some(Value::Array(entries)) => entries,
        _ => &mut [],
    }
}
