//! Judges a recording: from the recording and the case files to [`Results`]. Pure; equal input gives
//! equal results.

use std::collections::BTreeMap;

use crate::catalog::{ApiDialect, Catalog, GatewayCatalogRow, GatewayRow, GatewayRowSubject};
use crate::gateway::client_response::ClientResponse;
use crate::gateway::findings::collect_findings;
use crate::gateway::outcome::decide::{GatewayDecision, GatewayStep};
use crate::gateway::outcome::matcher::GatewayObservation;
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::gateway::outcome::{behaviour, decide};
use crate::gateway::trial_index::TrialIndex;
use crate::gateway::verdict::{DecidedRow, find_way};
use crate::gateway::{client_response, trial_index};
use crate::recording::gateway::{GatewayRecording, GatewayRunEnd, GatewayTrial, TrialKind};
use crate::results::additions::find_additions;
use crate::results::cause::VerdictCause;
use crate::results::findings::FindingsAggregator;
use crate::results::gateway::{GatewayVerdictKind, TestedGateway};
use crate::results::model::{
    ArmResult, Results, RowCost, RowExample, RowResult, TestedClaims, TestedTarget, TrialSignal, Verdict,
};
use crate::results::reason::ReasonData;
use crate::variables::fill::restore_placeholders;
use crate::wire::curl;
use crate::wire::message::excerpt;

/// The number of characters of an upstream call in a report.
const MAX_CALL_EXCERPT_CHARS: usize = 1200;
/// The number of characters of a response in a report.
const MAX_RESPONSE_EXCERPT_CHARS: usize = 700;

/// Why a recording cannot be judged with these case files.
#[derive(Debug, thiserror::Error)]
pub enum GatewayJudgeError {
    /// The recording contains a row that the case files do not have.
    #[error(
        "the recording contains row `{0}`, which is in no gateway case file. Pass the case files of the run with --cases"
    )]
    UnknownRow(String),
}

/// Judges a recording.
///
/// # Errors
/// A row of the recording that the case files do not have.
pub fn judge(catalog: &Catalog, recording: &GatewayRecording) -> Result<Results, GatewayJudgeError> {
    let header = &recording.header;
    let find_row = |id: &String| {
        let row =
            catalog.gateway_rows.iter().find(|row| row.row.id() == id && row.row.applies_to_dialect(header.shape));
        row.ok_or_else(|| GatewayJudgeError::UnknownRow(id.clone()))
    };
    let catalog_rows: Vec<&GatewayCatalogRow> = header.rows.iter().map(find_row).collect::<Result<_, _>>()?;
    let rows: Vec<&GatewayRow> = catalog_rows.iter().map(|row| &row.row).collect();
    let index = TrialIndex::new(header.shape, trial_index::assign_controls(&rows), &recording.trials, &recording.calls);
    let findings = collect_findings(&index, recording, &rows);
    let row_results: Vec<RowResult> = catalog_rows
        .into_iter()
        .map(|row| build_row_result(&index, recording, row, decide_row(&index, recording, &row.row, &rows), &findings))
        .collect();
    let target = TestedTarget {
        name: header.name.clone(),
        base_url: header.via.clone(),
        model: header.model.clone(),
        simulated: false,
        anthropic_version: "2023-06-01".to_owned(),
        claims: header.claims.as_ref().map(TestedClaims::from),
    };
    // Gateway verdicts are not statistical.
    let mut results = Results::new(target, &header.started_at, 1.0, header.seed);
    results.gateway = Some(TestedGateway {
        shape: header.shape.as_str().to_owned(),
        upstream: header.upstream.clone(),
        upstream_calls: recording.calls.len() as u64,
        own_requests: behaviour::gateway_requests(&index),
    });
    results.totals.requests = recording.trials.len() as u64;
    if let Some(footer) = &recording.footer {
        results.totals.wall_ms = footer.wall_ms;
        results.finished_at.clone_from(&footer.finished_at);
    }
    results.partial = partial_reason(&index, recording);
    results.set_rows(row_results);
    let row_ids: Vec<&str> = rows.iter().map(|row| row.id()).collect();
    results.findings = findings.summarize(&row_ids);
    Ok(results)
}

/// Why a run is incomplete.
fn partial_reason(index: &TrialIndex<'_>, recording: &GatewayRecording) -> Option<String> {
    match recording.footer.as_ref().map(|footer| footer.ended) {
        Some(GatewayRunEnd::Complete) => None,
        Some(GatewayRunEnd::Interrupted) => Some("the run was interrupted".to_owned()),
        Some(GatewayRunEnd::Lost) => Some("the gateway stopped responding".to_owned()),
        Some(GatewayRunEnd::Overloaded) => {
            Some("the gateway sent too much: far more calls, or longer ones, than the requests need".to_owned())
        }
        Some(GatewayRunEnd::Untestable) => Some(untestable(index, recording)),
        None => Some("the recording has no footer: the run was killed".to_owned()),
    }
}

