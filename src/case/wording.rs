//! The YAML library's errors in words for authors of case files: what was expected, and what to do.
//!
//! The library speaks to programmers of its own settings. Kinds that its author and ours describe alike keep its words.

use std::borrow::Cow;

use serde_yaml::budget::BudgetBreach;
use serde_yaml::{Error, MessageFormatter as _, UserMessageFormatter};

/// What is wrong, in a line without the place.
pub(super) fn message(error: &Error) -> String {
    let said: Cow<'_, str> = match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => return message(error),
        Error::Eof { .. } => "the file, or something in it, ends where a value is expected".into(),
        Error::Unexpected { expected, .. } => format!("expected {}", node(expected)).into(),
        Error::MultipleDocuments { .. } => "a second document begins (`---`): expected one in a file".into(),
        Error::UnknownAnchor { .. } => "the `*` refers to an anchor (`&`) that does not stand above it".into(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "the `*` refers to something that it is a part of".into(),
        Error::InvalidScalar { ty, .. } => format!("expected a value of type {ty}").into(),
        Error::NullIntoString { .. } => "expected a text, and nothing is there".into(),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` stands here twice").into(),
        Error::DuplicateMappingKey { key: None, .. } => "a key stands here twice".into(),
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("unknown key `{field}`, expected one of {}", expected.join(", ")).into()
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("unknown value `{variant}`, expected one of {}", expected.join(", ")).into()
        }
        Error::SerdeMissingField { field, .. } => format!("the key `{field}` is missing").into(),
        Error::ExternallyTaggedEnumExpectedScalarOrMapping { .. } => "expected a word, or one key with a value".into(),
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            "too deep: no case file needs so many levels, one within another".into()
        }
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "too much: with what its `*` repeat, the file holds more than any case file needs".into()
        }
        other => UserMessageFormatter.format_message(other),
    };
    // The author's own text may stand in it.
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The library's name for a kind of node, in the words of a YAML author.
fn node(name: &str) -> &str {
    match name {
        "string scalar" => "a text",
        "scalar" => "a single value",
        "sequence start" => "a list",
        "mapping start" => "keys with values",
        other => other,
    }
}
