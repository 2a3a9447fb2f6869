//! Event streams: the framing, over the raw bytes. What the events mean together is `grammar`'s work.

use serde_json::Value;

use crate::checks::event_sequence::{EventSequence, StreamEvent};
use crate::checks::{FindingCollector, ProtocolCheck};
use crate::wire::exchange::{FailureKind, Response};
use crate::wire::fast_delta;
use crate::wire::fast_delta::ParseMode;
use crate::wire::message::excerpt;
use crate::wire::sse::{SseFrame, SseItem, decode_text, iter_items};

/// Checks a stream; the message that it amounts to, where it came to its end.
pub(super) fn check(
    asked: &Value,
    response: &Response,
    pace: ParseMode,
    found: &mut FindingCollector,
) -> Option<Value> {
    let is_cut = response.cut.is_some();
    let (text, broken) = decode_text(&response.body.0);
    // A cut may fall into a character.
    if let Some(at) = broken.filter(|_| !is_cut) {
        found.add(ProtocolCheck::NotUtf8, format!("the byte at {at} is no UTF-8"));
    }
    let mut grammar = EventSequence::default();
    for part in iter_items(if is_cut { trim_partial_line(&text) } else { &text }) {
        match part {
            SseItem::Frame(frame) => check_frame(asked, &frame, pace, &mut grammar, found),
            SseItem::UnknownLine(line) if broken.is_none() => found.add(ProtocolCheck::LineStray, excerpt(line, 120)),
            // Some clients pass over what has no blank line behind it, some read it.
            SseItem::Unterminated(frame) if !is_cut => {
                let data = frame.data.as_deref().or(frame.event.as_deref()).unwrap_or_default();
                found.add(ProtocolCheck::FrameUnfinished, format!("no blank line after: {}", excerpt(data, 120)));
                check_frame(asked, &frame, pace, &mut grammar, found);
            }
            SseItem::UnknownLine(_) | SseItem::Unterminated(_) => {}
        }
    }
    let is_ours = response.cut.as_ref().is_some_and(|cut| cut.kind == FailureKind::TooLarge);
    // Where we stopped reading, nothing is missing.
    if is_ours { None } else { grammar.finish(response.cut.as_ref().map(|cut| cut.message.as_str()), found) }
}

/// What came of a cut body up to its last line's end; the beginning of a line says nothing.
fn trim_partial_line(text: &str) -> &str {
    &text[..text.rfind(['\n', '\r']).map_or(0, |end| end + 1)]
}

fn check_frame(
    asked: &Value,
    frame: &SseFrame<'_>,
    pace: ParseMode,
    grammar: &mut EventSequence,
    found: &mut FindingCollector,
) {
    let name = frame.event.as_deref();
    let Some(data) = frame.data.as_deref() else {
        found.add(ProtocolCheck::DataMissing, format!("event: {}", name.unwrap_or_default()));
        return;
    };
    // Nearly all events are deltas in which nothing is wrong.
    if name.is_none_or(|name| name == fast_delta::EVENT_NAME)
        && pace.parse_delta(data).is_some_and(|delta| grammar.accept_fast(&delta))
    {
        if name.is_none() && !found.contains(ProtocolCheck::EventNameMissing) {
            found.add(ProtocolCheck::EventNameMissing, format!("data: {}", excerpt(data, 120)));
        }
        return;
    }
    if data.trim() == "[DONE]" {
        found.add(ProtocolCheck::DoneRecord, "data: [DONE]");
        return;
    }
    let Ok(json @ Value::Object(_)) = serde_json::from_str::<Value>(data) else {
        found.add(ProtocolCheck::DataNotJson, excerpt(data, 120));
        return;
    };
    let kind = json["type"].as_str();
    match (name, kind) {
        (None, _) => found.add(ProtocolCheck::EventNameMissing, format!("data: {}", excerpt(data, 120))),
        // An error without its envelope is told as that.
        (Some("error"), None) => {}
        (Some(name), kind) if kind != Some(name) => found.add(
            ProtocolCheck::EventNameMismatch,
            format!("event: {name}, but the data's type is {}", kind.unwrap_or("missing")),
        ),
        (Some(_), _) => {}
    }
    match kind.or(name) {
        Some(kind) => grammar.process_event(&StreamEvent::from_name(kind), &json, asked, found),
        None => found.add(ProtocolCheck::EventUnknown, "an event with neither a name nor a type"),
    }
}
