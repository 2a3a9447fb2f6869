//! An answer told as an event stream, in either shape, and what a row wants changed in it. Pure.

use serde_json::{Map, Value, json};

use crate::catalog::{ApiDialect, StreamOverrides};

/// One record of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SseChunk {
    /// The bytes, with the blank line behind them.
    pub bytes: String,
    /// Milliseconds of rest before it.
    pub delay_ms: u64,
}

/// The rest between two pieces of a plain stream: enough for each to be a write of its own.
const CHUNK_INTERVAL_MS: u64 = 2;

/// The pieces in which a text is told: some words each.
pub(crate) fn split_text(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    let group = words.len().div_ceil(5).max(1);
    words.chunks(group).map(<[&str]>::concat).collect()
}

/// A call's arguments in pieces that break where they like.
fn split_json(json: &str) -> Vec<String> {
    let characters: Vec<char> = json.chars().collect();
    characters.chunks(9).map(|part| part.iter().collect()).collect()
}

/// A message of the Messages API as its stream.
pub(crate) fn stream_message(message: &Value) -> Vec<SseChunk> {
    let mut start = message.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    start["stop_sequence"] = Value::Null;
    if let Some(usage) = start["usage"].as_object_mut() {
        usage.insert("output_tokens".to_owned(), json!(1));
    }
    let mut events = vec![json!({ "type": "message_start", "message": start })];
    for (index, block) in message["content"].as_array().into_iter().flatten().enumerate() {
        let (skeleton, deltas) = split_block(block);
        events.push(json!({ "type": "content_block_start", "index": index, "content_block": skeleton }));
        if index == 0 {
            events.push(json!({ "type": "ping" }));
        }
        let delta = |delta| json!({ "type": "content_block_delta", "index": index, "delta": delta });
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({ "type": "content_block_stop", "index": index }));
    }
    let ends = ["stop_reason", "stop_sequence"];
    let delta: Map<String, Value> = ends.iter().map(|key| ((*key).to_owned(), message[*key].clone())).collect();
    let mut usage = message["usage"].clone();
    if let Some(usage) = usage.as_object_mut() {
        usage.retain(|key, _| !["cache_creation", "service_tier"].contains(&key.as_str()));
    }
    events.push(json!({ "type": "message_delta", "delta": delta, "usage": usage }));
    events.push(json!({ "type": "message_stop" }));
    events.iter().map(|data| format_event(data["type"].as_str(), data)).collect()
}

/// A block before anything was said, and the deltas that say it.
fn split_block(block: &Value) -> (Value, Vec<Value>) {
    let mut skeleton = block.clone();
    let text = |key: &str| block[key].as_str().unwrap_or_default();
    match block["type"].as_str().unwrap_or_default() {
        "text" => {
            skeleton["text"] = json!("");
            let mut deltas: Vec<Value> =
                split_text(text("text")).iter().map(|piece| json!({ "type": "text_delta", "text": piece })).collect();
            if let Some(citations) = skeleton.get_mut("citations").filter(|c| c.is_array()).map(Value::take) {
                skeleton["citations"] = json!([]);
                let citations = citations.as_array().cloned().unwrap_or_default();
                deltas.extend(citations.into_iter().map(|c| json!({ "type": "citations_delta", "citation": c })));
            }
            (skeleton, deltas)
        }
        "thinking" => {
            (skeleton["thinking"], skeleton["signature"]) = (json!(""), json!(""));
            let thinking = split_text(text("thinking"));
            let mut deltas: Vec<Value> =
                thinking.iter().map(|piece| json!({ "type": "thinking_delta", "thinking": piece })).collect();
            deltas.push(json!({ "type": "signature_delta", "signature": text("signature") }));
            (skeleton, deltas)
        }
        "tool_use" => {
            skeleton["input"] = json!({});
            let input = &block["input"];
            let said = if input.as_object().is_some_and(Map::is_empty) { String::new() } else { input.to_string() };
            let parts = std::iter::once(String::new()).chain(split_json(&said));
            (skeleton, parts.map(|part| json!({ "type": "input_json_delta", "partial_json": part })).collect())
        }
        _ => (skeleton, Vec::new()),
    }
}

/// A chat completion as its stream.
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
        format_event(None, &chunk)
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]), None)
    };
    let mut records = vec![delta(json!({ "role": "assistant", "content": "" }), Value::Null)];
    for key in ["reasoning_content", "content"] {
        let text = message[key].as_str().unwrap_or_default();
        records.extend(split_text(text).into_iter().map(|piece| {
            let said: Map<String, Value> = [(key.to_owned(), Value::from(piece))].into_iter().collect();
            delta(Value::Object(said), Value::Null)
        }));
    }
    for (index, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let function = &call["function"];
        records.push(delta(
            json!({ "tool_calls": [{
                "index": index, "id": call["id"], "type": "function",
                "function": { "name": function["name"], "arguments": "" },
            }] }),
            Value::Null,
        ));
        records.extend(split_json(function["arguments"].as_str().unwrap_or_default()).into_iter().map(|part| {
            delta(json!({ "tool_calls": [{ "index": index, "function": { "arguments": part } }] }), Value::Null)
        }));
    }
    records.push(delta(json!({}), choice["finish_reason"].clone()));
    if with_usage {
        records.push(chunk(json!([]), Some(&completion["usage"])));
    }
    records.push(SseChunk { bytes: "data: [DONE]\n\n".to_owned(), delay_ms: CHUNK_INTERVAL_MS });
    records
}

