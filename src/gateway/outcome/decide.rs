//! A row's fate over its trials: which to send next, and what they show together. Pure; the same rules decide while a
//! run goes on and when its recording is judged.

use crate::catalog::{Answer, GatewayRow, Subject};
use crate::gateway::client_response;
use crate::gateway::client_response::Came;
use crate::gateway::outcome::matcher::Seen;
use crate::gateway::outcome::response::Returned;
use crate::gateway::outcome::undetermined::Unclear;
use crate::gateway::outcome::{behaviour, request};
use crate::gateway::trial_index::Book;
use crate::gateway::upstream::script::Route;
use crate::recording::gateway::{Call, TrialRecord};
use crate::variables::fill;

/// The most trials of a row.
const MOST: usize = 3;

/// What is to be done about a row.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Send it once more.
    Try,
    /// It is decided.
    Done(Decided<'a>),
}

/// A row's fate, and the trial that shows it best.
#[derive(Debug)]
pub(crate) struct Decided<'a> {
    /// What was seen.
    pub seen: Seen,
    /// Where it was seen.
    pub shown_by: Option<&'a TrialRecord>,
}

/// What the trials of a row come to. What came out is certain at once; what did not is asked for a second time, with
/// other values.
pub(crate) fn next<'a>(book: &Book<'a>, row: &GatewayRow) -> Step<'a> {
    let trials = book.trials(row.id(), crate::recording::gateway::Arm::Treatment);
    let seen: Vec<(Seen, &TrialRecord)> = trials.iter().map(|trial| (observe(book, row, trial), *trial)).collect();
    let Some((last, _)) = seen.last() else { return Step::Try };
    let alike = |a: &Seen, b: &Seen| match (a, b) {
        (Seen::Void(one, _), Seen::Void(other, _)) => one == other,
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    };
    let is_void = |seen: &Seen| matches!(seen, Seen::Void(..));
    let count = |of: &Seen| seen.iter().filter(|(other, _)| alike(of, other)).count();
    let needed = |of: &Seen| if matches!(of, Seen::Forwarded { .. }) { 1 } else { 2 };
    let disagree =
        seen.iter().any(|(one, _)| seen.iter().any(|(two, _)| !is_void(one) && !is_void(two) && !alike(one, two)));
    if !disagree {
        // What says something goes before what says nothing.
        let decisive = seen.iter().filter(|(one, _)| count(one) >= needed(one)).min_by_key(|(one, _)| is_void(one));
        if let Some((found, by)) = decisive {
            return Step::Done(Decided { seen: held(book, row, found), shown_by: Some(by) });
        }
    }
    if seen.len() < MOST {
        return Step::Try;
    }
    let by = seen.last().map(|(_, trial)| *trial);
    let seen = match last {
        _ if disagree => Seen::Void(Unclear::Unsteady, "equal requests came to different ends".to_owned()),
        Seen::Void(why, said) => Seen::Void(*why, said.clone()),
        _ => Seen::Void(Unclear::Unsteady, "it was seen once, and could not be seen again".to_owned()),
    };
    Step::Done(Decided { seen, shown_by: by })
}

/// A refusal points at the field only where the request without it passes, and an answer that did not come out as it was
/// says something of its parts only where a plain one does.
fn held(book: &Book<'_>, row: &GatewayRow, seen: &Seen) -> Seen {
    match (seen, row.subject(book.shape)) {
        (Seen::Refused { .. }, Subject::Request { .. }) => {}
        // Of an upstream that fails, a gateway may say anything: what it says is what the row is about.
        (_, Subject::Answer { .. }) if behaviour::fails(row, book.shape) => return seen.clone(),
        (Seen::Refused { .. } | Seen::Changed { .. } | Seen::Dropped { .. }, Subject::Answer { .. }) => {
            return match plain_failure(book) {
                Some(why) => {
                    Seen::Void(Unclear::GatewayFailed, format!("a plain answer does not come out either: {why}"))
                }
                None => seen.clone(),
            };
        }
        _ => return seen.clone(),
    }
    let failed = book.controls(row.id()).into_iter().find_map(|control| {
        let why = match client_response::read(&control.exchange) {
            Came::Nothing(why) => why,
            Came::Answer(answer) if answer.status >= 400 => answer.error().unwrap_or_default(),
            Came::Answer(_) => return None,
        };
        Some(fill::unfilled(&why, &control.values))
    });
    match failed {
        Some(why) => {
            Seen::Void(Unclear::BaseRefused, format!("the request without the field did not pass either: {why}"))
        }
        None => seen.clone(),
    }
}

/// What became of the plain answer to the first question, where it did not come out.
fn plain_failure(book: &Book<'_>) -> Option<String> {
    let first = book.first()?;
    let reply = first.values.get("reply").map_or("", String::as_str);
    let why = match client_response::read(&first.exchange) {
        Came::Nothing(why) => why,
        Came::Answer(answer) if answer.status >= 300 => {
            answer.error().unwrap_or_else(|| format!("HTTP {}", answer.status))
        }
        Came::Answer(answer) if answer.json.to_string().contains(reply) => return None,
        Came::Answer(answer) => match answer.packed {
            Some(encoding) => format!("it is coded in a way that nobody asked for ({encoding})"),
            None => "what it says is not in it".to_owned(),
        },
    };
    Some(fill::unfilled(&why, &first.values))
}