/// Why the first request shows that the gateway cannot be tested.
fn untestable(index: &TrialIndex<'_>, recording: &GatewayRecording) -> String {
    let header = &recording.header;
    let upstream = match header.shape {
        ApiDialect::Anthropic => header.upstream.clone(),
        ApiDialect::Openai => format!("{}/v1", header.upstream),
    };
    let Some(first) = recording.trials.iter().rfind(|trial| trial.arm == TrialKind::First) else {
        return "no request was sent to the gateway".to_owned();
    };
    let response = match client_response::read_response(&first.exchange) {
        ClientResponse::NoResponse(why) => return format!("the gateway at {} does not respond: {why}", header.via),
        ClientResponse::Received(response) => restore_placeholders(&response.describe(), &first.values),
    };
    if let Some(call) = index.calls(first).first() {
        return format!(
            "the gateway called {} {}, which the upstream's API does not have (--shape {}). Configure the gateway for \
             this API (not for OpenAI's responses), or use the other --shape",
            call.method,
            call.path,
            header.shape.as_str()
        );
    }
    let upstream_side = match index.uncorrelated.as_slice() {
        [] => "the upstream received no request".to_owned(),
        [call, ..] => format!("no test request reached the upstream (it received {} {})", call.method, call.path),
    };
    format!(
        "a plain request returned {response}, and {upstream_side}. Set {upstream} as the upstream of the gateway, and \
         check that the gateway serves the model `{}`",
        header.model
    )
}

fn decide_row<'a>(
    index: &TrialIndex<'a>,
    recording: &'a GatewayRecording,
    row: &GatewayRow,
    rows: &[&GatewayRow],
) -> DecidedRow<'a> {
    let subject = row.subject(index.dialect);
    if let GatewayRowSubject::Behaviour(behaviour) = subject {
        let is_complete = recording.footer.as_ref().is_some_and(|footer| footer.ended == GatewayRunEnd::Complete);
        if !is_complete {
            return decide_unfinished(index, recording, row);
        }
        let deciding_trial = index.trials(row.id(), TrialKind::Treatment).first().copied();
        return DecidedRow::from_behaviour(behaviour::observe(index, behaviour, row, rows), deciding_trial);
    }
    match decide::next_step(index, row) {
        GatewayStep::Decided(GatewayDecision { observation, deciding_trial }) => {
            DecidedRow::from_value(&observation, subject, deciding_trial)
        }
        GatewayStep::Run => decide_unfinished(index, recording, row),
    }
}

/// Decides a row that needs another trial.
fn decide_unfinished<'a>(index: &TrialIndex<'a>, recording: &'a GatewayRecording, row: &GatewayRow) -> DecidedRow<'a> {
    let deciding_trial = index.trials(row.id(), TrialKind::Treatment).last().copied();
    let not_finished =
        |because: ReasonData| DecidedRow::undetermined(UndeterminedReason::NotFinished, because, deciding_trial);
    match (deciding_trial, partial_reason(index, recording)) {
        (None, Some(why)) => not_finished(ReasonData::NotRun { why }),
        (None, None) => not_finished(ReasonData::NotRun { why: behaviour::LACKS_TRIAL.to_owned() }),
        (Some(_), Some(why)) => not_finished(ReasonData::NotRunCompletely { why }),
        // The index has more records than it had during the run, so a trial may show something else.
        (Some(trial), None) => {
            let observation = match decide::observe(index, row, trial) {
                undetermined @ GatewayObservation::Undetermined(..) => undetermined,
                GatewayObservation::Forwarded { .. }
                | GatewayObservation::Changed { .. }
                | GatewayObservation::Dropped { .. }
                | GatewayObservation::Refused { .. } => decide::observed_once(),
            };
            DecidedRow::from_value(&observation, row.subject(index.dialect), deciding_trial)
        }
    }
}

fn build_row_result(
    index: &TrialIndex<'_>,
    recording: &GatewayRecording,
    row: &GatewayCatalogRow,
    decided: DecidedRow<'_>,
    findings: &FindingsAggregator,
) -> RowResult {
    let id = row.row.id();
    let DecidedRow { verdict, mut gateway_verdict, deciding_trial } = decided;
    gateway_verdict.way = Some(find_way(row.row.subject(index.dialect)));
    if gateway_verdict.kind != GatewayVerdictKind::Forwarded {
        gateway_verdict.upstream = deciding_trial.and_then(|trial| describe_upstream_call(index, trial));
    }
    let claim = recording.header.claims.as_ref().and_then(|target| target.claims.get(id));
    RowResult {
        cause: find_cause(&verdict),
        fate: Some(gateway_verdict),
        cost: RowCost {
            requests: recording.trials.iter().filter(|trial| trial.row == id).count() as u64,
            ..RowCost::default()
        },
        arms: build_arm_results(index, &row.row),
        findings: findings.row_checks(id),
        example: deciding_trial.map(|trial| build_example(recording, trial)),
        ..RowResult::new(id, &row.section, &row.row.title, claim, verdict)
    }
}

