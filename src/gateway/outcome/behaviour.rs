//! Observes a behaviour of the gateway over all requests of a run: [`observe`]. Pure.

use std::collections::BTreeMap;

use serde_json::json;

use crate::catalog::{ApiDialect, GatewayBehaviour, GatewayRow, GatewayRowSubject, UpstreamResponse};
use crate::gateway::client_response;
use crate::gateway::client_response::{ClientResponse, ReceivedResponse};
use crate::gateway::correlation::UPSTREAM_CREDENTIAL;
use crate::gateway::outcome::matcher::GatewayObservation;
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::gateway::trial_index::TrialIndex;
use crate::recording::gateway::{GatewayTrial, TrialKind};
use crate::results::gateway::GatewayInitiatedRequest;

/// The number of requests in a concurrent batch.
pub(crate) const CONCURRENT_REQUESTS: u32 = 12;

/// The errors of the upstream for the row about retries: HTTP status and error type.
const FAILURES: [(u16, &str); 3] = [(429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error")];

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
) -> GatewayObservation {
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

fn not_called() -> GatewayObservation {
    GatewayObservation::undetermined(UndeterminedReason::NotAsked, "no request reached the upstream")
}

/// Every response that the client got, with its trial.
fn received_responses<'a>(index: &TrialIndex<'a>) -> impl Iterator<Item = (&'a GatewayTrial, Box<ReceivedResponse>)> {
    index.all_trials().filter_map(|trial| match client_response::read_response(&trial.exchange) {
        ClientResponse::Received(response) => Some((trial, response)),
        ClientResponse::NoResponse(_) => None,
    })
}

/// Compares the number of failures among responses with the expected none.
fn observe_responses(total: usize, failed: usize, from: &str, to: impl FnOnce() -> String) -> GatewayObservation {
    match (total, failed) {
        (0, _) => GatewayObservation::undetermined(UndeterminedReason::GatewayFailed, "the client got no response"),
        (_, 0) => GatewayObservation::forwarded(format!("all {total} responses")),
        _ => GatewayObservation::changed(from, to(), "the client"),
    }
}

fn observe_calls(index: &TrialIndex<'_>, rows: &[&GatewayRow]) -> GatewayObservation {
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
            max_calls = max_calls.max(model_calls.len());
        }
    }
    let total = called_once + called_often;
    let to = match (total, called_often) {
        (0, _) => return not_called(),
        (_, 0) if other_calls.is_empty() => return GatewayObservation::forwarded(format!("all {total} requests")),
        (_, 0) => {
            let others: Vec<String> = other_calls.iter().map(|(call, count)| format!("{call} ({count})")).collect();
            format!("the message was also sent to {}", others.join(", "))
        }
        _ => format!("up to {max_calls} calls, for {called_often} of {total} requests"),
    };
    GatewayObservation::changed("1 call for each request", to, "the upstream")
}

fn observe_isolation(index: &TrialIndex<'_>) -> GatewayObservation {
    let trials: Vec<&GatewayTrial> = index.all_trials().collect();
    let foreign = trials
        .iter()
        .filter(|trial| index.is_foreign_response(trial, &client_response::read_response(&trial.exchange)))
        .count();
    if foreign > 0 {
        return GatewayObservation::changed(
            "each client gets its own response",
            format!("{foreign} of {} requests got the response to another request", trials.len()),
            "the client",
        );
    }
    let concurrent = trials.iter().filter(|trial| trial.arm == TrialKind::Crowd).count();
    if concurrent == 0 {
        let text = "the concurrent requests were not sent";
        return GatewayObservation::undetermined(UndeterminedReason::NotFinished, text);
    }
    let own = received_responses(index).filter(|(trial, response)| {
        let reply = trial.values.get("reply").map_or("", String::as_str);
        trial.arm == TrialKind::Crowd && (response.text.contains(reply) || response.json.to_string().contains(reply))
    });
    match own.count() {
        count if count == concurrent => GatewayObservation::forwarded(format!("all {count} concurrent requests")),
        count => GatewayObservation::undetermined(
            UndeterminedReason::GatewayFailed,
            format!("only {count} of {concurrent} concurrent requests got a response with the upstream's text"),
        ),
    }
}

