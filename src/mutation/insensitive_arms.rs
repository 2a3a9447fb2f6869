//! [`insensitive_arms`]: the arms that have the field and did not notice a mutation of it.

use crate::results::model::{ArmResult, RowResult};
use crate::results::mutation::InsensitiveArm;

/// The arms without the field, which must not notice the mutation. A variant's name can follow a
/// colon.
const ARMS_WITHOUT_FIELD: [&str; 2] = ["negative", "positive"];

/// The results of an arm, as far as the rules use them.
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
    fn from_counts(part: u64, total: u64) -> Self {
        match part {
            0 => Self::None,
            part if part < total => Self::Some,
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

/// The insensitive arms of a row, in their order.
pub(super) fn insensitive_arms(before: Option<&RowResult>, after: &RowResult) -> Vec<InsensitiveArm> {
    let has_field = |arm: &&ArmResult| !ARMS_WITHOUT_FIELD.contains(&arm.name.split(':').next().unwrap_or_default());
    let is_unchanged = |arm: &&ArmResult| {
        let earlier = before.and_then(|row| row.arms.iter().find(|earlier| earlier.name == arm.name));
        earlier.is_some_and(|earlier| summarize_arm(earlier) == summarize_arm(arm))
    };
    let arms = after.arms.iter().filter(has_field).filter(is_unchanged);
    arms.map(|arm| InsensitiveArm {
        name: arm.name.clone(),
        trials: arm.trials,
        effects: arm.effects,
        refused: arm.refused,
    })
    .collect()
}
