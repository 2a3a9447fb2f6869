//! Faults of streams, over their records.

use serde_json::{Value, json};

crate::simulator::fault::define_faults! { StreamFault {
    LineStray = "sse.line-stray": "streams have a line that is no field",
    DataMissing = "sse.data-missing": "streams have an event without data",
    DataNotJson = "sse.data-not-json": "streams have an event whose data is a word",
    DoneRecord = "sse.done-record": "streams end with [DONE]",
    EventNameMissing = "sse.event-name-missing": "no event has a name",
    EventNameMismatch = "sse.event-name-mismatch": "all events have one name",
    EventUnknown = "sse.event-unknown": "streams have an event of an unknown name",
    MessageStartMissing = "sse.message-start-missing": "streams have no message_start",
    EventBeforeStart = "sse.event-before-start": "message_start comes second",
    MessageStartTwice = "sse.message-start-twice": "message_start comes twice",
    StartNotEmpty = "sse.start-not-empty": "message_start has a stop_reason",
    MessageDeltaMissing = "sse.message-delta-missing": "streams have no message_delta",
    MessageStopMissing = "sse.message-stop-missing": "streams have no message_stop",
    MessageStopTwice = "sse.message-stop-twice": "message_stop comes twice",
    EventAfterStop = "sse.event-after-stop": "message_delta comes again after message_stop",
    BlockIndex = "sse.block-index": "blocks start with the index 70",
    BlockNested = "sse.block-nested": "a block starts in another",
    BlockStartShape = "sse.block-start-shape": "blocks start without saying what they are",
    ToolInputInStart = "sse.tool-input-in-start": "the input of calls comes at once, in the start of the block",
    BlockAfterDelta = "sse.block-after-delta": "a block comes after message_delta",
    DeltaAfterStop = "sse.delta-after-stop": "the last delta of a text comes after its stop",
    DeltaType = "sse.delta-type": "texts have a delta of a call",
    DeltaShape = "sse.delta-shape": "texts have a delta without text",
    ToolJson = "sse.tool-json": "the last fragment of a call's input is lost",
    SignatureOrder = "sse.signature-order": "the signature of thinking comes before its end",
    ErrorInStream = "sse.error-in-stream": "streams break off with an error, as they should where one occurs",
    BlockPrefilled = "sse.block-prefilled": "text blocks start with text in them",
    BlockNotStopped = "sse.block-not-stopped": "the last block is not stopped",
    BlockStopStray = "sse.block-stop-stray": "a block is stopped that never started",
    DeltaWithoutBlock = "sse.delta-without-block": "a delta names a block that never started",
    DeltaTypeUnknown = "sse.delta-type-unknown": "streams have a delta of an unknown type",
    PingMissing = "sse.ping-missing": "streams have no ping",
    ErrorEvent = "sse.error-event": "streams break off with an error of another shape",
    StartUsageMissing = "usage.start-missing": "message_start has no usage",
    StartInputZero = "usage.start-input-zero": "the input counters are 0 in message_start",
    DeltaUsageMissing = "usage.delta-missing": "message_delta has no usage",
    DeltaInputZero = "usage.delta-input-zero": "the input counters are 0 in message_delta",
    Shrinks = "usage.shrinks": "output_tokens falls from message_start to message_delta",
} }