fn observe_connection_end(index: &TrialIndex<'_>) -> GatewayObservation {
    let complete: Vec<_> =
        received_responses(index).filter(|(_, response)| !response.is_stream || response.is_finished()).collect();
    let is_open = |response: &ReceivedResponse| response.truncation.as_ref().is_some_and(|cut| cut.is_timeout);
    let open = complete.iter().filter(|(_, response)| is_open(response)).count();
    observe_responses(complete.len(), open, "the connection ends with the response", || {
        format!("{open} of {} connections stayed open after the response, until the client timed out", complete.len())
    })
}

fn observe_compression(index: &TrialIndex<'_>) -> GatewayObservation {
    let responses: Vec<_> = received_responses(index).collect();
    let encodings: Vec<&str> =
        responses.iter().filter_map(|(_, response)| response.content_encoding.as_deref()).collect();
    observe_responses(responses.len(), encodings.len(), "uncompressed responses", || {
        format!(
            "{} of {} responses encoded with {}, which the client did not accept",
            encodings.len(),
            responses.len(),
            encodings.last().unwrap_or(&"")
        )
    })
}

fn observe_own_requests(index: &TrialIndex<'_>) -> GatewayObservation {
    let requests = gateway_requests(index);
    if requests.is_empty() {
        return GatewayObservation::forwarded("the upstream");
    }
    let listed: Vec<String> = requests.iter().map(|request| format!("{} ({})", request.what, request.count)).collect();
    GatewayObservation::changed("no requests of its own", listed.join(", "), "the upstream")
}

/// The requests that the gateway itself initiated, by method and path.
pub(crate) fn gateway_requests(index: &TrialIndex<'_>) -> Vec<GatewayInitiatedRequest> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for call in &index.uncorrelated {
        *counts.entry(format!("{} {}", call.method, call.path)).or_default() += 1;
    }
    counts.into_iter().map(|(what, count)| GatewayInitiatedRequest { what, count }).collect()
}

fn observe_retries(index: &TrialIndex<'_>, row: &GatewayRow) -> GatewayObservation {
    let trials = index.trials(row.id(), TrialKind::Treatment);
    if trials.len() < FAILURES.len() {
        return GatewayObservation::undetermined(UndeterminedReason::NotFinished, "not run completely");
    }
    let calls: Vec<(u16, usize)> = trials
        .iter()
        .zip(FAILURES)
        .map(|(trial, (status, _))| (status, index.model_calls(trial).len()))
        .filter(|(_, count)| *count > 0)
        .collect();
    if calls.is_empty() {
        return not_called();
    }
    if calls.iter().all(|(_, count)| *count == 1) {
        return GatewayObservation::forwarded("the upstream");
    }
    let counts: Vec<String> = calls.iter().map(|(status, count)| format!("{count} at {status}")).collect();
    GatewayObservation::changed("1 call", format!("calls: {}", counts.join(", ")), "the upstream")
}

fn observe_secret(index: &TrialIndex<'_>) -> GatewayObservation {
    let echoes = received_responses(index).filter(|(_, response)| contains_upstream_credential(response)).count();
    if echoes > 0 {
        let responses = if echoes == 1 { "response" } else { "responses" };
        let to = format!("the upstream's credential is in {echoes} {responses}");
        return GatewayObservation::changed("each credential stays on its side of the gateway", to, "the client");
    }
    if index.all_trials().all(|trial| index.calls(trial).is_empty()) {
        return not_called();
    }
    let calls = index.all_trials().flat_map(|trial| index.calls(trial)).chain(&index.uncorrelated);
    let mut places: Vec<&str> = calls.flat_map(|call| &call.leaks).map(String::as_str).collect();
    places.sort_unstable();
    places.dedup();
    if places.is_empty() {
        return GatewayObservation::forwarded("the gateway");
    }
    GatewayObservation::changed("not forwarded", format!("forwarded in {}", places.join(", ")), "the upstream")
}

fn contains_upstream_credential(response: &ReceivedResponse) -> bool {
    let headers = response.headers.iter().map(|(_, value)| value);
    headers.chain([&response.text]).any(|text| text.contains(UPSTREAM_CREDENTIAL))
}
