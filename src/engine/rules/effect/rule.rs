//! [`EffectRule`]: the sequential test of a row with a visible effect.

use crate::catalog::{ChanceRate, Experiment, MessagePredicate, VerdictStatus};
use crate::engine::inconclusive::{AFTER_FAILURE, InconclusiveReason};
use crate::engine::rules::bayes::{BetaPrior, EffectCounts, PosteriorDecision, RateHypotheses, evaluate};
use crate::engine::rules::step::{
    MAX_UNUSABLE_TRIALS, RunFacts, Step, count_responses, decided_verdict, describe_error, inconclusive_verdict,
    inconclusive_with_next_step,
};
use crate::engine::rules::trials::{ArmCounts, count_outcomes, trials_of};
use crate::engine::rules::usage_meter::UsageSignal;
use crate::engine::rules::validation;
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};

/// Trials of one arm after which a row stays undecided.
pub(crate) const MAX_TRIALS: u32 = 12;
/// Trials of the negative control if the effect can appear without the field. With four trials of
/// the treatment, a habit of any rate looks like the field with a probability below 1 in 100.
const MIN_NEGATIVE_TRIALS: u32 = 3;
/// The same after the effect has appeared without the field.
const MAX_INFORMATIVE_NEGATIVE_TRIALS: u32 = 8;
/// The most trials of the negative control, with unusable ones.
pub(crate) const MAX_NEGATIVE_TRIALS: u32 = MAX_INFORMATIVE_NEGATIVE_TRIALS + MAX_UNUSABLE_TRIALS;
/// Responses of each kind in one arm that prove an inconsistent endpoint.
const MIN_TRIALS_EACH_WAY: u32 = 3;
/// How much the usage meter multiplies the odds: it is assumed to be wrong once in a hundred times.
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
    has_positive: bool,
    /// The screen was accepted and showed no effect, so it counts as a treatment.
    screen_without_effect: bool,
}

impl<'a> EffectRule<'a> {
    fn new(
        experiment: &'a Experiment,
        variant: Option<&'a str>,
        trials: &'a [CompletedTrial],
        facts: &'a RunFacts,
    ) -> Self {
        let own = variant.and_then(|name| experiment.variants.get(name));
        let count = |arm, variant| count_outcomes(experiment, trials_of(trials, arm, variant));
        let mut treatment = count(ArmKind::Treatment, variant);
        treatment.add_forced(count(ArmKind::Insist, variant));
        let screen_without_effect = trials_of(trials, ArmKind::Screen, None)
            .any(|trial| trial.outcome(experiment) == TrialOutcome::EffectAbsent);
        if screen_without_effect {
            treatment.counts.fails += 1;
        }
        let mut rule = Self {
            experiment,
            variant,
            trials,
            facts,
            negative: ArmCounts::default(),
            treatment,
            positive: ArmCounts::default(),
            has_positive: experiment.positive.is_some() || own.is_some_and(|v| v.positive.is_some()),
            screen_without_effect,
        };
        rule.negative = count(ArmKind::Negative, rule.variant_of(ArmKind::Negative));
        rule.positive = count(ArmKind::Positive, rule.variant_of(ArmKind::Positive));
        rule
    }

