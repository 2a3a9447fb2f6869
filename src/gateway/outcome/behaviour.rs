//! A gateway's conduct, seen over all requests of a run. Pure.

use std::collections::BTreeMap;

use serde_json::json;

use crate::catalog::{GatewayBehaviour, GatewayRow, GatewayRowSubject, UpstreamResponse};
use crate::gateway::client_response;
use crate::gateway::client_response::ClientResponse;
use crate::gateway::correlation::UPSTREAM_CREDENTIAL;
use crate::gateway::outcome::decide::is_other_request;
use crate::gateway::outcome::matcher::GatewayObservation;
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::gateway::trial_index::TrialIndex;
use crate::recording::gateway::{GatewayTrial, TrialKind};
use crate::results::gateway::GatewayInitiatedRequest;

/// How many ask at once.
pub(crate) const CONCURRENT_REQUESTS: u32 = 12;

/// The statuses with which the upstream fails, to see what a gateway does about it.
const FAILURE_STATUSES: [u16; 3] = [429, 500, 529];

/// The answers to the trials of a row about conduct; none where it needs no trials of its own.
pub(crate) fn failure_responses(conduct: GatewayBehaviour, shape: crate::catalog::ApiDialect) -> Vec<UpstreamResponse> {
    match conduct {
        GatewayBehaviour::Retries => FAILURE_STATUSES.iter().map(|status| failure_response(*status, shape)).collect(),
        GatewayBehaviour::Calls
        | GatewayBehaviour::Isolation
        | GatewayBehaviour::Ending
        | GatewayBehaviour::Compression
        | GatewayBehaviour::OwnRequests
        | GatewayBehaviour::Secret => Vec::new(),
    }
}

