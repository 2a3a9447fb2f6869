//! The checks of calls of client tools: ids, names and inputs.

use std::collections::HashSet;

use serde_json::Value;

use crate::checks::catalog::ProtocolCheck;
use crate::checks::collector::{FindingCollector, format_value};
use crate::checks::input_schema;

/// The markup of tool calls in model output. A server must convert it to blocks.
const TOOL_CALL_MARKERS: [&str; 5] = ["<tool_call>", "<function=", "<|tool_call", "<function_calls>", "[TOOL_CALLS]"];

pub(super) fn check(request_body: &Value, message: &Value, found: &mut FindingCollector) {
    let tools = request_body["tools"].as_array().map_or(&[][..], Vec::as_slice);
    let blocks = message["content"].as_array().map_or(&[][..], Vec::as_slice);
    let mut known: HashSet<&str> = iter_history_calls(request_body).filter_map(|call| call["id"].as_str()).collect();
    for block in blocks.iter().filter(|b| b["type"] == "tool_use") {
        let (Some(id), Some(name)) = (block["id"].as_str().filter(|id| !id.is_empty()), block["name"].as_str()) else {
            found.add(
                ProtocolCheck::ToolShape,
                format!("id is {}, name is {}", format_value(block.get("id")), format_value(block.get("name"))),
            );
            continue;
        };
        if !id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            found.add(ProtocolCheck::ToolIdPattern, format!("id is {id}"));
        }
        if !known.insert(id) {
            found.add(ProtocolCheck::ToolIdDuplicate, format!("two calls have the id {id}"));
        }
        // max_tokens may truncate the input of a call.
        if message["stop_reason"] == "max_tokens" {
            continue;
        }
        check_input(tools.iter().find(|t| t["name"] == name), name, block.get("input"), found);
    }
    let markup =
        blocks.iter().filter_map(|b| b["text"].as_str()).find(|t| TOOL_CALL_MARKERS.iter().any(|m| t.contains(m)));
    if let Some(text) = markup.filter(|_| !tools.is_empty()) {
        // A model may write the markup if the request contains it.
        let request = request_body.to_string();
        if !TOOL_CALL_MARKERS.iter().any(|m| request.contains(m)) {
            found.add(ProtocolCheck::ToolMarkup, text);
        }
    }
}

fn check_input(tool: Option<&Value>, name: &str, input: Option<&Value>, found: &mut FindingCollector) {
    let Some(input) = input.filter(|i| i.is_object()) else {
        found.add_value(ProtocolCheck::ToolInputShape, &format!("input of {name}"), input);
        return;
    };
    let Some(tool) = tool else {
        found.add(ProtocolCheck::ToolNameUnknown, format!("the request has no tool {name}"));
        return;
    };
    // Some rows send an invalid schema on purpose.
    let schema = &tool["input_schema"];
    if let Some(violation) = input_schema::find_violation(schema, input).filter(|_| schema.is_object()) {
        found.add(ProtocolCheck::ToolInputSchema, format!("input of {name}: {violation}"));
    }
}

/// Returns the tool calls in the earlier turns of a request.
pub(super) fn iter_history_calls(request_body: &Value) -> impl Iterator<Item = &Value> {
    let turns = request_body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    turns
        .iter()
        .flat_map(|turn| turn["content"].as_array().map_or(&[][..], Vec::as_slice))
        .filter(|block| block["type"] == "tool_use")
}
