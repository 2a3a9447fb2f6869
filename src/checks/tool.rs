//! Calls of the client's tools: ids, names, inputs.

use std::collections::HashSet;

use serde_json::Value;

use crate::checks::{FindingCollector, ProtocolCheck, format_value};

/// Marks with which models write calls, and which a server should have turned into blocks.
const TOOL_CALL_MARKERS: [&str; 5] = ["<tool_call>", "<function=", "<|tool_call", "<function_calls>", "[TOOL_CALLS]"];

pub(super) fn check(asked: &Value, message: &Value, found: &mut FindingCollector) {
    let tools = asked["tools"].as_array().map_or(&[][..], Vec::as_slice);
    let blocks = message["content"].as_array().map_or(&[][..], Vec::as_slice);
    let mut known: HashSet<&str> = iter_history_calls(asked).filter_map(|call| call["id"].as_str()).collect();
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
            found.add(ProtocolCheck::ToolIdDuplicate, format!("id {id} is there twice"));
        }
        // A call that was cut by max_tokens has half an input at best.
        if message["stop_reason"] == "max_tokens" {
            continue;
        }
        check_input(tools.iter().find(|t| t["name"] == name), name, block.get("input"), found);
    }
    let markup =
        blocks.iter().filter_map(|b| b["text"].as_str()).find(|t| TOOL_CALL_MARKERS.iter().any(|m| t.contains(m)));
    if let Some(text) = markup.filter(|_| !tools.is_empty()) {
        // A model may speak of the marks where the request does.
        let request = asked.to_string();
        if !TOOL_CALL_MARKERS.iter().any(|m| request.contains(m)) {
            found.add(ProtocolCheck::ToolMarkup, text);
        }
    }
}

fn check_input(tool: Option<&Value>, name: &str, input: Option<&Value>, found: &mut FindingCollector) {
    let Some(input) = input.filter(|i| i.is_object()) else {
        found.add(ProtocolCheck::ToolInputShape, format!("input of {name} is {}", format_value(input)));
        return;
    };
    let Some(tool) = tool else {
        found.add(ProtocolCheck::ToolNameUnknown, format!("no tool {name} was sent"));
        return;
    };
    // A schema that is none, sent on purpose, obliges nobody.
    let Ok(validator) = jsonschema::validator_for(&tool["input_schema"]) else { return };
    if tool["input_schema"].is_object()
        && let Some(error) = validator.iter_errors(input).next()
    {
        found.add(ProtocolCheck::ToolInputSchema, format!("input of {name}: {error}"));
    }
}

/// The calls in the request's history.
pub(super) fn iter_history_calls(asked: &Value) -> impl Iterator<Item = &Value> {
    let turns = asked["messages"].as_array().map_or(&[][..], Vec::as_slice);
    turns
        .iter()
        .flat_map(|turn| turn["content"].as_array().map_or(&[][..], Vec::as_slice))
        .filter(|block| block["type"] == "tool_use")
}
