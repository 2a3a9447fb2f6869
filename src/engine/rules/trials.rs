//! [`ArmCounts`]: the trials of one arm, classified and counted once for all rules. It decides no
//! row.

use std::collections::BTreeSet;

use crate::catalog::Experiment;
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::rules::bayes::EffectCounts;
use crate::engine::rules::step::{MAX_UNUSABLE_TRIALS, Step, describe_error};
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::ArmKind;
use crate::wire::message::HttpError;

/// The counted trials of one arm.
#[derive(Debug, Default)]
pub(super) struct ArmCounts<'a> {
    /// Responses with the effect and without it.
    pub counts: EffectCounts,
    /// The indices of the partial effects that responses show.
    pub partial_effects: BTreeSet<usize>,
    /// Usable responses that show neither the effect nor its opposite.
    pub no_signal: u32,
    /// Why trials are unusable.
    pub unusable: Vec<String>,
    /// Client errors.
    pub rejected: Vec<&'a HttpError>,
    /// Why the last failed trial got no response.
    pub failed: Option<String>,
    /// Why the last malformed response is not a message.
    pub malformed: Option<String>,
}

impl ArmCounts<'_> {
    /// Trials that got a message.
    pub fn response_count(&self) -> u32 {
        self.counts.trials() + self.no_signal + self.unusable.len() as u32
    }

    /// True if the arm has a trial.
    pub fn is_sent(&self) -> bool {
        self.response_count() > 0 || !self.rejected.is_empty() || self.failed.is_some() || self.malformed.is_some()
    }

    /// Adds the trials of the insisting arm. A rejection of such a request can be about what
    /// insists, so it says nothing about the field.
    pub fn add_forced(&mut self, forced: ArmCounts<'_>) {
        self.counts.shows += forced.counts.shows;
        self.counts.fails += forced.counts.fails;
        self.partial_effects.extend(forced.partial_effects);
        self.no_signal += forced.no_signal + forced.rejected.len() as u32;
        self.unusable.extend(forced.unusable);
        self.failed = self.failed.take().or(forced.failed);
        self.malformed = self.malformed.take().or(forced.malformed);
    }

    /// The end of a row whose request "with" or "without" the field failed or is not a message.
    pub fn failure_step(&self, with_or_without: &str, failed: InconclusiveReason) -> Option<Step> {
        let (code, observed) = match (&self.failed, &self.malformed) {
            (Some(why), _) => (failed, format!("the request {with_or_without} the field failed: {why}")),
            (None, Some(why)) => (
                InconclusiveReason::MalformedResponse,
                format!("the response to the request {with_or_without} the field is not a message: {why}"),
            ),
            (None, None) => return None,
        };
        Some(Step::inconclusive(code, observed))
    }

    /// For the arm without the field: the step that precedes a comparison with it. `None` if it was
    /// accepted.
    pub fn control_step(&self, send: impl FnOnce() -> Step) -> Option<Step> {
        if let Some(error) = self.rejected.first() {
            return Some(Step::inconclusive(
                InconclusiveReason::NegativeRejected,
                format!("the request without the field is rejected too ({})", describe_error(error)),
            ));
        }
        self.failure_step("without", InconclusiveReason::NegativeFailed)
            .or_else(|| (self.response_count() == 0).then(send))
    }
}

/// Counts trials by the effect of the experiment.
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
            TrialOutcome::Rejected(error) => arm.rejected.push(error),
            TrialOutcome::Failed(why) => arm.failed = Some(why),
            TrialOutcome::Malformed(why) => arm.malformed = Some(why),
        }
    }
    arm
}

/// The trials of one arm and variant.
pub(super) fn trials_of<'a>(
    trials: &'a [CompletedTrial],
    arm: ArmKind,
    variant: Option<&'a str>,
) -> impl Iterator<Item = &'a CompletedTrial> + use<'a> {
    trials.iter().filter(move |trial| trial.arm == arm && trial.variant.as_deref() == variant)
}

/// The control of a rejection: the request without the field. `None` if it was accepted. `arm` is
/// either the request that rows share, or the one that is sent afterwards for this row alone.
pub(super) fn negative_control(experiment: &Experiment, trials: &[CompletedTrial], arm: ArmKind) -> Option<Step> {
    let first = trials.iter().filter(|trial| trial.arm == arm).take(1);
    count_outcomes(experiment, first).control_step(|| Step::run(arm))
}

/// The step of an arm without enough usable responses: another trial, or the end of the row. `None`
/// if there are enough, unless most of the trials are unusable.
pub(super) fn usable_response_step(
    tried: usize,
    usable: usize,
    why: &str,
    again: impl FnOnce() -> Step,
) -> Option<Step> {
    let (unusable, limit) = (tried - usable, MAX_UNUSABLE_TRIALS as usize);
    if unusable > limit + usable || usable == 0 && unusable >= limit {
        Some(Step::inconclusive(
            InconclusiveReason::UnusableTrials,
            format!("{unusable} of {tried} responses are not usable: {why}"),
        ))
    } else {
        (usable == 0).then(again)
    }
}

/// The first arm with fewer trials than needed.
pub(super) fn missing_trial_step(arms: [(ArmKind, usize); 2], needed: usize) -> Option<Step> {
    arms.into_iter().find(|(_, count)| *count < needed).map(|(arm, _)| Step::run(arm))
}
