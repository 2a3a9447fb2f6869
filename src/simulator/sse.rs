//! A message as an event stream: [`encode_events`].
//!
//! Invalid content is encoded as it is: a block without text or input deltas is complete in its
//! `content_block_start`.

use serde_json::{Map, Value, json};

use crate::simulator::tokenizer;

/// The tokens in a text delta.
const TOKENS_PER_DELTA: usize = 2;

/// The characters in an input fragment.
const FRAGMENT_CHARS: usize = 8;

/// The events of a message, each as the text of one SSE event.
pub(super) fn encode_events(message: &Value) -> Vec<String> {
    let mut events = vec![message_start(message)];
    for (index, block) in message["content"].as_array().into_iter().flatten().enumerate() {
        let (skeleton, deltas) = split_block(block);
        events.push(format_event(&json!({"type": "content_block_start", "index": index, "content_block": skeleton})));
        if index == 0 {
            events.push(format_event(&json!({"type": "ping"})));
        }
        for delta in deltas {
            events.push(format_event(&json!({"type": "content_block_delta", "index": index, "delta": delta})));
        }
        events.push(format_event(&json!({"type": "content_block_stop", "index": index})));
    }
    if events.len() == 1 {
        events.push(format_event(&json!({"type": "ping"})));
    }
    events.push(message_delta(message));
    events.push(format_event(&json!({"type": "message_stop"})));
    events
}

/// One SSE event. Its name is the `type` of its data.
pub(super) fn format_event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

fn message_start(message: &Value) -> String {
    let mut message = message.clone();
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    if let Some(sequence) = message.get_mut("stop_sequence") {
        *sequence = Value::Null;
    }
    if let Some(usage) = message["usage"].as_object_mut() {
        let output = usage.get("output_tokens").and_then(Value::as_u64).unwrap_or_default();
        usage.insert("output_tokens".to_owned(), json!(output.min(1)));
        usage.insert("output_tokens_details".to_owned(), json!({ "thinking_tokens": 0 }));
    }
    format_event(&json!({"type": "message_start", "message": message}))
}

fn message_delta(message: &Value) -> String {
    // Keys that the message lacks are missing here too.
    let keys = ["stop_reason", "stop_sequence", "stop_details", "container"];
    let delta: Map<String, Value> =
        keys.into_iter().filter_map(|key| Some((key.to_owned(), message.get(key)?.clone()))).collect();
    let mut usage = message["usage"].clone();
    if let Some(usage) = usage.as_object_mut() {
        // These are only in `message_start`.
        usage.shift_remove("cache_creation");
        usage.shift_remove("service_tier");
    }
    format_event(&json!({"type": "message_delta", "delta": delta, "usage": usage}))
}

/// The block for `content_block_start`, and the deltas that complete it.
fn split_block(block: &Value) -> (Value, Vec<Value>) {
    let mut skeleton = block.clone();
    let deltas = match block["type"].as_str().unwrap_or_default() {
        "text" => block["text"].as_str().map(|text| {
            skeleton["text"] = json!("");
            split_text(text).map(|part| json!({"type": "text_delta", "text": part})).collect()
        }),
        "thinking" => block["thinking"].as_str().map(|text| {
            (skeleton["thinking"], skeleton["signature"]) = (json!(""), json!(""));
            let mut deltas: Vec<Value> =
                split_text(text).map(|part| json!({"type": "thinking_delta", "thinking": part})).collect();
            // A block without a signature has no signature delta.
            let signature = block["signature"].as_str().filter(|signature| !signature.is_empty());
            deltas.extend(signature.map(|signature| json!({"type": "signature_delta", "signature": signature})));
            deltas
        }),
        "tool_use" if block["input"].is_object() || block["input"].as_str().is_some_and(|text| !text.is_empty()) => {
            skeleton["input"] = json!({});
            // An empty input has one empty fragment. An invalid input that is a string is sent as
            // it is.
            let input = match &block["input"] {
                Value::Object(map) if map.is_empty() => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let characters: Vec<char> = input.chars().collect();
            let fragments = characters.chunks(FRAGMENT_CHARS).map(|part| part.iter().collect::<String>());
            let fragments = std::iter::once(String::new()).chain(fragments);
            Some(fragments.map(|part| json!({"type": "input_json_delta", "partial_json": part})).collect())
        }
        _ => None,
    };
    (skeleton, deltas.unwrap_or_default())
}

/// A text in parts of [`TOKENS_PER_DELTA`] tokens.
fn split_text(text: &str) -> impl Iterator<Item = String> {
    let tokens: Vec<&str> = tokenizer::split_tokens(text).collect();
    tokens.chunks(TOKENS_PER_DELTA).map(<[&str]>::concat).collect::<Vec<_>>().into_iter()
}
