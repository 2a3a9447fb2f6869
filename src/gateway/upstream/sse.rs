//! Encodes the response of the scripted upstream as an event stream, and applies a row's changes.
//!
//! Pure: no delay is waited for here; each [`SseChunk`] carries its own.

use serde_json::{Map, Value, json};

use crate::catalog::{ApiDialect, StreamOverrides};
use crate::wire::message_events::{encode_event, message_events, split_chars};

/// One record of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SseChunk {
    /// The bytes, with the blank line at the end.
    pub bytes: String,
    /// Milliseconds of delay before it.
    pub delay_ms: u64,
}

/// The delay between two chunks of a plain stream: enough to write each of them separately.
const CHUNK_INTERVAL_MS: u64 = 2;

/// The characters in one fragment of a tool's input.
const FRAGMENT_CHARS: usize = 9;

impl SseChunk {
    fn new(bytes: String) -> Self {
        Self { bytes, delay_ms: CHUNK_INTERVAL_MS }
    }

    /// An event without a name, as chat completions sends them.
    fn from_data(data: &Value) -> Self {
        Self::new(format!("data: {data}\n\n"))
    }
}

/// Splits a text into deltas of some words each.
pub(crate) fn split_text(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    let group = words.len().div_ceil(5).max(1);
    words.chunks(group).map(<[&str]>::concat).collect()
}

/// The stream of a message of the Messages API.
pub(crate) fn stream_message(message: &Value) -> Vec<SseChunk> {
    let events = message_events(message, split_text, FRAGMENT_CHARS);
    events.iter().map(|event| SseChunk::new(encode_event(event))).collect()
}

/// The stream of a chat completion.
pub(crate) fn stream_completion(completion: &Value, with_usage: bool) -> Vec<SseChunk> {
    let choice = &completion["choices"][0];
    let message = &choice["message"];
    let chunk = |choices: Value, usage: Option<&Value>| {
        let mut chunk = json!({
            "id": completion["id"], "object": "chat.completion.chunk", "created": completion["created"],
            "model": completion["model"], "choices": choices,
        });
        if with_usage {
            chunk["usage"] = usage.cloned().unwrap_or(Value::Null);
        }
        SseChunk::from_data(&chunk)
    };
    let delta = |delta: Value, finish_reason: Value| {
        chunk(json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]), None)
    };
    let mut chunks = vec![delta(json!({ "role": "assistant", "content": "" }), Value::Null)];
    for key in ["reasoning_content", "content"] {
        let text = message[key].as_str().unwrap_or_default();
        chunks.extend(split_text(text).into_iter().map(|part| {
            let fields: Map<String, Value> = [(key.to_owned(), Value::from(part))].into_iter().collect();
            delta(Value::Object(fields), Value::Null)
        }));
    }
    for (index, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let function = &call["function"];
        chunks.push(delta(
            json!({ "tool_calls": [{
                "index": index, "id": call["id"], "type": "function",
                "function": { "name": function["name"], "arguments": "" },
            }] }),
            Value::Null,
        ));
        let arguments = function["arguments"].as_str().unwrap_or_default();
        chunks.extend(split_chars(arguments, FRAGMENT_CHARS).into_iter().map(|part| {
            delta(json!({ "tool_calls": [{ "index": index, "function": { "arguments": part } }] }), Value::Null)
        }));
    }
    chunks.push(delta(json!({}), choice["finish_reason"].clone()));
    if with_usage {
        chunks.push(chunk(json!([]), Some(&completion["usage"])));
    }
    chunks.push(SseChunk::new("data: [DONE]\n\n".to_owned()));
    chunks
}