pub(super) fn apply(fault: StreamFault, records: &mut Vec<String>) {
    use StreamFault as F;
    let named = |record: &String, name: &str| record.starts_with(&format!("event: {name}\n"));
    let first = records.first().cloned().unwrap_or_default();
    let delta = records.iter().rev().find(|r| named(r, "message_delta")).cloned().unwrap_or_default();
    match fault {
        F::LineStray => records.insert(1, "hello\n\n".to_owned()),
        F::DataMissing => records.insert(1, "event: ping\n\n".to_owned()),
        F::DataNotJson => records.insert(1, "event: ping\ndata: hello\n\n".to_owned()),
        F::DoneRecord => records.push("data: [DONE]\n\n".to_owned()),
        F::EventNameMissing => {
            for record in records {
                *record = record.split_once('\n').map_or("", |(_, data)| data).to_owned();
            }
        }
        F::EventNameMismatch => {
            for record in records {
                *record = format!("event: message\n{}", record.split_once('\n').map_or("", |(_, data)| data));
            }
        }
        F::EventUnknown => records.insert(1, format_event(&json!({"type": "progress"}))),
        F::MessageStartMissing => drop(records.drain(..1)),
        F::EventBeforeStart => records.swap(0, 1),
        F::MessageStartTwice => records.insert(1, first),
        F::StartNotEmpty => edit_events(records, "message_start", |e| e["message"]["stop_reason"] = json!("end_turn")),
        F::MessageDeltaMissing => records.retain(|r| !named(r, "message_delta")),
        F::MessageStopMissing => records.retain(|r| !named(r, "message_stop")),
        F::MessageStopTwice => records.push(format_event(&json!({"type": "message_stop"}))),
        F::EventAfterStop => records.push(delta),
        F::BlockIndex => edit_events(records, "content_block_start", |e| e["index"] = json!(70)),
        F::BlockNested => {
            let index = count_blocks(records);
            if let Some(at) = records.iter().rposition(|r| named(r, "content_block_stop")) {
                records.splice(at..at, text_block_events(index));
            }
        }
        F::BlockStartShape => edit_events(records, "content_block_start", |e| e["content_block"] = Value::Null),
        F::ToolInputInStart => move_input_to_start(records),
        F::BlockAfterDelta => {
            let index = count_blocks(records);
            if let Some(at) = records.iter().rposition(|r| named(r, "message_delta")) {
                records.splice(at + 1..at + 1, text_block_events(index));
            }
        }
        F::DeltaAfterStop => {
            let is_last =
                |pair: &[String]| delta_type(&pair[0]) == "text_delta" && named(&pair[1], "content_block_stop");
            if let Some(at) = records.windows(2).position(is_last) {
                records.swap(at, at + 1);
            }
        }
        F::DeltaType => {
            insert_before_text_delta(records, |e| e["delta"] = json!({"type": "input_json_delta", "partial_json": ""}))
        }
        F::DeltaShape => insert_before_text_delta(records, |e| e["delta"]["text"] = Value::Null),
        F::ToolJson => {
            if let Some(at) = records.iter().rposition(|r| delta_type(r) == "input_json_delta") {
                records.remove(at);
            }
        }
        F::SignatureOrder => {
            if let Some(at) = records
                .windows(2)
                .position(|pair| delta_type(&pair[0]) == "thinking_delta" && delta_type(&pair[1]) == "signature_delta")
            {
                records.swap(at, at + 1);
            }
        }
        F::ErrorInStream => {
            records.truncate(1);
            let error = json!({"type": "overloaded_error", "message": "the endpoint is overloaded"});
            records.push(format_event(&json!({"type": "error", "error": error})));
        }
        F::BlockPrefilled => edit_events(records, "content_block_start", |e| {
            if e["content_block"]["type"] == "text" {
                e["content_block"]["text"] = json!("Well. ");
            }
        }),
        F::BlockNotStopped => {
            if let Some(at) = records.iter().rposition(|r| named(r, "content_block_stop")) {
                records.remove(at);
            }
        }
        F::BlockStopStray => {
            let at = records.len().saturating_sub(2);
            records.insert(at, format_event(&json!({"type": "content_block_stop", "index": 70})));
        }
        F::DeltaWithoutBlock => records.insert(1, delta_event(70, "text_delta")),
        F::DeltaTypeUnknown => {
            if let Some(at) = records.iter().position(|r| named(r, "content_block_delta")) {
                records.insert(at, delta_event(0, "audio_delta"));
            }
        }
        F::PingMissing => records.retain(|r| !named(r, "ping")),
        F::ErrorEvent => {
            records.truncate(1);
            records.push("event: error\ndata: {\"message\":\"lost\"}\n\n".to_owned());
        }
        F::StartUsageMissing => edit_events(records, "message_start", |e| e["message"]["usage"] = Value::Null),
        F::StartInputZero => edit_events(records, "message_start", |e| zero_input_counters(&mut e["message"]["usage"])),
        F::DeltaUsageMissing => edit_events(records, "message_delta", |e| e["usage"] = Value::Null),
        F::DeltaInputZero => edit_events(records, "message_delta", |e| zero_input_counters(&mut e["usage"])),
        F::Shrinks => {
            edit_events(records, "message_start", |e| e["message"]["usage"]["output_tokens"] = json!(1_000_000))
        }
    }
}

fn zero_input_counters(usage: &mut Value) {
    for key in ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] {
        usage[key] = json!(0);
    }
}

fn delta_event(index: u64, kind: &str) -> String {
    format_event(&json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, "text": "Well."}}))
}

fn format_event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

/// How many blocks a stream has.
fn count_blocks(records: &[String]) -> u64 {
    records.iter().filter(|record| record.starts_with("event: content_block_start\n")).count() as u64
}

/// A whole block of text.
fn text_block_events(index: u64) -> [String; 3] {
    [
        format_event(
            &json!({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}),
        ),
        delta_event(index, "text_delta"),
        format_event(&json!({"type": "content_block_stop", "index": index})),
    ]
}

/// The data of a record.
fn parse_data(record: &str) -> Value {
    record.split_once("\ndata: ").and_then(|(_, data)| serde_json::from_str(data).ok()).unwrap_or_default()
}

/// The type of a delta; nothing where the record is none.
fn delta_type(record: &str) -> String {
    parse_data(record)["delta"]["type"].as_str().unwrap_or_default().to_owned()
}

/// Puts a changed copy of the first delta of text beside it.
fn insert_before_text_delta(records: &mut Vec<String>, spoil: impl Fn(&mut Value)) {
    if let Some(at) = records.iter().position(|r| delta_type(r) == "text_delta") {
        let mut event = parse_data(&records[at]);
        spoil(&mut event);
        records.insert(at, format_event(&event));
    }
}

/// Puts what the fragments of calls come to into the starts of their blocks, and leaves the fragments out.
fn move_input_to_start(records: &mut Vec<String>) {
    let fragments: Vec<Value> =
        records.iter().filter(|r| delta_type(r) == "input_json_delta").map(|r| parse_data(r)).collect();
    edit_events(records, "content_block_start", |start| {
        let own = fragments.iter().filter(|fragment| fragment["index"] == start["index"]);
        let input: String = own.filter_map(|fragment| fragment["delta"]["partial_json"].as_str()).collect();
        if let Ok(input) = serde_json::from_str::<Value>(&input) {
            start["content_block"]["input"] = input;
        }
    });
    records.retain(|r| delta_type(r) != "input_json_delta");
}

/// Changes the events of one name.
fn edit_events(records: &mut [String], name: &str, spoil: impl Fn(&mut Value)) {
    for text in records {
        let data = text.strip_prefix(&format!("event: {name}\ndata: ")).and_then(|d| serde_json::from_str(d).ok());
        if let Some(mut data) = data {
            spoil(&mut data);
            *text = format_event(&data);
        }
    }
}
