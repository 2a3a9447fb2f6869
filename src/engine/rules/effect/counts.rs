//! One arm of an experiment, summed up over its trials. Counts; decides nothing.

use std::collections::BTreeSet;

use crate::catalog::Experiment;
use crate::engine::rules::bayes::EffectCounts;
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::wire::message::HttpError;

/// One arm, summed up.
#[derive(Debug, Default)]
pub(super) struct ArmCounts<'a> {
    /// Answers with the effect, and without it.
    pub counts: EffectCounts,
    /// In which of the ways that the experiment knows it was honoured otherwise than the reference has it.
    pub partial_effects: BTreeSet<usize>,
    /// Sound answers that say nothing.
    pub no_signal: u32,
    /// Why trials are void.
    pub unusable: Vec<String>,
    /// Client errors.
    pub rejected: Vec<&'a HttpError>,
    /// The last trial without an answer.
    pub failed: Option<String>,
    /// The last answer that is no message.
    pub malformed: Option<String>,
}

impl ArmCounts<'_> {
    /// Trials that brought a sound answer.
    pub fn response_count(&self) -> u32 {
        self.counts.trials() + self.no_signal + self.unusable.len() as u32
    }

    /// True once a trial was sent, whatever came of it.
    pub fn is_sent(&self) -> bool {
        self.response_count() > 0 || !self.rejected.is_empty() || self.failed.is_some() || self.malformed.is_some()
    }

    /// Adds what was seen under pressure. A refusal of the pressed form may be about what presses it: it says nothing
    /// about the field.
    pub fn add_forced(&mut self, pressed: ArmCounts<'_>) {
        self.counts.shows += pressed.counts.shows;
        self.counts.fails += pressed.counts.fails;
        self.partial_effects.extend(pressed.partial_effects);
        self.no_signal += pressed.no_signal + pressed.rejected.len() as u32;
        self.unusable.extend(pressed.unusable);
        self.failed = self.failed.take().or(pressed.failed);
        self.malformed = self.malformed.take().or(pressed.malformed);
    }
}

/// Sums trials up, by the experiment's effect.
pub(super) fn count_outcomes<'a>(
    experiment: &Experiment,
    trials: impl Iterator<Item = &'a CompletedTrial>,
) -> ArmCounts<'a> {
    let mut arm = ArmCounts::default();
    for trial in trials {
        match trial.outcome(experiment) {
            TrialOutcome::EffectPresent { partial } => {
                arm.counts.shows += 1;
                arm.partial_effects.extend(partial);
            }
            TrialOutcome::EffectAbsent => arm.counts.fails += 1,
            TrialOutcome::NoSignal => arm.no_signal += 1,
            TrialOutcome::Unusable(why) => arm.unusable.push(why),
            TrialOutcome::Rejected(refusal) => arm.rejected.push(refusal),
            TrialOutcome::Failed(why) => arm.failed = Some(why),
            TrialOutcome::Malformed(why) => arm.malformed = Some(why),
        }
    }
    arm
}
