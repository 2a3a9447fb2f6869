//! Faults of the events of a stream: [`StreamFault`].

use serde_json::{Value, json};

use crate::simulator::fault::catalog::StreamFault;
use crate::wire::message_events::encode_event;

pub(super) fn apply(fault: StreamFault, events: &mut Vec<String>) {
    use StreamFault as F;
    let named = |event: &String, name: &str| event.starts_with(&format!("event: {name}\n"));
    let first = events.first().cloned().unwrap_or_default();
    let delta = events.iter().rev().find(|r| named(r, "message_delta")).cloned().unwrap_or_default();
    match fault {
        F::LineStray => events.insert(1, "hello\n\n".to_owned()),
        F::DataMissing => events.insert(1, "event: ping\n\n".to_owned()),
        F::DataNotJson => events.insert(1, "event: ping\ndata: hello\n\n".to_owned()),
        F::DoneRecord => events.push("data: [DONE]\n\n".to_owned()),
        F::EventNameMissing => {
            for event in events {
                *event = event.split_once('\n').map_or("", |(_, data)| data).to_owned();
            }
        }
        F::EventNameMismatch => {
            for event in events {
                *event = format!("event: message\n{}", event.split_once('\n').map_or("", |(_, data)| data));
            }
        }
        F::EventUnknown => events.insert(1, encode_event(&json!({"type": "progress"}))),
        F::MessageStartMissing => drop(events.drain(..1)),
        F::EventBeforeStart => events.swap(0, 1),
        F::MessageStartTwice => events.insert(1, first),
        F::StartNotEmpty => edit_events(events, "message_start", |e| e["message"]["stop_reason"] = json!("end_turn")),
        F::MessageDeltaMissing => events.retain(|r| !named(r, "message_delta")),
        F::MessageStopMissing => events.retain(|r| !named(r, "message_stop")),
        F::MessageStopTwice => events.push(encode_event(&json!({"type": "message_stop"}))),
        F::EventAfterStop => events.push(delta),
        F::BlockIndex => edit_events(events, "content_block_start", |e| e["index"] = json!(70)),
        F::BlockNested => {
            let index = count_blocks(events);
            if let Some(at) = events.iter().rposition(|r| named(r, "content_block_stop")) {
                events.splice(at..at, text_block_events(index));
            }
        }
        F::BlockStartShape => edit_events(events, "content_block_start", |e| e["content_block"] = Value::Null),
        F::ToolInputInStart => move_input_to_start(events),
        F::BlockAfterDelta => {
            let index = count_blocks(events);
            if let Some(at) = events.iter().rposition(|r| named(r, "message_delta")) {
                events.splice(at + 1..at + 1, text_block_events(index));
            }
        }
        F::DeltaAfterStop => {
            let is_last =
                |pair: &[String]| delta_type(&pair[0]) == "text_delta" && named(&pair[1], "content_block_stop");
            if let Some(at) = events.windows(2).position(is_last) {
                events.swap(at, at + 1);
            }
        }
        F::DeltaType => {
            insert_before_text_delta(events, |e| e["delta"] = json!({"type": "input_json_delta", "partial_json": ""}))
        }
        F::DeltaShape => insert_before_text_delta(events, |e| e["delta"]["text"] = Value::Null),
        F::ToolJson => {
            if let Some(at) = events.iter().rposition(|r| delta_type(r) == "input_json_delta") {
                events.remove(at);
            }
        }
        F::SignatureOrder => {
            if let Some(at) = events
                .windows(2)
                .position(|pair| delta_type(&pair[0]) == "thinking_delta" && delta_type(&pair[1]) == "signature_delta")
            {
                events.swap(at, at + 1);
            }
        }
        F::ErrorInStream => {
            events.truncate(1);
            let error = json!({"type": "overloaded_error", "message": "the endpoint is overloaded"});
            events.push(encode_event(&json!({"type": "error", "error": error})));
        }
        F::BlockPrefilled => edit_events(events, "content_block_start", |e| {
            if e["content_block"]["type"] == "text" {
                e["content_block"]["text"] = json!("Well. ");
            }
        }),
        F::BlockNotStopped => {
            if let Some(at) = events.iter().rposition(|r| named(r, "content_block_stop")) {
                events.remove(at);
            }
        }
        F::BlockStopStray => {
            let at = events.len().saturating_sub(2);
            events.insert(at, encode_event(&json!({"type": "content_block_stop", "index": 70})));
        }
        F::DeltaWithoutBlock => events.insert(1, delta_event(70, "text_delta")),
        F::DeltaTypeUnknown => {
            if let Some(at) = events.iter().position(|r| named(r, "content_block_delta")) {
                events.insert(at, delta_event(0, "audio_delta"));
            }
        }
        F::PingMissing => events.retain(|r| !named(r, "ping")),
        F::ErrorEvent => {
            events.truncate(1);
            events.push("event: error\ndata: {\"message\":\"lost\"}\n\n".to_owned());
        }
        F::StartUsageMissing => edit_events(events, "message_start", |e| e["message"]["usage"] = Value::Null),
        F::StartInputZero => edit_events(events, "message_start", |e| zero_input_counters(&mut e["message"]["usage"])),
        F::DeltaUsageMissing => edit_events(events, "message_delta", |e| e["usage"] = Value::Null),
        F::DeltaInputZero => edit_events(events, "message_delta", |e| zero_input_counters(&mut e["usage"])),
        F::Shrinks => {
            edit_events(events, "message_start", |e| e["message"]["usage"]["output_tokens"] = json!(1_000_000))
        }
    }
}

