//! Judging: from a recording and the case files to results. Pure; the same input gives the same results.

use std::collections::BTreeMap;

use crate::catalog::{ApiDialect, Catalog, GatewayCatalogRow, GatewayRow, GatewayRowSubject, Outcome, is_silent};
use crate::gateway::client_response::ClientResponse;
use crate::gateway::findings::GatewayFindings;
use crate::gateway::outcome::decide::{GatewayDecision, GatewayStep};
use crate::gateway::outcome::matcher::GatewayObservation;
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::gateway::outcome::{behaviour, decide};
use crate::gateway::trial_index::TrialIndex;
use crate::gateway::{client_response, trial_index};
use crate::recording::gateway::{GatewayRecording, GatewayRunEnd, GatewayTrial, TrialKind};
use crate::results::gateway::{GatewayVerdict, GatewayVerdictKind, TestedGateway};
use crate::results::model::{
    ArmResult, ClaimResult, CostPerVerdict, EndpointStrictness, EvidenceKind, Results, ResultsSummary, RowCost,
    RowExample, RowResult, RunTotals, SCHEMA, TestedClaims, TestedTarget, UnknownKeyReaction, Verdict,
};
use crate::variables::fill::restore_placeholders;
use crate::wire::curl;
use crate::wire::message::excerpt;

/// How much of a call's body a report shows.
const MAX_CALL_EXCERPT_CHARS: usize = 1200;
/// How much of an answer a report shows.
const MAX_RESPONSE_EXCERPT_CHARS: usize = 700;

