//! The responses of the simulated model: [`respond`] answers the last question of a prompt.

use crate::simulator::error_path::truncate_text;
use crate::simulator::model::tool_calls::ModelToolCall;
use crate::simulator::model::{code_words, intent, sampling, schema_values, thinking, tool_calls};
use crate::simulator::prompt::{ModelPrompt, PromptSegment, SegmentKind};
use crate::simulator::rng::RequestRng;

/// The output of the model, before any limit cuts it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) enum ModelOutput {
    Text(String),
    ToolCalls(Vec<ModelToolCall>),
}

const UNKNOWN_REPLY: &str = "I do not know.";
pub(super) const DEFAULT_REPLY: &str = "Thank you for your message. Is there anything else that I can help you with?";

/// The replies of a model that disobeys.
pub(super) const DISOBEDIENT_REPLIES: [&str; 4] = [
    "That is an interesting thought, and there is a lot to be said about it.",
    "Many people enjoy a walk in the morning.",
    "I would rather talk about the weather, which has been mild of late.",
    "As far as I remember, bread is best when it is fresh.",
];

/// Answers the question or calls tools. A model that disobeys still makes the calls that the
/// request forces.
pub(in crate::simulator) fn respond(prompt: &ModelPrompt, rng: &mut RequestRng, obeys: bool) -> ModelOutput {
    if let Some(calls) = tool_calls::choose(prompt, obeys) {
        return ModelOutput::ToolCalls(calls);
    }
    if let Some(schema) = &prompt.output_schema {
        let fallback = if obeys { answer_question(prompt, rng) } else { "value".to_owned() };
        let source = schema_values::ValueSource { item: None, fallback };
        return ModelOutput::Text(schema_values::generate(schema, &source).to_string());
    }
    if !obeys {
        return ModelOutput::Text(DISOBEDIENT_REPLIES[rng.next_below(DISOBEDIENT_REPLIES.len())].to_owned());
    }
    let text = answer_question(prompt, rng);
    ModelOutput::Text(continue_prefill(prompt.prefill.trim_end(), text))
}

/// The rest of an answer that a prefill began.
fn continue_prefill(prefill: &str, answer: String) -> String {
    if prefill.is_empty() {
        return answer;
    }
    let begins_word = |at: usize| at == 0 || !prefill[..at].ends_with(char::is_alphanumeric);
    let said = prefill.char_indices().map(|(at, _)| at).filter(|at| begins_word(*at));
    let rest = said.filter_map(|at| answer.strip_prefix(&prefill[at..])).next();
    match rest {
        Some(rest) => rest.to_owned(),
        // After a quotation mark or a bracket, there is no space.
        None if prefill.ends_with(['"', '\'', '(', '[', '{', '`', '*']) => answer,
        None => format!(" {answer}"),
    }
}

/// The thinking before this output, at its natural length.
pub(in crate::simulator) fn think(prompt: &ModelPrompt, output: &ModelOutput) -> String {
    let answer = match output {
        ModelOutput::Text(text) => text.clone(),
        ModelOutput::ToolCalls(calls) => {
            calls.iter().map(|call| format!("a call of {}", call.name)).collect::<Vec<_>>().join(", ")
        }
    };
    thinking::thinking_text(prompt, &answer)
}

fn answer_question(prompt: &ModelPrompt, rng: &mut RequestRng) -> String {
    let question = prompt.question();
    if let Some(text) = intent::text_to_repeat(question) {
        return text.to_owned();
    }
    if intent::is_about_labels(question) {
        return answer_labels(prompt, question);
    }
    if let Some((from, to)) = intent::parse_count_range(question) {
        return write_count(from, to);
    }
    if intent::is_about_colour(question) {
        let image = prompt.segments.iter().flat_map(|segment| &segment.images).next_back();
        let stated = || prompt.segments.iter().rev().find_map(|segment| intent::find_stated_colour(&segment.text));
        return image.and_then(|image| image.colour).or_else(stated).unwrap_or("I see no image.").to_owned();
    }
    if intent::wants_random(question) {
        let (number, word) = sampling::sample_word(prompt.sampling, rng);
        return if intent::wants_number(question) { format!("{number}, {word}") } else { word.to_owned() };
    }
    if intent::wants_failed_call(question) {
        return list_failed_names(&prompt.segments);
    }
    if let Some(yes_is_success) = intent::yes_means_success(question) {
        return if is_success(&prompt.segments) == yes_is_success { "Yes" } else { "No" }.to_owned();
    }
    if let Some(number) = intent::evaluate_arithmetic(question) {
        return number.to_string();
    }
    if prompt.is_results_only() {
        return summarise_results(&prompt.segments);
    }
    DEFAULT_REPLY.to_owned()
}

