//! One arm of an experiment, summed up over its trials. Counts; decides nothing.

use std::collections::BTreeSet;

use crate::catalog::Experiment;
use crate::engine::rules::bayes::Counts;
use crate::engine::trial::{Seen, Trial};
use crate::wire::message::Refusal;

/// One arm, summed up.
#[derive(Debug, Default)]
pub(super) struct Arm<'a> {
    /// Answers with the effect, and without it.
    pub counts: Counts,
    /// In which of the ways that the experiment knows it was honoured otherwise than the reference has it.
    pub partial: BTreeSet<usize>,
    /// Sound answers that say nothing.
    pub silent: u32,
    /// Why trials are void.
    pub void: Vec<String>,
    /// Client errors.
    pub refused: Vec<&'a Refusal>,
    /// The last trial without an answer.
    pub failed: Option<String>,
    /// The last answer that is no message.
    pub broken: Option<String>,
}

impl Arm<'_> {
    /// Trials that brought a sound answer.
    pub fn answered(&self) -> u32 {
        self.counts.trials() + self.silent + self.void.len() as u32
    }

    /// True once a trial was sent, whatever came of it.
    pub fn is_sent(&self) -> bool {
        self.answered() > 0 || !self.refused.is_empty() || self.failed.is_some() || self.broken.is_some()
    }

    /// Adds what was seen under pressure. A refusal of the pressed form may be about what presses it: it says nothing
    /// about the field.
    pub fn add_pressed(&mut self, pressed: Arm<'_>) {
        self.counts.shows += pressed.counts.shows;
        self.counts.fails += pressed.counts.fails;
        self.partial.extend(pressed.partial);
        self.silent += pressed.silent + pressed.refused.len() as u32;
        self.void.extend(pressed.void);
        self.failed = self.failed.take().or(pressed.failed);
        self.broken = self.broken.take().or(pressed.broken);
    }
}

/// Sums trials up, by the experiment's effect.
pub(super) fn sum<'a>(experiment: &Experiment, trials: impl Iterator<Item = &'a Trial>) -> Arm<'a> {
    let mut arm = Arm::default();
    for trial in trials {
        match trial.seen(experiment) {
            Seen::Shows { partial } => {
                arm.counts.shows += 1;
                arm.partial.extend(partial);
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
