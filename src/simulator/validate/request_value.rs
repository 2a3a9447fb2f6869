//! A value of a request with its place: [`RequestValue`] validates its type, [`RequestObject`] its
//! keys.

use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::error_path::{ErrorPath, truncate_text};

pub(crate) type ApiResult<T = ()> = Result<T, ApiError>;

/// Rejects a request because of a place in its body.
pub(crate) fn reject<T>(path: &ErrorPath, message: impl std::fmt::Display) -> ApiResult<T> {
    Err(ApiError::invalid_field(path, message))
}

/// The type that a value must have.
#[derive(Debug, Clone, Copy)]
pub(super) enum ValueRule {
    Array,
    Boolean,
    Integer,
    NonEmptyString,
    Number,
    Object,
    OneOf(&'static [&'static str]),
    String,
}

/// When the value of a key is validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyPresence {
    /// Always: the key must be there.
    Required,
    /// If the key is there.
    Given,
    /// If the key is there and not `null`, which clients send for optional fields.
    NonNull,
}

/// A key of an object, when it is validated, and its type.
pub(super) type KeyRule = (KeyPresence, &'static str, ValueRule);

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct RequestValue<'a> {
    pub json: &'a Value,
    pub path: ErrorPath,
}

impl<'a> RequestValue<'a> {
    pub fn new(json: &'a Value, path: ErrorPath) -> Self {
        Self { json, path }
    }

    pub fn reject<T>(&self, message: impl std::fmt::Display) -> ApiResult<T> {
        reject(&self.path, message)
    }

    fn expect<T>(&self, value: Option<T>, expected: &str) -> ApiResult<T> {
        value.map_or_else(|| self.reject(format_args!("expected {expected}")), Ok)
    }

    pub(super) fn object(&self) -> ApiResult<RequestObject<'a>> {
        let map = self.expect(self.json.as_object(), "an object")?;
        Ok(RequestObject { map, path: self.path.clone() })
    }

    pub(super) fn items(&self) -> ApiResult<Vec<RequestValue<'a>>> {
        let items = self.expect(self.json.as_array(), "an array")?.iter().enumerate();
        Ok(items.map(|(i, item)| RequestValue::new(item, self.path.index(i))).collect())
    }

    pub(super) fn string(&self) -> ApiResult<&'a str> {
        self.expect(self.json.as_str(), "a string")
    }

    pub(super) fn non_empty_string(&self) -> ApiResult<&'a str> {
        self.expect(Some(self.string()?).filter(|text| !text.is_empty()), "at least 1 character")
    }

    pub(super) fn number(&self) -> ApiResult<f64> {
        self.expect(self.json.as_f64(), "a number")
    }

    /// A whole number that is not negative.
    pub(super) fn integer(&self) -> ApiResult<u64> {
        let is_number = self.json.is_number();
        let expected = if is_number { "a whole number that is not negative" } else { "an integer" };
        self.expect(self.json.as_u64(), expected)
    }

    /// A string from a closed list.
    pub(super) fn one_of(&self, allowed: &[&str]) -> ApiResult<&'a str> {
        let word = self.string()?;
        if allowed.contains(&word) {
            return Ok(word);
        }
        self.reject(format!("unknown value '{}', expected one of {}", truncate_text(word), allowed.join(", ")))
    }

    pub(super) fn validate(&self, rule: ValueRule) -> ApiResult {
        match rule {
            ValueRule::Array => self.expect(self.json.as_array(), "an array").map(drop),
            ValueRule::Boolean => self.expect(self.json.as_bool(), "a boolean").map(drop),
            ValueRule::Integer => self.integer().map(drop),
            ValueRule::NonEmptyString => self.non_empty_string().map(drop),
            ValueRule::Number => self.number().map(drop),
            ValueRule::Object => self.object().map(drop),
            ValueRule::OneOf(allowed) => self.one_of(allowed).map(drop),
            ValueRule::String => self.string().map(drop),
        }
    }
}

/// An object and its place.
#[derive(Debug, Clone)]
pub(super) struct RequestObject<'a> {
    pub map: &'a Map<String, Value>,
    pub path: ErrorPath,
}

impl<'a> RequestObject<'a> {
    /// The body of a request.
    pub fn root(map: &'a Map<String, Value>) -> Self {
        Self { map, path: ErrorPath::default() }
    }

    /// The same object, with the tag of a union in its path.
    pub fn tag(&self, tag: &str) -> Self {
        Self { map: self.map, path: self.path.key(tag) }
    }

    pub fn required(&self, key: &str) -> ApiResult<RequestValue<'a>> {
        self.given(key).map_or_else(|| reject(&self.path.key(key), "required"), Ok)
    }

    pub fn given(&self, key: &str) -> Option<RequestValue<'a>> {
        Some(RequestValue::new(self.map.get(key)?, self.path.key(key)))
    }

    pub fn non_null(&self, key: &str) -> Option<RequestValue<'a>> {
        self.given(key).filter(|value| !value.json.is_null())
    }

    /// Validates keys in this order.
    pub fn validate_keys(&self, rules: &[KeyRule]) -> ApiResult {
        rules.iter().try_for_each(|(presence, key, rule)| {
            let value = match presence {
                KeyPresence::Required => Some(self.required(key)?),
                KeyPresence::Given => self.given(key),
                KeyPresence::NonNull => self.non_null(key),
            };
            value.map_or(Ok(()), |value| value.validate(*rule))
        })
    }

    /// Rejects the first unknown key.
    pub fn reject_unknown_keys(&self, known: &[&[&str]]) -> ApiResult {
        match self.map.keys().find(|key| !known.iter().any(|list| list.contains(&key.as_str()))) {
            None => Ok(()),
            Some(key) => reject(&self.path.key(key), "unknown key"),
        }
    }
}
