//! [`read_signal`]: what one trial shows, for the list of trials in results. It must not decide rows.

use crate::catalog::Experiment;
use crate::engine::rules::reported_error;
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::results::model::TrialSignal;
use crate::results::reason::ReasonData;

/// What a trial shows, and why if it shows nothing.
pub(super) fn read_signal(trial: &CompletedTrial, experiment: &Experiment) -> (TrialSignal, Option<ReasonData>) {
    let because = match trial.outcome(experiment) {
        TrialOutcome::EffectPresent { .. } => return (TrialSignal::Effect, None),
        TrialOutcome::EffectAbsent => return (TrialSignal::NoEffect, None),
        TrialOutcome::NoSignal if experiment.effect.is_none() => return (TrialSignal::Response, None),
        TrialOutcome::Rejected(_) => return (TrialSignal::Rejected, None),
        TrialOutcome::NoSignal => ReasonData::ShowsNothing {},
        TrialOutcome::Unusable(why) => ReasonData::ResponseUnusable { why },
        TrialOutcome::ServerError(error) => ReasonData::ServerFailed { error: reported_error(error) },
        TrialOutcome::Failed(why) => ReasonData::TrialFailed { why },
        TrialOutcome::Malformed(why) => ReasonData::ResponseMalformed { why },
    };
    (TrialSignal::Void, Some(because))
}
