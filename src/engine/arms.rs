//! Which layers make up an arm, and which arms an experiment can send.

use super::recording::ArmKind;
use crate::case::{Arm, Experiment};

/// The layers of an arm, first to last. Empty for an arm that the experiment does not have, and for `Genuine`, which
/// has two requests (`genuine_layers`).
pub fn layers<'a>(experiment: &'a Experiment, variant: Option<&str>, arm: ArmKind) -> Vec<&'a Arm> {
    let own = variant.and_then(|name| experiment.variants.get(name));
    let treatment = own.map(|v| &v.treatment).or(experiment.treatment.as_ref());
    let negative = own.and_then(|v| v.negative.as_ref()).unwrap_or(&experiment.negative);
    let spread = experiment.spread.as_ref();
    let widen = spread.and_then(|s| s.widen.as_ref());
    let over = |arms: Vec<Option<&'a Arm>>| -> Vec<&'a Arm> {
        let whole: Option<Vec<&Arm>> = arms.into_iter().collect();
        whole.map_or_else(Vec::new, |arms| [vec![&experiment.base], arms].concat())
    };
    match arm {
        ArmKind::Negative => over(vec![Some(negative)]),
        ArmKind::Treatment => over(vec![treatment]),
        ArmKind::Insist => over(vec![treatment, experiment.insist.as_ref()]),
        ArmKind::Positive => over(vec![own.and_then(|v| v.positive.as_ref()).or(experiment.positive.as_ref())]),
        ArmKind::Challenge(n) => over(vec![experiment.challenge.get(usize::from(n))]),
        ArmKind::Narrow => over(vec![spread.map(|s| &s.narrow)]),
        ArmKind::Wide => over(vec![widen]),
        ArmKind::NarrowWide => over(vec![widen, spread.map(|s| &s.narrow)]),
        ArmKind::Genuine => Vec::new(),
    }
}

/// The layers of the two requests of a genuine trial.
pub fn genuine_layers(experiment: &Experiment) -> Option<[Vec<&Arm>; 2]> {
    let genuine = experiment.genuine.as_ref()?;
    Some([vec![&experiment.base, &genuine.first], vec![&experiment.base, &genuine.then]])
}

/// Every arm that an experiment may send, with its variant, in the order of the rules.
pub fn all(experiment: &Experiment) -> Vec<(Option<&str>, ArmKind)> {
    let mut arms = vec![(None, ArmKind::Negative)];
    for (name, variant) in &experiment.variants {
        let name = Some(name.as_str());
        arms.extend(variant.negative.is_some().then_some((name, ArmKind::Negative)));
        arms.push((name, ArmKind::Treatment));
        arms.extend(variant.positive.is_some().then_some((name, ArmKind::Positive)));
    }
    let kinds =
        [ArmKind::Treatment, ArmKind::Insist, ArmKind::Positive, ArmKind::Narrow, ArmKind::Wide, ArmKind::NarrowWide];
    let kinds = kinds.into_iter().chain((0..experiment.challenge.len()).map(|n| ArmKind::Challenge(n as u8)));
    arms.extend(kinds.filter(|kind| !layers(experiment, None, *kind).is_empty()).map(|kind| (None, kind)));
    arms.extend(experiment.genuine.is_some().then_some((None, ArmKind::Genuine)));
    arms
}
