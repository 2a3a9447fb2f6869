//! The rule for rows with a visible effect: treatment, positive and negative arm under a sequential test, with the
//! usage meter as a second witness, and challenges where there is no channel that is known to work.
//!
//! The treatment goes first, since it decides most. The others are sent only once they can decide something: the
//! positive arm when the treatment shows no effect, the negative arm when it shows one that might show by itself, or
//! is refused. `refusal` says what requests without a message prove, `witness` when the meter is heard.

mod counts;
mod rejection;
mod usage_signal;

use crate::catalog::{Chance, Experiment, Predicate, VerdictStatus};
use crate::engine::inconclusive::Undecided;
use crate::engine::rules::bayes::{Accounts, Prior, Weight, weigh};
use crate::engine::rules::effect::counts::{Arm, sum};
use crate::engine::rules::usage_meter::Meter;
use crate::engine::rules::{Facts, Step, Try, decided, inconclusive, validation};
use crate::engine::trial::{Seen, Trial};
use crate::recording::run::ArmKind;
use crate::results::model::{Evidence, Verdict};

/// Trials of one arm after which a row is given up.
pub(crate) const TRIAL_LIMIT: u32 = 12;
/// Trials of one arm that say nothing after which it is given up.
pub(crate) const VOID_LIMIT: u32 = 3;
/// Trials of the negative arm, where the effect may show by itself: with four of the treatment, a habit of any rate
/// looks like the field with a probability below one in a hundred.
const NEGATIVE_LEAST: u32 = 3;
/// The same, once it was seen to show by itself.
const NEGATIVE_LIMIT: u32 = 8;
/// The most trials of the negative arm, with those that say nothing.
pub(crate) const MOST_NEGATIVE: u32 = NEGATIVE_LIMIT + VOID_LIMIT;
/// Answers each way that show of an arm that the endpoint treats equal requests unequally.
const EACH_WAY: u32 = 3;
/// What the meter's word adds to the evidence: it is taken to be wrong once in a hundred times.
const METER_ODDS: f64 = 99.0;

/// What comes next for one variant of a row (or for the row, where it has none).
pub(crate) fn next(experiment: &Experiment, variant: Option<&str>, trials: &[Trial], facts: &Facts) -> Step {
    Rule::new(experiment, variant, trials, facts).next()
}

struct Rule<'a> {
    experiment: &'a Experiment,
    variant: Option<&'a str>,
    trials: &'a [Trial],
    facts: &'a Facts,
    negative: Arm<'a>,
    treatment: Arm<'a>,
    positive: Arm<'a>,
    has_positive: bool,
    /// The screen was accepted and showed no effect: it stands for a treatment.
    screened: bool,
}

