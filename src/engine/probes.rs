//! The probes: requests before the first row that apply to the whole run. They find the form in
//! which the endpoint reads texts, what it does with unknown keys, and whether its token count
//! includes content that no model reads. [`instructions`] has the probe that finds out whether there
//! is a model.
//!
//! The probes are arms like any other. Their trials have names of their own in the recording.

use serde_json::{Map, Value, json};

use crate::catalog::{Arm, Turn};
use crate::engine::instructions::{self, is_followed};
use crate::engine::rules::RunFacts;
use crate::engine::trial::CompletedTrial;
use crate::recording::request_settings::TextForm;
use crate::recording::run::ArmKind;
use crate::results::model::{EndpointStrictness, UnknownKeyReaction};
use crate::wire::message::InterpretedExchange;

/// The name of the trials that find the form of texts.
pub const TEXT_FORM_PROBE: &str = "probe.channel";
/// The name of the trials with unknown keys.
pub const STRICTNESS_PROBE: &str = "probe.strictness";
/// After this many requests in a row without an informative response (each after its retries), one
/// plain request tests whether the endpoint still responds. If it does not, the run ends: waiting
/// for the timeout of every other row would add no information.
pub const MAX_NO_RESPONSE: u64 = 8;

/// The tokens that the long value of an unknown key adds, if they are counted. See `padding` in
/// case files.
const MIN_INVENTED_KEY_TOKENS: u64 = 25;

/// The text of the simple request. The random ticket prevents cached responses.
const PLAIN_PROMPT: &str = "Ticket {{id}}. Say hello in one word.";

fn to_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The arm without unknown keys. Validation rows share it as their negative control.
pub fn plain_arm() -> Arm {
    Arm { ask: Some(PLAIN_PROMPT.to_owned()), ..Arm::default() }
}

/// The places of unknown keys.
const PLACE_TOP_LEVEL: u8 = 0;
const PLACE_TOOL: u8 = 1;
const PLACE_BLOCK: u8 = 2;
/// At the top level and in a block. If an endpoint accepts this request, it accepts both.
const PLACE_TOP_LEVEL_AND_BLOCK: u8 = 3;

/// The arm with unknown keys in a place.
fn strictness_arm(place: u8) -> Arm {
    let key = || to_object(json!({ "zz_{{name}}": "{{padding}}" }));
    let tool = || json!({ "tools": [{ "name": "calendar", "input_schema": { "type": "object", "properties": {} }, "zz_{{name}}": "{{padding}}" }] });
    let block =
        || Some(vec![Turn::User(json!([{ "type": "text", "text": PLAIN_PROMPT, "zz_{{name}}": "{{padding}}" }]))]);
    match place {
        PLACE_TOP_LEVEL => Arm { body: key(), ..plain_arm() },
        PLACE_TOOL => Arm { body: to_object(tool()), ..plain_arm() },
        PLACE_BLOCK => Arm { turns: block(), ..Arm::default() },
        _ => Arm { body: key(), turns: block(), ..Arm::default() },
    }
}

/// All arms with unknown keys.
pub fn strictness_arms() -> [Arm; 4] {
    [PLACE_TOP_LEVEL, PLACE_TOOL, PLACE_BLOCK, PLACE_TOP_LEVEL_AND_BLOCK].map(strictness_arm)
}

/// The next trials of the strictness probe, which can run in parallel. Empty when the probe is
/// complete. If nothing was answered yet, the simple request comes first. If it gets no message,
/// nothing else is sent.
pub fn next_strictness_arms(trials: &[CompletedTrial], has_answer: bool) -> Vec<(ArmKind, Arm)> {
    let find_trial = |arm: ArmKind| trials.iter().find(|t| t.arm == arm);
    let missing = |places: &[u8]| -> Vec<(ArmKind, Arm)> {
        let missing = places.iter().filter(|place| find_trial(ArmKind::Challenge(**place)).is_none());
        missing.map(|place| (ArmKind::Challenge(*place), strictness_arm(*place))).collect()
    };
    let first_places = [PLACE_TOP_LEVEL_AND_BLOCK, PLACE_TOOL];
    match find_trial(ArmKind::Negative).map(CompletedTrial::message) {
        None => {
            let with_keys = if has_answer { missing(&first_places) } else { Vec::new() };
            return [vec![(ArmKind::Negative, plain_arm())], with_keys].concat();
        }
        Some(None) => return Vec::new(),
        Some(Some(_)) => {}
    }
    match find_trial(ArmKind::Challenge(PLACE_TOP_LEVEL_AND_BLOCK)) {
        Some(both) if both.message().is_none() => missing(&[PLACE_TOOL, PLACE_TOP_LEVEL, PLACE_BLOCK]),
        _ => missing(&first_places),
    }
}

/// Maximum trials of each form, if the model does not follow the instruction.
const MAX_TEXT_FORM_TRIALS: usize = 4;

