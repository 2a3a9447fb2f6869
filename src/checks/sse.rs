//! Event streams: the framing, over the raw bytes. What the events mean together is `grammar`'s work.

use serde_json::Value;

use crate::checks::event_sequence::{Event, Grammar};
use crate::checks::{Check, Found};
use crate::wire::exchange::{FailureKind, Response};
use crate::wire::fast_delta;
use crate::wire::fast_delta::Pace;
use crate::wire::message::excerpt;
use crate::wire::sse::{Frame, Part, parts, text};

/// Checks a stream; the message that it amounts to, where it came to its end.
pub(super) fn check(asked: &Value, response: &Response, pace: Pace, found: &mut Found) -> Option<Value> {
    let is_cut = response.cut.is_some();
    let (text, broken) = text(&response.body.0);
    // A cut may fall into a character.
    if let Some(at) = broken.filter(|_| !is_cut) {
        found.add(Check::NotUtf8, format!("the byte at {at} is no UTF-8"));
    }
    let mut grammar = Grammar::default();
    for part in parts(if is_cut { whole_lines(&text) } else { &text }) {
        match part {
            Part::Frame(frame) => step(asked, &frame, pace, &mut grammar, found),
            Part::Stray(line) if broken.is_none() => found.add(Check::LineStray, excerpt(line, 120)),
            // Some clients pass over what has no blank line behind it, some read it.
            Part::Rest(frame) if !is_cut => {
                let data = frame.data.as_deref().or(frame.event.as_deref()).unwrap_or_default();
                found.add(Check::FrameUnfinished, format!("no blank line after: {}", excerpt(data, 120)));
                step(asked, &frame, pace, &mut grammar, found);
            }
            Part::Stray(_) | Part::Rest(_) => {}
        }
    }
    let is_ours = response.cut.as_ref().is_some_and(|cut| cut.kind == FailureKind::TooLarge);
    // Where we stopped reading, nothing is missing.
    if is_ours { None } else { grammar.finish(response.cut.as_ref().map(|cut| cut.message.as_str()), found) }
}

/// What came of a cut body up to its last line's end; the beginning of a line says nothing.
fn whole_lines(text: &str) -> &str {
    &text[..text.rfind(['\n', '\r']).map_or(0, |end| end + 1)]
}

fn step(asked: &Value, frame: &Frame<'_>, pace: Pace, grammar: &mut Grammar, found: &mut Found) {
    let name = frame.event.as_deref();
    let Some(data) = frame.data.as_deref() else {
        found.add(Check::DataMissing, format!("event: {}", name.unwrap_or_default()));
        return;
    };
    // Nearly all events are deltas in which nothing is wrong.
    if name.is_none_or(|name| name == fast_delta::NAME) && pace.delta(data).is_some_and(|delta| grammar.takes(&delta)) {
        if name.is_none() && !found.has(Check::EventNameMissing) {
            found.add(Check::EventNameMissing, format!("data: {}", excerpt(data, 120)));
        }
        return;
    }
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
