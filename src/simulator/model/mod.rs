//! The simulated model: a small reader of plain English that answers from what it can see.
//!
//! It reads the effective conversation and nothing else, so whatever a server keeps from it shows in its answers. It
//! is deterministic but for what is drawn, and knows no test: it understands kinds of question (labels, counting,
//! colours, tools, chance, success, sums) wherever they come from.

mod code_words;
mod intent;
mod sampling;
mod schema_values;
#[cfg(test)]
mod tests;
mod thinking;
mod tool_calls;

use serde_json::Value;

use crate::simulator::prompt::{ModelPrompt, PromptSegment, SegmentKind, ToolChoice};
use crate::simulator::rng::RequestRng;

/// What the model comes up with, before any bound cuts it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ModelOutput {
    Text(String),
    ToolCalls(Vec<ModelToolCall>),
}

/// A call of a client's tool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ModelToolCall {
    pub name: String,
    pub input: Value,
}

const UNKNOWN_REPLY: &str = "I do not know.";
const DEFAULT_REPLY: &str = "Thank you for your message. Is there anything else that I can help you with?";

/// What a model says that does not do as it is told.
const DISOBEDIENT_REPLIES: [&str; 4] = [
    "That is an interesting thought, and there is a lot to be said about it.",
    "Many people enjoy a walk in the morning.",
    "I would rather talk about the weather, which has been mild of late.",
    "As far as I remember, bread is best when it is fresh.",
];

/// Answers, or calls tools. A model that does not obey still makes the calls that the server forces.
pub(super) fn respond(view: &ModelPrompt, draws: &mut RequestRng, obeys: bool) -> ModelOutput {
    if let Some(calls) = tool_calls::choose(view, obeys) {
        return ModelOutput::ToolCalls(calls);
    }
    if let Some(schema) = &view.output_schema {
        let other = if obeys { answer_question(view, draws) } else { "value".to_owned() };
        return ModelOutput::Text(
            schema_values::generate(schema, &schema_values::ValueSource { item: None, fallback: other }).to_string(),
        );
    }
    if !obeys {
        return ModelOutput::Text(DISOBEDIENT_REPLIES[draws.next_below(DISOBEDIENT_REPLIES.len())].to_owned());
    }
    let text = answer_question(view, draws);
    ModelOutput::Text(continue_prefill(view.prefill.trim_end(), text))
}

/// An answer whose beginning was said already: only the rest is left to say.
fn continue_prefill(prefill: &str, answer: String) -> String {
    if prefill.is_empty() {
        return answer;
    }
    let begins_word = |at: usize| at == 0 || !prefill[..at].ends_with(char::is_alphanumeric);
    let said = prefill.char_indices().map(|(at, _)| at).filter(|at| begins_word(*at));
    let rest = said.filter_map(|at| answer.strip_prefix(&prefill[at..])).next();
    match rest {
        Some(rest) => rest.to_owned(),
        // A quotation or a bracket goes on without a space.
        None if prefill.ends_with(['"', '\'', '(', '[', '{', '`', '*']) => answer,
        None => format!(" {answer}"),
    }
}

/// What the model thinks before this answer, at its natural length.
pub(super) fn think(view: &ModelPrompt, reply: &ModelOutput) -> String {
    let answer = match reply {
        ModelOutput::Text(text) => text.clone(),
        ModelOutput::ToolCalls(calls) => {
            calls.iter().map(|call| format!("a call of {}", call.name)).collect::<Vec<_>>().join(", ")
        }
    };
    thinking::thinking_text(view, &answer)
}

fn answer_question(view: &ModelPrompt, draws: &mut RequestRng) -> String {
    let question = view.question();
    if intent::is_about_labels(question) {
        return answer_labels(view, question);
    }
    if let Some((from, to)) = intent::parse_count_range(question) {
        return write_count(from, to);
    }
    if intent::is_about_colour(question) {
        let seen = view.segments.iter().flat_map(|piece| &piece.images).next_back();
        let told = || view.segments.iter().rev().find_map(|piece| intent::find_stated_colour(&piece.text));
        return seen.and_then(|picture| picture.colour).or_else(told).unwrap_or("I see no image.").to_owned();
    }
    if intent::wants_random(question) {
        let (number, word) = sampling::sample_word(view.sampling, draws);
        return if intent::wants_number(question) { format!("{number}, {word}") } else { word.to_owned() };
    }
    if intent::wants_failed_call(question) {
        return list_failed_names(&view.segments);
    }
    if let Some(yes_is_success) = intent::yes_means_success(question) {
        return if is_success(&view.segments) == yes_is_success { "Yes" } else { "No" }.to_owned();
    }
    if let Some(number) = intent::evaluate_arithmetic(question) {
        return number.to_string();
    }
    if view.is_results_only() {
        return summarise_results(&view.segments);
    }
    DEFAULT_REPLY.to_owned()
}

