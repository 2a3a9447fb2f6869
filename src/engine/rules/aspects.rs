//! The aspects in which two responses can agree: [`compare_aspect`].

use crate::catalog::ResponseAspect;
use crate::engine::rules::twins::{SampleComparison, compare_samples};
use crate::wire::message::Message;

/// Compares an aspect of two samples of messages. `None` if no message has it.
pub(super) fn compare_aspect(
    aspect: ResponseAspect,
    with: &[&Message],
    without: &[&Message],
) -> Option<SampleComparison> {
    if !with.iter().chain(without).any(|message| has_aspect(aspect, message)) {
        return None;
    }
    let values = |messages: &[&Message]| -> Vec<String> {
        messages.iter().map(|message| aspect_value(aspect, message)).collect()
    };
    let (one, other) = (values(with), values(without));
    if aspect != ResponseAspect::InputTokens || one.iter().any(|count| other.contains(count)) {
        return Some(compare_samples(&one, &other));
    }
    let is_constant = |counts: &[String]| counts.iter().all(|count| *count == counts[0]);
    Some(match is_constant(&one) && is_constant(&other) {
        true => SampleComparison::Different,
        false => SampleComparison::Varied,
    })
}

/// True if a message has the aspect.
fn has_aspect(aspect: ResponseAspect, message: &Message) -> bool {
    match aspect {
        ResponseAspect::StopReason | ResponseAspect::Blocks | ResponseAspect::Text | ResponseAspect::InputTokens => {
            true
        }
        ResponseAspect::Calls => message.blocks("tool_use").next().is_some(),
        ResponseAspect::Thinking => {
            message.blocks("thinking").chain(message.blocks("redacted_thinking")).next().is_some()
        }
    }
}

pub(super) fn aspect_name(aspect: ResponseAspect) -> &'static str {
    match aspect {
        ResponseAspect::StopReason => "stop_reason",
        ResponseAspect::Blocks => "blocks",
        ResponseAspect::Calls => "calls",
        ResponseAspect::Thinking => "thinking",
        ResponseAspect::Text => "text",
        ResponseAspect::InputTokens => "input tokens",
    }
}

pub(super) fn aspect_value(aspect: ResponseAspect, message: &Message) -> String {
    match aspect {
        ResponseAspect::StopReason => message.stop_reason.clone().unwrap_or_else(|| "nothing".to_owned()),
        ResponseAspect::Blocks => {
            message.content.iter().map(|b| b["type"].as_str().unwrap_or("nothing")).collect::<Vec<_>>().join(", ")
        }
        ResponseAspect::Calls => {
            message.blocks("tool_use").map(|b| format!("{} {}", b["name"], b["input"])).collect::<Vec<_>>().join(", ")
        }
        ResponseAspect::Thinking => if has_aspect(aspect, message) { "there" } else { "missing" }.to_owned(),
        ResponseAspect::Text => message.text().split_whitespace().collect::<Vec<_>>().join(" "),
        ResponseAspect::InputTokens => message.input_tokens().map_or_else(|| "nothing".to_owned(), |n| n.to_string()),
    }
}
