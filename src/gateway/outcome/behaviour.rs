//! A gateway's conduct, seen over all requests of a run. Pure.

use std::collections::BTreeMap;

use serde_json::json;

use crate::catalog::{Answer, Conduct, GatewayRow, Subject};
use crate::gateway::client_response;
use crate::gateway::client_response::Came;
use crate::gateway::correlation::UPSTREAMS;
use crate::gateway::outcome::decide::is_crossed;
use crate::gateway::outcome::matcher::Seen;
use crate::gateway::outcome::undetermined::Unclear;
use crate::gateway::trial_index::Book;
use crate::recording::gateway::{Arm, TrialRecord};
use crate::results::gateway::OwnRequest;

/// How many ask at once.
pub(crate) const CROWD: u32 = 12;

/// The statuses with which the upstream fails, to see what a gateway does about it.
const FAILURES: [u16; 3] = [429, 500, 529];

/// The answers to the trials of a row about conduct; none where it needs no trials of its own.
pub(crate) fn failures(conduct: Conduct, shape: crate::catalog::Shape) -> Vec<Answer> {
    match conduct {
        Conduct::Retries => FAILURES.iter().map(|status| failure(*status, shape)).collect(),
        Conduct::Calls
        | Conduct::Isolation
        | Conduct::Ending
        | Conduct::Compression
        | Conduct::OwnRequests
        | Conduct::Secret => Vec::new(),
    }
}

