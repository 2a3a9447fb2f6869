//! The answer as the server gives it: the model's reply under the bounds that the server sets, and its price.

use serde_json::{Value, json};

use crate::simulator::model::Reply;
use crate::simulator::prompt::{Thinking, View};
use crate::simulator::prompt_cache::Charge;
use crate::simulator::rng::Draws;
use crate::simulator::thinking_signature::Signer;
use crate::simulator::{model, tokenizer};

/// What a call costs besides its name and its input.
const CALL: u64 = 10;

/// A finished answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub id: String,
    pub model: String,
    pub content: Vec<Content>,
    pub stop: Stop,
    pub charge: Charge,
    pub output_tokens: u64,
    pub thinking_tokens: u64,
}

/// A block of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Thinking { text: String, signature: String },
    Text(String),
    Call { id: String, name: String, input: Value },
}

/// Why the answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    EndTurn,
    MaxTokens,
    Sequence(String),
    ToolUse,
}

impl Stop {
    /// `stop_reason` and `stop_sequence`.
    pub fn words(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::EndTurn => ("end_turn", None),
            Self::MaxTokens => ("max_tokens", None),
            Self::Sequence(sequence) => ("stop_sequence", Some(sequence)),
            Self::ToolUse => ("tool_use", None),
        }
    }
}

impl Answer {
    /// Bounds a reply: thinking first, then the rest, in whatever `max_tokens` leaves.
    pub fn of(view: &View, reply: &Reply, model: &str, charge: Charge, signer: &Signer, draws: &mut Draws) -> Self {
        let mut answer = Self {
            id: draws.id("msg"),
            model: model.to_owned(),
            content: Vec::new(),
            stop: Stop::EndTurn,
            charge,
            output_tokens: 0,
            thinking_tokens: 0,
        };
        let left = view.max_tokens.unwrap_or(u64::MAX);
        if let Some(thinking) = view.thinking {
            answer.think(&model::think(view, reply), thinking, left, signer, draws);
        }
        let left = left - answer.output_tokens;
        if left == 0 {
            answer.stop = Stop::MaxTokens;
            return answer;
        }
        match reply {
            Reply::Words(text) => answer.say(text, &view.stop_sequences, left),
            Reply::Calls(calls) => answer.call(calls, left, draws),
        }
        answer
    }

    fn think(&mut self, thought: &str, thinking: Thinking, left: u64, signer: &Signer, draws: &mut Draws) {
        let kept = tokenizer::take(thought, thinking.budget.unwrap_or(u64::MAX).min(left));
        self.thinking_tokens = tokenizer::count(kept);
        self.output_tokens = self.thinking_tokens;
        let text = if thinking.is_shown { kept.to_owned() } else { String::new() };
        if self.thinking_tokens > 0 {
            let signature = signer.sign(&text, draws.bits());
            self.content.push(Content::Thinking { text, signature });
        }
    }

    fn say(&mut self, text: &str, stop_sequences: &[String], left: u64) {
        // The sequence that is complete first stops the answer.
        let stop = stop_sequences
            .iter()
            .filter_map(|sequence| Some((text.find(sequence.as_str())?, sequence)))
            .min_by_key(|(at, sequence)| (at + sequence.len(), *at));
        let wanted = stop.map_or(text, |(at, _)| &text[..at]);
        let kept = tokenizer::take(wanted, left);
        self.output_tokens += tokenizer::count(kept);
        self.stop = match stop {
            _ if kept.len() < wanted.len() => Stop::MaxTokens,
            Some((_, sequence)) => Stop::Sequence(sequence.clone()),
            None => Stop::EndTurn,
        };
        if !kept.is_empty() {
            self.content.push(Content::Text(kept.to_owned()));
        }
    }

    fn call(&mut self, calls: &[model::Call], left: u64, draws: &mut Draws) {
        let mut left = left;
        self.stop = Stop::ToolUse;
        for call in calls {
            let cost = CALL + tokenizer::count(&call.name) + tokenizer::count(&call.input.to_string());
            // Half a call is no use to anyone.
            if cost > left {
                self.output_tokens += left;
                self.stop = Stop::MaxTokens;
                return;
            }
            left -= cost;
            self.output_tokens += cost;
            let id = draws.id("toolu");
            self.content.push(Content::Call { id, name: call.name.clone(), input: call.input.clone() });
        }
    }

    /// The usage at the end.
    pub fn usage(&self) -> Value {
        let Charge { input, read, written_5m, written_1h } = self.charge;
        json!({
            "input_tokens": input,
            "cache_creation_input_tokens": self.charge.written(),
            "cache_read_input_tokens": read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": written_5m,
                "ephemeral_1h_input_tokens": written_1h,
            },
            "output_tokens": self.output_tokens,
            "output_tokens_details": { "thinking_tokens": self.thinking_tokens },
            "server_tool_use": null,
            "service_tier": "standard",
        })
    }

    /// The whole answer as one message.
    pub fn message(&self) -> Value {
        let (reason, sequence) = self.stop.words();
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": self.content.iter().map(Content::json).collect::<Vec<_>>(),
            "stop_reason": reason,
            "stop_sequence": sequence,
            "stop_details": null,
            "container": null,
            "usage": self.usage(),
        })
    }
}

impl Content {
    fn json(&self) -> Value {
        match self {
            Self::Thinking { text, signature } => json!({"type": "thinking", "thinking": text, "signature": signature}),
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::Call { id, name, input } => json!({"type": "tool_use", "id": id, "name": name, "input": input}),
        }
    }
}
