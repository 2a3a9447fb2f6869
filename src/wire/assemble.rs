//! Assembles the message that an event stream contains: [`parse_stream`].
//!
//! This is the only place that applies events to a message. It reads events as the official
//! accumulators do and accepts any order of events; the passive checks report a wrong order. They
//! observe the events during the same pass.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::wire::bounded_json::{MAX_JSON_VALUES, UnreadableJson, count_values, parse_json};
use crate::wire::message::excerpt;
use crate::wire::sse::{SseItem, decode_text, iter_items};

/// The keys of a message that a `message_delta` sets.
const DELTA_KEYS: [&str; 5] = ["stop_reason", "stop_sequence", "stop_details", "container", "context_management"];

/// Other names of events are not kept.
const MAX_EVENT_NAMES: usize = 100;

/// The first event of a stream.
const MESSAGE_START: &str = "message_start";

/// A stream, parsed and assembled.
#[derive(Debug, Default)]
pub struct AssembledStream {
    /// The message as far as the stream contains it. `None` without a `message_start`.
    pub message: Option<Value>,
    /// How the stream ends.
    pub end: StreamEnd,
    /// Blocks whose input fragments do not form a JSON object: the position of the block and the
    /// joined fragments. The message has the input from the start of the block if the fragments are
    /// not JSON at all.
    pub invalid_inputs: Vec<(usize, String)>,
    /// The names of the events, without repetition.
    pub event_names: BTreeSet<String>,
    /// True if an event or the message has more values than [`MAX_JSON_VALUES`]. The rest of the
    /// stream is missing.
    pub is_too_large: bool,
    /// True if a `message_start` has its name in the event line and its type in the data. The
    /// official SDKs select events by name and read them by type.
    pub has_readable_start: bool,
}

/// How a stream ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StreamEnd {
    /// Without an event that ends it.
    #[default]
    Missing,
    /// With `message_stop`.
    MessageStop,
    /// With an `error` event. Contains the beginning of its data.
    Error(String),
}

/// Sees the items of a stream while it is parsed.
pub trait StreamObserver {
    /// Called first, with the position of the first byte that is not UTF-8.
    fn on_start(&mut self, _invalid_utf8_at: Option<usize>) {}

    /// Called for each item, with its data if it is JSON, and with the message before the item.
    fn on_item(&mut self, _item: &SseItem<'_>, _json: Option<&Value>, _before: &MessageAssembler) {}
}

/// Observes nothing.
impl StreamObserver for () {}

/// Parses the body of an event stream in one pass.
pub fn parse_stream(body: &[u8], is_truncated: bool, observer: &mut impl StreamObserver) -> AssembledStream {
    let (text, invalid_utf8_at) = decode_text(body);
    // A truncated body may end inside a line. The beginning of a line has no meaning.
    let text = if is_truncated { complete_lines(&text) } else { &text };
    let mut assembler = MessageAssembler::default();
    let mut event_names = BTreeSet::new();
    let mut has_readable_start = false;
    observer.on_start(invalid_utf8_at);
    for item in iter_items(text) {
        let data = match &item {
            SseItem::Frame(frame) | SseItem::Unterminated(frame) => frame.data.as_deref(),
            SseItem::UnknownLine(_) => None,
        };
        let json = data.map(parse_json);
        if json == Some(Err(UnreadableJson::TooLarge)) || assembler.is_too_large {
            assembler.is_too_large = true;
            break;
        }
        let json = json.and_then(Result::ok);
        observer.on_item(&item, json.as_ref(), &assembler);
        let SseItem::Frame(frame) = &item else { continue };
        if let (Some(json), Some(data)) = (&json, data) {
            has_readable_start |= json["type"] == MESSAGE_START && frame.event.as_deref() == Some(MESSAGE_START);
            assembler.apply(json, data);
        }
        let is_new = |name: &&str| event_names.len() < MAX_EVENT_NAMES && !event_names.contains(*name);
        if let Some(name) = frame.event.as_deref().filter(is_new) {
            event_names.insert(name.to_owned());
        }
    }
    AssembledStream { event_names, has_readable_start, ..assembler.finish() }
}

fn complete_lines(text: &str) -> &str {
    &text[..text.rfind(['\n', '\r']).map_or(0, |end| end + 1)]
}

/// A message while it is assembled.
#[derive(Debug, Default)]
pub struct MessageAssembler {
    message: Option<Map<String, Value>>,
    blocks: Vec<PartialBlock>,
    end: StreamEnd,
    /// The number of values that the message has at most.
    values: usize,
    is_too_large: bool,
}

#[derive(Debug)]
struct PartialBlock {
    value: Value,
    /// The fragments of the input of a tool call.
    input_json: String,
}

impl MessageAssembler {
    /// Returns the token counters so far.
    pub fn usage(&self) -> &Value {
        self.message.as_ref().and_then(|message| message.get("usage")).unwrap_or(&Value::Null)
    }

