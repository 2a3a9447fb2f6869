//! [`JsonPath`]: paths into JSON as gateway case files write them, for example
//! `messages[role=user].content[type=image].source.data`.
//!
//! Only the syntax. Callers find the values.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A path into JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    segments: Vec<PathSegment>,
    text: String,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSegment {
    /// Into the value of a key: `system`.
    Key(String),
    /// Into one entry of a list: `[0]`.
    Index(usize),
    /// Into every entry of a list: `[*]`.
    Each,
    /// Into the entries of a list whose key has this value: `[role=user]`.
    Filter(String, String),
}

impl JsonPath {
    /// The path to a top-level key of the body. The key may contain any character.
    pub fn from_key(key: &str) -> Self {
        Self { segments: vec![PathSegment::Key(key.to_owned())], text: key.to_owned() }
    }

    /// The steps, from the top of the body down.
    pub fn segments(&self) -> &[PathSegment] {
        &self.segments
    }

    /// The last key of the path.
    pub fn last_key(&self) -> Option<&str> {
        self.segments.iter().rev().find_map(|step| match step {
            PathSegment::Key(key) => Some(key.as_str()),
            PathSegment::Index(_) | PathSegment::Each | PathSegment::Filter(..) => None,
        })
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for JsonPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!(
                "`{text}` is not a path into a body: {what}. Expected for example `messages[role=user].content[0].text`"
            )
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
                return Err(wrong("a `]` has no `[`"));
            }
            steps.push(PathSegment::Key(key.to_owned()));
            while let Some(inner) = rest.strip_prefix('[') {
                let (inner, after) = inner.split_once(']').ok_or_else(|| wrong("a `[` is not closed"))?;
                steps.push(match (inner, inner.split_once('=')) {
                    ("*", _) => PathSegment::Each,
                    (_, Some((key, value))) if !key.is_empty() => PathSegment::Filter(key.to_owned(), value.to_owned()),
                    _ => PathSegment::Index(
                        inner.parse().map_err(|_| wrong("brackets must contain a number, `*` or `key=value`"))?,
                    ),
                });
                rest = after;
            }
            if !rest.is_empty() {
                return Err(wrong("a dot is missing between a bracket and the next key"));
            }
        }
        Ok(Self { segments: steps, text: text.to_owned() })
    }
}

impl<'de> Deserialize<'de> for JsonPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for JsonPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BodyPath".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A path into a body: keys separated by dots; `[0]`, `[*]` or `[key=value]` for entries of a list.",
            "pattern": r"^[^.\[\]]+(\[[^\]]+\])*(\.[^.\[\]]+(\[[^\]]+\])*)*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_parsed_into_steps() {
        let path: JsonPath = "messages[role=user].content[0][*].text".parse().unwrap();
        let expected = [
            PathSegment::Key("messages".to_owned()),
            PathSegment::Filter("role".to_owned(), "user".to_owned()),
            PathSegment::Key("content".to_owned()),
            PathSegment::Index(0),
            PathSegment::Each,
            PathSegment::Key("text".to_owned()),
        ];
        assert_eq!(path.segments(), expected);
        assert_eq!(
            (path.last_key(), path.to_string().as_str()),
            (Some("text"), "messages[role=user].content[0][*].text")
        );
    }

    #[test]
    fn an_invalid_path_is_an_error() {
        for (text, part) in [
            ("", "empty"),
            ("a..b", "empty"),
            ("a[", "not closed"),
            ("a]", "has no `[`"),
            ("a[x]", "a number"),
            ("a[0]b", "a dot"),
            ("a[=v]", "a number"),
        ] {
            let error = text.parse::<JsonPath>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