/// Why a recording cannot be judged with these case files.
#[derive(Debug, thiserror::Error)]
pub enum GatewayJudgeError {
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
pub fn judge(catalog: &Catalog, recording: &GatewayRecording) -> Result<Results, GatewayJudgeError> {
    let header = &recording.header;
    let known = |id: &String| {
        let row =
            catalog.gateway_rows.iter().find(|row| row.row.id() == id && row.row.applies_to_dialect(header.shape));
        row.ok_or_else(|| GatewayJudgeError::UnknownRow(id.clone()))
    };
    let rows: Vec<&GatewayCatalogRow> = header.rows.iter().map(known).collect::<Result<_, _>>()?;
    let plain: Vec<&GatewayRow> = rows.iter().map(|row| &row.row).collect();
    let book = TrialIndex::new(header.shape, trial_index::assign_controls(&plain), &recording.trials, &recording.calls);
    let findings = GatewayFindings::collect(&book, recording, &plain);
    let mut judged = Vec::new();
    for row in &rows {
        let decided = decide_row(&book, recording, &row.row, &plain);
        judged.push(build_row_result(&book, recording, row, decided, &findings));
    }
    let summary = ResultsSummary::from_rows(&judged);
    let totals = RunTotals {
        requests: recording.trials.len() as u64,
        wall_ms: recording.footer.as_ref().map_or(0, |footer| footer.wall_ms),
        ..RunTotals::default()
    };
    let unknown = UnknownKeyReaction::Unknown;
    Ok(Results {
        schema: SCHEMA.to_owned(),
        target: TestedTarget {
            name: header.name.clone(),
            base_url: header.via.clone(),
            model: header.model.clone(),
            simulated: false,
            anthropic_version: "2023-06-01".to_owned(),
            claims: header.claims.as_ref().map(TestedClaims::from),
        },
        gateway: Some(TestedGateway {
            shape: header.shape.as_str().to_owned(),
            upstream: header.upstream.clone(),
            upstream_calls: recording.calls.len() as u64,
            own_requests: behaviour::gateway_requests(&book),
        }),
        started_at: header.started_at.clone(),
        finished_at: recording.footer.as_ref().map_or(header.started_at.clone(), |footer| footer.finished_at.clone()),
        partial: partial_reason(&book, recording),
        // Nothing here rests on statistics.
        confidence: 1.0,
        seed: header.seed,
        per_verdict: CostPerVerdict::from_totals(&totals, summary.decided),
        totals,
        strictness: EndpointStrictness { top_level: unknown, tool: unknown, block: unknown },
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
fn partial_reason(book: &TrialIndex<'_>, recording: &GatewayRecording) -> Option<String> {
    match recording.footer.as_ref().map(|footer| footer.ended) {
        Some(GatewayRunEnd::Complete) => None,
        Some(GatewayRunEnd::Interrupted) => Some("the run was interrupted".to_owned()),
        Some(GatewayRunEnd::Lost) => Some("the gateway stopped answering".to_owned()),
        Some(GatewayRunEnd::Untestable) => Some(untestable(book, recording)),
        None => Some("the recording has no footer: the run was cut".to_owned()),
    }
}

/// Why the first question says that nothing more can be seen.
fn untestable(book: &TrialIndex<'_>, recording: &GatewayRecording) -> String {
    let header = &recording.header;
    let base = match header.shape {
        ApiDialect::Anthropic => header.upstream.clone(),
        ApiDialect::Openai => format!("{}/v1", header.upstream),
    };
    let Some(first) = recording.trials.iter().rfind(|trial| trial.arm == TrialKind::First) else {
        return "the gateway was asked nothing".to_owned();
    };
    let came = match client_response::read_response(&first.exchange) {
        ClientResponse::NoResponse(why) => return format!("the gateway at {} does not answer: {why}", header.via),
        ClientResponse::Received(answer) => answer,
    };
    let answered = came.error().unwrap_or_else(|| format!("HTTP {}", came.status));
    let answered = restore_placeholders(&answered, &first.values);
    if let Some(call) = book.calls(first).first() {
        return format!(
            "the upstream was asked {} {}, which is not the API that it speaks (--shape {}); is the gateway configured for \
             another one (the other shape, or OpenAI's responses)?",
            call.method,
            call.path,
            header.shape.as_str()
        );
    }
    let others = match book.uncorrelated.as_slice() {
        [] => "nothing was asked of the upstream".to_owned(),
        [first, ..] => format!("no question reached the upstream (it was asked {} {})", first.method, first.path),
    };
    format!(
        "a plain request was answered with {answered}, and {others}: is the gateway's upstream configured as {base}, and does it serve the model `{}`?",
        header.model
    )
}

fn decide_row<'a>(
    book: &TrialIndex<'a>,
    recording: &'a GatewayRecording,
    row: &GatewayRow,
    rows: &[&GatewayRow],
) -> GatewayDecision<'a> {
    let step = match row.subject(book.shape) {
        GatewayRowSubject::Behaviour(conduct)
            if recording.footer.as_ref().is_some_and(|f| f.ended == GatewayRunEnd::Complete) =>
        {
            let trials = book.trials(row.id(), TrialKind::Treatment);
            GatewayStep::Decided(GatewayDecision {
                observation: behaviour::observe(book, conduct, row, rows),
                deciding_trial: trials.first().copied(),
            })
        }
        GatewayRowSubject::Behaviour(_) => GatewayStep::Run,
        GatewayRowSubject::Request { .. } | GatewayRowSubject::Response { .. } => decide::next_step(book, row),
    };
    match step {
        GatewayStep::Decided(decided) => decided,
        GatewayStep::Run => decide_unfinished(book, recording, row),
    }
}

/// A row that these rules would have tried once more.
fn decide_unfinished<'a>(book: &TrialIndex<'a>, recording: &GatewayRecording, row: &GatewayRow) -> GatewayDecision<'a> {
    let by = book.trials(row.id(), TrialKind::Treatment).last().copied();
    let seen = match (by, partial_reason(book, recording)) {
        (None, why) => {
            let why = why.unwrap_or_else(|| "the recording lacks a trial that these rules need".to_owned());
            GatewayObservation::Undetermined(UndeterminedReason::NotFinished, format!("not run: {why}"))
        }
        (Some(_), Some(why)) => {
            GatewayObservation::Undetermined(UndeterminedReason::NotFinished, format!("not run to the end: {why}"))
        }
        // What came later, or belongs to another row, shows a trial in another light than while the run went on.
        (Some(trial), None) => match decide::observe(book, row, trial) {
            void @ GatewayObservation::Undetermined(..) => void,
            _ => GatewayObservation::Undetermined(
                UndeterminedReason::Unsteady,
                "it was seen once, and could not be seen again".to_owned(),
            ),
        },
    };
    GatewayDecision { observation: seen, deciding_trial: by }
}

