//! The checks of the order of events in a stream: [`EventSequence`], a state machine.
//!
//! It continues after a fault, so it reports each fault one time, and a fault does not hide another
//! one. It must not know bytes and frames, and it does not assemble the message: `wire::assemble`
//! does that in the same pass.

use serde_json::Value;

use crate::checks::catalog::ProtocolCheck;
use crate::checks::collector::{FindingCollector, format_value};
use crate::checks::message::BLOCK_TYPES;
use crate::checks::{error, error_leak, usage};
use crate::wire::assemble::{AssembledStream, MessageAssembler};
use crate::wire::message::excerpt;

/// The types of block with an input.
const CALL_TYPES: [&str; 3] = ["tool_use", "server_tool_use", "mcp_tool_use"];

/// The position in the stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SequenceState {
    /// Before `message_start`.
    #[default]
    Start,
    /// Between blocks.
    Open,
    /// In the block at this position.
    Block(usize),
    /// After `message_delta`.
    Closing,
    /// After `message_stop` or an error.
    End,
}

/// The state machine.
#[derive(Debug, Default)]
pub(super) struct EventSequence {
    state: SequenceState,
    blocks: Vec<StreamBlock>,
    has_started: bool,
    has_ping: bool,
    has_failed: bool,
}

/// The state of one block.
#[derive(Debug)]
struct StreamBlock {
    kind: String,
    state: BlockState,
    is_signed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockState {
    Open,
    Stopped,
    /// A tool call that `max_tokens` truncated. The documentation does not say whether such a call
    /// gets a `content_block_stop`.
    Truncated,
}

impl EventSequence {
    /// Checks an event by its type. `before` is the message before the event.
    pub fn check_event(
        &mut self,
        kind: &str,
        data: &Value,
        before: &MessageAssembler,
        request_body: &Value,
        found: &mut FindingCollector,
    ) {
        let is_block = matches!(kind, "content_block_start" | "content_block_delta" | "content_block_stop");
        let is_known = is_block || matches!(kind, "message_start" | "message_delta" | "message_stop" | "error");
        match (self.state, kind) {
            (_, "ping") => self.has_ping = true,
            _ if !is_known => found.add(ProtocolCheck::EventUnknown, format!("event {kind}")),
            (SequenceState::End, "message_stop") => found.add(ProtocolCheck::MessageStopTwice, "a second message_stop"),
            (SequenceState::End, _) => found.add(ProtocolCheck::EventAfterStop, format!("{kind} after the end")),
            (_, "error") => {
                error_leak::check(request_body, &data.to_string(), found);
                if let Some(error) = error::check_envelope(data, ProtocolCheck::ErrorEvent, found) {
                    let message = format_value(data["error"].get("message"));
                    found.add(ProtocolCheck::ErrorInStream, format!("{error}: {message}"));
                }
                (self.state, self.has_failed) = (SequenceState::End, true);
            }
            (_, "message_start") => self.check_message_start(data, found),
            (state, _) => {
                if state == SequenceState::Start {
                    found.add(ProtocolCheck::EventBeforeStart, format!("{kind} before message_start"));
                }
                if state == SequenceState::Closing && is_block {
                    found.add(ProtocolCheck::BlockAfterDelta, format!("{kind} after message_delta"));
                }
                match kind {
                    "content_block_start" => self.check_block_start(data, found),
                    "content_block_delta" => self.check_block_delta(data, found),
                    "content_block_stop" => self.check_block_stop(data, found),
                    "message_delta" => self.check_message_delta(data, before, found),
                    _ => self.check_message_stop(found),
                }
            }
        }
    }