    fn apply(&mut self, event: &Value, data: &str) {
        if self.end != StreamEnd::Missing {
            return;
        }
        let kind = event["type"].as_str().unwrap_or_default();
        // The events of texts add no values.
        if matches!(kind, MESSAGE_START | "content_block_start" | "message_delta") && self.exceeds_limit(data) {
            return;
        }
        match (kind, &mut self.message) {
            (MESSAGE_START, message @ None) => {
                *message = Some(event["message"].as_object().cloned().unwrap_or_default());
            }
            ("content_block_start", _) => {
                let value = event["content_block"].clone();
                self.blocks.push(PartialBlock { value, input_json: String::new() });
            }
            ("content_block_delta", _) => {
                let index = event["index"].as_u64().and_then(|index| usize::try_from(index).ok());
                if let Some(block) = index.and_then(|index| self.blocks.get_mut(index)) {
                    block.apply_delta(&event["delta"]);
                }
            }
            ("message_delta", Some(message)) => apply_message_delta(message, event),
            ("message_stop", Some(_)) => self.end = StreamEnd::MessageStop,
            ("error", _) => self.end = StreamEnd::Error(excerpt(data, 300)),
            _ => {}
        }
    }

    /// Counts the values that become a part of the message. Returns true if they are too many.
    fn exceeds_limit(&mut self, json: &str) -> bool {
        self.values += count_values(json);
        self.is_too_large |= self.values > MAX_JSON_VALUES;
        self.is_too_large
    }

    fn finish(mut self) -> AssembledStream {
        let mut invalid_inputs = Vec::new();
        let mut blocks = Vec::new();
        for (index, PartialBlock { mut value, input_json }) in std::mem::take(&mut self.blocks).into_iter().enumerate()
        {
            if !input_json.is_empty() {
                let is_too_large = self.exceeds_limit(&input_json);
                let input = if is_too_large { None } else { parse_json(&input_json).ok() };
                if !input.as_ref().is_some_and(Value::is_object) {
                    invalid_inputs.push((index, input_json));
                }
                if let (Some(block), Some(input)) = (value.as_object_mut(), input) {
                    block.insert("input".to_owned(), input);
                }
            }
            blocks.push(value);
        }
        let message = self.message.map(|mut message| {
            if !blocks.is_empty() || !message.get("content").is_some_and(Value::is_array) {
                message.insert("content".to_owned(), Value::from(blocks));
            }
            Value::from(message)
        });
        AssembledStream {
            message,
            end: self.end,
            invalid_inputs,
            is_too_large: self.is_too_large,
            ..AssembledStream::default()
        }
    }
}

impl PartialBlock {
    fn apply_delta(&mut self, delta: &Value) {
        let key = match delta["type"].as_str() {
            Some("text_delta") => "text",
            Some("thinking_delta") => "thinking",
            Some("signature_delta") => "signature",
            Some("input_json_delta") => {
                return self.input_json.push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
            _ => return,
        };
        let (Some(block), Some(fragment)) = (self.value.as_object_mut(), delta[key].as_str()) else { return };
        match block.get_mut(key) {
            Some(Value::String(text)) => text.push_str(fragment),
            _ => drop(block.insert(key.to_owned(), fragment.into())),
        }
    }
}

fn apply_message_delta(message: &mut Map<String, Value>, event: &Value) {
    for key in DELTA_KEYS {
        // Some servers repeat the event with null. This does not remove the earlier value.
        if let Some(value) = event["delta"].get(key).filter(|value| !value.is_null() || !message.contains_key(key)) {
            message.insert(key.to_owned(), value.clone());
        }
    }
    let usage = message.entry("usage").or_insert(Value::Null);
    if !usage.is_object() {
        *usage = Value::Object(Map::new());
    }
    for (key, value) in event["usage"].as_object().into_iter().flatten() {
        usage[key] = value.clone();
    }
}
