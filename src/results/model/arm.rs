//! [`ArmResult`]: the trials of one arm of an experiment.

use serde::{Deserialize, Serialize};

/// One arm of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ArmResult {
    /// `negative`, `treatment`, `positive`, `challenge`, …, with the name of the variant if there are several.
    pub name: String,
    /// Trials with a usable response.
    pub trials: u64,
    /// Trials that show the effect.
    pub effects: u64,
    /// Trials that were rejected with a client error.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Trials without a usable response: an empty response, a refusal by the model, a failed request.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub void: u64,
    /// The ids of the exchanges in the recording.
    pub exchanges: Vec<String>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}
