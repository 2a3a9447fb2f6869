//! The rule for rows with a visible effect: treatment, positive and negative arm under a sequential test, with the
//! usage meter as a second witness, and challenges where there is no channel that is known to work.
//!
//! The treatment goes first, since it decides most. The others are sent only once they can decide something: the
//! positive arm when the treatment shows no effect, the negative arm when it shows one that might show by itself, or
//! is refused. `refusal` says what requests without a message prove, `witness` when the meter is heard.

mod counts;
mod rejection;
mod usage_signal;

use crate::catalog::{ChanceRate, Experiment, MessagePredicate, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::rules::bayes::{BetaPrior, PosteriorDecision, RateHypotheses, evaluate};
use crate::engine::rules::effect::counts::{ArmCounts, count_outcomes};
use crate::engine::rules::usage_meter::UsageSignal;
use crate::engine::rules::{RunFacts, Step, TrialSpec, decided_verdict, inconclusive_verdict, validation};
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};

/// Trials of one arm after which a row is given up.
pub(crate) const MAX_TRIALS: u32 = 12;
/// Trials of one arm that say nothing after which it is given up.
pub(crate) const MAX_UNUSABLE_TRIALS: u32 = 3;
/// Trials of the negative arm, where the effect may show by itself: with four of the treatment, a habit of any rate
/// looks like the field with a probability below one in a hundred.
const MIN_NEGATIVE_TRIALS: u32 = 3;
/// The same, once it was seen to show by itself.
const MAX_INFORMATIVE_NEGATIVE_TRIALS: u32 = 8;
/// The most trials of the negative arm, with those that say nothing.
pub(crate) const MAX_NEGATIVE_TRIALS: u32 = MAX_INFORMATIVE_NEGATIVE_TRIALS + MAX_UNUSABLE_TRIALS;
/// Answers each way that show of an arm that the endpoint treats equal requests unequally.
const MIN_TRIALS_EACH_WAY: u32 = 3;
/// What the meter's word adds to the evidence: it is taken to be wrong once in a hundred times.
const USAGE_METER_ODDS: f64 = 99.0;

/// What comes next for one variant of a row (or for the row, where it has none).
pub(crate) fn next_step(
    experiment: &Experiment,
    variant: Option<&str>,
    trials: &[CompletedTrial],
    facts: &RunFacts,
) -> Step {
    EffectRule::new(experiment, variant, trials, facts).next_step()
}

