//! The rule for rows with a visible effect: negative, treatment and positive arm under a sequential test, with the
//! usage meter as a second witness, and challenges where there is no channel that is known to work.

use super::decide::{Facts, Step, Try, decided, inconclusive, rejected};
use super::effect::holds;
use super::meter::{Meter, read_meter};
use super::recording::ArmKind;
use super::sequential::{Accounts, Counts, Prior, Weight, weigh};
use super::trial::{Seen, Trial};
use super::undecided::Undecided;
use super::validation;
use crate::case::{Chance, Experiment, VerdictStatus};
use crate::report::results::{Evidence, Verdict};
use crate::wire::message::{Reading, Refusal};

/// Trials of one arm after which a row is given up.
pub(super) const TRIAL_LIMIT: u32 = 12;
/// Trials of one arm that say nothing after which it is given up.
pub(super) const VOID_LIMIT: u32 = 3;
/// Trials of the negative arm, where the effect may show by itself.
const NEGATIVE_LIMIT: u32 = 8;
/// What the meter's word adds to the evidence: it is taken to be wrong once in a hundred times.
const METER_ODDS: f64 = 99.0;

/// One arm, summed up.
#[derive(Debug, Default)]
struct Arm<'a> {
    counts: Counts,
    partial: u32,
    silent: u32,
    void: Vec<String>,
    refused: Vec<&'a Refusal>,
    failed: Option<String>,
    broken: Option<String>,
}

impl Arm<'_> {
    /// Trials that brought a sound answer.
    fn answered(&self) -> u32 {
        self.counts.trials() + self.silent + self.void.len() as u32
    }
}

fn sum<'a>(experiment: &Experiment, trials: impl Iterator<Item = &'a Trial>) -> Arm<'a> {
    let mut arm = Arm::default();
    for trial in trials {
        match trial.seen(experiment) {
            Seen::Shows { partial } => {
                arm.counts.shows += 1;
                arm.partial += u32::from(partial);
            }
            Seen::Absent => arm.counts.fails += 1,
            Seen::Silent => arm.silent += 1,
            Seen::Void(why) => arm.void.push(why),
            Seen::Refused(refusal) => arm.refused.push(refusal),
            Seen::Failed(why) => arm.failed = Some(why),
            Seen::Broken(why) => arm.broken = Some(why),
        }
    }
    arm
}

/// What comes next for one variant of a row (or for the row, where it has none).
pub(super) fn next(experiment: &Experiment, variant: Option<&str>, trials: &[Trial], facts: &Facts) -> Step {
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
}

impl<'a> Rule<'a> {
    fn new(experiment: &'a Experiment, variant: Option<&'a str>, trials: &'a [Trial], facts: &'a Facts) -> Self {
        let own = variant.and_then(|name| experiment.variants.get(name));
        let of = |arms: &'static [ArmKind], by: Option<&'a str>| {
            trials.iter().filter(move |t| arms.contains(&t.arm) && t.variant.as_deref() == by)
        };
        // An arm that a variant does not write of its own is the row's, and its trials serve all variants.
        let negative_of = own.filter(|v| v.negative.is_some()).and(variant);
        let positive_of = own.filter(|v| v.positive.is_some()).and(variant);
        let mut treatment = sum(experiment, of(&[ArmKind::Treatment], variant));
        // A refusal of the pressed form may be about what presses it: it says nothing about the field.
        let pressed = sum(experiment, of(&[ArmKind::Insist], variant));
        treatment.counts.shows += pressed.counts.shows;
        treatment.counts.fails += pressed.counts.fails;
        treatment.partial += pressed.partial;
        treatment.silent += pressed.silent + pressed.refused.len() as u32;
        treatment.void.extend(pressed.void);
        treatment.failed = treatment.failed.or(pressed.failed);
        treatment.broken = treatment.broken.or(pressed.broken);
        Self {
            experiment,
            variant,
            trials,
            facts,
            negative: sum(experiment, of(&[ArmKind::Negative], negative_of)),
            treatment,
            positive: sum(experiment, of(&[ArmKind::Positive], positive_of)),
            has_positive: experiment.positive.is_some() || own.is_some_and(|v| v.positive.is_some()),
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
        if let Some(step) = self.negative_step() {
            return step;
        }
        if let Some(step) = self.treatment_step() {
            return step;
        }
        if let Some(verdict) = self.shows_by_itself() {
            return Step::Done(verdict);
        }
        self.weighed().unwrap_or_else(|| self.more())
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
            Chance::Never | Chance::Rare | Chance::Possible => None,
        }
    }

