//! The rule for rows that are decided by what an answer is: a refusal that the documents promise, a count, a list.
//!
//! One answer decides, since such things are true of the server and not of the model; a refusal is asked for twice, and
//! proves something only where a request without the mistake is accepted afterwards; a server error, only where it comes
//! each time. What was
//! expected is `supported`; what was accepted without it, `ignored`; what was refused otherwise, `rejected`.

use crate::catalog::{Experiment, ResponsePredicate, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::predicate::{mismatch_reason, response_matches};
use crate::engine::request::arms;
use crate::engine::request::build::MESSAGES_PATH;
use crate::engine::rules::{
    MIN_TRIALS_IF_INCONSISTENT, RunFacts, Step, TrialSpec, decided_verdict, inconclusive_verdict, validation,
};
use crate::engine::trial::{CompletedTrial, INCOMPLETE_REASON, error_in_text, unusable_reason};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};
use crate::wire::message::{InterpretedExchange, excerpt};
use crate::wire::response_body::ParsedResponse;

/// The most trials of an arm: one fewer answer than are ever needed, as many void trials as these allow, and one.
pub(crate) const MAX_TRIALS: u32 = 2 * (MIN_TRIALS_IF_INCONSISTENT - 1) + MAX_UNUSABLE_TRIALS as u32 + 1;
/// Trials of one arm that say nothing after which it is given up.
const MAX_UNUSABLE_TRIALS: usize = 3;
/// Server errors in a row after which they are taken for the answer to this request.
const MAX_SERVER_ERRORS: usize = 3;

/// What comes next for one variant of a row (or for the row, where it has none).
pub(crate) fn next_step(
    experiment: &Experiment,
    expected: &ResponsePredicate,
    variant: Option<&str>,
    trials: &[CompletedTrial],
    facts: &RunFacts,
) -> Step {
    let tried: Vec<&CompletedTrial> =
        trials.iter().filter(|t| t.arm == ArmKind::Treatment && t.variant.as_deref() == variant).collect();
    let again = || Step::Run(TrialSpec { variant: variant.map(str::to_owned), arm: ArmKind::Treatment });
    let came: Vec<ResponseOutcome<'_>> = tried.iter().map(|t| classify(experiment, expected, t)).collect();
    let told: Vec<&ResponseOutcome<'_>> = came.iter().filter(|c| !matches!(c, ResponseOutcome::Unusable(_))).collect();
    let Some(last) = told.last() else {
        return match came.last() {
            Some(ResponseOutcome::Unusable(why)) if came.len() >= MAX_UNUSABLE_TRIALS => {
                Step::Decided(inconclusive_verdict(
                    InconclusiveReason::UnusableTrials,
                    format!("so in each of {} trials: {why}", came.len()),
                ))
            }
            _ => again(),
        };
    };
    // A model that answers now and then only is given up, too.
    if came.len() - told.len() > MAX_UNUSABLE_TRIALS + told.len() {
        return Step::Decided(inconclusive_verdict(
            InconclusiveReason::UnusableTrials,
            format!("{} of {} trials say nothing", came.len() - told.len(), came.len()),
        ));
    }
    if let Some(ResponseOutcome::Failed(why)) = told.iter().find(|c| matches!(c, ResponseOutcome::Failed(_))) {
        return Step::Decided(inconclusive_verdict(InconclusiveReason::TreatmentFailed, why.clone()));
    }
    if told.iter().any(|c| c.kind() != last.kind()) {
        return Step::Decided(inconclusive_verdict(
            InconclusiveReason::Inconsistent,
            "the same request was answered in different ways",
        ));
    }
    // A refusal may have another reason than the request, so it is asked for twice, and then whether the server still
    // answers at all.
    let is_refusal = matches!(last.kind(), ResponseOutcomeKind::ServerError | ResponseOutcomeKind::Rejected)
        || last.response().is_some_and(|a| a.status >= 400);
    let needed = match last.kind() {
        ResponseOutcomeKind::ServerError => MAX_SERVER_ERRORS,
        _ if is_refusal => 2,
        _ => 1,
    };
    if told.len() < needed.max(facts.min_trials(experiment.id()) as usize) {
        return again();
    }
    if is_refusal && let Some(step) = validation::negative_control(experiment, trials, ArmKind::After) {
        return step;
    }
    Step::Decided(build_verdict(experiment, expected, last, told.len()))
}