struct EffectRule<'a> {
    experiment: &'a Experiment,
    variant: Option<&'a str>,
    trials: &'a [CompletedTrial],
    facts: &'a RunFacts,
    negative: ArmCounts<'a>,
    treatment: ArmCounts<'a>,
    positive: ArmCounts<'a>,
    has_positive: bool,
    /// The screen was accepted and showed no effect: it stands for a treatment.
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
        let of = |arm: ArmKind, by: Option<&'a str>| {
            trials.iter().filter(move |t| t.arm == arm && t.variant.as_deref() == by)
        };
        // An arm that a variant does not write of its own is the row's, and its trials serve all variants.
        let negative_of = own.filter(|v| v.negative.is_some()).and(variant);
        let positive_of = own.filter(|v| v.positive.is_some()).and(variant);
        let mut treatment = count_outcomes(experiment, of(ArmKind::Treatment, variant));
        treatment.add_forced(count_outcomes(experiment, of(ArmKind::Insist, variant)));
        let screened = of(ArmKind::Screen, None).any(|t| t.outcome(experiment) == TrialOutcome::EffectAbsent);
        if screened {
            treatment.counts.fails += 1;
        }
        Self {
            experiment,
            variant,
            trials,
            facts,
            negative: count_outcomes(experiment, of(ArmKind::Negative, negative_of)),
            treatment,
            positive: count_outcomes(experiment, of(ArmKind::Positive, positive_of)),
            has_positive: experiment.positive.is_some() || own.is_some_and(|v| v.positive.is_some()),
            screen_without_effect: screened,
        }
    }

    fn trial_step(&self, arm: ArmKind) -> Step {
        let own = self.variant.and_then(|name| self.experiment.variants.get(name));
        let shared = match arm {
            ArmKind::Negative => own.is_some_and(|v| v.negative.is_none()),
            ArmKind::Positive => own.is_some_and(|v| v.positive.is_none()),
            _ => false,
        };
        let variant = if shared { None } else { self.variant.map(str::to_owned) };
        Step::Run(TrialSpec { variant, arm })
    }

    fn next_step(&self) -> Step {
        let screen = self.experiment.screen_arms.as_ref().and_then(|s| s.treatment.as_ref());
        if screen.is_some() && !self.trials.iter().any(|t| t.arm == ArmKind::Screen) {
            return Step::Run(TrialSpec { variant: None, arm: ArmKind::Screen });
        }
        if let Some(step) = self.treatment_step() {
            return step;
        }
        // An arm that was sent must have been answered; one that was not is needed where the effect may come unasked.
        let control_needed = self.treatment.counts.shows > 0 && self.effect_may_occur_by_chance();
        if (control_needed || self.negative.is_sent())
            && let Some(step) = self.negative_control()
        {
            return step;
        }
        if let Some(verdict) = self.chance_effect_verdict() {
            return Step::Decided(verdict);
        }
        self.try_decide().unwrap_or_else(|| self.next_trial())
    }

    /// Trials that an arm must have before it decides.
    fn min_trials(&self) -> u32 {
        self.facts.min_trials(self.experiment.id())
    }

    /// True where the effect does not prove by itself that the field was read.
    fn effect_may_occur_by_chance(&self) -> bool {
        match self.experiment.by_chance {
            ChanceRate::Never | ChanceRate::Possible => true,
            ChanceRate::Rare => !self.experiment.effect.as_ref().is_some_and(MessagePredicate::needs_random_values),
            ChanceRate::OneIn(_) => false,
        }
    }

    /// The effect shows without the field as well: nothing can be told from it.
    fn chance_effect_verdict(&self) -> Option<Verdict> {
        let n = self.negative.counts;
        match self.experiment.by_chance {
            ChanceRate::Never if n.shows > 0 => Some(inconclusive_verdict(
                InconclusiveReason::AlwaysOn,
                "it shows without the field as well: always on",
            )),
            ChanceRate::Rare if n.shows > 0 => Some(inconclusive_verdict(
                InconclusiveReason::DoesNotDiscriminate,
                "the negative arm shows the effect too",
            )),
            ChanceRate::Possible if n.shows >= 4 && n.shows > n.fails => Some(inconclusive_verdict(
                InconclusiveReason::DoesNotDiscriminate,
                format!("{} of {} answers show the effect without the field as well", n.shows, n.trials()),
            )),
            ChanceRate::Never | ChanceRate::Rare | ChanceRate::OneIn(_) | ChanceRate::Possible => None,
        }
    }

    fn next_treatment(&self) -> Step {
        let press = self.experiment.insist.is_some() && self.treatment.no_signal > 0;
        self.trial_step(if press { ArmKind::Insist } else { ArmKind::Treatment })
    }

    fn hypotheses(&self) -> RateHypotheses {
        let honoured = if self.experiment.contrary.is_some() { BetaPrior::ENFORCED } else { BetaPrior::FLAT };
        let passed_over = match self.experiment.by_chance {
            ChanceRate::Never | ChanceRate::Rare => BetaPrior::RARE,
            ChanceRate::OneIn(n) => BetaPrior::one_in(n),
            ChanceRate::Possible => BetaPrior::OCCASIONAL,
        };
        RateHypotheses {
            supported: honoured.with_observations(self.positive.counts),
            ignored: passed_over.with_observations(self.negative.counts),
        }
    }

    /// A verdict, where the evidence suffices.
    fn try_decide(&self) -> Option<Step> {
        let (t, p) = (self.treatment.counts, self.positive.counts);
        let log = self.hypotheses().log_bayes_factor(t);
        let meter = self.usage_signal();
        let least = self.min_trials().max(1 + u32::from(self.experiment.by_chance == ChanceRate::Possible));
        let certain = self.experiment.by_chance == ChanceRate::Never;
        let enforced = self.experiment.contrary.is_some();
        let could = enforced || p.shows > 0;
        // What a server enforces it enforces always: one answer that shows the contrary is one too many. And what it
        // passes over it passes over always, unless the effect shows by itself now and then.
        let broken = enforced && t.fails > 0;
        let obeyed = enforced && t.shows > 0 && self.negative.counts.shows == 0;
        if self.treatment.counts.fails > 0
            && let Some(verdict) = self.inconsistency_verdict()
        {
            return Some(Step::Decided(verdict));
        }
        // Of an endpoint that is known to be unsteady, answers without the effect must be explained by the model.
        let explained =
            !self.facts.is_inconsistent || t.fails == 0 || !self.has_positive || p.trials() >= MIN_TRIALS_EACH_WAY;
        match evaluate(log, self.facts.confidence) {
            PosteriorDecision::Supported(confidence) if t.trials() >= least && t.shows > 0 && !broken && explained => {
                return Some(Step::Decided(self.supported_verdict((!certain).then_some(confidence))));
            }
            PosteriorDecision::Ignored(_) if could && meter == Some(UsageSignal::Increased) && !enforced => {
                return Some(Step::Decided(inconclusive_verdict(
                    InconclusiveReason::EvidenceDisagrees,
                    format!(
                        "the model shows the effect in none of {} answers, and in {} of {} through a channel known to work; \
                         yet the usage meter counts the field's content",
                        t.trials(),
                        p.shows,
                        p.trials()
                    ),
                )));
            }
            PosteriorDecision::Ignored(confidence) if could && t.fails >= least && !obeyed => {
                return Some(self.recheck_invalid_values(self.ignored_verdict(
                    EvidenceKind::Effect,
                    Some(confidence),
                    meter,
                )));
            }
            PosteriorDecision::Supported(_) | PosteriorDecision::Ignored(_) | PosteriorDecision::Inconclusive => {}
        }
        // The contrary of an effect that is true of the protocol needs no statistics either.
        if certain && enforced && t.shows == 0 && t.fails >= least {
            return Some(self.recheck_invalid_values(self.ignored_verdict(EvidenceKind::Effect, None, meter)));
        }
        // Model and meter both say that nothing arrived.
        if t.shows == 0
            && t.fails >= least
            && p.shows > 0
            && p.fails == 0
            && meter == Some(UsageSignal::Unchanged)
            && let PosteriorDecision::Ignored(confidence) = evaluate(log - USAGE_METER_ODDS.ln(), self.facts.confidence)
        {
            return Some(self.recheck_own_block(self.ignored_verdict(EvidenceKind::Effect, Some(confidence), meter)));
        }
        None
    }

    /// The next trial; or the end, where more would not help.
    fn next_trial(&self) -> Step {
        let (t, p, n) = (&self.treatment, &self.positive, &self.negative);
        if let Some(verdict) = self.inconsistency_verdict() {
            return Step::Decided(verdict);
        }
        let shown_elsewhere = self.experiment.contrary.is_some();
        if t.counts.fails > 0 && !shown_elsewhere {
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
                        "still open after {} trials: the effect showed in {} of {} answers with the field, {} of {} \
                         without it, {} of {} through a channel known to work",
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
        // What shows by itself now and then must be known well before "now and then" can be ruled out; the more so
        // where the treatment arm is of two minds.
        let wanted = match self.experiment.by_chance {
            ChanceRate::Never | ChanceRate::Rare | ChanceRate::OneIn(_) => 0,
            // Only an effect can show by itself.
            ChanceRate::Possible if t.counts.shows == 0 => 0,
            ChanceRate::Possible if n.counts.shows > 0 => MAX_INFORMATIVE_NEGATIVE_TRIALS,
            ChanceRate::Possible => {
                (t.counts.trials().saturating_sub(1)).clamp(MIN_NEGATIVE_TRIALS, MAX_INFORMATIVE_NEGATIVE_TRIALS)
            }
        };
        if n.counts.trials() + n.no_signal < wanted.min(t.counts.trials() + 1)
            && n.response_count() < wanted + MAX_UNUSABLE_TRIALS
        {
            return self.trial_step(ArmKind::Negative);
        }
        self.next_treatment()
    }

    /// The endpoint honours the field in some answers and passes over it in others, where the model cannot be the
    /// reason: a fleet of unequal servers, perhaps.
    fn inconsistency_verdict(&self) -> Option<Verdict> {
        let (t, n, p) = (self.treatment.counts, self.negative.counts, self.positive.counts);
        let enforced = self.experiment.contrary.is_some();
        let unlike =
            self.facts.is_inconsistent && t.shows > 0 && t.fails > 0 && p.shows >= MIN_TRIALS_EACH_WAY && p.fails == 0;
        let mixed = t.shows >= MIN_TRIALS_EACH_WAY
            && t.fails >= MIN_TRIALS_EACH_WAY
            && n.shows == 0
            && n.fails >= MIN_TRIALS_EACH_WAY;
        let certain = self.experiment.by_chance == ChanceRate::Never && t.shows > 0 && t.fails > 0;
        // Where one answer shows the effect, the content arrived; where the meter stands still, it did not.
        let arrived_and_not = t.shows > 0 && self.any_unchanged();
        (enforced && mixed || certain && n.shows == 0 || unlike || arrived_and_not).then(|| {
            inconclusive_verdict(
                InconclusiveReason::Inconsistent,
                format!(
                    "the field is honoured in {} of {} answers, and passed over in the others",
                    t.shows,
                    t.trials()
                ),
            )
        })
    }

    /// The positive arm keeps pace with the treatment arm once that has failed.
    fn positive_step(&self) -> Option<Step> {
        let (t, p) = (&self.treatment, &self.positive);
        let unusable = p
            .rejected
            .first()
            .map(|r| format!("HTTP {}: {}", r.status, r.message))
            .or(p.failed.clone())
            .or(p.malformed.clone());
        if let Some(why) = unusable {
            return Some(Step::Decided(inconclusive_verdict(
                InconclusiveReason::ModelDoesNotShow,
                format!("no effect shows, and the channel known to work could not be used: {why}"),
            )));
        }
        if p.unusable.len() as u32 >= MAX_UNUSABLE_TRIALS && p.counts.trials() == 0 {
            return Some(self.usage_verdict_or_else(|| unusable_trials_verdict("positive", &p.unusable)));
        }
        if p.counts.shows == 0 && p.counts.fails >= 3 && t.counts.shows == 0 && t.counts.fails >= 2 {
            return Some(self.usage_verdict_or_else(|| {
                inconclusive_verdict(
                    InconclusiveReason::ModelDoesNotShow,
                    format!(
                        "no effect in {} answers, and none in {} through a channel known to work either",
                        t.counts.trials(),
                        p.counts.trials()
                    ),
                )
            }));
        }
        (p.counts.trials() < t.counts.trials().max(1) && p.response_count() < MAX_TRIALS)
            .then(|| self.trial_step(ArmKind::Positive))
    }

    /// No effect shows, and there is no channel that is known to work: only impossible values can tell.
    fn decide_without_positive(&self) -> Step {
        let t = &self.treatment.counts;
        let enough = match self.experiment.by_chance {
            // What was sent several times in a row was seen several times.
            ChanceRate::Never if self.screen_without_effect || self.experiment.repeat > 1 => 1,
            ChanceRate::Never => 2,
            ChanceRate::Rare | ChanceRate::OneIn(_) | ChanceRate::Possible => 5,
        };
        let enough = enough.max(self.min_trials());
        if t.shows > 0 || t.fails < enough {
            return if self.treatment.response_count() >= MAX_TRIALS {
                Step::Decided(inconclusive_verdict(
                    InconclusiveReason::TrialLimit,
                    format!("still open: the effect showed in {} of {} answers", t.shows, t.trials()),
                ))
            } else {
                self.next_treatment()
            };
        }
        if self.experiment.challenge.is_empty() {
            return Step::Decided(inconclusive_verdict(
                InconclusiveReason::ModelDoesNotShow,
                format!("no effect in {} answers, and nothing shows that this model could", t.trials()),
            ));
        }
        match validation::invalid_values(self.experiment, self.trials, self.facts) {
            Step::Run(needed) => Step::Run(needed),
            Step::Decided(verdict) => Step::Decided(match verdict.status {
                VerdictStatus::Ignored => {
                    let reason = format!("no effect in {} answers, and {}", t.trials(), verdict.reason);
                    Verdict { reason, evidence: Some(EvidenceKind::Effect), ..verdict }
                }
                // A screen that shows nothing says little where one of its values is looked at.
                VerdictStatus::Supported
                    if self.screen_without_effect && t.fails == 1 && self.treatment.response_count() < MAX_TRIALS =>
                {
                    return self.next_treatment();
                }
                VerdictStatus::Supported => inconclusive_verdict(
                    InconclusiveReason::ValidatedWithoutEffect,
                    format!("no effect in {} answers, though {}", t.trials(), verdict.reason),
                ),
                VerdictStatus::Rejected
                | VerdictStatus::Substituted
                | VerdictStatus::Inconclusive
                | VerdictStatus::Skipped => verdict,
            }),
        }
    }

    /// What is passed over may have been looked at all the same; a row with challenges says so.
    fn recheck_invalid_values(&self, ignored: Verdict) -> Step {
        if self.experiment.genuine.is_some() {
            return self.recheck_own_block(ignored);
        }
        if self.experiment.challenge.is_empty() {
            return Step::Decided(ignored);
        }
        match validation::invalid_values(self.experiment, self.trials, self.facts) {
            Step::Run(needed) => Step::Run(needed),
            Step::Decided(checked) if checked.status == VerdictStatus::Supported => {
                let mut verdict = ignored;
                verdict.qualifiers.push(format!("validated, then ignored: {}", checked.reason));
                Step::Decided(verdict)
            }
            Step::Decided(_) => Step::Decided(ignored),
        }
    }

    fn supported_verdict(&self, confidence: Option<f64>) -> Verdict {
        let (t, n) = (&self.treatment, &self.negative);
        let mut reason =
            format!("the effect shows in {} of {} answers with the field", t.counts.shows, t.response_count());
        match self.experiment.by_chance {
            ChanceRate::OneIn(of) => reason.push_str(&format!(", where one in {of} would by chance")),
            _ if n.response_count() == 0 => reason.push_str(", and holds a code word that only the field carried"),
            _ => reason.push_str(&format!(", {} of {} without it", n.counts.shows, n.response_count())),
        }
        let mut verdict = decided_verdict(VerdictStatus::Supported, EvidenceKind::Effect, confidence, reason);
        let seen = self.treatment.partial_effects.iter().filter_map(|way| self.experiment.partial.get(*way));
        verdict.qualifiers.extend(seen.map(|partial| partial.note.clone()));
        verdict
    }

    fn ignored_verdict(&self, evidence: EvidenceKind, confidence: Option<f64>, meter: Option<UsageSignal>) -> Verdict {
        let (t, p) = (self.treatment.counts, self.positive.counts);
        let mut reason = if self.experiment.contrary.is_some() {
            format!("{} of {} answers with the field show that it was passed over", t.fails, t.trials())
        } else {
            format!(
                "the effect shows in {} of {} answers with the field, and in {} of {} through a channel known to work",
                t.shows,
                t.trials(),
                p.shows,
                p.trials()
            )
        };
        if meter == Some(UsageSignal::Unchanged) {
            reason.push_str("; the usage meter agrees");
        }
        decided_verdict(VerdictStatus::Ignored, evidence, confidence, reason)
    }
}

fn unusable_trials_verdict(arm: &str, why: &[String]) -> Verdict {
    inconclusive_verdict(
        InconclusiveReason::UnusableTrials,
        format!("{} trials of the {arm} arm say nothing: {}", why.len(), why.first().map_or("", String::as_str)),
    )
}
