//! The instruction probe: instructions with random answers, before the first row.
//! [`unfollowed_instructions`] says whether the endpoint followed none of them.
//!
//! A server that returns a prepared text follows no instruction, so the effects of fields cannot
//! show there. The text form probe sends the first instructions. If one of them is followed, nothing
//! else is sent. A failed request, an empty response or a cut response says nothing about a model.

use std::collections::BTreeSet;

use serde_json::json;

use crate::catalog::{Arm, Turn};
use crate::engine::predicate::contains_words;
use crate::engine::trial::{CompletedTrial, error_in_text, unusable_reason};
use crate::recording::run::ArmKind;
use crate::results::model::{UnfollowedInstructions, UnfollowedKind};
use crate::wire::message::{Message, mask_variable_words};

/// The name of the trials with further instructions.
pub const INSTRUCTION_PROBE: &str = "probe.instructions";
/// The number of instructions that an endpoint without a model leaves unfollowed. A model that obeys
/// half of the time does so in 1 of 4,096 runs.
const MIN_UNFOLLOWED: usize = 12;
/// The probe is sent only if the endpoint has left this number of first instructions unfollowed.
const MIN_FIRST_UNFOLLOWED: usize = 4;
/// After this number of trials without a usable response, the probe ends without a result.
const MAX_UNUSABLE: usize = 3;
/// Maximum requests of the probe. The first instructions are not included.
pub const MAX_INSTRUCTION_REQUESTS: u64 = (MIN_UNFOLLOWED - MIN_FIRST_UNFOLLOWED + MAX_UNUSABLE) as u64;
/// The number of different responses that a server with prepared texts returns at most.
const MAX_CANNED_TEXTS: usize = 2;

/// The question of the text form probe.
const LABEL_QUESTION: &str = "what is today's label";
/// The questions of the instruction probe, in the order of [`instruction_arms`]. A response that
/// contains its question repeats the prompt.
const QUESTIONS: [&str; 4] =
    ["write nothing else", LABEL_QUESTION, "which one is in the middle", "which label does the box have"];

/// The arm with a code word in the user message, which finds the form of texts.
pub fn label_arm() -> Arm {
    Arm {
        ask: Some("Today's label is {{label}}. What is today's label? Reply with the label alone.".to_owned()),
        ..Arm::default()
    }
}

/// The arms of the instruction probe. Each has another task, because a model may fail at one of them.
pub fn instruction_arms() -> [Arm; 4] {
    let ask = |text: &str| Arm { ask: Some(text.to_owned()), ..Arm::default() };
    let turns = vec![
        Turn::User(json!("Today's label is {{label}}.")),
        Turn::Assistant(json!("Noted.")),
        Turn::User(json!("What is today's label? Reply with the label alone.")),
    ];
    [
        ask("Repeat exactly the following text, and write nothing else: {{label}}"),
        Arm { turns: Some(turns), ..Arm::default() },
        ask("Here are three words: {{name}}, {{label_as_name}}, {{name2}}. Which one is in the middle? \
             Reply with this word alone."),
        ask("A box has the label {{label}}. Which label does the box have? Reply with the label alone."),
    ]
}

/// The arm and the kind of the next instruction. `None` if the probe is complete: an instruction was
/// followed, enough were not, or the endpoint has other problems.
pub fn next_instruction(first_trials: &[CompletedTrial], trials: &[CompletedTrial]) -> Option<(ArmKind, Arm)> {
    let count_unfollowed = |trials: &[CompletedTrial]| trials.iter().filter_map(usable_response).count();
    let first_unfollowed = count_unfollowed(first_trials);
    let unfollowed = count_unfollowed(trials);
    let is_open = !first_trials.iter().chain(trials).any(is_followed)
        && first_unfollowed >= MIN_FIRST_UNFOLLOWED
        && first_unfollowed + unfollowed < MIN_UNFOLLOWED
        && trials.len() - unfollowed < MAX_UNUSABLE;
    let arms = instruction_arms();
    let kind = trials.len() % arms.len();
    is_open.then(|| arms.into_iter().nth(kind)).flatten().map(|arm| (ArmKind::Challenge(kind as u8), arm))
}

/// The instructions, if enough of them got a usable response and none was followed.
pub fn unfollowed_instructions(
    first_trials: &[CompletedTrial],
    trials: &[CompletedTrial],
) -> Option<UnfollowedInstructions> {
    let all = || first_trials.iter().chain(trials);
    let responses: Vec<(&CompletedTrial, &Message)> =
        all().filter_map(|trial| Some((trial, usable_response(trial)?))).collect();
    if responses.len() < MIN_UNFOLLOWED || all().any(is_followed) {
        return None;
    }
    let texts: BTreeSet<String> = responses.iter().map(|(_, message)| mask_variable_words(&message.text())).collect();
    let kind = if responses.iter().all(|(trial, message)| repeats_prompt(trial, &message.text())) {
        UnfollowedKind::Echo
    } else if texts.len() <= MAX_CANNED_TEXTS {
        UnfollowedKind::Canned
    } else {
        UnfollowedKind::Varied
    };
    Some(UnfollowedInstructions { kind, asked: responses.len() as u64 })
}

/// True if the response has the random answer, and nothing else from the prompt that only a repeated
/// prompt has.
pub fn is_followed(trial: &CompletedTrial) -> bool {
    let is_answer = |name: &str| name.starts_with("label");
    trial.message().is_some_and(|message| {
        let text = message.text();
        let has = |(_, value): (&String, &String)| contains_words(&text, value);
        trial.values.iter().filter(|(name, _)| is_answer(name)).any(has)
            && !trial.values.iter().filter(|(name, _)| !is_answer(name)).any(has)
            && !repeats_prompt(trial, &text)
    })
}

