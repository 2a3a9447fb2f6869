//! The YAML library's errors in words for authors of case files: what was expected, and what to do.
//!
//! The library speaks to programmers of its own settings. Kinds that its author and ours describe alike keep its words.

use std::borrow::Cow;

use serde_yaml::budget::BudgetBreach;
use serde_yaml::{Error, MessageFormatter as _, UserMessageFormatter};

const SECOND_DOCUMENT_MESSAGE: &str = "a second document begins (`---`): expected one in a file";
const TOO_DEEP_MESSAGE: &str = "too deep: no case file needs so many levels, one within another";

/// What is wrong, in a line without the place.
pub(super) fn explain(error: &Error) -> String {
    let said: Cow<'_, str> = match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => return explain(error),
        Error::Eof { .. } => "nothing is there: the file ends where a value is expected".into(),
        Error::Unexpected { expected, .. } => format!("expected {}", describe_node(expected)).into(),
        Error::MultipleDocuments { .. } => SECOND_DOCUMENT_MESSAGE.into(),
        Error::UnknownAnchor { .. } => "the `*` refers to an anchor (`&`) that does not stand above it".into(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "the `*` refers to something that it is a part of".into(),
        Error::InvalidScalar { ty, .. } => format!("expected {}", describe_scalar(ty)).into(),
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
        Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => SECOND_DOCUMENT_MESSAGE.into(),
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => TOO_DEEP_MESSAGE.into(),
        // What the scanner below the parser finds has no kind of its own.
        Error::Message { msg, .. } | Error::ExternalMessage { msg, .. } if msg.contains("recursion limit") => {
            TOO_DEEP_MESSAGE.into()
        }
        Error::Message { msg, .. } | Error::ExternalMessage { msg, .. } if msg.contains("multiline quoted") => {
            format!("{msg}: is a quote above left open?").into()
        }
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "too much: more values than any case file needs (a `*` counts as all that it repeats)".into()
        }
        other => UserMessageFormatter.format_message(other),
    };
    // The author's own text may stand in it.
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The library's name for a kind of node, in the words of a YAML author.
fn describe_node(name: &str) -> &str {
    match name {
        "string scalar" => "a text",
        "scalar" => "a single value",
        "sequence start" => "a list",
        "mapping start" => "keys with values",
        other => other,
    }
}

/// A Rust type in the words of a YAML author.
fn describe_scalar(name: &str) -> String {
    match name {
        "u8" | "u16" | "u32" | "u64" => "a whole number, not below 0 and not too large".to_owned(),
        "floating point" => "a number".to_owned(),
        "boolean" => "true or false".to_owned(),
        other => format!("a value of type {other}"),
    }
}
