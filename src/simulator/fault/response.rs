//! The faults of behaviour that change a message or a token count before it is encoded.

use serde_json::{Value, json};

use crate::simulator::config::SimulatorConfig;
use crate::simulator::fault::catalog::BehaviourFault as Fault;
use crate::simulator::prompt::ModelPrompt;
use crate::simulator::response::{DraftBlock, ResponseDraft, StopReason};
use crate::simulator::tokenizer;

/// The tokens that a stream counts in addition.
const EXTRA_TOKENS: u64 = 50;

/// The characters that remain of a long tool name.
const MAX_TOOL_NAME_CHARS: usize = 60;

/// The token count that the server returns.
pub(crate) fn alter_token_count(tokens: u64, config: &SimulatorConfig) -> u64 {
    if config.has_fault(Fault::CountTokensZero) {
        return 0;
    }
    if config.has_fault(Fault::CountTokensOff) { tokens * 2 } else { tokens }
}

/// Applies the server's faults to a message.
pub(crate) fn apply(draft: &mut ResponseDraft, prompt: &ModelPrompt, config: &SimulatorConfig) {
    alter_usage(draft, prompt, config);
    alter_tool_calls(draft, prompt, config);
    if config.has_fault(Fault::ThinkingRewritten) {
        for content in &mut draft.content {
            if let DraftBlock::Thinking { text, .. } = content {
                *text = text.replace(". ", ".\n").replace('"', "\\\"");
            }
        }
    }
    if config.has_fault(Fault::PrefillRepeated)
        && let Some(DraftBlock::Text(text)) = draft.content.iter_mut().find(|c| matches!(c, DraftBlock::Text(_)))
    {
        text.insert_str(0, &prompt.prefill);
    }
    if config.has_fault(Fault::TextEmptyBlock) {
        draft.content.push(DraftBlock::Text(String::new()));
    }
    if prompt.stream {
        alter_stream(draft, config);
    }
}

fn alter_usage(draft: &mut ResponseDraft, prompt: &ModelPrompt, config: &SimulatorConfig) {
    let written = draft.cache_usage.total_written();
    let usage = &mut draft.cache_usage;
    if config.has_fault(Fault::CacheCountedTwice) {
        usage.input += usage.read + written;
    }
    if prompt.stream && config.has_fault(Fault::StreamTwinUsage) {
        usage.input += EXTRA_TOKENS;
    }
}

fn alter_tool_calls(draft: &mut ResponseDraft, prompt: &ModelPrompt, config: &SimulatorConfig) {
    let mut calls = 0;
    let mut inputs = String::new();
    for content in &mut draft.content {
        let DraftBlock::ToolUse { id: _, name, input } = content else { continue };
        if config.has_fault(Fault::ToolsLongNameCut) {
            *name = name.chars().take(MAX_TOOL_NAME_CHARS).collect();
        }
        inputs.push_str(&input.to_string());
        if config.has_fault(Fault::ToolsEmptyInputBroken) && input.as_object().is_some_and(serde_json::Map::is_empty) {
            *input = Value::String(String::new());
        }
        if prompt.stream && config.has_fault(Fault::ToolsInputLost) {
            *input = json!({});
        }
        calls += 1;
    }
    let merges = calls > 1 && config.has_fault(Fault::ToolsCallsMerged);
    if !prompt.stream || (!merges && !config.has_fault(Fault::ToolsFirstCallOnly)) {
        return;
    }
    let mut is_first = true;
    draft.content.retain(|content| !matches!(content, DraftBlock::ToolUse { .. }) || std::mem::take(&mut is_first));
    for content in &mut draft.content {
        if let DraftBlock::ToolUse { input, .. } = content
            && merges
        {
            *input = Value::String(std::mem::take(&mut inputs));
        }
    }
}

/// Applies the faults that only streams have.
fn alter_stream(draft: &mut ResponseDraft, config: &SimulatorConfig) {
    let is_thinking = |content: &DraftBlock| matches!(content, DraftBlock::Thinking { .. });
    if config.has_fault(Fault::ThinkingTextLost) && draft.content.iter().any(is_thinking) {
        draft.content.retain(is_thinking);
    }
    if config.has_fault(Fault::ThinkingStreamLost) {
        draft.content.retain(|content| !is_thinking(content));
    }
    for content in &mut draft.content {
        if let DraftBlock::Text(text) = content {
            alter_streamed_text(text, config);
        }
    }
    if config.has_fault(Fault::StreamTwinStopReason) {
        draft.stop_reason =
            if draft.stop_reason == StopReason::EndTurn { StopReason::MaxTokens } else { StopReason::EndTurn };
    }
}

fn alter_streamed_text(text: &mut String, config: &SimulatorConfig) {
    if config.has_fault(Fault::StreamWhitespaceLost) {
        *text = tokenizer::split_tokens(text).filter(|token| !token.trim().is_empty()).collect();
    }
    if config.has_fault(Fault::StreamTextTwice) {
        *text = text.repeat(2);
    }
    if config.has_fault(Fault::StreamCharactersSplit) {
        *text = text.chars().map(|c| if c.len_utf8() > 2 { char::REPLACEMENT_CHARACTER } else { c }).collect();
    }
    if config.has_fault(Fault::StreamTextLost) {
        let last = tokenizer::split_tokens(text).last().map_or(0, str::len);
        text.truncate(text.len() - last);
    }
}
