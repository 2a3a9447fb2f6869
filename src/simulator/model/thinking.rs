//! What the model says to itself before it answers.

use crate::simulator::error_path::clip;
use crate::simulator::prompt::View;

/// Sentences that fit any question.
const MUSINGS: &[&str] = &[
    "Let me go over what stands in the conversation before I settle on an answer.",
    "Nothing in it should be taken for granted, so it is worth reading each part once more.",
    "The wording matters here, because a short question can be meant in more than one way.",
    "I want to keep to what is really there and leave out whatever I would only be guessing.",
    "If two parts disagree, the later one is more likely to be what counts now.",
    "The form of the answer was given as well, and it is easy to lose sight of it.",
    "A longer reply would not be a better one, so I will say only what was wanted.",
];

/// The sentences of a long thought, when the question calls for one.
const LONG: usize = 150;

/// The whole of a thought, at its natural length.
pub(super) fn natural(view: &View, answer: &str) -> String {
    let question = view.question();
    let mut thought = format!("The user says: \"{}\"", excerpt(question, 60));
    if !view.tools.is_empty() {
        thought.push_str(&format!(" There are tools at hand, {} of them.", view.tools.len()));
    }
    let usual = if wants_length(question) { LONG } else { MUSINGS.len() - 1 };
    let sentences = view.effort.of_usual(usual);
    for (i, musing) in MUSINGS.iter().cycle().take(sentences).enumerate() {
        match i / MUSINGS.len() {
            0 => thought.push_str(&format!(" {musing}")),
            round => thought.push_str(&format!(" Round {}: {musing}", round + 1)),
        }
    }
    thought.push_str(&format!(" So I will answer: {}", excerpt(answer, 30)));
    thought
}

/// The question asks for long thought.
fn wants_length(question: &str) -> bool {
    let question = question.to_ascii_lowercase();
    ["at length", "carefully", "step by step", "think hard", "in detail", "thoroughly", "prove that"]
        .iter()
        .any(|words| question.contains(words))
}

/// The first words of a text.
fn excerpt(text: &str, most: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().map(clip).collect();
    let kept = words[..words.len().min(most)].join(" ");
    if words.len() > most { format!("{kept} …") } else { kept }
}
