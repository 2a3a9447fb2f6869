//! Event streams: the framing, over the raw bytes. What the events mean together is `grammar`'s work.

use serde_json::Value;

use super::grammar::{Event, Grammar};
use super::{Check, Found};
use crate::wire::exchange::{FailureKind, Response};
use crate::wire::message::excerpt;
use crate::wire::sse::{Frame, decode};

/// Checks a stream; the message that it amounts to, where it came to its end.
pub(super) fn check(asked: &Value, response: &Response, found: &mut Found) -> Option<Value> {
    let bytes = &response.body.0;
    match std::str::from_utf8(bytes) {
        Ok(text) => lines(text, response.cut.is_some(), found),
        // A cut may fall into a character.
        Err(error) if response.cut.is_none() => {
            found.add(Check::NotUtf8, format!("the byte at {} is no UTF-8", error.valid_up_to()));
        }
        Err(_) => {}
    }
    let (frames, rest) = decode(bytes);
    let mut grammar = Grammar::default();
    for frame in &frames {
        step(asked, frame, &mut grammar, found);
    }
    // Some clients pass over what has no blank line behind it, some read it.
    if let Some(frame) = rest.filter(|_| response.cut.is_none()) {
        let data = frame.data.as_deref().or(frame.event.as_deref()).unwrap_or_default();
        found.add(Check::FrameUnfinished, format!("no blank line after: {}", excerpt(data, 120)));
        step(asked, &frame, &mut grammar, found);
    }
    let is_ours = response.cut.as_ref().is_some_and(|cut| cut.kind == FailureKind::TooLarge);
    // Where we stopped reading, nothing is missing.
    if is_ours { None } else { grammar.finish(response.cut.as_ref().map(|cut| cut.message.as_str()), found) }
}

/// Lines that are no part of the event stream format.
fn lines(text: &str, is_cut: bool, found: &mut Found) {
    let whole = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = whole.split(['\n', '\r']).peekable();
    while let Some(line) = lines.next() {
        let name = line.split(':').next().unwrap_or_default();
        let is_last_of_a_cut = is_cut && lines.peek().is_none();
        if !matches!(name, "" | "event" | "data" | "id" | "retry") && !is_last_of_a_cut {
            found.add(Check::LineStray, excerpt(line, 120));
        }
    }
}

fn step(asked: &Value, frame: &Frame, grammar: &mut Grammar, found: &mut Found) {
    let name = frame.event.as_deref();
    let Some(data) = frame.data.as_deref() else {
        found.add(Check::DataMissing, format!("event: {}", name.unwrap_or_default()));
        return;
    };
    if data.trim() == "[DONE]" {
        found.add(Check::DoneRecord, "data: [DONE]");
        return;
    }
    let Ok(json @ Value::Object(_)) = serde_json::from_str::<Value>(data) else {
        found.add(Check::DataNotJson, excerpt(data, 120));
        return;
    };
    let kind = json["type"].as_str();
    match (name, kind) {
        (None, _) => found.add(Check::EventNameMissing, format!("data: {}", excerpt(data, 120))),
        // An error without its envelope is told as that.
        (Some("error"), None) => {}
        (Some(name), kind) if kind != Some(name) => found.add(
            Check::EventNameMismatch,
            format!("event: {name}, but the data's type is {}", kind.unwrap_or("missing")),
        ),
        (Some(_), _) => {}
    }
    match kind.or(name) {
        Some(kind) => grammar.step(&Event::of(kind), &json, asked, found),
        None => found.add(Check::EventUnknown, "an event with neither a name nor a type"),
    }
}
