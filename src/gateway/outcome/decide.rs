//! A row's fate over its trials: which to send next, and what they show together. Pure; the same rules decide while a
//! run goes on and when its recording is judged.

use crate::catalog::{GatewayRow, GatewayRowSubject, UpstreamResponse};
use crate::gateway::client_response;
use crate::gateway::client_response::ClientResponse;
use crate::gateway::outcome::matcher::GatewayObservation;
use crate::gateway::outcome::response::ResponseProbe;
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::gateway::outcome::{behaviour, request};
use crate::gateway::trial_index::TrialIndex;
use crate::gateway::upstream::script::{UpstreamRoute, fill_response};
use crate::recording::gateway::{GatewayTrial, UpstreamCall};
use crate::variables::fill::restore_placeholders;

/// The most trials of a row.
const MAX_TRIALS: usize = 3;

/// What is to be done about a row.
#[derive(Debug)]
pub(crate) enum GatewayStep<'a> {
    /// Send it once more.
    Run,
    /// It is decided.
    Decided(GatewayDecision<'a>),
}

/// A row's fate, and the trial that shows it best.
#[derive(Debug)]
pub(crate) struct GatewayDecision<'a> {
    /// What was seen.
    pub observation: GatewayObservation,
    /// Where it was seen.
    pub deciding_trial: Option<&'a GatewayTrial>,
}

/// What the trials of a row come to. What came out is certain at once; what did not is asked for a second time, with
/// other values.
pub(crate) fn next_step<'a>(book: &TrialIndex<'a>, row: &GatewayRow) -> GatewayStep<'a> {
    let trials = book.trials(row.id(), crate::recording::gateway::TrialKind::Treatment);
    let seen: Vec<(GatewayObservation, &GatewayTrial)> =
        trials.iter().map(|trial| (observe(book, row, trial), *trial)).collect();
    let Some((last, _)) = seen.last() else { return GatewayStep::Run };
    let alike = |a: &GatewayObservation, b: &GatewayObservation| match (a, b) {
        (GatewayObservation::Undetermined(one, _), GatewayObservation::Undetermined(other, _)) => one == other,
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    };
    let is_void = |seen: &GatewayObservation| matches!(seen, GatewayObservation::Undetermined(..));
    let count = |of: &GatewayObservation| seen.iter().filter(|(other, _)| alike(of, other)).count();
    let needed = |of: &GatewayObservation| if matches!(of, GatewayObservation::Forwarded { .. }) { 1 } else { 2 };
    let disagree =
        seen.iter().any(|(one, _)| seen.iter().any(|(two, _)| !is_void(one) && !is_void(two) && !alike(one, two)));
    if !disagree {
        // What says something goes before what says nothing.
        let decisive = seen.iter().filter(|(one, _)| count(one) >= needed(one)).min_by_key(|(one, _)| is_void(one));
        if let Some((found, by)) = decisive {
            return GatewayStep::Decided(GatewayDecision {
                observation: apply_controls(book, row, found),
                deciding_trial: Some(by),
            });
        }
    }
    if seen.len() < MAX_TRIALS {
        return GatewayStep::Run;
    }
    let by = seen.last().map(|(_, trial)| *trial);
    let seen = match last {
        _ if disagree => GatewayObservation::Undetermined(
            UndeterminedReason::Unsteady,
            "equal requests came to different ends".to_owned(),
        ),
        GatewayObservation::Undetermined(why, said) => GatewayObservation::Undetermined(*why, said.clone()),
        _ => GatewayObservation::Undetermined(
            UndeterminedReason::Unsteady,
            "it was seen once, and could not be seen again".to_owned(),
        ),
    };
    GatewayStep::Decided(GatewayDecision { observation: seen, deciding_trial: by })
}

