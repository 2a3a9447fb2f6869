//! The rule for rows that compare the treatment with the negative control: equal responses, token
//! counts that grow or are similar, or a long response that must arrive gradually.
//!
//! A count depends on the server and is compared once, twice if it differs. Aspects that a model can
//! vary differ only if an exact test excludes chance. Of several times, the shortest counts, because
//! other causes can delay a response.

use crate::catalog::{ArmComparison, Experiment, ResponseAspect, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::rejection::{RejectionSubject, attribute_rejection};
use crate::engine::rules::aspects::{aspect_name, aspect_value, compare_aspect};
use crate::engine::rules::known_answer;
use crate::engine::rules::step::{
    self, MIN_TRIALS_IF_INCONSISTENT, RunFacts, Step, decided_verdict, describe_error, elsewhere_verdict,
    inconclusive_verdict, reported_error,
};
use crate::engine::rules::trials::{
    count_outcomes, missing_trial_step, negative_control, server_error_step, usable_response_step,
    without_passed_errors,
};
use crate::engine::rules::twins::{MIN_TWIN_TRIALS, SampleComparison};
use crate::engine::trial::{CompletedTrial, unusable_reason};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};
use crate::results::reason::{NameList, ReasonData};
use crate::wire::message::{InterpretedExchange, Message, excerpt};
use crate::wire::parsed_exchange::ChunkTiming;

/// The number of counts of each arm that a difference needs. They must be equal within the arm.
const MIN_DIFFERING_COUNTS: usize = 2;
/// The number of pairs whose times are measured.
const MIN_TIMED_PAIRS: usize = 3;
/// The number of such pairs if the first pairs do not decide.
const MAX_TIMED_PAIRS: usize = 6;
/// Maximum trials of an arm.
pub(crate) const MAX_TRIALS: u32 = step::max_trials(MIN_TRIALS_IF_INCONSISTENT);
/// The markers between turns can cause a difference of up to this number of tokens.
const TURN_MARKER_TOKENS: u64 = 8;
/// The maximum duration of a burst.
const MAX_BURST_MS: u64 = 15;
/// A shorter time difference can be due to chance.
const MIN_DIFFERENCE_MS: u64 = 60;

/// The next step of a row.
pub(crate) fn next_step(
    experiment: &Experiment,
    comparison: &ArmComparison,
    trials: &[CompletedTrial],
    facts: &RunFacts,
) -> Step {
    // An empty response can be compared: it can have token counts, and it differs from a complete
    // response. But it has no timing.
    let may_be_empty = !matches!(comparison, ArmComparison::Gradual);
    let needed = facts.min_trials(experiment.id()) as usize;
    let treatment = match usable_trials(experiment, ArmKind::Treatment, trials, facts, may_be_empty) {
        Ok(usable) => usable,
        Err(step) => return *step,
    };
    if let ArmComparison::Repeats(text) = comparison
        && let Some(step) = known_answer::exact_stream_step(text, &treatment, needed)
    {
        return step;
    }
    // Only a model repeats a text, or writes a long response where the other is short.
    if facts.lacks_model() && matches!(comparison, ArmComparison::Repeats(_) | ArmComparison::Gradual) {
        return Step::needs_model(facts);
    }
    let arms = ComparedArms {
        treatment,
        negative: match usable_trials(experiment, ArmKind::Negative, trials, facts, may_be_empty) {
            Ok(usable) => usable,
            Err(step) => return *step,
        },
    };
    match comparison {
        ArmComparison::Agree(aspects) => arms.compare_aspects(aspects, needed, facts),
        ArmComparison::Grows(by) => arms.compare_counts(needed, |with, without| compare_growth(with, without, *by)),
        ArmComparison::Shrinks(by) => {
            arms.compare_counts(needed, |with, without| compare_shrinkage(with, without, *by))
        }
        ArmComparison::Near(percent) => {
            arms.compare_counts(needed, |one, other| compare_similarity(one, other, *percent))
        }
        ArmComparison::Gradual => arms.compare_streaming(),
        ArmComparison::Repeats(text) => known_answer::next_step(text, &arms.treatment, &arms.negative, needed),
    }
}

