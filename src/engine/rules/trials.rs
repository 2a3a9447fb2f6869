//! [`ArmCounts`]: the trials of one arm, classified and counted once for all rules.

use std::collections::BTreeSet;

use crate::catalog::{Experiment, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::rules::bayes::EffectCounts;
use crate::engine::rules::step::{
    MAX_UNUSABLE_TRIALS, MIN_SERVER_ERRORS, MIN_SERVER_ERRORS_IF_PASSING, RunFacts, Step, decided_verdict,
    describe_error, reported_error,
};
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::ArmKind;
use crate::results::model::EvidenceKind;
use crate::results::reason::{FieldPresence, ReasonData};
use crate::wire::message::HttpError;

/// The counted trials of one arm.
#[derive(Debug, Default)]
pub(super) struct ArmCounts<'a> {
    /// Responses with the effect and without it.
    pub effect_counts: EffectCounts,
    /// The indices of the partial effects that responses show.
    pub partial_effects: BTreeSet<usize>,
    /// Usable responses that show neither the effect nor its opposite.
    pub no_signal: u32,
    /// Why trials are unusable.
    pub unusable: Vec<String>,
    /// Client errors.
    pub rejections: Vec<&'a HttpError>,
    /// Server errors.
    pub server_errors: Vec<&'a HttpError>,
    /// Why the last failed trial got no response.
    pub last_failure: Option<String>,
    /// Why the last malformed response is not a message.
    pub malformed: Option<String>,
}

impl ArmCounts<'_> {
    /// Trials that got a message.
    pub fn response_count(&self) -> u32 {
        self.effect_counts.trials() + self.no_signal + self.unusable.len() as u32
    }

    /// True if the arm has a trial.
    pub fn is_sent(&self) -> bool {
        self.response_count() > 0
            || !self.rejections.is_empty()
            || !self.server_errors.is_empty()
            || self.last_failure.is_some()
            || self.malformed.is_some()
    }

    /// Adds the trials of the `Insist` arm. A rejection of such a request says nothing about the
    /// field, because the insisting part of the request may have caused it.
    pub fn add_insist_arm(&mut self, insisting: ArmCounts<'_>) {
        self.effect_counts.shows += insisting.effect_counts.shows;
        self.effect_counts.fails += insisting.effect_counts.fails;
        self.partial_effects.extend(insisting.partial_effects);
        self.no_signal += insisting.no_signal + insisting.rejections.len() as u32;
        self.unusable.extend(insisting.unusable);
        self.last_failure = self.last_failure.take().or(insisting.last_failure);
        self.malformed = self.malformed.take().or(insisting.malformed);
    }

    /// The inconclusive verdict if the last request with or without the field failed or did not get
    /// a message. `None` if no request failed. `field` is part of the reason.
    pub fn failure_step(&self, field: FieldPresence, failed: InconclusiveReason) -> Option<Step> {
        // A server error that another request of the arm did not get has passed.
        let is_answered = self.response_count() > 0 || !self.rejections.is_empty();
        let server_error = self.server_errors.last().filter(|_| !is_answered).map(|error| describe_error(error));
        let (code, observed) = match (self.last_failure.as_ref().or(server_error.as_ref()), &self.malformed) {
            (Some(why), _) => (failed, ReasonData::RequestFailed { field, why: why.clone() }),
            (None, Some(why)) => {
                (InconclusiveReason::MalformedResponse, ReasonData::NotAMessage { field, why: why.clone() })
            }
            (None, None) => return None,
        };
        Some(Step::inconclusive(code, observed))
    }

    /// The step that must precede a comparison with this arm, the negative control. `send_control`
    /// is its first trial. `None` if the control was accepted.
    pub fn control_step(&self, send_control: impl FnOnce() -> Step) -> Option<Step> {
        if let Some(error) = self.rejections.first() {
            return Some(Step::inconclusive(
                InconclusiveReason::NegativeRejected,
                ReasonData::ControlRejected { error: reported_error(error) },
            ));
        }
        self.failure_step(FieldPresence::Without, InconclusiveReason::NegativeFailed)
            .or_else(|| (self.response_count() == 0).then(send_control))
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
                arm.effect_counts.shows += 1;
                arm.partial_effects.extend(partial);
            }
            TrialOutcome::EffectAbsent => arm.effect_counts.fails += 1,
            TrialOutcome::NoSignal => arm.no_signal += 1,
            TrialOutcome::Unusable(why) => arm.unusable.push(why),
            TrialOutcome::Rejected(error) => arm.rejections.push(error),
            TrialOutcome::ServerError(error) => arm.server_errors.push(error),
            TrialOutcome::Failed(why) => arm.last_failure = Some(why),
            TrialOutcome::Malformed(why) => arm.malformed = Some(why),
        }
    }
    arm
}

