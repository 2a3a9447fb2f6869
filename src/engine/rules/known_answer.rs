//! The rule for rows whose response is known: the model repeats a text, once as a stream and once as a
//! complete response.
//!
//! One stream with the whole text shows that streams keep it. A model can make mistakes, so a text that
//! differs counts only if it has the signature of damage on the way, or if complete responses never have
//! the mistake.

use crate::catalog::VerdictStatus;
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::rules::step::{Step, decided_verdict};
use crate::engine::rules::trials::missing_trial_step;
use crate::engine::trial::CompletedTrial;
use crate::recording::run::ArmKind;
use crate::results::model::EvidenceKind;
use crate::results::reason::ReasonData;
use crate::variables::fill::filler_from_values;
use crate::wire::message::{Message, excerpt};

/// The number of responses of each arm that a signature of damage needs.
const MIN_DAMAGED_TRIALS: usize = 2;
/// The number of responses of each arm that a difference without such a signature needs. Five whole
/// texts and five others are separated like this by chance in 1 of 252 cases.
const MIN_DIFFERING_TRIALS: usize = 5;

/// What a response is compared with the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CopyQuality {
    /// The whole text, byte by byte.
    Exact,
    /// The text with damage that no model makes.
    Damaged(&'static str),
    /// Something else.
    Other,
}

/// The verdict of a stream with the whole text. `None` if no stream has it.
pub(super) fn exact_stream_step(text: &str, streams: &[&CompletedTrial], needed: usize) -> Option<Step> {
    if !streams.iter().any(|trial| copy_quality(text, trial) == CopyQuality::Exact) {
        return None;
    }
    let more = missing_trial_step([(ArmKind::Treatment, streams.len()), (ArmKind::Treatment, streams.len())], needed);
    Some(more.unwrap_or_else(|| {
        let reason = ReasonData::TextKept {};
        Step::Decided(decided_verdict(VerdictStatus::Supported, EvidenceKind::Comparison, None, reason))
    }))
}

/// The next step if no stream has the whole text.
pub(super) fn next_step(text: &str, streams: &[&CompletedTrial], whole: &[&CompletedTrial], needed: usize) -> Step {
    let qualities = |trials: &[&CompletedTrial]| -> Vec<CopyQuality> {
        trials.iter().map(|trial| copy_quality(text, trial)).collect()
    };
    let (stream_copies, whole_copies) = (qualities(streams), qualities(whole));
    let is_damaged = |copy: &CopyQuality| matches!(copy, CopyQuality::Damaged(_));
    let has_signature = stream_copies.iter().all(is_damaged) && !whole_copies.iter().any(is_damaged);
    let required = if has_signature { MIN_DAMAGED_TRIALS } else { MIN_DIFFERING_TRIALS }.max(needed);
    if let Some(step) =
        missing_trial_step([(ArmKind::Treatment, streams.len()), (ArmKind::Negative, whole.len())], required)
    {
        return step;
    }
    let exact = whole_copies.iter().filter(|copy| **copy == CopyQuality::Exact).count();
    let damage = stream_copies.iter().find_map(|copy| match copy {
        CopyQuality::Damaged(what) => Some(*what),
        CopyQuality::Exact | CopyQuality::Other => None,
    });
    let is_lost_in_stream = match damage {
        Some(_) if has_signature => exact >= MIN_DAMAGED_TRIALS,
        _ => exact >= MIN_DIFFERING_TRIALS && exact == whole_copies.len(),
    };
    let example = streams.last().and_then(|trial| trial.message()).map(Message::text).unwrap_or_default();
    if !is_lost_in_stream {
        return Step::inconclusive(
            InconclusiveReason::ModelDoesNotShow,
            ReasonData::TextUnclear {
                exact: exact as u64,
                whole: whole_copies.len() as u64,
                example: excerpt(&example, 120),
            },
        );
    }
    let what = damage.filter(|_| has_signature).unwrap_or("the text is changed");
    let reason = ReasonData::TextChanged {
        streams: stream_copies.len() as u64,
        what: what.to_owned(),
        exact: exact as u64,
        whole: whole_copies.len() as u64,
        example: excerpt(&example, 120),
    };
    Step::Decided(decided_verdict(VerdictStatus::Ignored, EvidenceKind::Comparison, None, reason))
}