impl<'a> Rule<'a> {
    fn new(experiment: &'a Experiment, variant: Option<&'a str>, trials: &'a [Trial], facts: &'a Facts) -> Self {
        let own = variant.and_then(|name| experiment.variants.get(name));
        let of = |arm: ArmKind, by: Option<&'a str>| {
            trials.iter().filter(move |t| t.arm == arm && t.variant.as_deref() == by)
        };
        // An arm that a variant does not write of its own is the row's, and its trials serve all variants.
        let negative_of = own.filter(|v| v.negative.is_some()).and(variant);
        let positive_of = own.filter(|v| v.positive.is_some()).and(variant);
        let mut treatment = sum(experiment, of(ArmKind::Treatment, variant));
        treatment.add_pressed(sum(experiment, of(ArmKind::Insist, variant)));
        let screened = of(ArmKind::Screen, None).any(|t| t.seen(experiment) == Seen::Absent);
        if screened {
            treatment.counts.fails += 1;
        }
        Self {
            experiment,
            variant,
            trials,
            facts,
            negative: sum(experiment, of(ArmKind::Negative, negative_of)),
            treatment,
            positive: sum(experiment, of(ArmKind::Positive, positive_of)),
            has_positive: experiment.positive.is_some() || own.is_some_and(|v| v.positive.is_some()),
            screened,
        }
    }

    fn send(&self, arm: ArmKind) -> Step {
        let own = self.variant.and_then(|name| self.experiment.variants.get(name));
        let shared = match arm {
            ArmKind::Negative => own.is_some_and(|v| v.negative.is_none()),
            ArmKind::Positive => own.is_some_and(|v| v.positive.is_none()),
            _ => false,
        };
        let variant = if shared { None } else { self.variant.map(str::to_owned) };
        Step::Try(Try { variant, arm })
    }

    fn next(&self) -> Step {
        let screen = self.experiment.screen_arms.as_ref().and_then(|s| s.treatment.as_ref());
        if screen.is_some() && !self.trials.iter().any(|t| t.arm == ArmKind::Screen) {
            return Step::Try(Try { variant: None, arm: ArmKind::Screen });
        }
        if let Some(step) = self.treatment_step() {
            return step;
        }
        // An arm that was sent must have been answered; one that was not is needed where the effect may come unasked.
        let control_needed = self.treatment.counts.shows > 0 && self.may_show_by_itself();
        if (control_needed || self.negative.is_sent())
            && let Some(step) = self.control()
        {
            return step;
        }
        if let Some(verdict) = self.shows_by_itself() {
            return Step::Done(verdict);
        }
        self.weighed().unwrap_or_else(|| self.more())
    }

    /// Trials that an arm must have before it decides.
    fn least(&self) -> u32 {
        self.facts.least(self.experiment.id())
    }

    /// True where the effect does not prove by itself that the field was read.
    fn may_show_by_itself(&self) -> bool {
        match self.experiment.by_chance {
            Chance::Never | Chance::Possible => true,
            Chance::Rare => !self.experiment.effect.as_ref().is_some_and(Predicate::needs_drawn),
            Chance::OneIn(_) => false,
        }
    }

    /// The effect shows without the field as well: nothing can be told from it.
    fn shows_by_itself(&self) -> Option<Verdict> {
        let n = self.negative.counts;
        match self.experiment.by_chance {
            Chance::Never if n.shows > 0 => {
                Some(inconclusive(Undecided::AlwaysOn, "it shows without the field as well: always on"))
            }
            Chance::Rare if n.shows > 0 => {
                Some(inconclusive(Undecided::DoesNotDiscriminate, "the negative arm shows the effect too"))
            }
            Chance::Possible if n.shows >= 4 && n.shows > n.fails => Some(inconclusive(
                Undecided::DoesNotDiscriminate,
                format!("{} of {} answers show the effect without the field as well", n.shows, n.trials()),
            )),
            Chance::Never | Chance::Rare | Chance::OneIn(_) | Chance::Possible => None,
        }
    }

    fn treat(&self) -> Step {
        let press = self.experiment.insist.is_some() && self.treatment.silent > 0;
        self.send(if press { ArmKind::Insist } else { ArmKind::Treatment })
    }

    fn accounts(&self) -> Accounts {
        let honoured = if self.experiment.contrary.is_some() { Prior::ENFORCED } else { Prior::FLAT };
        let passed_over = match self.experiment.by_chance {
            Chance::Never | Chance::Rare => Prior::HARDLY_EVER,
            Chance::OneIn(n) => Prior::one_in(n),
            Chance::Possible => Prior::NOW_AND_THEN,
        };
        Accounts {
            honoured: honoured.after(self.positive.counts),
            passed_over: passed_over.after(self.negative.counts),
        }
    }

    /// A verdict, where the evidence suffices.
    fn weighed(&self) -> Option<Step> {
        let (t, p) = (self.treatment.counts, self.positive.counts);
        let log = self.accounts().log_factor(t);
        let meter = self.meter();
        let least = self.least().max(1 + u32::from(self.experiment.by_chance == Chance::Possible));
        let certain = self.experiment.by_chance == Chance::Never;
        let enforced = self.experiment.contrary.is_some();
        let could = enforced || p.shows > 0;
        // What a server enforces it enforces always: one answer that shows the contrary is one too many. And what it
        // passes over it passes over always, unless the effect shows by itself now and then.
        let broken = enforced && t.fails > 0;
        let obeyed = enforced && t.shows > 0 && self.negative.counts.shows == 0;
        if self.treatment.counts.fails > 0
            && let Some(verdict) = self.both_ways()
        {
            return Some(Step::Done(verdict));
        }
        // Of an endpoint that is known to be unsteady, answers without the effect must be explained by the model.
        let explained = !self.facts.unsteady || t.fails == 0 || !self.has_positive || p.trials() >= EACH_WAY;
        match weigh(log, self.facts.confidence) {
            Weight::Honoured(confidence) if t.trials() >= least && t.shows > 0 && !broken && explained => {
                return Some(Step::Done(self.supported((!certain).then_some(confidence))));
            }
            Weight::PassedOver(_) if could && meter == Some(Meter::Rises) && !enforced => {
                return Some(Step::Done(inconclusive(
                    Undecided::EvidenceDisagrees,
                    format!(
                        "the model shows the effect in none of {} answers, and in {} of {} through a channel known to work; \
                         yet the usage meter counts the field's content",
                        t.trials(),
                        p.shows,
                        p.trials()
                    ),
                )));
            }
            Weight::PassedOver(confidence) if could && t.fails >= least && !obeyed => {
                return Some(self.unless_checked(self.ignored(Evidence::Effect, Some(confidence), meter)));
            }
            Weight::Honoured(_) | Weight::PassedOver(_) | Weight::Open => {}
        }
        // The contrary of an effect that is true of the protocol needs no statistics either.
        if certain && enforced && t.shows == 0 && t.fails >= least {
            return Some(self.unless_checked(self.ignored(Evidence::Effect, None, meter)));
        }
        // Model and meter both say that nothing arrived.
        if t.shows == 0
            && t.fails >= least
            && p.shows > 0
            && p.fails == 0
            && meter == Some(Meter::Flat)
            && let Weight::PassedOver(confidence) = weigh(log - METER_ODDS.ln(), self.facts.confidence)
        {
            return Some(self.unless_genuine(self.ignored(Evidence::Effect, Some(confidence), meter)));
        }
        None
    }

    /// The next trial; or the end, where more would not help.
    fn more(&self) -> Step {
        let (t, p, n) = (&self.treatment, &self.positive, &self.negative);
        if let Some(verdict) = self.both_ways() {
            return Step::Done(verdict);
        }
        let shown_elsewhere = self.experiment.contrary.is_some();
        if t.counts.fails > 0 && !shown_elsewhere {
            if !self.has_positive {
                return self.without_positive();
            }
            if let Some(step) = self.meter_step().or_else(|| self.positive_step()) {
                return step;
            }
        }
        if t.answered() >= TRIAL_LIMIT {
            return self.meter_or(|| {
                inconclusive(
                    Undecided::TrialLimit,
                    format!(
                        "still open after {} trials: the effect showed in {} of {} answers with the field, {} of {} \
                         without it, {} of {} through a channel known to work",
                        t.answered(),
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
            Chance::Never | Chance::Rare | Chance::OneIn(_) => 0,
            // Only an effect can show by itself.
            Chance::Possible if t.counts.shows == 0 => 0,
            Chance::Possible if n.counts.shows > 0 => NEGATIVE_LIMIT,
            Chance::Possible => (t.counts.trials().saturating_sub(1)).clamp(NEGATIVE_LEAST, NEGATIVE_LIMIT),
        };
        if n.counts.trials() + n.silent < wanted.min(t.counts.trials() + 1) && n.answered() < wanted + VOID_LIMIT {
            return self.send(ArmKind::Negative);
        }
        self.treat()
    }

    /// The endpoint honours the field in some answers and passes over it in others, where the model cannot be the
    /// reason: a fleet of unequal servers, perhaps.
    fn both_ways(&self) -> Option<Verdict> {
        let (t, n, p) = (self.treatment.counts, self.negative.counts, self.positive.counts);
        let enforced = self.experiment.contrary.is_some();
        let unlike = self.facts.unsteady && t.shows > 0 && t.fails > 0 && p.shows >= EACH_WAY && p.fails == 0;
        let mixed = t.shows >= EACH_WAY && t.fails >= EACH_WAY && n.shows == 0 && n.fails >= EACH_WAY;
        let certain = self.experiment.by_chance == Chance::Never && t.shows > 0 && t.fails > 0;
        // Where one answer shows the effect, the content arrived; where the meter stands still, it did not.
        let arrived_and_not = t.shows > 0 && self.any_flat();
        (enforced && mixed || certain && n.shows == 0 || unlike || arrived_and_not).then(|| {
            inconclusive(
                Undecided::Unsteady,
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
            .refused
            .first()
            .map(|r| format!("HTTP {}: {}", r.status, r.message))
            .or(p.failed.clone())
            .or(p.broken.clone());
        if let Some(why) = unusable {
            return Some(Step::Done(inconclusive(
                Undecided::ModelDoesNotShow,
                format!("no effect shows, and the channel known to work could not be used: {why}"),
            )));
        }
        if p.void.len() as u32 >= VOID_LIMIT && p.counts.trials() == 0 {
            return Some(self.meter_or(|| void("positive", &p.void)));
        }
        if p.counts.shows == 0 && p.counts.fails >= 3 && t.counts.shows == 0 && t.counts.fails >= 2 {
            return Some(self.meter_or(|| {
                inconclusive(
                    Undecided::ModelDoesNotShow,
                    format!(
                        "no effect in {} answers, and none in {} through a channel known to work either",
                        t.counts.trials(),
                        p.counts.trials()
                    ),
                )
            }));
        }
        (p.counts.trials() < t.counts.trials().max(1) && p.answered() < TRIAL_LIMIT)
            .then(|| self.send(ArmKind::Positive))
    }

    /// No effect shows, and there is no channel that is known to work: only impossible values can tell.
    fn without_positive(&self) -> Step {
        let t = &self.treatment.counts;
        let enough = match self.experiment.by_chance {
            // What was sent several times in a row was seen several times.
            Chance::Never if self.screened || self.experiment.repeat > 1 => 1,
            Chance::Never => 2,
            Chance::Rare | Chance::OneIn(_) | Chance::Possible => 5,
        };
        let enough = enough.max(self.least());
        if t.shows > 0 || t.fails < enough {
            return if self.treatment.answered() >= TRIAL_LIMIT {
                Step::Done(inconclusive(
                    Undecided::TrialLimit,
                    format!("still open: the effect showed in {} of {} answers", t.shows, t.trials()),
                ))
            } else {
                self.treat()
            };
        }
        if self.experiment.challenge.is_empty() {
            return Step::Done(inconclusive(
                Undecided::ModelDoesNotShow,
                format!("no effect in {} answers, and nothing shows that this model could", t.trials()),
            ));
        }
        match validation::challenges(self.experiment, self.trials, self.facts) {
            Step::Try(needed) => Step::Try(needed),
            Step::Done(verdict) => Step::Done(match verdict.status {
                VerdictStatus::Ignored => {
                    let reason = format!("no effect in {} answers, and {}", t.trials(), verdict.reason);
                    Verdict { reason, evidence: Some(Evidence::Effect), ..verdict }
                }
                // A screen that shows nothing says little where one of its values is looked at.
                VerdictStatus::Supported
                    if self.screened && t.fails == 1 && self.treatment.answered() < TRIAL_LIMIT =>
                {
                    return self.treat();
                }
                VerdictStatus::Supported => inconclusive(
                    Undecided::ValidatedWithoutEffect,
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
    fn unless_checked(&self, ignored: Verdict) -> Step {
        if self.experiment.genuine.is_some() {
            return self.unless_genuine(ignored);
        }
        if self.experiment.challenge.is_empty() {
            return Step::Done(ignored);
        }
        match validation::challenges(self.experiment, self.trials, self.facts) {
            Step::Try(needed) => Step::Try(needed),
            Step::Done(checked) if checked.status == VerdictStatus::Supported => {
                let mut verdict = ignored;
                verdict.qualifiers.push(format!("validated, then ignored: {}", checked.reason));
                Step::Done(verdict)
            }
            Step::Done(_) => Step::Done(ignored),
        }
    }

    fn supported(&self, confidence: Option<f64>) -> Verdict {
        let (t, n) = (&self.treatment, &self.negative);
        let mut reason = format!("the effect shows in {} of {} answers with the field", t.counts.shows, t.answered());
        match self.experiment.by_chance {
            Chance::OneIn(of) => reason.push_str(&format!(", where one in {of} would by chance")),
            _ if n.answered() == 0 => reason.push_str(", and holds a code word that only the field carried"),
            _ => reason.push_str(&format!(", {} of {} without it", n.counts.shows, n.answered())),
        }
        let mut verdict = decided(VerdictStatus::Supported, Evidence::Effect, confidence, reason);
        let seen = self.treatment.partial.iter().filter_map(|way| self.experiment.partial.get(*way));
        verdict.qualifiers.extend(seen.map(|partial| partial.note.clone()));
        verdict
    }

    fn ignored(&self, evidence: Evidence, confidence: Option<f64>, meter: Option<Meter>) -> Verdict {
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
        if meter == Some(Meter::Flat) {
            reason.push_str("; the usage meter agrees");
        }
        decided(VerdictStatus::Ignored, evidence, confidence, reason)
    }
}

fn void(arm: &str, why: &[String]) -> Verdict {
    inconclusive(
        Undecided::VoidTrials,
        format!("{} trials of the {arm} arm say nothing: {}", why.len(), why.first().map_or("", String::as_str)),
    )
}