fn answer_labels(view: &ModelPrompt, question: &str) -> String {
    if intent::wants_all_labels(question) {
        let mut all: Vec<String> = Vec::new();
        for label in view.segments.iter().flat_map(|piece| code_words::find_all(&piece.text)) {
            if !all.contains(&label) && all.len() < 64 {
                all.push(label);
            }
        }
        return if all.is_empty() { UNKNOWN_REPLY.to_owned() } else { all.join(", ") };
    }
    // Where the last turn only brings results, they are what is asked about, not what was said before them.
    if let Some(label) = code_words::find_last(question).filter(|_| !view.is_results_only()) {
        return label;
    }
    let found = match find_result(&view.segments, &intent::names_after_for(question)) {
        Some(result) => code_words::find_last(&result.text),
        None => view.segments.iter().rev().find_map(|piece| code_words::find_last(&piece.text)),
    };
    found.unwrap_or_else(|| UNKNOWN_REPLY.to_owned())
}

/// The result of the first call whose input has one of the names. Results that do not say what they answer are told
/// apart by their order.
fn find_result<'a>(pieces: &'a [PromptSegment], names: &[&str]) -> Option<&'a PromptSegment> {
    let calls = pieces.iter().filter_map(|piece| match &piece.kind {
        SegmentKind::ToolCall { id, input } => Some((id, input)),
        _ => None,
    });
    let has_name = |input: &str| intent::split_words(input).iter().any(|word| names.contains(word));
    let (order, (id, _)) = calls.enumerate().find(|(_, (_, input))| has_name(input))?;
    let results = || pieces.iter().filter(|piece| matches!(piece.kind, SegmentKind::ToolResult { .. }));
    let answers = |piece: &&PromptSegment| matches!(&piece.kind, SegmentKind::ToolResult { call_id, .. } if call_id.is_some() && call_id == id);
    results().find(answers).or_else(|| {
        results()
            .nth(order)
            .filter(|piece| matches!(&piece.kind, SegmentKind::ToolResult { call_id: None, .. }) || id.is_none())
    })
}

fn write_count(from: u64, to: u64) -> String {
    let numbers: Vec<String> = match from <= to {
        true => (from..=to).map(|n| n.to_string()).collect(),
        false => (to..=from).rev().map(|n| n.to_string()).collect(),
    };
    numbers.join(" ")
}

/// The last result speaks of no failure, in its flag or in its words.
fn is_success(pieces: &[PromptSegment]) -> bool {
    let last = pieces.iter().rev().find(|piece| matches!(piece.kind, SegmentKind::ToolResult { .. }));
    last.is_none_or(|piece| !is_failure(piece))
}

/// A result that speaks of failure, in its flag or in its words.
fn is_failure(piece: &PromptSegment) -> bool {
    let SegmentKind::ToolResult { is_error, .. } = piece.kind else { return false };
    let text = piece.text.to_ascii_lowercase();
    is_error
        || ["error", "fail", "exception", "denied", "not found", "could not", "unable"].iter().any(|w| text.contains(w))
}

/// The names that the failed calls were made for, as far as results or words tell.
fn list_failed_names(pieces: &[PromptSegment]) -> String {
    let call_of = |result: &PromptSegment| match &result.kind {
        SegmentKind::ToolResult { call_id: Some(of), .. } => pieces.iter().find_map(|piece| match &piece.kind {
            SegmentKind::ToolCall { id: Some(id), input } if id == of => intent::first_capitalised_word(input),
            _ => None,
        }),
        _ => None,
    };
    let flagged = pieces.iter().filter(|piece| is_failure(piece)).filter_map(call_of);
    let told = pieces.iter().filter(|piece| !matches!(piece.kind, SegmentKind::ToolResult { .. }));
    let names: Vec<&str> = flagged.chain(told.filter_map(|piece| intent::find_failed_name(&piece.text))).collect();
    if names.is_empty() { "None.".to_owned() } else { names.join(", ") }
}

/// The last turn is nothing but results: they are what there is to say.
fn summarise_results(pieces: &[PromptSegment]) -> String {
    let mut results = pieces.iter().filter(|piece| matches!(piece.kind, SegmentKind::ToolResult { .. }));
    let Some(last) = results.next_back() else { return DEFAULT_REPLY.to_owned() };
    if let Some(label) = code_words::find_last(&last.text) {
        return label;
    }
    let words: Vec<&str> =
        last.text.split_whitespace().map(crate::simulator::error_path::truncate_text).take(30).collect();
    if words.is_empty() { "The tool gave no result.".to_owned() } else { format!("The tool says: {}", words.join(" ")) }
}

/// True when the server lets the model call a tool at all.
fn can_call_tools(view: &ModelPrompt) -> bool {
    view.tool_choice != ToolChoice::None && !view.tools.is_empty()
}
