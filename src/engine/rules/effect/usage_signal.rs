//! The usage meter's word on a row, and when it is heard.

use crate::catalog::VerdictStatus;
use crate::engine::rules::effect::EffectRule;
use crate::engine::rules::usage_meter::{UsageSignal, read_usage_signal};
use crate::engine::rules::{Step, decided_verdict};
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};
use crate::wire::message::Message;

impl EffectRule<'_> {
    /// What the meter shows, where it can be read: it needs an answer of each arm.
    pub(super) fn usage_signal(&self) -> Option<UsageSignal> {
        let mine = |t: &&CompletedTrial| t.arm == ArmKind::Treatment && t.variant.as_deref() == self.variant;
        self.read_treatment_signal(self.trials.iter().filter(mine).find_map(CompletedTrial::message))
    }

    fn read_treatment_signal(&self, treatment: Option<&Message>) -> Option<UsageSignal> {
        let own = self.variant.and_then(|name| self.experiment.variants.get(name));
        let negative_of = own.filter(|v| v.negative.is_some()).and(self.variant);
        let positive_of = own.filter(|v| v.positive.is_some()).and(self.variant);
        let of = |arm: ArmKind, by: Option<&str>| {
            self.trials.iter().filter(|t| t.arm == arm && t.variant.as_deref() == by).find_map(CompletedTrial::message)
        };
        if !self.facts.trusts_usage_meter {
            return None;
        }
        read_usage_signal(
            self.experiment.meter?,
            of(ArmKind::Negative, negative_of)?,
            treatment?,
            of(ArmKind::Positive, positive_of)?,
        )
    }

    /// True where some answer with the field does not show the effect, and the meter says that nothing arrived.
    pub(super) fn any_unchanged(&self) -> bool {
        let mine = |t: &&CompletedTrial| t.arm == ArmKind::Treatment && t.variant.as_deref() == self.variant;
        self.facts.trusts_usage_meter
            && self.trials.iter().filter(mine).any(|t| {
                t.outcome(self.experiment) == TrialOutcome::EffectAbsent
                    && self.read_treatment_signal(t.message()) == Some(UsageSignal::Unchanged)
            })
    }

    /// The arm without the field, where only it is missing for the meter to be read.
    pub(super) fn usage_control_step(&self) -> Option<Step> {
        let wanted = self.experiment.meter.is_some() && self.facts.trusts_usage_meter;
        (wanted && self.positive.response_count() > 0).then(|| self.negative_control())?
    }

    /// The meter's word, where the model has none; else what `otherwise` says.
    pub(super) fn usage_verdict_or_else(&self, otherwise: impl FnOnce() -> Verdict) -> Step {
        match self.usage_verdict() {
            Some(verdict) if verdict.status == VerdictStatus::Ignored => self.recheck_own_block(verdict),
            Some(verdict) => Step::Decided(verdict),
            None => Step::Decided(otherwise()),
        }
    }

    /// The meter's verdict. It is heard only where there is a model behind it: a server that answers canned text may
    /// count words as it likes.
    fn usage_verdict(&self) -> Option<Verdict> {
        let reads = self.facts.model_reads_prompt || self.positive.counts.shows > 0;
        if self.treatment.counts.shows > 0 || !reads {
            return None;
        }
        let told = "the model does not show the effect, but the usage meter moves with content that reaches it";
        let (status, with_field) = match self.usage_signal()? {
            UsageSignal::Increased => (VerdictStatus::Supported, "and with this field it rises"),
            UsageSignal::Unchanged => (VerdictStatus::Ignored, "and with this field it does not"),
            UsageSignal::Unclear => return None,
        };
        Some(decided_verdict(status, EvidenceKind::UsageMeter, None, format!("{told}, {with_field}")))
    }
}