/// The trials of one arm and variant.
pub(super) fn filter_trials<'a>(
    trials: &'a [CompletedTrial],
    arm: ArmKind,
    variant: Option<&'a str>,
) -> impl Iterator<Item = &'a CompletedTrial> + use<'a> {
    trials.iter().filter(move |trial| trial.arm == arm && trial.variant.as_deref() == variant)
}

/// The step of the negative control of a rejection. `None` if the request without the field was
/// accepted. `arm` is `Negative`, whose requests rows can share, or `After`, which is sent after
/// the rejection for this row alone.
pub(super) fn negative_control(experiment: &Experiment, trials: &[CompletedTrial], arm: ArmKind) -> Option<Step> {
    let first = trials.iter().find(|trial| trial.arm == arm);
    // A token count is not a message, and the request was accepted all the same.
    let is_counted = |trial: &CompletedTrial| {
        trial.last_response.as_ref().is_some_and(|response| response.json["input_tokens"].is_u64())
    };
    if first.is_some_and(is_counted) {
        return None;
    }
    count_outcomes(experiment, first.into_iter()).control_step(|| Step::run(arm))
}

/// The trials of an arm without server errors that have passed: another trial got a response.
pub(super) fn without_passed_errors(mut trials: Vec<&CompletedTrial>) -> Vec<&CompletedTrial> {
    if trials.iter().any(|trial| !trial.is_server_error()) {
        trials.retain(|trial| !trial.is_server_error());
    }
    trials
}

/// The step of an arm whose requests all cause the same server error. `None` if another response
/// shows that the error passes, or that something else fails.
///
/// The request without the field is sent between the first and the last error. So the errors are
/// caused by the field, and not by a server that is down for a moment.
pub(super) fn server_error_step(
    experiment: &Experiment,
    trials: &[CompletedTrial],
    arm: &ArmCounts<'_>,
    facts: &RunFacts,
    repeat_trial: impl FnOnce() -> Step,
) -> Option<Step> {
    let first = arm.server_errors.first()?;
    let is_steady = arm.response_count() == 0
        && arm.rejections.is_empty()
        && arm.last_failure.is_none()
        && arm.malformed.is_none()
        && arm.server_errors.iter().all(|error| error.is_same(first));
    if !is_steady {
        return None;
    }
    if let Some(step) = negative_control(experiment, trials, ArmKind::After) {
        return Some(step);
    }
    let sends: u32 = arm.server_errors.iter().map(|error| error.sends).sum();
    let needed = if facts.server_errors_pass { MIN_SERVER_ERRORS_IF_PASSING } else { MIN_SERVER_ERRORS };
    if arm.server_errors.len() < 2 || sends < needed {
        return Some(repeat_trial());
    }
    let reason = ReasonData::ServerErrorEachTime { requests: sends.into(), error: reported_error(first) };
    Some(Step::Decided(decided_verdict(VerdictStatus::Rejected, EvidenceKind::ServerError, None, reason)))
}

/// The step of an arm without enough usable responses: inconclusive if it has too many unusable
/// ones, `repeat_trial` if it has no usable one. Otherwise `None`.
pub(super) fn usable_response_step(
    total: usize,
    usable: usize,
    why: &str,
    facts: &RunFacts,
    repeat_trial: impl FnOnce() -> Step,
) -> Option<Step> {
    // Without a model, another response is not usable either.
    let limit = if facts.lacks_model() { 1 } else { MAX_UNUSABLE_TRIALS as usize };
    let unusable = total - usable;
    if unusable > limit + usable || usable == 0 && unusable >= limit {
        Some(Step::inconclusive(
            InconclusiveReason::UnusableTrials,
            ReasonData::ResponsesUnusable { unusable: unusable as u64, total: total as u64, why: why.to_owned() },
        ))
    } else {
        (usable == 0).then(repeat_trial)
    }
}

/// A trial of the first arm that has fewer trials than needed.
pub(super) fn missing_trial_step(arms: [(ArmKind, usize); 2], needed: usize) -> Option<Step> {
    arms.into_iter().find(|(_, count)| *count < needed).map(|(arm, _)| Step::run(arm))
}
