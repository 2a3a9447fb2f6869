//! Looking into JSON: what a path finds, where a text or a key stands, and when two values are the same. Pure.

use serde_json::Value;

use crate::catalog::{JsonPath, PathSegment};

/// A value, and where it stands, as a JSON pointer.
pub(super) type LocatedValue<'a> = (String, &'a Value);

/// Everything that a path finds, in order.
pub(super) fn find<'a>(path: &JsonPath, body: &'a Value) -> Vec<LocatedValue<'a>> {
    let mut found = vec![(String::new(), body)];
    for step in path.segments() {
        found = found.into_iter().flat_map(|(at, value)| step_into(step, &at, value)).collect();
    }
    found
}

fn step_into<'a>(step: &PathSegment, at: &str, value: &'a Value) -> Vec<LocatedValue<'a>> {
    let entries = || value.as_array().into_iter().flatten().enumerate().map(|(i, item)| (format!("{at}/{i}"), item));
    match step {
        PathSegment::Key(key) => {
            value.get(key).map(|value| (format!("{at}/{}", escape_pointer(key)), value)).into_iter().collect()
        }
        PathSegment::Index(index) => entries().skip(*index).take(1).collect(),
        PathSegment::Each => entries().collect(),
        PathSegment::Filter(key, wanted) => entries().filter(|(_, item)| matches_text(&item[key], wanted)).collect(),
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

/// Every value below and including this one, with its place, from the top down.
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

/// Where a text stands first.
pub(super) fn find_text<'a>(body: &'a Value, text: &str) -> Option<LocatedValue<'a>> {
    find_all_text(body, text).into_iter().next()
}

/// Where a text stands: in a string, as a number, or as a key; each time the innermost place.
pub(super) fn find_all_text<'a>(body: &'a Value, text: &str) -> Vec<LocatedValue<'a>> {
    let leaf = |value: &Value| match value {
        Value::String(string) => string.contains(text),
        Value::Number(number) => number.to_string() == text,
        Value::Null | Value::Bool(_) | Value::Array(_) => false,
        Value::Object(map) => map.contains_key(text),
    };
    walk(body).into_iter().filter(|(_, value)| leaf(value)).collect()
}

/// Every value of a key, wherever the key stands.
pub(super) fn find_key<'a>(body: &'a Value, key: &str) -> Vec<LocatedValue<'a>> {
    let end = format!("/{}", escape_pointer(key));
    walk(body).into_iter().filter(|(at, _)| at.ends_with(&end)).collect()
}

/// All text in a value, in order: strings as they stand, everything else as JSON.
pub(super) fn collect_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(collect_text).collect::<Vec<_>>().join("\n"),
        Value::Object(map) if map.get("text").is_some_and(Value::is_string) => collect_text(&map["text"]),
        other => other.to_string(),
    }
}

/// True where two values say the same. A whole number may be written as a float that is as exact.
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
    fn paths_find_what_they_name() {
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
    fn numbers_are_the_same_only_where_they_say_the_same() {
        assert!(equivalent(&json!({ "a": [1, 0.5] }), &json!({ "a": [1.0, 0.5] })));
        assert!(!equivalent(&json!(9007199254740993_u64), &json!(9007199254740992.0)));
        assert!(!equivalent(&json!(0.30000000000000004), &json!(0.3)));
        assert!(equivalent(&json!({ "a": 1, "b": 2 }), &json!({ "b": 2, "a": 1 })));
        assert!(!equivalent(&json!({ "a": null }), &json!({})));
    }
}
