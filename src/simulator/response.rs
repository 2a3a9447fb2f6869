//! The response of the server: a [`ResponseDraft`] is the output of the model within the limits of
//! the request, with its usage.

use serde_json::{Value, json};

use crate::simulator::model::ModelOutput;
use crate::simulator::prompt::{ModelPrompt, ThinkingConfig};
use crate::simulator::prompt_cache::CacheUsage;
use crate::simulator::rng::RequestRng;
use crate::simulator::thinking_signature::ThinkingSigner;
use crate::simulator::{model, tokenizer};

/// The tokens of a tool call in addition to its name and its input.
const TOOL_CALL_OVERHEAD_TOKENS: u64 = 10;

/// A finished message, before it is encoded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ResponseDraft {
    pub id: String,
    pub model: String,
    pub content: Vec<DraftBlock>,
    pub stop_reason: StopReason,
    pub cache_usage: CacheUsage,
    pub output_tokens: u64,
    pub thinking_tokens: u64,
}

/// A block of the message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum DraftBlock {
    Thinking { text: String, signature: String },
    Text(String),
    ToolUse { id: String, name: String, input: Value },
}

/// Why the message ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StopReason {
    EndTurn,
    MaxTokens,
    StopSequence(String),
    ToolUse,
}

impl StopReason {
    /// The values of `stop_reason` and `stop_sequence`.
    pub fn reason_and_sequence(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::EndTurn => ("end_turn", None),
            Self::MaxTokens => ("max_tokens", None),
            Self::StopSequence(sequence) => ("stop_sequence", Some(sequence)),
            Self::ToolUse => ("tool_use", None),
        }
    }
}

impl ResponseDraft {
    /// Limits the output of the model to `max_tokens`: first the thinking, then the rest.
    pub fn new(
        prompt: &ModelPrompt,
        output: &ModelOutput,
        model: &str,
        cache_usage: CacheUsage,
        signer: &ThinkingSigner,
        rng: &mut RequestRng,
    ) -> Self {
        let mut draft = Self {
            id: rng.generate_id("msg"),
            model: model.to_owned(),
            content: Vec::new(),
            stop_reason: StopReason::EndTurn,
            cache_usage,
            output_tokens: 0,
            thinking_tokens: 0,
        };
        let max_tokens = prompt.max_tokens.unwrap_or(u64::MAX);
        if let Some(thinking) = prompt.thinking {
            draft.add_thinking(&model::think(prompt, output), thinking, max_tokens, signer, rng);
        }
        let remaining = max_tokens - draft.output_tokens;
        if remaining == 0 {
            draft.stop_reason = StopReason::MaxTokens;
            return draft;
        }
        match output {
            ModelOutput::Text(text) => draft.add_text(text, &prompt.stop_sequences, remaining),
            ModelOutput::ToolCalls(calls) => draft.add_tool_calls(calls, remaining, rng),
        }
        draft
    }

    fn add_thinking(
        &mut self,
        text: &str,
        thinking: ThinkingConfig,
        max_tokens: u64,
        signer: &ThinkingSigner,
        rng: &mut RequestRng,
    ) {
        let kept = tokenizer::take_tokens(text, thinking.budget.unwrap_or(u64::MAX).min(max_tokens));
        self.thinking_tokens = tokenizer::count_tokens(kept);
        self.output_tokens = self.thinking_tokens;
        let text = if thinking.is_visible { kept.to_owned() } else { String::new() };
        if self.thinking_tokens > 0 {
            let signature = signer.sign(&text, rng.next_u64());
            self.content.push(DraftBlock::Thinking { text, signature });
        }
    }

    fn add_text(&mut self, text: &str, stop_sequences: &[String], max_tokens: u64) {
        // The stop sequence that ends first stops the text.
        let stop = stop_sequences
            .iter()
            .filter_map(|sequence| Some((text.find(sequence.as_str())?, sequence)))
            .min_by_key(|(at, sequence)| (at + sequence.len(), *at));
        let wanted = stop.map_or(text, |(at, _)| &text[..at]);
        let kept = tokenizer::take_tokens(wanted, max_tokens);
        self.output_tokens += tokenizer::count_tokens(kept);
        self.stop_reason = match stop {
            _ if kept.len() < wanted.len() => StopReason::MaxTokens,
            Some((_, sequence)) => StopReason::StopSequence(sequence.clone()),
            None => StopReason::EndTurn,
        };
        if !kept.is_empty() {
            self.content.push(DraftBlock::Text(kept.to_owned()));
        }
    }

    fn add_tool_calls(&mut self, calls: &[model::ModelToolCall], max_tokens: u64, rng: &mut RequestRng) {
        let mut remaining = max_tokens;
        self.stop_reason = StopReason::ToolUse;
        for call in calls {
            let cost = TOOL_CALL_OVERHEAD_TOKENS
                + tokenizer::count_tokens(&call.name)
                + tokenizer::count_tokens(&call.input.to_string());
            // A tool call is sent completely or not at all.
            if cost > remaining {
                self.output_tokens += remaining;
                self.stop_reason = StopReason::MaxTokens;
                return;
            }
            remaining -= cost;
            self.output_tokens += cost;
            let id = rng.generate_id("toolu");
            self.content.push(DraftBlock::ToolUse { id, name: call.name.clone(), input: call.input.clone() });
        }
    }

    /// The final usage.
    pub fn usage(&self) -> Value {
        let CacheUsage { input, read, written_5m, written_1h } = self.cache_usage;
        json!({
            "input_tokens": input,
            "cache_creation_input_tokens": self.cache_usage.total_written(),
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

    /// The message as JSON.
    pub fn to_message(&self) -> Value {
        let (reason, sequence) = self.stop_reason.reason_and_sequence();
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": self.content.iter().map(DraftBlock::to_json).collect::<Vec<_>>(),
            "stop_reason": reason,
            "stop_sequence": sequence,
            "stop_details": null,
            "container": null,
            "usage": self.usage(),
        })
    }
}

impl DraftBlock {
    fn to_json(&self) -> Value {
        match self {
            Self::Thinking { text, signature } => json!({"type": "thinking", "thinking": text, "signature": signature}),
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::ToolUse { id, name, input } => json!({"type": "tool_use", "id": id, "name": name, "input": input}),
        }
    }
}
