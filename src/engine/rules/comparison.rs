//! The rule for rows that hold the treatment's answer against the negative arm's: twins that must agree, counts that
//! must grow or be equal, a long answer that must come bit by bit.
//!
//! What is true of the server (a count, a reason to stop) need be seen once. What a model may do differently each time
//! is asked again, and need agree but once. Of times, the shortest count, since an answer may wait for anything.

use crate::catalog::{Aspect, Compare, Experiment, VerdictStatus};
use crate::engine::inconclusive::Undecided;
use crate::engine::rules::{Facts, STEADY_TRIALS, Step, Try, decided, inconclusive, validation};
use crate::engine::trial::{Trial, void};
use crate::recording::run::ArmKind;
use crate::results::model::{Evidence, Verdict};
use crate::wire::message::{Message, Reading, excerpt};
use crate::wire::response_body::{Answer, Timing};

/// Pairs of answers after which what never agreed is said to differ.
const PAIRS: usize = 5;
/// Pairs of answers of which times are taken.
const TIMED: usize = 3;
/// The most pairs of answers of which times are taken, where fewer tell nothing.
const TIMED_AT_MOST: usize = 6;
/// The most trials of an arm: one fewer answer than are ever needed, as many void trials as these allow, and one.
pub(crate) const MOST_TRIALS: u32 = 2 * (STEADY_TRIALS - 1) + VOID_LIMIT as u32 + 1;
/// Answers of one arm that say nothing after which it is given up.
const VOID_LIMIT: usize = 3;
/// A difference of fewer tokens than this is a matter of how turns are marked.
const MARKS: u64 = 8;
/// A burst is over in this time, in milliseconds.
const BURST_MS: u64 = 15;
/// The least time, in milliseconds, that the longer answer must take longer: less cannot be told from chance.
const LEAST_MS: u64 = 60;

/// What comes next for a row.
pub(crate) fn next(experiment: &Experiment, how: &Compare, trials: &[Trial], facts: &Facts) -> Step {
    // An answer that lost what the other has is what twins are compared for, and an empty one is counted all the same.
    let may_be_empty = !matches!(how, Compare::Gradual);
    let [treated, plain] =
        match [ArmKind::Treatment, ArmKind::Negative].map(|arm| answers(experiment, arm, trials, may_be_empty)) {
            [Err(step), _] | [_, Err(step)] => return step,
            [Ok(treated), Ok(plain)] => [treated, plain],
        };
    let least = facts.least(experiment.id()) as usize;
    match how {
        Compare::Agree(aspects) => agree(aspects, &treated, &plain, least),
        Compare::Grows(by) => counts(&treated, &plain, least, |with, without| grows(with, without, *by)),
        Compare::Near(percent) => counts(&treated, &plain, least, |one, other| near(one, other, *percent)),
        Compare::Gradual => gradual(&treated, &plain),
    }
}

fn again(arm: ArmKind) -> Step {
    Step::Try(Try { variant: None, arm })
}

