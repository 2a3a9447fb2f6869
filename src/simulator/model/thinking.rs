//! The thinking of the model before it answers: [`thinking_text`].

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

/// The number of sentences if the question wants long thinking.
const LONG_THOUGHT_SENTENCES: usize = 150;

/// The whole thinking, at its natural length.
pub(super) fn thinking_text(prompt: &ModelPrompt, answer: &str) -> String {
    let question = prompt.question();
    let mut thought = format!("The user says: \"{}\"", excerpt(question, 60));
    if !prompt.tools.is_empty() {
        thought.push_str(&format!(" There are tools at hand, {} of them.", prompt.tools.len()));
    }
    let amount = if wants_long_thought(question) { LONG_THOUGHT_SENTENCES } else { FILLER_SENTENCES.len() - 1 };
    let sentences = prompt.effort.scale(amount);
    for (i, filler) in FILLER_SENTENCES.iter().cycle().take(sentences).enumerate() {
        match i / FILLER_SENTENCES.len() {
            0 => thought.push_str(&format!(" {filler}")),
            round => thought.push_str(&format!(" Round {}: {filler}", round + 1)),
        }
    }
    thought.push_str(&format!(" So I will answer: {}", excerpt(answer, 30)));
    thought
}

/// Whether the question wants long thinking.
fn wants_long_thought(question: &str) -> bool {
    let question = question.to_ascii_lowercase();
    ["at length", "carefully", "step by step", "think hard", "in detail", "thoroughly", "prove that"]
        .iter()
        .any(|words| question.contains(words))
}

/// The first words of a text.
fn excerpt(text: &str, max_words: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().map(truncate_text).collect();
    let kept = words[..words.len().min(max_words)].join(" ");
    if words.len() > max_words { format!("{kept} …") } else { kept }
}
