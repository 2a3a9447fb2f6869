//! Does an answer pass a test? Predicates of case files, held against messages.

use std::collections::BTreeMap;

use serde_json::Value;

use super::build::fill_short;
use crate::case::{CallTest, Predicate, TextTest};
use crate::wire::message::Message;

/// True when everything that the predicate says holds of the message. `values` are the trial's drawn values.
pub fn holds(predicate: &Predicate, message: &Message, values: &BTreeMap<String, String>) -> bool {
    // Destructured without `..`, so that a new test cannot be forgotten here.
    let Predicate { text, thinking, stop_reason, stop_sequence, blocks, call, usage, streamed, any, not } = predicate;
    let same = |wanted: &Option<String>, seen: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| seen.as_deref() == Some(fill_short(wanted, values).as_str()))
    };
    text.as_ref().is_none_or(|test| text_holds(test, &message.text(), values))
        && thinking.as_ref().is_none_or(|test| text_holds(test, &message.thinking(), values))
        && same(stop_reason, &message.stop_reason)
        && same(stop_sequence, &message.stop_sequence)
        && blocks.iter().all(|(kind, count)| count.admits(message.blocks(kind).count() as u64))
        && call.as_ref().is_none_or(|test| message.blocks("tool_use").any(|block| call_holds(test, block, values)))
        && usage.iter().all(|(path, count)| count.admits(message.counter(path).unwrap_or(0)))
        && streamed.is_none_or(|streamed| message.streamed == streamed)
        && (any.is_empty() || any.iter().any(|p| holds(p, message, values)))
        && not.as_ref().is_none_or(|p| !holds(p, message, values))
}

fn text_holds(test: &TextTest, text: &str, values: &BTreeMap<String, String>) -> bool {
    let there = |wanted: &String| contains(text, &fill_short(wanted, values));
    test.contains.iter().all(there)
        && !test.lacks.iter().any(there)
        && test.words.is_none_or(|count| count.admits(text.split_whitespace().count() as u64))
        && test.digits.is_none_or(|count| count.admits(text.chars().filter(char::is_ascii_digit).count() as u64))
}

/// True when `wanted` stands in `text`, word by word: case and punctuation do not matter, word borders do. A longer
/// code word is found as well where an answer runs its parts together.
pub fn contains(text: &str, wanted: &str) -> bool {
    let (text, wanted) = (words(text), words(wanted));
    if wanted.is_empty() {
        return false;
    }
    if text.windows(wanted.len()).any(|window| window == wanted) {
        return true;
    }
    let squeezed = wanted.concat();
    wanted.len() > 1 && squeezed.chars().count() >= 10 && text.iter().any(|word| word.contains(&squeezed))
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

fn call_holds(test: &CallTest, block: &Value, values: &BTreeMap<String, String>) -> bool {
    let name_holds = test.name.as_ref().is_none_or(|name| block["name"] == fill_short(name, values));
    name_holds
        && test.input.iter().all(|(property, wanted)| {
            let Some(seen) = block["input"].get(fill_short(property, values)) else { return false };
            let wanted = fill_short(wanted, values);
            match seen {
                _ if wanted.is_empty() => true,
                Value::String(text) => contains(text, &wanted),
                other => {
                    let written = other.to_string();
                    written == wanted
                }
            }
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_compared_word_by_word() {
        assert!(contains("The label is **Amber-Falcon 4821**.", "amber falcon 4821"));
        assert!(contains("AmberFalcon4821", "amber falcon 4821"));
        assert!(contains("1 2 3 4 5 6", "5 6"));
        assert!(!contains("1 2 3 4 5 16", "5 6"));
        assert!(!contains("amber falcon 48210", "amber falcon 4821"));
        assert!(!contains("nothing", "no"));
        assert!(!contains("", "x") && !contains("x", ""));
    }

    proptest! {
        #[test]
        fn a_text_contains_its_own_words_in_a_row(words in prop::collection::vec("[a-z]{1,6}", 1..8), at in 0usize..8, len in 1usize..4) {
            let text = words.join(", ");
            let at = at % words.len();
            let part = words[at..(at + len).min(words.len())].join(" ");
            prop_assert!(contains(&text, &part));
        }
    }
}
