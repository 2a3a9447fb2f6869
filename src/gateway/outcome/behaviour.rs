//! Observes a behaviour of the gateway over all requests of a run: [`observe`]. Pure.

use std::collections::BTreeMap;

use serde_json::json;

use crate::catalog::{ApiDialect, GatewayBehaviour, GatewayRow, GatewayRowSubject, UpstreamResponse};
use crate::gateway::client_response;
use crate::gateway::client_response::{ClientResponse, ReceivedResponse};
use crate::gateway::correlation::UPSTREAM_CREDENTIAL;
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::gateway::trial_index::TrialIndex;
use crate::recording::gateway::{GatewayTrial, TrialKind};
use crate::results::gateway::GatewayInitiatedRequest;
use crate::results::reason::{
    CallList, CountedCall, ExpectedBehaviour, NameList, ObservedBehaviour, ReasonData, ResponseCount, RetriedError,
    RetryList,
};

/// Why a row is not finished although the run ended normally.
pub(crate) const LACKS_TRIAL: &str = "the recording lacks a trial that the rules need";

/// The number of requests in a concurrent batch.
pub(crate) const CONCURRENT_REQUESTS: u32 = 12;

/// The errors of the upstream for the row about retries: HTTP status and error type.
const FAILURES: [(u16, &str); 3] = [(429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error")];

/// What a run shows of a behaviour.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BehaviourObservation {
    /// The gateway behaves like a transparent one.
    AsExpected(ObservedBehaviour),
    /// It behaves in another way, and who sees it.
    Differs { expected: ExpectedBehaviour, observed: ObservedBehaviour, place: &'static str },
    /// The run shows nothing, for this reason.
    Undetermined(UndeterminedReason, ReasonData),
}

impl BehaviourObservation {
    fn differs(expected: ExpectedBehaviour, observed: ObservedBehaviour, place: &'static str) -> Self {
        Self::Differs { expected, observed, place }
    }
}

/// Where a client and an upstream see a behaviour.
const CLIENT_SIDE: &str = "the client";
const UPSTREAM_SIDE: &str = "the upstream";

/// The responses to the trials of a behaviour row. Only the row about retries has its own trials.
pub(crate) fn failure_responses(behaviour: GatewayBehaviour, dialect: ApiDialect) -> Vec<UpstreamResponse> {
    if behaviour != GatewayBehaviour::Retries {
        return Vec::new();
    }
    let to_response = |(status, kind)| {
        let body = match dialect {
            ApiDialect::Anthropic => json!({ "type": "error", "error": { "type": kind, "message": "not now" } }),
            ApiDialect::Openai => {
                json!({ "error": { "type": kind, "message": "not now", "param": null, "code": null } })
            }
        };
        UpstreamResponse { status: Some(status), body: Some(body), ..UpstreamResponse::default() }
    };
    FAILURES.into_iter().map(to_response).collect()
}

/// What a run shows of a behaviour.
pub(crate) fn observe(
    index: &TrialIndex<'_>,
    behaviour: GatewayBehaviour,
    row: &GatewayRow,
    rows: &[&GatewayRow],
) -> BehaviourObservation {
    match behaviour {
        GatewayBehaviour::Calls => observe_calls(index, rows),
        GatewayBehaviour::Isolation => observe_isolation(index),
        GatewayBehaviour::Ending => observe_connection_end(index),
        GatewayBehaviour::Compression => observe_compression(index),
        GatewayBehaviour::OwnRequests => observe_own_requests(index),
        GatewayBehaviour::Retries => observe_retries(index, row),
        GatewayBehaviour::Secret => observe_secret(index),
    }
}

/// True if the upstream returns a valid response, so that the gateway has no reason to retry.
pub(crate) fn expects_clean_response(row: Option<&GatewayRow>, dialect: ApiDialect, kind: TrialKind) -> bool {
    let Some(GatewayRowSubject::Response { response: Some(response), .. }) = row.map(|row| row.subject(dialect)) else {
        return row.is_none_or(|row| row.behaviour != Some(GatewayBehaviour::Retries) || kind != TrialKind::Treatment);
    };
    let UpstreamResponse { status, headers: _, message, choice: _, body, stream, dies } = response;
    // Keys and blocks that no API knows are invalid because of the upstream.
    let is_invented = message.iter().any(|(key, value)| format!("{key}{value}").contains("x_fieldtest"));
    // Random token counts do not fit the request.
    let has_random_usage = message.contains_key("usage");
    !is_invented
        && !has_random_usage
        && status.is_none()
        && body.is_none()
        && !dies
        && stream.cut_after.is_none()
        && stream.insert.is_empty()
}

fn not_called() -> BehaviourObservation {
    BehaviourObservation::Undetermined(UndeterminedReason::NotAsked, ReasonData::UpstreamNeverCalled {})
}

/// Every response that the client got, with its trial.
fn received_responses<'a>(index: &TrialIndex<'a>) -> impl Iterator<Item = (&'a GatewayTrial, Box<ReceivedResponse>)> {
    index.all_trials().filter_map(|trial| match client_response::read_response(&trial.exchange) {
        ClientResponse::Received(response) => Some((trial, response)),
        ClientResponse::NoResponse(_) => None,
    })
}

/// Compares the number of failures among responses with the expected none.
fn observe_responses(
    total: usize,
    failed: usize,
    expected: ExpectedBehaviour,
    observed: ObservedBehaviour,
) -> BehaviourObservation {
    match (total, failed) {
        (0, _) => {
            BehaviourObservation::Undetermined(UndeterminedReason::GatewayFailed, ReasonData::ClientGotNoResponse {})
        }
        (_, 0) => BehaviourObservation::AsExpected(ObservedBehaviour::AllResponses { responses: total as u64 }),
        _ => BehaviourObservation::differs(expected, observed, CLIENT_SIDE),
    }
}

fn observe_calls(index: &TrialIndex<'_>, rows: &[&GatewayRow]) -> BehaviourObservation {
    let (mut called_once, mut called_often, mut max_calls) = (0_u64, 0_u64, 0);
    let mut other_calls: BTreeMap<String, u64> = BTreeMap::new();
    for trial in index.all_trials() {
        let row = rows.iter().find(|row| row.id() == trial.row).copied();
        let model_calls = index.model_calls(trial);
        for call in index.calls(trial).iter().filter(|call| model_calls.iter().all(|known| known.number != call.number))
        {
            let path = call.path.split('?').next().unwrap_or_default();
            *other_calls.entry(format!("{} {path}", call.method)).or_default() += 1;
        }
        if expects_clean_response(row, index.dialect, trial.arm) {
            called_once += u64::from(model_calls.len() == 1);
            called_often += u64::from(model_calls.len() > 1);
            max_calls = max_calls.max(model_calls.len() as u64);
        }
    }
    let requests = called_once + called_often;
    let observed = match (requests, called_often) {
        (0, _) => return not_called(),
        (_, 0) if other_calls.is_empty() => {
            return BehaviourObservation::AsExpected(ObservedBehaviour::OneCallEach { requests });
        }
        (_, 0) => ObservedBehaviour::OtherCalls { calls: list_calls(other_calls) },
        _ => ObservedBehaviour::RepeatedCalls { max_calls, repeated: called_often, requests },
    };
    BehaviourObservation::differs(ExpectedBehaviour::OneCallEach {}, observed, UPSTREAM_SIDE)
}

fn list_calls(counts: impl IntoIterator<Item = (String, u64)>) -> CallList {
    CallList(counts.into_iter().map(|(call, count)| CountedCall { call, count }).collect())
}

fn observe_isolation(index: &TrialIndex<'_>) -> BehaviourObservation {
    let trials: Vec<&GatewayTrial> = index.all_trials().collect();
    let foreign = trials
        .iter()
        .filter(|trial| index.is_foreign_response(trial, &client_response::read_response(&trial.exchange)))
        .count() as u64;
    if foreign > 0 {
        let observed = ObservedBehaviour::ForeignResponses { foreign, requests: trials.len() as u64 };
        return BehaviourObservation::differs(ExpectedBehaviour::OwnResponses {}, observed, CLIENT_SIDE);
    }
    let requests = trials.iter().filter(|trial| trial.arm == TrialKind::Crowd).count() as u64;
    if requests == 0 {
        let because = ReasonData::ConcurrentNotSent {};
        return BehaviourObservation::Undetermined(UndeterminedReason::NotFinished, because);
    }
    let own = received_responses(index).filter(|(trial, response)| {
        let reply = trial.values.get("reply").map_or("", String::as_str);
        trial.arm == TrialKind::Crowd && (response.text.contains(reply) || response.json.to_string().contains(reply))
    });
    match own.count() as u64 {
        complete if complete == requests => {
            BehaviourObservation::AsExpected(ObservedBehaviour::OwnResponses { requests })
        }
        complete => BehaviourObservation::Undetermined(
            UndeterminedReason::GatewayFailed,
            ReasonData::ConcurrentIncomplete { complete, requests },
        ),
    }
}

fn observe_connection_end(index: &TrialIndex<'_>) -> BehaviourObservation {
    let complete: Vec<_> =
        received_responses(index).filter(|(_, response)| !response.is_stream || response.is_finished()).collect();
    let is_open = |response: &ReceivedResponse| response.truncation.as_ref().is_some_and(|cut| cut.is_timeout);
    let open = complete.iter().filter(|(_, response)| is_open(response)).count();
    let observed = ObservedBehaviour::OpenConnections { open: open as u64, responses: complete.len() as u64 };
    observe_responses(complete.len(), open, ExpectedBehaviour::ConnectionsEnd {}, observed)
}

fn observe_compression(index: &TrialIndex<'_>) -> BehaviourObservation {
    let responses: Vec<_> = received_responses(index).collect();
    let encodings: Vec<&str> =
        responses.iter().filter_map(|(_, response)| response.content_encoding.as_deref()).collect();
    let observed = ObservedBehaviour::EncodedResponses {
        encoded: encodings.len() as u64,
        responses: responses.len() as u64,
        encoding: encodings.iter().max().map_or(String::new(), |encoding| (*encoding).to_owned()),
    };
    observe_responses(responses.len(), encodings.len(), ExpectedBehaviour::UncompressedResponses {}, observed)
}

fn observe_own_requests(index: &TrialIndex<'_>) -> BehaviourObservation {
    let requests = gateway_requests(index);
    if requests.is_empty() {
        return BehaviourObservation::AsExpected(ObservedBehaviour::NoOwnRequests {});
    }
    let calls = list_calls(requests.into_iter().map(|request| (request.what, request.count)));
    let observed = ObservedBehaviour::OwnRequests { calls };
    BehaviourObservation::differs(ExpectedBehaviour::NoOwnRequests {}, observed, UPSTREAM_SIDE)
}

/// The requests that the gateway itself initiated, by method and path.
pub(crate) fn gateway_requests(index: &TrialIndex<'_>) -> Vec<GatewayInitiatedRequest> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for call in &index.uncorrelated {
        *counts.entry(format!("{} {}", call.method, call.path)).or_default() += 1;
    }
    counts.into_iter().map(|(what, count)| GatewayInitiatedRequest { what, count }).collect()
}

