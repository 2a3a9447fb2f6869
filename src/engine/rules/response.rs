//! The rule for rows that are decided by the response itself: a documented error, a count, a list.
//!
//! One response decides, because these responses depend on the server and not on the model. A
//! request that causes an error is sent twice, and the error counts only if a request without the
//! mistake is accepted afterwards. A server error counts only if the request causes it each time.
//! A response as documented is `supported`, an accepted request without the documented response is
//! `ignored`, and another error is `rejected`.

use crate::catalog::{Experiment, ResponsePredicate, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::predicate::{mismatch_reason, response_matches};
use crate::engine::rejection::{RejectionSubject, attribute_documented_error, attribute_rejection};
use crate::engine::request::arms;
use crate::engine::request::build::MESSAGES_PATH;
use crate::engine::rules::step::{
    self, MIN_TRIALS_IF_INCONSISTENT, RunFacts, Step, decided_verdict, elsewhere_verdict, inconclusive_verdict,
};
use crate::engine::rules::trials::{
    count_outcomes, filter_trials, negative_control, server_error_step, usable_response_step, without_passed_errors,
};
use crate::engine::trial::{CompletedTrial, INCOMPLETE_REASON, error_in_text, unusable_reason};
use crate::engine::trouble::is_content_filter;
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};
use crate::results::reason::ReasonData;
use crate::wire::message::{HttpError, InterpretedExchange, excerpt};
use crate::wire::parsed_exchange::ParsedResponse;

/// Maximum trials of an arm.
pub(crate) const MAX_TRIALS: u32 = step::max_trials(MIN_TRIALS_IF_INCONSISTENT);

/// The next step of one variant, or of a row without variants.
pub(crate) fn next_step(
    experiment: &Experiment,
    expected: &ResponsePredicate,
    variant: Option<&str>,
    trials: &[CompletedTrial],
    facts: &RunFacts,
) -> Step {
    let repeat = || Step::run_variant(variant, ArmKind::Treatment);
    let arm_trials = without_passed_errors(filter_trials(trials, ArmKind::Treatment, variant).collect());
    let classified_responses: Vec<ClassifiedResponse<'_>> =
        arm_trials.iter().map(|trial| classify(experiment, expected, trial)).collect();
    let (unusable, usable): (Vec<_>, Vec<_>) =
        classified_responses.iter().partition(|response| response.kind == ResponseKind::Unusable);
    let why = unusable.last().map_or("", |response| response.reason.as_str());
    if let Some(step) = usable_response_step(classified_responses.len(), usable.len(), why, facts, repeat) {
        return step;
    }
    let Some(last) = usable.last() else { return repeat() };
    if let Some(failed) = usable.iter().find(|response| response.kind == ResponseKind::Failed) {
        return Step::inconclusive(InconclusiveReason::TreatmentFailed, failed.reason.clone());
    }
    if usable.iter().any(|response| response.kind != last.kind) {
        return Step::inconclusive(InconclusiveReason::Inconsistent, ReasonData::ResponsesDiffer {});
    }
    if last.kind == ResponseKind::ServerError {
        let counts = count_outcomes(experiment, arm_trials.iter().copied());
        let failed = || {
            let observed = format!("the request failed: {}", last.describe());
            Step::inconclusive(InconclusiveReason::TreatmentFailed, observed)
        };
        return server_error_step(experiment, trials, &counts, facts, repeat).unwrap_or_else(failed);
    }
    // Something other than the request can cause an error. So the request is sent twice, and then a
    // request without the mistake shows whether the endpoint still works.
    let is_error = last.kind == ResponseKind::Rejected || last.response.is_some_and(|response| response.status >= 400);
    let needed = 1 + usize::from(is_error);
    if usable.len() < needed.max(facts.min_trials(experiment.id()) as usize) {
        return repeat();
    }
    if is_error && let Some(step) = negative_control(experiment, trials, ArmKind::After) {
        return step;
    }
    if let Some(step) = rejection_step(experiment, expected, trials, last) {
        return step;
    }
    Step::Decided(build_verdict(experiment, expected, last))
}

