//! Faults of messages, before they go out, whole or as a stream.

use serde_json::{Value, json};

use crate::simulator::rng::RequestRng;

crate::simulator::fault::define_faults! { MessageFault {
    ErrorInSuccess = "message.error-in-success": "a success has an error for a body",
    NoMessage = "message.no-message": "a success has an object of another API for a body",
    Type = "message.type": "messages have no type",
    Role = "message.role": "messages have no role",
    IdMissing = "message.id-missing": "messages have no id",
    IdPrefix = "message.id-prefix": "the ids of messages begin as in another API",
    ModelMissing = "message.model-missing": "messages name no model",
    ContentShape = "message.content-shape": "content is null",
    ContentEmpty = "message.content-empty": "answers that end of their own accord are empty",
    BlockShape = "message.block-shape": "the text of texts is null",
    BlockUnknown = "message.block-unknown": "messages have a block more, of an unknown type",
    TextEmpty = "message.text-empty": "messages have a block more, of empty text",
    SignatureMissing = "message.signature-missing": "thinking has no signature",
    SignatureConstant = "message.signature-constant": "all thinking has one signature",
    SignatureStray = "message.signature-stray": "texts have a signature",
    ThinkingInText = "message.thinking-in-text": "messages have thinking in a text",
    StopReasonMissing = "message.stop-reason-missing": "stop_reason is null",
    StopReasonUnknown = "message.stop-reason-unknown": "answers end with the word of another API",
    StopSequenceMismatch = "message.stop-sequence-mismatch": "stop_sequence is null where one was met",
    StopSequenceInText = "message.stop-sequence-in-text": "a stop sequence that was met stands in the text",
    IdRepeated = "message.id-repeated": "all messages have one id",
    StopSequenceKeyMissing = "message.stop-sequence-key-missing": "messages have no key stop_sequence",
    ToolWithoutStopToolUse = "message.tool-without-stop-tool-use": "answers with calls end with end_turn",
    StopToolUseWithoutTool = "message.stop-tool-use-without-tool": "calls are taken out of answers",
    KeyUnknown = "message.key-unknown": "messages have a key more",
    UsageMissing = "usage.missing": "messages have no usage",
    Counter = "usage.counter": "a counter is a text",
    InputZero = "usage.input-zero": "all input counters are 0",
    OutputZero = "usage.output-zero": "output_tokens is 0",
    InputMoreThanSent = "usage.input-more-than-sent": "input_tokens counts a prompt that nobody sent",
    RepeatDiffers = "usage.repeat-differs": "equal requests are counted differently",
    TwinDiffers = "usage.twin-differs": "a stream counts more input than a whole answer",
    OverMaxTokens = "usage.over-max-tokens": "output_tokens is larger than any max_tokens",
    CacheSum = "usage.cache-sum": "the parts of cache_creation do not add up",
    CacheMissing = "usage.cache-missing": "a cache counter is absent",
    Thinking = "usage.thinking": "thinking_tokens is larger than output_tokens",
    ToolShape = "tool.shape": "calls have no id",
    ToolIdPattern = "tool.id-pattern": "the ids of calls have a dot and a colon",
    ToolIdDuplicate = "tool.id-duplicate": "the first call comes twice",
    ToolNameUnknown = "tool.name-unknown": "calls name a tool that was not sent",
    ToolInputShape = "tool.input-shape": "the input of calls is a text",
    ToolInputSchema = "tool.input-schema": "the values in the input of calls are null",
    ToolIdRepeated = "tool.id-repeated": "the last call of each answer has the same id",
    ToolMarkup = "tool.markup": "answers have the markup of a call in a text",
} }

impl MessageFault {
    /// Those that a stream cannot have, or that are another fault there.
    fn is_full_body_only(self) -> bool {
        matches!(self, Self::ErrorInSuccess | Self::NoMessage | Self::ContentShape | Self::UsageMissing)
    }
}

/// Spoils a message that is to go out whole, or as a stream.
pub(super) fn apply(fault: MessageFault, message: &mut Value, streams: bool, draws: &mut RequestRng) {
    use MessageFault as F;
    if streams && fault.is_full_body_only() {
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
        F::InputZero => {
            for key in ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] {
                message["usage"][key] = json!(0);
            }
            message["usage"]["cache_creation"] = Value::Null;
        }
        F::OutputZero => {
            message["usage"]["output_tokens"] = json!(0);
            message["usage"]["output_tokens_details"] = Value::Null;
        }
        F::InputMoreThanSent => add_input_tokens(message, 1_000_000),
        F::RepeatDiffers if draws.bernoulli(0.5) => add_input_tokens(message, EXTRA_INPUT_TOKENS),
        F::TwinDiffers if streams => add_input_tokens(message, EXTRA_INPUT_TOKENS),
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

/// What a wrong count adds: much for a short prompt, and less than its request has bytes.
const EXTRA_INPUT_TOKENS: u64 = 150;

fn add_input_tokens(message: &mut Value, more: u64) {
    let counted = message["usage"]["input_tokens"].as_u64().unwrap_or_default();
    message["usage"]["input_tokens"] = json!(counted + more);
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

fn for_each_block(message: &mut Value, kind: &str, spoil: impl Fn(&mut Value)) {
    message["content"].as_array_mut().into_iter().flatten().filter(|block| block["type"] == kind).for_each(spoil);
}
