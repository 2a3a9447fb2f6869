//! The answer as a stream: the same message, told event by event.

use serde_json::{Value, json};

use super::answer::{Answer, Content};
use super::tokens;

/// The tokens in one delta of text.
const TOKENS: usize = 2;

/// The characters in one fragment of a call's input.
const FRAGMENT: usize = 8;

/// The events of an answer, each as the bytes of one record.
pub(super) fn events(answer: &Answer) -> Vec<String> {
    let mut events = vec![start(answer)];
    for (index, content) in answer.content.iter().enumerate() {
        events.push(record(json!({
            "type": "content_block_start", "index": index, "content_block": skeleton(content),
        })));
        if index == 0 {
            events.push(record(json!({"type": "ping"})));
        }
        for delta in deltas(content) {
            events.push(record(json!({"type": "content_block_delta", "index": index, "delta": delta})));
        }
        events.push(record(json!({"type": "content_block_stop", "index": index})));
    }
    events.push(end(answer));
    events.push(record(json!({"type": "message_stop"})));
    events
}

/// One record: the event's name is its data's type.
fn record(data: Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

fn start(answer: &Answer) -> String {
    let mut message = answer.message();
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    message["stop_sequence"] = Value::Null;
    message["usage"]["output_tokens"] = json!(answer.output_tokens.min(1));
    message["usage"]["output_tokens_details"] = json!({ "thinking_tokens": 0 });
    record(json!({"type": "message_start", "message": message}))
}

fn end(answer: &Answer) -> String {
    let (reason, sequence) = answer.stop.words();
    let mut usage = answer.usage();
    if let Some(usage) = usage.as_object_mut() {
        // Said once, at the start.
        usage.shift_remove("cache_creation");
        usage.shift_remove("service_tier");
    }
    record(json!({
        "type": "message_delta",
        "delta": { "stop_reason": reason, "stop_sequence": sequence, "stop_details": null, "container": null },
        "usage": usage,
    }))
}

/// The block before anything was said.
fn skeleton(content: &Content) -> Value {
    match content {
        Content::Thinking { .. } => json!({"type": "thinking", "thinking": "", "signature": ""}),
        Content::Text(_) => json!({"type": "text", "text": ""}),
        Content::Call { id, name, input } => {
            let start = if input == "" { input.clone() } else { json!({}) };
            json!({"type": "tool_use", "id": id, "name": name, "input": start})
        }
    }
}

fn deltas(content: &Content) -> Vec<Value> {
    match content {
        Content::Thinking { text, signature } => {
            let mut deltas: Vec<Value> =
                groups(text).into_iter().map(|part| json!({"type": "thinking_delta", "thinking": part})).collect();
            deltas.push(json!({"type": "signature_delta", "signature": signature}));
            deltas
        }
        Content::Text(text) => {
            groups(text).into_iter().map(|part| json!({"type": "text_delta", "text": part})).collect()
        }
        Content::Call { input, .. } => {
            // An empty input is told by saying nothing; a text is no valid input, and told as it is.
            let told = match input {
                Value::Object(map) if map.is_empty() => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let characters: Vec<char> = told.chars().collect();
            let fragments = characters.chunks(FRAGMENT).map(|part| part.iter().collect::<String>());
            std::iter::once(String::new())
                .chain(fragments)
                .map(|part| json!({"type": "input_json_delta", "partial_json": part}))
                .collect()
        }
    }
}

/// A text in parts of a few tokens.
fn groups(text: &str) -> Vec<String> {
    let tokens: Vec<&str> = tokens::split(text).collect();
    tokens.chunks(TOKENS).map(<[&str]>::concat).collect()
}
