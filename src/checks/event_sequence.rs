//! The grammar of a Messages event stream: a state machine over its events.
//!
//! It goes on after a fault, so that one fault is told once and hides no other. It knows nothing of bytes and frames.

use serde_json::{Value, json};

use crate::checks::stream_block::StreamBlock;
use crate::checks::{FindingCollector, ProtocolCheck, error, error_leak, format_value, usage};
use crate::wire::fast_delta::ContentDelta;

/// The events of a stream, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StreamEvent {
    MessageStart,
    BlockStart,
    BlockDelta,
    BlockStop,
    MessageDelta,
    MessageStop,
    Ping,
    Error,
    Unknown(String),
}

impl StreamEvent {
    pub fn from_name(name: &str) -> Self {
        match name {
            "message_start" => Self::MessageStart,
            "content_block_start" => Self::BlockStart,
            "content_block_delta" => Self::BlockDelta,
            "content_block_stop" => Self::BlockStop,
            "message_delta" => Self::MessageDelta,
            "message_stop" => Self::MessageStop,
            "ping" => Self::Ping,
            "error" => Self::Error,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

/// Where in the stream we are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SequenceState {
    /// Nothing but pings so far.
    #[default]
    Start,
    /// Between blocks.
    Open,
    /// In the block of this position.
    Block(usize),
    /// The end was announced by a `message_delta`.
    Closing,
    /// `message_stop` or an error came.
    End,
}

/// The machine.
#[derive(Debug, Default)]
pub(super) struct EventSequence {
    state: SequenceState,
    message: Option<Value>,
    blocks: Vec<StreamBlock>,
    has_started: bool,
    has_ping: bool,
    has_failed: bool,
}

impl EventSequence {
    pub fn process_event(&mut self, event: &StreamEvent, data: &Value, asked: &Value, found: &mut FindingCollector) {
        match (self.state, event) {
            (_, StreamEvent::Ping) => self.has_ping = true,
            (_, StreamEvent::Unknown(name)) => found.add(ProtocolCheck::EventUnknown, format!("event {name}")),
            (SequenceState::End, StreamEvent::MessageStop) => {
                found.add(ProtocolCheck::MessageStopTwice, "a second message_stop")
            }
            (SequenceState::End, event) => found.add(ProtocolCheck::EventAfterStop, format!("{event:?} after the end")),
            (_, StreamEvent::Error) => {
                error_leak::check(asked, &data.to_string(), found);
                if let Some(kind) = error::check_envelope(data, ProtocolCheck::ErrorEvent, found) {
                    let message = format_value(data["error"].get("message"));
                    found.add(ProtocolCheck::ErrorInStream, format!("{kind}: {message}"));
                }
                (self.state, self.has_failed) = (SequenceState::End, true);
            }
            (_, StreamEvent::MessageStart) => self.handle_message_start(data, found),
            (SequenceState::Start, event) => {
                found.add(ProtocolCheck::EventBeforeStart, format!("{event:?} before message_start"));
                self.process_inner_event(event, data, found);
            }
            (SequenceState::Open | SequenceState::Block(_) | SequenceState::Closing, event) => {
                self.process_inner_event(event, data, found)
            }
        }
    }

    /// Takes a delta in which nothing is wrong, without a word; false where it is [`step`](Self::step)'s to look at.
    /// What is taken here must be what `step` finds nothing in.
    pub fn accept_fast(&mut self, delta: &ContentDelta<'_>) -> bool {
        matches!(self.state, SequenceState::Open | SequenceState::Block(_))
            && self.blocks.get_mut(delta.index).is_some_and(|block| block.accept_fast(delta))
    }

    /// Events between the start and the end.
    fn process_inner_event(&mut self, event: &StreamEvent, data: &Value, found: &mut FindingCollector) {
        let is_block = matches!(event, StreamEvent::BlockStart | StreamEvent::BlockDelta | StreamEvent::BlockStop);
        if self.state == SequenceState::Closing && is_block {
            found.add(ProtocolCheck::BlockAfterDelta, format!("{event:?} after message_delta"));
        }
        match event {
            StreamEvent::BlockStart => self.handle_block_start(data, found),
            StreamEvent::BlockDelta => self.handle_block_delta(data, found),
            StreamEvent::BlockStop => self.handle_block_stop(data, found),
            StreamEvent::MessageDelta => self.handle_message_delta(data, found),
            StreamEvent::MessageStop => self.handle_message_stop(found),
            StreamEvent::MessageStart | StreamEvent::Ping | StreamEvent::Error | StreamEvent::Unknown(_) => {}
        }
    }

    fn handle_message_start(&mut self, data: &Value, found: &mut FindingCollector) {
        if std::mem::replace(&mut self.has_started, true) {
            found.add(ProtocolCheck::MessageStartTwice, "a second message_start");
            return;
        }
        let message = &data["message"];
        usage::check_start(&message["usage"], found);
        let filled = ["stop_reason", "stop_sequence"].into_iter().find(|key| !message[*key].is_null());
        if let Some(key) = filled {
            found.add(ProtocolCheck::StartNotEmpty, format!("{key} is {}", format_value(message.get(key))));
        }
        if message["content"].as_array().is_none_or(|c| !c.is_empty()) {
            found.add(ProtocolCheck::StartNotEmpty, format!("content is {}", format_value(message.get("content"))));
        }
        self.message = Some(if message.is_object() { message.clone() } else { json!({}) });
        if self.state == SequenceState::Start {
            self.state = SequenceState::Open;
        }
    }

    fn handle_block_start(&mut self, data: &Value, found: &mut FindingCollector) {
        if let SequenceState::Block(open) = self.state {
            found.add(ProtocolCheck::BlockNested, format!("a block starts while block {open} is open"));
        }
        let next = self.blocks.len();
        if data["index"].as_u64() != Some(next as u64) {
            found.add(
                ProtocolCheck::BlockIndex,
                format!("block {next} starts with index {}", format_value(data.get("index"))),
            );
        }
        let value = data["content_block"].clone();
        let kind = value["type"].as_str().unwrap_or_default().to_owned();
        if kind.is_empty() {
            found.add(
                ProtocolCheck::BlockStartShape,
                format!("content_block is {}", format_value(data.get("content_block"))),
            );
        }
        let early = ["text", "thinking"].into_iter().find(|key| value[*key].as_str().is_some_and(|t| !t.is_empty()));
        if let Some(key) = early {
            found.add(ProtocolCheck::BlockPrefilled, format!("{key} is {}", format_value(value.get(key))));
        }
        // Whatever stands there, the deltas need an object to go to.
        let value = if value.is_object() { value } else { json!({}) };
        let block = StreamBlock::new(kind, value);
        if block.is_call() && block.value["input"].as_object().is_some_and(|i| !i.is_empty()) {
            found.add(ProtocolCheck::ToolInputInStart, format!("input is {}", format_value(block.value.get("input"))));
        }
        self.blocks.push(block);
        self.enter_state(SequenceState::Block(next));
    }

    /// The closing state is not left: what follows it is told as such, and ends as it would have.
    fn enter_state(&mut self, state: SequenceState) {
        if self.state != SequenceState::Closing {
            self.state = state;
        }
    }

    /// The block that an event names.
    fn find_block(&mut self, data: &Value) -> Option<&mut StreamBlock> {
        let index = data["index"].as_u64().and_then(|i| usize::try_from(i).ok())?;
        self.blocks.get_mut(index)
    }

    fn handle_block_delta(&mut self, data: &Value, found: &mut FindingCollector) {
        let Some(block) = self.find_block(data) else {
            found.add(
                ProtocolCheck::DeltaWithoutBlock,
                format!("index {} was never started", format_value(data.get("index"))),
            );
            return;
        };
        if !block.is_open {
            found.add(
                ProtocolCheck::DeltaAfterStop,
                format!("block {} was stopped before", format_value(data.get("index"))),
            );
        }
        block.apply(&data["delta"], found);
    }

    fn handle_block_stop(&mut self, data: &Value, found: &mut FindingCollector) {
        let Some(block) = self.find_block(data).filter(|block| block.is_open) else {
            found.add(ProtocolCheck::BlockStopStray, format!("index {} is not open", format_value(data.get("index"))));
            return;
        };
        block.close();
        let open = self.blocks.iter().rposition(|block| block.is_open);
        self.enter_state(open.map_or(SequenceState::Open, SequenceState::Block));
    }

    fn handle_message_delta(&mut self, data: &Value, found: &mut FindingCollector) {
        // A call that was cut by max_tokens may lack its end; the documents leave it open.
        let is_excused = |b: &StreamBlock| b.is_call() && data["delta"]["stop_reason"] == "max_tokens";
        self.close_blocks(found, is_excused);
        self.state = SequenceState::Closing;
        let message = self.message.get_or_insert_with(|| json!({}));
        usage::check_delta(&message["usage"], &data["usage"], found);
        for key in ["stop_reason", "stop_sequence"] {
            if let Some(value) = data["delta"].get(key) {
                message[key] = value.clone();
            }
        }
        if !message["usage"].is_object() {
            message["usage"] = json!({});
        }
        for (key, value) in data["usage"].as_object().into_iter().flatten() {
            message["usage"][key] = value.clone();
        }
    }

    fn handle_message_stop(&mut self, found: &mut FindingCollector) {
        if self.state != SequenceState::Closing {
            found.add(ProtocolCheck::MessageDeltaMissing, "message_stop without a message_delta");
        }
        self.close_blocks(found, |_| false);
        self.state = SequenceState::End;
    }

    fn close_blocks(&mut self, found: &mut FindingCollector, is_excused: impl Fn(&StreamBlock) -> bool) {
        for (index, block) in self.blocks.iter_mut().enumerate().filter(|(_, block)| block.is_open) {
            if is_excused(block) {
                block.is_open = false;
            } else {
                found.add(ProtocolCheck::BlockNotStopped, format!("block {index} is still open"));
                block.close();
            }
        }
    }

    /// Ends the stream; the message, where there is a whole one.
    pub fn finish(self, cut: Option<&str>, found: &mut FindingCollector) -> Option<Value> {
        let is_cut = self.message.as_ref().is_some_and(|message| message["stop_reason"] == "max_tokens");
        self.blocks.iter().for_each(|block| block.report(is_cut, found));
        match (self.state, cut) {
            _ if self.has_failed => return None,
            (SequenceState::End, _) => {}
            (_, Some(why)) => {
                found.add(ProtocolCheck::StreamCut, why);
                return None;
            }
            (SequenceState::Start, None) => {}
            (SequenceState::Open | SequenceState::Block(_) | SequenceState::Closing, None) => {
                found.add(ProtocolCheck::MessageStopMissing, format!("the stream ends in the state {:?}", self.state));
                return None;
            }
        }
        let Some(mut message) = self.message.filter(|_| self.has_started) else {
            found.add(ProtocolCheck::MessageStartMissing, "no message_start with a message");
            return None;
        };
        if !self.has_ping {
            found.add(ProtocolCheck::PingMissing, "a whole stream without a ping");
        }
        message["content"] = self.blocks.into_iter().map(|block| block.value).collect();
        Some(message)
    }
}
