//! A block of a stream while it is told: its deltas, and what they come to.

use serde_json::Value;

use crate::checks::message::BLOCK_TYPES;
use crate::checks::{FindingCollector, ProtocolCheck, format_value};
use crate::wire::fast_delta::{ContentDelta, DeltaKind};
use crate::wire::message::excerpt;

/// A block as far as it came.
#[derive(Debug)]
pub(super) struct StreamBlock {
    pub kind: String,
    pub value: Value,
    /// The fragments of a call's input.
    input_json: String,
    pub is_open: bool,
    is_signed: bool,
    /// The fragments of its input make no object.
    has_invalid_input: bool,
}

impl StreamBlock {
    pub fn new(kind: String, value: Value) -> Self {
        Self { kind, value, input_json: String::new(), is_open: true, is_signed: false, has_invalid_input: false }
    }

    pub fn is_call(&self) -> bool {
        matches!(self.kind.as_str(), "tool_use" | "server_tool_use" | "mcp_tool_use")
    }

    /// Closes it: a call's fragments become its input. Where there are none, the input is the start's.
    pub fn close(&mut self) {
        self.is_open = false;
        if !self.is_call() || self.input_json.is_empty() {
            return;
        }
        self.value["input"] = match serde_json::from_str::<Value>(&self.input_json) {
            Ok(input @ Value::Object(_)) => input,
            _ => {
                self.has_invalid_input = true;
                Value::from(self.input_json.clone())
            }
        };
    }

    /// Tells of fragments that make no object. A call that was cut by max_tokens may well have half an input, so this is
    /// known only once the answer's end is.
    pub fn report(&self, is_cut: bool, found: &mut FindingCollector) {
        if self.has_invalid_input && !is_cut {
            found.add(ProtocolCheck::ToolJson, format!("the fragments make {}", excerpt(&self.input_json, 120)));
        }
    }

    /// Adds a delta in which nothing is wrong; false, and nothing added, where it is [`apply`](Self::apply)'s to look at.
    pub fn accept_fast(&mut self, ContentDelta { kind: part, fragment: piece, .. }: &ContentDelta<'_>) -> bool {
        let field = match part {
            _ if !self.is_open => return false,
            DeltaKind::Text if self.kind == "text" => "text",
            DeltaKind::Thinking if self.kind == "thinking" && !self.is_signed => "thinking",
            DeltaKind::Input if self.is_call() => {
                self.input_json.push_str(piece);
                return true;
            }
            DeltaKind::Text | DeltaKind::Thinking | DeltaKind::Input => return false,
        };
        match self.value.get_mut(field) {
            Some(Value::String(text)) => text.push_str(piece),
            _ => return false,
        }
        true
    }

    /// Adds a delta.
    pub fn apply(&mut self, delta: &Value, found: &mut FindingCollector) {
        let kind = delta["type"].as_str().unwrap_or_default();
        let (field, owners): (&str, &[&str]) = match kind {
            "text_delta" => ("text", &["text"]),
            "citations_delta" => ("citation", &["text"]),
            "thinking_delta" => ("thinking", &["thinking"]),
            "signature_delta" => ("signature", &["thinking"]),
            "input_json_delta" => ("partial_json", &["tool_use", "server_tool_use", "mcp_tool_use"]),
            "compaction_delta" => return,
            "" => return found.add(ProtocolCheck::DeltaShape, format!("delta is {}", format_value(Some(delta)))),
            other => return found.add(ProtocolCheck::DeltaTypeUnknown, format!("delta {other}")),
        };
        if !BLOCK_TYPES.contains(&self.kind.as_str()) {
            // Which deltas an added block takes, nobody here knows.
            return;
        }
        if !owners.contains(&self.kind.as_str()) {
            return found.add(ProtocolCheck::DeltaType, format!("{kind} in a block of type {}", self.kind));
        }
        if self.is_signed && self.kind == "thinking" {
            found.add(ProtocolCheck::SignatureOrder, format!("{kind} after the signature"));
        }
        if kind == "citations_delta" {
            return;
        }
        let Some(piece) = delta[field].as_str() else {
            return found
                .add(ProtocolCheck::DeltaShape, format!("{kind} with {field} {}", format_value(delta.get(field))));
        };
        match kind {
            "input_json_delta" => self.input_json.push_str(piece),
            _ => match &mut self.value[field] {
                Value::String(text) => text.push_str(piece),
                other => *other = Value::from(piece),
            },
        }
        self.is_signed |= kind == "signature_delta";
    }
}