/// The usable responses of an arm, at least one. Otherwise, the step that must come first.
fn usable_trials<'a>(
    experiment: &Experiment,
    arm: ArmKind,
    trials: &'a [CompletedTrial],
    facts: &RunFacts,
    may_be_empty: bool,
) -> Result<Vec<&'a CompletedTrial>, Box<Step>> {
    let arm_trials = without_passed_errors(trials.iter().filter(|t| t.arm == arm).collect());
    if arm == ArmKind::Treatment {
        let counts = count_outcomes(experiment, arm_trials.iter().copied());
        if let Some(step) = server_error_step(experiment, trials, &counts, facts, || Step::run(arm)) {
            return Err(Box::new(step));
        }
    }
    let is_error = |t: &&CompletedTrial| matches!(t.responses.last(), Some(InterpretedExchange::HttpError(_)));
    if arm_trials.iter().any(is_error) && !arm_trials.iter().all(is_error) {
        return Err(Box::new(Step::inconclusive(InconclusiveReason::Inconsistent, ReasonData::SometimesRejected {})));
    }
    if let Some(step) = arm_trials.iter().find_map(|trial| problem_step(experiment, trials, trial, arm_trials.len())) {
        return Err(Box::new(step));
    }
    let is_unusable = |message: &Message| match message.stop_reason.as_deref() {
        Some("refusal") => true,
        _ => !may_be_empty && unusable_reason(message).is_some(),
    };
    let is_usable = |t: &&CompletedTrial| !t.message().is_some_and(is_unusable) && !t.is_incomplete(experiment);
    let usable: Vec<&CompletedTrial> = arm_trials.iter().copied().filter(is_usable).collect();
    let why = format!("the {arm} requests got empty responses or refusals of the model");
    match usable_response_step(arm_trials.len(), usable.len(), &why, facts, || Step::run(arm)) {
        Some(step) => Err(Box::new(step)),
        None => Ok(usable),
    }
}

/// The step after a trial whose response cannot be compared. `None` if it can be compared.
fn problem_step(
    experiment: &Experiment,
    trials: &[CompletedTrial],
    trial: &CompletedTrial,
    trial_count: usize,
) -> Option<Step> {
    let is_treatment = trial.arm == ArmKind::Treatment;
    let failed = match trial.responses.last()? {
        InterpretedExchange::HttpError(error) if matches!(error.status, 400 | 404 | 405 | 413 | 422) => {
            let subject = attribute_rejection(experiment, trials, error);
            if let (true, RejectionSubject::Elsewhere(what)) = (is_treatment, &subject) {
                let decided = || Step::Decided(elsewhere_verdict(what, error));
                return Some(negative_control(experiment, trials, ArmKind::After).unwrap_or_else(decided));
            }
            let error = reported_error(error);
            if !is_treatment {
                return Some(Step::inconclusive(
                    InconclusiveReason::NegativeRejected,
                    ReasonData::ComparisonRejected { error },
                ));
            }
            if trial_count < 2 {
                return Some(Step::run(trial.arm));
            }
            return Some(negative_control(experiment, trials, ArmKind::After).unwrap_or_else(|| {
                let reason = ReasonData::Rejected { error };
                Step::Decided(decided_verdict(VerdictStatus::Rejected, EvidenceKind::Refusal, None, reason))
            }));
        }
        InterpretedExchange::HttpError(error) => format!("the request failed: {}", describe_error(error)),
        InterpretedExchange::NoResponse(why) => format!("the request failed: {why}"),
        // A token count is a response, although it is not a message.
        InterpretedExchange::Malformed(_) if input_tokens(trial).is_some() => return None,
        InterpretedExchange::Malformed(why) | InterpretedExchange::UnreadableStream(why) => {
            format!("the response is not a message: {why}")
        }
        InterpretedExchange::Message(_) => return None,
    };
    Some(if is_treatment {
        Step::inconclusive(InconclusiveReason::TreatmentFailed, failed)
    } else {
        Step::inconclusive(InconclusiveReason::NegativeFailed, format!("for comparison: {failed}"))
    })
}

/// The input tokens in a response: those of a message, or the count if the request asks for one.
fn input_tokens(trial: &CompletedTrial) -> Option<u64> {
    let response = trial.last_response.as_ref()?;
    match trial.message() {
        Some(message) => message.input_tokens(),
        None => response.json["input_tokens"].as_u64(),
    }
}