    /// The variant that an arm belongs to. A control that a variant does not define is that of the
    /// row, and its trials serve all variants.
    pub(super) fn variant_of(&self, arm: ArmKind) -> Option<&'a str> {
        let own = self.variant.and_then(|name| self.experiment.variants.get(name));
        match arm {
            ArmKind::Negative if own.is_some_and(|v| v.negative.is_none()) => None,
            ArmKind::Positive if own.is_some_and(|v| v.positive.is_none()) => None,
            _ => self.variant,
        }
    }

    pub(super) fn trial_step(&self, arm: ArmKind) -> Step {
        Step::run_variant(self.variant_of(arm), arm)
    }

    /// The step that precedes a comparison with the negative control. `None` if it was accepted.
    pub(super) fn negative_control(&self) -> Option<Step> {
        self.negative.control_step(|| self.trial_step(ArmKind::Negative))
    }

    fn next_step(&self) -> Step {
        let screen = self.experiment.screen_arms.as_ref().and_then(|s| s.treatment.as_ref());
        if screen.is_some() && !self.trials.iter().any(|t| t.arm == ArmKind::Screen) {
            return Step::run(ArmKind::Screen);
        }
        if let Some(step) = self.treatment_step() {
            return step;
        }
        // A negative control that was sent must have been accepted. One that was not sent is needed
        // if the effect can appear without the field.
        let is_control_needed = self.treatment.counts.shows > 0 && self.effect_may_occur_by_chance();
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
        let n = self.negative.counts;
        let observed = format!("the effect also appears without the field ({} of {})", n.shows, responses(n));
        let code = match self.experiment.by_chance {
            ChanceRate::Never if n.shows > 0 => {
                return Some(inconclusive_verdict(
                    InconclusiveReason::AlwaysOn,
                    "the endpoint does this without being asked, so the field cannot be tested",
                ));
            }
            ChanceRate::Rare if n.shows > 0 => InconclusiveReason::DoesNotDiscriminate,
            ChanceRate::Possible if n.shows >= 4 && n.shows > n.fails => InconclusiveReason::DoesNotDiscriminate,
            ChanceRate::Never | ChanceRate::Rare | ChanceRate::OneIn(_) | ChanceRate::Possible => return None,
        };
        Some(inconclusive_verdict(code, observed))
    }

    pub(super) fn next_treatment(&self) -> Step {
        let insists = self.experiment.insist.is_some() && self.treatment.no_signal > 0;
        self.trial_step(if insists { ArmKind::Insist } else { ArmKind::Treatment })
    }

    fn hypotheses(&self) -> RateHypotheses {
        let supported = if self.is_enforced() { BetaPrior::ENFORCED } else { BetaPrior::FLAT };
        let ignored = match self.experiment.by_chance {
            ChanceRate::Never | ChanceRate::Rare => BetaPrior::RARE,
            ChanceRate::OneIn(n) => BetaPrior::one_in(n),
            ChanceRate::Possible => BetaPrior::OCCASIONAL,
        };
        RateHypotheses {
            supported: supported.with_observations(self.positive.counts),
            ignored: ignored.with_observations(self.negative.counts),
        }
    }

    /// True if the server itself enforces the field, so that the opposite effect is visible if it
    /// does not.
    fn is_enforced(&self) -> bool {
        self.experiment.contrary.is_some()
    }

    /// A verdict, if the evidence suffices.
    fn try_decide(&self) -> Option<Step> {
        let (t, p) = (self.treatment.counts, self.positive.counts);
        let log_factor = self.hypotheses().log_bayes_factor(t);
        let signal = self.usage_signal();
        let needed = self.min_trials().max(1 + u32::from(self.experiment.by_chance == ChanceRate::Possible));
        let is_certain = self.experiment.by_chance == ChanceRate::Never;
        let is_enforced = self.is_enforced();
        let model_can_show = is_enforced || p.shows > 0;
        // What a server enforces it enforces always: one response with the opposite effect excludes
        // "supported". What it ignores it ignores always, unless the effect also appears without
        // the field.
        let is_violated = is_enforced && t.fails > 0;
        let is_followed = is_enforced && t.shows > 0 && self.negative.counts.shows == 0;
        if t.fails > 0
            && let Some(verdict) = self.inconsistency_verdict()
        {
            return Some(Step::Decided(verdict));
        }
        // For an inconsistent endpoint, responses without the effect must be explained by the
        // model.
        let is_explained =
            !self.facts.is_inconsistent || t.fails == 0 || !self.has_positive || p.trials() >= MIN_TRIALS_EACH_WAY;
        match evaluate(log_factor, self.facts.confidence) {
            PosteriorDecision::Supported(confidence)
                if t.trials() >= needed && t.shows > 0 && !is_violated && is_explained =>
            {
                return Some(Step::Decided(self.supported_verdict((!is_certain).then_some(confidence))));
            }
            PosteriorDecision::Ignored(_)
                if model_can_show && signal == Some(UsageSignal::Increased) && !is_enforced =>
            {
                return Some(Step::inconclusive(
                    InconclusiveReason::EvidenceDisagrees,
                    format!(
                        "contradictory evidence: the model does not show the effect ({} of {}; control: {} of {}), but \
                         the token count includes the content of the field",
                        t.shows,
                        t.trials(),
                        p.shows,
                        p.trials()
                    ),
                ));
            }
            PosteriorDecision::Ignored(confidence) if model_can_show && t.fails >= needed && !is_followed => {
                return Some(self.recheck_invalid_values(self.ignored_verdict(Some(confidence), signal)));
            }
            PosteriorDecision::Supported(_) | PosteriorDecision::Ignored(_) | PosteriorDecision::Inconclusive => {}
        }
        // The opposite of an effect of the protocol itself needs no statistics either.
        if is_certain && is_enforced && t.shows == 0 && t.fails >= needed {
            return Some(self.recheck_invalid_values(self.ignored_verdict(None, signal)));
        }
        // Both the model and the usage meter say that the content did not arrive.
        if t.shows == 0
            && t.fails >= needed
            && p.shows > 0
            && p.fails == 0
            && signal == Some(UsageSignal::Unchanged)
            && let PosteriorDecision::Ignored(confidence) =
                evaluate(log_factor - USAGE_METER_ODDS.ln(), self.facts.confidence)
        {
            return Some(self.recheck_own_block(self.ignored_verdict(Some(confidence), signal)));
        }
        None
    }

    /// The next trial, or the end if more trials would not help.
    fn next_trial(&self) -> Step {
        let (t, p, n) = (&self.treatment, &self.positive, &self.negative);
        if let Some(verdict) = self.inconsistency_verdict() {
            return Step::Decided(verdict);
        }
        if t.counts.fails > 0 && !self.is_enforced() {
            if !self.has_positive {
                return self.decide_without_positive();
            }
            if let Some(step) = self.usage_control_step().or_else(|| self.positive_step()) {
                return step;
            }
        }
        if t.response_count() >= MAX_TRIALS {
            return self.usage_verdict_or_else(|| {
                inconclusive_verdict(
                    InconclusiveReason::TrialLimit,
                    format!(
                        "undecided after {} trials: effect in {} of {} with the field, {} of {} without it, {} of {} in \
                         the control",
                        t.response_count(),
                        t.counts.shows,
                        t.counts.trials(),
                        n.counts.shows,
                        n.counts.trials(),
                        p.counts.shows,
                        p.counts.trials()
                    ),
                )
            });
        }
        // If the effect can appear without the field, its rate must be known well before chance can
        // be excluded, the more so if the treatment shows it only sometimes.
        let needed = match self.experiment.by_chance {
            ChanceRate::Never | ChanceRate::Rare | ChanceRate::OneIn(_) => 0,
            // Without an effect, there is no chance to exclude.
            ChanceRate::Possible if t.counts.shows == 0 => 0,
            ChanceRate::Possible if n.counts.shows > 0 => MAX_INFORMATIVE_NEGATIVE_TRIALS,
            ChanceRate::Possible => {
                (t.counts.trials().saturating_sub(1)).clamp(MIN_NEGATIVE_TRIALS, MAX_INFORMATIVE_NEGATIVE_TRIALS)
            }
        };
        if n.counts.trials() + n.no_signal < needed.min(t.counts.trials() + 1)
            && n.response_count() < needed + MAX_UNUSABLE_TRIALS
        {
            return self.trial_step(ArmKind::Negative);
        }
        self.next_treatment()
    }

    /// The verdict if the endpoint supports the field in some responses and ignores it in others,
    /// and the model cannot be the cause. Several different servers behind one address look like
    /// this.
    fn inconsistency_verdict(&self) -> Option<Verdict> {
        let (t, n, p) = (self.treatment.counts, self.negative.counts, self.positive.counts);
        let is_mixed = t.shows > 0 && t.fails > 0;
        // The control always shows the effect, so the model always obeys.
        let model_always_obeys =
            is_mixed && self.facts.is_inconsistent && p.shows >= MIN_TRIALS_EACH_WAY && p.fails == 0;
        let is_clearly_mixed = self.is_enforced()
            && t.shows >= MIN_TRIALS_EACH_WAY
            && t.fails >= MIN_TRIALS_EACH_WAY
            && n.shows == 0
            && n.fails >= MIN_TRIALS_EACH_WAY;
        let is_certain = is_mixed && self.experiment.by_chance == ChanceRate::Never && n.shows == 0;
        // If a response shows the effect, the content arrived. If the usage meter does not move, it
        // did not.
        let arrived_only_sometimes = t.shows > 0 && self.any_unchanged();
        (is_clearly_mixed || is_certain || model_always_obeys || arrived_only_sometimes).then(|| {
            inconclusive_verdict(
                InconclusiveReason::Inconsistent,
                format!(
                    "inconsistent endpoint: the field works in {} of {} and is ignored in the others",
                    t.shows,
                    responses(t)
                ),
            )
        })
    }

    /// After the treatment has failed, the positive control gets as many trials as the treatment.
    fn positive_step(&self) -> Option<Step> {
        let (t, p) = (&self.treatment, &self.positive);
        let failure = p.rejected.first().map(|error| describe_error(error));
        if let Some(why) = failure.or(p.failed.clone()).or(p.malformed.clone()) {
            return Some(Step::Decided(inconclusive_with_next_step(
                InconclusiveReason::ModelDoesNotShow,
                format!("no effect, and the positive control failed: {why}"),
                Some(AFTER_FAILURE),
            )));
        }
        if p.unusable.len() as u32 >= MAX_UNUSABLE_TRIALS && p.counts.trials() == 0 {
            return Some(self.usage_verdict_or_else(|| unusable_trials_verdict(ArmKind::Positive, &p.unusable)));
        }
        if p.counts.shows == 0 && p.counts.fails >= 3 && t.counts.shows == 0 && t.counts.fails >= 2 {
            return Some(self.usage_verdict_or_else(|| {
                inconclusive_verdict(
                    InconclusiveReason::ModelDoesNotShow,
                    format!(
                        "this model does not follow the instruction even in a plain prompt (0 of {})",
                        p.counts.trials()
                    ),
                )
            }));
        }
        (p.counts.trials() < t.counts.trials().max(1) && p.response_count() < MAX_TRIALS)
            .then(|| self.trial_step(ArmKind::Positive))
    }

    /// No effect, and the row has no positive control: only invalid values can decide.
    fn decide_without_positive(&self) -> Step {
        let t = self.treatment.counts;
        let needed = match self.experiment.by_chance {
            // A trial that repeats its request counts several times.
            ChanceRate::Never if self.screen_without_effect || self.experiment.repeat > 1 => 1,
            ChanceRate::Never => 2,
            ChanceRate::Rare | ChanceRate::OneIn(_) | ChanceRate::Possible => 5,
        };
        if t.shows > 0 || t.fails < needed.max(self.min_trials()) {
            return if self.treatment.response_count() >= MAX_TRIALS {
                Step::inconclusive(
                    InconclusiveReason::TrialLimit,
                    format!("undecided: effect in {} of {}", t.shows, responses(t)),
                )
            } else {
                self.next_treatment()
            };
        }
        let no_effect = format!("no effect in {}", responses(t));
        if self.experiment.challenge.is_empty() {
            return Step::inconclusive(
                InconclusiveReason::ModelDoesNotShow,
                format!("{no_effect}, and the row has no control that shows what this model can do"),
            );
        }
        let verdict = match validation::invalid_value_step(self.experiment, self.trials, self.facts) {
            Step::Run(trial) => return Step::Run(trial),
            Step::Decided(verdict) => verdict,
        };
        Step::Decided(match verdict.status {
            VerdictStatus::Ignored => {
                let reason = format!("{no_effect}, and {}", with_subject(&verdict.reason));
                Verdict { reason, evidence: Some(EvidenceKind::Effect), ..verdict }
            }
            // A screen without an effect is little evidence if the endpoint checks one of its
            // values.
            VerdictStatus::Supported
                if self.screen_without_effect && t.fails == 1 && self.treatment.response_count() < MAX_TRIALS =>
            {
                return self.next_treatment();
            }
            VerdictStatus::Supported => inconclusive_verdict(
                InconclusiveReason::ValidatedWithoutEffect,
                format!("{no_effect}, although {}", with_subject(&verdict.reason)),
            ),
            VerdictStatus::Rejected
            | VerdictStatus::Substituted
            | VerdictStatus::Inconclusive
            | VerdictStatus::Skipped => verdict,
        })
    }

    /// An endpoint can check a field and ignore it. A row with invalid values reports that.
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
        let (t, n) = (&self.treatment, &self.negative);
        let effect = format!("effect in {} of {} with the field", t.counts.shows, count_responses(t.response_count()));
        let reason = match self.experiment.by_chance {
            ChanceRate::OneIn(of) => format!("{effect}; by chance: 1 in {of}"),
            _ if n.response_count() == 0 => format!("{effect}, with a code word sent only in the field"),
            _ => format!("{effect}, {} of {} without it", n.counts.shows, n.response_count()),
        };
        let mut verdict = decided_verdict(VerdictStatus::Supported, EvidenceKind::Effect, confidence, reason);
        let partial = t.partial_effects.iter().filter_map(|index| self.experiment.partial.get(*index));
        verdict.qualifiers.extend(partial.map(|partial| partial.note.clone()));
        verdict
    }

    fn ignored_verdict(&self, confidence: Option<f64>, signal: Option<UsageSignal>) -> Verdict {
        let (t, p) = (self.treatment.counts, self.positive.counts);
        let mut reason = if self.is_enforced() {
            format!("{} of {} show that the field was ignored", t.fails, responses(t))
        } else {
            format!(
                "effect in {} of {} with the field, in {} of {} with the control",
                t.shows,
                responses(t),
                p.shows,
                p.trials()
            )
        };
        if signal == Some(UsageSignal::Unchanged) {
            reason.push_str("; the token count agrees: the content did not reach the model");
        }
        decided_verdict(VerdictStatus::Ignored, EvidenceKind::Effect, confidence, reason)
    }
}

/// "1 response", "2 responses".
fn responses(counts: EffectCounts) -> String {
    count_responses(counts.trials())
}

/// Makes a reason that begins with a verb ("rejects an invalid value") a clause.
fn with_subject(reason: &str) -> String {
    format!("the endpoint {reason}")
}

pub(super) fn unusable_trials_verdict(arm: ArmKind, why: &[String]) -> Verdict {
    let (count, first) = (why.len(), why.first().map_or("", String::as_str));
    let requests = if count == 1 { "request" } else { "requests" };
    inconclusive_verdict(
        InconclusiveReason::UnusableTrials,
        format!("{count} {arm} {requests} got no usable response: {first}"),
    )
}