    /// The negative arm must answer before anything can be attributed to the field.
    fn negative_step(&self) -> Option<Step> {
        let n = &self.negative;
        if let Some(refusal) = n.refused.first() {
            return Some(Step::Done(inconclusive(
                Undecided::NegativeRefused,
                format!(
                    "without the field the request is refused as well (HTTP {}: {})",
                    refusal.status, refusal.message
                ),
            )));
        }
        if let Some(why) = &n.failed {
            return Some(Step::Done(inconclusive(
                Undecided::NegativeFailed,
                format!("without the field no answer came: {why}"),
            )));
        }
        if let Some(why) = &n.broken {
            return Some(Step::Done(inconclusive(Undecided::BrokenAnswer, format!("without the field: {why}"))));
        }
        if n.counts.trials() + n.silent > 0 {
            return None;
        }
        if n.void.len() as u32 >= VOID_LIMIT {
            return Some(Step::Done(void("negative", &n.void)));
        }
        Some(self.send(ArmKind::Negative))
    }

    /// The treatment arm must be accepted, and say something.
    fn treatment_step(&self) -> Option<Step> {
        let t = &self.treatment;
        if let Some(refusal) = t.refused.last() {
            return Some(self.refused(refusal));
        }
        if let Some(why) = &t.failed {
            return Some(Step::Done(inconclusive(
                Undecided::TreatmentFailed,
                format!("with the field no answer came: {why}"),
            )));
        }
        if let Some(why) = &t.broken {
            return Some(Step::Done(inconclusive(Undecided::BrokenAnswer, format!("with the field: {why}"))));
        }
        if t.counts.trials() > 0 {
            return None;
        }
        if t.void.len() as u32 >= VOID_LIMIT {
            return Some(Step::Done(void("treatment", &t.void)));
        }
        if t.silent > VOID_LIMIT {
            return Some(Step::Done(inconclusive(
                Undecided::ModelDoesNotShow,
                format!("in {} answers the model shows neither the effect nor its contrary", t.silent),
            )));
        }
        Some(self.treat())
    }

    fn treat(&self) -> Step {
        let press = self.experiment.insist.is_some() && self.treatment.silent > 0;
        self.send(if press { ArmKind::Insist } else { ArmKind::Treatment })
    }

    fn refused(&self, refusal: &Refusal) -> Step {
        if self.treatment.answered() > 0 {
            return Step::Done(inconclusive(
                Undecided::Unsteady,
                format!("the same request was accepted and refused (HTTP {}: {})", refusal.status, refusal.message),
            ));
        }
        if self.experiment.genuine.is_some() {
            return self.genuine(refusal);
        }
        let verdict = rejected(self.experiment.id(), refusal, self.facts);
        // A refusal that does not say what it is about is asked for twice.
        if !super::decide::names(&refusal.message, self.experiment.id()) && self.treatment.refused.len() < 2 {
            return self.send(ArmKind::Treatment);
        }
        Step::Done(verdict)
    }

