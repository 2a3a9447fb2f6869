//! A server with a small schema. It rejects every other key, with the error text of schema
//! libraries.

use serde_json::Value;

const TOP: [&str; 9] =
    ["model", "max_tokens", "messages", "stream", "system", "temperature", "stop_sequences", "tools", "tool_choice"];
const TOOL: [&str; 3] = ["name", "description", "input_schema"];
const CHOICE: [&str; 2] = ["type", "name"];

/// The known keys of a block. Only `type` for unknown blocks.
fn block_keys(kind: &str) -> &'static [&'static str] {
    match kind {
        "text" => &["type", "text"],
        "tool_use" => &["type", "id", "name", "input"],
        "tool_result" => &["type", "tool_use_id", "content"],
        _ => &["type"],
    }
}

/// The path of the first unknown key.
pub fn unknown_key(body: &Value) -> Option<String> {
    if let Some(key) = outside(body, &TOP) {
        return Some(key);
    }
    for (i, tool) in list(&body["tools"]).iter().enumerate() {
        if let Some(key) = outside(tool, &TOOL) {
            return Some(format!("tools.{i}.custom.{key}"));
        }
    }
    if let Some(key) = outside(&body["tool_choice"], &CHOICE) {
        return Some(format!("tool_choice.{key}"));
    }
    for (m, message) in list(&body["messages"]).iter().enumerate() {
        if let Some(place) = in_blocks(&message["content"]) {
            return Some(format!("messages.{m}.{place}"));
        }
    }
    in_blocks(&body["system"]).map(|place| format!("system.{place}"))
}

fn in_blocks(content: &Value) -> Option<String> {
    list(content).iter().enumerate().find_map(|(b, block)| {
        let kind = block["type"].as_str().unwrap_or_default();
        let within = || in_blocks(&block["content"]);
        outside(block, block_keys(kind)).or_else(within).map(|key| format!("content.{b}.{kind}.{key}"))
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn outside(object: &Value, known: &[&str]) -> Option<String> {
    object.as_object()?.keys().find(|key| !known.contains(&key.as_str())).cloned()
}
