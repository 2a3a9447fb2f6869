//! Judging: from a recording and the case files to results. Pure; the same input gives the same results.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, GatewayCatalogRow, GatewayRow, Outcome, Shape, Subject, is_silent};
use crate::gateway::client_response::Came;
use crate::gateway::findings::Findings;
use crate::gateway::outcome::decide::{Decided, Step};
use crate::gateway::outcome::matcher::Seen;
use crate::gateway::outcome::undetermined::Unclear;
use crate::gateway::outcome::{behaviour, decide};
use crate::gateway::trial_index::Book;
use crate::gateway::{client_response, trial_index};
use crate::recording::gateway::{Arm, Ended, Recording, TrialRecord};
use crate::results::gateway::{Fate, FateKind, GatewayTested};
use crate::results::model::{
    Answer, ArmResult, ClaimResult, ClaimsOf, Evidence, Example, PerVerdict, Results, RowCost, RowResult, SCHEMA,
    Strictness, Summary, TestedTarget, Totals, Verdict,
};
use crate::variables::fill;
use crate::wire::curl;
use crate::wire::message::excerpt;

/// How much of a call's body a report shows.
const UPSTREAM: usize = 1200;
/// How much of an answer a report shows.
const ANSWER: usize = 700;

/// Why a recording cannot be judged with these case files.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The recording has a row that the case files do not know.
    #[error(
        "the recording holds row `{0}`, which no file about gateways has: give the case files of the run with --cases"
    )]
    UnknownRow(String),
}

/// Judges a recording.
///
/// # Errors
/// A row of the recording that the case files do not know.
pub fn judge(catalog: &Catalog, recording: &Recording) -> Result<Results, JudgeError> {
    let header = &recording.header;
    let known = |id: &String| {
        let row = catalog.gateway.iter().find(|row| row.row.id() == id && row.row.is_of(header.shape));
        row.ok_or_else(|| JudgeError::UnknownRow(id.clone()))
    };
    let rows: Vec<&GatewayCatalogRow> = header.rows.iter().map(known).collect::<Result<_, _>>()?;
    let plain: Vec<&GatewayRow> = rows.iter().map(|row| &row.row).collect();
    let book = Book::new(header.shape, trial_index::controls(&plain), &recording.trials, &recording.calls);
    let findings = Findings::of(&book, recording, &plain);
    let mut judged = Vec::new();
    for row in &rows {
        let decided = decide(&book, recording, &row.row, &plain);
        judged.push(result(&book, recording, row, decided, &findings));
    }
    let summary = Summary::of(&judged);
    let totals = Totals {
        requests: recording.trials.len() as u64,
        wall_ms: recording.footer.as_ref().map_or(0, |footer| footer.wall_ms),
        ..Totals::default()
    };
    let unknown = Answer::Unknown;
    Ok(Results {
        schema: SCHEMA.to_owned(),
        target: TestedTarget {
            name: header.name.clone(),
            base_url: header.via.clone(),
            model: header.model.clone(),
            simulated: false,
            anthropic_version: "2023-06-01".to_owned(),
            claims: header.claims.as_ref().map(ClaimsOf::from),
        },
        gateway: Some(GatewayTested {
            shape: header.shape.word().to_owned(),
            upstream: header.upstream.clone(),
            upstream_calls: recording.calls.len() as u64,
            own_requests: behaviour::own_list(&book),
        }),
        started_at: header.started_at.clone(),
        finished_at: recording.footer.as_ref().map_or(header.started_at.clone(), |footer| footer.finished_at.clone()),
        partial: partial(&book, recording),
        // Nothing here rests on statistics.
        confidence: 1.0,
        seed: header.seed,
        per_verdict: PerVerdict::of(&totals, summary.decided),
        totals,
        strictness: Strictness { top_level: unknown, tool: unknown, block: unknown },
        unsteady: false,
        shard: None,
        reruns: Vec::new(),
        repeats: None,
        baseline: None,
        summary,
        rows: judged,
        findings: findings.all,
    })
}

/// Why a run is not whole.
fn partial(book: &Book<'_>, recording: &Recording) -> Option<String> {
    match recording.footer.as_ref().map(|footer| footer.ended) {
        Some(Ended::Complete) => None,
        Some(Ended::Interrupted) => Some("the run was interrupted".to_owned()),
        Some(Ended::Lost) => Some("the gateway stopped answering".to_owned()),
        Some(Ended::Untestable) => Some(untestable(book, recording)),
        None => Some("the recording has no footer: the run was cut".to_owned()),
    }
}

