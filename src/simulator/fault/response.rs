//! What faults of conduct make of an answer, before it is told whole or as a stream.

use serde_json::{Value, json};

use crate::simulator::config::Behaviour;
use crate::simulator::fault::ConductFault as Fault;
use crate::simulator::prompt::View;
use crate::simulator::response::{Answer, Content, Stop};

/// The tokens that a stream counts too many.
const TWIN: u64 = 50;

/// How much of a long tool's name is left.
const NAME: usize = 60;

/// The count of a prompt's tokens, as the server tells it.
pub(crate) fn count(tokens: u64, behaviour: &Behaviour) -> u64 {
    if behaviour.commits(Fault::CountTokensZero) {
        return 0;
    }
    let times = if behaviour.commits(Fault::CountTokensOff) { 2 } else { 1 };
    tokens * times
}

/// Changes an answer as the server's faults will have it.
pub(crate) fn answer(answer: &mut Answer, view: &View, behaviour: &Behaviour) {
    charge(answer, view, behaviour);
    calls(answer, view, behaviour);
    if behaviour.commits(Fault::ThinkingRewritten) {
        for content in &mut answer.content {
            if let Content::Thinking { text, .. } = content {
                *text = text.replace(". ", ".\n").replace('"', "\\\"");
            }
        }
    }
    if behaviour.commits(Fault::PrefillRepeated)
        && let Some(Content::Text(text)) = answer.content.iter_mut().find(|c| matches!(c, Content::Text(_)))
    {
        text.insert_str(0, &view.prefill);
    }
    if behaviour.commits(Fault::TextEmptyBlock) {
        answer.content.push(Content::Text(String::new()));
    }
    if view.stream {
        stream(answer, behaviour);
    }
}

fn charge(answer: &mut Answer, view: &View, behaviour: &Behaviour) {
    let written = answer.charge.written();
    let charge = &mut answer.charge;
    if behaviour.commits(Fault::CacheCountedTwice) {
        charge.input += charge.read + written;
    }
    if view.stream && behaviour.commits(Fault::StreamTwinUsage) {
        charge.input += TWIN;
    }
}

fn calls(answer: &mut Answer, view: &View, behaviour: &Behaviour) {
    let mut calls = 0;
    let mut inputs = String::new();
    for content in &mut answer.content {
        let Content::Call { id: _, name, input } = content else { continue };
        if behaviour.commits(Fault::ToolsLongNameCut) {
            *name = name.chars().take(NAME).collect();
        }
        inputs.push_str(&input.to_string());
        if behaviour.commits(Fault::ToolsEmptyInputBroken) && input.as_object().is_some_and(serde_json::Map::is_empty) {
            *input = Value::String(String::new());
        }
        if view.stream && behaviour.commits(Fault::ToolsInputLost) {
            *input = json!({});
        }
        calls += 1;
    }
    let merges = calls > 1 && behaviour.commits(Fault::ToolsCallsMerged);
    if !view.stream || (!merges && !behaviour.commits(Fault::ToolsFirstCallOnly)) {
        return;
    }
    let mut is_first = true;
    answer.content.retain(|content| !matches!(content, Content::Call { .. }) || std::mem::take(&mut is_first));
    for content in &mut answer.content {
        if let Content::Call { input, .. } = content
            && merges
        {
            *input = Value::String(std::mem::take(&mut inputs));
        }
    }
}

/// What only streams suffer.
fn stream(answer: &mut Answer, behaviour: &Behaviour) {
    let is_thinking = |content: &Content| matches!(content, Content::Thinking { .. });
    if behaviour.commits(Fault::ThinkingTextLost) && answer.content.iter().any(is_thinking) {
        answer.content.retain(is_thinking);
    }
    if behaviour.commits(Fault::ThinkingStreamLost) {
        answer.content.retain(|content| !is_thinking(content));
    }
    if behaviour.commits(Fault::StreamTwinStopReason) {
        answer.stop = if answer.stop == Stop::EndTurn { Stop::MaxTokens } else { Stop::EndTurn };
    }
}
