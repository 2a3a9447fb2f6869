//! [`FieldSpec`]: where the field of a row is in a request, for rows that the simulator does not know by
//! name.
//!
//! Only a location and what support means. It does not say how the row is decided, so the simulator may
//! read it without knowing the experiment.

use serde::Deserialize;
use serde_json::Value;

/// A field of a request, and what a server that supports it does with it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FieldSpec {
    /// Where the field is.
    pub at: FieldLocation,
    /// What a simulated server that supports the field does. By default, the simulator supports the
    /// fields that it knows and rejects keys that it does not know.
    #[serde(default)]
    pub supported_by: Option<SupportedBehaviour>,
}

/// The locations of a field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FieldLocation {
    /// A key of the body, with dots for nested keys: `output_config.effort`.
    Body(String),
    /// A header, by name.
    Header(String),
    /// A key of each tool: `strict`.
    Tool(String),
    /// A type of content block, `audio`; or, after a dot, a key in blocks of that type:
    /// `document.context`.
    Block(String),
    /// The location of another row's field, by row id: for a second experiment on the same field.
    Row(String),
    /// The same for several rows.
    Rows(Vec<String>),
}

/// What support of a field means.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SupportedBehaviour {
    /// These values are accepted, and all others are rejected.
    Values(Vec<Value>),
    /// The model sees the texts in the field, as if they were in the system prompt.
    Read,
}

impl FieldLocation {
    /// The path, name or ids.
    pub fn paths(&self) -> &[String] {
        match self {
            Self::Body(path) | Self::Header(path) | Self::Tool(path) | Self::Block(path) | Self::Row(path) => {
                std::slice::from_ref(path)
            }
            Self::Rows(rows) => rows,
        }
    }

    /// The ids of the other rows that have the same field.
    pub fn rows(&self) -> &[String] {
        match self {
            Self::Row(_) | Self::Rows(_) => self.paths(),
            Self::Body(_) | Self::Header(_) | Self::Tool(_) | Self::Block(_) => &[],
        }
    }

    /// The id of the first other row that has the same field.
    pub fn row(&self) -> Option<&str> {
        self.rows().first().map(String::as_str)
    }
}

impl FieldSpec {
    /// The first problem that the types cannot rule out.
    pub(super) fn validation_message(&self) -> Option<&'static str> {
        let paths = self.at.paths();
        if paths.is_empty() || paths.iter().any(|path| path.split('.').any(str::is_empty)) {
            return Some("the location in `field` is empty, or has an extra dot");
        }
        let is_token = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if matches!(self.at, FieldLocation::Header(_)) && !paths.iter().all(|path| path.chars().all(is_token)) {
            return Some("the header in `field` must consist of lower-case letters, digits, `-` and `_`");
        }
        if self.at.row().is_some() && self.supported_by.is_some() {
            return Some("`field: { at: { row: … } }` cannot have `supported_by`; it belongs to the other row");
        }
        if matches!(&self.supported_by, Some(SupportedBehaviour::Values(values)) if values.is_empty()) {
            return Some("`supported_by: { values: [] }` accepts nothing. List the valid values");
        }
        None
    }
}
