//! [`ArmResult`]: the trials of one arm of an experiment, and what its requests add to a plain one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::results::reason::ReasonData;
use crate::string_enum::string_enum;

/// One arm of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ArmResult {
    /// `negative`, `treatment`, `positive`, `challenge`, …, with the name of the variant if there are several.
    pub name: String,
    /// The variant of the row; absent if the arm belongs to all variants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
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
    /// What the first request of the arm has in addition to the plain request of the run, by place: a JSON
    /// pointer into the body, `header NAME`, `credential`, `method`, `path`, or `body` for a body that is not
    /// JSON. The value is a JSON text with the names of random values in braces. It is `null` for a part that
    /// only the plain request has. A long text is cut and ends with `…`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub adds: BTreeMap<String, String>,
    /// What each trial shows, in the order of `exchanges`. Absent if all trials show the same, each has one
    /// exchange and none is void: the counts then say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<TrialResult>,
}

/// What one trial shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TrialResult {
    /// What the responses show.
    pub shows: TrialSignal,
    /// The number of exchanges of the trial.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub exchanges: u64,
    /// Why the trial is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<ReasonData>,
}

string_enum! {
    /// What a trial shows.
    pub enum TrialSignal {
        /// The effect of the field.
        Effect = "effect",
        /// A usable response without the effect.
        NoEffect = "no_effect",
        /// A response, in rows that look for no effect and in controls of a gateway.
        Response = "response",
        /// A client error.
        Rejected = "rejected",
        /// Nothing: an empty response, a refusal by the model, a failed request.
        Void = "void",
    }
}

impl ArmResult {
    /// An arm without trials.
    pub fn new(name: String, variant: Option<String>) -> Self {
        Self { name, variant, ..Self::default() }
    }

    /// Removes the list of trials if the counts say the same.
    pub fn without_uniform_results(mut self) -> Self {
        let is_simple = |trial: &TrialResult| trial.exchanges == 1 && trial.shows != TrialSignal::Void;
        if self.results.iter().all(is_simple) && self.results.windows(2).all(|pair| pair[0].shows == pair[1].shows) {
            self.results.clear();
        }
        self
    }

    /// Adds a trial with its exchanges.
    pub fn add_trial(&mut self, shows: TrialSignal, because: Option<ReasonData>, exchanges: &[String]) {
        match shows {
            TrialSignal::Effect => self.effects += 1,
            TrialSignal::Rejected => self.refused += 1,
            TrialSignal::NoEffect | TrialSignal::Response | TrialSignal::Void => {}
        }
        if shows == TrialSignal::Void {
            self.void += 1;
        } else {
            self.trials += 1;
        }
        self.exchanges.extend(exchanges.iter().cloned());
        self.results.push(TrialResult { shows, exchanges: exchanges.len() as u64, because });
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_one(n: &u64) -> bool {
    *n == 1
}

fn one() -> u64 {
    1
}
