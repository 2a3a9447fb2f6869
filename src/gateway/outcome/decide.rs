//! Decides a row from its trials: [`next_step`] says what to send next, or what the trials show.
//!
//! Pure. The same rules decide during a run and when its recording is judged.

use crate::catalog::{GatewayExpectation, GatewayRow, GatewayRowSubject, UpstreamResponse};
use crate::gateway::client_response;
use crate::gateway::client_response::ClientResponse;
use crate::gateway::outcome::matcher::GatewayObservation;
use crate::gateway::outcome::request;
use crate::gateway::outcome::response::ResponseProbe;
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::gateway::trial_index::TrialIndex;
use crate::gateway::upstream::script::{UpstreamRoute, fill_response};
use crate::recording::gateway::{GatewayTrial, TrialKind, UpstreamCall};
use crate::results::reason::ReasonData;
use crate::variables::fill::restore_placeholders;

/// The maximum number of trials of a row.
const MAX_TRIALS: usize = 3;

/// Times are truncated to milliseconds, and the end of a request is the sum of two times.
const CLOCK_TOLERANCE_MS: u64 = 2;

/// How long after the response of the gateway a call still belongs to its request.
const LATE_CALL_TOLERANCE_MS: u64 = 5;

/// The next step of a row.
#[derive(Debug)]
pub(crate) enum GatewayStep<'a> {
    /// Run one more trial.
    Run,
    /// The row is decided.
    Decided(GatewayDecision<'a>),
}

/// What the trials of a row show, and the trial that shows it best.
#[derive(Debug)]
pub(crate) struct GatewayDecision<'a> {
    /// What was observed.
    pub observation: GatewayObservation,
    /// The trial that shows it.
    pub deciding_trial: Option<&'a GatewayTrial>,
}

/// The next step of a row. A value that arrives decides at once. Any other result is repeated, with
/// other random values, and must occur twice.
pub(crate) fn next_step<'a>(index: &TrialIndex<'a>, row: &GatewayRow) -> GatewayStep<'a> {
    let trials = index.trials(row.id(), TrialKind::Treatment);
    let observed: Vec<(GatewayObservation, &GatewayTrial)> =
        trials.iter().map(|trial| (observe(index, row, trial), *trial)).collect();
    let Some((last, last_trial)) = observed.last() else { return GatewayStep::Run };
    let is_alike = |a: &GatewayObservation, b: &GatewayObservation| match (a, b) {
        (GatewayObservation::Undetermined(one, _), GatewayObservation::Undetermined(other, _)) => one == other,
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    };
    let is_undetermined = |seen: &GatewayObservation| matches!(seen, GatewayObservation::Undetermined(..));
    let is_sufficient = |seen: &GatewayObservation| {
        let needed = if matches!(seen, GatewayObservation::Forwarded { .. }) { 1 } else { 2 };
        observed.iter().filter(|(other, _)| is_alike(seen, other)).count() >= needed
    };
    let mut determined = observed.iter().filter(|(seen, _)| !is_undetermined(seen));
    let disagree = determined.next().is_some_and(|(first, _)| determined.any(|(other, _)| !is_alike(first, other)));
    if !disagree {
        // An observation that shows something precedes those that are undetermined.
        let decisive =
            observed.iter().filter(|(seen, _)| is_sufficient(seen)).min_by_key(|(seen, _)| is_undetermined(seen));
        if let Some((seen, trial)) = decisive {
            let observation = apply_controls(index, row, seen);
            return GatewayStep::Decided(GatewayDecision { observation, deciding_trial: Some(trial) });
        }
    }
    if observed.len() < MAX_TRIALS {
        return GatewayStep::Run;
    }
    let observation = match last {
        _ if disagree => GatewayObservation::Undetermined(UndeterminedReason::Unsteady, ReasonData::ResultsDiffer {}),
        GatewayObservation::Undetermined(..) => last.clone(),
        _ => observed_once(),
    };
    GatewayStep::Decided(GatewayDecision { observation, deciding_trial: Some(last_trial) })
}

/// The observation of a result that did not occur again.
pub(crate) fn observed_once() -> GatewayObservation {
    GatewayObservation::Undetermined(UndeterminedReason::Unsteady, ReasonData::SeenOnce {})
}