/// The step of a rejected request whose error is about something else, or says nothing about the
/// documented mistake. `None` if the error is about the row.
fn rejection_step(
    experiment: &Experiment,
    expected: &ResponsePredicate,
    trials: &[CompletedTrial],
    last: &ClassifiedResponse<'_>,
) -> Option<Step> {
    let error = last.error.filter(|error| error.status < 500)?;
    let is_documented =
        expected.expects_http_error() && matches!(last.kind, ResponseKind::Expected | ResponseKind::Alternative(_));
    if is_documented {
        return match attribute_documented_error(experiment, trials, error) {
            RejectionSubject::ThisField => None,
            RejectionSubject::Elsewhere(what) => Some(Step::inconclusive(
                InconclusiveReason::RejectionUnclear,
                ReasonData::RejectedForOtherCause { what, response: last.describe() },
            )),
            RejectionSubject::Unnamed => {
                let mut verdict = build_verdict(experiment, expected, last);
                verdict.qualifiers.push("the error does not say what is wrong".to_owned());
                Some(Step::Decided(verdict))
            }
        };
    }
    match attribute_rejection(experiment, trials, error) {
        RejectionSubject::Elsewhere(what) if last.kind == ResponseKind::Rejected => {
            Some(Step::Decided(elsewhere_verdict(&what, error)))
        }
        RejectionSubject::Elsewhere(_) | RejectionSubject::ThisField | RejectionSubject::Unnamed => None,
    }
}

/// The response of a trial, classified.
struct ClassifiedResponse<'a> {
    kind: ResponseKind,
    response: Option<&'a ParsedResponse>,
    error: Option<&'a HttpError>,
    /// The difference between an accepted response and the documented one, or the cause of an
    /// unusable or failed response.
    reason: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ResponseKind {
    /// As documented.
    Expected,
    /// As in the alternative of the row with this index.
    Alternative(usize),
    /// A success without the documented content.
    Accepted,
    /// A client error that is not documented.
    Rejected,
    ServerError,
    /// A response that is no evidence.
    Unusable,
    /// No response, or a response that something other than the request caused.
    Failed,
}

impl ClassifiedResponse<'_> {
    fn describe(&self) -> String {
        self.response.map(describe_response).unwrap_or_default()
    }
}

fn classify<'a>(
    experiment: &Experiment,
    expected: &ResponsePredicate,
    trial: &'a CompletedTrial,
) -> ClassifiedResponse<'a> {
    let (kind, reason) = classify_kind(experiment, expected, trial);
    let error = match trial.responses.last() {
        Some(InterpretedExchange::HttpError(error)) => Some(error),
        _ => None,
    };
    ClassifiedResponse { kind, response: trial.last_response.as_deref(), error, reason }
}

fn classify_kind(
    experiment: &Experiment,
    expected: &ResponsePredicate,
    trial: &CompletedTrial,
) -> (ResponseKind, String) {
    let without_reason = |kind| (kind, String::new());
    let failed = |why: String| (ResponseKind::Failed, format!("the request failed: {why}"));
    if trial.is_incomplete(experiment) {
        return (ResponseKind::Unusable, INCOMPLETE_REASON.to_owned());
    }
    let last_step = trial.responses.last();
    let Some(response) = &trial.last_response else {
        let why = match last_step {
            Some(
                InterpretedExchange::NoResponse(why)
                | InterpretedExchange::Malformed(why)
                | InterpretedExchange::UnreadableStream(why),
            ) => why.as_str(),
            Some(InterpretedExchange::Message(_) | InterpretedExchange::HttpError(_)) | None => {
                "the response is incomplete"
            }
        };
        return failed(why.to_owned());
    };
    let message = match last_step {
        Some(InterpretedExchange::Message(message)) => Some(&**message),
        _ => None,
    };
    // If the first request of a conversation is rejected, the request that the row is about was not
    // sent.
    let steps = 1 + arms::follow_ups(&arms::layers(experiment, trial.variant.as_deref(), trial.arm)).len();
    if trial.responses.len() == 1 && steps > 1 {
        let reason = format!("the first request of the conversation failed: {}", describe_response(response));
        return (ResponseKind::Failed, reason);
    }
    let matches = |test: &ResponsePredicate| response_matches(test, response, message, &trial.values);
    if matches(expected) {
        return without_reason(ResponseKind::Expected);
    }
    if let Some(index) = experiment.alternatives.iter().position(|alternative| matches(&alternative.when)) {
        return without_reason(ResponseKind::Alternative(index));
    }
    if let Some(error) = message.and_then(error_in_text) {
        return (ResponseKind::Failed, error);
    }
    if let Some(why) = message.and_then(unusable_reason) {
        return (ResponseKind::Unusable, why);
    }
    match response.status {
        // A rate limit and an overloaded server are not about the request.
        429 | 503 | 504 | 524 | 529 => failed(describe_response(response)),
        401 | 403 if !experiment.about_credentials => failed(describe_response(response)),
        400..=499 if is_content_filter(&response.excerpt) => {
            failed(format!("a content filter rejected the request: {}", response.excerpt))
        }
        300..=399 => failed(format!("redirected: {}", describe_response(response))),
        500.. => without_reason(ResponseKind::ServerError),
        400..=499 => without_reason(ResponseKind::Rejected),
        _ if response.json["type"] == "error" => without_reason(ResponseKind::Rejected),
        _ if message.is_none() && expects_message(experiment, trial) => {
            let why = match last_step {
                Some(InterpretedExchange::Malformed(why) | InterpretedExchange::UnreadableStream(why)) => why.clone(),
                _ => describe_response(response),
            };
            (ResponseKind::Failed, format!("the response is not a message: {why}"))
        }
        _ => (ResponseKind::Accepted, mismatch_reason(expected, response, message, &trial.values)),
    }
}

