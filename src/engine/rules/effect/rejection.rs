//! Requests that bring no message: what a refusal proves, and of whom.

use crate::catalog::VerdictStatus;
use crate::engine::inconclusive::Undecided;
use crate::engine::predicate::holds;
use crate::engine::request::arms;
use crate::engine::rules::effect::{Rule, VOID_LIMIT, void};
use crate::engine::rules::{Step, decided, inconclusive, names, rejected};
use crate::engine::trial::{Seen, Trial};
use crate::recording::run::ArmKind;
use crate::results::model::{Evidence, Verdict};
use crate::wire::message::{Reading, Refusal};

impl Rule<'_> {
    /// What stands in the way of holding the arm without the field against the others: it was refused, or brought no
    /// answer, or has not been sent.
    pub(super) fn control(&self) -> Option<Step> {
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
        (n.answered() == 0).then(|| self.send(ArmKind::Negative))
    }

    /// The treatment arm must be accepted, and say something.
    pub(super) fn treatment_step(&self) -> Option<Step> {
        let t = &self.treatment;
        if let Some(refusal) = t.refused.last() {
            return Some(self.refused(refusal));
        }
        if let Some(why) = &t.failed {
            return Some(self.control().unwrap_or_else(|| {
                Step::Done(inconclusive(Undecided::TreatmentFailed, format!("with the field no answer came: {why}")))
            }));
        }
        if let Some(why) = &t.broken {
            return Some(self.control().unwrap_or_else(|| {
                Step::Done(inconclusive(Undecided::BrokenAnswer, format!("with the field: {why}")))
            }));
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

    fn refused(&self, refusal: &Refusal) -> Step {
        let id = self.experiment.id();
        if self.treatment.answered() > 0 {
            return Step::Done(inconclusive(
                Undecided::Unsteady,
                format!("the same request was accepted and refused (HTTP {}: {})", refusal.status, refusal.message),
            ));
        }
        if self.experiment.genuine.is_some() {
            return self.genuine(refusal);
        }
        let named = names(&refusal.message, id);
        // A refusal that says what it is about needs no control where the rest of the request is known to be accepted.
        if !(named && arms::negative_is_plain(self.experiment, self.variant))
            && let Some(step) = self.control()
        {
            return step;
        }
        // One that does not say what it is about is asked for twice.
        let wanted = self.least().max(1 + u32::from(!named));
        if (self.treatment.refused.len() as u32) < wanted {
            // An endpoint that refuses once and then says nothing could be asked for ever.
            return match self.treatment.failed.as_ref().or(self.treatment.broken.as_ref()) {
                Some(why) => Step::Done(inconclusive(
                    Undecided::TreatmentFailed,
                    format!("refused with HTTP {}, and asked again no answer came: {why}", refusal.status),
                )),
                None => self.send(ArmKind::Treatment),
            };
        }
        Step::Done(rejected(id, refusal, self.facts))
    }

    /// The made-up block was refused: does the endpoint take its own?
    fn genuine(&self, refusal: &Refusal) -> Step {
        let tried: Vec<&Trial> = self.trials.iter().filter(|t| t.arm == ArmKind::Genuine).collect();
        let Some(trial) = tried.iter().find(|t| t.steps.len() > 1).or(tried.last()).copied() else {
            return self.send(ArmKind::Genuine);
        };
        let handed_back = trial.steps.len() > 1;
        if !handed_back && !matches!(trial.steps.first(), Some(Reading::Message(_))) {
            return self.control().unwrap_or_else(|| {
                Step::Done(inconclusive(
                    Undecided::TreatmentFailed,
                    "the made-up block is refused, and the request for the endpoint's own brought no message",
                ))
            });
        }
        // A model that thinks when it likes gets more than one chance to.
        if !handed_back && (tried.len() as u32) < VOID_LIMIT {
            return self.send(ArmKind::Genuine);
        }
        // The endpoint's own block, accepted, shows that the rest of the request is; else the control must.
        let accepted = handed_back && trial.message().is_some();
        if !accepted && let Some(step) = self.control() {
            return step;
        }
        let mut verdict = rejected(self.experiment.id(), refusal, self.facts);
        if !handed_back {
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
    pub(super) fn unless_genuine(&self, ignored: Verdict) -> Step {
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
        if !holds(&genuine.carries, first, &trial.values) {
            return Step::Done(inconclusive(
                Undecided::ModelDoesNotShow,
                format!(
                    "{}; the endpoint's own block might be treated otherwise, but holds nothing to ask for",
                    ignored.reason
                ),
            ));
        }
        if self.experiment.effect.as_ref().is_some_and(|effect| holds(effect, second, &trial.values)) {
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
}
