//! Validation of the types of values, with the error messages for wrong types.

use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::error_path::{ErrorPath, truncate_text};

pub(crate) type ApiResult<T = ()> = Result<T, ApiError>;

/// Rejects a request because of a place in its body.
pub(crate) fn reject<T>(path: &ErrorPath, message: impl std::fmt::Display) -> ApiResult<T> {
    Err(ApiError::invalid_field(path, message))
}

pub(super) fn required_value<'a>(map: &'a Map<String, Value>, path: &ErrorPath, key: &str) -> ApiResult<&'a Value> {
    map.get(key).ok_or_else(|| ApiError::invalid_field(&path.key(key), "required"))
}

pub(super) fn object<'a>(value: &'a Value, path: &ErrorPath) -> ApiResult<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| ApiError::invalid_field(path, "expected an object"))
}

pub(super) fn array<'a>(value: &'a Value, path: &ErrorPath) -> ApiResult<&'a [Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| ApiError::invalid_field(path, "expected an array"))
}

pub(super) fn string<'a>(value: &'a Value, path: &ErrorPath) -> ApiResult<&'a str> {
    value.as_str().ok_or_else(|| ApiError::invalid_field(path, "expected a string"))
}

pub(super) fn boolean(value: &Value, path: &ErrorPath) -> ApiResult<bool> {
    value.as_bool().ok_or_else(|| ApiError::invalid_field(path, "expected a boolean"))
}

/// A string of at least one character.
pub(super) fn non_empty_string<'a>(value: &'a Value, path: &ErrorPath) -> ApiResult<&'a str> {
    match string(value, path)? {
        "" => reject(path, "expected at least 1 character"),
        text => Ok(text),
    }
}

/// A required string of at least one character.
pub(super) fn required_non_empty_string<'a>(
    map: &'a Map<String, Value>,
    path: &ErrorPath,
    key: &str,
) -> ApiResult<&'a str> {
    non_empty_string(required_value(map, path, key)?, &path.key(key))
}

/// A required string.
pub(super) fn required_string<'a>(map: &'a Map<String, Value>, path: &ErrorPath, key: &str) -> ApiResult<&'a str> {
    string(required_value(map, path, key)?, &path.key(key))
}

/// A whole number that is not negative.
pub(super) fn integer(value: &Value, path: &ErrorPath) -> ApiResult<u64> {
    match (value.as_u64(), value.is_number()) {
        (Some(number), _) => Ok(number),
        (None, true) => reject(path, "expected a whole number that is not negative"),
        (None, false) => reject(path, "expected an integer"),
    }
}

/// A string from a closed list.
pub(super) fn one_of<'a>(value: &'a Value, path: &ErrorPath, allowed: &[&str]) -> ApiResult<&'a str> {
    let word = string(value, path)?;
    if allowed.contains(&word) {
        return Ok(word);
    }
    let given = truncate_text(word);
    reject(path, format!("unknown value '{given}', expected one of {}", allowed.join(", ")))
}

/// A required string from a closed list.
pub(super) fn required_one_of<'a>(
    map: &'a Map<String, Value>,
    path: &ErrorPath,
    key: &str,
    allowed: &[&str],
) -> ApiResult<&'a str> {
    one_of(required_value(map, path, key)?, &path.key(key), allowed)
}

/// Rejects the first unknown key.
pub(super) fn reject_unknown_keys(map: &Map<String, Value>, path: Option<&ErrorPath>, known: &[&[&str]]) -> ApiResult {
    match map.keys().find(|key| !known.iter().any(|list| list.contains(&key.as_str()))) {
        None => Ok(()),
        Some(key) => reject(&path.map_or_else(|| ErrorPath::root(key), |p| p.key(key)), "unknown key"),
    }
}