fn answer_labels(prompt: &ModelPrompt, question: &str) -> String {
    if intent::wants_all_labels(question) {
        let mut all: Vec<String> = Vec::new();
        for label in prompt.segments.iter().flat_map(|segment| code_words::find_all(&segment.text)) {
            if !all.contains(&label) && all.len() < 64 {
                all.push(label);
            }
        }
        return if all.is_empty() { UNKNOWN_REPLY.to_owned() } else { all.join(", ") };
    }
    // If the last turn has only tool results, the question is about them and not about earlier
    // text.
    if let Some(label) = code_words::find_last(question).filter(|_| !prompt.is_results_only()) {
        return label;
    }
    let found = match find_result(&prompt.segments, &intent::names_after_for(question)) {
        Some(result) => code_words::find_last(&result.text),
        None => prompt.segments.iter().rev().find_map(|segment| code_words::find_last(&segment.text)),
    };
    found.unwrap_or_else(|| UNKNOWN_REPLY.to_owned())
}

/// The result of the first call whose input contains one of the names. Results without an id belong
/// to the calls in order.
fn find_result<'a>(segments: &'a [PromptSegment], names: &[&str]) -> Option<&'a PromptSegment> {
    let calls = segments.iter().filter_map(|segment| match &segment.kind {
        SegmentKind::ToolCall { id, input } => Some((id, input)),
        _ => None,
    });
    let has_name = |input: &str| intent::split_words(input).iter().any(|word| names.contains(word));
    let (order, (id, _)) = calls.enumerate().find(|(_, (_, input))| has_name(input))?;
    let results = || segments.iter().filter(|segment| is_tool_result(segment));
    let has_id = |segment: &&PromptSegment| matches!(&segment.kind, SegmentKind::ToolResult { call_id, .. } if call_id.is_some() && call_id == id);
    results().find(has_id).or_else(|| {
        results()
            .nth(order)
            .filter(|segment| matches!(&segment.kind, SegmentKind::ToolResult { call_id: None, .. }) || id.is_none())
    })
}

fn write_count(from: u64, to: u64) -> String {
    let numbers: Vec<String> = match from <= to {
        true => (from..=to).map(|n| n.to_string()).collect(),
        false => (to..=from).rev().map(|n| n.to_string()).collect(),
    };
    numbers.join(" ")
}

fn is_tool_result(segment: &PromptSegment) -> bool {
    matches!(segment.kind, SegmentKind::ToolResult { .. })
}

/// Whether the last result reports no failure.
fn is_success(segments: &[PromptSegment]) -> bool {
    segments.iter().rev().find(|segment| is_tool_result(segment)).is_none_or(|result| !is_failure(result))
}

/// Whether a segment is a result that reports a failure, by its flag or in its text.
fn is_failure(segment: &PromptSegment) -> bool {
    let SegmentKind::ToolResult { is_error, .. } = segment.kind else { return false };
    let text = segment.text.to_ascii_lowercase();
    is_error
        || ["error", "fail", "exception", "denied", "not found", "could not", "unable"].iter().any(|w| text.contains(w))
}

/// The names in the failed calls, from the results and from other texts.
fn list_failed_names(segments: &[PromptSegment]) -> String {
    let call_of = |result: &PromptSegment| match &result.kind {
        SegmentKind::ToolResult { call_id: Some(call_id), .. } => {
            segments.iter().find_map(|segment| match &segment.kind {
                SegmentKind::ToolCall { id: Some(id), input } if id == call_id => intent::first_capitalised_word(input),
                _ => None,
            })
        }
        _ => None,
    };
    let flagged = segments.iter().filter(|segment| is_failure(segment)).filter_map(call_of);
    let other = segments.iter().filter(|segment| !is_tool_result(segment));
    let names: Vec<&str> = flagged.chain(other.filter_map(|s| intent::find_failed_name(&s.text))).collect();
    if names.is_empty() { "None.".to_owned() } else { names.join(", ") }
}

/// The answer to a turn that has only tool results.
fn summarise_results(segments: &[PromptSegment]) -> String {
    let Some(last) = segments.iter().rfind(|segment| is_tool_result(segment)) else { return DEFAULT_REPLY.to_owned() };
    if let Some(label) = code_words::find_last(&last.text) {
        return label;
    }
    let words: Vec<&str> = last.text.split_whitespace().map(truncate_text).take(30).collect();
    if words.is_empty() { "The tool gave no result.".to_owned() } else { format!("The tool says: {}", words.join(" ")) }
}
