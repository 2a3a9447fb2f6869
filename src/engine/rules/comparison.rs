//! The rule for rows that hold the treatment's answer against the negative arm's: twins that must agree, counts that
//! must grow or be equal, a long answer that must come bit by bit.
//!
//! What is true of the server (a count, a reason to stop) need be seen once. What a model may do differently each time
//! is asked again, and need agree but once. Of times, the shortest count, since an answer may wait for anything.

use crate::catalog::{ArmComparison, Experiment, ResponseAspect, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::rules::{
    MIN_TRIALS_IF_INCONSISTENT, RunFacts, Step, TrialSpec, decided_verdict, inconclusive_verdict, validation,
};
use crate::engine::trial::{CompletedTrial, unusable_reason};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};
use crate::wire::message::{InterpretedExchange, Message, excerpt};
use crate::wire::response_body::{ChunkTiming, ParsedResponse};

/// Pairs of answers after which what never agreed is said to differ.
const MAX_DIFFERING_PAIRS: usize = 5;
/// Pairs of answers of which times are taken.
const MIN_TIMED_PAIRS: usize = 3;
/// The most pairs of answers of which times are taken, where fewer tell nothing.
const MAX_TIMED_PAIRS: usize = 6;
/// The most trials of an arm: one fewer answer than are ever needed, as many void trials as these allow, and one.
pub(crate) const MAX_TRIALS: u32 = 2 * (MIN_TRIALS_IF_INCONSISTENT - 1) + MAX_UNUSABLE_TRIALS as u32 + 1;
/// Answers of one arm that say nothing after which it is given up.
const MAX_UNUSABLE_TRIALS: usize = 3;
/// A difference of fewer tokens than this is a matter of how turns are marked.
const TURN_MARKER_TOKENS: u64 = 8;
/// A burst is over in this time, in milliseconds.
const MAX_BURST_MS: u64 = 15;
/// The least time, in milliseconds, that the longer answer must take longer: less cannot be told from chance.
const MIN_DIFFERENCE_MS: u64 = 60;

/// What comes next for a row.
pub(crate) fn next_step(
    experiment: &Experiment,
    how: &ArmComparison,
    trials: &[CompletedTrial],
    facts: &RunFacts,
) -> Step {
    // An answer that lost what the other has is what twins are compared for, and an empty one is counted all the same.
    let may_be_empty = !matches!(how, ArmComparison::Gradual);
    let [treated, plain] =
        match [ArmKind::Treatment, ArmKind::Negative].map(|arm| usable_trials(experiment, arm, trials, may_be_empty)) {
            [Err(step), _] | [_, Err(step)] => return step,
            [Ok(treated), Ok(plain)] => [treated, plain],
        };
    let least = facts.min_trials(experiment.id()) as usize;
    match how {
        ArmComparison::Agree(aspects) => compare_pairs(aspects, &treated, &plain, least),
        ArmComparison::Grows(by) => {
            compare_counts(&treated, &plain, least, |with, without| compare_growth(with, without, *by))
        }
        ArmComparison::Near(percent) => {
            compare_counts(&treated, &plain, least, |one, other| compare_similarity(one, other, *percent))
        }
        ArmComparison::Gradual => compare_streaming(&treated, &plain),
    }
}

fn trial_step(arm: ArmKind) -> Step {
    Step::Run(TrialSpec { variant: None, arm })
}

