//! Paths into JSON, as case files about gateways write them: `messages[role=user].content[type=image].source.data`.
//!
//! Only the spelling: what a path finds is the work of whoever looks.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A path into JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyPath {
    steps: Vec<Step>,
    text: String,
}

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into the value of a key: `system`.
    Key(String),
    /// Into one entry of a list: `[0]`.
    Index(usize),
    /// Into every entry of a list: `[*]`.
    Each,
    /// Into the entries of a list in which a key has this value: `[role=user]`.
    Where(String, String),
}

impl BodyPath {
    /// The path to a key at the top of the body, whatever stands in it.
    pub fn of_key(key: &str) -> Self {
        Self { steps: vec![Step::Key(key.to_owned())], text: key.to_owned() }
    }

    /// The steps, from the top of the body.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The key that the path ends in, where it ends in one.
    pub fn last_key(&self) -> Option<&str> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) | Step::Each | Step::Where(..) => None,
        })
    }
}

impl fmt::Display for BodyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for BodyPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!("`{text}` is no path into a body: {what} (expected one like `messages[role=user].content[0].text`)")
        };
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (key, mut rest) = match part.find('[') {
                Some(at) => part.split_at(at),
                None => (part, ""),
            };
            if key.is_empty() {
                return Err(wrong("a key is empty"));
            }
            if key.contains(']') {
                return Err(wrong("a bracket is closed that was not opened"));
            }
            steps.push(Step::Key(key.to_owned()));
            while let Some(inner) = rest.strip_prefix('[') {
                let (inner, after) = inner.split_once(']').ok_or_else(|| wrong("a bracket is left open"))?;
                steps.push(match (inner, inner.split_once('=')) {
                    ("*", _) => Step::Each,
                    (_, Some((key, value))) if !key.is_empty() => Step::Where(key.to_owned(), value.to_owned()),
                    _ => Step::Index(inner.parse().map_err(|_| wrong("brackets hold a number, `*` or `key=value`"))?),
                });
                rest = after;
            }
            if !rest.is_empty() {
                return Err(wrong("a dot belongs between a bracket and the next key"));
            }
        }
        Ok(Self { steps, text: text.to_owned() })
    }
}

impl<'de> Deserialize<'de> for BodyPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for BodyPath {
    fn schema_name() -> Cow<'static, str> {
        "BodyPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A path into a body: keys with dots between them, `[0]`, `[*]` or `[key=value]` for entries of a list.",
            "pattern": r"^[^.\[\]]+(\[[^\]]+\])*(\.[^.\[\]]+(\[[^\]]+\])*)*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_step_by_step() {
        let path: BodyPath = "messages[role=user].content[0][*].text".parse().unwrap();
        let expected = [
            Step::Key("messages".to_owned()),
            Step::Where("role".to_owned(), "user".to_owned()),
            Step::Key("content".to_owned()),
            Step::Index(0),
            Step::Each,
            Step::Key("text".to_owned()),
        ];
        assert_eq!(path.steps(), expected);
        assert_eq!(
            (path.last_key(), path.to_string().as_str()),
            (Some("text"), "messages[role=user].content[0][*].text")
        );
    }

    #[test]
    fn what_is_no_path_is_told() {
        for (text, part) in [
            ("", "empty"),
            ("a..b", "empty"),
            ("a[", "left open"),
            ("a]", "not opened"),
            ("a[x]", "a number"),
            ("a[0]b", "a dot"),
            ("a[=v]", "a number"),
        ] {
            let error = text.parse::<BodyPath>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
