//! The message: its envelope, its blocks, and why it stopped. Streams come here once they are put together.

use serde_json::Value;

use crate::checks::{Check, Found, shown};

/// Keys that the reference gives a message.
const KEYS: [&str; 13] = [
    "id",
    "type",
    "role",
    "model",
    "content",
    "stop_reason",
    "stop_sequence",
    "stop_details",
    "usage",
    "container",
    "diagnostics",
    "context_management",
    "input_transformations",
];

/// Reasons that the reference names.
const STOP_REASONS: [&str; 8] = [
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
    "compaction",
];

/// Blocks of answers that the reference names; those of tools that run at the server end alike.
pub(super) const BLOCKS: [&str; 11] = [
    "text",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "server_tool_use",
    "container_upload",
    "mcp_tool_use",
    "mcp_tool_result",
    "mcp_tool_listing",
    "compaction",
    "fallback",
];

pub(super) fn check(asked: &Value, message: &Value, found: &mut Found) {
    envelope(message, found);
    match message["content"].as_array() {
        Some(blocks) if blocks.iter().all(|b| b["type"].is_string()) => {
            blocks.iter().for_each(|block| check_block(asked, block, found));
            let after_tool = asked["messages"].as_array().and_then(|m| m.last()).is_some_and(has_tool_result);
            if blocks.is_empty() && message["stop_reason"] == "end_turn" && !after_tool {
                found.add(Check::ContentEmpty, "end_turn with no content");
            }
            stop(asked, message, blocks, found);
        }
        Some(_) => found.add(Check::ContentShape, "a block without a type"),
        None => found.add(Check::ContentShape, format!("content is {}", shown(message.get("content")))),
    }
}

fn envelope(message: &Value, found: &mut Found) {
    let mut constant = |key: &str, wanted: &str, check: Check| {
        if message[key] != wanted {
            found.add(check, format!("{key} is {}", shown(message.get(key))));
        }
    };
    constant("type", "message", Check::MessageType);
    constant("role", "assistant", Check::MessageRole);
    match message["id"].as_str() {
        None | Some("") => found.add(Check::MessageIdMissing, format!("id is {}", shown(message.get("id")))),
        Some(id) if !id.starts_with("msg_") => found.add(Check::MessageIdPrefix, format!("id is {id}")),
        Some(_) => {}
    }
    if message["model"].as_str().is_none_or(str::is_empty) {
        found.add(Check::ModelMissing, format!("model is {}", shown(message.get("model"))));
    }
    let unknown: Vec<&str> =
        message.as_object().into_iter().flatten().map(|(k, _)| k.as_str()).filter(|k| !KEYS.contains(k)).collect();
    if !unknown.is_empty() {
        found.add(Check::MessageKeyUnknown, unknown.join(", "));
    }
}

fn has_tool_result(turn: &Value) -> bool {
    turn["content"].as_array().is_some_and(|blocks| blocks.iter().any(|b| b["type"] == "tool_result"))
}

fn check_block(asked: &Value, block: &Value, found: &mut Found) {
    let kind = block["type"].as_str().unwrap_or_default();
    if matches!(kind, "text" | "tool_use") && block["signature"].as_str().is_some_and(|signature| !signature.is_empty())
    {
        found.add(
            Check::SignatureStray,
            format!("a block of type {kind} with signature {}", shown(block.get("signature"))),
        );
    }
    match kind {
        "text" => match block["text"].as_str() {
            None => found.add(Check::BlockShape, format!("text is {}", shown(block.get("text")))),
            Some("") => found.add(Check::TextEmpty, "a text block with an empty text"),
            Some(text) => {
                // A model may speak of the mark where it was asked to.
                if text.trim_start().starts_with("<think>") && !asked.to_string().contains("<think>") {
                    found.add(Check::ThinkingInText, text);
                }
            }
        },
        "thinking" => {
            if !block["thinking"].is_string() {
                found.add(Check::BlockShape, format!("thinking is {}", shown(block.get("thinking"))));
            }
            if block["signature"].as_str().is_none_or(str::is_empty) {
                found.add(Check::SignatureMissing, format!("signature is {}", shown(block.get("signature"))));
            }
        }
        "redacted_thinking" if !block["data"].is_string() => {
            found.add(Check::BlockShape, format!("data is {}", shown(block.get("data"))));
        }
        _ if !BLOCKS.contains(&kind) && !kind.ends_with("_tool_result") => found.add(Check::BlockUnknown, kind),
        _ => {}
    }
}

fn stop(asked: &Value, message: &Value, blocks: &[Value], found: &mut Found) {
    let Some(reason) = message["stop_reason"].as_str() else {
        found.add(Check::StopReasonMissing, format!("stop_reason is {}", shown(message.get("stop_reason"))));
        return;
    };
    if !STOP_REASONS.contains(&reason) {
        found.add(Check::StopReasonUnknown, format!("stop_reason is {reason}"));
    }
    let has_tool = blocks.iter().any(|b| b["type"] == "tool_use");
    if reason == "tool_use" && !has_tool {
        found.add(Check::StopToolUseWithoutTool, "stop_reason tool_use without a tool_use block");
    }
    if reason == "end_turn" && has_tool {
        found.add(Check::ToolWithoutStopToolUse, "a tool_use block with stop_reason end_turn");
    }
    let sequence = message.get("stop_sequence");
    let met = sequence.and_then(Value::as_str).filter(|met| reason == "stop_sequence" && !met.is_empty());
    let mut texts = blocks.iter().filter(|b| b["type"] == "text").filter_map(|b| b["text"].as_str());
    if let Some(met) = met
        && let Some(text) = texts.find(|text| text.contains(met))
    {
        found.add(Check::StopSequenceInText, format!("the answer stopped at {met}, and has it in its text: {text}"));
    }
    let sent = asked["stop_sequences"].as_array();
    match (reason == "stop_sequence", sequence) {
        (_, None) => found.add(Check::StopSequenceKeyMissing, "no key stop_sequence"),
        (false, Some(Value::Null)) => {}
        (true, Some(told)) if sent.is_some_and(|sent| sent.contains(told)) => {}
        (_, Some(told)) => found.add(
            Check::StopSequenceMismatch,
            format!("stop_reason {reason} with stop_sequence {told}, sent: {}", shown(asked.get("stop_sequences"))),
        ),
    }
}
