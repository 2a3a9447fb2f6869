//! [`EffectRule`]: the sequential test of a row with a visible effect.

use crate::catalog::{ChanceRate, Experiment, MessagePredicate, VerdictStatus};
use crate::engine::inconclusive::{AFTER_FAILURE, InconclusiveReason};
use crate::engine::rules::bayes::{BetaPrior, EffectCounts, PosteriorDecision, RateHypotheses, evaluate};
use crate::engine::rules::step::{
    MAX_UNUSABLE_TRIALS, RunFacts, Step, decided_verdict, describe_error, inconclusive_verdict,
    inconclusive_with_next_step,
};
use crate::engine::rules::trials::{ArmCounts, count_outcomes, filter_trials};
use crate::engine::rules::usage_meter::UsageSignal;
use crate::engine::rules::validation;
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};
use crate::results::reason::{MeterNote, ReasonData, RequestCount, ResponseCount, ShowingResponses};

/// Maximum trials of one arm. After them, the row stays undecided.
pub(crate) const MAX_TRIALS: u32 = 12;
/// Minimum trials of the negative control if the effect can appear without the field. With four
/// trials of the treatment, the probability is below 1 in 100 that a model that shows the effect by
/// itself looks like a supported field.
const MIN_NEGATIVE_TRIALS: u32 = 3;
/// Trials of the negative control after the effect has appeared without the field.
const MAX_INFORMATIVE_NEGATIVE_TRIALS: u32 = 8;
/// Maximum trials of the negative control, including unusable ones.
pub(crate) const MAX_NEGATIVE_TRIALS: u32 = MAX_INFORMATIVE_NEGATIVE_TRIALS + MAX_UNUSABLE_TRIALS;
/// The number of responses with the effect, and of responses without it, that proves an
/// inconsistent endpoint.
const MIN_TRIALS_EACH_WAY: u32 = 3;
/// The factor by which the usage meter changes the odds. It is assumed to be wrong in 1 of 100
/// cases.
const USAGE_METER_ODDS: f64 = 99.0;

/// The next step of one variant, or of a row without variants.
pub(crate) fn next_step(
    experiment: &Experiment,
    variant: Option<&str>,
    trials: &[CompletedTrial],
    facts: &RunFacts,
) -> Step {
    EffectRule::new(experiment, variant, trials, facts).next_step()
}

pub(super) struct EffectRule<'a> {
    pub experiment: &'a Experiment,
    pub variant: Option<&'a str>,
    pub trials: &'a [CompletedTrial],
    pub facts: &'a RunFacts,
    pub negative: ArmCounts<'a>,
    pub treatment: ArmCounts<'a>,
    pub positive: ArmCounts<'a>,
    pub has_positive: bool,
    /// True if the screen was accepted and showed no effect. It then counts as a treatment.
    screen_without_effect: bool,
}

impl<'a> EffectRule<'a> {
    fn new(
        experiment: &'a Experiment,
        variant: Option<&'a str>,
        trials: &'a [CompletedTrial],
        facts: &'a RunFacts,
    ) -> Self {
        let own_variant = variant.and_then(|name| experiment.variants.get(name));
        let count = |arm, variant| count_outcomes(experiment, filter_trials(trials, arm, variant));
        let mut treatment = count(ArmKind::Treatment, variant);
        treatment.add_insist_arm(count(ArmKind::Insist, variant));
        treatment.add_insist_arm(count(ArmKind::Canned, variant));
        let screen_without_effect = filter_trials(trials, ArmKind::Screen, None)
            .any(|trial| trial.outcome(experiment) == TrialOutcome::EffectAbsent);
        if screen_without_effect {
            treatment.effect_counts.fails += 1;
        }
        let mut rule = Self {
            experiment,
            variant,
            trials,
            facts,
            negative: ArmCounts::default(),
            treatment,
            positive: ArmCounts::default(),
            has_positive: experiment.positive.is_some() || own_variant.is_some_and(|v| v.positive.is_some()),
            screen_without_effect,
        };
        rule.negative = count(ArmKind::Negative, rule.variant_of(ArmKind::Negative));
        rule.positive = count(ArmKind::Positive, rule.variant_of(ArmKind::Positive));
        rule
    }

