//! What is asked once for the whole run, before any row: in which form the endpoint reads texts, what it does with
//! invented keys, and whether its usage meter counts what no model reads.
//!
//! The probes are arms like any other; their trials stand in the recording under names of their own.

use serde_json::{Map, Value, json};

use crate::catalog::{Arm, Turn};
use crate::engine::predicate;
use crate::engine::request::build::Channel;
use crate::engine::rules::Facts;
use crate::engine::trial::Trial;
use crate::recording::run::ArmKind;
use crate::results::model::{Answer, Strictness};
use crate::wire::message::Reading;

/// The name under which the trials about the form of texts are recorded.
pub const CHANNEL: &str = "probe.channel";
/// The name under which the trials about invented keys are recorded.
pub const STRICTNESS: &str = "probe.strictness";
/// Tokens by which an invented key's long value would raise an honest prompt; see `padding` in case files.
const METER_LEAST: u64 = 25;

/// What the plainest request asks. The ticket keeps caches of answers away.
const HELLO: &str = "Ticket {{id}}. Say hello in one word.";

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The arm that says a label in the user's own message.
pub fn channel_arm() -> Arm {
    Arm {
        ask: Some("Today's label is {{label}}. What is today's label? Reply with the label alone.".to_owned()),
        ..Arm::default()
    }
}

/// The arm without invented keys: the request that validation rows share as their negative arm.
pub fn plain_arm() -> Arm {
    Arm { ask: Some(HELLO.to_owned()), ..Arm::default() }
}

/// Where an invented key can stand.
const TOP: u8 = 0;
const TOOL: u8 = 1;
const BLOCK: u8 = 2;
/// At the top and in a block at once: where that is accepted, each is.
const TOP_AND_BLOCK: u8 = 3;

/// The arm with invented keys in these places.
fn strictness_arm(place: u8) -> Arm {
    let key = || object(json!({ "zz_{{name}}": "{{padding}}" }));
    let tool = || json!({ "tools": [{ "name": "calendar", "input_schema": { "type": "object", "properties": {} }, "zz_{{name}}": "{{padding}}" }] });
    let block = || Some(vec![Turn::User(json!([{ "type": "text", "text": HELLO, "zz_{{name}}": "{{padding}}" }]))]);
    match place {
        TOP => Arm { body: key(), ..plain_arm() },
        TOOL => Arm { body: object(tool()), ..plain_arm() },
        BLOCK => Arm { turns: block(), ..Arm::default() },
        _ => Arm { body: key(), turns: block(), ..Arm::default() },
    }
}

/// All arms with invented keys.
pub fn strictness_arms() -> [Arm; 4] {
    [TOP, TOOL, BLOCK, TOP_AND_BLOCK].map(strictness_arm)
}

/// The next trials of `STRICTNESS`, which do not wait for each other; none once what is to be known is known. The plain
/// request goes first, and where it brings no message nothing else is asked.
pub fn strictness(trials: &[Trial]) -> Vec<(ArmKind, Arm)> {
    let of = |arm: ArmKind| trials.iter().find(|t| t.arm == arm);
    let missing = |places: &[u8]| -> Vec<(ArmKind, Arm)> {
        let missing = places.iter().filter(|place| of(ArmKind::Challenge(**place)).is_none());
        missing.map(|place| (ArmKind::Challenge(*place), strictness_arm(*place))).collect()
    };
    match of(ArmKind::Negative).map(Trial::message) {
        None => return vec![(ArmKind::Negative, plain_arm())],
        Some(None) => return Vec::new(),
        Some(Some(_)) => {}
    }
    match of(ArmKind::Challenge(TOP_AND_BLOCK)) {
        Some(both) if both.message().is_none() => missing(&[TOOL, TOP, BLOCK]),
        _ => missing(&[TOP_AND_BLOCK, TOOL]),
    }
}

/// How often each form is tried on a model that does not do as told.
const CHANNEL_TRIALS: usize = 4;

