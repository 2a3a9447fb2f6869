//! The checks of a message: its envelope, its blocks and its stop reason. A stream is checked after
//! it is assembled.

use serde_json::Value;

use crate::checks::catalog::ProtocolCheck;
use crate::checks::collector::{FindingCollector, format_value};

/// The keys of a message in the API reference.
const MESSAGE_KEYS: [&str; 13] = [
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

/// The stop reasons in the API reference.
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

/// The types of response block in the API reference. The types of the results of server tools are
/// not in the list; they all end with `_tool_result`.
pub(super) const BLOCK_TYPES: [&str; 11] = [
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

pub(super) fn check(request_body: &Value, message: &Value, found: &mut FindingCollector) {
    check_envelope(message, found);
    match message["content"].as_array() {
        Some(blocks) if blocks.iter().all(|b| b["type"].is_string()) => {
            blocks.iter().for_each(|block| check_block(request_body, block, found));
            let follows_tool_result =
                request_body["messages"].as_array().and_then(|m| m.last()).is_some_and(has_tool_result);
            if blocks.is_empty() && message["stop_reason"] == "end_turn" && !follows_tool_result {
                found.add(ProtocolCheck::ContentEmpty, "end_turn without content");
            }
            check_stop_reason(request_body, message, blocks, found);
        }
        Some(_) => found.add(ProtocolCheck::ContentShape, "a block without a type"),
        None => found.add_value(ProtocolCheck::ContentShape, "content", message.get("content")),
    }
}

fn check_envelope(message: &Value, found: &mut FindingCollector) {
    if message["type"] != "message" {
        found.add_value(ProtocolCheck::MessageType, "type", message.get("type"));
    }
    if message["role"] != "assistant" {
        found.add_value(ProtocolCheck::MessageRole, "role", message.get("role"));
    }
    match message["id"].as_str() {
        None | Some("") => found.add_value(ProtocolCheck::MessageIdMissing, "id", message.get("id")),
        Some(id) if !id.starts_with("msg_") => found.add(ProtocolCheck::MessageIdPrefix, format!("id is {id}")),
        Some(_) => {}
    }
    if message["model"].as_str().is_none_or(str::is_empty) {
        found.add_value(ProtocolCheck::ModelMissing, "model", message.get("model"));
    }
    let unknown: Vec<&str> = message
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, _)| k.as_str())
        .filter(|k| !MESSAGE_KEYS.contains(k))
        .collect();
    if !unknown.is_empty() {
        found.add(ProtocolCheck::MessageKeyUnknown, unknown.join(", "));
    }
}

fn has_tool_result(turn: &Value) -> bool {
    turn["content"].as_array().is_some_and(|blocks| blocks.iter().any(|b| b["type"] == "tool_result"))
}

fn check_block(request_body: &Value, block: &Value, found: &mut FindingCollector) {
    let kind = block["type"].as_str().unwrap_or_default();
    if matches!(kind, "text" | "tool_use") && block["signature"].as_str().is_some_and(|signature| !signature.is_empty())
    {
        found.add(
            ProtocolCheck::SignatureStray,
            format!("a block of type {kind} with signature {}", format_value(block.get("signature"))),
        );
    }
    match kind {
        "text" => match block["text"].as_str() {
            None => found.add_value(ProtocolCheck::BlockShape, "text", block.get("text")),
            Some("") => found.add(ProtocolCheck::TextEmpty, "a text block with an empty text"),
            Some(text) => {
                // A model may write the tag if the request contains it.
                if text.trim_start().starts_with("<think>") && !request_body.to_string().contains("<think>") {
                    found.add(ProtocolCheck::ThinkingInText, text);
                }
            }
        },
        "thinking" => {
            if !block["thinking"].is_string() {
                found.add_value(ProtocolCheck::BlockShape, "thinking", block.get("thinking"));
            }
            if block["signature"].as_str().is_none_or(str::is_empty) {
                found.add_value(ProtocolCheck::SignatureMissing, "signature", block.get("signature"));
            }
        }
        "redacted_thinking" if !block["data"].is_string() => {
            found.add_value(ProtocolCheck::BlockShape, "data", block.get("data"));
        }
        _ if !BLOCK_TYPES.contains(&kind) && !kind.ends_with("_tool_result") => {
            found.add(ProtocolCheck::BlockUnknown, kind)
        }
        _ => {}
    }
}

fn check_stop_reason(request_body: &Value, message: &Value, blocks: &[Value], found: &mut FindingCollector) {
    let Some(reason) = message["stop_reason"].as_str() else {
        found.add_value(ProtocolCheck::StopReasonMissing, "stop_reason", message.get("stop_reason"));
        return;
    };
    if !STOP_REASONS.contains(&reason) {
        found.add(ProtocolCheck::StopReasonUnknown, format!("stop_reason is {reason}"));
    }
    let has_tool = blocks.iter().any(|b| b["type"] == "tool_use");
    if reason == "tool_use" && !has_tool {
        found.add(ProtocolCheck::StopToolUseWithoutTool, "stop_reason tool_use without a tool_use block");
    }
    if reason == "end_turn" && has_tool {
        found.add(ProtocolCheck::ToolWithoutStopToolUse, "a tool_use block with stop_reason end_turn");
    }
    let sequence = message.get("stop_sequence");
    let reached = sequence.and_then(Value::as_str).filter(|s| reason == "stop_sequence" && !s.is_empty());
    let mut texts = blocks.iter().filter(|b| b["type"] == "text").filter_map(|b| b["text"].as_str());
    if let Some(reached) = reached
        && let Some(text) = texts.find(|text| text.contains(reached))
    {
        found.add(
            ProtocolCheck::StopSequenceInText,
            format!("the response stopped at {reached}, and its text contains it: {text}"),
        );
    }
    let sent = request_body["stop_sequences"].as_array();
    match (reason == "stop_sequence", sequence) {
        (_, None) => found.add(ProtocolCheck::StopSequenceKeyMissing, "no key stop_sequence"),
        (false, Some(Value::Null)) => {}
        (true, Some(sequence)) if sent.is_some_and(|sent| sent.contains(sequence)) => {}
        (_, Some(sequence)) => found.add(
            ProtocolCheck::StopSequenceMismatch,
            format!(
                "stop_reason {reason} with stop_sequence {sequence}; stop_sequences of the request: {}",
                format_value(request_body.get("stop_sequences"))
            ),
        ),
    }
}
