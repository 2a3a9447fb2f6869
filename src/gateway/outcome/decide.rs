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
        _ if disagree => {
            GatewayObservation::undetermined(UndeterminedReason::Unsteady, "equal requests had different results")
        }
        GatewayObservation::Undetermined(..) => last.clone(),
        _ => observed_once(),
    };
    GatewayStep::Decided(GatewayDecision { observation, deciding_trial: Some(last_trial) })
}

/// The observation of a result that did not occur again.
pub(crate) fn observed_once() -> GatewayObservation {
    GatewayObservation::undetermined(UndeterminedReason::Unsteady, "observed once, but not when repeated")
}

/// Compares an observation with the controls. A rejection is evidence about the field only if the
/// request without the field passes. A missing part of a response is evidence about this part only
/// if the plain response reaches the client.
fn apply_controls(index: &TrialIndex<'_>, row: &GatewayRow, observation: &GatewayObservation) -> GatewayObservation {
    let control = match (observation, row.subject(index.dialect)) {
        (GatewayObservation::Refused { .. }, GatewayRowSubject::Request { .. }) => {
            let failed = index.control_trials(row.id()).into_iter().find_map(|control| describe_failure(control, 400));
            failed.map(|why| {
                let text = format!("the request without the field failed too: {why}");
                (UndeterminedReason::BaseRefused, text)
            })
        }
        // If the upstream fails on purpose, the error of the gateway is what the row is about.
        (
            GatewayObservation::Refused { .. }
            | GatewayObservation::Changed { .. }
            | GatewayObservation::Dropped { .. },
            GatewayRowSubject::Response { .. },
        ) if !row.fails_upstream(index.dialect) => plain_failure(index).map(|why| {
            let text = format!("the plain response does not reach the client either: {why}");
            (UndeterminedReason::GatewayFailed, text)
        }),
        _ => None,
    };
    control.map_or_else(|| observation.clone(), |(reason, text)| GatewayObservation::Undetermined(reason, text))
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
fn plain_failure(index: &TrialIndex<'_>) -> Option<String> {
    let first = index.first_trial()?;
    if let Some(why) = describe_failure(first, 300) {
        return Some(why);
    }
    let ClientResponse::Received(response) = client_response::read_response(&first.exchange) else { return None };
    let reply = first.values.get("reply").map_or("", String::as_str);
    if response.json.to_string().contains(reply) {
        return None;
    }
    Some(match response.content_encoding {
        Some(encoding) => format!("it has an encoding that the client did not accept ({encoding})"),
        None => "its text is missing".to_owned(),
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
            GatewayObservation::undetermined(UndeterminedReason::NotFinished, "the row does not exist for this API")
        }
    };
    let restore = |text: String| restore_placeholders(&text, &trial.values);
    match observation {
        GatewayObservation::Forwarded { place } => GatewayObservation::Forwarded { place: restore(place) },
        GatewayObservation::Changed { from, to, place } => {
            GatewayObservation::changed(restore(from), restore(to), restore(place))
        }
        GatewayObservation::Dropped { note } => GatewayObservation::Dropped { note: note.map(restore) },
        GatewayObservation::Refused { message } => GatewayObservation::Refused { message: restore(message) },
        GatewayObservation::Undetermined(reason, text) => GatewayObservation::Undetermined(reason, restore(text)),
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
    let Some(first) = observations.next() else { return GatewayObservation::Dropped { note: None } };
    if observations.all(|other| other == first) {
        return first;
    }
    GatewayObservation::undetermined(
        UndeterminedReason::AskedTwiceDifferently,
        format!("the gateway sent {} different requests to the upstream", calls.len()),
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
            return GatewayObservation::undetermined(
                UndeterminedReason::BaseRefused,
                format!("the gateway rejected the request and did not call the upstream: {message}"),
            );
        }
        Err(observation) => return observation,
    };
    let client_response = client_response::read_response(&trial.exchange);
    let ended_ms = trial.exchange.last_attempt().map_or(0, |attempt| attempt.started_ms + attempt.duration_ms);
    let is_late = |call: &&UpstreamCall| call.at_ms > ended_ms + CLOCK_TOLERANCE_MS;
    if matches!(client_response, ClientResponse::Received(_)) && calls.iter().all(is_late) {
        let text = "the client got its response before the gateway called the upstream";
        return GatewayObservation::undetermined(UndeterminedReason::NotAsked, text);
    }
    if index.is_foreign_response(trial, &client_response) {
        let text = "the client got the response to another request";
        return GatewayObservation::undetermined(UndeterminedReason::Crossed, text);
    }
    let Some(call) = calls.last() else { return GatewayObservation::Dropped { note: None } };
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
        let text = "one upstream call contains several client requests";
        return Err(GatewayObservation::undetermined(UndeterminedReason::Merged, text));
    }
    if !calls.is_empty() {
        return Ok(calls);
    }
    if let Some(call) = index.calls(trial).first() {
        let text = format!("the gateway called {} {}, which the upstream's API does not have", call.method, call.path);
        return Err(GatewayObservation::Undetermined(UndeterminedReason::Uncorrelated, text));
    }
    Err(match client_response::read_response(&trial.exchange) {
        ClientResponse::NoResponse(why) => GatewayObservation::Undetermined(UndeterminedReason::GatewayFailed, why),
        ClientResponse::Received(response) => {
            let message = response.describe();
            match response.status {
                401 | 403 | 407 | 429 => GatewayObservation::Undetermined(UndeterminedReason::ClientRefused, message),
                400..=499 => GatewayObservation::Refused { message },
                200..=299 if had_uncorrelated_call(index, trial) => GatewayObservation::undetermined(
                    UndeterminedReason::Uncorrelated,
                    "an upstream call does not contain the client's message",
                ),
                200..=299 => GatewayObservation::undetermined(
                    UndeterminedReason::NotAsked,
                    format!("the gateway returned HTTP {} and did not call the upstream", response.status),
                ),
                _ => GatewayObservation::Undetermined(UndeterminedReason::GatewayFailed, message),
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
