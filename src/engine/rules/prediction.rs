//! [`predict_trials`]: the trials that a row probably needs, if each arm repeats its latest outcome.
//!
//! A run with `--eager` sends their requests early. A prediction decides nothing: a trial counts
//! only after the rules have asked for it. This module must not send.

use crate::catalog::Experiment;
use crate::engine::rules::next_step;
use crate::engine::rules::step::{RunFacts, Step, TrialSpec};
use crate::engine::trial::CompletedTrial;
use crate::recording::run::{ArmKind, TrialKey};

/// Maximum trials of one prediction.
const MAX_PREDICTED_TRIALS: usize = 32;

/// A trial that a row probably needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredictedTrial {
    /// Its arm and variant.
    pub spec: TrialSpec,
    /// Its number within the arm, from 1.
    pub number: u32,
}

impl PredictedTrial {
    /// Its name in the recording.
    pub fn key(self, experiment: &Experiment) -> TrialKey {
        let TrialSpec { variant, arm } = self.spec;
        TrialKey { row: experiment.id().to_owned(), variant, arm, trial: self.number }
    }
}

/// The trials that the row probably needs after these, first to last. The first is the next step of
/// the row, which is certain. The last may be the first trial of its arm, whose outcome is unknown.
pub fn predict_trials(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts) -> Vec<PredictedTrial> {
    let mut assumed = trials.to_vec();
    let mut predicted = Vec::new();
    while predicted.len() < MAX_PREDICTED_TRIALS {
        let Step::Run(spec) = next_step(experiment, &assumed, facts) else { break };
        let is_same_arm = |trial: &&CompletedTrial| trial.arm == spec.arm && trial.variant == spec.variant;
        let number = assumed.iter().filter(is_same_arm).count() as u32 + 1;
        let like =
            assumed.iter().rfind(is_same_arm).or_else(|| assumed.iter().rfind(|trial| is_alike(trial.arm, spec.arm)));
        let like = like.map(|like| CompletedTrial { arm: spec.arm, variant: spec.variant.clone(), ..like.clone() });
        predicted.push(PredictedTrial { spec, number });
        let Some(like) = like else { break };
        assumed.push(like);
    }
    predicted
}

/// True if the trials of two arms probably have the same outcome: the same arm of another variant,
/// or another invalid value.
fn is_alike(one: ArmKind, other: ArmKind) -> bool {
    one == other || matches!((one, other), (ArmKind::Challenge(_), ArmKind::Challenge(_)))
}