/// What one trial shows, with drawn values by their names.
pub(crate) fn observe(book: &Book<'_>, row: &GatewayRow, trial: &TrialRecord) -> Seen {
    let seen = match row.subject(book.shape) {
        Subject::Request { .. } => of_request(book, row, trial),
        Subject::Answer { answer: Some(answer), comes } => {
            of_answer(book, answer, trial, |returned| returned.seen(comes))
        }
        Subject::Answer { answer: None, .. } | Subject::Conduct(_) => {
            Seen::Void(Unclear::NotFinished, "this shape has no such row".to_owned())
        }
    };
    let plain = |text: String| fill::unfilled(&text, &trial.values);
    match seen {
        Seen::Forwarded { place } => Seen::Forwarded { place: plain(place) },
        Seen::Changed { from, to, place } => Seen::Changed { from: plain(from), to: plain(to), place: plain(place) },
        Seen::Dropped { note } => Seen::Dropped { note: note.map(plain) },
        Seen::Refused { said } => Seen::Refused { said: plain(said) },
        Seen::Void(why, said) => Seen::Void(why, plain(said)),
    }
}

fn of_request(book: &Book<'_>, row: &GatewayRow, trial: &TrialRecord) -> Seen {
    let calls = match asked(book, trial) {
        Ok(calls) => calls,
        Err(seen) => return seen,
    };
    let control = book
        .controls(row.id())
        .into_iter()
        .find_map(|control| Some((&control.exchange.request, book.questions(control).first().copied()?)));
    let mut seen =
        calls.iter().map(|call| request::seen(row, book.shape, &trial.values, &trial.exchange.request, control, call));
    let Some(first) = seen.next() else { return Seen::Dropped { note: None } };
    match seen.find(|other| *other != first) {
        None => first,
        Some(_) => Seen::Void(
            Unclear::AskedTwiceDifferently,
            format!("the upstream was asked {} times, and not the same", calls.len()),
        ),
    }
}

/// What became of an answer; `look` looks at it where there is one to look at.
pub(crate) fn of_answer(
    book: &Book<'_>,
    answer: &Answer,
    trial: &TrialRecord,
    look: impl FnOnce(&Returned<'_>) -> Seen,
) -> Seen {
    let calls = match asked(book, trial) {
        Ok(calls) => calls,
        Err(Seen::Refused { said }) => {
            return Seen::Void(
                Unclear::BaseRefused,
                format!("the request was refused, and the upstream was not asked: {said}"),
            );
        }
        Err(seen) => return seen,
    };
    let came = client_response::read(&trial.exchange);
    let ended_ms = trial.exchange.last().map_or(0, |attempt| attempt.started_ms + attempt.duration_ms);
    // Each time is cut to whole milliseconds, and this one is the sum of two.
    if matches!(came, Came::Answer(_)) && calls.iter().all(|call| call.at_ms > ended_ms + 2) {
        let said = "the client had its answer before the upstream was asked".to_owned();
        return Seen::Void(Unclear::NotAsked, said);
    }
    if is_crossed(book, trial, &came) {
        return Seen::Void(Unclear::Crossed, "the answer to another request came".to_owned());
    }
    let Some(call) = calls.last() else { return Seen::Dropped { note: None } };
    let answer = fill::answer(answer, &trial.values);
    look(&Returned { answer: &answer, values: &trial.values, exchange: &trial.exchange, came: &came, call })
}

/// True where the answer belongs to another request.
pub(crate) fn is_crossed(book: &Book<'_>, trial: &TrialRecord, came: &Came) -> bool {
    let own = trial.values.get("reply").map_or("", String::as_str);
    let Came::Answer(answer) = came else { return false };
    let told = answer.json.to_string();
    let headers = answer.headers.iter().map(|(_, value)| value.as_str());
    headers.chain([answer.text.as_str(), told.as_str()]).any(|text| book.stranger(text, own).is_some())
}

/// The calls that a request led to; where there are none, what that says.
fn asked<'a>(book: &Book<'a>, trial: &TrialRecord) -> Result<Vec<&'a Call>, Seen> {
    let calls = book.questions(trial);
    if calls.iter().any(|call| call.labels.len() > 1) {
        return Err(Seen::Void(Unclear::Merged, "one call of the upstream holds several requests".to_owned()));
    }
    if !calls.is_empty() {
        return Ok(calls);
    }
    if let Some(call) = book.calls(trial).first() {
        let what = format!("the upstream was asked {} {}, which is not the API that it speaks", call.method, call.path);
        return Err(Seen::Void(Unclear::Uncorrelated, what));
    }
    Err(match client_response::read(&trial.exchange) {
        Came::Nothing(why) => Seen::Void(Unclear::GatewayFailed, why),
        Came::Answer(answer) => {
            let said = answer.error().unwrap_or_else(|| format!("HTTP {}", answer.status));
            match answer.status {
                401 | 403 | 407 | 429 => Seen::Void(Unclear::ClientRefused, said),
                400..=499 => Seen::Refused { said },
                200..=299 if asked_meanwhile(book, trial) => Seen::Void(
                    Unclear::Uncorrelated,
                    "the upstream was asked something in which the request's question does not stand".to_owned(),
                ),
                200..=299 => Seen::Void(
                    Unclear::NotAsked,
                    format!("HTTP {} came, and the upstream was not asked", answer.status),
                ),
                _ => Seen::Void(Unclear::GatewayFailed, said),
            }
        }
    })
}

/// True where the upstream was asked something without a label while a request was under way.
fn asked_meanwhile(book: &Book<'_>, trial: &TrialRecord) -> bool {
    let Some(attempt) = trial.exchange.last() else { return false };
    let under_way = attempt.started_ms..=attempt.started_ms + attempt.duration_ms + 5;
    book.own
        .iter()
        .any(|call| under_way.contains(&call.at_ms) && Route::of(&call.method, &call.path).is_question(book.shape))
}
