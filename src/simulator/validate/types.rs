//! The shapes that values must have, and the words in which a wrong shape is refused.

use serde_json::{Map, Value};

use crate::simulator::api_error::Refusal;
use crate::simulator::error_path::Path;

pub(crate) type Checked<T = ()> = Result<T, Refusal>;

pub(super) fn required<'a>(map: &'a Map<String, Value>, path: &Path, key: &str) -> Checked<&'a Value> {
    map.get(key).ok_or_else(|| Refusal::at(&path.key(key), "required"))
}

pub(super) fn object<'a>(value: &'a Value, path: &Path) -> Checked<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| Refusal::at(path, "expected an object"))
}

pub(super) fn array<'a>(value: &'a Value, path: &Path) -> Checked<&'a [Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| Refusal::at(path, "expected an array"))
}

pub(super) fn string<'a>(value: &'a Value, path: &Path) -> Checked<&'a str> {
    value.as_str().ok_or_else(|| Refusal::at(path, "expected a string"))
}

pub(super) fn boolean(value: &Value, path: &Path) -> Checked<bool> {
    value.as_bool().ok_or_else(|| Refusal::at(path, "expected a boolean"))
}

/// A string of at least one character.
pub(super) fn words<'a>(value: &'a Value, path: &Path) -> Checked<&'a str> {
    match string(value, path)? {
        "" => Err(Refusal::at(path, "expected at least 1 character")),
        text => Ok(text),
    }
}

/// A required string of at least one character.
pub(super) fn required_words<'a>(map: &'a Map<String, Value>, path: &Path, key: &str) -> Checked<&'a str> {
    words(required(map, path, key)?, &path.key(key))
}

/// A required string.
pub(super) fn required_string<'a>(map: &'a Map<String, Value>, path: &Path, key: &str) -> Checked<&'a str> {
    string(required(map, path, key)?, &path.key(key))
}

/// A whole number that is not negative.
pub(super) fn whole(value: &Value, path: &Path) -> Checked<u64> {
    match (value.as_u64(), value.is_number()) {
        (Some(number), _) => Ok(number),
        (None, true) => Err(Refusal::at(path, "expected a whole number that is not negative")),
        (None, false) => Err(Refusal::at(path, "expected an integer")),
    }
}

/// One of a closed list of words.
pub(super) fn one_of<'a>(value: &'a Value, path: &Path, allowed: &[&str]) -> Checked<&'a str> {
    let word = string(value, path)?;
    if allowed.contains(&word) {
        return Ok(word);
    }
    let given = crate::simulator::error_path::clip(word);
    Err(Refusal::at(path, format!("unknown value '{given}', expected one of {}", allowed.join(", "))))
}

/// Refuses the first key that is not known.
pub(super) fn known_keys(map: &Map<String, Value>, path: Option<&Path>, known: &[&[&str]]) -> Checked {
    match map.keys().find(|key| !known.iter().any(|list| list.contains(&key.as_str()))) {
        None => Ok(()),
        Some(key) => Err(Refusal::at(&path.map_or_else(|| Path::root(key), |p| p.key(key)), "unknown key")),
    }
}