/// The successful answers of an arm, at least one; else the step that comes first.
fn usable_trials<'a>(
    experiment: &Experiment,
    arm: ArmKind,
    trials: &'a [CompletedTrial],
    may_be_empty: bool,
) -> Result<Vec<&'a CompletedTrial>, Step> {
    let tried: Vec<&CompletedTrial> = trials.iter().filter(|t| t.arm == arm).collect();
    let treated = arm == ArmKind::Treatment;
    let is_refused = |t: &&CompletedTrial| matches!(t.responses.last(), Some(InterpretedExchange::HttpError(_)));
    if tried.iter().any(is_refused) && !tried.iter().all(is_refused) {
        return Err(Step::Decided(inconclusive_verdict(
            InconclusiveReason::Inconsistent,
            "the same request was refused and accepted",
        )));
    }
    for trial in &tried {
        let (refused, failed) = match trial.responses.last() {
            Some(InterpretedExchange::HttpError(r)) => {
                let told = format!("HTTP {}: {}", r.status, r.message);
                if matches!(r.status, 400 | 404 | 405 | 413 | 422 | 501) {
                    (Some(told), None)
                } else {
                    (None, Some(told))
                }
            }
            Some(InterpretedExchange::NoResponse(why)) => (None, Some(why.clone())),
            // A count is no message, and an answer all the same.
            Some(InterpretedExchange::Malformed(why)) => (
                None,
                trial.last_response.as_ref().is_none_or(|a| input_tokens(trial, a).is_none()).then(|| why.clone()),
            ),
            Some(InterpretedExchange::Message(_)) | None => (None, None),
        };
        return Err(match (refused, failed, treated) {
            (Some(_), _, true) if tried.len() < 2 => trial_step(arm),
            (Some(told), _, true) => {
                validation::negative_control(experiment, trials, ArmKind::After).unwrap_or_else(|| {
                    let reason = format!("refused with {told}");
                    Step::Decided(decided_verdict(VerdictStatus::Rejected, EvidenceKind::Refusal, None, reason))
                })
            }
            (Some(told), _, false) => Step::Decided(inconclusive_verdict(
                InconclusiveReason::NegativeRejected,
                format!("what it is compared with is refused: {told}"),
            )),
            (None, Some(why), true) => Step::Decided(inconclusive_verdict(InconclusiveReason::TreatmentFailed, why)),
            (None, Some(why), false) => Step::Decided(inconclusive_verdict(InconclusiveReason::NegativeFailed, why)),
            (None, None, _) => continue,
        });
    }
    let says_nothing = |m: &Message| match m.stop_reason.as_deref() {
        Some("refusal") => true,
        _ => !may_be_empty && unusable_reason(m).is_some(),
    };
    let is_void = |t: &&CompletedTrial| t.message().is_some_and(says_nothing) || t.is_incomplete(experiment);
    let sound: Vec<&CompletedTrial> = tried.iter().copied().filter(|t| !is_void(t)).collect();
    // A model that answers now and then only is given up, too.
    let few = tried.len() - sound.len() > MAX_UNUSABLE_TRIALS + sound.len();
    if !sound.is_empty() && !few {
        return Ok(sound);
    }
    Err(if sound.is_empty() && tried.len() < MAX_UNUSABLE_TRIALS {
        trial_step(arm)
    } else {
        Step::Decided(inconclusive_verdict(
            InconclusiveReason::UnusableTrials,
            format!("{} of {} answers of the {arm} arm say nothing", tried.len() - sound.len(), tried.len()),
        ))
    })
}

/// The input tokens that an answer counts: those of a message, or a bare count.
fn input_tokens(trial: &CompletedTrial, answer: &ParsedResponse) -> Option<u64> {
    match trial.message() {
        Some(message) => message.input_tokens(),
        None => answer.json["input_tokens"].as_u64(),
    }
}

/// One pair of counts decides, where both arms have as many trials as they need.
fn compare_counts(
    treated: &[&CompletedTrial],
    plain: &[&CompletedTrial],
    least: usize,
    held: impl Fn(u64, u64) -> (VerdictStatus, String),
) -> Step {
    for (of, arm) in [(treated, ArmKind::Treatment), (plain, ArmKind::Negative)] {
        if of.len() < least {
            return trial_step(arm);
        }
    }
    let count = |t: &&CompletedTrial| t.last_response.as_ref().and_then(|a| input_tokens(t, a));
    let mut verdicts = treated.iter().zip(plain).map(|(t, p)| match (count(t), count(p)) {
        (Some(t), Some(p)) => {
            let (status, reason) = held(t, p);
            decided_verdict(status, EvidenceKind::Comparison, None, reason)
        }
        _ => inconclusive_verdict(InconclusiveReason::MalformedResponse, "an answer gives no count of input tokens"),
    });
    let Some(first) = verdicts.next() else { return trial_step(ArmKind::Treatment) };
    if verdicts.any(|v| v.status != first.status) {
        return Step::Decided(inconclusive_verdict(
            InconclusiveReason::Inconsistent,
            "the same two requests are counted in different ways",
        ));
    }
    Step::Decided(first)
}

fn compare_growth(with: u64, without: u64, by: u64) -> (VerdictStatus, String) {
    let told = format!("{with} tokens with it, {without} without");
    if without.checked_add(by).is_some_and(|least| with >= least) {
        (VerdictStatus::Supported, told)
    } else {
        (VerdictStatus::Ignored, format!("{told}: it would add {by} at the least"))
    }
}

fn compare_similarity(one: u64, other: u64, percent: u32) -> (VerdictStatus, String) {
    let allowed = (other.saturating_mul(u64::from(percent)) / 100).max(TURN_MARKER_TOKENS);
    let told = format!("{one} tokens against {other}");
    if one.abs_diff(other) <= allowed {
        (VerdictStatus::Supported, told)
    } else {
        (VerdictStatus::Ignored, format!("{told}: more than {percent} % apart"))
    }
}

