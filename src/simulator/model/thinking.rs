//! What the model says to itself before it answers.

use crate::simulator::error_path::truncate_text;
use crate::simulator::prompt::ModelPrompt;

/// Sentences that fit any question.
const FILLER_SENTENCES: &[&str] = &[
    "Let me go over what stands in the conversation before I settle on an answer.",
    "Nothing in it should be taken for granted, so it is worth reading each part once more.",
    "The wording matters here, because a short question can be meant in more than one way.",
    "I want to keep to what is really there and leave out whatever I would only be guessing.",
    "If two parts disagree, the later one is more likely to be what counts now.",
    "The form of the answer was given as well, and it is easy to lose sight of it.",
    "A longer reply would not be a better one, so I will say only what was wanted.",
];

/// The sentences of a long thought, when the question calls for one.
const LONG_THOUGHT_SENTENCES: usize = 150;

/// The whole of a thought, at its natural length.
pub(super) fn thinking_text(view: &ModelPrompt, answer: &str) -> String {
    let question = view.question();
    let mut thought = format!("The user says: \"{}\"", excerpt(question, 60));
    if !view.tools.is_empty() {
        thought.push_str(&format!(" There are tools at hand, {} of them.", view.tools.len()));
    }
    let usual = if wants_long_thought(question) { LONG_THOUGHT_SENTENCES } else { FILLER_SENTENCES.len() - 1 };
    let sentences = view.effort.scale(usual);
    for (i, musing) in FILLER_SENTENCES.iter().cycle().take(sentences).enumerate() {
        match i / FILLER_SENTENCES.len() {
            0 => thought.push_str(&format!(" {musing}")),
            round => thought.push_str(&format!(" Round {}: {musing}", round + 1)),
        }
    }
    thought.push_str(&format!(" So I will answer: {}", excerpt(answer, 30)));
    thought
}

/// The question asks for long thought.
fn wants_long_thought(question: &str) -> bool {
    let question = question.to_ascii_lowercase();
    ["at length", "carefully", "step by step", "think hard", "in detail", "thoroughly", "prove that"]
        .iter()
        .any(|words| question.contains(words))
}

/// The first words of a text.
fn excerpt(text: &str, most: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().map(truncate_text).collect();
    let kept = words[..words.len().min(most)].join(" ");
    if words.len() > most { format!("{kept} …") } else { kept }
}