fn failure_response(status: u16, shape: crate::catalog::ApiDialect) -> UpstreamResponse {
    let kind = match status {
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let body = match shape {
        crate::catalog::ApiDialect::Anthropic => {
            json!({ "type": "error", "error": { "type": kind, "message": "not now" } })
        }
        crate::catalog::ApiDialect::Openai => {
            json!({ "error": { "type": kind, "message": "not now", "param": null, "code": null } })
        }
    };
    UpstreamResponse { status: Some(status), body: Some(body), ..UpstreamResponse::default() }
}

/// What a run shows of a gateway's conduct.
pub(crate) fn observe(
    book: &TrialIndex<'_>,
    conduct: GatewayBehaviour,
    row: &GatewayRow,
    rows: &[&GatewayRow],
) -> GatewayObservation {
    match conduct {
        GatewayBehaviour::Calls => observe_calls(book, rows),
        GatewayBehaviour::Isolation => observe_isolation(book),
        GatewayBehaviour::Ending => observe_connection_end(book),
        GatewayBehaviour::Compression => observe_compression(book),
        GatewayBehaviour::OwnRequests => observe_own_requests(book),
        GatewayBehaviour::Retries => observe_retries(book, row),
        GatewayBehaviour::Secret => observe_secret(book),
    }
}

fn build_forwarded(place: &str) -> GatewayObservation {
    GatewayObservation::Forwarded { place: place.to_owned() }
}

fn build_changed(from: &str, to: String, place: &str) -> GatewayObservation {
    GatewayObservation::Changed { from: from.to_owned(), to, place: place.to_owned() }
}

/// True where the upstream gives an answer in which nothing is wrong, so that nobody has a reason to ask again.
pub(crate) fn expects_clean_response(
    row: Option<&GatewayRow>,
    shape: crate::catalog::ApiDialect,
    arm: TrialKind,
) -> bool {
    let Some(GatewayRowSubject::Response { response: Some(answer), .. }) = row.map(|row| row.subject(shape)) else {
        return row.is_none_or(|row| row.behaviour != Some(GatewayBehaviour::Retries) || arm != TrialKind::Treatment);
    };
    let UpstreamResponse { status, headers: _, message, choice: _, body, stream, dies } = answer;
    // What no API knows is the upstream's doing.
    let is_invented = message.iter().any(|(key, value)| format!("{key}{value}").contains("x_fieldtest"));
    // Counters that are drawn fit no request.
    let is_counted = message.contains_key("usage");
    !is_invented
        && !is_counted
        && status.is_none()
        && body.is_none()
        && !dies
        && stream.cut_after.is_none()
        && stream.insert.is_empty()
}

/// True where the upstream fails, and a gateway may do something about it.
pub(crate) fn fails_upstream(row: &GatewayRow, shape: crate::catalog::ApiDialect) -> bool {
    match row.subject(shape) {
        GatewayRowSubject::Behaviour(conduct) => !failure_responses(conduct, shape).is_empty(),
        GatewayRowSubject::Response { response: Some(answer), .. } => {
            let is_error = answer.body.as_ref().is_some_and(|body| body.get("error").is_some());
            let is_cut = answer.stream.cut_after.is_some() || answer.stream.insert.iter().any(|insert| insert.last);
            answer.status.is_some() || answer.dies || is_error || is_cut
        }
        GatewayRowSubject::Response { response: None, .. } | GatewayRowSubject::Request { .. } => false,
    }
}

fn observe_calls(book: &TrialIndex<'_>, rows: &[&GatewayRow]) -> GatewayObservation {
    let (mut once, mut more, mut most) = (0_u64, 0_u64, 0);
    let mut beside: BTreeMap<String, u64> = BTreeMap::new();
    for trial in book.all_trials() {
        let row = rows.iter().find(|row| row.id() == trial.row).copied();
        let questions = book.model_calls(trial);
        let n = questions.len();
        for call in book.calls(trial).iter().filter(|call| !questions.iter().any(|q| q.number == call.number)) {
            let path = call.path.split('?').next().unwrap_or_default();
            *beside.entry(format!("{} {path}", call.method)).or_default() += 1;
        }
        if n == 0 || !expects_clean_response(row, book.shape, trial.arm) {
            continue;
        }
        once += u64::from(n == 1);
        more += u64::from(n > 1);
        most = most.max(n);
    }
    match (once, more) {
        (0, 0) => {
            GatewayObservation::Undetermined(UndeterminedReason::NotAsked, "no request reached the upstream".to_owned())
        }
        (_, 0) if beside.is_empty() => build_forwarded(&format!("all of {once} requests")),
        (_, 0) => {
            let told: Vec<String> = beside.iter().map(|(what, n)| format!("{what} ({n})")).collect();
            let to = format!("the question also went to {}", told.join(", "));
            build_changed("1 call for each request", to, "the upstream")
        }
        _ => build_changed(
            "1 call for each request",
            format!("up to {most} calls, for {more} of {} requests", once + more),
            "the upstream",
        ),
    }
}

fn observe_isolation(book: &TrialIndex<'_>) -> GatewayObservation {
    let crowd: Vec<&GatewayTrial> = book.all_trials().filter(|trial| trial.arm == TrialKind::Crowd).collect();
    let crossed =
        |trial: &&&GatewayTrial| is_other_request(book, trial, &client_response::read_response(&trial.exchange));
    let all = book.all_trials().collect::<Vec<_>>();
    let anywhere = all.iter().filter(crossed).count();
    if anywhere > 0 {
        return build_changed(
            "own answers",
            format!("{anywhere} of {} requests got the answer to another", all.len()),
            "the client",
        );
    }
    if crowd.is_empty() {
        return GatewayObservation::Undetermined(UndeterminedReason::NotFinished, "no crowd was sent".to_owned());
    }
    let own = crowd.iter().filter(|trial| {
        let reply = trial.values.get("reply").map_or("", String::as_str);
        matches!(client_response::read_response(&trial.exchange), ClientResponse::Received(answer) if answer.text.contains(reply) || answer.json.to_string().contains(reply))
    });
    match own.count() {
        n if n == crowd.len() => build_forwarded(&format!("all of {n} requests at once")),
        n => GatewayObservation::Undetermined(
            UndeterminedReason::GatewayFailed,
            format!("of {} requests at once, {n} got an answer that can be told", crowd.len()),
        ),
    }
}

fn observe_connection_end(book: &TrialIndex<'_>) -> GatewayObservation {
    let (mut told, mut open) = (0_u64, 0_u64);
    for trial in book.all_trials() {
        if let ClientResponse::Received(answer) = client_response::read_response(&trial.exchange) {
            let is_told = !answer.is_stream || answer.is_finished();
            told += u64::from(is_told);
            open += u64::from(is_told && answer.truncation.is_some_and(|cut| cut.is_timeout));
        }
    }
    match (told, open) {
        (0, _) => GatewayObservation::Undetermined(UndeterminedReason::GatewayFailed, "no answer came".to_owned()),
        (_, 0) => build_forwarded(&format!("all of {told} answers")),
        _ => build_changed(
            "the connection ends with the answer",
            format!("{open} of {told} connections stayed open behind it, until the client gave up"),
            "the client",
        ),
    }
}

fn observe_compression(book: &TrialIndex<'_>) -> GatewayObservation {
    let (mut answers, mut packed, mut how) = (0_u64, 0_u64, String::new());
    for trial in book.all_trials() {
        if let ClientResponse::Received(answer) = client_response::read_response(&trial.exchange) {
            answers += 1;
            if let Some(encoding) = answer.content_encoding {
                packed += 1;
                how = encoding;
            }
        }
    }
    match (answers, packed) {
        (0, _) => GatewayObservation::Undetermined(UndeterminedReason::GatewayFailed, "no answer came".to_owned()),
        (_, 0) => build_forwarded(&format!("all of {answers} answers")),
        _ => build_changed(
            "plain answers",
            format!("{packed} of {answers} answers in {how}, which the client did not ask for"),
            "the client",
        ),
    }
}

fn observe_own_requests(book: &TrialIndex<'_>) -> GatewayObservation {
    let own = gateway_requests(book);
    if own.is_empty() {
        return build_forwarded("the upstream");
    }
    let told: Vec<String> = own.iter().map(|own| format!("{} ({})", own.what, own.count)).collect();
    build_changed("nothing", told.join(", "), "the upstream")
}

/// What the gateway asked by itself, by method and path.
pub(crate) fn gateway_requests(book: &TrialIndex<'_>) -> Vec<GatewayInitiatedRequest> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for call in &book.uncorrelated {
        *counts.entry(format!("{} {}", call.method, call.path)).or_default() += 1;
    }
    counts.into_iter().map(|(what, count)| GatewayInitiatedRequest { what, count }).collect()
}