    /// The made-up block was refused: does the endpoint take its own?
    fn genuine(&self, refusal: &Refusal) -> Step {
        let Some(trial) = self.trials.iter().find(|t| t.arm == ArmKind::Genuine) else {
            return self.send(ArmKind::Genuine);
        };
        let mut verdict = rejected(self.experiment.id(), refusal, self.facts);
        if trial.steps.len() < 2 {
            verdict.qualifiers.push("the endpoint made no such block of its own that could be handed back".to_owned());
            return Step::Done(verdict);
        }
        Step::Done(match trial.seen(self.experiment) {
            Seen::Refused(own) => rejected(self.experiment.id(), own, self.facts),
            Seen::Failed(why) => inconclusive(
                Undecided::TreatmentFailed,
                format!("the endpoint's own block, handed back, brought no answer: {why}"),
            ),
            Seen::Broken(why) => inconclusive(Undecided::BrokenAnswer, why),
            Seen::Shows { .. } | Seen::Absent | Seen::Silent | Seen::Void(_) => decided(
                VerdictStatus::Supported,
                Evidence::Validated,
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
    fn unless_genuine(&self, ignored: Verdict) -> Step {
        let Some(genuine) = &self.experiment.genuine else { return Step::Done(ignored) };
        let Some(trial) = self.trials.iter().find(|t| t.arm == ArmKind::Genuine) else {
            return self.send(ArmKind::Genuine);
        };
        let (Some(Reading::Message(first)), Some(Reading::Message(second))) = (trial.steps.first(), trial.steps.get(1))
        else {
            return Step::Done(match trial.steps.get(1) {
                // The endpoint makes no such block: there is none but made-up ones.
                None => ignored,
                Some(_) => inconclusive(
                    Undecided::TreatmentFailed,
                    format!("{}; but the endpoint's own block, handed back, brings no message", ignored.reason),
                ),
            });
        };
        let holds = |predicate, message| holds(predicate, message, &trial.values);
        if !holds(&genuine.carries, first) {
            return Step::Done(inconclusive(
                Undecided::ModelDoesNotShow,
                format!(
                    "{}; the endpoint's own block might be treated otherwise, but holds nothing to ask for",
                    ignored.reason
                ),
            ));
        }
        if self.experiment.effect.as_ref().is_some_and(|effect| holds(effect, second)) {
            let told = "the endpoint's own block, handed back, is read".to_owned();
            let mut verdict = decided(VerdictStatus::Supported, Evidence::Effect, None, told);
            verdict.qualifiers.push(format!("a made-up block is accepted and passed over: {}", ignored.reason));
            return Step::Done(verdict);
        }
        if self.positive.counts.shows == 0 {
            return Step::Done(inconclusive(
                Undecided::ModelDoesNotShow,
                format!(
                    "{}; the endpoint's own block might be treated otherwise, which this model does not show",
                    ignored.reason
                ),
            ));
        }
        Step::Done(ignored)
    }

    fn accounts(&self) -> Accounts {
        let honoured = if self.experiment.contrary.is_some() { Prior::ENFORCED } else { Prior::FLAT };
        let passed_over = match self.experiment.by_chance {
            Chance::Never | Chance::Rare => Prior::HARDLY_EVER,
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
        let least = match self.experiment.by_chance {
            Chance::Never => 1,
            Chance::Rare | Chance::Possible => 2,
        };
        let certain = self.experiment.by_chance == Chance::Never;
        let could = self.experiment.contrary.is_some() || p.shows > 0;
        // What a server enforces it enforces always: one answer that shows the contrary is one too many.
        let broken = self.experiment.contrary.is_some() && t.fails > 0;
        match weigh(log, self.facts.confidence) {
            Weight::Honoured(confidence) if t.trials() >= least && t.shows > 0 && !broken => {
                return Some(Step::Done(self.supported((!certain).then_some(confidence))));
            }
            Weight::PassedOver(_) if could && meter == Some(Meter::Rises) && self.experiment.contrary.is_none() => {
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
            Weight::PassedOver(confidence) if could && t.fails >= least => {
                return Some(self.unless_genuine(self.ignored(Evidence::Effect, Some(confidence), meter)));
            }
            Weight::Honoured(_) | Weight::PassedOver(_) | Weight::Open => {}
        }
        // The contrary of an effect that is true of the protocol needs no statistics either.
        if certain && self.experiment.contrary.is_some() && t.shows == 0 && t.fails > 0 {
            return Some(Step::Done(self.ignored(Evidence::Effect, None, meter)));
        }
        // Model and meter both say that nothing arrived.
        if t.shows == 0
            && t.fails >= 2
            && p.shows >= 2
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
        let shown_elsewhere = self.experiment.contrary.is_some();
        if t.counts.fails > 0 && !shown_elsewhere {
            if !self.has_positive {
                return self.without_positive();
            }
            if let Some(step) = self.positive_step() {
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
            Chance::Never | Chance::Rare => 1,
            Chance::Possible if n.counts.shows > 0 => NEGATIVE_LIMIT,
            Chance::Possible => (t.counts.trials().saturating_sub(2)).clamp(3, NEGATIVE_LIMIT),
        };
        if n.counts.trials() + n.silent < wanted.min(t.counts.trials() + 1) && n.answered() < wanted + VOID_LIMIT {
            return self.send(ArmKind::Negative);
        }
        self.treat()
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
        let enough = if self.experiment.by_chance == Chance::Never { 2 } else { 5 };
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

    fn meter(&self) -> Option<Meter> {
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
            of(ArmKind::Treatment, self.variant)?,
            of(ArmKind::Positive, positive_of)?,
        )
    }

    /// The meter's word, where the model has none; else what `otherwise` says.
    fn meter_or(&self, otherwise: impl FnOnce() -> Verdict) -> Step {
        match self.by_meter() {
            Some(verdict) if verdict.status == VerdictStatus::Ignored => self.unless_genuine(verdict),
            Some(verdict) => Step::Done(verdict),
            None => Step::Done(otherwise()),
        }
    }

    /// The meter's verdict. It is heard only where there is a model behind it: a server that answers canned text may
    /// count words as it likes.
    fn by_meter(&self) -> Option<Verdict> {
        if self.treatment.counts.shows > 0 || !self.facts.model_reads {
            return None;
        }
        let told = "the model does not show the effect, but the usage meter moves with content that reaches it";
        match self.meter()? {
            Meter::Rises => Some(decided(
                VerdictStatus::Supported,
                Evidence::UsageMeter,
                None,
                format!("{told}, and with this field it rises"),
            )),
            Meter::Flat => Some(decided(
                VerdictStatus::Ignored,
                Evidence::UsageMeter,
                None,
                format!("{told}, and with this field it does not"),
            )),
            Meter::Unclear => None,
        }
    }

    fn supported(&self, confidence: Option<f64>) -> Verdict {
        let (t, n) = (&self.treatment, &self.negative);
        let mut verdict = decided(
            VerdictStatus::Supported,
            Evidence::Effect,
            confidence,
            format!(
                "the effect shows in {} of {} answers with the field, {} of {} without it",
                t.counts.shows,
                t.answered(),
                n.counts.shows,
                n.answered()
            ),
        );
        if let Some(partial) = self.experiment.partial.as_ref().filter(|_| self.treatment.partial > 0) {
            verdict.qualifiers.push(partial.note.clone());
        }
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