/// True if the response to an accepted request is a message.
fn expects_message(experiment: &Experiment, trial: &CompletedTrial) -> bool {
    let layers = arms::layers(experiment, trial.variant.as_deref(), trial.arm);
    let path = layers.iter().rev().find_map(|arm| arm.path.as_deref()).unwrap_or(MESSAGES_PATH);
    path.split('?').next() == Some(MESSAGES_PATH)
}

/// A response in a few words, without the text of a message.
fn describe_response(response: &ParsedResponse) -> String {
    let status = response.status;
    let error = &response.json["error"];
    if status < 300 && (response.json["type"] == "message" || response.event_names.contains("message_start")) {
        format!("HTTP {status} with a message")
    } else if let (Some(kind), Some(text)) = (error["type"].as_str(), error["message"].as_str()) {
        format!("HTTP {status}, {kind}: {}", excerpt(text, 300))
    } else {
        format!("HTTP {status}: {}", response.excerpt)
    }
}

fn build_verdict(
    experiment: &Experiment,
    expected: &ResponsePredicate,
    classified: &ClassifiedResponse<'_>,
) -> Verdict {
    let decided = |status, reason| decided_verdict(status, EvidenceKind::Reply, None, reason);
    let response = classified.describe();
    match classified.kind {
        ResponseKind::Expected if classified.response.is_some_and(|response| response.status >= 400) => {
            decided(VerdictStatus::Supported, ReasonData::ErrorAsDocumented { response })
        }
        ResponseKind::Expected => decided(VerdictStatus::Supported, ReasonData::AsDocumented { response }),
        ResponseKind::Alternative(index) => {
            let alternative = &experiment.alternatives[index];
            if !alternative.verdict.is_decided() {
                let is_error = classified.response.is_some_and(|response| response.status >= 400);
                let code =
                    if is_error { InconclusiveReason::RejectionUnclear } else { InconclusiveReason::ModelDoesNotShow };
                let note = alternative.note.clone();
                return inconclusive_verdict(code, ReasonData::AlternativeUndecided { note, response });
            }
            let mut verdict = decided(alternative.verdict, ReasonData::AlternativeResponse { response });
            verdict.qualifiers.push(match alternative.verdict {
                status if status.is_positive() => format!("altered: {}", alternative.note),
                _ => alternative.note.clone(),
            });
            verdict
        }
        ResponseKind::Accepted if expected.expects_http_error() => {
            decided(VerdictStatus::Ignored, ReasonData::ErrorExpected { response })
        }
        ResponseKind::Accepted => {
            let mismatch = classified.reason.clone();
            decided(VerdictStatus::Ignored, ReasonData::OtherThanDocumented { mismatch, response })
        }
        ResponseKind::Rejected if expected.expects_http_error() => {
            let documented = describe_expected(expected);
            decided(VerdictStatus::Rejected, ReasonData::WrongError { response, documented })
        }
        ResponseKind::Rejected => decided(VerdictStatus::Rejected, ReasonData::RejectedResponse { response }),
        ResponseKind::Unusable => inconclusive_verdict(InconclusiveReason::UnusableTrials, classified.reason.clone()),
        // The caller decides server errors.
        ResponseKind::Failed | ResponseKind::ServerError => {
            inconclusive_verdict(InconclusiveReason::TreatmentFailed, classified.reason.clone())
        }
    }
}

/// The documented error.
fn describe_expected(expected: &ResponsePredicate) -> String {
    let statuses: Vec<String> = expected.status.iter().map(u16::to_string).collect();
    match &expected.error {
        Some(kind) => format!("documented: HTTP {} with {kind}", statuses.join(" or ")),
        None => format!("documented: HTTP {}", statuses.join(" or ")),
    }
}