/// Why the first question says that nothing more can be seen.
fn untestable(book: &Book<'_>, recording: &Recording) -> String {
    let header = &recording.header;
    let base = match header.shape {
        Shape::Anthropic => header.upstream.clone(),
        Shape::Openai => format!("{}/v1", header.upstream),
    };
    let Some(first) = recording.trials.iter().rfind(|trial| trial.arm == Arm::First) else {
        return "the gateway was asked nothing".to_owned();
    };
    let came = match client_response::read(&first.exchange) {
        Came::Nothing(why) => return format!("the gateway at {} does not answer: {why}", header.via),
        Came::Answer(answer) => answer,
    };
    let answered = came.error().unwrap_or_else(|| format!("HTTP {}", came.status));
    let answered = fill::unfilled(&answered, &first.values);
    if let Some(call) = book.calls(first).first() {
        return format!(
            "the upstream was asked {} {}, which is not the API that it speaks (--shape {}); is the gateway configured for \
             another one (the other shape, or OpenAI's responses)?",
            call.method,
            call.path,
            header.shape.word()
        );
    }
    let others = match book.own.as_slice() {
        [] => "nothing was asked of the upstream".to_owned(),
        [first, ..] => format!("no question reached the upstream (it was asked {} {})", first.method, first.path),
    };
    format!(
        "a plain request was answered with {answered}, and {others}: is the gateway's upstream configured as {base}, and does it serve the model `{}`?",
        header.model
    )
}

fn decide<'a>(book: &Book<'a>, recording: &'a Recording, row: &GatewayRow, rows: &[&GatewayRow]) -> Decided<'a> {
    let step = match row.subject(book.shape) {
        Subject::Conduct(conduct) if recording.footer.as_ref().is_some_and(|f| f.ended == Ended::Complete) => {
            let trials = book.trials(row.id(), Arm::Treatment);
            Step::Done(Decided { seen: behaviour::seen(book, conduct, row, rows), shown_by: trials.first().copied() })
        }
        Subject::Conduct(_) => Step::Try,
        Subject::Request { .. } | Subject::Answer { .. } => decide::next(book, row),
    };
    match step {
        Step::Done(decided) => decided,
        Step::Try => unfinished(book, recording, row),
    }
}

/// A row that these rules would have tried once more.
fn unfinished<'a>(book: &Book<'a>, recording: &Recording, row: &GatewayRow) -> Decided<'a> {
    let by = book.trials(row.id(), Arm::Treatment).last().copied();
    let seen = match (by, partial(book, recording)) {
        (None, why) => {
            let why = why.unwrap_or_else(|| "the recording lacks a trial that these rules need".to_owned());
            Seen::Void(Unclear::NotFinished, format!("not run: {why}"))
        }
        (Some(_), Some(why)) => Seen::Void(Unclear::NotFinished, format!("not run to the end: {why}")),
        // What came later, or belongs to another row, shows a trial in another light than while the run went on.
        (Some(trial), None) => match decide::observe(book, row, trial) {
            void @ Seen::Void(..) => void,
            _ => Seen::Void(Unclear::Unsteady, "it was seen once, and could not be seen again".to_owned()),
        },
    };
    Decided { seen, shown_by: by }
}

/// A verdict and a fate of what was seen.
fn told(seen: &Seen, subject: Subject<'_>) -> (Verdict, Fate) {
    let of_conduct = matches!(subject, Subject::Conduct(_));
    let way = if matches!(subject, Subject::Request { .. }) { "arrived" } else { "came" };
    let fate = |kind| Fate { kind, place: None, from: None, to: None, upstream: None };
    let (reason, code, fate) = match seen {
        Seen::Forwarded { place } => (
            match subject {
                Subject::Conduct(_) => format!("seen: {place}"),
                Subject::Request { .. } | Subject::Answer { .. } => format!("it {way} at `{place}`"),
            },
            None,
            Fate { place: Some(place.clone()), ..fate(FateKind::Forwarded) },
        ),
        Seen::Changed { from, to, place } => (
            if of_conduct {
                format!("expected: {from}; seen: {to}")
            } else {
                format!("from {from} to {to}, at `{place}`")
            },
            None,
            Fate {
                place: Some(place.clone()),
                from: Some(from.clone()),
                to: Some(to.clone()),
                ..fate(FateKind::Changed)
            },
        ),
        Seen::Dropped { note } => {
            let note = note.as_ref().map_or(String::new(), |note| format!(": {note}"));
            let what = if matches!(subject, Subject::Request { .. }) {
                "the request arrived without it"
            } else {
                "the answer came without it"
            };
            (format!("{what}{note}"), None, fate(FateKind::Dropped))
        }
        Seen::Refused { said } => {
            let what = match subject {
                Subject::Request { .. } => "and the upstream was not asked; without it, the request passes",
                Subject::Answer { .. } | Subject::Conduct(_) => "in the place of the upstream's answer",
            };
            (format!("{said}, {what}"), None, Fate { to: Some(said.clone()), ..fate(FateKind::Refused) })
        }
        Seen::Void(Unclear::NotFinished, why) => (why.clone(), Some(Unclear::NotFinished), fate(FateKind::Skipped)),
        Seen::Void(why, said) => (said.clone(), Some(*why), fate(FateKind::Undetermined)),
    };
    let status = fate.kind.status();
    let verdict = Verdict {
        status,
        reason,
        code: code.map(|code| code.word().to_owned()),
        confidence: None,
        evidence: status.is_decided().then_some(Evidence::Seen),
        qualifiers: Vec::new(),
    };
    (verdict, fate)
}

