//! [`VerdictCause`]: the one defect or circumstance behind several verdicts.
//!
//! Reports list a cause once, with its rows. Equal defects have equal ids in every run. This module must
//! not know how verdicts are reached.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why several rows have no positive verdict. In files, it is a word, or `row:` and the id of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum VerdictCause {
    /// The field of this row does not work.
    Row(String),
    /// The endpoint checks no credential.
    Credentials,
    /// The endpoint rejects no invalid request.
    Validation,
    /// The model does not do what the experiments ask.
    Model,
    /// The endpoint treats equal requests differently.
    Inconsistency,
    /// The run ended too early.
    RunEnd,
    /// The gateway does not pass on the plain response.
    PlainResponse,
    /// The gateway rejects the client: its credential or its rate.
    ClientRejection,
}

/// The causes that have a word.
const CAUSE_WORDS: [(VerdictCause, &str); 7] = [
    (VerdictCause::Credentials, "credentials"),
    (VerdictCause::Validation, "validation"),
    (VerdictCause::Model, "model"),
    (VerdictCause::Inconsistency, "inconsistency"),
    (VerdictCause::RunEnd, "run-end"),
    (VerdictCause::PlainResponse, "plain-response"),
    (VerdictCause::ClientRejection, "client-rejection"),
];

/// Begins the id of a cause that is a row.
const ROW_PREFIX: &str = "row:";

impl VerdictCause {
    /// The row that is the cause.
    pub fn row(&self) -> Option<&str> {
        match self {
            Self::Row(row) => Some(row),
            Self::Credentials
            | Self::Validation
            | Self::Model
            | Self::Inconsistency
            | Self::RunEnd
            | Self::PlainResponse
            | Self::ClientRejection => None,
        }
    }
}

impl fmt::Display for VerdictCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => write!(f, "{ROW_PREFIX}{row}"),
            None => f.write_str(CAUSE_WORDS.iter().find(|(cause, _)| cause == self).map_or("", |(_, word)| word)),
        }
    }
}

impl From<VerdictCause> for String {
    fn from(cause: VerdictCause) -> Self {
        cause.to_string()
    }
}

impl TryFrom<String> for VerdictCause {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if let Some(row) = text.strip_prefix(ROW_PREFIX) {
            return Ok(Self::Row(row.to_owned()));
        }
        let known = CAUSE_WORDS.into_iter().find(|(_, word)| *word == text);
        known.map(|(cause, _)| cause).ok_or_else(|| format!("`{text}` is no cause"))
    }
}

#[cfg(test)]
impl schemars::JsonSchema for VerdictCause {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "VerdictCause".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words: Vec<&str> = CAUSE_WORDS.iter().map(|(_, word)| *word).collect();
        schemars::json_schema!({
            "description": "Why several rows have no positive verdict: a word, or `row:` and the id of a row.",
            "type": "string",
            "pattern": format!("^({}|{ROW_PREFIX}[\\s\\S]*)$", words.join("|")),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_word_is_read_back_and_unknown_words_are_rejected() {
        for (cause, word) in CAUSE_WORDS {
            assert_eq!(cause.to_string(), word);
            assert_eq!(VerdictCause::try_from(word.to_owned()), Ok(cause));
        }
        assert_eq!(VerdictCause::try_from("weather".to_owned()), Err("`weather` is no cause".to_owned()));
    }

    proptest! {
        #[test]
        fn rows_are_read_back(row in "\\PC{0,40}") {
            let cause = VerdictCause::Row(row);
            let json = serde_json::to_string(&cause).expect("a text");
            prop_assert_eq!(serde_json::from_str::<VerdictCause>(&json).expect("it was just written"), cause);
        }
    }
}
