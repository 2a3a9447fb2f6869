//! The rule for rows without a visible effect: it tests whether the endpoint validates the value. A
//! valid value must be accepted, and invalid values distinguish an endpoint that supports the field
//! from one that ignores it.

use std::iter;

use crate::catalog::{AcceptedMeans, ChallengeRule, CombineRule, Experiment, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::predicate::matches;
use crate::engine::rejection::{RejectionSubject, attribute_rejection};
use crate::engine::request::arms;
use crate::engine::rules::step::{
    MIN_TRIALS_IF_INCONSISTENT, RunFacts, Step, decided_verdict, describe_error, elsewhere_verdict,
    inconclusive_verdict, needed_rejections, rejected_verdict, reported_error,
};
use crate::engine::rules::trials::{
    count_outcomes, filter_trials, negative_control, server_error_step, without_passed_errors,
};
use crate::engine::rules::variants::combine_verdicts;
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};
use crate::results::reason::{FieldPresence, InvalidValues, ReasonData};
use crate::wire::message::HttpError;

/// Phrases in error texts that say that a field is unknown, and not that its value is invalid.
const UNKNOWN_FIELD_PHRASES: [&str; 14] = [
    "not supported",
    "unsupported",
    "unknown field",
    "unknown key",
    "unknown parameter",
    "unknown variant",
    "extra inputs",
    "not permitted",
    "unrecognized",
    "unexpected keyword",
    "additional properties",
    "does not match any",
    "not enabled",
    "not available",
];

/// The next step of a row that is decided by validation.
pub(super) fn next_step(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts) -> Step {
    match next_treatment_step(experiment, trials, facts) {
        Some(step) => step,
        None if experiment.only_acceptance => Step::Decided(decided_verdict(
            VerdictStatus::Accepted,
            EvidenceKind::Accepted,
            None,
            ReasonData::OnlyAccepted {},
        )),
        None => invalid_value_step(experiment, trials, facts),
    }
}

/// True if an error text says that the field is unknown, and not that its value is invalid.
pub(super) fn reports_unknown_field(text: &str) -> bool {
    let text = text.to_lowercase();
    UNKNOWN_FIELD_PHRASES.iter().any(|phrase| text.contains(phrase))
}

/// True if a trial got a message.
fn is_accepted(experiment: &Experiment, trial: &CompletedTrial) -> bool {
    count_outcomes(experiment, iter::once(trial)).response_count() > 0
}

/// The step of the treatments. `None` if all of them are accepted.
fn next_treatment_step(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts) -> Option<Step> {
    let screen = experiment.screen_arms.as_ref().and_then(|s| s.treatment.as_ref());
    if screen.is_some() {
        match trials.iter().find(|t| t.arm == ArmKind::Screen) {
            None => return Some(Step::run(ArmKind::Screen)),
            Some(trial) if is_accepted(experiment, trial) && !facts.is_inconsistent => return None,
            Some(_) => {}
        }
    }
    let names: Vec<Option<&str>> = match (&experiment.treatment, experiment.variants.is_empty()) {
        (None, true) => return None,
        (Some(_), _) => vec![None],
        (None, false) => experiment.variants.keys().map(|name| Some(name.as_str())).collect(),
    };
    let mut verdicts = Vec::new();
    for name in names {
        let all_trials: Vec<&CompletedTrial> = filter_trials(trials, ArmKind::Treatment, name).collect();
        let sent = all_trials.len() as u32;
        let arm_trials = without_passed_errors(all_trials);
        let repeat = || {
            let too_many = || Step::inconclusive(InconclusiveReason::TreatmentFailed, "too many server errors");
            let can_repeat = sent < MIN_TRIALS_IF_INCONSISTENT;
            Some(if can_repeat { Step::run_variant(name, ArmKind::Treatment) } else { too_many() })
        };
        let Some(last) = arm_trials.last() else { return repeat() };
        let last = count_outcomes(experiment, iter::once(*last));
        let all = count_outcomes(experiment, arm_trials.iter().copied());
        let server_error =
            server_error_step(experiment, trials, &all, facts, || Step::run_variant(name, ArmKind::Treatment));
        let verdict = if let Some(step) = server_error {
            step
        } else if let Some(failure) = last.failure_step(FieldPresence::With, InconclusiveReason::TreatmentFailed) {
            failure
        } else if let Some(error) = all.rejections.first() {
            let subject = attribute_rejection(experiment, trials, error);
            let is_named = subject == RejectionSubject::ThisField;
            if all.response_count() > 0 {
                Step::inconsistent(error)
            } else if let RejectionSubject::Elsewhere(what) = &subject {
                negative_control(experiment, trials, ArmKind::Negative)
                    .unwrap_or_else(|| Step::Decided(elsewhere_verdict(what, error)))
            } else if !(is_named && arms::is_negative_plain(experiment, name))
                && let Some(step) = negative_control(experiment, trials, ArmKind::Negative)
            {
                return Some(step);
            } else if (arm_trials.len() as u32) < needed_rejections(experiment, is_named, facts) {
                return repeat();
            } else {
                Step::Decided(rejected_verdict(experiment.id(), error, is_named, facts))
            }
        } else if (arm_trials.len() as u32) < facts.min_trials(experiment.id()) {
            return repeat();
        } else {
            continue;
        };
        let Step::Decided(verdict) = verdict else { return Some(verdict) };
        verdicts.push((name.unwrap_or_default(), verdict));
    }
    if verdicts.is_empty() {
        return None;
    }
    let others_accepted = verdicts.len() < experiment.variants.len().max(1);
    let names = verdicts.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let mut verdict = combine_verdicts(CombineRule::All, verdicts);
    if others_accepted {
        verdict.qualifiers.push(format!("only for variant {names}; the others are accepted"));
    }
    Some(Step::Decided(verdict))
}