/// What came of a trial.
enum ResponseOutcome<'a> {
    /// What the documents say.
    Expected(&'a ParsedResponse),
    /// Another answer that the row knows.
    Alternative(usize, &'a ParsedResponse),
    /// A success without what was to be in it; why.
    Accepted(&'a ParsedResponse, String),
    /// Another client error.
    Rejected(&'a ParsedResponse),
    /// A server error.
    ServerError(&'a ParsedResponse),
    /// An answer that says nothing.
    Unusable(String),
    /// No answer, or one that has another reason.
    Failed(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ResponseOutcomeKind {
    Expected,
    Alternative(usize),
    Accepted,
    Rejected,
    ServerError,
    Unusable,
    Failed,
}

impl ResponseOutcome<'_> {
    fn kind(&self) -> ResponseOutcomeKind {
        match self {
            Self::Expected(_) => ResponseOutcomeKind::Expected,
            Self::Alternative(n, _) => ResponseOutcomeKind::Alternative(*n),
            Self::Accepted(..) => ResponseOutcomeKind::Accepted,
            Self::Rejected(_) => ResponseOutcomeKind::Rejected,
            Self::ServerError(_) => ResponseOutcomeKind::ServerError,
            Self::Unusable(_) => ResponseOutcomeKind::Unusable,
            Self::Failed(_) => ResponseOutcomeKind::Failed,
        }
    }

    fn response(&self) -> Option<&ParsedResponse> {
        match self {
            Self::Expected(a)
            | Self::Alternative(_, a)
            | Self::Accepted(a, _)
            | Self::Rejected(a)
            | Self::ServerError(a) => Some(a),
            Self::Unusable(_) | Self::Failed(_) => None,
        }
    }
}

fn classify<'a>(
    experiment: &Experiment,
    expected: &ResponsePredicate,
    trial: &'a CompletedTrial,
) -> ResponseOutcome<'a> {
    if trial.is_incomplete(experiment) {
        return ResponseOutcome::Unusable(INCOMPLETE_REASON.to_owned());
    }
    let steps = 1 + arms::follow_ups(&arms::layers(experiment, trial.variant.as_deref(), trial.arm)).len();
    let Some(answer) = &trial.last_response else {
        let why = match trial.responses.last() {
            Some(InterpretedExchange::NoResponse(why) | InterpretedExchange::Malformed(why)) => why.clone(),
            Some(InterpretedExchange::Message(_) | InterpretedExchange::HttpError(_)) | None => {
                "the answer did not come whole".to_owned()
            }
        };
        return ResponseOutcome::Failed(why);
    };
    let message = trial.responses.last().and_then(|step| match step {
        InterpretedExchange::Message(message) => Some(message),
        InterpretedExchange::HttpError(_) | InterpretedExchange::Malformed(_) | InterpretedExchange::NoResponse(_) => {
            None
        }
    });
    // A conversation that is refused at its first request never came to what the row is about.
    if trial.responses.len() == 1 && steps > 1 {
        return ResponseOutcome::Failed(format!("the conversation did not begin: {}", describe_response(answer)));
    }
    let holds = |test: &ResponsePredicate| response_matches(test, answer, message, &trial.values);
    if holds(expected) {
        return ResponseOutcome::Expected(answer);
    }
    if let Some(n) = experiment.alternatives.iter().position(|o| holds(&o.when)) {
        return ResponseOutcome::Alternative(n, answer);
    }
    if let Some(error) = message.and_then(error_in_text) {
        return ResponseOutcome::Failed(error);
    }
    if let Some(why) = message.and_then(unusable_reason) {
        return ResponseOutcome::Unusable(why);
    }
    match answer.status {
        // A rate limit is no answer to what was asked, nor is an outage that the server speaks of as one.
        429 => ResponseOutcome::Failed(describe_response(answer)),
        401 | 403 if !experiment.about_credentials => ResponseOutcome::Failed(describe_response(answer)),
        300..=399 => ResponseOutcome::Failed(format!("a redirect: {}", describe_response(answer))),
        500.. => ResponseOutcome::ServerError(answer),
        400..=499 => ResponseOutcome::Rejected(answer),
        _ if answer.json["type"] == "error" => ResponseOutcome::Rejected(answer),
        // What is no message was not accepted as a request for one.
        _ if message.is_none() && expects_message(experiment, trial) => {
            ResponseOutcome::Failed(format!("an answer that is no message: {}", describe_response(answer)))
        }
        _ => ResponseOutcome::Accepted(answer, mismatch_reason(expected, answer, message, &trial.values)),
    }
}

/// True of a request whose answer is a message, where it is accepted.
fn expects_message(experiment: &Experiment, trial: &CompletedTrial) -> bool {
    let layers = arms::layers(experiment, trial.variant.as_deref(), trial.arm);
    let path = layers.iter().rev().find_map(|arm| arm.path.as_deref()).unwrap_or(MESSAGES_PATH);
    path.split('?').next() == Some(MESSAGES_PATH)
}

/// An answer in a few words: what a message says is of no interest here.
fn describe_response(answer: &ParsedResponse) -> String {
    if answer.status < 300 && (answer.json["type"] == "message" || answer.event_names.contains("message_start")) {
        format!("HTTP {} with a message", answer.status)
    } else if let (Some(kind), Some(text)) =
        (answer.json["error"]["type"].as_str(), answer.json["error"]["message"].as_str())
    {
        format!("HTTP {}, {kind}: {}", answer.status, excerpt(text, 300))
    } else {
        format!("HTTP {}: {}", answer.status, answer.excerpt)
    }
}

fn build_verdict(
    experiment: &Experiment,
    expected: &ResponsePredicate,
    came: &ResponseOutcome<'_>,
    times: usize,
) -> Verdict {
    let decided = |status, reason| decided_verdict(status, EvidenceKind::Reply, None, reason);
    match came {
        ResponseOutcome::Expected(answer) => {
            decided(VerdictStatus::Supported, format!("answered as documented ({})", describe_response(answer)))
        }
        ResponseOutcome::Alternative(n, answer) => {
            let otherwise = &experiment.alternatives[*n];
            if !otherwise.verdict.is_decided() {
                let why = if answer.status >= 400 {
                    InconclusiveReason::RejectionUnclear
                } else {
                    InconclusiveReason::ModelDoesNotShow
                };
                return inconclusive_verdict(why, format!("{}: {}", otherwise.note, describe_response(answer)));
            }
            let mut verdict = decided(otherwise.verdict, describe_response(answer));
            verdict.qualifiers.push(match otherwise.verdict {
                VerdictStatus::Supported => format!("altered: {}", otherwise.note),
                _ => otherwise.note.clone(),
            });
            verdict
        }
        ResponseOutcome::Accepted(answer, _) if expected.expects_http_error() => decided(
            VerdictStatus::Ignored,
            format!("accepted where the documents have it refused: {}", describe_response(answer)),
        ),
        ResponseOutcome::Accepted(answer, why) => {
            decided(VerdictStatus::Ignored, format!("{why} ({})", describe_response(answer)))
        }
        ResponseOutcome::Rejected(answer) if expected.expects_http_error() => decided(
            VerdictStatus::Rejected,
            format!("refused, but not as documented: {} ({})", describe_response(answer), describe_expected(expected)),
        ),
        ResponseOutcome::Rejected(answer) => {
            decided(VerdictStatus::Rejected, format!("refused with {}", describe_response(answer)))
        }
        ResponseOutcome::ServerError(answer) => decided(
            VerdictStatus::Rejected,
            format!(
                "a server error, {times} times in a row, while other requests are answered: {}",
                describe_response(answer)
            ),
        ),
        ResponseOutcome::Unusable(why) => inconclusive_verdict(InconclusiveReason::UnusableTrials, why.clone()),
        ResponseOutcome::Failed(why) => inconclusive_verdict(InconclusiveReason::TreatmentFailed, why.clone()),
    }
}

/// What was expected of a refusal.
fn describe_expected(expected: &ResponsePredicate) -> String {
    let statuses: Vec<String> = expected.status.iter().map(u16::to_string).collect();
    match &expected.error {
        Some(kind) => format!("documented: HTTP {} with {kind}", statuses.join(" or ")),
        None => format!("documented: HTTP {}", statuses.join(" or ")),
    }
}