fn zero_input_counters(usage: &mut Value) {
    for key in ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] {
        usage[key] = json!(0);
    }
}

fn delta_event(index: u64, kind: &str) -> String {
    encode_event(&json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, "text": "Well."}}))
}

fn count_blocks(events: &[String]) -> u64 {
    events.iter().filter(|event| event.starts_with("event: content_block_start\n")).count() as u64
}

/// The events of a complete text block.
fn text_block_events(index: u64) -> [String; 3] {
    [
        encode_event(
            &json!({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}),
        ),
        delta_event(index, "text_delta"),
        encode_event(&json!({"type": "content_block_stop", "index": index})),
    ]
}

/// The data of an event.
fn parse_data(event: &str) -> Value {
    event.split_once("\ndata: ").and_then(|(_, data)| serde_json::from_str(data).ok()).unwrap_or_default()
}

/// The type of a delta. Empty for other events.
fn delta_type(event: &str) -> String {
    parse_data(event)["delta"]["type"].as_str().unwrap_or_default().to_owned()
}

/// Inserts an edited copy of the first `text_delta` before it.
fn insert_before_text_delta(events: &mut Vec<String>, edit: impl Fn(&mut Value)) {
    if let Some(at) = events.iter().position(|r| delta_type(r) == "text_delta") {
        let mut event = parse_data(&events[at]);
        edit(&mut event);
        events.insert(at, encode_event(&event));
    }
}

/// Moves the input of tool calls from its fragments into `content_block_start`.
fn move_input_to_start(events: &mut Vec<String>) {
    let fragments: Vec<Value> =
        events.iter().filter(|r| delta_type(r) == "input_json_delta").map(|r| parse_data(r)).collect();
    edit_events(events, "content_block_start", |start| {
        let of_block = fragments.iter().filter(|fragment| fragment["index"] == start["index"]);
        let input: String = of_block.filter_map(|fragment| fragment["delta"]["partial_json"].as_str()).collect();
        if let Ok(input) = serde_json::from_str::<Value>(&input) {
            start["content_block"]["input"] = input;
        }
    });
    events.retain(|r| delta_type(r) != "input_json_delta");
}

/// Edits the events with this name.
fn edit_events(events: &mut [String], name: &str, edit: impl Fn(&mut Value)) {
    for text in events {
        let data = text.strip_prefix(&format!("event: {name}\ndata: ")).and_then(|d| serde_json::from_str(d).ok());
        if let Some(mut data) = data {
            edit(&mut data);
            *text = encode_event(&data);
        }
    }
}