/// The outcome of a request with an invalid value.
enum ChallengeOutcome<'a> {
    /// Rejected because of the value: the endpoint checks it.
    Rejected(&'a HttpError),
    /// Rejected with an error that is not about the value.
    RejectedForOtherReason(&'a HttpError),
    /// Accepted like a valid value.
    Accepted(&'a CompletedTrial),
    /// No response, or a response that is no evidence.
    Failed(String),
}

fn classify_challenge<'a>(experiment: &Experiment, index: usize, trial: &'a CompletedTrial) -> ChallengeOutcome<'a> {
    let because = &experiment.challenge[index].because;
    match trial.outcome(experiment) {
        TrialOutcome::Rejected(error) => {
            let text = error.message.to_lowercase();
            let is_about_value = because.iter().any(|phrase| text.contains(&phrase.to_lowercase()));
            if because.is_empty() || is_about_value && !reports_unknown_field(&text) {
                ChallengeOutcome::Rejected(error)
            } else {
                ChallengeOutcome::RejectedForOtherReason(error)
            }
        }
        TrialOutcome::ServerError(error) => ChallengeOutcome::Failed(describe_error(error)),
        TrialOutcome::Failed(why) | TrialOutcome::Malformed(why) => ChallengeOutcome::Failed(why),
        TrialOutcome::EffectPresent { .. }
        | TrialOutcome::EffectAbsent
        | TrialOutcome::NoSignal
        | TrialOutcome::Unusable(_) => ChallengeOutcome::Accepted(trial),
    }
}

/// The next step for the invalid values of a row. The row is supported if one of them is rejected, or
/// all of them if they test one promise.
pub(super) fn invalid_value_step(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts) -> Step {
    let screen = experiment.screen_arms.as_ref().and_then(|s| s.challenge.as_ref());
    if screen.is_some() {
        match trials.iter().find(|t| t.arm == ArmKind::ScreenChallenge) {
            None => return Step::run(ArmKind::ScreenChallenge),
            Some(trial) if is_accepted(experiment, trial) && !facts.is_inconsistent => {
                return Step::Decided(accepted_values_verdict(experiment, trials, &[(0, trial)]));
            }
            Some(_) => {}
        }
    }
    let outcomes = |index: usize| {
        let arm = ArmKind::Challenge(index as u8);
        trials.iter().filter(move |t| t.arm == arm).map(move |t| classify_challenge(experiment, index, t))
    };
    let any = |is_kind: fn(&ChallengeOutcome<'_>) -> bool| {
        (0..experiment.challenge.len()).flat_map(outcomes).any(|outcome| is_kind(&outcome))
    };
    // Invalid values can disagree because the endpoint is inconsistent, so their trials are
    // repeated.
    let disagree = any(|outcome| matches!(outcome, ChallengeOutcome::Accepted(_)))
        && any(|outcome| matches!(outcome, ChallengeOutcome::Rejected(_)));
    let facts = if disagree { &facts.with_min_trials() } else { facts };
    let needed = facts.min_trials(experiment.id()) as usize;
    let has_treatment = experiment.treatment.is_some() || !experiment.variants.is_empty();
    let mut accepted: Vec<(usize, &CompletedTrial)> = Vec::new();
    let mut rejected = None;
    let mut failed = None;
    let mut elsewhere = None;
    for index in 0..experiment.challenge.len() {
        let arm = ArmKind::Challenge(index as u8);
        let outcomes: Vec<ChallengeOutcome<'_>> = outcomes(index).collect();
        let trial_count = outcomes.len();
        let is_rejected =
            |c: &_| matches!(c, ChallengeOutcome::Rejected(_) | ChallengeOutcome::RejectedForOtherReason(_));
        if outcomes.iter().any(is_rejected) && outcomes.iter().any(|c| matches!(c, ChallengeOutcome::Accepted(_))) {
            return Step::inconclusive(InconclusiveReason::Inconsistent, ReasonData::InvalidAcceptedAndRejected {});
        }
        if trial_count < needed {
            return Step::run(arm);
        }
        for outcome in outcomes {
            match outcome {
                ChallengeOutcome::Rejected(error) | ChallengeOutcome::RejectedForOtherReason(error) => {
                    let subject = attribute_rejection(experiment, trials, error);
                    if let RejectionSubject::Elsewhere(what) = &subject {
                        if let Some(step) = negative_control(experiment, trials, ArmKind::Negative) {
                            return step;
                        }
                        elsewhere = Some(elsewhere_verdict(what, error));
                        break;
                    }
                    let is_named = subject == RejectionSubject::ThisField;
                    // An accepted treatment is a sufficient control for a rejected value.
                    if !(has_treatment || is_named && arms::is_negative_plain(experiment, None))
                        && let Some(step) = negative_control(experiment, trials, ArmKind::Negative)
                    {
                        return step;
                    }
                    if matches!(outcome, ChallengeOutcome::RejectedForOtherReason(_)) {
                        return Step::Decided(other_rejection_verdict(experiment, error, is_named, facts));
                    }
                    // A request is sent twice if the error does not name the field.
                    if trial_count < 2 && !is_named {
                        return Step::run(arm);
                    }
                    if experiment.challenges == ChallengeRule::Any {
                        return Step::Decided(rejected_value_verdict(error, &accepted));
                    }
                    rejected = Some(error);
                    break;
                }
                ChallengeOutcome::Accepted(trial) => {
                    accepted.push((index, trial));
                    break;
                }
                ChallengeOutcome::Failed(why) => failed = Some(why),
            }
        }
    }
    if let Some(why) = failed {
        return Step::inconclusive(InconclusiveReason::ChallengeFailed, ReasonData::InvalidFailed { why });
    }
    if let Some(elsewhere) = elsewhere {
        return Step::Decided(elsewhere);
    }
    Step::Decided(match rejected {
        None => accepted_values_verdict(experiment, trials, &accepted),
        Some(error) if accepted.is_empty() => rejected_value_verdict(error, &accepted),
        Some(error) => inconclusive_verdict(
            InconclusiveReason::ChallengesDisagree,
            ReasonData::InvalidDisagree { error: reported_error(error), accepted: name_challenges(&accepted) },
        ),
    })
}

