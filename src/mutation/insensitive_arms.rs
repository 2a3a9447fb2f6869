//! The arms that did not discriminate: those that carry the field and came out alike on two servers of which one
//! treats it otherwise.

use crate::results::model::{ArmResult, RowResult};
use crate::results::mutation::InsensitiveArm;

/// The arms without the field: that they come out alike is as it should be. (With a variant's name behind a colon.)
const ARMS_WITHOUT_FIELD: [&str; 2] = ["negative", "positive"];

/// How an arm came out, as far as rules look at it.
#[derive(PartialEq)]
struct ArmPattern {
    effects: TrialShare,
    rejections: TrialShare,
    has_trials: bool,
}

#[derive(PartialEq)]
enum TrialShare {
    None,
    Some,
    All,
}

impl TrialShare {
    fn from_counts(part: u64, whole: u64) -> Self {
        match part {
            0 => Self::None,
            part if part < whole => Self::Some,
            _ => Self::All,
        }
    }
}

fn summarize_arm(arm: &ArmResult) -> ArmPattern {
    ArmPattern {
        effects: TrialShare::from_counts(arm.effects, arm.trials),
        rejections: TrialShare::from_counts(arm.refused, arm.trials),
        has_trials: arm.trials > 0,
    }
}

/// The blind arms of a row, in the order in which they were sent.
pub(super) fn insensitive_arms(before: Option<&RowResult>, after: &RowResult) -> Vec<InsensitiveArm> {
    let carries = |arm: &&ArmResult| !ARMS_WITHOUT_FIELD.contains(&arm.name.split(':').next().unwrap_or_default());
    let alike = |arm: &&ArmResult| {
        let was = before.and_then(|row| row.arms.iter().find(|was| was.name == arm.name));
        was.is_some_and(|was| summarize_arm(was) == summarize_arm(arm))
    };
    let blind = after.arms.iter().filter(carries).filter(alike);
    blind
        .map(|arm| InsensitiveArm {
            name: arm.name.clone(),
            trials: arm.trials,
            effects: arm.effects,
            refused: arm.refused,
        })
        .collect()
}