/// A verdict and a fate of what was seen.
fn build_verdict(seen: &GatewayObservation, subject: GatewayRowSubject<'_>) -> (Verdict, GatewayVerdict) {
    let of_conduct = matches!(subject, GatewayRowSubject::Behaviour(_));
    let way = if matches!(subject, GatewayRowSubject::Request { .. }) { "arrived" } else { "came" };
    let fate = |kind| GatewayVerdict { kind, place: None, from: None, to: None, upstream: None };
    let (reason, code, fate) = match seen {
        GatewayObservation::Forwarded { place } => (
            match subject {
                GatewayRowSubject::Behaviour(_) => format!("seen: {place}"),
                GatewayRowSubject::Request { .. } | GatewayRowSubject::Response { .. } => {
                    format!("it {way} at `{place}`")
                }
            },
            None,
            GatewayVerdict { place: Some(place.clone()), ..fate(GatewayVerdictKind::Forwarded) },
        ),
        GatewayObservation::Changed { from, to, place } => (
            if of_conduct {
                format!("expected: {from}; seen: {to}")
            } else {
                format!("from {from} to {to}, at `{place}`")
            },
            None,
            GatewayVerdict {
                place: Some(place.clone()),
                from: Some(from.clone()),
                to: Some(to.clone()),
                ..fate(GatewayVerdictKind::Changed)
            },
        ),
        GatewayObservation::Dropped { note } => {
            let note = note.as_ref().map_or(String::new(), |note| format!(": {note}"));
            let what = if matches!(subject, GatewayRowSubject::Request { .. }) {
                "the request arrived without it"
            } else {
                "the answer came without it"
            };
            (format!("{what}{note}"), None, fate(GatewayVerdictKind::Dropped))
        }
        GatewayObservation::Refused { message: said } => {
            let what = match subject {
                GatewayRowSubject::Request { .. } => "and the upstream was not asked; without it, the request passes",
                GatewayRowSubject::Response { .. } | GatewayRowSubject::Behaviour(_) => {
                    "in the place of the upstream's answer"
                }
            };
            (
                format!("{said}, {what}"),
                None,
                GatewayVerdict { to: Some(said.clone()), ..fate(GatewayVerdictKind::Refused) },
            )
        }
        GatewayObservation::Undetermined(UndeterminedReason::NotFinished, why) => {
            (why.clone(), Some(UndeterminedReason::NotFinished), fate(GatewayVerdictKind::Skipped))
        }
        GatewayObservation::Undetermined(why, said) => {
            (said.clone(), Some(*why), fate(GatewayVerdictKind::Undetermined))
        }
    };
    let status = fate.kind.status();
    let verdict = Verdict {
        status,
        reason,
        code: code.map(|code| code.as_str().to_owned()),
        confidence: None,
        evidence: status.is_decided().then_some(EvidenceKind::Seen),
        qualifiers: Vec::new(),
    };
    (verdict, fate)
}