/// The usable trials of both arms.
struct ComparedArms<'a> {
    treatment: Vec<&'a CompletedTrial>,
    negative: Vec<&'a CompletedTrial>,
}

impl<'a> ComparedArms<'a> {
    /// A trial of the first arm that has fewer than needed.
    fn missing_trial(&self, needed: usize) -> Option<Step> {
        let counts = [(ArmKind::Treatment, self.treatment.len()), (ArmKind::Negative, self.negative.len())];
        missing_trial_step(counts, needed)
    }

    /// One pair of counts decides after both arms have the trials that they need.
    fn compare_counts(&self, needed: usize, compare: impl Fn(u64, u64) -> (VerdictStatus, ReasonData)) -> Step {
        if let Some(step) = self.missing_trial(needed) {
            return step;
        }
        let pairs = self.treatment.iter().zip(&self.negative);
        let mut verdicts = pairs.map(|(t, n)| match (input_tokens(t), input_tokens(n)) {
            (Some(t), Some(n)) => {
                let (status, reason) = compare(t, n);
                decided_verdict(status, EvidenceKind::Comparison, None, reason)
            }
            _ => inconclusive_verdict(InconclusiveReason::MalformedResponse, ReasonData::TokenCountMissing {}),
        });
        let Some(first) = verdicts.next() else { return Step::run(ArmKind::Treatment) };
        if verdicts.any(|verdict| verdict.status != first.status) {
            return Step::inconclusive(InconclusiveReason::Inconsistent, ReasonData::TokenCountsVary {});
        }
        Step::Decided(first)
    }

