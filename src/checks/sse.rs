//! The checks of the framing of an event stream: [`StreamChecker`].
//!
//! [`EventSequence`] checks the order of the events.

use serde_json::Value;

use crate::checks::catalog::ProtocolCheck;
use crate::checks::collector::FindingCollector;
use crate::checks::event_sequence::EventSequence;
use crate::wire::assemble::{AssembledStream, MessageAssembler, StreamObserver};
use crate::wire::exchange::{FailureKind, Response};
use crate::wire::message::excerpt;
use crate::wire::sse::{SseFrame, SseItem};

/// Checks a stream while it is parsed.
pub(super) struct StreamChecker<'a> {
    request_body: &'a Value,
    response: &'a Response,
    found: &'a mut FindingCollector,
    sequence: EventSequence,
    is_utf8: bool,
}

impl<'a> StreamChecker<'a> {
    pub fn new(request_body: &'a Value, response: &'a Response, found: &'a mut FindingCollector) -> Self {
        Self { request_body, response, found, sequence: EventSequence::default(), is_utf8: true }
    }

    /// Ends the stream. Returns the message if the stream is complete.
    pub fn finish(self, stream: &AssembledStream) -> Option<Value> {
        let cut = self.response.cut.as_ref();
        // Nothing is missing if this program stopped at its own size limit.
        if stream.is_too_large || cut.is_some_and(|cut| cut.kind == FailureKind::TooLarge) {
            return None;
        }
        self.sequence.finish(stream, cut.map(|cut| cut.message.as_str()), self.found)
    }

    fn check_frame(&mut self, frame: &SseFrame<'_>, json: Option<&Value>, before: &MessageAssembler) {
        let name = frame.event.as_deref();
        let Some(data) = frame.data.as_deref() else {
            self.found.add(ProtocolCheck::DataMissing, format!("event: {}", name.unwrap_or_default()));
            return;
        };
        if data.trim() == "[DONE]" {
            self.found.add(ProtocolCheck::DoneRecord, "data: [DONE]");
            return;
        }
        let Some(json) = json.filter(|json| json.is_object()) else {
            self.found.add(ProtocolCheck::DataNotJson, excerpt(data, 120));
            return;
        };
        let kind = json["type"].as_str();
        match (name, kind) {
            (None, _) if self.found.contains(ProtocolCheck::EventNameMissing) => {}
            (None, _) => self.found.add(ProtocolCheck::EventNameMissing, format!("data: {}", excerpt(data, 120))),
            // Another check reports an error without its envelope.
            (Some("error"), None) => {}
            (Some(name), kind) if kind != Some(name) => self.found.add(
                ProtocolCheck::EventNameMismatch,
                format!("event: {name}, but the type in the data is {}", kind.unwrap_or("missing")),
            ),
            (Some(_), _) => {}
        }
        match kind.or(name) {
            Some(kind) => self.sequence.check_event(kind, json, before, self.request_body, self.found),
            None => self.found.add(ProtocolCheck::EventUnknown, "an event with neither a name nor a type"),
        }
    }
}

impl StreamObserver for StreamChecker<'_> {
    fn on_start(&mut self, invalid_utf8_at: Option<usize>) {
        self.is_utf8 = invalid_utf8_at.is_none();
        // A truncated body may end inside a character.
        if let Some(position) = invalid_utf8_at.filter(|_| self.response.cut.is_none()) {
            self.found.add(ProtocolCheck::NotUtf8, format!("byte {position} is not UTF-8"));
        }
    }

    fn on_item(&mut self, item: &SseItem<'_>, json: Option<&Value>, before: &MessageAssembler) {
        match item {
            SseItem::Frame(frame) => self.check_frame(frame, json, before),
            SseItem::UnknownLine(line) if self.is_utf8 => self.found.add(ProtocolCheck::LineStray, excerpt(line, 120)),
            // Some clients ignore an unterminated frame, and some read it.
            SseItem::Unterminated(frame) if self.response.cut.is_none() => {
                let data = frame.data.as_deref().or(frame.event.as_deref()).unwrap_or_default();
                self.found.add(ProtocolCheck::FrameUnfinished, format!("no blank line after: {}", excerpt(data, 120)));
                self.check_frame(frame, json, before);
            }
            SseItem::UnknownLine(_) | SseItem::Unterminated(_) => {}
        }
    }
}
