//! The usage meter's word on a row, and when it is heard.

use crate::catalog::VerdictStatus;
use crate::engine::rules::effect::Rule;
use crate::engine::rules::usage_meter::{Meter, read_meter};
use crate::engine::rules::{Step, decided};
use crate::engine::trial::{Seen, Trial};
use crate::recording::run::ArmKind;
use crate::results::model::{Evidence, Verdict};
use crate::wire::message::Message;

impl Rule<'_> {
    /// What the meter shows, where it can be read: it needs an answer of each arm.
    pub(super) fn meter(&self) -> Option<Meter> {
        let mine = |t: &&Trial| t.arm == ArmKind::Treatment && t.variant.as_deref() == self.variant;
        self.meter_with(self.trials.iter().filter(mine).find_map(Trial::message))
    }

    fn meter_with(&self, treatment: Option<&Message>) -> Option<Meter> {
        let own = self.variant.and_then(|name| self.experiment.variants.get(name));
        let negative_of = own.filter(|v| v.negative.is_some()).and(self.variant);
        let positive_of = own.filter(|v| v.positive.is_some()).and(self.variant);
        let of = |arm: ArmKind, by: Option<&str>| {
            self.trials.iter().filter(|t| t.arm == arm && t.variant.as_deref() == by).find_map(Trial::message)
        };
        if !self.facts.meter_trusted {
            return None;
        }
        read_meter(
            self.experiment.meter?,
            of(ArmKind::Negative, negative_of)?,
            treatment?,
            of(ArmKind::Positive, positive_of)?,
        )
    }

    /// True where some answer with the field does not show the effect, and the meter says that nothing arrived.
    pub(super) fn any_flat(&self) -> bool {
        let mine = |t: &&Trial| t.arm == ArmKind::Treatment && t.variant.as_deref() == self.variant;
        self.facts.meter_trusted
            && self
                .trials
                .iter()
                .filter(mine)
                .any(|t| t.seen(self.experiment) == Seen::Absent && self.meter_with(t.message()) == Some(Meter::Flat))
    }

    /// The arm without the field, where only it is missing for the meter to be read.
    pub(super) fn meter_step(&self) -> Option<Step> {
        let wanted = self.experiment.meter.is_some() && self.facts.meter_trusted;
        (wanted && self.positive.answered() > 0).then(|| self.control())?
    }

    /// The meter's word, where the model has none; else what `otherwise` says.
    pub(super) fn meter_or(&self, otherwise: impl FnOnce() -> Verdict) -> Step {
        match self.by_meter() {
            Some(verdict) if verdict.status == VerdictStatus::Ignored => self.unless_genuine(verdict),
            Some(verdict) => Step::Done(verdict),
            None => Step::Done(otherwise()),
        }
    }

    /// The meter's verdict. It is heard only where there is a model behind it: a server that answers canned text may
    /// count words as it likes.
    fn by_meter(&self) -> Option<Verdict> {
        let reads = self.facts.model_reads || self.positive.counts.shows > 0;
        if self.treatment.counts.shows > 0 || !reads {
            return None;
        }
        let told = "the model does not show the effect, but the usage meter moves with content that reaches it";
        let (status, with_field) = match self.meter()? {
            Meter::Rises => (VerdictStatus::Supported, "and with this field it rises"),
            Meter::Flat => (VerdictStatus::Ignored, "and with this field it does not"),
            Meter::Unclear => return None,
        };
        Some(decided(status, Evidence::UsageMeter, None, format!("{told}, {with_field}")))
    }
}