    fn check_message_start(&mut self, data: &Value, found: &mut FindingCollector) {
        if std::mem::replace(&mut self.has_started, true) {
            found.add(ProtocolCheck::MessageStartTwice, "a second message_start");
            return;
        }
        let message = &data["message"];
        usage::check_start(&message["usage"], found);
        if let Some(key) = ["stop_reason", "stop_sequence"].into_iter().find(|key| !message[*key].is_null()) {
            found.add_value(ProtocolCheck::StartNotEmpty, key, message.get(key));
        }
        if message["content"].as_array().is_none_or(|c| !c.is_empty()) {
            found.add_value(ProtocolCheck::StartNotEmpty, "content", message.get("content"));
        }
        if self.state == SequenceState::Start {
            self.state = SequenceState::Open;
        }
    }

    fn check_block_start(&mut self, data: &Value, found: &mut FindingCollector) {
        if let SequenceState::Block(open) = self.state {
            found.add(ProtocolCheck::BlockNested, format!("a block starts while block {open} is open"));
        }
        let position = self.blocks.len();
        if data["index"].as_u64() != Some(position as u64) {
            let index = format_value(data.get("index"));
            found.add(ProtocolCheck::BlockIndex, format!("block {position} starts with index {index}"));
        }
        let block = &data["content_block"];
        let kind = block["type"].as_str().unwrap_or_default();
        if kind.is_empty() {
            found.add_value(ProtocolCheck::BlockStartShape, "content_block", data.get("content_block"));
        }
        let has_text = |key: &&str| block[*key].as_str().is_some_and(|text| !text.is_empty());
        if let Some(key) = ["text", "thinking"].into_iter().find(has_text) {
            found.add_value(ProtocolCheck::BlockPrefilled, key, block.get(key));
        }
        if CALL_TYPES.contains(&kind) && block["input"].as_object().is_some_and(|input| !input.is_empty()) {
            found.add_value(ProtocolCheck::ToolInputInStart, "input", block.get("input"));
        }
        self.blocks.push(StreamBlock { kind: kind.to_owned(), state: BlockState::Open, is_signed: false });
        self.enter_state(SequenceState::Block(position));
    }

    /// Enters a state. `Closing` is left only at the end, so that every event after `message_delta`
    /// is reported as such.
    fn enter_state(&mut self, state: SequenceState) {
        if self.state != SequenceState::Closing {
            self.state = state;
        }
    }

    /// Returns the block that an event names.
    fn find_block(&mut self, data: &Value) -> Option<&mut StreamBlock> {
        let index = data["index"].as_u64().and_then(|i| usize::try_from(i).ok())?;
        self.blocks.get_mut(index)
    }

    fn check_block_delta(&mut self, data: &Value, found: &mut FindingCollector) {
        let index = || format_value(data.get("index"));
        let Some(block) = self.find_block(data) else {
            found.add(ProtocolCheck::DeltaWithoutBlock, format!("index {} was never started", index()));
            return;
        };
        if block.state != BlockState::Open {
            found.add(ProtocolCheck::DeltaAfterStop, format!("block {} has already stopped", index()));
        }
        block.check_delta(&data["delta"], found);
    }

    fn check_block_stop(&mut self, data: &Value, found: &mut FindingCollector) {
        let Some(block) = self.find_block(data).filter(|block| block.state == BlockState::Open) else {
            let index = format_value(data.get("index"));
            found.add(ProtocolCheck::BlockStopStray, format!("index {index} is not open"));
            return;
        };
        block.state = BlockState::Stopped;
        let open = self.blocks.iter().rposition(|block| block.state == BlockState::Open);
        self.enter_state(open.map_or(SequenceState::Open, SequenceState::Block));
    }

    fn check_message_delta(&mut self, data: &Value, before: &MessageAssembler, found: &mut FindingCollector) {
        self.close_blocks(data["delta"]["stop_reason"] == "max_tokens", found);
        self.state = SequenceState::Closing;
        usage::check_delta(before.usage(), &data["usage"], found);
    }

    fn check_message_stop(&mut self, found: &mut FindingCollector) {
        if self.state != SequenceState::Closing {
            found.add(ProtocolCheck::MessageDeltaMissing, "message_stop without a message_delta");
        }
        self.close_blocks(false, found);
        self.state = SequenceState::End;
    }

