//! What faults of conduct make of an answer, before it is told whole or as a stream.

use serde_json::{Value, json};

use crate::simulator::config::SimulatorConfig;
use crate::simulator::fault::BehaviourFault as Fault;
use crate::simulator::prompt::ModelPrompt;
use crate::simulator::response::{DraftBlock, ResponseDraft, StopReason};

/// The tokens that a stream counts too many.
const EXTRA_TOKENS: u64 = 50;

/// How much of a long tool's name is left.
const MAX_TOOL_NAME_CHARS: usize = 60;

/// The count of a prompt's tokens, as the server tells it.
pub(crate) fn alter_token_count(tokens: u64, behaviour: &SimulatorConfig) -> u64 {
    if behaviour.has_fault(Fault::CountTokensZero) {
        return 0;
    }
    let times = if behaviour.has_fault(Fault::CountTokensOff) { 2 } else { 1 };
    tokens * times
}

/// Changes an answer as the server's faults will have it.
pub(crate) fn apply(answer: &mut ResponseDraft, view: &ModelPrompt, behaviour: &SimulatorConfig) {
    alter_usage(answer, view, behaviour);
    alter_tool_calls(answer, view, behaviour);
    if behaviour.has_fault(Fault::ThinkingRewritten) {
        for content in &mut answer.content {
            if let DraftBlock::Thinking { text, .. } = content {
                *text = text.replace(". ", ".\n").replace('"', "\\\"");
            }
        }
    }
    if behaviour.has_fault(Fault::PrefillRepeated)
        && let Some(DraftBlock::Text(text)) = answer.content.iter_mut().find(|c| matches!(c, DraftBlock::Text(_)))
    {
        text.insert_str(0, &view.prefill);
    }
    if behaviour.has_fault(Fault::TextEmptyBlock) {
        answer.content.push(DraftBlock::Text(String::new()));
    }
    if view.stream {
        alter_stream(answer, behaviour);
    }
}

fn alter_usage(answer: &mut ResponseDraft, view: &ModelPrompt, behaviour: &SimulatorConfig) {
    let written = answer.cache_usage.total_written();
    let charge = &mut answer.cache_usage;
    if behaviour.has_fault(Fault::CacheCountedTwice) {
        charge.input += charge.read + written;
    }
    if view.stream && behaviour.has_fault(Fault::StreamTwinUsage) {
        charge.input += EXTRA_TOKENS;
    }
}

fn alter_tool_calls(answer: &mut ResponseDraft, view: &ModelPrompt, behaviour: &SimulatorConfig) {
    let mut calls = 0;
    let mut inputs = String::new();
    for content in &mut answer.content {
        let DraftBlock::ToolUse { id: _, name, input } = content else { continue };
        if behaviour.has_fault(Fault::ToolsLongNameCut) {
            *name = name.chars().take(MAX_TOOL_NAME_CHARS).collect();
        }
        inputs.push_str(&input.to_string());
        if behaviour.has_fault(Fault::ToolsEmptyInputBroken) && input.as_object().is_some_and(serde_json::Map::is_empty)
        {
            *input = Value::String(String::new());
        }
        if view.stream && behaviour.has_fault(Fault::ToolsInputLost) {
            *input = json!({});
        }
        calls += 1;
    }
    let merges = calls > 1 && behaviour.has_fault(Fault::ToolsCallsMerged);
    if !view.stream || (!merges && !behaviour.has_fault(Fault::ToolsFirstCallOnly)) {
        return;
    }
    let mut is_first = true;
    answer.content.retain(|content| !matches!(content, DraftBlock::ToolUse { .. }) || std::mem::take(&mut is_first));
    for content in &mut answer.content {
        if let DraftBlock::ToolUse { input, .. } = content
            && merges
        {
            *input = Value::String(std::mem::take(&mut inputs));
        }
    }
}

/// What only streams suffer.
fn alter_stream(answer: &mut ResponseDraft, behaviour: &SimulatorConfig) {
    let is_thinking = |content: &DraftBlock| matches!(content, DraftBlock::Thinking { .. });
    if behaviour.has_fault(Fault::ThinkingTextLost) && answer.content.iter().any(is_thinking) {
        answer.content.retain(is_thinking);
    }
    if behaviour.has_fault(Fault::ThinkingStreamLost) {
        answer.content.retain(|content| !is_thinking(content));
    }
    if behaviour.has_fault(Fault::StreamTwinStopReason) {
        answer.stop_reason =
            if answer.stop_reason == StopReason::EndTurn { StopReason::MaxTokens } else { StopReason::EndTurn };
    }
}
