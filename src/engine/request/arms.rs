//! [`layers`] and [`arms`]: the layers of which an arm consists, and the arms that an experiment
//! can send.

use serde_json::Value;

use crate::catalog::{Arm, Experiment, FollowUp, Turn};
use crate::engine::request::build::conversation_turns;
use crate::recording::run::ArmKind;
use crate::variables::hash;

/// The layers of an arm, first to last. Empty for an arm that the experiment does not have, and for
/// `Genuine`, which has two requests (see [`own_block_layers`]).
pub fn layers<'a>(experiment: &'a Experiment, variant: Option<&str>, arm: ArmKind) -> Vec<&'a Arm> {
    let own_variant = variant.and_then(|name| experiment.variants.get(name));
    let treatment = own_variant.map(|v| &v.treatment).or(experiment.treatment.as_ref());
    let negative = own_variant.and_then(|v| v.negative.as_ref()).unwrap_or(&experiment.negative);
    let spread = experiment.sampling.as_ref();
    let widen = spread.and_then(|s| s.widen.as_ref());
    let over_base = |arms: Vec<Option<&'a Arm>>| -> Vec<&'a Arm> {
        let all: Option<Vec<&Arm>> = arms.into_iter().collect();
        all.map_or_else(Vec::new, |arms| [vec![&experiment.base], arms].concat())
    };
    match arm {
        ArmKind::Negative | ArmKind::After => over_base(vec![Some(negative)]),
        ArmKind::Treatment => over_base(vec![treatment]),
        ArmKind::Insist => over_base(vec![treatment, experiment.insist.as_ref()]),
        ArmKind::Canned => over_base(vec![experiment.canned.as_ref().map(|canned| &canned.arm)]),
        ArmKind::Positive => {
            over_base(vec![own_variant.and_then(|v| v.positive.as_ref()).or(experiment.positive.as_ref())])
        }
        ArmKind::Challenge(n) => over_base(vec![experiment.challenge.get(usize::from(n))]),
        ArmKind::Screen => experiment.screen_arms.iter().filter_map(|s| s.treatment.as_ref()).collect(),
        ArmKind::ScreenChallenge => experiment.screen_arms.iter().filter_map(|s| s.challenge.as_ref()).collect(),
        ArmKind::Narrow => over_base(vec![spread.map(|s| &s.narrow)]),
        ArmKind::Wide => over_base(vec![widen]),
        ArmKind::NarrowWide => over_base(vec![widen, spread.map(|s| &s.narrow)]),
        ArmKind::Genuine => Vec::new(),
    }
}

/// The requests of a trial after the first one.
pub fn follow_ups<'a>(layers: &[&'a Arm]) -> &'a [FollowUp] {
    layers.iter().rev().find(|arm| !arm.then.is_empty()).map_or(&[], |arm| arm.then.as_slice())
}

/// The layers of the two requests of a trial with the endpoint's own block.
pub fn own_block_layers(experiment: &Experiment) -> Option<[Vec<&Arm>; 2]> {
    let genuine = experiment.genuine.as_ref()?;
    Some([vec![&experiment.base, &genuine.first], vec![&experiment.base, &genuine.then]])
}

/// Every arm that an experiment can send, with its variant, in the order of the rules.
pub fn arms(experiment: &Experiment) -> Vec<(Option<&str>, ArmKind)> {
    let mut arms = vec![(None, ArmKind::Negative)];
    for (name, variant) in &experiment.variants {
        let name = Some(name.as_str());
        arms.extend(variant.negative.is_some().then_some((name, ArmKind::Negative)));
        arms.push((name, ArmKind::Treatment));
        arms.extend(variant.positive.is_some().then_some((name, ArmKind::Positive)));
    }
    let kinds = [
        ArmKind::Screen,
        ArmKind::ScreenChallenge,
        ArmKind::Treatment,
        ArmKind::Insist,
        ArmKind::Canned,
        ArmKind::Positive,
        ArmKind::Narrow,
        ArmKind::Wide,
        ArmKind::NarrowWide,
    ];
    let kinds = kinds.into_iter().chain((0..experiment.challenge.len()).map(|n| ArmKind::Challenge(n as u8)));
    arms.extend(kinds.filter(|kind| !layers(experiment, None, *kind).is_empty()).map(|kind| (None, kind)));
    arms.extend(experiment.decides_by_response().then_some((None, ArmKind::After)));
    arms.extend(experiment.genuine.is_some().then_some((None, ArmKind::Genuine)));
    arms
}

/// The id of the request of an arm, independent of its row. Arms with the same turns and layers
/// have the same id, use the same random values, and share their requests.
pub fn template_id(experiment: &Experiment, layers: &[&Arm]) -> String {
    // A layer without changes makes no difference, and neither do the expected words of an error.
    let changes: Vec<Arm> =
        layers.iter().map(|arm| without_conversation(arm)).filter(|arm| *arm != Arm::default()).collect();
    format!("{:016x}", hash(format_args!("{:?} {changes:?}", conversation_turns(experiment, layers))))
}

/// A layer without its turns and without the expected words of an error.
fn without_conversation(arm: &Arm) -> Arm {
    Arm { ask: None, turns: None, because: Vec::new(), ..arm.clone() }
}

/// True if the request without the field is one turn of text, like the first requests of the run.
/// It is then known to be accepted, and a rejection needs no control.
pub fn is_negative_plain(experiment: &Experiment, variant: Option<&str>) -> bool {
    let layers = layers(experiment, variant, ArmKind::Negative);
    let is_text = |content: &Value| match content {
        Value::Array(blocks) => blocks.iter().all(|block| {
            let keys = block.as_object().map_or(0, serde_json::Map::len);
            block["type"] == "text" && block["text"].is_string() && keys == 2
        }),
        content => content.is_string(),
    };
    layers.iter().all(|arm| without_conversation(arm) == Arm::default())
        && match conversation_turns(experiment, &layers).as_slice() {
            [Turn::User(content)] => is_text(content),
            _ => false,
        }
}
