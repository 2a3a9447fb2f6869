//! [`UnfollowedInstructions`]: the instructions of the start of a run, if the endpoint followed none.

use serde::{Deserialize, Serialize};

use crate::string_enum::string_enum;

/// Instructions with random answers that the endpoint did not follow. Rows whose effect only a model
/// can show are then inconclusive (`needs-a-model`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnfollowedInstructions {
    /// What the endpoint does instead.
    pub kind: UnfollowedKind,
    /// The number of instructions with a usable response.
    pub asked: u64,
}

string_enum! {
    /// What an endpoint does that follows no instruction.
    pub enum UnfollowedKind {
        /// It returns at most two different texts.
        Canned = "canned",
        /// It returns the prompt.
        Echo = "echo",
        /// It returns different texts.
        Varied = "varied",
    }
}