/// Twins agree in everything, each aspect at least once.
fn compare_pairs(
    aspects: &[ResponseAspect],
    treated: &[&CompletedTrial],
    plain: &[&CompletedTrial],
    least: usize,
) -> Step {
    let pairs: Vec<(&Message, &Message)> =
        treated.iter().zip(plain).filter_map(|(t, p)| Some((t.message()?, p.message()?))).collect();
    let differ: Vec<ResponseAspect> = aspects
        .iter()
        .copied()
        .filter(|aspect| !pairs.iter().any(|(t, p)| aspect_value(*aspect, t) == aspect_value(*aspect, p)))
        .collect();
    // Twins that both lack what they are compared for agree in nothing.
    let absent = aspects
        .iter()
        .copied()
        .find(|aspect| !pairs.iter().any(|(t, p)| has_aspect(*aspect, t) || has_aspect(*aspect, p)));
    let wanted = if differ.is_empty() && absent.is_none() { least } else { MAX_DIFFERING_PAIRS.max(least) };
    for (of, arm) in [(treated, ArmKind::Treatment), (plain, ArmKind::Negative)] {
        if of.len() < wanted {
            return trial_step(arm);
        }
    }
    if let Some(absent) = absent {
        let told = format!("no answer of {} pairs has any {}", pairs.len(), aspect_name(absent));
        return Step::Decided(inconclusive_verdict(InconclusiveReason::ModelDoesNotShow, told));
    }
    let Some((one, other)) = pairs.last() else {
        return Step::Decided(inconclusive_verdict(
            InconclusiveReason::MalformedResponse,
            "there are no two messages to compare",
        ));
    };
    Step::Decided(match differ.first() {
        None => decided_verdict(
            VerdictStatus::Supported,
            EvidenceKind::Comparison,
            None,
            format!(
                "both answers have the same {}",
                aspects.iter().map(|a| aspect_name(*a)).collect::<Vec<_>>().join(", ")
            ),
        ),
        Some(_) => {
            let told = |a: &ResponseAspect| {
                format!(
                    "{}: {} against {}",
                    aspect_name(*a),
                    excerpt(&aspect_value(*a, one), 80),
                    excerpt(&aspect_value(*a, other), 80)
                )
            };
            let told: Vec<String> = differ.iter().map(told).collect();
            decided_verdict(
                VerdictStatus::Ignored,
                EvidenceKind::Comparison,
                None,
                format!("in none of {} pairs of answers do these agree: {}", pairs.len(), told.join("; ")),
            )
        }
    })
}

/// True where an answer has the thing at all.
fn has_aspect(aspect: ResponseAspect, message: &Message) -> bool {
    match aspect {
        ResponseAspect::StopReason | ResponseAspect::Blocks | ResponseAspect::Text | ResponseAspect::InputTokens => {
            true
        }
        ResponseAspect::Calls => message.blocks("tool_use").next().is_some(),
        ResponseAspect::Thinking => {
            message.blocks("thinking").chain(message.blocks("redacted_thinking")).next().is_some()
        }
    }
}

fn aspect_name(aspect: ResponseAspect) -> &'static str {
    match aspect {
        ResponseAspect::StopReason => "stop_reason",
        ResponseAspect::Blocks => "blocks",
        ResponseAspect::Calls => "calls",
        ResponseAspect::Thinking => "thinking",
        ResponseAspect::Text => "text",
        ResponseAspect::InputTokens => "input tokens",
    }
}

fn aspect_value(aspect: ResponseAspect, message: &Message) -> String {
    match aspect {
        ResponseAspect::StopReason => message.stop_reason.clone().unwrap_or_else(|| "nothing".to_owned()),
        ResponseAspect::Blocks => {
            message.content.iter().map(|b| b["type"].as_str().unwrap_or("nothing")).collect::<Vec<_>>().join(", ")
        }
        ResponseAspect::Calls => {
            message.blocks("tool_use").map(|b| format!("{} {}", b["name"], b["input"])).collect::<Vec<_>>().join(", ")
        }
        ResponseAspect::Thinking => if has_aspect(aspect, message) { "there" } else { "missing" }.to_owned(),
        ResponseAspect::Text => message.text().split_whitespace().collect::<Vec<_>>().join(" "),
        ResponseAspect::InputTokens => message.input_tokens().map_or_else(|| "nothing".to_owned(), |n| n.to_string()),
    }
}