/// The successful answers of an arm, at least one; else the step that comes first.
fn answers<'a>(
    experiment: &Experiment,
    arm: ArmKind,
    trials: &'a [Trial],
    may_be_empty: bool,
) -> Result<Vec<&'a Trial>, Step> {
    let tried: Vec<&Trial> = trials.iter().filter(|t| t.arm == arm).collect();
    let treated = arm == ArmKind::Treatment;
    let is_refused = |t: &&Trial| matches!(t.steps.last(), Some(Reading::Refused(_)));
    if tried.iter().any(is_refused) && !tried.iter().all(is_refused) {
        return Err(Step::Done(inconclusive(Undecided::Unsteady, "the same request was refused and accepted")));
    }
    for trial in &tried {
        let (refused, failed) = match trial.steps.last() {
            Some(Reading::Refused(r)) => {
                let told = format!("HTTP {}: {}", r.status, r.message);
                if matches!(r.status, 400 | 404 | 405 | 413 | 422 | 501) {
                    (Some(told), None)
                } else {
                    (None, Some(told))
                }
            }
            Some(Reading::Failed(why)) => (None, Some(why.clone())),
            // A count is no message, and an answer all the same.
            Some(Reading::Broken(why)) => {
                (None, trial.answer.as_ref().is_none_or(|a| tokens(trial, a).is_none()).then(|| why.clone()))
            }
            Some(Reading::Message(_)) | None => (None, None),
        };
        return Err(match (refused, failed, treated) {
            (Some(_), _, true) if tried.len() < 2 => again(arm),
            (Some(told), _, true) => validation::control(experiment, trials, ArmKind::After).unwrap_or_else(|| {
                let reason = format!("refused with {told}");
                Step::Done(decided(VerdictStatus::Rejected, Evidence::Refusal, None, reason))
            }),
            (Some(told), _, false) => Step::Done(inconclusive(
                Undecided::NegativeRefused,
                format!("what it is compared with is refused: {told}"),
            )),
            (None, Some(why), true) => Step::Done(inconclusive(Undecided::TreatmentFailed, why)),
            (None, Some(why), false) => Step::Done(inconclusive(Undecided::NegativeFailed, why)),
            (None, None, _) => continue,
        });
    }
    let says_nothing = |m: &Message| match m.stop_reason.as_deref() {
        Some("refusal") => true,
        _ => !may_be_empty && void(m).is_some(),
    };
    let is_void = |t: &&Trial| t.message().is_some_and(says_nothing) || t.ended_early(experiment);
    let sound: Vec<&Trial> = tried.iter().copied().filter(|t| !is_void(t)).collect();
    // A model that answers now and then only is given up, too.
    let few = tried.len() - sound.len() > VOID_LIMIT + sound.len();
    if !sound.is_empty() && !few {
        return Ok(sound);
    }
    Err(if sound.is_empty() && tried.len() < VOID_LIMIT {
        again(arm)
    } else {
        Step::Done(inconclusive(
            Undecided::VoidTrials,
            format!("{} of {} answers of the {arm} arm say nothing", tried.len() - sound.len(), tried.len()),
        ))
    })
}

/// The input tokens that an answer counts: those of a message, or a bare count.
fn tokens(trial: &Trial, answer: &Answer) -> Option<u64> {
    match trial.message() {
        Some(message) => message.input_tokens(),
        None => answer.json["input_tokens"].as_u64(),
    }
}

/// One pair of counts decides, where both arms have as many trials as they need.
fn counts(
    treated: &[&Trial],
    plain: &[&Trial],
    least: usize,
    held: impl Fn(u64, u64) -> (VerdictStatus, String),
) -> Step {
    for (of, arm) in [(treated, ArmKind::Treatment), (plain, ArmKind::Negative)] {
        if of.len() < least {
            return again(arm);
        }
    }
    let count = |t: &&Trial| t.answer.as_ref().and_then(|a| tokens(t, a));
    let mut verdicts = treated.iter().zip(plain).map(|(t, p)| match (count(t), count(p)) {
        (Some(t), Some(p)) => {
            let (status, reason) = held(t, p);
            decided(status, Evidence::Comparison, None, reason)
        }
        _ => inconclusive(Undecided::BrokenAnswer, "an answer gives no count of input tokens"),
    });
    let Some(first) = verdicts.next() else { return again(ArmKind::Treatment) };
    if verdicts.any(|v| v.status != first.status) {
        return Step::Done(inconclusive(Undecided::Unsteady, "the same two requests are counted in different ways"));
    }
    Step::Done(first)
}

fn grows(with: u64, without: u64, by: u64) -> (VerdictStatus, String) {
    let told = format!("{with} tokens with it, {without} without");
    if without.checked_add(by).is_some_and(|least| with >= least) {
        (VerdictStatus::Supported, told)
    } else {
        (VerdictStatus::Ignored, format!("{told}: it would add {by} at the least"))
    }
}