/// True when the answer says the label, and does not just say back the question.
fn reads(trial: &Trial) -> bool {
    let label = trial.values.get("label").map_or("", String::as_str);
    trial.message().is_some_and(|m| {
        let text = m.text();
        predicate::contains(&text, label) && !predicate::contains(&text, "what is today's label")
    })
}

/// The form in which texts are to be sent, by the trials of `CHANNEL`; or the arm that is still needed, `Treatment` for
/// strings and `Positive` for blocks. Strings are what every client library's first example sends, so they are given
/// up only where blocks are read and strings are not.
pub fn channel(trials: &[Trial]) -> Result<Channel, ArmKind> {
    let of = |arm: ArmKind| trials.iter().filter(move |t| t.arm == arm);
    let read = |arm: ArmKind| of(arm).any(reads);
    let refused = of(ArmKind::Treatment).any(|t| matches!(t.steps.first(), Some(Reading::Refused(_))));
    let (strings, blocks) = (of(ArmKind::Treatment).count(), of(ArmKind::Positive).count());
    // Where no answer comes at all, or no message in either form, trying on tells nothing.
    let hopeless = unanswered(trials) || (strings > 0 && blocks > 0 && trials.iter().all(|t| t.message().is_none()));
    if hopeless || read(ArmKind::Treatment) {
        return Ok(Channel::String);
    }
    if read(ArmKind::Positive) && (refused || strings >= CHANNEL_TRIALS) {
        return Ok(Channel::Blocks);
    }
    if strings == 0 || (strings <= blocks && strings < CHANNEL_TRIALS && !refused) {
        Err(ArmKind::Treatment)
    } else if blocks < CHANNEL_TRIALS {
        Err(ArmKind::Positive)
    } else if refused && of(ArmKind::Positive).any(|t| t.message().is_some()) {
        // Nothing was seen to be read, but blocks at least are taken.
        Ok(Channel::Blocks)
    } else {
        Ok(Channel::String)
    }
}

/// True where the endpoint did not answer: the connection could not be made, broke or ran out of time, or the answer
/// sends elsewhere.
pub fn unanswered(trials: &[Trial]) -> bool {
    trials.iter().any(|t| matches!(t.steps.last(), Some(Reading::Failed(_))))
}

/// What the trials of `STRICTNESS` and of `CHANNEL` say.
pub fn facts(confidence: f64, seed: u64, trials: &[Trial], channel: &[Trial]) -> Facts {
    let of = |n: u8| trials.iter().find(|t| t.arm == ArmKind::Challenge(n));
    let both = of(TOP_AND_BLOCK).filter(|t| t.message().is_some());
    let answer = |n: u8| match both.filter(|_| n != TOOL).or(of(n)).and_then(|t| t.steps.last()) {
        Some(Reading::Message(_)) => Answer::Accepted,
        Some(Reading::Refused(r)) if matches!(r.status, 400 | 404 | 413 | 422) => Answer::Refused,
        Some(Reading::Refused(_) | Reading::Broken(_) | Reading::Failed(_)) | None => Answer::Unknown,
    };
    let tokens = |trial: Option<&Trial>| trial.and_then(Trial::message).and_then(|m| m.input_tokens());
    let plain = tokens(trials.iter().find(|t| t.arm == ArmKind::Negative));
    let counts_unread = |trial: Option<&Trial>| match (plain, tokens(trial)) {
        (Some(plain), Some(with)) => with.saturating_sub(plain) >= METER_LEAST,
        _ => false,
    };
    Facts {
        confidence,
        strictness: Strictness { top_level: answer(TOP), tool: answer(TOOL), block: answer(BLOCK) },
        model_reads: channel.iter().any(reads),
        seed,
        least: 1,
        unsteady: false,
        meter_trusted: ![TOP, BLOCK, TOP_AND_BLOCK].into_iter().any(|n| counts_unread(of(n))),
    }
}

/// The experiment that the probes' arms are laid over: it adds nothing of its own.
pub fn experiment() -> crate::catalog::Experiment {
    crate::catalog::Experiment::bare("probe")
}