fn observe_retries(book: &TrialIndex<'_>, row: &GatewayRow) -> GatewayObservation {
    let trials = book.trials(row.id(), TrialKind::Treatment);
    let told: Vec<(u16, usize)> = trials
        .iter()
        .zip(FAILURE_STATUSES)
        .map(|(trial, status)| (status, book.model_calls(trial).len()))
        .filter(|(_, n)| *n > 0)
        .collect();
    if trials.len() < FAILURE_STATUSES.len() {
        return GatewayObservation::Undetermined(
            UndeterminedReason::NotFinished,
            "it was not tried to the end".to_owned(),
        );
    }
    if told.is_empty() {
        return GatewayObservation::Undetermined(
            UndeterminedReason::NotAsked,
            "no request reached the upstream".to_owned(),
        );
    }
    if told.iter().all(|(_, n)| *n == 1) {
        return build_forwarded("the upstream");
    }
    let counts: Vec<String> = told.iter().map(|(status, n)| format!("{n} at {status}")).collect();
    build_changed("1 call", format!("calls: {}", counts.join(", ")), "the upstream")
}

fn observe_secret(book: &TrialIndex<'_>) -> GatewayObservation {
    let mut places: Vec<&str> = book
        .all_trials()
        .flat_map(|trial| book.calls(trial))
        .chain(&book.uncorrelated)
        .flat_map(|call| &call.leaks)
        .map(String::as_str)
        .collect();
    places.sort_unstable();
    places.dedup();
    let told_back = book
        .all_trials()
        .filter(|trial| matches!(client_response::read_response(&trial.exchange), ClientResponse::Received(answer) if contains_upstream_credential(&answer)))
        .count();
    if told_back > 0 {
        let to = format!("the upstream's credential stood in {told_back} answers");
        return build_changed("each side's credential stays with the gateway", to, "the client");
    }
    if book.all_trials().all(|trial| book.calls(trial).is_empty()) {
        return GatewayObservation::Undetermined(
            UndeterminedReason::NotAsked,
            "no request reached the upstream".to_owned(),
        );
    }
    match places.as_slice() {
        [] => build_forwarded("the gateway"),
        places => build_changed("not sent on", format!("sent on in {}", places.join(", ")), "the upstream"),
    }
}

fn contains_upstream_credential(answer: &client_response::ReceivedResponse) -> bool {
    answer.text.contains(UPSTREAM_CREDENTIAL)
        || answer.headers.iter().any(|(_, value)| value.contains(UPSTREAM_CREDENTIAL))
}
