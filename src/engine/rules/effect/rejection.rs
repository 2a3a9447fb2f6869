//! Decides rows whose treatment was rejected, failed or is unusable, and rows about blocks that the
//! endpoint itself produces.

use crate::catalog::VerdictStatus;
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::predicate::matches;
use crate::engine::rejection::{RejectionSubject, attribute_rejection};
use crate::engine::request::arms;
use crate::engine::rules::effect::rule::{EffectRule, unusable_trials_verdict};
use crate::engine::rules::step::{
    MAX_UNUSABLE_TRIALS, Step, decided_verdict, describe_error, elsewhere_verdict, inconclusive_verdict,
    needed_rejections, rejected_verdict, reported_error,
};
use crate::engine::rules::trials::server_error_step;
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};
use crate::results::reason::{FieldPresence, ReasonData, ResponseCount};
use crate::wire::message::{HttpError, InterpretedExchange};

/// Words of errors about the part of a block that only the endpoint can make.
const SIGNATURE_WORDS: [&str; 4] = ["signature", "signed", "decrypt", "`data`"];

impl EffectRule<'_> {
    /// The step if the treatment was not accepted or is no evidence. `None` if a response shows the
    /// effect or its absence.
    pub(super) fn treatment_step(&self) -> Option<Step> {
        let treatment = &self.treatment;
        if let Some(error) = treatment.rejections.last() {
            return Some(self.decide_rejection(error));
        }
        let repeat = || self.trial_step(ArmKind::Treatment);
        if let Some(step) = server_error_step(self.experiment, self.trials, treatment, self.facts, repeat) {
            return Some(step);
        }
        if let Some(failure) = treatment.failure_step(FieldPresence::With, InconclusiveReason::TreatmentFailed) {
            return Some(self.negative_control().unwrap_or(failure));
        }
        if treatment.effect_counts.trials() > 0 {
            return None;
        }
        if treatment.unusable.len() as u32 >= MAX_UNUSABLE_TRIALS {
            return Some(Step::Decided(unusable_trials_verdict(ArmKind::Treatment, &treatment.unusable)));
        }
        if treatment.no_signal > MAX_UNUSABLE_TRIALS {
            return Some(Step::inconclusive(
                InconclusiveReason::ModelDoesNotShow,
                ReasonData::TaskNotDone { responses: ResponseCount(treatment.no_signal.into()) },
            ));
        }
        Some(self.next_treatment())
    }

    fn decide_rejection(&self, error: &HttpError) -> Step {
        let id = self.experiment.id();
        if self.treatment.response_count() > 0 {
            return Step::inconsistent(error);
        }
        if self.experiment.genuine.is_some() {
            return self.decide_own_block(error);
        }
        let subject = attribute_rejection(self.experiment, self.trials, error);
        if let RejectionSubject::Elsewhere(what) = &subject {
            return self.negative_control().unwrap_or_else(|| Step::Decided(elsewhere_verdict(what, error)));
        }
        let is_named = subject == RejectionSubject::ThisField;
        // No control is needed if the error names the field and the rest of the request is known to
        // be accepted.
        if !(is_named && arms::is_negative_plain(self.experiment, self.variant))
            && let Some(step) = self.negative_control()
        {
            return step;
        }
        let needed = needed_rejections(self.experiment, is_named, self.facts);
        if (self.treatment.rejections.len() as u32) < needed {
            // An endpoint that rejects once and then stops responding must not be tried forever.
            return match self.treatment.last_failure.as_ref().or(self.treatment.malformed.as_ref()) {
                Some(why) => Step::inconclusive(
                    InconclusiveReason::TreatmentFailed,
                    ReasonData::RepeatFailed { status: error.status, why: why.clone() },
                ),
                None => self.trial_step(ArmKind::Treatment),
            };
        }
        Step::Decided(rejected_verdict(id, error, is_named, self.facts))
    }

    /// Decides a row whose made-up block was rejected: the endpoint may still accept its own block.
    fn decide_own_block(&self, error: &HttpError) -> Step {
        let own_block_trials: Vec<&CompletedTrial> =
            self.trials.iter().filter(|trial| trial.arm == ArmKind::Genuine).collect();
        let Some(trial) =
            own_block_trials.iter().find(|trial| trial.responses.len() > 1).or(own_block_trials.last()).copied()
        else {
            return self.trial_step(ArmKind::Genuine);
        };
        let is_sent_back = trial.responses.len() > 1;
        if !is_sent_back && !matches!(trial.responses.first(), Some(InterpretedExchange::Message(_))) {
            return self.negative_control().unwrap_or_else(|| {
                Step::inconclusive(InconclusiveReason::TreatmentFailed, ReasonData::OwnBlockUnavailable {})
            });
        }
        // A model that thinks only sometimes gets several trials.
        if !is_sent_back && (own_block_trials.len() as u32) < MAX_UNUSABLE_TRIALS {
            return self.trial_step(ArmKind::Genuine);
        }
        // If the endpoint accepts its own block, the rest of the request is accepted. Otherwise,
        // the control must show that.
        let is_accepted = is_sent_back && trial.message().is_some();
        let is_named = attribute_rejection(self.experiment, self.trials, error) == RejectionSubject::ThisField;
        if !is_accepted && let Some(step) = self.negative_control() {
            return step;
        }
        if !is_sent_back {
            // A server that checks signatures says nothing about the blocks that it makes itself.
            if SIGNATURE_WORDS.iter().any(|word| error.message.to_lowercase().contains(word)) {
                return Step::inconclusive(
                    InconclusiveReason::RejectionUnclear,
                    ReasonData::SignatureRejected { error: reported_error(error) },
                );
            }
            let mut verdict = rejected_verdict(self.experiment.id(), error, is_named, self.facts);
            verdict.qualifiers.push("the endpoint produced no such block that could be sent back".to_owned());
            return Step::Decided(verdict);
        }
        let own_block_failed = |why: &str| {
            inconclusive_verdict(
                InconclusiveReason::TreatmentFailed,
                ReasonData::OwnBlockFailed { why: why.to_owned() },
            )
        };
        Step::Decided(match trial.outcome(self.experiment) {
            TrialOutcome::Rejected(own) => rejected_verdict(self.experiment.id(), own, is_named, self.facts),
            TrialOutcome::ServerError(error) => own_block_failed(&describe_error(error)),
            TrialOutcome::Failed(why) => own_block_failed(&why),
            TrialOutcome::Malformed(why) => {
                inconclusive_verdict(InconclusiveReason::MalformedResponse, ReasonData::OwnBlockNotAMessage { why })
            }
            TrialOutcome::EffectPresent { .. } if self.is_carried_by_own_block(trial) => decided_verdict(
                VerdictStatus::Supported,
                EvidenceKind::Effect,
                None,
                ReasonData::OwnBlockReadOnly { error: reported_error(error) },
            ),
            TrialOutcome::EffectPresent { .. }
            | TrialOutcome::EffectAbsent
            | TrialOutcome::NoSignal
            | TrialOutcome::Unusable(_) => decided_verdict(
                VerdictStatus::Supported,
                EvidenceKind::Validated,
                None,
                ReasonData::OwnBlockAccepted { error: reported_error(error) },
            ),
        })
    }

    /// True if the endpoint's own block, and nothing else, contains what the second request asks for.
    fn is_carried_by_own_block(&self, trial: &CompletedTrial) -> bool {
        let carries = self.experiment.genuine.as_ref().map(|genuine| &genuine.carries);
        match (carries, trial.responses.first()) {
            (Some(carries), Some(InterpretedExchange::Message(first))) => matches(carries, first, &trial.values),
            _ => false,
        }
    }

    /// Decides a row whose made-up block was accepted without effect. Some gateways remove blocks
    /// that they cannot verify, so only the endpoint's own block can show whether the field is
    /// ignored.
    pub(super) fn recheck_own_block(&self, ignored: Verdict) -> Step {
        let Some(genuine) = &self.experiment.genuine else { return Step::Decided(ignored) };
        let Some(trial) = self.trials.iter().find(|trial| trial.arm == ArmKind::Genuine) else {
            return self.trial_step(ArmKind::Genuine);
        };
        let undecided = |code, why: &str| {
            let because = Box::new(ignored.because());
            Step::inconclusive(code, ReasonData::OwnBlockUndecided { because, why: why.to_owned() })
        };
        let (first, second) = match (trial.responses.first(), trial.responses.get(1)) {
            // The endpoint produces no such block, so there are only made-up ones.
            (_, None) => return Step::Decided(ignored),
            (Some(InterpretedExchange::Message(first)), Some(InterpretedExchange::Message(second))) => (first, second),
            (_, Some(_)) => {
                return undecided(
                    InconclusiveReason::TreatmentFailed,
                    "but the response to the endpoint's own block is not a message",
                );
            }
        };
        if !matches(&genuine.carries, first, &trial.values) {
            return undecided(
                InconclusiveReason::ModelDoesNotShow,
                "the endpoint's own block may be treated differently, but does not contain the code word",
            );
        }
        if self.experiment.effect.as_ref().is_some_and(|effect| matches(effect, second, &trial.values)) {
            let reason = ReasonData::OwnBlockRead {};
            let mut verdict = decided_verdict(VerdictStatus::Supported, EvidenceKind::Effect, None, reason);
            verdict.qualifiers.push(format!("a made-up block is accepted and ignored: {}", ignored.reason));
            return Step::Decided(verdict);
        }
        if self.positive.effect_counts.shows == 0 {
            return undecided(
                InconclusiveReason::ModelDoesNotShow,
                "the endpoint's own block may be treated differently, but this model does not show it",
            );
        }
        Step::Decided(ignored)
    }
}
