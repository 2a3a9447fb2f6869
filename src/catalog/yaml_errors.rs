//! Errors of the YAML library, rewritten for authors of case files: what was expected, and what to do.
//!
//! The library addresses programmers and names its own settings. Errors that are clear anyway keep their
//! text.

use std::borrow::Cow;

use serde_yaml::budget::BudgetBreach;
use serde_yaml::{Error, MessageFormatter as _, UserMessageFormatter};

const SECOND_DOCUMENT_MESSAGE: &str = "a second document begins (`---`); a file must contain one";
const TOO_DEEP_MESSAGE: &str = "nested too deeply for a case file";

/// The problem in one line, without the location.
pub(super) fn explain(error: &Error) -> String {
    let said: Cow<'_, str> = match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => return explain(error),
        Error::Eof { .. } => "the file is empty, or ends where a value is expected".into(),
        Error::Unexpected { expected, .. } => format!("expected {}", describe_node(expected)).into(),
        Error::MultipleDocuments { .. } => SECOND_DOCUMENT_MESSAGE.into(),
        Error::UnknownAnchor { .. } => "the alias (`*`) has no anchor (`&`) above it".into(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "the alias (`*`) is part of its own anchor".into(),
        Error::InvalidScalar { ty, .. } => format!("expected {}", describe_scalar(ty)).into(),
        Error::NullIntoString { .. } => "expected a text, but the value is empty".into(),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("duplicate key `{key}`").into(),
        Error::DuplicateMappingKey { key: None, .. } => "duplicate key".into(),
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
        // Errors of the scanner have no variant of their own.
        Error::Message { msg, .. } | Error::ExternalMessage { msg, .. } if msg.contains("recursion limit") => {
            TOO_DEEP_MESSAGE.into()
        }
        Error::Message { msg, .. } | Error::ExternalMessage { msg, .. } if msg.contains("multiline quoted") => {
            format!("{msg}. Check that every quote above is closed").into()
        }
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "too many values for a case file (an alias counts as the values that it repeats)".into()
        }
        other => UserMessageFormatter.format_message(other),
    };
    // The message may quote the file.
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The library's name of a node type, in the words of a YAML author.
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
