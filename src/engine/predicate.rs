//! Does an answer pass a test? Predicates of case files, held against messages.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::catalog::{CallTest, JsonKind, JsonTest, MessagePredicate, ResponsePredicate, TextTest};
use crate::variables::fill::filler_from_values;
use crate::wire::message::{Message, excerpt};
use crate::wire::response_body::ParsedResponse;

/// True when everything that the predicate says holds of the message. `values` are the trial's drawn values.
pub fn matches(predicate: &MessagePredicate, message: &Message, values: &BTreeMap<String, String>) -> bool {
    // Destructured without `..`, so that a new test cannot be forgotten here.
    let MessagePredicate { text, thinking, stop_reason, stop_sequence, blocks, call, calls, usage, streamed, any, not } =
        predicate;
    let same = |wanted: &Option<String>, seen: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| seen.as_deref() == Some(fill_text(wanted, values).as_str()))
    };
    text.as_ref().is_none_or(|test| text_matches(test, &message.text(), values))
        && thinking.as_ref().is_none_or(|test| text_matches(test, &message.thinking(), values))
        && same(stop_reason, &message.stop_reason)
        && same(stop_sequence, &message.stop_sequence)
        && blocks.iter().all(|(kind, count)| count.matches(message.blocks(kind).count() as u64))
        && call.as_ref().is_none_or(|test| message.blocks("tool_use").any(|block| call_matches(test, block, values)))
        && calls_match(calls, message, values)
        && usage.iter().all(|(path, count)| count.matches(message.counter(path).unwrap_or(0)))
        && streamed.is_none_or(|streamed| message.streamed == streamed)
        && (any.is_empty() || any.iter().any(|p| matches(p, message, values)))
        && not.as_ref().is_none_or(|p| !matches(p, message, values))
}

/// True when the test holds of an answer, and of the message in it, where there is one.
pub fn response_matches(
    test: &ResponsePredicate,
    answer: &ParsedResponse,
    message: Option<&Message>,
    values: &BTreeMap<String, String>,
) -> bool {
    first_mismatch(test, answer, message, values).is_none()
}

/// What of the test does not hold of an answer, in words.
pub fn mismatch_reason(
    test: &ResponsePredicate,
    answer: &ParsedResponse,
    message: Option<&Message>,
    values: &BTreeMap<String, String>,
) -> String {
    first_mismatch(test, answer, message, values).unwrap_or_default()
}

fn first_mismatch(
    test: &ResponsePredicate,
    answer: &ParsedResponse,
    message: Option<&Message>,
    values: &BTreeMap<String, String>,
) -> Option<String> {
    // Destructured without `..`, so that a new test cannot be forgotten here.
    let ResponsePredicate { status, error, says, json, has, message: of_message } = test;
    if !status.contains(&answer.status) {
        return Some(format!("the status is {}", answer.status));
    }
    if let Some(kind) = error
        && !(answer.json["type"] == "error" && answer.json["error"]["type"] == kind.as_str())
    {
        return Some(format!("it is no {kind}"));
    }
    if !says.is_empty() {
        let text = answer.json["error"]["message"].as_str().unwrap_or(&answer.excerpt).to_lowercase();
        if !says.iter().any(|words| text.contains(&words.to_lowercase())) {
            return Some(format!("its words are none of: {}", says.join(", ")));
        }
    }
    let wrong = json.iter().find(|(pointer, test)| !json_matches(test, answer.json.pointer(pointer), values));
    if let Some((pointer, _)) = wrong {
        let seen = answer.json.pointer(pointer).map_or_else(|| "missing".to_owned(), |v| excerpt(&v.to_string(), 60));
        return Some(format!("{pointer} is {seen}"));
    }
    if let Some(missing) = has.iter().find(|event| !answer.event_names.contains(event.as_str())) {
        return Some(format!("there is no {missing} event"));
    }
    let Some(wanted) = of_message else { return None };
    match message {
        Some(message) if matches(wanted, message, values) => None,
        Some(message) => Some(format!("the message is not as asked for: {}", excerpt(&message.text(), 120))),
        None => Some("it is no message".to_owned()),
    }
}