/// The one circumstance behind undetermined rows. Each other row is about its own field.
fn find_cause(verdict: &Verdict) -> Option<VerdictCause> {
    let code = UndeterminedReason::ALL.into_iter().find(|code| verdict.code.as_deref() == Some(code.as_str()))?;
    match code {
        UndeterminedReason::NotFinished => Some(VerdictCause::RunEnd),
        UndeterminedReason::Unsteady => Some(VerdictCause::Inconsistency),
        UndeterminedReason::ClientRefused => Some(VerdictCause::ClientRejection),
        UndeterminedReason::GatewayFailed => {
            matches!(verdict.because, Some(ReasonData::PlainResponseLost { .. })).then_some(VerdictCause::PlainResponse)
        }
        UndeterminedReason::NotAsked
        | UndeterminedReason::Uncorrelated
        | UndeterminedReason::AskedTwiceDifferently
        | UndeterminedReason::BaseRefused
        | UndeterminedReason::Crossed
        | UndeterminedReason::Merged
        | UndeterminedReason::AlreadyThere => None,
    }
}

/// The upstream call of a trial, with the names of random values instead of the values.
fn describe_upstream_call(index: &TrialIndex<'_>, trial: &GatewayTrial) -> Option<String> {
    let call = index.calls(trial).last()?;
    let body = excerpt(&String::from_utf8_lossy(&call.body.0), MAX_CALL_EXCERPT_CHARS * 20);
    let text = restore_placeholders(&format!("{} {} {body}", call.method, call.path), &trial.values);
    Some(excerpt(&text, MAX_CALL_EXCERPT_CHARS))
}

/// The arms of a row. The first request of the run is the plain one.
fn build_arm_results(index: &TrialIndex<'_>, row: &GatewayRow) -> Vec<ArmResult> {
    let plain = index.first_trial().map(|first| &first.exchange.request);
    let mut arms: BTreeMap<TrialKind, ArmResult> = BTreeMap::new();
    let mut trials = if row.request.is_some() { index.control_trials(row.id()) } else { Vec::new() };
    trials.extend(index.trials(row.id(), TrialKind::Treatment));
    trials.sort_by_key(|trial| (trial.arm, trial.trial));
    for trial in trials {
        let request = &trial.exchange.request;
        let arm = arms.entry(trial.arm).or_insert_with(|| {
            let restore = |text: &str| restore_placeholders(text, &trial.values);
            let adds = plain.map_or_else(BTreeMap::new, |plain| find_additions(request, plain, &restore));
            ArmResult { adds, ..ArmResult::new(trial.arm.as_str().to_owned(), None) }
        });
        let (shows, because) = read_signal(index, row, trial);
        arm.add_trial(shows, because, std::slice::from_ref(&trial.exchange.id));
    }
    arms.into_values().map(ArmResult::without_uniform_results).collect()
}

/// What a trial shows, and why if it shows nothing.
fn read_signal(index: &TrialIndex<'_>, row: &GatewayRow, trial: &GatewayTrial) -> (TrialSignal, Option<ReasonData>) {
    if trial.arm != TrialKind::Treatment || row.behaviour.is_some() {
        return (TrialSignal::Response, None);
    }
    match decide::observe(index, row, trial) {
        GatewayObservation::Forwarded { .. } => (TrialSignal::Effect, None),
        GatewayObservation::Changed { .. } | GatewayObservation::Dropped { .. } => (TrialSignal::NoEffect, None),
        GatewayObservation::Refused { .. } => (TrialSignal::Rejected, None),
        GatewayObservation::Undetermined(_, because) => (TrialSignal::Void, Some(because)),
    }
}

fn build_example(recording: &GatewayRecording, trial: &GatewayTrial) -> RowExample {
    let (status, answer) = match client_response::read_response(&trial.exchange) {
        ClientResponse::NoResponse(why) => ("no response".to_owned(), why),
        ClientResponse::Received(response) => {
            (format!("HTTP {}", response.status), excerpt(&response.text, MAX_RESPONSE_EXCERPT_CHARS))
        }
    };
    let command = curl::render_command(&recording.header.via, recording.header.auth, &trial.exchange.request);
    RowExample {
        arm: trial.arm.as_str().to_owned(),
        curl: restore_placeholders(&command, &trial.values),
        status,
        answer: restore_placeholders(&answer, &trial.values),
    }
}
