//! Encodes a message as the events of its stream: [`message_events`] and [`encode_event`].
//!
//! Used by the servers of this crate, which differ only in how they split texts. The parser does
//! not use this module, so that a mistake here cannot hide the same mistake there.

use serde_json::{Map, Value, json};

/// The data of each event of a message's stream. `split_text` splits texts into deltas, and
/// `fragment_chars` is the size of the fragments of a tool's input.
///
/// A block that is invalid, or of a type without deltas, is sent completely in its start event.
pub fn message_events(message: &Value, split_text: impl Fn(&str) -> Vec<String>, fragment_chars: usize) -> Vec<Value> {
    let mut events = vec![message_start(message)];
    for (index, block) in message["content"].as_array().into_iter().flatten().enumerate() {
        let (skeleton, deltas) = split_block(block, &split_text, fragment_chars);
        events.push(json!({ "type": "content_block_start", "index": index, "content_block": skeleton }));
        if index == 0 {
            events.push(json!({ "type": "ping" }));
        }
        let delta_event = |delta| json!({ "type": "content_block_delta", "index": index, "delta": delta });
        events.extend(deltas.into_iter().map(delta_event));
        events.push(json!({ "type": "content_block_stop", "index": index }));
    }
    if events.len() == 1 {
        events.push(json!({ "type": "ping" }));
    }
    events.push(message_delta(message));
    events.push(json!({ "type": "message_stop" }));
    events
}

/// The bytes of one event; its name is the type of its data.
pub fn encode_event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

fn message_start(message: &Value) -> Value {
    let mut message = message.clone();
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    if let Some(sequence) = message.get_mut("stop_sequence") {
        *sequence = Value::Null;
    }
    if let Some(usage) = message["usage"].as_object_mut() {
        let output = usage.get("output_tokens").and_then(Value::as_u64).unwrap_or_default();
        usage.insert("output_tokens".to_owned(), json!(output.min(1)));
    }
    json!({ "type": "message_start", "message": message })
}

fn message_delta(message: &Value) -> Value {
    // A key that the message lacks is missing here, too.
    let keys = ["stop_reason", "stop_sequence", "stop_details", "container", "context_management"];
    let delta: Map<String, Value> =
        keys.into_iter().filter_map(|key| Some((key.to_owned(), message.get(key)?.clone()))).collect();
    let mut usage = message["usage"].clone();
    if let Some(usage) = usage.as_object_mut() {
        // Only message_start has these.
        usage.retain(|key, _| !["cache_creation", "service_tier"].contains(&key.as_str()));
    }
    json!({ "type": "message_delta", "delta": delta, "usage": usage })
}

/// An empty block, and the deltas that fill it.
fn split_block(block: &Value, split_text: impl Fn(&str) -> Vec<String>, fragment_chars: usize) -> (Value, Vec<Value>) {
    let mut skeleton = block.clone();
    let deltas = match block["type"].as_str().unwrap_or_default() {
        "text" => block["text"].as_str().map(|text| {
            skeleton["text"] = json!("");
            let mut deltas: Vec<Value> =
                split_text(text).into_iter().map(|part| json!({ "type": "text_delta", "text": part })).collect();
            if let Some(citations) = block["citations"].as_array() {
                skeleton["citations"] = json!([]);
                deltas.extend(
                    citations.iter().map(|citation| json!({ "type": "citations_delta", "citation": citation })),
                );
            }
            deltas
        }),
        "thinking" => block["thinking"].as_str().map(|text| {
            (skeleton["thinking"], skeleton["signature"]) = (json!(""), json!(""));
            let parts = split_text(text).into_iter();
            let mut deltas: Vec<Value> =
                parts.map(|part| json!({ "type": "thinking_delta", "thinking": part })).collect();
            // Unsigned thinking has no signature_delta.
            let signature = block["signature"].as_str().filter(|signature| !signature.is_empty());
            deltas.extend(signature.map(|signature| json!({ "type": "signature_delta", "signature": signature })));
            deltas
        }),
        "tool_use" if block["input"].is_object() || block["input"].as_str().is_some_and(|text| !text.is_empty()) => {
            skeleton["input"] = json!({});
            // An empty input has no fragments. A text is an invalid input, and sent unchanged.
            let input = match &block["input"] {
                Value::Object(map) if map.is_empty() => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let fragments = std::iter::once(String::new()).chain(split_chars(&input, fragment_chars));
            Some(fragments.map(|part| json!({ "type": "input_json_delta", "partial_json": part })).collect())
        }
        _ => None,
    };
    (skeleton, deltas.unwrap_or_default())
}

/// A text in parts of `count` characters.
pub fn split_chars(text: &str, count: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(count).map(|part| part.iter().collect()).collect()
}
