//! Decides rows with an effect at an endpoint that follows no instruction.

use crate::catalog::ChanceRate;
use crate::engine::rules::effect::rule::EffectRule;
use crate::engine::rules::missing_model::reads_cache;
use crate::engine::rules::step::Step;
use crate::recording::run::ArmKind;

impl EffectRule<'_> {
    /// The step of a row whose effect only a model can show, if there is no model. `None` if the row
    /// can be decided all the same: the treatment shows the effect or its opposite, is rejected, or
    /// failed; or the protocol has the effect, and an invalid value can show that the field is
    /// ignored.
    pub(super) fn missing_model_step(&self) -> Option<Step> {
        let treatment = &self.treatment;
        let is_answered = treatment.response_count() > 0
            && treatment.rejections.is_empty()
            && treatment.server_errors.is_empty()
            && treatment.last_failure.is_none()
            && treatment.malformed.is_none();
        if !self.facts.lacks_model() || !is_answered || reads_cache(self.experiment) {
            return None;
        }
        let counts = treatment.effect_counts;
        let is_shown = counts.shows > 0 && self.negative.effect_counts.shows == 0;
        let is_of_protocol = self.experiment.by_chance == ChanceRate::Never
            && !self.has_positive
            && !self.experiment.challenge.is_empty();
        let is_decidable = counts.shows == 0 && counts.fails > 0 && (self.is_enforced() || is_of_protocol);
        if is_shown || is_decidable {
            return None;
        }
        let is_sent = self.trials.iter().any(|trial| trial.arm == ArmKind::Canned);
        if self.experiment.canned.is_some() && !is_sent && counts.shows == 0 {
            return Some(self.trial_step(ArmKind::Canned));
        }
        Some(Step::needs_model(self.facts))
    }
}
