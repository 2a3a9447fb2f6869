//! [`matches`] and [`response_matches`]: evaluates the predicates of case files on messages and
//! responses.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::catalog::{CallTest, JsonKind, JsonTest, MessagePredicate, ResponsePredicate, TextTest};
use crate::variables::fill::filler_from_values;
use crate::wire::message::{Message, excerpt};
use crate::wire::parsed_exchange::ParsedResponse;

/// True if the message satisfies all parts of the predicate. `values` are the random values of the
/// trial.
pub fn matches(predicate: &MessagePredicate, message: &Message, values: &BTreeMap<String, String>) -> bool {
    // Destructured without `..`, so that a new test cannot be forgotten here.
    let MessagePredicate { text, thinking, stop_reason, stop_sequence, blocks, call, calls, usage, streamed, any, not } =
        predicate;
    let equals = |expected: &Option<String>, actual: &Option<String>| {
        expected.as_ref().is_none_or(|expected| actual.as_deref() == Some(fill_text(expected, values).as_str()))
    };
    text.as_ref().is_none_or(|test| text_matches(test, &message.text(), values))
        && thinking.as_ref().is_none_or(|test| text_matches(test, &message.thinking(), values))
        && equals(stop_reason, &message.stop_reason)
        && equals(stop_sequence, &message.stop_sequence)
        && blocks.iter().all(|(kind, count)| count.matches(message.blocks(kind).count() as u64))
        && call.as_ref().is_none_or(|test| message.blocks("tool_use").any(|block| call_matches(test, block, values)))
        && calls_match(calls, message, values)
        && usage.iter().all(|(path, count)| count.matches(message.counter(path).unwrap_or(0)))
        && streamed.is_none_or(|streamed| message.streamed == streamed)
        && (any.is_empty() || any.iter().any(|p| matches(p, message, values)))
        && not.as_ref().is_none_or(|p| !matches(p, message, values))
}

/// True if the response, and the message in it, satisfy the predicate.
pub fn response_matches(
    test: &ResponsePredicate,
    response: &ParsedResponse,
    message: Option<&Message>,
    values: &BTreeMap<String, String>,
) -> bool {
    first_mismatch(test, response, message, values).is_none()
}

/// The first part of the predicate that the response does not satisfy, in words.
pub fn mismatch_reason(
    test: &ResponsePredicate,
    response: &ParsedResponse,
    message: Option<&Message>,
    values: &BTreeMap<String, String>,
) -> String {
    first_mismatch(test, response, message, values).unwrap_or_default()
}

fn first_mismatch(
    test: &ResponsePredicate,
    response: &ParsedResponse,
    message: Option<&Message>,
    values: &BTreeMap<String, String>,
) -> Option<String> {
    // Destructured without `..`, so that a new test cannot be forgotten here.
    let ResponsePredicate { status, error, says, json, has, message: of_message } = test;
    if !status.contains(&response.status) {
        return Some(format!("the status is {}", response.status));
    }
    if let Some(kind) = error
        && !(response.json["type"] == "error" && response.json["error"]["type"] == kind.as_str())
    {
        return Some(format!("the error type is not {kind}"));
    }
    if !says.is_empty() {
        let text = response.json["error"]["message"].as_str().unwrap_or(&response.excerpt).to_lowercase();
        if !says.iter().any(|words| text.contains(&words.to_lowercase())) {
            return Some(format!("the error text contains none of: {}", says.join(", ")));
        }
    }
    let wrong = json.iter().find(|(pointer, test)| !json_matches(test, response.json.pointer(pointer), values));
    if let Some((pointer, _)) = wrong {
        let value =
            response.json.pointer(pointer).map_or_else(|| "missing".to_owned(), |v| excerpt(&v.to_string(), 60));
        return Some(format!("{pointer} is {value}"));
    }
    if let Some(missing) = has.iter().find(|event| !response.event_names.contains(event.as_str())) {
        return Some(format!("there is no {missing} event"));
    }
    let Some(expected) = of_message else { return None };
    match message {
        Some(message) if matches(expected, message, values) => None,
        Some(message) => Some(format!("unexpected content: {}", excerpt(&message.text(), 120))),
        None => Some("the response is not a message".to_owned()),
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
    let is_in_text = |expected: &String| contains_words(text, &fill_text(expected, values));
    test.contains.iter().all(is_in_text)
        && !test.lacks.iter().any(is_in_text)
        && test.words.is_none_or(|count| count.matches(text.split_whitespace().count() as u64))
        && test.digits.is_none_or(|count| count.matches(text.chars().filter(char::is_ascii_digit).count() as u64))
}

fn fill_text(template: &str, values: &BTreeMap<String, String>) -> String {
    filler_from_values(values).fill_text(template)
}

/// True if `text` contains `wanted`, word by word. Case and punctuation do not matter, word
/// boundaries do. A longer code word is also found if the text joins its parts.
pub fn contains_words(text: &str, wanted: &str) -> bool {
    let (text, wanted) = (split_words(text), split_words(wanted));
    if wanted.is_empty() {
        return false;
    }
    if text.windows(wanted.len()).any(|window| window == wanted) {
        return true;
    }
    let joined = wanted.concat();
    wanted.len() > 1 && joined.chars().count() >= 10 && text.iter().any(|word| word.contains(&joined))
}

fn split_words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

/// True if each test matches a different call. Each test takes the first call that it matches,
/// because no call matches two tests of one row.
fn calls_match(tests: &[CallTest], message: &Message, values: &BTreeMap<String, String>) -> bool {
    let mut remaining: Vec<&Value> = message.blocks("tool_use").collect();
    tests.iter().all(|test| {
        let found = remaining.iter().position(|block| call_matches(test, block, values));
        found.map(|index| remaining.remove(index)).is_some()
    })
}

fn call_matches(test: &CallTest, block: &Value, values: &BTreeMap<String, String>) -> bool {
    let name_matches = test.name.as_ref().is_none_or(|name| block["name"] == fill_text(name, values));
    name_matches
        && (!test.no_input || block["input"].as_object().is_some_and(serde_json::Map::is_empty))
        && test.input.iter().all(|(property, wanted)| {
            let Some(value) = block["input"].get(fill_text(property, values)) else { return false };
            let wanted = fill_text(wanted, values);
            match value {
                _ if wanted.is_empty() => true,
                Value::String(text) => contains_words(text, &wanted),
                other => {
                    let json = other.to_string();
                    json == wanted
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
        fn a_text_contains_any_sequence_of_its_words(words in prop::collection::vec("[a-z]{1,6}", 1..8), at in 0usize..8, len in 1usize..4) {
            let text = words.join(", ");
            let at = at % words.len();
            let part = words[at..(at + len).min(words.len())].join(" ");
            prop_assert!(contains_words(&text, &part));
        }
    }
}
