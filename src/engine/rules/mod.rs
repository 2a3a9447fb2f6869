//! Decides a row: the rules turn its trials into a verdict or request another trial.
//!
//! [`next_step`] is a pure function of the trials so far. The run calls it after every trial, and
//! the judge calls it for a recording, so both reach the same verdicts. The rules must not know
//! which endpoint responds.

mod as_asked;
mod aspects;
mod bayes;
pub(crate) mod comparison;
pub(crate) mod effect;
mod known_answer;
mod missing_model;
mod prediction;
pub(crate) mod response;
pub(crate) mod sampling;
mod step;
mod trials;
mod twins;
mod usage_meter;
mod validation;
mod variants;

use crate::catalog::{CombineRule, Experiment, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::rules::missing_model::name_missing_model;
pub use crate::engine::rules::prediction::predict_trials;
pub(super) use crate::engine::rules::step::{
    MAX_UNUSABLE_TRIALS, MIN_TRIALS_IF_INCONSISTENT, blocked_verdict, is_named_rejection, reported_error,
    unfinished_verdict,
};
use crate::engine::rules::step::{MIN_TRIALS_IF_DISAGREEING, inconclusive_verdict};
pub use crate::engine::rules::step::{RunFacts, Step};
use crate::engine::rules::variants::{combine_verdicts, variants_disagree};
use crate::engine::trial::CompletedTrial;
use crate::results::model::{EvidenceKind, Verdict};
use crate::results::reason::ReasonData;

/// Replaces the verdict of a variant, or of a row without variants (`None`), before the verdict of the
/// row is made of it.
pub(super) type ReviseVerdict<'a> = &'a dyn Fn(Option<&str>, Verdict) -> Verdict;

/// The next step of a row after these trials, as if no other row could be the cause of its verdict.
pub fn next_step(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts) -> Step {
    next_step_with(experiment, trials, facts, &|_, verdict| verdict)
}

/// The same with revised verdicts. Which trials the row needs does not depend on them.
///
/// A verdict that the row cannot have becomes inconclusive, because something other than the field
/// caused it.
pub(super) fn next_step_with(
    experiment: &Experiment,
    trials: &[CompletedTrial],
    facts: &RunFacts,
    revise: ReviseVerdict<'_>,
) -> Step {
    match apply_rule(experiment, trials, facts, revise) {
        Step::Run(trial) => Step::Run(trial),
        Step::Decided(verdict) => {
            let is_possible = !verdict.status.is_decided() || experiment.can_reach(verdict.status);
            let verdict = if is_possible {
                verdict
            } else {
                let observed =
                    ReasonData::ImpossibleVerdict { status: verdict.status, because: Box::new(verdict.because()) };
                inconclusive_verdict(InconclusiveReason::ImpossibleVerdict, observed)
            };
            Step::Decided(grade_verdict(experiment, verdict))
        }
    }
}

/// Replaces `supported` with the word for what was observed: a row that only validates is `validated`,
/// and a row that only tests acceptance is `accepted`. Also sets the strongest status of the verdict.
pub(super) fn grade_verdict(experiment: &Experiment, mut verdict: Verdict) -> Verdict {
    verdict.strongest = experiment.strongest_status();
    if !verdict.status.is_positive() {
        return verdict;
    }
    let is_validation = verdict.evidence == Some(EvidenceKind::Validated) && !experiment.enforces;
    if is_validation {
        // A row with an effect can be decided by validation only where no effect can be shown.
        (verdict.status, verdict.strongest) = (VerdictStatus::Validated, VerdictStatus::Validated);
    } else if verdict.strongest == VerdictStatus::Accepted {
        (verdict.status, verdict.evidence) = (VerdictStatus::Accepted, Some(EvidenceKind::Accepted));
    }
    verdict
}

fn apply_rule(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts, revise: ReviseVerdict<'_>) -> Step {
    let has_effect_or_reply = experiment.effect.is_some() || experiment.reply.is_some();
    if has_effect_or_reply && !experiment.variants.is_empty() {
        return decide_variants(experiment, trials, facts, revise);
    }
    if let Some(step) = as_asked::step(experiment, None, trials) {
        return step;
    }
    let step = if let Some(test) = &experiment.sampling {
        sampling::next_step(experiment, test, trials, facts)
    } else if let Some(comparison) = &experiment.compare {
        comparison::next_step(experiment, comparison, trials, facts)
    } else if has_effect_or_reply {
        next_variant_step(experiment, None, trials, facts)
    } else {
        validation::next_step(experiment, trials, facts)
    };
    match step {
        Step::Decided(verdict) => {
            Step::Decided(revise(None, grade_verdict(experiment, name_missing_model(experiment, verdict, facts))))
        }
        Step::Run(trial) => Step::Run(trial),
    }
}

/// The next step of one variant, or of a row without variants.
fn next_variant_step(
    experiment: &Experiment,
    variant: Option<&str>,
    trials: &[CompletedTrial],
    facts: &RunFacts,
) -> Step {
    if let Some(name) = variant
        && let Some(step) = as_asked::step(experiment, Some(name), trials)
    {
        return step;
    }
    let step = match &experiment.reply {
        Some(expected) => response::next_step(experiment, expected, variant, trials, facts),
        None => effect::next_step(experiment, variant, trials, facts),
    };
    match step {
        Step::Run(trial) => Step::Run(trial),
        Step::Decided(verdict) => {
            Step::Decided(grade_verdict(experiment, name_missing_model(experiment, verdict, facts)))
        }
    }
}

fn decide_variants(
    experiment: &Experiment,
    trials: &[CompletedTrial],
    facts: &RunFacts,
    revise: ReviseVerdict<'_>,
) -> Step {
    let mut verdicts = Vec::new();
    let mut names = experiment.variants.keys();
    for name in names.by_ref() {
        match next_variant_step(experiment, Some(name), trials, facts) {
            Step::Run(trial) => return Step::Run(trial),
            Step::Decided(verdict) => {
                let is_settled = settles_row(experiment, &verdict);
                verdicts.push((name.as_str(), verdict));
                if is_settled {
                    break;
                }
            }
        }
    }
    // Variants can disagree because the endpoint is inconsistent, so their trials are repeated.
    if variants_disagree(&combine_verdicts(experiment.combine, verdicts.clone()))
        && facts.min_trials < MIN_TRIALS_IF_DISAGREEING
    {
        return decide_variants(experiment, trials, &facts.with_min_trials(), revise);
    }
    let unsent: Vec<&str> = names.map(String::as_str).collect();
    let revised = verdicts.into_iter().map(|(name, verdict)| (name, revise(Some(name), verdict))).collect();
    let mut verdict = combine_verdicts(experiment.combine, revised);
    if verdict.status == VerdictStatus::Rejected && !unsent.is_empty() {
        verdict.qualifiers.push(format!("other variants not tried: {}", unsent.join(", ")));
    }
    Step::Decided(verdict)
}

/// True if the step is a verdict that the endpoint is inconsistent.
pub fn is_inconsistent(step: &Step) -> bool {
    matches!(step, Step::Decided(verdict) if verdict.code.as_deref() == Some(InconclusiveReason::Inconsistent.as_str()))
}

/// True if a required variant is rejected, or if one sufficient variant is supported. The other
/// variants then cannot change the verdict of the row.
fn settles_row(experiment: &Experiment, verdict: &Verdict) -> bool {
    match (experiment.combine, verdict.status) {
        (CombineRule::All, VerdictStatus::Rejected) => true,
        (CombineRule::Any, status) if status.is_positive() => true,
        _ => false,
    }
}