    /// Every aspect must be the same in at least one response of either arm.
    fn compare_aspects(&self, aspects: &[ResponseAspect], needed: usize, facts: &RunFacts) -> Step {
        let messages =
            |trials: &[&'a CompletedTrial]| -> Vec<&'a Message> { trials.iter().filter_map(|t| t.message()).collect() };
        let (with, without) = (messages(&self.treatment), messages(&self.negative));
        if with.is_empty() || without.is_empty() {
            return Step::inconclusive(InconclusiveReason::MalformedResponse, "there are no two messages to compare");
        }
        let comparisons: Vec<(ResponseAspect, Option<SampleComparison>)> =
            aspects.iter().map(|aspect| (*aspect, compare_aspect(*aspect, &with, &without))).collect();
        if facts.lacks_model() && comparisons.iter().any(|(_, comparison)| comparison.is_none()) {
            return Step::needs_model(facts);
        }
        let trials_for = |(aspect, comparison): &(ResponseAspect, Option<SampleComparison>)| match comparison {
            Some(SampleComparison::Shared) => needed,
            _ if *aspect == ResponseAspect::InputTokens => MIN_DIFFERING_COUNTS.max(needed),
            _ => MIN_TWIN_TRIALS.max(needed),
        };
        if let Some(step) = self.missing_trial(comparisons.iter().map(trials_for).max().unwrap_or(needed)) {
            return step;
        }
        let find = |wanted: Option<SampleComparison>| -> Vec<ResponseAspect> {
            comparisons.iter().filter(|(_, comparison)| *comparison == wanted).map(|(aspect, _)| *aspect).collect()
        };
        let differ = find(Some(SampleComparison::Different));
        if !differ.is_empty() {
            let describe = |aspect: &ResponseAspect| {
                let value = |messages: &[&Message]| {
                    messages.last().map_or_else(String::new, |message| excerpt(&aspect_value(*aspect, message), 80))
                };
                format!("{}: {} and {}", aspect_name(*aspect), value(&with), value(&without))
            };
            let differences: Vec<String> = differ.iter().map(describe).collect();
            let differences = differences.join("; ");
            let pairs = with.len().min(without.len()) as u64;
            let reason = ReasonData::AspectsDiffer { pairs, differences };
            return Step::Decided(decided_verdict(VerdictStatus::Ignored, EvidenceKind::Comparison, None, reason));
        }
        if let Some(absent) = find(None).first() {
            return Step::inconclusive(
                InconclusiveReason::ModelDoesNotShow,
                ReasonData::AspectAbsent {
                    pairs: with.len().min(without.len()) as u64,
                    aspect: aspect_name(*absent).to_owned(),
                },
            );
        }
        if let Some(varied) = find(Some(SampleComparison::Varied)).first() {
            return if *varied == ResponseAspect::InputTokens {
                Step::inconclusive(
                    InconclusiveReason::Inconsistent,
                    "inconsistent endpoint: equal requests have different token counts",
                )
            } else {
                Step::inconclusive(
                    InconclusiveReason::ModelDoesNotShow,
                    ReasonData::AspectVaries { aspect: aspect_name(*varied).to_owned() },
                )
            };
        }
        let aspects = NameList(aspects.iter().map(|aspect| aspect_name(*aspect).to_owned()).collect());
        let reason = ReasonData::AspectsAgree { aspects };
        Step::Decided(decided_verdict(VerdictStatus::Supported, EvidenceKind::Comparison, None, reason))
    }

    /// Tests whether the long response arrives while it is generated. The long response takes
    /// longer than the short one because of its generation, and a stream arrives during that time.
    fn compare_streaming(&self) -> Step {
        if let Some(step) = self.missing_trial(MIN_TIMED_PAIRS) {
            return step;
        }
        let timings = |trials: &[&CompletedTrial]| -> Vec<ChunkTiming> {
            trials.iter().filter_map(|t| t.last_response.as_ref()?.timing).collect()
        };
        let (long, short) = (timings(&self.treatment), timings(&self.negative));
        let fastest = |timings: &[ChunkTiming]| timings.iter().min_by_key(|t| t.complete_ms).copied();
        let (Some(fastest_long), Some(fastest_short)) = (fastest(&long), fastest(&short)) else {
            return Step::inconclusive(InconclusiveReason::MalformedResponse, ReasonData::ArrivalTimesMissing {});
        };
        let faster_count = short.iter().filter(|t| t.complete_ms < fastest_long.complete_ms).count();
        let stream_ms = |timing: &ChunkTiming| timing.complete_ms - timing.quarter_ms;
        let sample = TimingSample {
            long_ms: fastest_long.complete_ms,
            short_ms: fastest_short.complete_ms,
            generation_ms: fastest_long.complete_ms.saturating_sub(fastest_short.complete_ms),
            is_separated: faster_count == short.len(),
            is_mostly_separated: 2 * faster_count > short.len(),
            max_stream_ms: long.iter().map(stream_ms).max().unwrap_or_default(),
            stream_ms: stream_ms(&fastest_long),
        };
        let verdict = timing_verdict(&sample);
        match self.missing_trial(MAX_TIMED_PAIRS) {
            Some(step) if !verdict.status.is_decided() => step,
            _ => Step::Decided(verdict),
        }
    }
}

fn compare_growth(with: u64, without: u64, by: u64) -> (VerdictStatus, ReasonData) {
    if without.checked_add(by).is_some_and(|least| with >= least) {
        (VerdictStatus::Supported, ReasonData::TokensGrow { with, without })
    } else {
        (VerdictStatus::Ignored, ReasonData::TokensDoNotGrow { with, without, expected: by })
    }
}

fn compare_shrinkage(with: u64, without: u64, by: u64) -> (VerdictStatus, ReasonData) {
    if with.checked_add(by).is_some_and(|most| most <= without) {
        (VerdictStatus::Supported, ReasonData::TokensShrink { with, without })
    } else {
        (VerdictStatus::Ignored, ReasonData::TokensDoNotShrink { with, without, by })
    }
}

fn compare_similarity(one: u64, other: u64, percent: u32) -> (VerdictStatus, ReasonData) {
    let allowed = (other.saturating_mul(u64::from(percent)) / 100).max(TURN_MARKER_TOKENS);
    if one.abs_diff(other) <= allowed {
        (VerdictStatus::Supported, ReasonData::TokensSimilar { one, other })
    } else {
        (VerdictStatus::Ignored, ReasonData::TokensDiffer { one, other, percent })
    }
}

/// Measured times, in milliseconds.
struct TimingSample {
    /// The time of the fastest long response.
    long_ms: u64,
    /// The time of the fastest short response.
    short_ms: u64,
    /// How much longer the long response takes.
    generation_ms: u64,
    /// True if each long response took longer than each short one, so that the difference is not
    /// due to chance.
    is_separated: bool,
    /// True if each long response took longer than most of the short ones. Others can wait by chance.
    is_mostly_separated: bool,
    /// The time of the last three quarters of the fastest long response.
    stream_ms: u64,
    /// The same for the slowest.
    max_stream_ms: u64,
}

fn timing_verdict(sample: &TimingSample) -> Verdict {
    let TimingSample { long_ms, short_ms, stream_ms, .. } = *sample;
    let decided = |status, reason| decided_verdict(status, EvidenceKind::Comparison, None, reason);
    // Three quarters of an even stream take three quarters of the time. A response that is
    // generated first and then replayed at the same speed takes half of the time at most.
    // A server that replays finished responses takes as long for a short one.
    if sample.generation_ms < MIN_DIFFERENCE_MS || !sample.is_mostly_separated {
        return inconclusive_verdict(
            InconclusiveReason::TooFast,
            ReasonData::LongNotLonger { long_ms, short_ms, stream_ms },
        );
    }
    if sample.stream_ms >= MIN_DIFFERENCE_MS && sample.stream_ms * 2 >= sample.generation_ms {
        decided(VerdictStatus::Supported, ReasonData::ArrivesGradually { long_ms, short_ms, stream_ms })
    } else if sample.is_separated && sample.max_stream_ms <= MAX_BURST_MS {
        decided(VerdictStatus::Ignored, ReasonData::ArrivesAtTheEnd { long_ms, short_ms, stream_ms })
    } else {
        inconclusive_verdict(InconclusiveReason::TooFast, ReasonData::TooFast { long_ms, short_ms, stream_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_differ_by_turn_markers_are_similar() {
        let status = |one, other| compare_similarity(one, other, 10).0;
        assert_eq!(status(100, 100), VerdictStatus::Supported);
        assert_eq!(status(20, 12), VerdictStatus::Supported);
        assert_eq!(status(21, 12), VerdictStatus::Ignored);
        assert_eq!(status(1100, 1000), VerdictStatus::Supported);
        assert_eq!(status(0, 1000), VerdictStatus::Ignored);
        assert_eq!(status(1000, 0), VerdictStatus::Ignored);
    }

    #[test]
    fn growth_needs_the_expected_number_of_tokens() {
        assert_eq!(compare_growth(125, 100, 25).0, VerdictStatus::Supported);
        assert_eq!(compare_growth(124, 100, 25).0, VerdictStatus::Ignored);
        assert_eq!(compare_growth(0, 100, 25).0, VerdictStatus::Ignored);
        assert_eq!(compare_shrinkage(75, 100, 25).0, VerdictStatus::Supported);
        assert_eq!(compare_shrinkage(76, 100, 25).0, VerdictStatus::Ignored);
    }

    #[test]
    fn a_stream_arrives_while_it_is_generated() {
        let status = |generation_ms, stream_ms, is_separated| {
            let (long_ms, short_ms) = (generation_ms, 0);
            timing_verdict(&TimingSample {
                long_ms,
                short_ms,
                generation_ms,
                is_separated,
                is_mostly_separated: is_separated,
                stream_ms,
                max_stream_ms: stream_ms,
            })
            .status
        };
        assert_eq!(status(1000, 740, true), VerdictStatus::Supported);
        assert_eq!(status(1000, 3, true), VerdictStatus::Ignored);
        // One of the short responses took as long as the long one.
        assert_eq!(status(1000, 3, false), VerdictStatus::Inconclusive);
        // The responses are so fast that a burst and a stream look alike.
        assert_eq!(status(50, 40, true), VerdictStatus::Inconclusive);
        assert_eq!(status(20, 0, true), VerdictStatus::Inconclusive);
        // Something else takes most of the time: silent thinking, or a replay.
        assert_eq!(status(3000, 200, true), VerdictStatus::Inconclusive);
        assert_eq!(status(2000, 750, true), VerdictStatus::Inconclusive);
        // The long response took no longer than the short one, so it was not generated meanwhile.
        assert_eq!(status(0, 400, false), VerdictStatus::Inconclusive);
        assert_eq!(status(500, 400, false), VerdictStatus::Inconclusive);
    }
}