/// Applies a row's changes. Returns the chunks, and whether the connection aborts after them.
pub(crate) fn apply_edits(
    plain: Vec<SseChunk>,
    overrides: &StreamOverrides,
    dialect: ApiDialect,
) -> (Vec<SseChunk>, bool) {
    let mut chunks = Vec::new();
    'plain: for (nth, chunk) in plain.into_iter().enumerate() {
        if overrides.cut_after == Some(nth) {
            break;
        }
        for insert in overrides.insert.iter().filter(|insert| insert.after == nth) {
            let data = insert.data.as_ref().unwrap_or(&Value::Null);
            chunks.push(match (&insert.comment, &insert.event) {
                (Some(comment), _) => SseChunk::new(format!(": {comment}\n\n")),
                (None, Some(name)) if dialect == ApiDialect::Anthropic => {
                    SseChunk::new(format!("event: {name}\ndata: {data}\n\n"))
                }
                (None, _) => SseChunk::from_data(data),
            });
            if insert.last {
                break 'plain;
            }
        }
        chunks.push(chunk);
    }
    for chunk in &mut chunks {
        chunk.delay_ms = chunk.delay_ms.max(overrides.pause);
    }
    (chunks, overrides.cut_after.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sse;

    #[test]
    fn the_parts_of_a_text_add_up_to_it() {
        for text in ["", "one", "  a b  c\n d ", "rp says one two three four five six seven eight"] {
            assert_eq!(split_text(text).concat(), text);
        }
        assert!(split_text("a b c d e f").len() > 2);
    }

    #[test]
    fn a_streamed_message_is_assembled_unchanged() {
        let message = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use", "stop_sequence": null,
            "content": [
                { "type": "thinking", "thinking": "I think so.", "signature": "sig" },
                { "type": "text", "text": "Hello to all of you." },
                { "type": "tool_use", "id": "toolu_1", "name": "n", "input": { "key": [1, null, "x"] } },
                { "type": "redacted_thinking", "data": "abc" },
            ],
            "usage": { "input_tokens": 4, "output_tokens": 9 },
        });
        let body: String = stream_message(&message).into_iter().map(|chunk| chunk.bytes).collect();
        let assembled = crate::wire::assemble::parse_stream(body.as_bytes(), false, &mut ()).message.unwrap();
        for key in ["content", "stop_reason", "id", "model", "usage"] {
            assert_eq!(assembled[key], message[key], "{key}");
        }
    }

    #[test]
    fn a_completion_ends_with_its_usage_only_on_request() {
        let completion = json!({
            "id": "c", "created": 1, "model": "m", "usage": { "prompt_tokens": 3 },
            "choices": [{ "finish_reason": "tool_calls", "message": { "content": "Hi there.", "tool_calls": [
                { "id": "t", "function": { "name": "n", "arguments": "{\"key\": \"value\"}" } }] } }],
        });
        let text = |with_usage| -> String {
            stream_completion(&completion, with_usage).into_iter().map(|chunk| chunk.bytes).collect()
        };
        assert!(text(true).contains(r#""usage":{"prompt_tokens":3}"#) && !text(false).contains("usage"));
        let text = text(false);
        let last = sse::iter_items(&text).last();
        assert!(matches!(last, Some(sse::SseItem::Frame(frame)) if frame.data.as_deref() == Some("[DONE]")));
    }

    #[test]
    fn edits_cut_the_stream_and_insert_records() {
        let plain: Vec<SseChunk> = (0..4).map(|n| SseChunk { bytes: n.to_string(), delay_ms: 0 }).collect();
        let edit = |overrides, dialect| {
            let overrides: StreamOverrides = serde_json::from_value(overrides).unwrap();
            let (chunks, aborts) = apply_edits(plain.clone(), &overrides, dialect);
            (chunks.into_iter().map(|chunk| chunk.bytes).collect::<Vec<_>>().join("|"), aborts)
        };
        assert_eq!(edit(json!({ "cut_after": 2 }), ApiDialect::Anthropic), ("0|1".to_owned(), true));
        let last = json!({ "insert": [{ "after": 1, "event": "error", "data": {}, "last": true }] });
        assert_eq!(edit(last.clone(), ApiDialect::Anthropic), ("0|event: error\ndata: {}\n\n".to_owned(), false));
        assert_eq!(edit(last, ApiDialect::Openai), ("0|data: {}\n\n".to_owned(), false));
        let comment = json!({ "insert": [{ "after": 0, "comment": "c" }] });
        assert_eq!(edit(comment, ApiDialect::Openai).0, ": c\n\n|0|1|2|3");
    }
}