/// Compares an observation with the controls. A rejection is evidence about the field only if the
/// request without the field passes. A missing part of a response is evidence about this part only
/// if the plain response reaches the client.
fn apply_controls(index: &TrialIndex<'_>, row: &GatewayRow, observation: &GatewayObservation) -> GatewayObservation {
    let control = match (observation, row.subject(index.dialect)) {
        (GatewayObservation::Refused { .. }, GatewayRowSubject::Request { .. }) => {
            let failed = index.control_trials(row.id()).into_iter().find_map(|control| describe_failure(control, 400));
            failed.map(|why| (UndeterminedReason::BaseRefused, ReasonData::ControlFailedToo { why }))
        }
        // If the upstream fails on purpose, the error of the gateway is what the row is about.
        (
            GatewayObservation::Refused { .. }
            | GatewayObservation::Changed { .. }
            | GatewayObservation::Dropped { .. },
            GatewayRowSubject::Response { .. },
        ) if !row.fails_upstream(index.dialect) => plain_failure(index).map(|because| {
            let because = ReasonData::PlainResponseLost { because: Box::new(because) };
            (UndeterminedReason::GatewayFailed, because)
        }),
        _ => None,
    };
    control.map_or_else(|| observation.clone(), |(code, because)| GatewayObservation::Undetermined(code, because))
}

/// How a request failed, if there was no response or its status is at least `min_status`.
fn describe_failure(trial: &GatewayTrial, min_status: u16) -> Option<String> {
    let why = match client_response::read_response(&trial.exchange) {
        ClientResponse::NoResponse(why) => why,
        ClientResponse::Received(response) if response.status >= min_status => response.describe(),
        ClientResponse::Received(_) => return None,
    };
    Some(restore_placeholders(&why, &trial.values))
}

/// What became of the plain response to the first request, if it did not reach the client.
fn plain_failure(index: &TrialIndex<'_>) -> Option<ReasonData> {
    let first = index.first_trial()?;
    if let Some(why) = describe_failure(first, 300) {
        return Some(ReasonData::GatewayFailed { why });
    }
    let ClientResponse::Received(response) = client_response::read_response(&first.exchange) else { return None };
    let reply = first.values.get("reply").map_or("", String::as_str);
    if response.json.to_string().contains(reply) {
        return None;
    }
    Some(match response.content_encoding {
        Some(encoding) => ReasonData::PlainResponseEncoded { encoding },
        None => ReasonData::PlainTextMissing {},
    })
}

/// What one trial shows, with the names of random values instead of the values.
pub(crate) fn observe(index: &TrialIndex<'_>, row: &GatewayRow, trial: &GatewayTrial) -> GatewayObservation {
    let observation = match row.subject(index.dialect) {
        GatewayRowSubject::Request { .. } => observe_request(index, row, trial),
        GatewayRowSubject::Response { response: Some(response), expectation } => {
            observe_response(index, response, expectation, trial)
        }
        GatewayRowSubject::Response { response: None, .. } | GatewayRowSubject::Behaviour(_) => {
            GatewayObservation::Undetermined(UndeterminedReason::NotFinished, ReasonData::NotInDialect {})
        }
    };
    let restore = |text: &str| restore_placeholders(text, &trial.values);
    match observation {
        GatewayObservation::Forwarded { place } => GatewayObservation::Forwarded { place: restore(&place) },
        GatewayObservation::Changed { from, to, place } => {
            GatewayObservation::changed(restore(&from), restore(&to), restore(&place))
        }
        GatewayObservation::Dropped { note } => GatewayObservation::Dropped { note: note.with_texts(&restore) },
        GatewayObservation::Refused { message } => GatewayObservation::Refused { message: restore(&message) },
        GatewayObservation::Undetermined(code, because) => {
            GatewayObservation::Undetermined(code, because.with_texts(&restore))
        }
    }
}

fn observe_request(index: &TrialIndex<'_>, row: &GatewayRow, trial: &GatewayTrial) -> GatewayObservation {
    let calls = match resolve_calls(index, trial) {
        Ok(calls) => calls,
        Err(observation) => return observation,
    };
    let control = index
        .control_trials(row.id())
        .into_iter()
        .find_map(|control| Some((&control.exchange.request, index.model_calls(control).first().copied()?)));
    let mut observations = calls
        .iter()
        .map(|call| request::observe(row, index.dialect, &trial.values, &trial.exchange.request, control, call));
    let Some(first) = observations.next() else { return GatewayObservation::dropped() };
    if observations.all(|other| other == first) {
        return first;
    }
    GatewayObservation::Undetermined(
        UndeterminedReason::AskedTwiceDifferently,
        ReasonData::CallsDiffer { calls: calls.len() as u64 },
    )
}

