//! The usage meter as evidence for a row, and when it counts.

use crate::catalog::VerdictStatus;
use crate::engine::rules::effect::rule::EffectRule;
use crate::engine::rules::step::{Step, decided_verdict};
use crate::engine::rules::trials::filter_trials;
use crate::engine::rules::usage_meter::{UsageSignal, read_usage_signal};
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};
use crate::results::reason::ReasonData;
use crate::wire::message::Message;

impl EffectRule<'_> {
    /// The signal of the usage meter. It needs a message of each arm.
    pub(super) fn usage_signal(&self) -> Option<UsageSignal> {
        self.read_treatment_signal(self.first_message(ArmKind::Treatment))
    }

    fn first_message(&self, arm: ArmKind) -> Option<&Message> {
        filter_trials(self.trials, arm, self.variant_of(arm)).find_map(CompletedTrial::message)
    }

    fn read_treatment_signal(&self, treatment: Option<&Message>) -> Option<UsageSignal> {
        if !self.facts.trusts_usage_meter {
            return None;
        }
        read_usage_signal(
            self.experiment.meter?,
            self.first_message(ArmKind::Negative)?,
            treatment?,
            self.first_message(ArmKind::Positive)?,
        )
    }

    /// True if a response with the field does not show the effect, and the usage meter says that
    /// the content did not arrive.
    pub(super) fn any_unchanged(&self) -> bool {
        self.facts.trusts_usage_meter
            && filter_trials(self.trials, ArmKind::Treatment, self.variant).any(|trial| {
                trial.outcome(self.experiment) == TrialOutcome::EffectAbsent
                    && self.read_treatment_signal(trial.message()) == Some(UsageSignal::Unchanged)
            })
    }

    /// The step of the negative control, if the usage meter needs no other arm.
    pub(super) fn usage_control_step(&self) -> Option<Step> {
        let has_meter = self.experiment.meter.is_some() && self.facts.trusts_usage_meter;
        (has_meter && self.positive.response_count() > 0).then(|| self.negative_control())?
    }

    /// The verdict of the usage meter if the model shows nothing. Otherwise, the verdict of
    /// `otherwise`.
    pub(super) fn usage_verdict_or_else(&self, otherwise: impl FnOnce() -> Verdict) -> Step {
        match self.usage_verdict() {
            Some(verdict) if verdict.status == VerdictStatus::Ignored => self.recheck_own_block(verdict),
            Some(verdict) => Step::Decided(verdict),
            None => Step::Decided(otherwise()),
        }
    }

    /// The verdict of the usage meter. It counts only if a model reads the prompt: a server with
    /// canned responses can count tokens in any way.
    fn usage_verdict(&self) -> Option<Verdict> {
        let is_read = self.facts.model_reads_prompt || self.positive.effect_counts.shows > 0;
        if self.treatment.effect_counts.shows > 0 || !is_read {
            return None;
        }
        let (status, reason) = match self.usage_signal()? {
            UsageSignal::Increased => (VerdictStatus::Supported, ReasonData::UsageRises {}),
            UsageSignal::Unchanged => (VerdictStatus::Ignored, ReasonData::UsageUnchanged {}),
            UsageSignal::Unclear => return None,
        };
        Some(decided_verdict(status, EvidenceKind::UsageMeter, None, reason))
    }
}
