//! Faults of streams, over their records.

use serde_json::{Value, json};

super::faults! { StreamFault {
    LineStray = "sse.line-stray",
    FrameUnfinished = "sse.frame-unfinished",
    DataMissing = "sse.data-missing",
    DataNotJson = "sse.data-not-json",
    DoneRecord = "sse.done-record",
    EventNameMissing = "sse.event-name-missing",
    EventNameMismatch = "sse.event-name-mismatch",
    EventUnknown = "sse.event-unknown",
    MessageStartMissing = "sse.message-start-missing",
    EventBeforeStart = "sse.event-before-start",
    MessageStartTwice = "sse.message-start-twice",
    StartNotEmpty = "sse.start-not-empty",
    MessageDeltaMissing = "sse.message-delta-missing",
    MessageStopMissing = "sse.message-stop-missing",
    MessageStopTwice = "sse.message-stop-twice",
    EventAfterStop = "sse.event-after-stop",
    BlockIndex = "sse.block-index",
    BlockPrefilled = "sse.block-prefilled",
    BlockNotStopped = "sse.block-not-stopped",
    BlockStopStray = "sse.block-stop-stray",
    DeltaWithoutBlock = "sse.delta-without-block",
    DeltaTypeUnknown = "sse.delta-type-unknown",
    PingMissing = "sse.ping-missing",
    ErrorEvent = "sse.error-event",
    StartUsageMissing = "usage.start-missing",
    StartInputZero = "usage.start-input-zero",
    DeltaUsageMissing = "usage.delta-missing",
    DeltaInputZero = "usage.delta-input-zero",
    Shrinks = "usage.shrinks",
} }

pub(super) fn spoil(fault: StreamFault, records: &mut Vec<String>) {
    use StreamFault as F;
    let named = |record: &String, name: &str| record.starts_with(&format!("event: {name}\n"));
    let first = records.first().cloned().unwrap_or_default();
    let delta = records.iter().rev().find(|r| named(r, "message_delta")).cloned().unwrap_or_default();
    match fault {
        F::LineStray => records.insert(1, "hello\n\n".to_owned()),
        F::FrameUnfinished => {
            if let Some(last) = records.last_mut() {
                last.truncate(last.trim_end().len());
            }
        }
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
        F::EventUnknown => records.insert(1, record(&json!({"type": "progress"}))),
        F::MessageStartMissing => drop(records.drain(..1)),
        F::EventBeforeStart => records.swap(0, 1),
        F::MessageStartTwice => records.insert(1, first),
        F::StartNotEmpty => change(records, "message_start", |e| e["message"]["stop_reason"] = json!("end_turn")),
        F::MessageDeltaMissing => records.retain(|r| !named(r, "message_delta")),
        F::MessageStopMissing => records.retain(|r| !named(r, "message_stop")),
        F::MessageStopTwice => records.push(record(&json!({"type": "message_stop"}))),
        F::EventAfterStop => records.push(delta),
        F::BlockIndex => change(records, "content_block_start", |e| e["index"] = json!(70)),
        F::BlockPrefilled => change(records, "content_block_start", |e| {
            if e["content_block"]["type"] == "text" {
                e["content_block"]["text"] = json!("Well. ");
            }
        }),
        F::BlockNotStopped => records.retain(|r| !named(r, "content_block_stop")),
        F::BlockStopStray => {
            let at = records.len().saturating_sub(2);
            records.insert(at, record(&json!({"type": "content_block_stop", "index": 70})));
        }
        F::DeltaWithoutBlock => records.insert(1, piece(70, "text_delta")),
        F::DeltaTypeUnknown => {
            if let Some(at) = records.iter().position(|r| named(r, "content_block_delta")) {
                records.insert(at, piece(0, "audio_delta"));
            }
        }
        F::PingMissing => records.retain(|r| !named(r, "ping")),
        F::ErrorEvent => {
            records.truncate(1);
            records.push("event: error\ndata: {\"message\":\"lost\"}\n\n".to_owned());
        }
        F::StartUsageMissing => change(records, "message_start", |e| e["message"]["usage"] = Value::Null),
        F::StartInputZero => change(records, "message_start", |e| no_input(&mut e["message"]["usage"])),
        F::DeltaUsageMissing => change(records, "message_delta", |e| e["usage"] = Value::Null),
        F::DeltaInputZero => change(records, "message_delta", |e| no_input(&mut e["usage"])),
        F::Shrinks => change(records, "message_start", |e| e["message"]["usage"]["output_tokens"] = json!(1_000_000)),
    }
}

fn no_input(usage: &mut Value) {
    for key in ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] {
        usage[key] = json!(0);
    }
}

fn piece(index: u64, kind: &str) -> String {
    record(&json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, "text": "Well."}}))
}

fn record(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

/// Changes the events of one name.
fn change(records: &mut [String], name: &str, spoil: impl Fn(&mut Value)) {
    for text in records {
        let data = text.strip_prefix(&format!("event: {name}\ndata: ")).and_then(|d| serde_json::from_str(d).ok());
        if let Some(mut data) = data {
            spoil(&mut data);
            *text = record(&data);
        }
    }
}
