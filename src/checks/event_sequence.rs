//! The grammar of a Messages event stream: a state machine over its events.
//!
//! It goes on after a fault, so that one fault is told once and hides no other. It knows nothing of bytes and frames.

use serde_json::{Value, json};

use crate::checks::stream_block::Block;
use crate::checks::{Check, Found, error, error_leak, shown, usage};
use crate::wire::fast_delta::Delta;

/// The events of a stream, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
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

impl Event {
    pub fn of(name: &str) -> Self {
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
enum State {
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
pub(super) struct Grammar {
    state: State,
    message: Option<Value>,
    blocks: Vec<Block>,
    has_started: bool,
    was_pinged: bool,
    has_failed: bool,
}

impl Grammar {
    pub fn step(&mut self, event: &Event, data: &Value, asked: &Value, found: &mut Found) {
        match (self.state, event) {
            (_, Event::Ping) => self.was_pinged = true,
            (_, Event::Unknown(name)) => found.add(Check::EventUnknown, format!("event {name}")),
            (State::End, Event::MessageStop) => found.add(Check::MessageStopTwice, "a second message_stop"),
            (State::End, event) => found.add(Check::EventAfterStop, format!("{event:?} after the end")),
            (_, Event::Error) => {
                error_leak::check(asked, &data.to_string(), found);
                if let Some(kind) = error::envelope(data, Check::ErrorEvent, found) {
                    let message = shown(data["error"].get("message"));
                    found.add(Check::ErrorInStream, format!("{kind}: {message}"));
                }
                (self.state, self.has_failed) = (State::End, true);
            }
            (_, Event::MessageStart) => self.message_start(data, found),
            (State::Start, event) => {
                found.add(Check::EventBeforeStart, format!("{event:?} before message_start"));
                self.within(event, data, found);
            }
            (State::Open | State::Block(_) | State::Closing, event) => self.within(event, data, found),
        }
    }

    /// Takes a delta in which nothing is wrong, without a word; false where it is [`step`](Self::step)'s to look at.
    /// What is taken here must be what `step` finds nothing in.
    pub fn takes(&mut self, delta: &Delta<'_>) -> bool {
        matches!(self.state, State::Open | State::Block(_))
            && self.blocks.get_mut(delta.index).is_some_and(|block| block.takes(delta))
    }

    /// Events between the start and the end.
    fn within(&mut self, event: &Event, data: &Value, found: &mut Found) {
        let is_block = matches!(event, Event::BlockStart | Event::BlockDelta | Event::BlockStop);
        if self.state == State::Closing && is_block {
            found.add(Check::BlockAfterDelta, format!("{event:?} after message_delta"));
        }
        match event {
            Event::BlockStart => self.block_start(data, found),
            Event::BlockDelta => self.block_delta(data, found),
            Event::BlockStop => self.block_stop(data, found),
            Event::MessageDelta => self.message_delta(data, found),
            Event::MessageStop => self.message_stop(found),
            Event::MessageStart | Event::Ping | Event::Error | Event::Unknown(_) => {}
        }
    }

    fn message_start(&mut self, data: &Value, found: &mut Found) {
        if std::mem::replace(&mut self.has_started, true) {
            found.add(Check::MessageStartTwice, "a second message_start");
            return;
        }
        let message = &data["message"];
        usage::at_start(&message["usage"], found);
        let filled = ["stop_reason", "stop_sequence"].into_iter().find(|key| !message[*key].is_null());
        if let Some(key) = filled {
            found.add(Check::StartNotEmpty, format!("{key} is {}", shown(message.get(key))));
        }
        if message["content"].as_array().is_none_or(|c| !c.is_empty()) {
            found.add(Check::StartNotEmpty, format!("content is {}", shown(message.get("content"))));
        }
        self.message = Some(if message.is_object() { message.clone() } else { json!({}) });
        if self.state == State::Start {
            self.state = State::Open;
        }
    }

    fn block_start(&mut self, data: &Value, found: &mut Found) {
        if let State::Block(open) = self.state {
            found.add(Check::BlockNested, format!("a block starts while block {open} is open"));
        }
        let next = self.blocks.len();
        if data["index"].as_u64() != Some(next as u64) {
            found.add(Check::BlockIndex, format!("block {next} starts with index {}", shown(data.get("index"))));
        }
        let value = data["content_block"].clone();
        let kind = value["type"].as_str().unwrap_or_default().to_owned();
        if kind.is_empty() {
            found.add(Check::BlockStartShape, format!("content_block is {}", shown(data.get("content_block"))));
        }
        let early = ["text", "thinking"].into_iter().find(|key| value[*key].as_str().is_some_and(|t| !t.is_empty()));
        if let Some(key) = early {
            found.add(Check::BlockPrefilled, format!("{key} is {}", shown(value.get(key))));
        }
        // Whatever stands there, the deltas need an object to go to.
        let value = if value.is_object() { value } else { json!({}) };
        let block = Block::new(kind, value);
        if block.is_call() && block.value["input"].as_object().is_some_and(|i| !i.is_empty()) {
            found.add(Check::ToolInputInStart, format!("input is {}", shown(block.value.get("input"))));
        }
        self.blocks.push(block);
        self.enter(State::Block(next));
    }

    /// The closing state is not left: what follows it is told as such, and ends as it would have.
    fn enter(&mut self, state: State) {
        if self.state != State::Closing {
            self.state = state;
        }
    }

    /// The block that an event names.
    fn named(&mut self, data: &Value) -> Option<&mut Block> {
        let index = data["index"].as_u64().and_then(|i| usize::try_from(i).ok())?;
        self.blocks.get_mut(index)
    }

    fn block_delta(&mut self, data: &Value, found: &mut Found) {
        let Some(block) = self.named(data) else {
            found.add(Check::DeltaWithoutBlock, format!("index {} was never started", shown(data.get("index"))));
            return;
        };
        if !block.is_open {
            found.add(Check::DeltaAfterStop, format!("block {} was stopped before", shown(data.get("index"))));
        }
        block.apply(&data["delta"], found);
    }

    fn block_stop(&mut self, data: &Value, found: &mut Found) {
        let Some(block) = self.named(data).filter(|block| block.is_open) else {
            found.add(Check::BlockStopStray, format!("index {} is not open", shown(data.get("index"))));
            return;
        };
        block.end();
        let open = self.blocks.iter().rposition(|block| block.is_open);
        self.enter(open.map_or(State::Open, State::Block));
    }

    fn message_delta(&mut self, data: &Value, found: &mut Found) {
        // A call that was cut by max_tokens may lack its end; the documents leave it open.
        let is_excused = |b: &Block| b.is_call() && data["delta"]["stop_reason"] == "max_tokens";
        self.close_blocks(found, is_excused);
        self.state = State::Closing;
        let message = self.message.get_or_insert_with(|| json!({}));
        usage::at_delta(&message["usage"], &data["usage"], found);
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

    fn message_stop(&mut self, found: &mut Found) {
        if self.state != State::Closing {
            found.add(Check::MessageDeltaMissing, "message_stop without a message_delta");
        }
        self.close_blocks(found, |_| false);
        self.state = State::End;
    }

    fn close_blocks(&mut self, found: &mut Found, is_excused: impl Fn(&Block) -> bool) {
        for (index, block) in self.blocks.iter_mut().enumerate().filter(|(_, block)| block.is_open) {
            if is_excused(block) {
                block.is_open = false;
            } else {
                found.add(Check::BlockNotStopped, format!("block {index} is still open"));
                block.end();
            }
        }
    }

    /// Ends the stream; the message, where there is a whole one.
    pub fn finish(self, cut: Option<&str>, found: &mut Found) -> Option<Value> {
        let is_cut = self.message.as_ref().is_some_and(|message| message["stop_reason"] == "max_tokens");
        self.blocks.iter().for_each(|block| block.tell(is_cut, found));
        match (self.state, cut) {
            _ if self.has_failed => return None,
            (State::End, _) => {}
            (_, Some(why)) => {
                found.add(Check::StreamCut, why);
                return None;
            }
            (State::Start, None) => {}
            (State::Open | State::Block(_) | State::Closing, None) => {
                found.add(Check::MessageStopMissing, format!("the stream ends in the state {:?}", self.state));
                return None;
            }
        }
        let Some(mut message) = self.message.filter(|_| self.has_started) else {
            found.add(Check::MessageStartMissing, "no message_start with a message");
            return None;
        };
        if !self.was_pinged {
            found.add(Check::PingMissing, "a whole stream without a ping");
        }
        message["content"] = self.blocks.into_iter().map(|block| block.value).collect();
        Some(message)
    }
}