fn result(
    book: &Book<'_>,
    recording: &Recording,
    row: &GatewayCatalogRow,
    decided: Decided<'_>,
    findings: &Findings,
) -> RowResult {
    let id = row.row.id();
    let (verdict, mut fate) = told(&decided.seen, row.row.subject(book.shape));
    if fate.kind != FateKind::Forwarded {
        fate.upstream = decided.shown_by.and_then(|trial| upstream(book, trial));
    }
    let claim = recording.header.claims.as_ref().and_then(|target| target.claims.get(id));
    let status = claim.map(|claim| claim.status);
    let trials: Vec<&TrialRecord> = book.all().filter(|trial| trial.row == id).collect();
    RowResult {
        id: id.to_owned(),
        section: row.section.clone(),
        title: row.row.title.clone(),
        claim: claim.map(|c| ClaimResult { status: c.status, note: c.note.clone(), range: c.range }),
        outcome: Outcome::of(status, verdict.status),
        silent: is_silent(status, verdict.status),
        verdict,
        fate: Some(fate),
        earlier: Vec::new(),
        stability: None,
        cost: RowCost { requests: trials.len() as u64, ..RowCost::default() },
        arms: arms(book, &row.row),
        findings: findings.of_row(id),
        example: decided.shown_by.map(|trial| example(recording, trial)),
    }
}

/// What reached the upstream of a trial, with drawn values by their names.
fn upstream(book: &Book<'_>, trial: &TrialRecord) -> Option<String> {
    let call = book.calls(trial).last()?;
    let body = excerpt(&String::from_utf8_lossy(&call.body.0), UPSTREAM * 20);
    let plain = fill::unfilled(&format!("{} {} {body}", call.method, call.path), &trial.values);
    Some(excerpt(&plain, UPSTREAM))
}

fn arms(book: &Book<'_>, row: &GatewayRow) -> Vec<ArmResult> {
    let mut arms: BTreeMap<Arm, ArmResult> = BTreeMap::new();
    let own = book.all().filter(|trial| trial.row == row.id() && trial.arm == Arm::Treatment);
    let controls = if row.send.is_some() { book.controls(row.id()) } else { Vec::new() };
    let mut trials: Vec<&TrialRecord> = controls.into_iter().chain(own).collect();
    trials.sort_by_key(|trial| (trial.arm, trial.trial));
    for trial in trials {
        let arm = arms.entry(trial.arm).or_insert_with(|| ArmResult {
            name: trial.arm.word().to_owned(),
            trials: 0,
            effects: 0,
            refused: 0,
            void: 0,
            exchanges: Vec::new(),
        });
        arm.exchanges.push(trial.exchange.id.clone());
        if trial.arm != Arm::Treatment || row.conduct.is_some() {
            arm.trials += 1;
            continue;
        }
        match decide::observe(book, row, trial) {
            Seen::Forwarded { .. } => {
                arm.trials += 1;
                arm.effects += 1;
            }
            Seen::Changed { .. } | Seen::Dropped { .. } => arm.trials += 1,
            Seen::Refused { .. } => {
                arm.trials += 1;
                arm.refused += 1;
            }
            Seen::Void(..) => arm.void += 1,
        }
    }
    arms.into_values().collect()
}

fn example(recording: &Recording, trial: &TrialRecord) -> Example {
    let (status, answer) = match client_response::read(&trial.exchange) {
        Came::Nothing(why) => ("no answer".to_owned(), why),
        Came::Answer(answer) => (format!("HTTP {}", answer.status), excerpt(&answer.text, ANSWER)),
    };
    let command = curl::command(&recording.header.via, recording.header.bearer, &trial.exchange.request);
    Example {
        arm: trial.arm.word().to_owned(),
        curl: fill::unfilled(&command, &trial.values),
        status,
        answer: fill::unfilled(&answer, &trial.values),
    }
}