fn copy_quality(template: &str, trial: &CompletedTrial) -> CopyQuality {
    let text = filler_from_values(&trial.values).fill_text(template);
    let Some(message) = trial.message() else { return CopyQuality::Other };
    compare_copy(text.trim(), &message.text(), message.stop_reason.as_deref() == Some("end_turn"))
}

/// Compares a response with the text. Only the ends of the response are trimmed.
fn compare_copy(text: &str, response: &str, is_complete: bool) -> CopyQuality {
    let response = response.trim().trim_matches(['"', '`']).trim();
    if response == text {
        return CopyQuality::Exact;
    }
    let without_space = |text: &str| -> String { text.chars().filter(|c| !c.is_whitespace()).collect() };
    let (words, response_words) = (without_space(text), without_space(response));
    if response.contains(char::REPLACEMENT_CHARACTER) && !text.contains(char::REPLACEMENT_CHARACTER) {
        CopyQuality::Damaged("characters are replaced by U+FFFD")
    } else if words == response_words {
        CopyQuality::Damaged("white space is lost or changed")
    } else if response_words == words.repeat(2) {
        CopyQuality::Damaged("the text comes twice")
    } else if is_complete && !response.is_empty() && text.starts_with(response) {
        CopyQuality::Damaged("the end of the text is missing")
    } else {
        CopyQuality::Other
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::wire::message::InterpretedExchange;

    const TEXT: &str = "otter  said the the sum.\nGrüße 知 heron";

    fn trial(arm: ArmKind, text: &str) -> CompletedTrial {
        let message = Message {
            content: vec![json!({ "type": "text", "text": text })],
            stop_reason: Some("end_turn".to_owned()),
            ..Message::default()
        };
        CompletedTrial {
            variant: None,
            arm,
            sent: Vec::new(),
            responses: vec![InterpretedExchange::Message(message.into())],
            last_response: None,
            values: BTreeMap::new(),
        }
    }

    /// The status after all streams and complete responses have these texts.
    fn status(stream: &str, whole: &str) -> VerdictStatus {
        let (mut streams, mut complete) = (Vec::new(), Vec::new());
        loop {
            let (stream_refs, whole_refs) = (streams.iter().collect::<Vec<_>>(), complete.iter().collect::<Vec<_>>());
            let step = exact_stream_step(TEXT, &stream_refs, 1)
                .unwrap_or_else(|| next_step(TEXT, &stream_refs, &whole_refs, 1));
            match step {
                Step::Decided(verdict) => return verdict.status,
                Step::Run(trial_spec) if trial_spec.arm == ArmKind::Treatment => {
                    streams.push(trial(ArmKind::Treatment, stream));
                }
                Step::Run(_) => complete.push(trial(ArmKind::Negative, whole)),
            }
        }
    }

    #[test]
    fn damage_of_a_stream_is_told_from_mistakes_of_a_model() {
        assert_eq!(status(TEXT, TEXT), VerdictStatus::Supported);
        assert_eq!(status(&format!(" \"{TEXT}\"\n"), TEXT), VerdictStatus::Supported);
        for damaged in [
            TEXT.replace("  ", " "),
            TEXT.replace('\n', ""),
            TEXT.repeat(2),
            TEXT.replace('知', "\u{fffd}\u{fffd}"),
            TEXT.replace(" heron", ""),
            TEXT.replace("the the", "the"),
        ] {
            assert_eq!(status(&damaged, TEXT), VerdictStatus::Ignored, "{damaged}");
            // The model makes the same mistake in complete responses.
            assert_eq!(status(&damaged, &damaged), VerdictStatus::Inconclusive, "{damaged}");
        }
        assert_eq!(status("I cannot do that.", "I cannot do that."), VerdictStatus::Inconclusive);
    }
}