/// A refusal points at the field only where the request without it passes, and an answer that did not come out as it was
/// says something of its parts only where a plain one does.
fn apply_controls(book: &TrialIndex<'_>, row: &GatewayRow, seen: &GatewayObservation) -> GatewayObservation {
    match (seen, row.subject(book.shape)) {
        (GatewayObservation::Refused { .. }, GatewayRowSubject::Request { .. }) => {}
        // Of an upstream that fails, a gateway may say anything: what it says is what the row is about.
        (_, GatewayRowSubject::Response { .. }) if behaviour::fails_upstream(row, book.shape) => return seen.clone(),
        (
            GatewayObservation::Refused { .. }
            | GatewayObservation::Changed { .. }
            | GatewayObservation::Dropped { .. },
            GatewayRowSubject::Response { .. },
        ) => {
            return match plain_failure(book) {
                Some(why) => GatewayObservation::Undetermined(
                    UndeterminedReason::GatewayFailed,
                    format!("a plain answer does not come out either: {why}"),
                ),
                None => seen.clone(),
            };
        }
        _ => return seen.clone(),
    }
    let failed = book.control_trials(row.id()).into_iter().find_map(|control| {
        let why = match client_response::read_response(&control.exchange) {
            ClientResponse::NoResponse(why) => why,
            ClientResponse::Received(answer) if answer.status >= 400 => answer.error().unwrap_or_default(),
            ClientResponse::Received(_) => return None,
        };
        Some(restore_placeholders(&why, &control.values))
    });
    match failed {
        Some(why) => GatewayObservation::Undetermined(
            UndeterminedReason::BaseRefused,
            format!("the request without the field did not pass either: {why}"),
        ),
        None => seen.clone(),
    }
}

/// What became of the plain answer to the first question, where it did not come out.
fn plain_failure(book: &TrialIndex<'_>) -> Option<String> {
    let first = book.first_trial()?;
    let reply = first.values.get("reply").map_or("", String::as_str);
    let why = match client_response::read_response(&first.exchange) {
        ClientResponse::NoResponse(why) => why,
        ClientResponse::Received(answer) if answer.status >= 300 => {
            answer.error().unwrap_or_else(|| format!("HTTP {}", answer.status))
        }
        ClientResponse::Received(answer) if answer.json.to_string().contains(reply) => return None,
        ClientResponse::Received(answer) => match answer.content_encoding {
            Some(encoding) => format!("it is coded in a way that nobody asked for ({encoding})"),
            None => "what it says is not in it".to_owned(),
        },
    };
    Some(restore_placeholders(&why, &first.values))
}

/// What one trial shows, with drawn values by their names.
pub(crate) fn observe(book: &TrialIndex<'_>, row: &GatewayRow, trial: &GatewayTrial) -> GatewayObservation {
    let seen = match row.subject(book.shape) {
        GatewayRowSubject::Request { .. } => observe_request(book, row, trial),
        GatewayRowSubject::Response { response: Some(answer), expectation: comes } => {
            observe_response(book, answer, trial, |returned| returned.observe(comes))
        }
        GatewayRowSubject::Response { response: None, .. } | GatewayRowSubject::Behaviour(_) => {
            GatewayObservation::Undetermined(UndeterminedReason::NotFinished, "this shape has no such row".to_owned())
        }
    };
    let plain = |text: String| restore_placeholders(&text, &trial.values);
    match seen {
        GatewayObservation::Forwarded { place } => GatewayObservation::Forwarded { place: plain(place) },
        GatewayObservation::Changed { from, to, place } => {
            GatewayObservation::Changed { from: plain(from), to: plain(to), place: plain(place) }
        }
        GatewayObservation::Dropped { note } => GatewayObservation::Dropped { note: note.map(plain) },
        GatewayObservation::Refused { message: said } => GatewayObservation::Refused { message: plain(said) },
        GatewayObservation::Undetermined(why, said) => GatewayObservation::Undetermined(why, plain(said)),
    }
}

fn observe_request(book: &TrialIndex<'_>, row: &GatewayRow, trial: &GatewayTrial) -> GatewayObservation {
    let calls = match resolve_calls(book, trial) {
        Ok(calls) => calls,
        Err(seen) => return seen,
    };
    let control = book
        .control_trials(row.id())
        .into_iter()
        .find_map(|control| Some((&control.exchange.request, book.model_calls(control).first().copied()?)));
    let mut seen = calls
        .iter()
        .map(|call| request::observe(row, book.shape, &trial.values, &trial.exchange.request, control, call));
    let Some(first) = seen.next() else { return GatewayObservation::Dropped { note: None } };
    match seen.find(|other| *other != first) {
        None => first,
        Some(_) => GatewayObservation::Undetermined(
            UndeterminedReason::AskedTwiceDifferently,
            format!("the upstream was asked {} times, and not the same", calls.len()),
        ),
    }
}