fn near(one: u64, other: u64, percent: u32) -> (VerdictStatus, String) {
    let allowed = (other.saturating_mul(u64::from(percent)) / 100).max(MARKS);
    let told = format!("{one} tokens against {other}");
    if one.abs_diff(other) <= allowed {
        (VerdictStatus::Supported, told)
    } else {
        (VerdictStatus::Ignored, format!("{told}: more than {percent} % apart"))
    }
}

/// Twins agree in everything, each aspect at least once.
fn agree(aspects: &[Aspect], treated: &[&Trial], plain: &[&Trial], least: usize) -> Step {
    let pairs: Vec<(&Message, &Message)> =
        treated.iter().zip(plain).filter_map(|(t, p)| Some((t.message()?, p.message()?))).collect();
    let differ: Vec<Aspect> = aspects
        .iter()
        .copied()
        .filter(|aspect| !pairs.iter().any(|(t, p)| value(*aspect, t) == value(*aspect, p)))
        .collect();
    // Twins that both lack what they are compared for agree in nothing.
    let absent = aspects.iter().copied().find(|aspect| !pairs.iter().any(|(t, p)| has(*aspect, t) || has(*aspect, p)));
    let wanted = if differ.is_empty() && absent.is_none() { least } else { PAIRS.max(least) };
    for (of, arm) in [(treated, ArmKind::Treatment), (plain, ArmKind::Negative)] {
        if of.len() < wanted {
            return again(arm);
        }
    }
    if let Some(absent) = absent {
        let told = format!("no answer of {} pairs has any {}", pairs.len(), word(absent));
        return Step::Done(inconclusive(Undecided::ModelDoesNotShow, told));
    }
    let Some((one, other)) = pairs.last() else {
        return Step::Done(inconclusive(Undecided::BrokenAnswer, "there are no two messages to compare"));
    };
    Step::Done(match differ.first() {
        None => decided(
            VerdictStatus::Supported,
            Evidence::Comparison,
            None,
            format!("both answers have the same {}", aspects.iter().map(|a| word(*a)).collect::<Vec<_>>().join(", ")),
        ),
        Some(_) => {
            let told = |a: &Aspect| {
                format!("{}: {} against {}", word(*a), excerpt(&value(*a, one), 80), excerpt(&value(*a, other), 80))
            };
            let told: Vec<String> = differ.iter().map(told).collect();
            decided(
                VerdictStatus::Ignored,
                Evidence::Comparison,
                None,
                format!("in none of {} pairs of answers do these agree: {}", pairs.len(), told.join("; ")),
            )
        }
    })
}

/// True where an answer has the thing at all.
fn has(aspect: Aspect, message: &Message) -> bool {
    match aspect {
        Aspect::StopReason | Aspect::Blocks | Aspect::Text | Aspect::InputTokens => true,
        Aspect::Calls => message.blocks("tool_use").next().is_some(),
        Aspect::Thinking => message.blocks("thinking").chain(message.blocks("redacted_thinking")).next().is_some(),
    }
}

fn word(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::StopReason => "stop_reason",
        Aspect::Blocks => "blocks",
        Aspect::Calls => "calls",
        Aspect::Thinking => "thinking",
        Aspect::Text => "text",
        Aspect::InputTokens => "input tokens",
    }
}

fn value(aspect: Aspect, message: &Message) -> String {
    match aspect {
        Aspect::StopReason => message.stop_reason.clone().unwrap_or_else(|| "nothing".to_owned()),
        Aspect::Blocks => {
            message.content.iter().map(|b| b["type"].as_str().unwrap_or("nothing")).collect::<Vec<_>>().join(", ")
        }
        Aspect::Calls => {
            message.blocks("tool_use").map(|b| format!("{} {}", b["name"], b["input"])).collect::<Vec<_>>().join(", ")
        }
        Aspect::Thinking => if has(aspect, message) { "there" } else { "missing" }.to_owned(),
        Aspect::Text => message.text().split_whitespace().collect::<Vec<_>>().join(" "),
        Aspect::InputTokens => message.input_tokens().map_or_else(|| "nothing".to_owned(), |n| n.to_string()),
    }
}