fn build_row_result(
    book: &TrialIndex<'_>,
    recording: &GatewayRecording,
    row: &GatewayCatalogRow,
    decided: GatewayDecision<'_>,
    findings: &GatewayFindings,
) -> RowResult {
    let id = row.row.id();
    let (verdict, mut fate) = build_verdict(&decided.observation, row.row.subject(book.shape));
    if fate.kind != GatewayVerdictKind::Forwarded {
        fate.upstream = decided.deciding_trial.and_then(|trial| describe_upstream_call(book, trial));
    }
    let claim = recording.header.claims.as_ref().and_then(|target| target.claims.get(id));
    let status = claim.map(|claim| claim.status);
    let trials: Vec<&GatewayTrial> = book.all_trials().filter(|trial| trial.row == id).collect();
    RowResult {
        id: id.to_owned(),
        section: row.section.clone(),
        title: row.row.title.clone(),
        claim: claim.map(|c| ClaimResult { status: c.status, note: c.note.clone(), range: c.range }),
        outcome: Outcome::compare(status, verdict.status),
        silent: is_silent(status, verdict.status),
        verdict,
        fate: Some(fate),
        earlier: Vec::new(),
        stability: None,
        cost: RowCost { requests: trials.len() as u64, ..RowCost::default() },
        arms: build_arm_results(book, &row.row),
        findings: findings.check_ids_of_row(id),
        example: decided.deciding_trial.map(|trial| build_example(recording, trial)),
    }
}

/// What reached the upstream of a trial, with drawn values by their names.
fn describe_upstream_call(book: &TrialIndex<'_>, trial: &GatewayTrial) -> Option<String> {
    let call = book.calls(trial).last()?;
    let body = excerpt(&String::from_utf8_lossy(&call.body.0), MAX_CALL_EXCERPT_CHARS * 20);
    let plain = restore_placeholders(&format!("{} {} {body}", call.method, call.path), &trial.values);
    Some(excerpt(&plain, MAX_CALL_EXCERPT_CHARS))
}

fn build_arm_results(book: &TrialIndex<'_>, row: &GatewayRow) -> Vec<ArmResult> {
    let mut arms: BTreeMap<TrialKind, ArmResult> = BTreeMap::new();
    let own = book.all_trials().filter(|trial| trial.row == row.id() && trial.arm == TrialKind::Treatment);
    let controls = if row.request.is_some() { book.control_trials(row.id()) } else { Vec::new() };
    let mut trials: Vec<&GatewayTrial> = controls.into_iter().chain(own).collect();
    trials.sort_by_key(|trial| (trial.arm, trial.trial));
    for trial in trials {
        let arm = arms.entry(trial.arm).or_insert_with(|| ArmResult {
            name: trial.arm.as_str().to_owned(),
            trials: 0,
            effects: 0,
            refused: 0,
            void: 0,
            exchanges: Vec::new(),
        });
        arm.exchanges.push(trial.exchange.id.clone());
        if trial.arm != TrialKind::Treatment || row.behaviour.is_some() {
            arm.trials += 1;
            continue;
        }
        match decide::observe(book, row, trial) {
            GatewayObservation::Forwarded { .. } => {
                arm.trials += 1;
                arm.effects += 1;
            }
            GatewayObservation::Changed { .. } | GatewayObservation::Dropped { .. } => arm.trials += 1,
            GatewayObservation::Refused { .. } => {
                arm.trials += 1;
                arm.refused += 1;
            }
            GatewayObservation::Undetermined(..) => arm.void += 1,
        }
    }
    arms.into_values().collect()
}

fn build_example(recording: &GatewayRecording, trial: &GatewayTrial) -> RowExample {
    let (status, answer) = match client_response::read_response(&trial.exchange) {
        ClientResponse::NoResponse(why) => ("no answer".to_owned(), why),
        ClientResponse::Received(answer) => {
            (format!("HTTP {}", answer.status), excerpt(&answer.text, MAX_RESPONSE_EXCERPT_CHARS))
        }
    };
    let command = curl::render_command(&recording.header.via, recording.header.bearer, &trial.exchange.request);
    RowExample {
        arm: trial.arm.as_str().to_owned(),
        curl: restore_placeholders(&command, &trial.values),
        status,
        answer: restore_placeholders(&answer, &trial.values),
    }
}
