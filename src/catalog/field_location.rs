//! Where a row's field stands in a request, for rows that the simulator does not know by name.
//!
//! Only a place and what honouring it comes to: nothing here says how the row is decided, so the simulator may be
//! told it without knowing the experiment.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// A field of a request, and what a server that honours it does with it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldSpec {
    /// Where it stands.
    pub at: FieldLocation,
    /// What a simulated server that honours it does. Unless written, the field is left to the reference server, which
    /// honours what it knows and refuses keys that it does not.
    #[serde(default)]
    pub supported_by: Option<SupportedBehaviour>,
}

/// The places where a field can stand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldLocation {
    /// A key of the body, dotted where it lies deeper: `output_config.effort`.
    Body(String),
    /// A header, by its name.
    Header(String),
    /// A key of each tool: `strict`.
    Tool(String),
    /// A kind of content block, `audio`; or, behind a dot, a key in blocks of that kind: `document.context`.
    Block(String),
    /// Where the field of another row stands, whose id this is: for a second experiment on the same field.
    Row(String),
}

/// What honouring a field comes to.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SupportedBehaviour {
    /// These values are accepted, and any other is refused.
    Values(Vec<Value>),
    /// The model reads the texts in it, as if they stood in the system prompt.
    Read,
}

impl FieldLocation {
    /// The path or the id, whatever it begins in.
    pub fn path(&self) -> &str {
        let (Self::Body(path) | Self::Header(path) | Self::Tool(path) | Self::Block(path) | Self::Row(path)) = self;
        path
    }

    /// The other row whose field it is.
    pub fn row(&self) -> Option<&str> {
        match self {
            Self::Row(row) => Some(row),
            Self::Body(_) | Self::Header(_) | Self::Tool(_) | Self::Block(_) => None,
        }
    }
}

impl FieldSpec {
    /// What is wrong with it that its types cannot forbid.
    pub(super) fn validation_message(&self) -> Option<&'static str> {
        let path = self.at.path();
        if path.split('.').any(str::is_empty) {
            return Some("the place of its `field` is empty, or has a dot too many");
        }
        let is_token = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if matches!(self.at, FieldLocation::Header(_)) && !path.chars().all(is_token) {
            return Some("the header of its `field` is written in lower-case letters, digits, `-` and `_`");
        }
        if matches!(self.at, FieldLocation::Row(_)) && self.supported_by.is_some() {
            return Some("what honouring the field of another row comes to is said there: no `honoured` beside it");
        }
        if matches!(&self.supported_by, Some(SupportedBehaviour::Values(values)) if values.is_empty()) {
            return Some("`honoured: { values: [] }` accepts nothing: write the values that are valid");
        }
        None
    }
}