/// The names of the arms with these invalid values.
fn name_challenges(challenges: &[(usize, &CompletedTrial)]) -> String {
    let names = challenges.iter().map(|(index, _)| ArmKind::Challenge(*index as u8).to_string());
    names.collect::<Vec<_>>().join(", ")
}

/// The verdict of an invalid value that is rejected because of the value.
fn rejected_value_verdict(error: &HttpError, accepted: &[(usize, &CompletedTrial)]) -> Verdict {
    let reason = ReasonData::InvalidRejected { error: reported_error(error) };
    let mut verdict = decided_verdict(VerdictStatus::Supported, EvidenceKind::Validated, None, reason);
    if !accepted.is_empty() {
        verdict.qualifiers.push(format!("another invalid value is accepted ({})", name_challenges(accepted)));
    }
    verdict
}

/// The verdict of an invalid value that is rejected with an error that is not about the value.
fn other_rejection_verdict(experiment: &Experiment, error: &HttpError, is_named: bool, facts: &RunFacts) -> Verdict {
    let text = &error.message;
    if is_named || reports_unknown_field(text) {
        return rejected_verdict(experiment.id(), error, is_named, facts);
    }
    inconclusive_verdict(
        InconclusiveReason::RejectionUnclear,
        ReasonData::RejectionUnclear { status: error.status, message: text.clone() },
    )
}

fn accepted_values_verdict(
    experiment: &Experiment,
    trials: &[CompletedTrial],
    accepted: &[(usize, &CompletedTrial)],
) -> Verdict {
    if let Some(trace) = &experiment.trace {
        let shows_trace = |t: &CompletedTrial| t.message().is_some_and(|m| matches(trace, m, &t.values));
        if !trials.iter().any(|t| t.arm == ArmKind::Treatment && shows_trace(t)) {
            return inconclusive_verdict(
                InconclusiveReason::ModelDoesNotShow,
                ReasonData::InvalidAcceptedWithoutEffect {},
            );
        }
        if !accepted.iter().any(|(_, t)| shows_trace(t)) {
            return decided_verdict(
                VerdictStatus::Supported,
                EvidenceKind::Effect,
                None,
                ReasonData::InvalidDisables {},
            );
        }
    }
    match experiment.accepted_means {
        AcceptedMeans::Ignored => {
            let reason = ReasonData::InvalidAccepted { values: InvalidValues(accepted.len().max(1) as u64) };
            decided_verdict(VerdictStatus::Ignored, EvidenceKind::Validated, None, reason)
        }
        AcceptedMeans::Inconclusive => {
            inconclusive_verdict(InconclusiveReason::BoundNotSeen, ReasonData::BoundNotSeen {})
        }
        AcceptedMeans::Substituted => {
            let model = accepted.first().and_then(|(_, t)| t.message()).and_then(|m| m.model.as_deref());
            let reason = match model {
                // A response that only repeats the requested name hides the model behind it.
                Some(model) if accepted.iter().any(|(_, t)| t.values.values().any(|v| model.contains(v.as_str()))) => {
                    ReasonData::ImpossibleValueEchoed {}
                }
                Some(model) => ReasonData::ModelSubstituted { model: model.to_owned() },
                None => ReasonData::ModelUnnamed {},
            };
            decided_verdict(VerdictStatus::Substituted, EvidenceKind::Validated, None, reason)
        }
    }
}