/// The form of texts, after these trials of the text form probe. `Err` is the arm that is still
/// needed: `Treatment` for strings, `Positive` for blocks. The first examples of all client
/// libraries use strings, so the result is blocks only if the endpoint reads blocks and not
/// strings.
pub fn text_form(trials: &[CompletedTrial]) -> Result<TextForm, ArmKind> {
    let filter_arm = |arm: ArmKind| trials.iter().filter(move |t| t.arm == arm);
    let is_read = |arm: ArmKind| filter_arm(arm).any(is_followed);
    let is_rejected =
        filter_arm(ArmKind::Treatment).any(|t| matches!(t.responses.first(), Some(InterpretedExchange::HttpError(_))));
    let (strings, blocks) = (filter_arm(ArmKind::Treatment).count(), filter_arm(ArmKind::Positive).count());
    // Without any response, or without a message in either form, more trials do not help.
    let is_hopeless =
        has_no_response(trials) || (strings > 0 && blocks > 0 && trials.iter().all(|t| t.message().is_none()));
    if is_hopeless || is_read(ArmKind::Treatment) {
        return Ok(TextForm::String);
    }
    if is_read(ArmKind::Positive) && (is_rejected || strings >= MAX_TEXT_FORM_TRIALS) {
        return Ok(TextForm::Blocks);
    }
    if strings == 0 || (strings <= blocks && strings < MAX_TEXT_FORM_TRIALS && !is_rejected) {
        Err(ArmKind::Treatment)
    } else if blocks < MAX_TEXT_FORM_TRIALS {
        Err(ArmKind::Positive)
    } else if is_rejected && filter_arm(ArmKind::Positive).any(|t| t.message().is_some()) {
        // The endpoint reads neither form, but accepts blocks.
        Ok(TextForm::Blocks)
    } else {
        Ok(TextForm::String)
    }
}

/// True if a request got no response: the connection failed or timed out, or the response was a
/// redirect.
pub fn has_no_response(trials: &[CompletedTrial]) -> bool {
    trials.iter().any(|t| matches!(t.responses.last(), Some(InterpretedExchange::NoResponse(_))))
}

/// The trials of all probes.
#[derive(Debug, Clone, Copy)]
pub struct ProbeTrials<'a> {
    /// The trials of the text form probe.
    pub text_form: &'a [CompletedTrial],
    /// The trials of the instruction probe.
    pub instructions: &'a [CompletedTrial],
    /// The trials of the strictness probe.
    pub strictness: &'a [CompletedTrial],
}

/// The facts from the trials of the probes.
pub fn run_facts(confidence: f64, seed: u64, probes: ProbeTrials<'_>) -> RunFacts {
    let trials = probes.strictness;
    let find_place = |n: u8| trials.iter().find(|t| t.arm == ArmKind::Challenge(n));
    let both = find_place(PLACE_TOP_LEVEL_AND_BLOCK).filter(|t| t.message().is_some());
    let reaction = |n: u8| match both.filter(|_| n != PLACE_TOOL).or(find_place(n)).and_then(|t| t.responses.last()) {
        Some(InterpretedExchange::Message(_)) => UnknownKeyReaction::Accepted,
        Some(InterpretedExchange::HttpError(r)) if matches!(r.status, 400 | 404 | 413 | 422) => {
            UnknownKeyReaction::Refused
        }
        Some(
            InterpretedExchange::HttpError(_)
            | InterpretedExchange::Malformed(_)
            | InterpretedExchange::UnreadableStream(_)
            | InterpretedExchange::NoResponse(_),
        )
        | None => UnknownKeyReaction::Unknown,
    };
    let tokens =
        |trial: Option<&CompletedTrial>| trial.and_then(CompletedTrial::message).and_then(|m| m.input_tokens());
    let plain = tokens(trials.iter().find(|t| t.arm == ArmKind::Negative));
    let counts_unread = |trial: Option<&CompletedTrial>| match (plain, tokens(trial)) {
        (Some(plain), Some(with)) => with.saturating_sub(plain) >= MIN_INVENTED_KEY_TOKENS,
        _ => false,
    };
    RunFacts {
        confidence,
        strictness: EndpointStrictness {
            top_level: reaction(PLACE_TOP_LEVEL),
            tool: reaction(PLACE_TOOL),
            block: reaction(PLACE_BLOCK),
        },
        model_reads_prompt: probes.text_form.iter().chain(probes.instructions).any(is_followed),
        unfollowed: instructions::unfollowed_instructions(probes.text_form, probes.instructions),
        seed,
        min_trials: 1,
        is_inconsistent: false,
        server_errors_pass: false,
        trusts_usage_meter: ![PLACE_TOP_LEVEL, PLACE_BLOCK, PLACE_TOP_LEVEL_AND_BLOCK]
            .into_iter()
            .any(|n| counts_unread(find_place(n))),
    }
}

/// The empty experiment of the probes.
pub fn probe_experiment() -> crate::catalog::Experiment {
    crate::catalog::Experiment::empty("probe")
}
