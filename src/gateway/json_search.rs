//! Searches JSON for paths, texts and keys, and compares values. Pure.

use serde_json::Value;

use crate::catalog::{JsonPath, PathSegment};

/// A JSON pointer, and the value there.
pub(super) type LocatedValue<'a> = (String, &'a Value);

/// Every value that a path names, in order.
pub(super) fn find<'a>(path: &JsonPath, body: &'a Value) -> Vec<LocatedValue<'a>> {
    let mut found = vec![(String::new(), body)];
    for step in path.segments() {
        found = found.into_iter().flat_map(|(at, value)| step_into(step, &at, value)).collect();
    }
    found
}

fn step_into<'a>(step: &PathSegment, at: &str, value: &'a Value) -> Vec<LocatedValue<'a>> {
    let items = || value.as_array().into_iter().flatten().enumerate().map(|(i, item)| (format!("{at}/{i}"), item));
    match step {
        PathSegment::Key(key) => {
            value.get(key).map(|value| (format!("{at}/{}", escape_pointer(key)), value)).into_iter().collect()
        }
        PathSegment::Index(index) => items().skip(*index).take(1).collect(),
        PathSegment::Each => items().collect(),
        PathSegment::Filter(key, wanted) => items().filter(|(_, item)| matches_text(&item[key], wanted)).collect(),
    }
}

fn matches_text(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            serde_json::from_str::<Value>(wanted).is_ok_and(|w| w == *value)
        }
        Value::Array(_) | Value::Object(_) => false,
    }
}

fn escape_pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// This value and every value in it, from the top down.
pub(super) fn walk(body: &Value) -> Vec<LocatedValue<'_>> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), body)];
    while let Some((at, value)) = open.pop() {
        match value {
            Value::Array(items) => {
                open.extend(items.iter().enumerate().rev().map(|(i, item)| (format!("{at}/{i}"), item)));
            }
            Value::Object(map) => {
                open.extend(map.iter().rev().map(|(key, item)| (format!("{at}/{}", escape_pointer(key)), item)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        found.push((at, value));
    }
    found
}

/// The first place of a text.
pub(super) fn find_text<'a>(body: &'a Value, text: &str) -> Option<LocatedValue<'a>> {
    find_all_text(body, text).into_iter().next()
}

/// Every place of a text: in a string, as a number, or as a key.
pub(super) fn find_all_text<'a>(body: &'a Value, text: &str) -> Vec<LocatedValue<'a>> {
    let contains_text = |value: &Value| match value {
        Value::String(string) => string.contains(text),
        Value::Number(number) => number.to_string() == text,
        Value::Null | Value::Bool(_) | Value::Array(_) => false,
        Value::Object(map) => map.contains_key(text),
    };
    walk(body).into_iter().filter(|(_, value)| contains_text(value)).collect()
}

/// Every value of a key, at any depth.
pub(super) fn find_key<'a>(body: &'a Value, key: &str) -> Vec<LocatedValue<'a>> {
    let end = format!("/{}", escape_pointer(key));
    walk(body).into_iter().filter(|(at, _)| at.ends_with(&end)).collect()
}

/// All text in a value, in order. Values other than strings are rendered as JSON.
pub(super) fn collect_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(collect_text).collect::<Vec<_>>().join("\n"),
        Value::Object(map) if map.get("text").is_some_and(Value::is_string) => collect_text(&map["text"]),
        other => other.to_string(),
    }
}

/// True if two values are equal. An integer equals the float that represents it exactly.
pub(super) fn equivalent(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            a == b
                || (a.is_f64() != b.is_f64() && a.as_f64() == b.as_f64() && a.as_f64().is_some_and(|n| n.abs() < 9e15))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equivalent(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equivalent(value, other)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find_pointers(path: &str, body: &Value) -> Vec<String> {
        find(&path.parse().unwrap(), body).into_iter().map(|(at, _)| at).collect()
    }

    #[test]
    fn a_path_finds_the_values_that_it_names() {
        let body = json!({ "messages": [
            { "role": "user", "content": "a" },
            { "role": "assistant", "content": [{ "type": "text", "text": "b" }, { "type": "tool_use", "id": 7 }] },
        ]});
        assert_eq!(
            find_pointers("messages[role=assistant].content[type=tool_use].id", &body),
            ["/messages/1/content/1/id"]
        );
        assert_eq!(find_pointers("messages[*].content", &body), ["/messages/0/content", "/messages/1/content"]);
        assert_eq!(find_pointers("messages[0].content[0]", &body), [""; 0]);
        assert_eq!(find_text(&body, "b").unwrap().0, "/messages/1/content/0/text");
        assert_eq!(find_text(&body, "7").unwrap().0, "/messages/1/content/1/id");
        assert_eq!(find_key(&body, "id").len(), 1);
    }

    #[test]
    fn only_equal_numbers_are_equivalent() {
        assert!(equivalent(&json!({ "a": [1, 0.5] }), &json!({ "a": [1.0, 0.5] })));
        assert!(!equivalent(&json!(9007199254740993_u64), &json!(9007199254740992.0)));
        assert!(!equivalent(&json!(0.30000000000000004), &json!(0.3)));
        assert!(equivalent(&json!({ "a": 1, "b": 2 }), &json!({ "b": 2, "a": 1 })));
        assert!(!equivalent(&json!({ "a": null }), &json!({})));
    }
}