    fn close_blocks(&mut self, is_truncated: bool, found: &mut FindingCollector) {
        for (index, block) in self.blocks.iter_mut().enumerate().filter(|(_, b)| b.state == BlockState::Open) {
            if is_truncated && block.is_call() {
                block.state = BlockState::Truncated;
            } else {
                found.add(ProtocolCheck::BlockNotStopped, format!("block {index} is still open"));
                block.state = BlockState::Stopped;
            }
        }
    }

    /// Ends the stream. `cut` is the reason why the body is incomplete. Returns the message if the
    /// stream is complete.
    pub fn finish(self, stream: &AssembledStream, cut: Option<&str>, found: &mut FindingCollector) -> Option<Value> {
        let is_invalid = |index: &usize| {
            self.blocks.get(*index).is_some_and(|block| block.is_call() && block.state == BlockState::Stopped)
        };
        let mut invalid_inputs = stream.invalid_inputs.iter().filter(|(index, _)| is_invalid(index)).peekable();
        // max_tokens may truncate the input of a call.
        if let Some((_, input)) = invalid_inputs.peek()
            && stream.message.as_ref().is_none_or(|message| message["stop_reason"] != "max_tokens")
        {
            found.add(ProtocolCheck::ToolJson, format!("the fragments form {}", excerpt(input, 120)));
        }
        match (self.state, cut) {
            _ if self.has_failed => return None,
            (SequenceState::End, _) => {}
            (_, Some(reason)) => {
                found.add(ProtocolCheck::StreamCut, reason);
                return None;
            }
            (SequenceState::Start, None) => {}
            (SequenceState::Open | SequenceState::Block(_) | SequenceState::Closing, None) => {
                found.add(ProtocolCheck::MessageStopMissing, "the stream ends without message_stop");
                return None;
            }
        }
        if !self.has_started {
            found.add(ProtocolCheck::MessageStartMissing, "no message_start with a message");
            return None;
        }
        if !self.has_ping {
            found.add(ProtocolCheck::PingMissing, "a complete stream without a ping");
        }
        let mut message = stream.message.clone()?;
        for (index, input) in invalid_inputs {
            if let Some(Value::Object(block)) = message["content"].get_mut(*index) {
                block.insert("input".to_owned(), input.clone().into());
            }
        }
        Some(message)
    }
}

impl StreamBlock {
    fn is_call(&self) -> bool {
        CALL_TYPES.contains(&self.kind.as_str())
    }

    fn check_delta(&mut self, delta: &Value, found: &mut FindingCollector) {
        let kind = delta["type"].as_str().unwrap_or_default();
        let (field, owners): (&str, &[&str]) = match kind {
            "text_delta" => ("text", &["text"]),
            "citations_delta" => ("citation", &["text"]),
            "thinking_delta" => ("thinking", &["thinking"]),
            "signature_delta" => ("signature", &["thinking"]),
            "input_json_delta" => ("partial_json", &CALL_TYPES),
            "compaction_delta" => return,
            "" => return found.add_value(ProtocolCheck::DeltaShape, "delta", Some(delta)),
            other => return found.add(ProtocolCheck::DeltaTypeUnknown, format!("delta {other}")),
        };
        // The documentation does not say which deltas an unknown block may have.
        if !BLOCK_TYPES.contains(&self.kind.as_str()) {
            return;
        }
        if !owners.contains(&self.kind.as_str()) {
            return found.add(ProtocolCheck::DeltaType, format!("{kind} in a block of type {}", self.kind));
        }
        if self.is_signed && self.kind == "thinking" {
            found.add(ProtocolCheck::SignatureOrder, format!("{kind} after the signature"));
        }
        if kind != "citations_delta" && !delta[field].is_string() {
            return found.add_value(ProtocolCheck::DeltaShape, &format!("{field} of {kind}"), delta.get(field));
        }
        self.is_signed |= kind == "signature_delta";
    }
}
