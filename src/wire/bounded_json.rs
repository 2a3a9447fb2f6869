//! [`parse_json`]: parses JSON of a limited size, because a server decides what it contains.
//!
//! A value in memory may be a hundred times as large as its text. So the values are counted before
//! anything is built.

use serde_json::Value;

/// The maximum number of values in a text. A normal response has fewer than a hundred, and a long
/// list of models some thousand.
pub const MAX_JSON_VALUES: usize = 20_000;

/// The maximum depth. The parser itself accepts no more.
const MAX_JSON_DEPTH: usize = 127;

/// Why a text has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadableJson {
    /// The text is not JSON.
    NotJson,
    /// It has more values than [`MAX_JSON_VALUES`], or is too deep.
    TooLarge,
}

/// Parses a text.
///
/// # Errors
///
/// [`UnreadableJson`] if the text is not JSON, or too large to read.
pub fn parse_json(text: &str) -> Result<Value, UnreadableJson> {
    let size = JsonSize::measure(text);
    if size.values > MAX_JSON_VALUES || size.depth > MAX_JSON_DEPTH {
        // Most text that is not JSON has no such size, but a page of a web site may.
        let is_json_text = text.trim_start().starts_with(['{', '[']);
        return Err(if is_json_text { UnreadableJson::TooLarge } else { UnreadableJson::NotJson });
    }
    serde_json::from_str(text).map_err(|_| UnreadableJson::NotJson)
}

/// The number of values of a text. Counts to the first excess.
pub(super) fn count_values(text: &str) -> usize {
    JsonSize::measure(text).values
}

/// The number of values of a text, and their depth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct JsonSize {
    values: usize,
    depth: usize,
}

impl JsonSize {
    /// Counts until the end of the text or the first excess.
    fn measure(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut size = Self { values: 1, depth: 0 };
        let (mut depth, mut position) = (0_usize, 0);
        while position < bytes.len() && size.values <= MAX_JSON_VALUES && size.depth <= MAX_JSON_DEPTH {
            match bytes[position] {
                b'"' => position = skip_string(bytes, position + 1),
                b',' => size.values += 1,
                b'{' | b'[' => {
                    size.values += 1;
                    depth += 1;
                    size.depth = size.depth.max(depth);
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            position += 1;
        }
        size
    }
}

/// The position of the quotation mark that ends a string.
fn skip_string(bytes: &[u8], start: usize) -> usize {
    let mut position = start;
    while let Some(offset) = bytes.get(position..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        position += offset;
        if bytes[position] == b'"' {
            return position;
        }
        position += 2;
    }
    bytes.len()
}

/// The memory that a value takes, about.
pub(super) fn estimate_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
        Value::String(text) => 32 + text.capacity(),
        Value::Array(items) => 64 + items.iter().map(estimate_bytes).sum::<usize>(),
        Value::Object(map) => 400 + map.iter().map(|(key, item)| 64 + key.len() + estimate_bytes(item)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_within_the_limits_is_parsed() {
        assert_eq!(parse_json(r#"{"a":[1,{"b":"\",[{}]}"#), Err(UnreadableJson::NotJson));
        assert_eq!(parse_json(r#"{"a":"\"[{,\\"}"#).map(|value| value["a"].clone()), Ok("\"[{,\\".into()));
        assert_eq!(parse_json(""), Err(UnreadableJson::NotJson));
        let long = format!("[\"{}\"]", "[".repeat(1 << 20));
        assert!(parse_json(&long).is_ok(), "a long text is one value");
    }

    #[test]
    fn wide_and_deep_texts_are_too_large() {
        for text in [
            format!("[{}]", vec!["0"; MAX_JSON_VALUES + 1].join(",")),
            format!("{{{}}}", vec!["\"\":{}"; MAX_JSON_VALUES].join(",")),
            "[".repeat(4 << 20),
            "{\"a\":".repeat(200),
        ] {
            assert_eq!(parse_json(&text), Err(UnreadableJson::TooLarge), "{:.40}", text);
        }
        assert!(parse_json(&format!("[{}]", vec!["0"; MAX_JSON_VALUES - 2].join(","))).is_ok());
        assert_eq!(parse_json(&"<a, b>".repeat(MAX_JSON_VALUES)), Err(UnreadableJson::NotJson));
    }
}