fn format_event(name: Option<&str>, data: &Value) -> SseChunk {
    let name = name.map_or(String::new(), |name| format!("event: {name}\n"));
    SseChunk { bytes: format!("{name}data: {data}\n\n"), delay_ms: CHUNK_INTERVAL_MS }
}

/// The records with a row's changes, and whether the connection breaks behind them.
pub(crate) fn apply_edits(plain: Vec<SseChunk>, change: &StreamOverrides, shape: ApiDialect) -> (Vec<SseChunk>, bool) {
    let mut records = Vec::new();
    let mut ended = false;
    for (nth, record) in plain.into_iter().enumerate() {
        if change.cut_after == Some(nth) {
            ended = true;
        }
        for insert in change.insert.iter().filter(|insert| insert.after == nth) {
            if ended {
                break;
            }
            records.push(match (&insert.comment, &insert.data) {
                (Some(comment), _) => SseChunk { bytes: format!(": {comment}\n\n"), delay_ms: CHUNK_INTERVAL_MS },
                (None, data) => {
                    // Chunks of chat completions have no names.
                    let name = insert.event.as_deref().filter(|_| shape == ApiDialect::Anthropic);
                    format_event(name, data.as_ref().unwrap_or(&Value::Null))
                }
            });
            ended |= insert.last;
        }
        if ended {
            break;
        }
        records.push(record);
    }
    for record in &mut records {
        record.delay_ms = record.delay_ms.max(change.pause);
    }
    (records, change.cut_after.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sse;

    #[test]
    fn pieces_add_up_to_their_text() {
        for text in ["", "one", "  a b  c\n d ", "rp says one two three four five six seven eight"] {
            assert_eq!(split_text(text).concat(), text);
        }
        assert!(split_text("a b c d e f").len() > 2);
    }

    #[test]
    fn a_message_comes_out_of_its_stream_as_it_went_in() {
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
        let body: String = stream_message(&message).into_iter().map(|record| record.bytes).collect();
        let response = crate::wire::exchange::Response {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/event-stream".to_owned())],
            body: crate::wire::exchange::BodyBytes(body.into_bytes()),
            arrivals: Vec::new(),
            cut: None,
        };
        let seen = crate::gateway::client_response::assemble_message(&response).unwrap();
        for key in ["content", "stop_reason", "id", "model", "usage"] {
            assert_eq!(seen[key], message[key], "{key}");
        }
    }

    #[test]
    fn a_completion_ends_with_its_usage_only_where_it_was_asked_for() {
        let completion = json!({
            "id": "c", "created": 1, "model": "m", "usage": { "prompt_tokens": 3 },
            "choices": [{ "finish_reason": "tool_calls", "message": { "content": "Hi there.", "tool_calls": [
                { "id": "t", "function": { "name": "n", "arguments": "{\"key\": \"value\"}" } }] } }],
        });
        let text = |with| stream_completion(&completion, with).into_iter().map(|r| r.bytes).collect::<String>();
        assert!(text(true).contains(r#""usage":{"prompt_tokens":3}"#) && !text(false).contains("usage"));
        let text = text(false);
        let (frames, rest) = sse::decode(text.as_bytes());
        assert_eq!((frames.last().unwrap().data.as_deref(), rest), (Some("[DONE]"), None));
    }

    #[test]
    fn a_change_stands_where_it_should() {
        let plain: Vec<SseChunk> = (0..4).map(|n| SseChunk { bytes: n.to_string(), delay_ms: 0 }).collect();
        let change = |value| serde_json::from_value::<StreamOverrides>(value).unwrap();
        let told = |value, shape| {
            let (records, cut) = apply_edits(plain.clone(), &change(value), shape);
            (records.into_iter().map(|r| r.bytes).collect::<Vec<_>>().join("|"), cut)
        };
        assert_eq!(told(json!({ "cut_after": 2 }), ApiDialect::Anthropic), ("0|1".to_owned(), true));
        let last = json!({ "insert": [{ "after": 1, "event": "error", "data": {}, "last": true }] });
        assert_eq!(told(last.clone(), ApiDialect::Anthropic), ("0|event: error\ndata: {}\n\n".to_owned(), false));
        assert_eq!(told(last, ApiDialect::Openai), ("0|data: {}\n\n".to_owned(), false));
        assert_eq!(
            told(json!({ "insert": [{ "after": 0, "comment": "c" }] }), ApiDialect::Openai).0,
            ": c\n\n|0|1|2|3"
        );
    }
}