/// How much longer the long answer takes is the time in which it is made; a stream comes during that time.
fn gradual(treated: &[&Trial], plain: &[&Trial]) -> Step {
    for (of, arm) in [(treated, ArmKind::Treatment), (plain, ArmKind::Negative)] {
        if of.len() < TIMED {
            return again(arm);
        }
    }
    let timings = |of: &[&Trial]| of.iter().filter_map(|t| t.answer.as_ref()?.timing).collect::<Vec<_>>();
    let (long, short) = (timings(treated), timings(plain));
    let quickest = |of: &[Timing]| of.iter().min_by_key(|t| t.whole_ms).copied();
    let (Some(best), Some(least)) = (quickest(&long), quickest(&short)) else {
        return Step::Done(inconclusive(Undecided::BrokenAnswer, "the recording does not say when the answers came"));
    };
    let in_time = |t: &Timing| t.whole_ms - t.quarter_ms;
    let seen = Seen {
        making: best.whole_ms.saturating_sub(least.whole_ms),
        // Each long answer took longer than each short one: no accident of waiting.
        is_apart: short.iter().all(|t| t.whole_ms < best.whole_ms),
        longest: long.iter().map(in_time).max().unwrap_or_default(),
        coming: in_time(&best),
    };
    let told = format!(
        "the long answer takes {} ms, the short one {} ms; three quarters of the long one come within {} ms",
        best.whole_ms, least.whole_ms, seen.coming
    );
    let verdict = by_times(&seen, told);
    // One more look, where something else was at work.
    let few = [(treated, ArmKind::Treatment), (plain, ArmKind::Negative)]
        .into_iter()
        .find(|(of, _)| of.len() < TIMED_AT_MOST);
    match few {
        Some((_, arm)) if !verdict.status.is_decided() => again(arm),
        _ => Step::Done(verdict),
    }
}

/// What was seen of the times, in milliseconds.
struct Seen {
    /// How much longer the long answer takes.
    making: u64,
    is_apart: bool,
    /// In how long three quarters of it come: the quickest, and at most.
    coming: u64,
    longest: u64,
}

fn by_times(seen: &Seen, told: String) -> Verdict {
    let decided = |status, told| decided(status, Evidence::Comparison, None, told);
    // Three quarters of an even stream take three quarters of the time. A replay at the speed of the making takes half
    // of it at most, as it begins when all is made.
    if seen.coming >= LEAST_MS && seen.coming * 2 >= seen.making {
        decided(VerdictStatus::Supported, told)
    } else if seen.making >= LEAST_MS && seen.is_apart && seen.longest <= BURST_MS {
        decided(VerdictStatus::Ignored, format!("it comes in one burst at the end: {told}"))
    } else {
        inconclusive(Undecided::TooFast, format!("the times are too short or too mixed to tell: {told}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_differ_by_the_marks_of_turns_are_near() {
        let status = |one, other| near(one, other, 10).0;
        assert_eq!(status(100, 100), VerdictStatus::Supported);
        assert_eq!(status(20, 12), VerdictStatus::Supported);
        assert_eq!(status(21, 12), VerdictStatus::Ignored);
        assert_eq!(status(1100, 1000), VerdictStatus::Supported);
        assert_eq!(status(0, 1000), VerdictStatus::Ignored);
        assert_eq!(status(1000, 0), VerdictStatus::Ignored);
    }

    #[test]
    fn what_it_would_add_at_least_decides_growth() {
        assert_eq!(grows(125, 100, 25).0, VerdictStatus::Supported);
        assert_eq!(grows(124, 100, 25).0, VerdictStatus::Ignored);
        assert_eq!(grows(0, 100, 25).0, VerdictStatus::Ignored);
    }

    #[test]
    fn a_stream_comes_while_it_is_made() {
        let status = |making, coming, is_apart| {
            by_times(&Seen { making, is_apart, coming, longest: coming }, String::new()).status
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