fn observe_response(
    index: &TrialIndex<'_>,
    script: &UpstreamResponse,
    expectation: &GatewayExpectation,
    trial: &GatewayTrial,
) -> GatewayObservation {
    let calls = match resolve_calls(index, trial) {
        Ok(calls) => calls,
        Err(GatewayObservation::Refused { message }) => {
            return GatewayObservation::Undetermined(
                UndeterminedReason::BaseRefused,
                ReasonData::RejectedBeforeCall { message },
            );
        }
        Err(observation) => return observation,
    };
    let client_response = client_response::read_response(&trial.exchange);
    let ended_ms = trial.exchange.last_attempt().map_or(0, |attempt| attempt.started_ms + attempt.duration_ms);
    let is_late = |call: &&UpstreamCall| call.at_ms > ended_ms + CLOCK_TOLERANCE_MS;
    if matches!(client_response, ClientResponse::Received(_)) && calls.iter().all(is_late) {
        let because = ReasonData::RespondedBeforeCall {};
        return GatewayObservation::Undetermined(UndeterminedReason::NotAsked, because);
    }
    if index.is_foreign_response(trial, &client_response) {
        return GatewayObservation::Undetermined(UndeterminedReason::Crossed, ReasonData::ForeignResponse {});
    }
    let Some(call) = calls.last() else { return GatewayObservation::dropped() };
    let probe = ResponseProbe {
        scripted_response: &fill_response(script, &trial.values),
        values: &trial.values,
        exchange: &trial.exchange,
        client_response: &client_response,
        call,
    };
    probe.observe(expectation)
}

/// The upstream calls that a request led to, or what it means that there are none.
fn resolve_calls<'a>(
    index: &TrialIndex<'a>,
    trial: &GatewayTrial,
) -> Result<Vec<&'a UpstreamCall>, GatewayObservation> {
    let calls = index.model_calls(trial);
    if calls.iter().any(|call| call.labels.len() > 1) {
        return Err(GatewayObservation::Undetermined(UndeterminedReason::Merged, ReasonData::CallsMerged {}));
    }
    if !calls.is_empty() {
        return Ok(calls);
    }
    if let Some(call) = index.calls(trial).first() {
        let because = ReasonData::CallToUnknownPath { method: call.method.clone(), path: call.path.clone() };
        return Err(GatewayObservation::Undetermined(UndeterminedReason::Uncorrelated, because));
    }
    Err(match client_response::read_response(&trial.exchange) {
        ClientResponse::NoResponse(why) => GatewayObservation::failed(why),
        ClientResponse::Received(response) => {
            let message = response.describe();
            match response.status {
                401 | 403 | 407 | 429 => GatewayObservation::Undetermined(
                    UndeterminedReason::ClientRefused,
                    ReasonData::ClientRejected { message },
                ),
                400..=499 => GatewayObservation::Refused { message },
                200..=299 if had_uncorrelated_call(index, trial) => {
                    GatewayObservation::Undetermined(UndeterminedReason::Uncorrelated, ReasonData::CallLacksMessage {})
                }
                200..=299 => GatewayObservation::Undetermined(
                    UndeterminedReason::NotAsked,
                    ReasonData::UpstreamNotCalled { status: response.status },
                ),
                _ => GatewayObservation::failed(message),
            }
        }
    })
}

/// True if the gateway called the upstream without a label during a request.
fn had_uncorrelated_call(index: &TrialIndex<'_>, trial: &GatewayTrial) -> bool {
    let Some(attempt) = trial.exchange.last_attempt() else { return false };
    let during = attempt.started_ms..=attempt.started_ms + attempt.duration_ms + LATE_CALL_TOLERANCE_MS;
    index.uncorrelated.iter().any(|call| {
        during.contains(&call.at_ms)
            && UpstreamRoute::from_request(&call.method, &call.path).is_model_call(index.dialect)
    })
}
