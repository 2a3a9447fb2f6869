//! Requests that bring no message: what a refusal proves, and of whom.

use crate::catalog::VerdictStatus;
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::predicate::matches;
use crate::engine::request::arms;
use crate::engine::rules::effect::{EffectRule, MAX_UNUSABLE_TRIALS, unusable_trials_verdict};
use crate::engine::rules::{Step, decided_verdict, inconclusive_verdict, names_field, rejected_verdict};
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};
use crate::wire::message::{HttpError, InterpretedExchange};

impl EffectRule<'_> {
    /// What stands in the way of holding the arm without the field against the others: it was refused, or brought no
    /// answer, or has not been sent.
    pub(super) fn negative_control(&self) -> Option<Step> {
        let n = &self.negative;
        if let Some(refusal) = n.rejected.first() {
            return Some(Step::Decided(inconclusive_verdict(
                InconclusiveReason::NegativeRejected,
                format!(
                    "without the field the request is refused as well (HTTP {}: {})",
                    refusal.status, refusal.message
                ),
            )));
        }
        if let Some(why) = &n.failed {
            return Some(Step::Decided(inconclusive_verdict(
                InconclusiveReason::NegativeFailed,
                format!("without the field no answer came: {why}"),
            )));
        }
        if let Some(why) = &n.malformed {
            return Some(Step::Decided(inconclusive_verdict(
                InconclusiveReason::MalformedResponse,
                format!("without the field: {why}"),
            )));
        }
        (n.response_count() == 0).then(|| self.trial_step(ArmKind::Negative))
    }

    /// The treatment arm must be accepted, and say something.
    pub(super) fn treatment_step(&self) -> Option<Step> {
        let t = &self.treatment;
        if let Some(refusal) = t.rejected.last() {
            return Some(self.decide_rejection(refusal));
        }
        if let Some(why) = &t.failed {
            return Some(self.negative_control().unwrap_or_else(|| {
                Step::Decided(inconclusive_verdict(
                    InconclusiveReason::TreatmentFailed,
                    format!("with the field no answer came: {why}"),
                ))
            }));
        }
        if let Some(why) = &t.malformed {
            return Some(self.negative_control().unwrap_or_else(|| {
                Step::Decided(inconclusive_verdict(
                    InconclusiveReason::MalformedResponse,
                    format!("with the field: {why}"),
                ))
            }));
        }
        if t.counts.trials() > 0 {
            return None;
        }
        if t.unusable.len() as u32 >= MAX_UNUSABLE_TRIALS {
            return Some(Step::Decided(unusable_trials_verdict("treatment", &t.unusable)));
        }
        if t.no_signal > MAX_UNUSABLE_TRIALS {
            return Some(Step::Decided(inconclusive_verdict(
                InconclusiveReason::ModelDoesNotShow,
                format!("in {} answers the model shows neither the effect nor its contrary", t.no_signal),
            )));
        }
        Some(self.next_treatment())
    }

    fn decide_rejection(&self, refusal: &HttpError) -> Step {
        let id = self.experiment.id();
        if self.treatment.response_count() > 0 {
            return Step::Decided(inconclusive_verdict(
                InconclusiveReason::Inconsistent,
                format!("the same request was accepted and refused (HTTP {}: {})", refusal.status, refusal.message),
            ));
        }
        if self.experiment.genuine.is_some() {
            return self.decide_own_block(refusal);
        }
        let named = names_field(&refusal.message, id);
        // A refusal that says what it is about needs no control where the rest of the request is known to be accepted.
        if !(named && arms::is_negative_plain(self.experiment, self.variant))
            && let Some(step) = self.negative_control()
        {
            return step;
        }
        // One that does not say what it is about is asked for twice.
        let wanted = self.min_trials().max(1 + u32::from(!named));
        if (self.treatment.rejected.len() as u32) < wanted {
            // An endpoint that refuses once and then says nothing could be asked for ever.
            return match self.treatment.failed.as_ref().or(self.treatment.malformed.as_ref()) {
                Some(why) => Step::Decided(inconclusive_verdict(
                    InconclusiveReason::TreatmentFailed,
                    format!("refused with HTTP {}, and asked again no answer came: {why}", refusal.status),
                )),
                None => self.trial_step(ArmKind::Treatment),
            };
        }
        Step::Decided(rejected_verdict(id, refusal, self.facts))
    }

    /// The made-up block was refused: does the endpoint take its own?
    fn decide_own_block(&self, refusal: &HttpError) -> Step {
        let tried: Vec<&CompletedTrial> = self.trials.iter().filter(|t| t.arm == ArmKind::Genuine).collect();
        let Some(trial) = tried.iter().find(|t| t.responses.len() > 1).or(tried.last()).copied() else {
            return self.trial_step(ArmKind::Genuine);
        };
        let handed_back = trial.responses.len() > 1;
        if !handed_back && !matches!(trial.responses.first(), Some(InterpretedExchange::Message(_))) {
            return self.negative_control().unwrap_or_else(|| {
                Step::Decided(inconclusive_verdict(
                    InconclusiveReason::TreatmentFailed,
                    "the made-up block is refused, and the request for the endpoint's own brought no message",
                ))
            });
        }
        // A model that thinks when it likes gets more than one chance to.
        if !handed_back && (tried.len() as u32) < MAX_UNUSABLE_TRIALS {
            return self.trial_step(ArmKind::Genuine);
        }
        // The endpoint's own block, accepted, shows that the rest of the request is; else the control must.
        let accepted = handed_back && trial.message().is_some();
        if !accepted && let Some(step) = self.negative_control() {
            return step;
        }
        let mut verdict = rejected_verdict(self.experiment.id(), refusal, self.facts);
        if !handed_back {
            verdict.qualifiers.push("the endpoint made no such block of its own that could be handed back".to_owned());
            return Step::Decided(verdict);
        }
        Step::Decided(match trial.outcome(self.experiment) {
            TrialOutcome::Rejected(own) => rejected_verdict(self.experiment.id(), own, self.facts),
            TrialOutcome::Failed(why) => inconclusive_verdict(
                InconclusiveReason::TreatmentFailed,
                format!("the endpoint's own block, handed back, brought no answer: {why}"),
            ),
            TrialOutcome::Malformed(why) => inconclusive_verdict(InconclusiveReason::MalformedResponse, why),
            TrialOutcome::EffectPresent { .. }
            | TrialOutcome::EffectAbsent
            | TrialOutcome::NoSignal
            | TrialOutcome::Unusable(_) => decided_verdict(
                VerdictStatus::Supported,
                EvidenceKind::Validated,
                None,
                format!(
                    "the endpoint's own block, handed back, is accepted, and a made-up one refused (HTTP {}: {})",
                    refusal.status, refusal.message
                ),
            ),
        })
    }

    /// The made-up block was accepted and had no effect. Some gateways take out what they cannot verify: only the
    /// endpoint's own block can tell whether the field is passed over.
    pub(super) fn recheck_own_block(&self, ignored: Verdict) -> Step {
        let Some(genuine) = &self.experiment.genuine else { return Step::Decided(ignored) };
        let Some(trial) = self.trials.iter().find(|t| t.arm == ArmKind::Genuine) else {
            return self.trial_step(ArmKind::Genuine);
        };
        let (Some(InterpretedExchange::Message(first)), Some(InterpretedExchange::Message(second))) =
            (trial.responses.first(), trial.responses.get(1))
        else {
            return Step::Decided(match trial.responses.get(1) {
                // The endpoint makes no such block: there is none but made-up ones.
                None => ignored,
                Some(_) => inconclusive_verdict(
                    InconclusiveReason::TreatmentFailed,
                    format!("{}; but the endpoint's own block, handed back, brings no message", ignored.reason),
                ),
            });
        };
        if !matches(&genuine.carries, first, &trial.values) {
            return Step::Decided(inconclusive_verdict(
                InconclusiveReason::ModelDoesNotShow,
                format!(
                    "{}; the endpoint's own block might be treated otherwise, but holds nothing to ask for",
                    ignored.reason
                ),
            ));
        }
        if self.experiment.effect.as_ref().is_some_and(|effect| matches(effect, second, &trial.values)) {
            let told = "the endpoint's own block, handed back, is read".to_owned();
            let mut verdict = decided_verdict(VerdictStatus::Supported, EvidenceKind::Effect, None, told);
            verdict.qualifiers.push(format!("a made-up block is accepted and passed over: {}", ignored.reason));
            return Step::Decided(verdict);
        }
        if self.positive.counts.shows == 0 {
            return Step::Decided(inconclusive_verdict(
                InconclusiveReason::ModelDoesNotShow,
                format!(
                    "{}; the endpoint's own block might be treated otherwise, which this model does not show",
                    ignored.reason
                ),
            ));
        }
        Step::Decided(ignored)
    }
}