fn observe_retries(index: &TrialIndex<'_>, row: &GatewayRow) -> BehaviourObservation {
    let trials = index.trials(row.id(), TrialKind::Treatment);
    if trials.len() < FAILURES.len() {
        let because = ReasonData::NotRunCompletely { why: LACKS_TRIAL.to_owned() };
        return BehaviourObservation::Undetermined(UndeterminedReason::NotFinished, because);
    }
    let errors: Vec<RetriedError> = trials
        .iter()
        .zip(FAILURES)
        .map(|(trial, (status, _))| RetriedError { status, calls: index.model_calls(trial).len() as u64 })
        .filter(|error| error.calls > 0)
        .collect();
    if errors.is_empty() {
        return not_called();
    }
    if errors.iter().all(|error| error.calls == 1) {
        return BehaviourObservation::AsExpected(ObservedBehaviour::NoRetries {});
    }
    let observed = ObservedBehaviour::Retries { errors: RetryList(errors) };
    BehaviourObservation::differs(ExpectedBehaviour::NoRetries {}, observed, UPSTREAM_SIDE)
}

fn observe_secret(index: &TrialIndex<'_>) -> BehaviourObservation {
    let echoes = received_responses(index).filter(|(_, response)| contains_upstream_credential(response)).count();
    if echoes > 0 {
        let observed = ObservedBehaviour::UpstreamCredentialReturned { responses: ResponseCount(echoes as u64) };
        return BehaviourObservation::differs(ExpectedBehaviour::CredentialsKept {}, observed, CLIENT_SIDE);
    }
    if index.all_trials().all(|trial| index.calls(trial).is_empty()) {
        return not_called();
    }
    let calls = index.all_trials().flat_map(|trial| index.calls(trial)).chain(&index.uncorrelated);
    let mut places: Vec<String> = calls.flat_map(|call| &call.leaks).cloned().collect();
    places.sort_unstable();
    places.dedup();
    if places.is_empty() {
        return BehaviourObservation::AsExpected(ObservedBehaviour::CredentialsKept {});
    }
    let observed = ObservedBehaviour::ClientCredentialForwarded { places: NameList(places) };
    BehaviourObservation::differs(ExpectedBehaviour::CredentialNotForwarded {}, observed, UPSTREAM_SIDE)
}

fn contains_upstream_credential(response: &ReceivedResponse) -> bool {
    let headers = response.headers.iter().map(|(_, value)| value);
    headers.chain([&response.text]).any(|text| text.contains(UPSTREAM_CREDENTIAL))
}