    /// The variant of an arm. If the variant does not define a control, the control of the row is
    /// used, and its trials count for all variants.
    pub(super) fn variant_of(&self, arm: ArmKind) -> Option<&'a str> {
        let own_variant = self.variant.and_then(|name| self.experiment.variants.get(name));
        match arm {
            ArmKind::Negative if own_variant.is_some_and(|v| v.negative.is_none()) => None,
            ArmKind::Positive if own_variant.is_some_and(|v| v.positive.is_none()) => None,
            _ => self.variant,
        }
    }

    pub(super) fn trial_step(&self, arm: ArmKind) -> Step {
        Step::run_variant(self.variant_of(arm), arm)
    }

    /// The step that must precede a comparison with the negative control. `None` if the control was
    /// accepted.
    pub(super) fn negative_control(&self) -> Option<Step> {
        self.negative.control_step(|| self.trial_step(ArmKind::Negative))
    }

    fn next_step(&self) -> Step {
        let screen = self.experiment.screen_arms.as_ref().and_then(|s| s.treatment.as_ref());
        if screen.is_some() && !self.trials.iter().any(|trial| trial.arm == ArmKind::Screen) {
            return Step::run(ArmKind::Screen);
        }
        if let Some(step) = self.missing_model_step().or_else(|| self.treatment_step()) {
            return step;
        }
        // A negative control that was sent must have been accepted. One that was not sent is needed
        // if the effect can appear without the field.
        let is_control_needed = self.treatment.effect_counts.shows > 0 && self.effect_may_occur_by_chance();
        if (is_control_needed || self.negative.is_sent())
            && let Some(step) = self.negative_control()
        {
            return step;
        }
        if let Some(verdict) = self.chance_effect_verdict() {
            return Step::Decided(verdict);
        }
        self.try_decide().unwrap_or_else(|| self.next_trial())
    }

    /// The number of trials that an arm needs before it decides.
    pub(super) fn min_trials(&self) -> u32 {
        self.facts.min_trials(self.experiment.id())
    }

    /// True if the effect alone does not prove that the field was read.
    fn effect_may_occur_by_chance(&self) -> bool {
        match self.experiment.by_chance {
            ChanceRate::Never | ChanceRate::Possible => true,
            ChanceRate::Rare => !self.experiment.effect.as_ref().is_some_and(MessagePredicate::needs_random_values),
            ChanceRate::OneIn(_) => false,
        }
    }

    /// The verdict if the effect appears without the field too, so that it proves nothing.
    fn chance_effect_verdict(&self) -> Option<Verdict> {
        let negative = self.negative.effect_counts;
        let observed =
            ReasonData::EffectWithoutField { shows: negative.shows.into(), responses: response_count(negative) };
        let code = match self.experiment.by_chance {
            ChanceRate::Never if negative.shows > 0 => {
                return Some(inconclusive_verdict(InconclusiveReason::AlwaysOn, ReasonData::AlwaysOn {}));
            }
            ChanceRate::Rare if negative.shows > 0 => InconclusiveReason::DoesNotDiscriminate,
            ChanceRate::Possible if negative.shows >= 4 && negative.shows > negative.fails => {
                InconclusiveReason::DoesNotDiscriminate
            }
            ChanceRate::Never | ChanceRate::Rare | ChanceRate::OneIn(_) | ChanceRate::Possible => return None,
        };
        Some(inconclusive_verdict(code, observed))
    }

    pub(super) fn next_treatment(&self) -> Step {
        let has_no_signal = self.treatment.no_signal > 0;
        self.trial_step(if has_no_signal && self.facts.lacks_model() && self.experiment.canned.is_some() {
            ArmKind::Canned
        } else if has_no_signal && self.experiment.insist.is_some() {
            ArmKind::Insist
        } else {
            ArmKind::Treatment
        })
    }

    fn hypotheses(&self) -> RateHypotheses {
        let supported = if self.is_enforced() { BetaPrior::ENFORCED } else { BetaPrior::FLAT };
        let ignored = match self.experiment.by_chance {
            ChanceRate::Never | ChanceRate::Rare => BetaPrior::RARE,
            ChanceRate::OneIn(count) => BetaPrior::one_in(count),
            ChanceRate::Possible => BetaPrior::OCCASIONAL,
        };
        RateHypotheses {
            supported: supported.with_observations(self.positive.effect_counts),
            ignored: ignored.with_observations(self.negative.effect_counts),
        }
    }

    /// True if the server itself enforces the field. If the server ignores it, responses show the
    /// opposite effect.
    pub(super) fn is_enforced(&self) -> bool {
        self.experiment.contrary.is_some()
    }

    /// A verdict, if the evidence suffices.
    fn try_decide(&self) -> Option<Step> {
        let (treatment, positive) = (self.treatment.effect_counts, self.positive.effect_counts);
        let log_factor = self.hypotheses().log_bayes_factor(treatment);
        let signal = self.usage_signal();
        let needed = self.min_trials().max(1 + u32::from(self.experiment.by_chance == ChanceRate::Possible));
        let is_certain = self.experiment.by_chance == ChanceRate::Never;
        let is_enforced = self.is_enforced();
        let model_can_show = is_enforced || positive.shows > 0;
        // A server enforces a field in all responses or in none. So one response with the opposite
        // effect excludes "supported". One response with the effect excludes "ignored", unless the
        // effect also appears without the field.
        let is_violated = is_enforced && treatment.fails > 0;
        let is_followed = is_enforced && treatment.shows > 0 && self.negative.effect_counts.shows == 0;
        if treatment.fails > 0
            && let Some(verdict) = self.inconsistency_verdict()
        {
            return Some(Step::Decided(verdict));
        }
        // At an inconsistent endpoint, responses without the effect can come from another server.
        // So the positive control must first show how often the model itself fails.
        let is_explained = !self.facts.is_inconsistent
            || treatment.fails == 0
            || !self.has_positive
            || positive.trials() >= MIN_TRIALS_EACH_WAY;
        match evaluate(log_factor, self.facts.confidence) {
            PosteriorDecision::Supported(confidence)
                if treatment.trials() >= needed && treatment.shows > 0 && !is_violated && is_explained =>
            {
                return Some(Step::Decided(self.supported_verdict((!is_certain).then_some(confidence))));
            }
            PosteriorDecision::Ignored(_)
                if model_can_show && signal == Some(UsageSignal::Increased) && !is_enforced =>
            {
                return Some(Step::inconclusive(
                    InconclusiveReason::EvidenceDisagrees,
                    ReasonData::EvidenceDisagrees {
                        shows: treatment.shows.into(),
                        trials: treatment.trials().into(),
                        shows_in_control: positive.shows.into(),
                        trials_of_control: positive.trials().into(),
                    },
                ));
            }
            PosteriorDecision::Ignored(confidence) if model_can_show && treatment.fails >= needed && !is_followed => {
                return Some(self.recheck_invalid_values(self.ignored_verdict(Some(confidence), signal)));
            }
            PosteriorDecision::Supported(_) | PosteriorDecision::Ignored(_) | PosteriorDecision::Inconclusive => {}
        }
        // An effect that never appears by chance needs no statistics. Its opposite does not either.
        if is_certain && is_enforced && treatment.shows == 0 && treatment.fails >= needed {
            return Some(self.recheck_invalid_values(self.ignored_verdict(None, signal)));
        }
        // Both the model and the usage meter say that the content did not arrive.
        if treatment.shows == 0
            && treatment.fails >= needed
            && positive.shows > 0
            && positive.fails == 0
            && signal == Some(UsageSignal::Unchanged)
            && let PosteriorDecision::Ignored(confidence) =
                evaluate(log_factor - USAGE_METER_ODDS.ln(), self.facts.confidence)
        {
            return Some(self.recheck_own_block(self.ignored_verdict(Some(confidence), signal)));
        }
        None
    }

    /// The next trial, or a verdict if more trials do not help.
    fn next_trial(&self) -> Step {
        let (treatment, positive, negative) = (&self.treatment, &self.positive, &self.negative);
        if let Some(verdict) = self.inconsistency_verdict() {
            return Step::Decided(verdict);
        }
        if treatment.effect_counts.fails > 0 && !self.is_enforced() {
            if !self.has_positive {
                return self.decide_without_positive();
            }
            if let Some(step) = self.usage_control_step().or_else(|| self.positive_step()) {
                return step;
            }
        }
        if treatment.response_count() >= MAX_TRIALS {
            return self.usage_verdict_or_else(|| {
                inconclusive_verdict(
                    InconclusiveReason::TrialLimit,
                    ReasonData::TrialLimit {
                        responses: treatment.response_count().into(),
                        shows: treatment.effect_counts.shows.into(),
                        trials: treatment.effect_counts.trials().into(),
                        shows_without: negative.effect_counts.shows.into(),
                        trials_without: negative.effect_counts.trials().into(),
                        shows_in_control: positive.effect_counts.shows.into(),
                        trials_of_control: positive.effect_counts.trials().into(),
                    },
                )
            });
        }
        // If the effect can appear without the field, chance can be excluded only if its rate is
        // known well. More trials are needed if the treatment shows the effect only sometimes.
        let needed = match self.experiment.by_chance {
            ChanceRate::Never | ChanceRate::Rare | ChanceRate::OneIn(_) => 0,
            // Without an effect, there is no chance to exclude.
            ChanceRate::Possible if treatment.effect_counts.shows == 0 => 0,
            ChanceRate::Possible if negative.effect_counts.shows > 0 => MAX_INFORMATIVE_NEGATIVE_TRIALS,
            ChanceRate::Possible => (treatment.effect_counts.trials().saturating_sub(1))
                .clamp(MIN_NEGATIVE_TRIALS, MAX_INFORMATIVE_NEGATIVE_TRIALS),
        };
        if negative.effect_counts.trials() + negative.no_signal < needed.min(treatment.effect_counts.trials() + 1)
            && negative.response_count() < needed + MAX_UNUSABLE_TRIALS
        {
            return self.trial_step(ArmKind::Negative);
        }
        self.next_treatment()
    }

    /// The verdict if the endpoint supports the field in some responses and ignores it in others,
    /// and the model cannot be the cause. Several different servers behind one address look like
    /// this.
    fn inconsistency_verdict(&self) -> Option<Verdict> {
        let (treatment, negative, positive) =
            (self.treatment.effect_counts, self.negative.effect_counts, self.positive.effect_counts);
        let is_mixed = treatment.shows > 0 && treatment.fails > 0;
        // The control always shows the effect, so the model always obeys.
        let model_always_obeys =
            is_mixed && self.facts.is_inconsistent && positive.shows >= MIN_TRIALS_EACH_WAY && positive.fails == 0;
        let is_clearly_mixed = self.is_enforced()
            && treatment.shows >= MIN_TRIALS_EACH_WAY
            && treatment.fails >= MIN_TRIALS_EACH_WAY
            && negative.shows == 0
            && negative.fails >= MIN_TRIALS_EACH_WAY;
        let is_certain = is_mixed && self.experiment.by_chance == ChanceRate::Never && negative.shows == 0;
        // A response with the effect proves that the content arrived. An unchanged token count
        // proves that it did not.
        let arrived_only_sometimes = treatment.shows > 0 && self.any_unchanged();
        (is_clearly_mixed || is_certain || model_always_obeys || arrived_only_sometimes).then(|| {
            inconclusive_verdict(
                InconclusiveReason::Inconsistent,
                ReasonData::WorksSometimes { shows: treatment.shows.into(), responses: response_count(treatment) },
            )
        })
    }

    /// If the treatment shows no effect, the positive control gets as many trials as the treatment.
    fn positive_step(&self) -> Option<Step> {
        let (treatment, positive) = (&self.treatment, &self.positive);
        let failure = positive.rejections.first().map(|error| describe_error(error));
        if let Some(why) = failure.or(positive.last_failure.clone()).or(positive.malformed.clone()) {
            return Some(Step::Decided(inconclusive_with_next_step(
                InconclusiveReason::ModelDoesNotShow,
                ReasonData::ControlFailed { why },
                Some(AFTER_FAILURE),
            )));
        }
        if positive.unusable.len() as u32 >= MAX_UNUSABLE_TRIALS && positive.effect_counts.trials() == 0 {
            return Some(self.usage_verdict_or_else(|| unusable_trials_verdict(ArmKind::Positive, &positive.unusable)));
        }
        if positive.effect_counts.shows == 0
            && positive.effect_counts.fails >= 3
            && treatment.effect_counts.shows == 0
            && treatment.effect_counts.fails >= 2
        {
            return Some(self.usage_verdict_or_else(|| {
                inconclusive_verdict(
                    InconclusiveReason::ModelDoesNotShow,
                    ReasonData::InstructionNotFollowed { trials: positive.effect_counts.trials().into() },
                )
            }));
        }
        (positive.effect_counts.trials() < treatment.effect_counts.trials().max(1)
            && positive.response_count() < MAX_TRIALS)
            .then(|| self.trial_step(ArmKind::Positive))
    }

    /// No effect, and the row has no positive control: only invalid values can decide.
    fn decide_without_positive(&self) -> Step {
        let treatment = self.treatment.effect_counts;
        let needed = match self.experiment.by_chance {
            // A trial that repeats its request counts several times.
            ChanceRate::Never if self.screen_without_effect || self.experiment.repeat > 1 => 1,
            ChanceRate::Never => 2,
            ChanceRate::Rare | ChanceRate::OneIn(_) | ChanceRate::Possible => 5,
        };
        if treatment.shows > 0 || treatment.fails < needed.max(self.min_trials()) {
            return if self.treatment.response_count() >= MAX_TRIALS {
                Step::inconclusive(
                    InconclusiveReason::TrialLimit,
                    ReasonData::EffectSometimes { shows: treatment.shows.into(), responses: response_count(treatment) },
                )
            } else {
                self.next_treatment()
            };
        }
        let responses = response_count(treatment);
        if self.experiment.challenge.is_empty() {
            return Step::inconclusive(InconclusiveReason::ModelDoesNotShow, ReasonData::NoControl { responses });
        }
        let verdict = match validation::invalid_value_step(self.experiment, self.trials, self.facts) {
            Step::Run(trial) => return Step::Run(trial),
            Step::Decided(verdict) => verdict,
        };
        Step::Decided(match verdict.status {
            VerdictStatus::Ignored => {
                let because = Box::new(verdict.because());
                let mut verdict = Verdict { evidence: Some(EvidenceKind::Effect), ..verdict };
                verdict.set_reason(ReasonData::NoEffectAndNotChecked { responses, because });
                verdict
            }
            // A screen without an effect is little evidence if the endpoint checks one of its
            // values.
            VerdictStatus::Supported
                if self.screen_without_effect
                    && treatment.fails == 1
                    && self.treatment.response_count() < MAX_TRIALS =>
            {
                return self.next_treatment();
            }
            VerdictStatus::Supported => inconclusive_verdict(
                InconclusiveReason::ValidatedWithoutEffect,
                ReasonData::NoEffectButChecked { responses, because: Box::new(verdict.because()) },
            ),
            VerdictStatus::Validated
            | VerdictStatus::Accepted
            | VerdictStatus::Rejected
            | VerdictStatus::Substituted
            | VerdictStatus::Inconclusive
            | VerdictStatus::Skipped => verdict,
        })
    }

    /// An endpoint can validate a field and then ignore it. The invalid values of a row show this.
    fn recheck_invalid_values(&self, mut ignored: Verdict) -> Step {
        if self.experiment.genuine.is_some() {
            return self.recheck_own_block(ignored);
        }
        if !self.experiment.challenge.is_empty() {
            match validation::invalid_value_step(self.experiment, self.trials, self.facts) {
                Step::Run(trial) => return Step::Run(trial),
                Step::Decided(checked) if checked.status == VerdictStatus::Supported => {
                    ignored.qualifiers.push(format!("validated, then ignored: {}", checked.reason));
                }
                Step::Decided(_) => {}
            }
        }
        Step::Decided(ignored)
    }

    fn supported_verdict(&self, confidence: Option<f64>) -> Verdict {
        let (treatment, negative) = (&self.treatment, &self.negative);
        let shows = treatment.effect_counts.shows.into();
        let responses = ResponseCount(treatment.response_count().into());
        let reason = match self.experiment.by_chance {
            ChanceRate::OneIn(one_in) => ReasonData::EffectByChance { shows, responses, one_in },
            _ if negative.response_count() == 0 => ReasonData::CodeWordShown { shows, responses },
            _ => ReasonData::EffectShown {
                shows,
                responses,
                shows_without: negative.effect_counts.shows.into(),
                responses_without: negative.response_count().into(),
            },
        };
        let mut verdict = decided_verdict(VerdictStatus::Supported, EvidenceKind::Effect, confidence, reason);
        let partial = treatment.partial_effects.iter().filter_map(|index| self.experiment.partial.get(*index));
        verdict.qualifiers.extend(partial.map(|partial| partial.note.clone()));
        verdict
    }

    fn ignored_verdict(&self, confidence: Option<f64>, signal: Option<UsageSignal>) -> Verdict {
        let (treatment, positive) = (self.treatment.effect_counts, self.positive.effect_counts);
        let meter = if signal == Some(UsageSignal::Unchanged) { MeterNote::Agrees } else { MeterNote::Unused };
        let reason = if self.is_enforced() {
            let responses = ShowingResponses(treatment.trials().into());
            ReasonData::OppositeShown { fails: treatment.fails.into(), responses, meter }
        } else {
            ReasonData::EffectMissing {
                shows: treatment.shows.into(),
                responses: response_count(treatment),
                shows_in_control: positive.shows.into(),
                responses_of_control: positive.trials().into(),
                meter,
            }
        };
        let mut verdict = decided_verdict(VerdictStatus::Ignored, EvidenceKind::Effect, confidence, reason);
        let mut treatments = filter_trials(self.trials, ArmKind::Treatment, self.variant);
        if let Some(why) = treatments.find_map(CompletedTrial::unreadable_stream) {
            verdict.qualifiers.push(format!("streams, but official SDKs cannot read the stream: {why}"));
        }
        verdict
    }
}

/// The number of counted responses.
fn response_count(counts: EffectCounts) -> ResponseCount {
    ResponseCount(counts.trials().into())
}

pub(super) fn unusable_trials_verdict(arm: ArmKind, why: &[String]) -> Verdict {
    let because = ReasonData::ArmUnusable {
        arm: arm.to_string(),
        trials: why.len() as u64,
        requests: RequestCount(why.len() as u64),
        first: why.first().cloned().unwrap_or_default(),
    };
    inconclusive_verdict(InconclusiveReason::UnusableTrials, because)
}
