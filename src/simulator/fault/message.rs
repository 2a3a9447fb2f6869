//! Faults of messages that come whole.

use serde_json::{Value, json};

super::faults! { MessageFault {
    ErrorInSuccess = "message.error-in-success",
    NoMessage = "message.no-message",
    Type = "message.type",
    Role = "message.role",
    IdMissing = "message.id-missing",
    IdPrefix = "message.id-prefix",
    ModelMissing = "message.model-missing",
    ContentShape = "message.content-shape",
    BlockUnknown = "message.block-unknown",
    TextEmpty = "message.text-empty",
    SignatureMissing = "message.signature-missing",
    ThinkingInText = "message.thinking-in-text",
    StopReasonMissing = "message.stop-reason-missing",
    StopSequenceKeyMissing = "message.stop-sequence-key-missing",
    ToolWithoutStopToolUse = "message.tool-without-stop-tool-use",
    StopToolUseWithoutTool = "message.stop-tool-use-without-tool",
    KeyUnknown = "message.key-unknown",
    UsageMissing = "usage.missing",
    Counter = "usage.counter",
    InputZero = "usage.input-zero",
    OverMaxTokens = "usage.over-max-tokens",
    CacheSum = "usage.cache-sum",
    CacheMissing = "usage.cache-missing",
    Thinking = "usage.thinking",
    ToolShape = "tool.shape",
    ToolIdPattern = "tool.id-pattern",
    ToolIdDuplicate = "tool.id-duplicate",
    ToolNameUnknown = "tool.name-unknown",
    ToolInputShape = "tool.input-shape",
    ToolMarkup = "tool.markup",
} }

pub(super) fn spoil(fault: MessageFault, message: &mut Value) {
    use MessageFault as F;
    match fault {
        F::ErrorInSuccess => *message = json!({"type": "error", "error": {"type": "api_error", "message": "lost"}}),
        F::NoMessage => *message = json!({"object": "chat.completion", "choices": []}),
        F::Type => remove(message, "type"),
        F::Role => remove(message, "role"),
        F::IdMissing => message["id"] = Value::Null,
        F::IdPrefix => message["id"] = json!("chatcmpl-1"),
        F::ModelMissing => remove(message, "model"),
        F::ContentShape => message["content"] = Value::Null,
        F::BlockUnknown => push(message, json!({"type": "hologram"})),
        F::TextEmpty => push(message, json!({"type": "text", "text": ""})),
        F::SignatureMissing => each(message, "thinking", |block| block["signature"] = json!("")),
        F::ThinkingInText => push(message, json!({"type": "text", "text": "<think>So be it.</think>"})),
        F::StopReasonMissing => message["stop_reason"] = Value::Null,
        F::StopSequenceKeyMissing => remove(message, "stop_sequence"),
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
        F::UsageMissing => remove(message, "usage"),
        F::Counter => message["usage"]["input_tokens"] = json!("12"),
        F::InputZero => {
            for key in ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] {
                message["usage"][key] = json!(0);
            }
            message["usage"]["cache_creation"] = Value::Null;
        }
        F::OverMaxTokens => message["usage"]["output_tokens"] = json!(1_000_000_000),
        F::CacheSum => message["usage"]["cache_creation"]["ephemeral_5m_input_tokens"] = json!(1_000_000),
        F::CacheMissing => remove(&mut message["usage"], "cache_read_input_tokens"),
        F::Thinking => message["usage"]["output_tokens_details"] = json!({"thinking_tokens": 1_000_000}),
        F::ToolShape => each(message, "tool_use", |block| block["id"] = Value::Null),
        F::ToolIdPattern => each(message, "tool_use", |block| block["id"] = json!("functions.call:0")),
        F::ToolIdDuplicate => {
            let call = message["content"].as_array().and_then(|b| b.iter().find(|b| b["type"] == "tool_use")).cloned();
            if let Some(call) = call {
                push(message, call);
            }
        }
        F::ToolNameUnknown => each(message, "tool_use", |block| block["name"] = json!("nobody_sent_this")),
        F::ToolInputShape => each(message, "tool_use", |block| block["input"] = json!("{}")),
        F::ToolMarkup => push(message, json!({"type": "text", "text": "<tool_call>{}</tool_call>"})),
    }
}

fn remove(value: &mut Value, key: &str) {
    if let Some(map) = value.as_object_mut() {
        map.shift_remove(key);
    }
}

fn push(message: &mut Value, block: Value) {
    if let Some(blocks) = message["content"].as_array_mut() {
        blocks.push(block);
    }
}

fn each(message: &mut Value, kind: &str, spoil: impl Fn(&mut Value)) {
    message["content"].as_array_mut().into_iter().flatten().filter(|block| block["type"] == kind).for_each(spoil);
}
