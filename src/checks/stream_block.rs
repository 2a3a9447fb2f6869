//! A block of a stream while it is told: its deltas, and what they come to.

use serde_json::Value;

use crate::checks::message::BLOCKS;
use crate::checks::{Check, Found, shown};
use crate::wire::fast_delta::{Delta, Part};
use crate::wire::message::excerpt;

/// A block as far as it came.
#[derive(Debug)]
pub(super) struct Block {
    pub kind: String,
    pub value: Value,
    /// The fragments of a call's input.
    json: String,
    pub is_open: bool,
    is_signed: bool,
    /// The fragments of its input make no object.
    is_torn: bool,
}

impl Block {
    pub fn new(kind: String, value: Value) -> Self {
        Self { kind, value, json: String::new(), is_open: true, is_signed: false, is_torn: false }
    }

    pub fn is_call(&self) -> bool {
        matches!(self.kind.as_str(), "tool_use" | "server_tool_use" | "mcp_tool_use")
    }

    /// Closes it: a call's fragments become its input. Where there are none, the input is the start's.
    pub fn end(&mut self) {
        self.is_open = false;
        if !self.is_call() || self.json.is_empty() {
            return;
        }
        self.value["input"] = match serde_json::from_str::<Value>(&self.json) {
            Ok(input @ Value::Object(_)) => input,
            _ => {
                self.is_torn = true;
                Value::from(self.json.clone())
            }
        };
    }

    /// Tells of fragments that make no object. A call that was cut by max_tokens may well have half an input, so this is
    /// known only once the answer's end is.
    pub fn tell(&self, is_cut: bool, found: &mut Found) {
        if self.is_torn && !is_cut {
            found.add(Check::ToolJson, format!("the fragments make {}", excerpt(&self.json, 120)));
        }
    }

    /// Adds a delta in which nothing is wrong; false, and nothing added, where it is [`apply`](Self::apply)'s to look at.
    pub fn takes(&mut self, Delta { part, piece, .. }: &Delta<'_>) -> bool {
        let field = match part {
            _ if !self.is_open => return false,
            Part::Text if self.kind == "text" => "text",
            Part::Thinking if self.kind == "thinking" && !self.is_signed => "thinking",
            Part::Input if self.is_call() => {
                self.json.push_str(piece);
                return true;
            }
            Part::Text | Part::Thinking | Part::Input => return false,
        };
        match self.value.get_mut(field) {
            Some(Value::String(text)) => text.push_str(piece),
            _ => return false,
        }
        true
    }

    /// Adds a delta.
    pub fn apply(&mut self, delta: &Value, found: &mut Found) {
        let kind = delta["type"].as_str().unwrap_or_default();
        let (field, owners): (&str, &[&str]) = match kind {
            "text_delta" => ("text", &["text"]),
            "citations_delta" => ("citation", &["text"]),
            "thinking_delta" => ("thinking", &["thinking"]),
            "signature_delta" => ("signature", &["thinking"]),
            "input_json_delta" => ("partial_json", &["tool_use", "server_tool_use", "mcp_tool_use"]),
            "compaction_delta" => return,
            "" => return found.add(Check::DeltaShape, format!("delta is {}", shown(Some(delta)))),
            other => return found.add(Check::DeltaTypeUnknown, format!("delta {other}")),
        };
        if !BLOCKS.contains(&self.kind.as_str()) {
            // Which deltas an added block takes, nobody here knows.
            return;
        }
        if !owners.contains(&self.kind.as_str()) {
            return found.add(Check::DeltaType, format!("{kind} in a block of type {}", self.kind));
        }
        if self.is_signed && self.kind == "thinking" {
            found.add(Check::SignatureOrder, format!("{kind} after the signature"));
        }
        if kind == "citations_delta" {
            return;
        }
        let Some(piece) = delta[field].as_str() else {
            return found.add(Check::DeltaShape, format!("{kind} with {field} {}", shown(delta.get(field))));
        };
        match kind {
            "input_json_delta" => self.json.push_str(piece),
            _ => match &mut self.value[field] {
                Value::String(text) => text.push_str(piece),
                other => *other = Value::from(piece),
            },
        }
        self.is_signed |= kind == "signature_delta";
    }
}