/// What became of an answer; `look` looks at it where there is one to look at.
pub(crate) fn observe_response(
    book: &TrialIndex<'_>,
    answer: &UpstreamResponse,
    trial: &GatewayTrial,
    look: impl FnOnce(&ResponseProbe<'_>) -> GatewayObservation,
) -> GatewayObservation {
    let calls = match resolve_calls(book, trial) {
        Ok(calls) => calls,
        Err(GatewayObservation::Refused { message: said }) => {
            return GatewayObservation::Undetermined(
                UndeterminedReason::BaseRefused,
                format!("the request was refused, and the upstream was not asked: {said}"),
            );
        }
        Err(seen) => return seen,
    };
    let came = client_response::read_response(&trial.exchange);
    let ended_ms = trial.exchange.last_attempt().map_or(0, |attempt| attempt.started_ms + attempt.duration_ms);
    // Each time is cut to whole milliseconds, and this one is the sum of two.
    if matches!(came, ClientResponse::Received(_)) && calls.iter().all(|call| call.at_ms > ended_ms + 2) {
        let said = "the client had its answer before the upstream was asked".to_owned();
        return GatewayObservation::Undetermined(UndeterminedReason::NotAsked, said);
    }
    if is_other_request(book, trial, &came) {
        return GatewayObservation::Undetermined(
            UndeterminedReason::Crossed,
            "the answer to another request came".to_owned(),
        );
    }
    let Some(call) = calls.last() else { return GatewayObservation::Dropped { note: None } };
    let answer = fill_response(answer, &trial.values);
    look(&ResponseProbe {
        scripted_response: &answer,
        values: &trial.values,
        exchange: &trial.exchange,
        client_response: &came,
        call,
    })
}

/// True where the answer belongs to another request.
pub(crate) fn is_other_request(book: &TrialIndex<'_>, trial: &GatewayTrial, came: &ClientResponse) -> bool {
    let own = trial.values.get("reply").map_or("", String::as_str);
    let ClientResponse::Received(answer) = came else { return false };
    let told = answer.json.to_string();
    let headers = answer.headers.iter().map(|(_, value)| value.as_str());
    headers.chain([answer.text.as_str(), told.as_str()]).any(|text| book.foreign_reply(text, own).is_some())
}

/// The calls that a request led to; where there are none, what that says.
fn resolve_calls<'a>(book: &TrialIndex<'a>, trial: &GatewayTrial) -> Result<Vec<&'a UpstreamCall>, GatewayObservation> {
    let calls = book.model_calls(trial);
    if calls.iter().any(|call| call.labels.len() > 1) {
        return Err(GatewayObservation::Undetermined(
            UndeterminedReason::Merged,
            "one call of the upstream holds several requests".to_owned(),
        ));
    }
    if !calls.is_empty() {
        return Ok(calls);
    }
    if let Some(call) = book.calls(trial).first() {
        let what = format!("the upstream was asked {} {}, which is not the API that it speaks", call.method, call.path);
        return Err(GatewayObservation::Undetermined(UndeterminedReason::Uncorrelated, what));
    }
    Err(match client_response::read_response(&trial.exchange) {
        ClientResponse::NoResponse(why) => GatewayObservation::Undetermined(UndeterminedReason::GatewayFailed, why),
        ClientResponse::Received(answer) => {
            let said = answer.error().unwrap_or_else(|| format!("HTTP {}", answer.status));
            match answer.status {
                401 | 403 | 407 | 429 => GatewayObservation::Undetermined(UndeterminedReason::ClientRefused, said),
                400..=499 => GatewayObservation::Refused { message: said },
                200..=299 if had_uncorrelated_call(book, trial) => GatewayObservation::Undetermined(
                    UndeterminedReason::Uncorrelated,
                    "the upstream was asked something in which the request's question does not stand".to_owned(),
                ),
                200..=299 => GatewayObservation::Undetermined(
                    UndeterminedReason::NotAsked,
                    format!("HTTP {} came, and the upstream was not asked", answer.status),
                ),
                _ => GatewayObservation::Undetermined(UndeterminedReason::GatewayFailed, said),
            }
        }
    })
}

/// True where the upstream was asked something without a label while a request was under way.
fn had_uncorrelated_call(book: &TrialIndex<'_>, trial: &GatewayTrial) -> bool {
    let Some(attempt) = trial.exchange.last_attempt() else { return false };
    let under_way = attempt.started_ms..=attempt.started_ms + attempt.duration_ms + 5;
    book.uncorrelated.iter().any(|call| {
        under_way.contains(&call.at_ms)
            && UpstreamRoute::from_request(&call.method, &call.path).is_model_call(book.shape)
    })
}
