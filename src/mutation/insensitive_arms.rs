//! The arms that did not discriminate: those that carry the field and came out alike on two servers of which one
//! treats it otherwise.

use crate::results::model::{ArmResult, RowResult};
use crate::results::mutation::BlindArm;

/// The arms without the field: that they come out alike is as it should be. (With a variant's name behind a colon.)
const WITHOUT: [&str; 2] = ["negative", "positive"];

/// How an arm came out, as far as rules look at it.
#[derive(PartialEq)]
struct Pattern {
    shows: Share,
    refuses: Share,
    says_something: bool,
}

#[derive(PartialEq)]
enum Share {
    None,
    Some,
    All,
}

impl Share {
    fn of(part: u64, whole: u64) -> Self {
        match part {
            0 => Self::None,
            part if part < whole => Self::Some,
            _ => Self::All,
        }
    }
}

fn pattern(arm: &ArmResult) -> Pattern {
    Pattern {
        shows: Share::of(arm.effects, arm.trials),
        refuses: Share::of(arm.refused, arm.trials),
        says_something: arm.trials > 0,
    }
}

/// The blind arms of a row, in the order in which they were sent.
pub(super) fn arms(before: Option<&RowResult>, after: &RowResult) -> Vec<BlindArm> {
    let carries = |arm: &&ArmResult| !WITHOUT.contains(&arm.name.split(':').next().unwrap_or_default());
    let alike = |arm: &&ArmResult| {
        let was = before.and_then(|row| row.arms.iter().find(|was| was.name == arm.name));
        was.is_some_and(|was| pattern(was) == pattern(arm))
    };
    let blind = after.arms.iter().filter(carries).filter(alike);
    blind
        .map(|arm| BlindArm { name: arm.name.clone(), trials: arm.trials, effects: arm.effects, refused: arm.refused })
        .collect()
}