/// How much longer the long answer takes is the time in which it is made; a stream comes during that time.
fn compare_streaming(treated: &[&CompletedTrial], plain: &[&CompletedTrial]) -> Step {
    for (of, arm) in [(treated, ArmKind::Treatment), (plain, ArmKind::Negative)] {
        if of.len() < MIN_TIMED_PAIRS {
            return trial_step(arm);
        }
    }
    let timings =
        |of: &[&CompletedTrial]| of.iter().filter_map(|t| t.last_response.as_ref()?.timing).collect::<Vec<_>>();
    let (long, short) = (timings(treated), timings(plain));
    let quickest = |of: &[ChunkTiming]| of.iter().min_by_key(|t| t.complete_ms).copied();
    let (Some(best), Some(least)) = (quickest(&long), quickest(&short)) else {
        return Step::Decided(inconclusive_verdict(
            InconclusiveReason::MalformedResponse,
            "the recording does not say when the answers came",
        ));
    };
    let in_time = |t: &ChunkTiming| t.complete_ms - t.quarter_ms;
    let seen = TimingSample {
        generation_ms: best.complete_ms.saturating_sub(least.complete_ms),
        // Each long answer took longer than each short one: no accident of waiting.
        is_separated: short.iter().all(|t| t.complete_ms < best.complete_ms),
        max_stream_ms: long.iter().map(in_time).max().unwrap_or_default(),
        stream_ms: in_time(&best),
    };
    let told = format!(
        "the long answer takes {} ms, the short one {} ms; three quarters of the long one come within {} ms",
        best.complete_ms, least.complete_ms, seen.stream_ms
    );
    let verdict = timing_verdict(&seen, told);
    // One more look, where something else was at work.
    let few = [(treated, ArmKind::Treatment), (plain, ArmKind::Negative)]
        .into_iter()
        .find(|(of, _)| of.len() < MAX_TIMED_PAIRS);
    match few {
        Some((_, arm)) if !verdict.status.is_decided() => trial_step(arm),
        _ => Step::Decided(verdict),
    }
}

/// What was seen of the times, in milliseconds.
struct TimingSample {
    /// How much longer the long answer takes.
    generation_ms: u64,
    is_separated: bool,
    /// In how long three quarters of it come: the quickest, and at most.
    stream_ms: u64,
    max_stream_ms: u64,
}

fn timing_verdict(seen: &TimingSample, told: String) -> Verdict {
    let decided = |status, told| decided_verdict(status, EvidenceKind::Comparison, None, told);
    // Three quarters of an even stream take three quarters of the time. A replay at the speed of the making takes half
    // of it at most, as it begins when all is made.
    if seen.stream_ms >= MIN_DIFFERENCE_MS && seen.stream_ms * 2 >= seen.generation_ms {
        decided(VerdictStatus::Supported, told)
    } else if seen.generation_ms >= MIN_DIFFERENCE_MS && seen.is_separated && seen.max_stream_ms <= MAX_BURST_MS {
        decided(VerdictStatus::Ignored, format!("it comes in one burst at the end: {told}"))
    } else {
        inconclusive_verdict(
            InconclusiveReason::TooFast,
            format!("the times are too short or too mixed to tell: {told}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_differ_by_the_marks_of_turns_are_near() {
        let status = |one, other| compare_similarity(one, other, 10).0;
        assert_eq!(status(100, 100), VerdictStatus::Supported);
        assert_eq!(status(20, 12), VerdictStatus::Supported);
        assert_eq!(status(21, 12), VerdictStatus::Ignored);
        assert_eq!(status(1100, 1000), VerdictStatus::Supported);
        assert_eq!(status(0, 1000), VerdictStatus::Ignored);
        assert_eq!(status(1000, 0), VerdictStatus::Ignored);
    }

    #[test]
    fn what_it_would_add_at_least_decides_growth() {
        assert_eq!(compare_growth(125, 100, 25).0, VerdictStatus::Supported);
        assert_eq!(compare_growth(124, 100, 25).0, VerdictStatus::Ignored);
        assert_eq!(compare_growth(0, 100, 25).0, VerdictStatus::Ignored);
    }

    #[test]
    fn a_stream_comes_while_it_is_made() {
        let status = |making, coming, is_apart| {
            timing_verdict(
                &TimingSample {
                    generation_ms: making,
                    is_separated: is_apart,
                    stream_ms: coming,
                    max_stream_ms: coming,
                },
                String::new(),
            )
            .status
        };
        assert_eq!(status(1000, 740, true), VerdictStatus::Supported);
        assert_eq!(status(1000, 3, true), VerdictStatus::Ignored);
        // One of the short answers had to wait as long.
        assert_eq!(status(1000, 3, false), VerdictStatus::Inconclusive);
        // Made so fast that a burst and a stream look alike.
        assert_eq!(status(50, 40, true), VerdictStatus::Inconclusive);
        assert_eq!(status(20, 0, true), VerdictStatus::Inconclusive);
        // Something else takes most of the time: a model that thinks silently, a replay.
        assert_eq!(status(3000, 200, true), VerdictStatus::Inconclusive);
        assert_eq!(status(2000, 750, true), VerdictStatus::Inconclusive);
        // The short answer waited longer by chance: the stream itself is seen.
        assert_eq!(status(0, 400, false), VerdictStatus::Supported);
    }
}