fn failure(status: u16, shape: crate::catalog::Shape) -> Answer {
    let kind = match status {
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let body = match shape {
        crate::catalog::Shape::Anthropic => json!({ "type": "error", "error": { "type": kind, "message": "not now" } }),
        crate::catalog::Shape::Openai => {
            json!({ "error": { "type": kind, "message": "not now", "param": null, "code": null } })
        }
    };
    Answer { status: Some(status), body: Some(body), ..Answer::default() }
}

/// What a run shows of a gateway's conduct.
pub(crate) fn seen(book: &Book<'_>, conduct: Conduct, row: &GatewayRow, rows: &[&GatewayRow]) -> Seen {
    match conduct {
        Conduct::Calls => calls(book, rows),
        Conduct::Isolation => isolation(book),
        Conduct::Ending => ending(book),
        Conduct::Compression => compression(book),
        Conduct::OwnRequests => own_requests(book),
        Conduct::Retries => retries(book, row),
        Conduct::Secret => secret(book),
    }
}

fn kept(place: &str) -> Seen {
    Seen::Forwarded { place: place.to_owned() }
}

fn changed(from: &str, to: String, place: &str) -> Seen {
    Seen::Changed { from: from.to_owned(), to, place: place.to_owned() }
}

/// True where the upstream gives an answer in which nothing is wrong, so that nobody has a reason to ask again.
pub(crate) fn is_clean(row: Option<&GatewayRow>, shape: crate::catalog::Shape, arm: Arm) -> bool {
    let Some(Subject::Answer { answer: Some(answer), .. }) = row.map(|row| row.subject(shape)) else {
        return row.is_none_or(|row| row.conduct != Some(Conduct::Retries) || arm != Arm::Treatment);
    };
    let Answer { status, headers: _, message, choice: _, body, stream, dies } = answer;
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
pub(crate) fn fails(row: &GatewayRow, shape: crate::catalog::Shape) -> bool {
    match row.subject(shape) {
        Subject::Conduct(conduct) => !failures(conduct, shape).is_empty(),
        Subject::Answer { answer: Some(answer), .. } => {
            let is_error = answer.body.as_ref().is_some_and(|body| body.get("error").is_some());
            let is_cut = answer.stream.cut_after.is_some() || answer.stream.insert.iter().any(|insert| insert.last);
            answer.status.is_some() || answer.dies || is_error || is_cut
        }
        Subject::Answer { answer: None, .. } | Subject::Request { .. } => false,
    }
}

fn calls(book: &Book<'_>, rows: &[&GatewayRow]) -> Seen {
    let (mut once, mut more, mut most) = (0_u64, 0_u64, 0);
    let mut beside: BTreeMap<String, u64> = BTreeMap::new();
    for trial in book.all() {
        let row = rows.iter().find(|row| row.id() == trial.row).copied();
        let questions = book.questions(trial);
        let n = questions.len();
        for call in book.calls(trial).iter().filter(|call| !questions.iter().any(|q| q.number == call.number)) {
            let path = call.path.split('?').next().unwrap_or_default();
            *beside.entry(format!("{} {path}", call.method)).or_default() += 1;
        }
        if n == 0 || !is_clean(row, book.shape, trial.arm) {
            continue;
        }
        once += u64::from(n == 1);
        more += u64::from(n > 1);
        most = most.max(n);
    }
    match (once, more) {
        (0, 0) => Seen::Void(Unclear::NotAsked, "no request reached the upstream".to_owned()),
        (_, 0) if beside.is_empty() => kept(&format!("all of {once} requests")),
        (_, 0) => {
            let told: Vec<String> = beside.iter().map(|(what, n)| format!("{what} ({n})")).collect();
            let to = format!("the question also went to {}", told.join(", "));
            changed("1 call for each request", to, "the upstream")
        }
        _ => changed(
            "1 call for each request",
            format!("up to {most} calls, for {more} of {} requests", once + more),
            "the upstream",
        ),
    }
}

fn isolation(book: &Book<'_>) -> Seen {
    let crowd: Vec<&TrialRecord> = book.all().filter(|trial| trial.arm == Arm::Crowd).collect();
    let crossed = |trial: &&&TrialRecord| is_crossed(book, trial, &client_response::read(&trial.exchange));
    let all = book.all().collect::<Vec<_>>();
    let anywhere = all.iter().filter(crossed).count();
    if anywhere > 0 {
        return changed(
            "own answers",
            format!("{anywhere} of {} requests got the answer to another", all.len()),
            "the client",
        );
    }
    if crowd.is_empty() {
        return Seen::Void(Unclear::NotFinished, "no crowd was sent".to_owned());
    }
    let own = crowd.iter().filter(|trial| {
        let reply = trial.values.get("reply").map_or("", String::as_str);
        matches!(client_response::read(&trial.exchange), Came::Answer(answer) if answer.text.contains(reply) || answer.json.to_string().contains(reply))
    });
    match own.count() {
        n if n == crowd.len() => kept(&format!("all of {n} requests at once")),
        n => Seen::Void(
            Unclear::GatewayFailed,
            format!("of {} requests at once, {n} got an answer that can be told", crowd.len()),
        ),
    }
}

fn ending(book: &Book<'_>) -> Seen {
    let (mut told, mut open) = (0_u64, 0_u64);
    for trial in book.all() {
        if let Came::Answer(answer) = client_response::read(&trial.exchange) {
            let is_told = !answer.is_stream || answer.is_finished();
            told += u64::from(is_told);
            open += u64::from(is_told && answer.cut.is_some_and(|cut| cut.is_timeout));
        }
    }
    match (told, open) {
        (0, _) => Seen::Void(Unclear::GatewayFailed, "no answer came".to_owned()),
        (_, 0) => kept(&format!("all of {told} answers")),
        _ => changed(
            "the connection ends with the answer",
            format!("{open} of {told} connections stayed open behind it, until the client gave up"),
            "the client",
        ),
    }
}

fn compression(book: &Book<'_>) -> Seen {
    let (mut answers, mut packed, mut how) = (0_u64, 0_u64, String::new());
    for trial in book.all() {
        if let Came::Answer(answer) = client_response::read(&trial.exchange) {
            answers += 1;
            if let Some(encoding) = answer.packed {
                packed += 1;
                how = encoding;
            }
        }
    }
    match (answers, packed) {
        (0, _) => Seen::Void(Unclear::GatewayFailed, "no answer came".to_owned()),
        (_, 0) => kept(&format!("all of {answers} answers")),
        _ => changed(
            "plain answers",
            format!("{packed} of {answers} answers in {how}, which the client did not ask for"),
            "the client",
        ),
    }
}

fn own_requests(book: &Book<'_>) -> Seen {
    let own = own_list(book);
    if own.is_empty() {
        return kept("the upstream");
    }
    let told: Vec<String> = own.iter().map(|own| format!("{} ({})", own.what, own.count)).collect();
    changed("nothing", told.join(", "), "the upstream")
}

/// What the gateway asked by itself, by method and path.
pub(crate) fn own_list(book: &Book<'_>) -> Vec<OwnRequest> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for call in &book.own {
        *counts.entry(format!("{} {}", call.method, call.path)).or_default() += 1;
    }
    counts.into_iter().map(|(what, count)| OwnRequest { what, count }).collect()
}

fn retries(book: &Book<'_>, row: &GatewayRow) -> Seen {
    let trials = book.trials(row.id(), Arm::Treatment);
    let told: Vec<(u16, usize)> = trials
        .iter()
        .zip(FAILURES)
        .map(|(trial, status)| (status, book.questions(trial).len()))
        .filter(|(_, n)| *n > 0)
        .collect();
    if trials.len() < FAILURES.len() {
        return Seen::Void(Unclear::NotFinished, "it was not tried to the end".to_owned());
    }
    if told.is_empty() {
        return Seen::Void(Unclear::NotAsked, "no request reached the upstream".to_owned());
    }
    if told.iter().all(|(_, n)| *n == 1) {
        return kept("the upstream");
    }
    let counts: Vec<String> = told.iter().map(|(status, n)| format!("{n} at {status}")).collect();
    changed("1 call", format!("calls: {}", counts.join(", ")), "the upstream")
}

fn secret(book: &Book<'_>) -> Seen {
    let mut places: Vec<&str> = book
        .all()
        .flat_map(|trial| book.calls(trial))
        .chain(&book.own)
        .flat_map(|call| &call.leaks)
        .map(String::as_str)
        .collect();
    places.sort_unstable();
    places.dedup();
    let told_back = book
        .all()
        .filter(|trial| matches!(client_response::read(&trial.exchange), Came::Answer(answer) if is_marked(&answer)))
        .count();
    if told_back > 0 {
        let to = format!("the upstream's credential stood in {told_back} answers");
        return changed("each side's credential stays with the gateway", to, "the client");
    }
    if book.all().all(|trial| book.calls(trial).is_empty()) {
        return Seen::Void(Unclear::NotAsked, "no request reached the upstream".to_owned());
    }
    match places.as_slice() {
        [] => kept("the gateway"),
        places => changed("not sent on", format!("sent on in {}", places.join(", ")), "the upstream"),
    }
}

fn is_marked(answer: &client_response::CameAnswer) -> bool {
    answer.text.contains(UPSTREAMS) || answer.headers.iter().any(|(_, value)| value.contains(UPSTREAMS))
}