/// True if the response contains the question, or the beginning of the question after the random
/// answer, as in a prompt that was cut.
fn repeats_prompt(trial: &CompletedTrial, text: &str) -> bool {
    let question = match trial.arm {
        ArmKind::Challenge(kind) => QUESTIONS.get(usize::from(kind)).copied().unwrap_or(LABEL_QUESTION),
        _ => LABEL_QUESTION,
    };
    let first_word = question.split(' ').next().unwrap_or_default();
    let label = trial.values.get("label").map(|label| format!("{label} {first_word}"));
    contains_words(text, question) || label.is_some_and(|cut| contains_words(text, &cut))
}

/// The message of a trial if a model would have followed the instruction in it. A cut response could
/// have the answer after its end.
fn usable_response(trial: &CompletedTrial) -> Option<&Message> {
    let is_usable = |message: &&Message| {
        unusable_reason(message).is_none()
            && error_in_text(message).is_none()
            && message.stop_reason.as_deref() != Some("max_tokens")
    };
    trial.message().filter(is_usable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::InterpretedExchange;

    fn trial(arm: ArmKind, text: &str) -> CompletedTrial {
        let message = Message {
            content: vec![json!({ "type": "text", "text": text })],
            stop_reason: Some("end_turn".to_owned()),
            ..Message::default()
        };
        let values = [("label", "amber falcon 4821")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        CompletedTrial {
            variant: None,
            arm,
            sent: Vec::new(),
            responses: vec![InterpretedExchange::Message(message.into())],
            last_response: None,
            values: values.into(),
        }
    }

    /// The trials of a complete probe whose responses have these texts, in turn.
    fn run_probe(texts: &[&str]) -> [Vec<CompletedTrial>; 2] {
        let text = |n: usize| texts[n % texts.len()];
        let first: Vec<CompletedTrial> = (0..8).map(|n| trial(ArmKind::Treatment, text(n))).collect();
        let mut trials = Vec::new();
        while let Some((arm, _)) = next_instruction(&first, &trials) {
            trials.push(trial(arm, text(8 + trials.len())));
        }
        [first, trials]
    }

    fn kind(texts: &[&str]) -> Option<UnfollowedKind> {
        let [first, trials] = run_probe(texts);
        let unfollowed = unfollowed_instructions(&first, &trials)?;
        assert_eq!(unfollowed.asked, 12);
        Some(unfollowed.kind)
    }

    #[test]
    fn twelve_unfollowed_instructions_show_that_there_is_no_model() {
        assert_eq!(kind(&["Hello! How can I help?"]), Some(UnfollowedKind::Canned));
        assert_eq!(kind(&["Response 1 of msg_0a1b2c3d", "Response 2 of msg_9f8e7d6c"]), Some(UnfollowedKind::Canned));
        assert_eq!(kind(&["Bread is good.", "I like walks.", "The weather is mild."]), Some(UnfollowedKind::Varied));
        let echo = "Today's label is amber falcon 4821. What is today's label? Write nothing else. Which one is in \
                    the middle? Which label does the box have?";
        assert_eq!(kind(&[echo]), Some(UnfollowedKind::Echo));
    }

    #[test]
    fn one_followed_instruction_is_enough() {
        let [_, trials] = run_probe(&["Amber Falcon 4821."]);
        assert!(trials.is_empty(), "nothing is sent after a followed instruction");
        assert_eq!(
            kind(&["no", "no", "no", "no", "no", "no", "no", "no", "no", "Today's label is amber falcon 4821."]),
            None
        );
        assert!(is_followed(&trial(ArmKind::Treatment, "Today's label is amber falcon 4821.")));
        assert!(!is_followed(&trial(ArmKind::Treatment, "You said: Today's label is amber falcon 4821. What is t")));
    }

    #[test]
    fn the_middle_of_three_words_is_followed_only_without_the_others() {
        let values = [("label_as_name", "amber_falcon_4821"), ("name", "hazel_otter_1"), ("name2", "rapid_paddle_2")];
        let middle = |text: &str| CompletedTrial {
            values: values.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..trial(ArmKind::Challenge(2), text)
        };
        assert!(is_followed(&middle("`amber_falcon_4821`")));
        assert!(!is_followed(&middle("hazel_otter_1, amber_falcon_4821")));
        assert!(!is_followed(&middle("hazel_otter_1")));
    }

    #[test]
    fn responses_that_say_nothing_about_a_model_do_not_count() {
        let failed = |arm| CompletedTrial {
            responses: vec![InterpretedExchange::Malformed("an error".to_owned())],
            ..trial(arm, "")
        };
        let first: Vec<CompletedTrial> = (0..8).map(|_| failed(ArmKind::Treatment)).collect();
        assert_eq!(next_instruction(&first, &[]), None, "errors are no reason for further instructions");
        let first: Vec<CompletedTrial> = (0..8).map(|_| trial(ArmKind::Treatment, "Hello!")).collect();
        let mut trials = Vec::new();
        while let Some((arm, _)) = next_instruction(&first, &trials) {
            trials.push(failed(arm));
        }
        assert_eq!((trials.len(), unfollowed_instructions(&first, &trials)), (3, None));
        assert_eq!(kind(&[""]), None, "empty responses");
        assert_eq!(kind(&["Error: the model is loading"]), None, "errors in the text");
    }
}
