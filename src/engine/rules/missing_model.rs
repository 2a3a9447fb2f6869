//! The reason of rows that are open because the endpoint follows no instruction.

use crate::catalog::{Experiment, MessagePredicate};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::rules::step::{RunFacts, Step};
use crate::results::model::Verdict;

/// Gives all rows that are open because there is no model the same reason.
pub(super) fn name_missing_model(experiment: &Experiment, verdict: Verdict, facts: &RunFacts) -> Verdict {
    use InconclusiveReason as Reason;
    let caused = [
        Reason::ModelDoesNotShow,
        Reason::DoesNotDiscriminate,
        Reason::NoVariation,
        Reason::TrialLimit,
        Reason::UnusableTrials,
        Reason::ValidatedWithoutEffect,
    ];
    let is_caused = |code: &str| caused.iter().any(|reason| reason.as_str() == code);
    let needs_model = facts.lacks_model() && !reads_cache(experiment) && verdict.code.as_deref().is_some_and(is_caused);
    match Step::needs_model(facts) {
        Step::Decided(named) if needs_model => named,
        Step::Decided(_) | Step::Run(_) => verdict,
    }
}

/// True if the effect of a row is in the counters of cached tokens, which need no model.
pub(super) fn reads_cache(experiment: &Experiment) -> bool {
    let counters = |predicate: &MessagePredicate| predicate.usage.keys().any(|counter| counter.contains("cache"));
    experiment.effect.as_ref().is_some_and(|effect| counters(effect) || effect.any.iter().any(counters))
}
