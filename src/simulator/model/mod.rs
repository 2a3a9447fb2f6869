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

use crate::simulator::prompt::{Choice, Kind, Piece, View};
use crate::simulator::rng::Draws;

/// What the model comes up with, before any bound cuts it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    Words(String),
    Calls(Vec<Call>),
}

/// A call of a client's tool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub name: String,
    pub input: Value,
}

const UNKNOWN: &str = "I do not know.";
const POLITE: &str = "Thank you for your message. Is there anything else that I can help you with?";

/// What a model says that does not do as it is told.
const BESIDE_THE_POINT: [&str; 4] = [
    "That is an interesting thought, and there is a lot to be said about it.",
    "Many people enjoy a walk in the morning.",
    "I would rather talk about the weather, which has been mild of late.",
    "As far as I remember, bread is best when it is fresh.",
];

/// Answers, or calls tools. A model that does not obey still makes the calls that the server forces.
pub(super) fn read(view: &View, draws: &mut Draws, obeys: bool) -> Reply {
    if let Some(calls) = tool_calls::wanted(view, obeys) {
        return Reply::Calls(calls);
    }
    if let Some(schema) = &view.schema {
        let other = if obeys { answer(view, draws) } else { "value".to_owned() };
        return Reply::Words(schema_values::fill(schema, &schema_values::Words { item: None, other }).to_string());
    }
    if !obeys {
        return Reply::Words(BESIDE_THE_POINT[draws.below(BESIDE_THE_POINT.len())].to_owned());
    }
    let text = answer(view, draws);
    Reply::Words(continued(view.prefill.trim_end(), text))
}

/// An answer whose beginning was said already: only the rest is left to say.
fn continued(prefill: &str, answer: String) -> String {
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
pub(super) fn think(view: &View, reply: &Reply) -> String {
    let answer = match reply {
        Reply::Words(text) => text.clone(),
        Reply::Calls(calls) => {
            calls.iter().map(|call| format!("a call of {}", call.name)).collect::<Vec<_>>().join(", ")
        }
    };
    thinking::natural(view, &answer)
}

fn answer(view: &View, draws: &mut Draws) -> String {
    let question = view.question();
    if intent::is_about_labels(question) {
        return labels(view, question);
    }
    if let Some((from, to)) = intent::count(question) {
        return count(from, to);
    }
    if intent::is_about_colour(question) {
        let seen = view.pieces.iter().flat_map(|piece| &piece.pictures).next_back();
        let told = || view.pieces.iter().rev().find_map(|piece| intent::stated_colour(&piece.text));
        return seen.and_then(|picture| picture.colour).or_else(told).unwrap_or("I see no image.").to_owned();
    }
    if intent::is_random(question) {
        let (number, word) = sampling::random(view.sampling, draws);
        return if intent::wants_number(question) { format!("{number}, {word}") } else { word.to_owned() };
    }
    if intent::wants_failed(question) {
        return failed(&view.pieces);
    }
    if let Some(yes_is_success) = intent::is_about_success(question) {
        return if succeeded(&view.pieces) == yes_is_success { "Yes" } else { "No" }.to_owned();
    }
    if let Some(number) = intent::arithmetic(question) {
        return number.to_string();
    }
    if view.is_results_only() {
        return from_results(&view.pieces);
    }
    POLITE.to_owned()
}

fn labels(view: &View, question: &str) -> String {
    if intent::wants_all_labels(question) {
        let mut all: Vec<String> = Vec::new();
        for label in view.pieces.iter().flat_map(|piece| code_words::find(&piece.text)) {
            if !all.contains(&label) && all.len() < 64 {
                all.push(label);
            }
        }
        return if all.is_empty() { UNKNOWN.to_owned() } else { all.join(", ") };
    }
    // Where the last turn only brings results, they are what is asked about, not what was said before them.
    if let Some(label) = code_words::last(question).filter(|_| !view.is_results_only()) {
        return label;
    }
    let found = match result_for(&view.pieces, &intent::names_after_for(question)) {
        Some(result) => code_words::last(&result.text),
        None => view.pieces.iter().rev().find_map(|piece| code_words::last(&piece.text)),
    };
    found.unwrap_or_else(|| UNKNOWN.to_owned())
}

/// The result of the first call whose input has one of the names. Results that do not say what they answer are told
/// apart by their order.
fn result_for<'a>(pieces: &'a [Piece], names: &[&str]) -> Option<&'a Piece> {
    let calls = pieces.iter().filter_map(|piece| match &piece.kind {
        Kind::Call { id, input } => Some((id, input)),
        _ => None,
    });
    let has_name = |input: &str| intent::words(input).iter().any(|word| names.contains(word));
    let (order, (id, _)) = calls.enumerate().find(|(_, (_, input))| has_name(input))?;
    let results = || pieces.iter().filter(|piece| matches!(piece.kind, Kind::Result { .. }));
    let answers = |piece: &&Piece| matches!(&piece.kind, Kind::Result { call, .. } if call.is_some() && call == id);
    results().find(answers).or_else(|| {
        results().nth(order).filter(|piece| matches!(&piece.kind, Kind::Result { call: None, .. }) || id.is_none())
    })
}

fn count(from: u64, to: u64) -> String {
    let numbers: Vec<String> = match from <= to {
        true => (from..=to).map(|n| n.to_string()).collect(),
        false => (to..=from).rev().map(|n| n.to_string()).collect(),
    };
    numbers.join(" ")
}

/// The last result speaks of no failure, in its flag or in its words.
fn succeeded(pieces: &[Piece]) -> bool {
    let last = pieces.iter().rev().find(|piece| matches!(piece.kind, Kind::Result { .. }));
    last.is_none_or(|piece| !is_failure(piece))
}

/// A result that speaks of failure, in its flag or in its words.
fn is_failure(piece: &Piece) -> bool {
    let Kind::Result { is_error, .. } = piece.kind else { return false };
    let text = piece.text.to_ascii_lowercase();
    is_error
        || ["error", "fail", "exception", "denied", "not found", "could not", "unable"].iter().any(|w| text.contains(w))
}

/// The names that the failed calls were made for, as far as results or words tell.
fn failed(pieces: &[Piece]) -> String {
    let call_of = |result: &Piece| match &result.kind {
        Kind::Result { call: Some(of), .. } => pieces.iter().find_map(|piece| match &piece.kind {
            Kind::Call { id: Some(id), input } if id == of => intent::proper_value(input),
            _ => None,
        }),
        _ => None,
    };
    let flagged = pieces.iter().filter(|piece| is_failure(piece)).filter_map(call_of);
    let told = pieces.iter().filter(|piece| !matches!(piece.kind, Kind::Result { .. }));
    let names: Vec<&str> = flagged.chain(told.filter_map(|piece| intent::said_to_fail(&piece.text))).collect();
    if names.is_empty() { "None.".to_owned() } else { names.join(", ") }
}

/// The last turn is nothing but results: they are what there is to say.
fn from_results(pieces: &[Piece]) -> String {
    let mut results = pieces.iter().filter(|piece| matches!(piece.kind, Kind::Result { .. }));
    let Some(last) = results.next_back() else { return POLITE.to_owned() };
    if let Some(label) = code_words::last(&last.text) {
        return label;
    }
    let words: Vec<&str> = last.text.split_whitespace().map(crate::simulator::error_path::clip).take(30).collect();
    if words.is_empty() { "The tool gave no result.".to_owned() } else { format!("The tool says: {}", words.join(" ")) }
}

/// True when the server lets the model call a tool at all.
fn may_call(view: &View) -> bool {
    view.choice != Choice::None && !view.tools.is_empty()
}