fn json_matches(test: &JsonTest, value: Option<&Value>, values: &BTreeMap<String, String>) -> bool {
    let Some(value) = value else { return false };
    let JsonTest { is, equals, at_least } = test;
    let is_kind = |kind: &JsonKind| match kind {
        JsonKind::String => value.is_string(),
        JsonKind::Whole => value.is_u64(),
        JsonKind::Boolean => value.is_boolean(),
        JsonKind::Array => value.is_array(),
        JsonKind::Object => value.is_object(),
    };
    let is_equal = |wanted: &Value| match wanted {
        Value::String(text) => value.as_str() == Some(fill_text(text, values).as_str()),
        wanted => value == wanted,
    };
    is.as_ref().is_none_or(is_kind)
        && equals.as_ref().is_none_or(is_equal)
        && at_least.is_none_or(|least| value.as_u64().is_some_and(|n| n >= least))
}

fn text_matches(test: &TextTest, text: &str, values: &BTreeMap<String, String>) -> bool {
    let there = |wanted: &String| contains_words(text, &fill_text(wanted, values));
    test.contains.iter().all(there)
        && !test.lacks.iter().any(there)
        && test.words.is_none_or(|count| count.matches(text.split_whitespace().count() as u64))
        && test.digits.is_none_or(|count| count.matches(text.chars().filter(char::is_ascii_digit).count() as u64))
}

fn fill_text(template: &str, values: &BTreeMap<String, String>) -> String {
    filler_from_values(values).fill_text(template)
}

/// True when `wanted` stands in `text`, word by word: case and punctuation do not matter, word borders do. A longer
/// code word is found as well where an answer runs its parts together.
pub fn contains_words(text: &str, wanted: &str) -> bool {
    let (text, wanted) = (split_words(text), split_words(wanted));
    if wanted.is_empty() {
        return false;
    }
    if text.windows(wanted.len()).any(|window| window == wanted) {
        return true;
    }
    let squeezed = wanted.concat();
    wanted.len() > 1 && squeezed.chars().count() >= 10 && text.iter().any(|word| word.contains(&squeezed))
}

fn split_words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

/// True when each test has a call of its own. The tests of one row differ in what they ask for, so that the first call
/// that passes may be taken.
fn calls_match(tests: &[CallTest], message: &Message, values: &BTreeMap<String, String>) -> bool {
    let mut left: Vec<&Value> = message.blocks("tool_use").collect();
    tests.iter().all(|test| {
        let found = left.iter().position(|block| call_matches(test, block, values));
        found.map(|at| left.remove(at)).is_some()
    })
}

fn call_matches(test: &CallTest, block: &Value, values: &BTreeMap<String, String>) -> bool {
    let name_holds = test.name.as_ref().is_none_or(|name| block["name"] == fill_text(name, values));
    name_holds
        && (!test.no_input || block["input"].as_object().is_some_and(serde_json::Map::is_empty))
        && test.input.iter().all(|(property, wanted)| {
            let Some(seen) = block["input"].get(fill_text(property, values)) else { return false };
            let wanted = fill_text(wanted, values);
            match seen {
                _ if wanted.is_empty() => true,
                Value::String(text) => contains_words(text, &wanted),
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
        assert!(contains_words("The label is **Amber-Falcon 4821**.", "amber falcon 4821"));
        assert!(contains_words("AmberFalcon4821", "amber falcon 4821"));
        assert!(contains_words("1 2 3 4 5 6", "5 6"));
        assert!(!contains_words("1 2 3 4 5 16", "5 6"));
        assert!(!contains_words("amber falcon 48210", "amber falcon 4821"));
        assert!(!contains_words("nothing", "no"));
        assert!(!contains_words("", "x") && !contains_words("x", ""));
    }

    proptest! {
        #[test]
        fn a_text_contains_its_own_words_in_a_row(words in prop::collection::vec("[a-z]{1,6}", 1..8), at in 0usize..8, len in 1usize..4) {
            let text = words.join(", ");
            let at = at % words.len();
            let part = words[at..(at + len).min(words.len())].join(" ");
            prop_assert!(contains_words(&text, &part));
        }
    }
}
