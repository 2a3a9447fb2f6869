//! Faults of messages, in streams and in non-streaming responses: [`MessageFault`].

use serde_json::{Value, json};

use crate::simulator::fault::catalog::MessageFault;
use crate::simulator::rng::RequestRng;

/// The tokens that a wrong count adds: many for a short prompt, but fewer than the bytes of its
/// request.
const EXTRA_INPUT_TOKENS: u64 = 150;

/// The count of a server that does not count.
const CONSTANT_INPUT_TOKENS: u64 = 21;

/// Whether streams cannot have the fault, or have another fault for it.
fn is_full_body_only(fault: MessageFault) -> bool {
    use MessageFault as F;
    matches!(fault, F::ErrorInSuccess | F::NoMessage | F::ContentShape | F::UsageMissing)
}

/// Changes a message before it is sent, as a stream or as a non-streaming response.
pub(super) fn apply(fault: MessageFault, message: &mut Value, is_stream: bool, rng: &mut RequestRng) {
    use MessageFault as F;
    if is_stream && is_full_body_only(fault) {
        return;
    }
    match fault {
        F::ErrorInSuccess => *message = json!({"type": "error", "error": {"type": "api_error", "message": "lost"}}),
        F::NoMessage => *message = json!({"object": "chat.completion", "choices": []}),
        F::Type => remove_key(message, "type"),
        F::Role => remove_key(message, "role"),
        F::IdMissing => message["id"] = Value::Null,
        F::IdPrefix => message["id"] = json!(format!("chatcmpl-{}", message["id"].as_str().unwrap_or_default())),
        F::ModelMissing => remove_key(message, "model"),
        F::ContentShape => message["content"] = Value::Null,
        F::ContentEmpty => {
            if message["stop_reason"] == "end_turn" {
                message["content"] = json!([]);
            }
        }
        F::BlockShape => for_each_block(message, "text", |block| block["text"] = Value::Null),
        F::BlockUnknown => push_block(message, json!({"type": "hologram"})),
        F::TextEmpty => push_block(message, json!({"type": "text", "text": ""})),
        F::SignatureMissing => for_each_block(message, "thinking", |block| block["signature"] = json!("")),
        F::SignatureConstant => for_each_block(message, "thinking", |block| block["signature"] = json!("c2FtZQ==")),
        F::SignatureStray => for_each_block(message, "text", |block| block["signature"] = json!("c3RyYXk=")),
        F::ThinkingInText => push_block(message, json!({"type": "text", "text": "<think>So be it.</think>"})),
        F::StopReasonMissing => message["stop_reason"] = Value::Null,
        F::StopReasonUnknown => {
            if message["stop_reason"] == "end_turn" {
                message["stop_reason"] = json!("stop");
            }
        }
        F::StopReasonLost => {
            if message["stop_reason"] == "max_tokens" || message["stop_reason"] == "stop_sequence" {
                message["stop_reason"] = json!("end_turn");
                message["stop_sequence"] = Value::Null;
            }
        }
        F::StopSequenceMismatch => message["stop_sequence"] = Value::Null,
        F::StopSequenceInText => {
            if let Some(sequence) = message["stop_sequence"].as_str().map(str::to_owned) {
                push_block(message, json!({"type": "text", "text": format!("So much for {sequence}")}));
            }
        }
        F::IdRepeated => message["id"] = json!("msg_01simulated"),
        F::StopSequenceKeyMissing => remove_key(message, "stop_sequence"),
        F::ToolWithoutStopToolUse => {
            if message["stop_reason"] == "tool_use" {
                message["stop_reason"] = json!("end_turn");
            }
        }
        F::StopToolUseWithoutTool => {
            if let Some(blocks) = message["content"].as_array_mut() {
                blocks.retain(|block| block["type"] != "tool_use");
            }
        }
        F::KeyUnknown => message["created"] = json!(1),
        F::UsageMissing => remove_key(message, "usage"),
        F::Counter => message["usage"]["cache_read_input_tokens"] = json!("12"),
        F::InputZero => set_input_tokens(message, 0),
        F::InputConstant => set_input_tokens(message, CONSTANT_INPUT_TOKENS),
        F::OutputZero => {
            message["usage"]["output_tokens"] = json!(0);
            message["usage"]["output_tokens_details"] = Value::Null;
        }
        F::InputMoreThanSent => add_input_tokens(message, 1_000_000),
        F::RepeatDiffers if rng.bernoulli(0.5) => add_input_tokens(message, EXTRA_INPUT_TOKENS),
        F::TwinDiffers if is_stream => add_input_tokens(message, EXTRA_INPUT_TOKENS),
        F::RepeatDiffers | F::TwinDiffers => {}
        F::OverMaxTokens => message["usage"]["output_tokens"] = json!(1_000_000_000),
        F::CacheSum => message["usage"]["cache_creation"]["ephemeral_5m_input_tokens"] = json!(1_000_000),
        F::CacheMissing => remove_key(&mut message["usage"], "cache_read_input_tokens"),
        F::Thinking => message["usage"]["output_tokens_details"] = json!({"thinking_tokens": 1_000_000}),
        F::ToolShape => for_each_block(message, "tool_use", |block| block["id"] = Value::Null),
        F::ToolIdPattern => for_each_block(message, "tool_use", |block| {
            block["id"] = json!(format!("functions.{}:0", block["id"].as_str().unwrap_or_default()));
        }),
        F::ToolIdDuplicate => {
            let call = message["content"].as_array().and_then(|b| b.iter().find(|b| b["type"] == "tool_use")).cloned();
            if let Some(call) = call {
                push_block(message, call);
            }
        }
        F::ToolNameUnknown => for_each_block(message, "tool_use", |block| block["name"] = json!("nobody_sent_this")),
        F::ToolInputShape => for_each_block(message, "tool_use", |block| block["input"] = json!("")),
        F::ToolInputSchema => for_each_block(message, "tool_use", |block| {
            block["input"].as_object_mut().into_iter().flatten().for_each(|(_, value)| *value = Value::Null);
        }),
        F::ToolIdRepeated => {
            let mut calls = message["content"].as_array_mut().into_iter().flatten().filter(|b| b["type"] == "tool_use");
            if let Some(last) = calls.next_back() {
                last["id"] = json!("toolu_01simulated");
            }
        }
        F::ToolMarkup => push_block(message, json!({"type": "text", "text": "<tool_call>{}</tool_call>"})),
    }
}

fn set_input_tokens(message: &mut Value, tokens: u64) {
    for key in ["cache_read_input_tokens", "cache_creation_input_tokens"] {
        message["usage"][key] = json!(0);
    }
    message["usage"]["input_tokens"] = json!(tokens);
    message["usage"]["cache_creation"] = Value::Null;
}

fn add_input_tokens(message: &mut Value, extra: u64) {
    let counted = message["usage"]["input_tokens"].as_u64().unwrap_or_default();
    message["usage"]["input_tokens"] = json!(counted + extra);
}

fn remove_key(value: &mut Value, key: &str) {
    if let Some(map) = value.as_object_mut() {
        map.shift_remove(key);
    }
}

fn push_block(message: &mut Value, block: Value) {
    if let Some(blocks) = message["content"].as_array_mut() {
        blocks.push(block);
    }
}

fn for_each_block(message: &mut Value, kind: &str, edit: impl Fn(&mut Value)) {
    message["content"].as_array_mut().into_iter().flatten().filter(|block| block["type"] == kind).for_each(edit);
}
