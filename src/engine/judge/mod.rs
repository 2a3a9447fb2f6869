//! [`judge`]: makes results from a recording and the case files. Pure: equal inputs give equal
//! results.

mod causes;
mod disturbances;
mod findings;
mod stored_results;
mod trial_signal;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::catalog::{Catalog, Experiment, VerdictStatus};
use crate::checks;
use crate::checks::CheckedExchange;
use crate::engine::dependencies::edges::RequestTemplates;
use crate::engine::dependencies::{RowTrials, decide_rows};
use crate::engine::instructions::INSTRUCTION_PROBE;
use crate::engine::judge::causes::find_causes;
use crate::engine::judge::disturbances::{describe_trouble, disturbance_notes};
use crate::engine::judge::findings::RunFindings;
use crate::engine::probes::ProbeTrials;
use crate::engine::request::build::build_plain_request;
use crate::engine::request::sent::SentRequest;
use crate::engine::rules::{Step, unfinished_verdict};
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::engine::unconfirmed::find_unconfirmed_errors;
use crate::engine::{probes, rules};
use crate::recording::run::{ArmKind, Recording, RunEnd, RunHeader, TrialRecord, arm_name};
use crate::results::additions::find_additions;
use crate::results::model::{
    ArmResult, EvidenceKind, Results, RowCost, RowExample, RowResult, RunTotals, TestedClaims, TestedTarget, Verdict,
};
use crate::results::reason::ReasonData;
use crate::variables::fill::restore_placeholders;
use crate::wire::curl;
use crate::wire::exchange::{AttemptResult, AuthScheme, Exchange, Request};
use crate::wire::message::{InterpretedExchange, excerpt};
use crate::wire::parsed_exchange::{ParsedExchange, has_passed_server_error};

/// Why a recording cannot be judged with these case files.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The recording has a row that is not in the case files.
    #[error("the recording has row `{0}`, which is not in the case files. Use the case files of the run (--cases)")]
    UnknownRow(String),
}

/// Judges a recording.
///
/// # Errors
/// If the recording has a row that is not in the case files.
pub fn judge(catalog: &Catalog, recording: &Recording) -> Result<Results, JudgeError> {
    let header = &recording.header;
    if header.scope.texts_removed {
        return Ok(stored_results::stored_results(catalog, recording));
    }
    let index = ExchangeIndex::new(recording);
    let probe = probes::probe_experiment();
    let [text_form_trials, instruction_trials, strictness_trials] =
        [probes::TEXT_FORM_PROBE, INSTRUCTION_PROBE, probes::STRICTNESS_PROBE].map(|row| index.trials(row, &probe));
    let probe_trials =
        ProbeTrials { text_form: &text_form_trials, instructions: &instruction_trials, strictness: &strictness_trials };
    let mut facts = probes::run_facts(header.confidence, header.seed, probe_trials);
    facts.server_errors_pass = recording.exchanges.iter().any(has_passed_server_error);
    let mut row_trials = Vec::new();
    for id in &header.rows {
        let row =
            catalog.rows.iter().find(|r| r.experiment.id() == id).ok_or_else(|| JudgeError::UnknownRow(id.clone()))?;
        row_trials.push((row, index.trials(id, &row.experiment)));
    }
    facts.is_inconsistent = row_trials
        .iter()
        .any(|(row, trials)| rules::is_inconsistent(&rules::next_step(&row.experiment, trials, &facts)));
    let text_form = probes::text_form(&text_form_trials).unwrap_or_default();
    let templates = RequestTemplates { settings: &header.settings, text_form };
    let rows: Vec<RowTrials<'_>> =
        row_trials.iter().map(|(row, trials)| RowTrials { experiment: &row.experiment, trials }).collect();
    let decided = decide_rows(&rows, &facts, &templates);
    let verdicts: Vec<(&Experiment, Verdict)> = decided
        .steps
        .into_iter()
        .zip(&rows)
        .map(|(step, row)| match step {
            Step::Decided(verdict) => (row.experiment, verdict),
            Step::Run(_) => (row.experiment, unfinished_verdict(unfinished_reason(&index, row))),
        })
        .collect();
    let plain = build_plain_request(&header.settings);
    let mut counted = HashSet::new();
    let findings = RunFindings::new(recording, &index.checked);
    let mut row_results = Vec::new();
    let causes = find_causes(&verdicts, &decided.edges);
    for (((row, trials), (experiment, verdict)), cause) in row_trials.iter().zip(verdicts).zip(causes) {
        let id = experiment.id();
        if header.scope.beside.iter().any(|dependency| dependency == id) {
            continue;
        }
        let claim = header.claims.as_ref().and_then(|target| target.claim(id, &header.settings.model));
        row_results.push(RowResult {
            cost: index.row_cost(id, &mut counted),
            arms: index.arm_results(id, trials, experiment, &plain),
            findings: findings.row_checks(id),
            cause,
            example: index.find_example(id, trials, experiment, &verdict, header),
            ..RowResult::new(id, &row.section, &experiment.title, claim, verdict)
        });
    }
    let mut results = Results::new(tested_target(header), &header.started_at, header.confidence, header.seed);
    if let Some(footer) = &recording.footer {
        results.finished_at.clone_from(&footer.finished_at);
    }
    results.partial = partial_reason(&index);
    results.totals = sum_totals(&index);
    results.shard.clone_from(&header.scope.shard);
    results.strictness = facts.strictness;
    results.unsteady = facts.is_inconsistent;
    results.unfollowed.clone_from(&facts.unfollowed);
    results.notes = disturbance_notes(recording);
    results.set_rows(row_results);
    results.findings = findings.without_dependencies(&header.scope.beside);
    Ok(results)
}

/// The tested target, as results show it.
fn tested_target(header: &RunHeader) -> TestedTarget {
    TestedTarget {
        name: header.name.clone(),
        base_url: header.base_url.clone(),
        model: header.settings.model.clone(),
        simulated: header.simulated,
        anthropic_version: header.settings.anthropic_version.clone(),
        claims: header.claims.as_ref().map(TestedClaims::from),
    }
}

fn partial_reason(index: &ExchangeIndex<'_>) -> Option<String> {
    let reason = match index.recording.footer.as_ref().map(|footer| footer.ended) {
        Some(RunEnd::Complete) => return None,
        Some(RunEnd::Interrupted) => "the run was interrupted",
        Some(RunEnd::Lost) => "the endpoint stopped responding",
        Some(RunEnd::Trouble) => return Some(describe_trouble(index.recording)),
        Some(RunEnd::Budget) => "the budget was used up",
        Some(RunEnd::Unrecorded) => {
            "the recording lacks requests that the rows need. Use the rows and the case files of the run"
        }
        Some(RunEnd::Untestable) => {
            return Some(format!("the endpoint could not be tested: {}", describe_first_failure(index)));
        }
        None => "the run was interrupted (the recording has no footer)",
    };
    Some(reason.to_owned())
}

/// Why the first simple request got no message, and what to do.
fn describe_first_failure(index: &ExchangeIndex<'_>) -> String {
    // The text form probe comes first, but the strictness probe sends the simpler request.
    let probe = probes::probe_experiment();
    let trials = [probes::STRICTNESS_PROBE, probes::TEXT_FORM_PROBE].map(|row| index.trials(row, &probe));
    match trials.iter().flatten().next().and_then(|trial| trial.responses.last()) {
        Some(InterpretedExchange::HttpError(error)) => {
            let advice = match error.status {
                401 | 403 => "Check the credential (--api-key-env) and its header (--auth)",
                404 => "Check --base-url and --model",
                400 | 422 => "Check --model",
                429 => "Check your quota, or lower --rpm or --concurrency",
                500.. => "Try again later",
                _ => "Check --base-url",
            };
            format!("a simple request returned HTTP {}: {}. {advice}", error.status, error.message)
        }
        Some(InterpretedExchange::Malformed(problem) | InterpretedExchange::UnreadableStream(problem)) => {
            format!("{problem}. Check --base-url: the endpoint must serve the Messages API")
        }
        Some(InterpretedExchange::NoResponse(problem)) => problem.clone(),
        Some(InterpretedExchange::Message(_)) | None => "no simple request got a response".to_owned(),
    }
}

fn unfinished_reason(index: &ExchangeIndex<'_>, row: &RowTrials<'_>) -> ReasonData {
    let why = partial_reason(index).unwrap_or_else(|| "the recording lacks a trial that these rules need".to_owned());
    if index.unconfirmed_rows.contains(row.experiment.id()) {
        return ReasonData::ErrorsUnconfirmed { why };
    }
    if row.trials.is_empty() { ReasonData::NotRun { why } } else { ReasonData::NotRunCompletely { why } }
}

fn sum_totals(index: &ExchangeIndex<'_>) -> RunTotals {
    let recording = index.recording;
    let mut totals = RunTotals { requests: recording.exchanges.len() as u64, ..RunTotals::default() };
    for (exchange, checked) in recording.exchanges.iter().zip(&index.checked) {
        totals.retries += exchange.sent_count().saturating_sub(1);
        let (input, output) = checked.parsed.interpretation.token_counts();
        totals.input_tokens = totals.input_tokens.saturating_add(input);
        totals.output_tokens = totals.output_tokens.saturating_add(output);
    }
    let header = &recording.header;
    let foreseen = header.scope.foreseen.as_ref();
    let known_prices = foreseen.and_then(|f| f.prices).or(header.claims.as_ref().and_then(|t| t.prices));
    let prices = known_prices.filter(|_| !header.simulated);
    totals.cost_usd =
        prices.map(|p| (totals.input_tokens as f64 * p.input + totals.output_tokens as f64 * p.output) / 1e6);
    totals.planned = foreseen.map(|f| f.planned.clone());
    totals.wall_ms = recording.footer.as_ref().map_or(0, |f| f.wall_ms);
    totals
}

/// An index of a recording by row. Each exchange is parsed and checked once.
struct ExchangeIndex<'a> {
    recording: &'a Recording,
    /// The exchanges of the recording, in its order.
    checked: Vec<CheckedExchange>,
    /// The position of each exchange, by its id.
    positions: HashMap<&'a str, usize>,
    /// The trials of each row. Rows with unconfirmed errors have none.
    trials: HashMap<&'a str, Vec<&'a TrialRecord>>,
    /// The rows whose last errors may be trouble.
    unconfirmed_rows: HashSet<&'a str>,
}

impl<'a> ExchangeIndex<'a> {
    fn new(recording: &'a Recording) -> Self {
        let checked: Vec<CheckedExchange> = recording.exchanges.iter().map(checks::check_exchange).collect();
        let unconfirmed = find_unconfirmed_errors(recording, checked.iter().map(|checked| &checked.parsed));
        let is_unconfirmed = |trial: &&TrialRecord| trial.exchanges.iter().any(|id| unconfirmed.contains(id.as_str()));
        let unconfirmed_rows: HashSet<&str> =
            recording.trials.iter().filter(is_unconfirmed).map(|trial| trial.key.row.as_str()).collect();
        let mut trials: HashMap<&str, Vec<&TrialRecord>> = HashMap::new();
        for trial in &recording.trials {
            trials.entry(trial.key.row.as_str()).or_default().push(trial);
        }
        trials.retain(|row, _| !unconfirmed_rows.contains(row));
        // The order of responses must not change the results, so trials are sorted by key.
        trials.values_mut().for_each(|row_records| row_records.sort_by(|a, b| a.key.cmp(&b.key)));
        Self {
            recording,
            checked,
            positions: recording.exchanges.iter().enumerate().map(|(i, e)| (e.id.as_str(), i)).collect(),
            trials,
            unconfirmed_rows,
        }
    }

    fn find_exchange(&self, id: &str) -> Option<(&'a Exchange, &ParsedExchange)> {
        let position = *self.positions.get(id)?;
        Some((&self.recording.exchanges[position], &self.checked[position].parsed))
    }

    fn trial_records(&self, row: &str) -> &[&'a TrialRecord] {
        self.trials.get(row).map_or(&[], Vec::as_slice)
    }

    /// The trials of a row.
    fn trials(&self, row: &str, experiment: &Experiment) -> Vec<CompletedTrial> {
        let to_trial = |record: &&TrialRecord| {
            let steps: Vec<_> = record.exchanges.iter().filter_map(|id| self.find_exchange(id)).collect();
            CompletedTrial {
                variant: record.key.variant.clone(),
                arm: record.key.arm,
                last_response: steps
                    .last()
                    .filter(|_| experiment.decides_by_response())
                    .and_then(|(_, parsed)| parsed.response.clone()),
                sent: steps
                    .iter()
                    .map(|(exchange, _)| SentRequest::new(&exchange.request, experiment, &record.values))
                    .collect(),
                responses: steps.into_iter().map(|(_, parsed)| parsed.interpretation.clone()).collect(),
                values: record.values.clone(),
            }
        };
        self.trial_records(row).iter().map(to_trial).collect()
    }

    /// The cost of the exchanges of a row that are not counted yet.
    fn row_cost(&self, row: &str, counted: &mut HashSet<&'a str>) -> RowCost {
        let mut cost = RowCost::default();
        for id in self.trial_records(row).iter().flat_map(|r| &r.exchanges) {
            if let (true, Some((_, parsed))) = (counted.insert(id), self.find_exchange(id)) {
                let (input, output) = parsed.interpretation.token_counts();
                cost.requests += 1;
                cost.input_tokens = cost.input_tokens.saturating_add(input);
                cost.output_tokens = cost.output_tokens.saturating_add(output);
            }
        }
        cost
    }

    /// The arms of a row, with what each of them adds to the plain request.
    fn arm_results(
        &self,
        row: &str,
        trials: &[CompletedTrial],
        experiment: &Experiment,
        plain: &Request,
    ) -> Vec<ArmResult> {
        let mut arms: BTreeMap<(ArmKind, Option<&str>), ArmResult> = BTreeMap::new();
        for (record, trial) in self.trial_records(row).iter().zip(trials) {
            let variant = record.key.variant.as_deref();
            let arm = arms.entry((record.key.arm, variant)).or_insert_with(|| {
                let first = record.exchanges.first().and_then(|id| self.find_exchange(id));
                let restore = |text: &str| restore_placeholders(text, &record.values);
                let adds = first
                    .map_or_else(BTreeMap::new, |(exchange, _)| find_additions(&exchange.request, plain, &restore));
                let name = arm_name(record.key.arm, variant);
                ArmResult { adds, ..ArmResult::new(name, variant.map(str::to_owned)) }
            });
            let (shows, because) = trial_signal::read_signal(trial, experiment);
            arm.add_trial(shows, because, &record.exchanges);
        }
        arms.into_values().map(ArmResult::without_uniform_results).collect()
    }

    /// The exchange that shows the verdict best: a rejected one, or the first one with the field.
    fn find_example(
        &self,
        row: &str,
        trials: &[CompletedTrial],
        experiment: &Experiment,
        verdict: &Verdict,
        header: &RunHeader,
    ) -> Option<RowExample> {
        let records = self.trial_records(row);
        let find = |wanted: &dyn Fn(&CompletedTrial) -> bool| trials.iter().position(wanted).map(|i| records[i]);
        let is_rejected = |t: &CompletedTrial| {
            matches!(t.outcome(experiment), TrialOutcome::Rejected(_)) && t.arm != ArmKind::Negative
        };
        let has_failed =
            |t: &CompletedTrial| matches!(t.outcome(experiment), TrialOutcome::Failed(_) | TrialOutcome::Malformed(_));
        let is_challenge = |t: &CompletedTrial| matches!(t.arm, ArmKind::Challenge(_) | ArmKind::ScreenChallenge);
        let has_field = |t: &CompletedTrial| {
            matches!(t.arm, ArmKind::Treatment | ArmKind::Insist | ArmKind::Canned | ArmKind::Narrow | ArmKind::Screen)
        };
        let is_negative = |t: &CompletedTrial| t.arm == ArmKind::Negative;
        let record = match (verdict.status, verdict.evidence) {
            (VerdictStatus::Rejected, _) => find(&is_rejected),
            (VerdictStatus::Supported | VerdictStatus::Validated, Some(EvidenceKind::Validated)) => find(&is_rejected),
            (VerdictStatus::Ignored | VerdictStatus::Substituted, Some(EvidenceKind::Validated)) => {
                find(&|t| is_challenge(t) && t.message().is_some())
            }
            (VerdictStatus::Inconclusive, _) => find(&has_failed)
                .or_else(|| find(&|t| is_negative(t) && matches!(t.outcome(experiment), TrialOutcome::Rejected(_)))),
            _ => None,
        }
        .or_else(|| find(&has_field))
        .or_else(|| find(&is_challenge))
        .or_else(|| find(&is_negative))?;
        let (exchange, parsed) = self.find_exchange(record.exchanges.last()?)?;
        let scheme = header.claims.as_ref().map_or(AuthScheme::XApiKey, |t| t.auth.scheme);
        let (status, answer) = match exchange.last_attempt().map(|a| &a.result) {
            Some(AttemptResult::Response(response)) => {
                (format!("HTTP {}", response.status), excerpt(&String::from_utf8_lossy(&response.body.0), 700))
            }
            Some(AttemptResult::Failure(failure)) => (failure.kind.as_str().to_owned(), failure.message.clone()),
            None => ("not sent".to_owned(), String::new()),
        };
        let status = match &parsed.interpretation {
            InterpretedExchange::Malformed(why)
            | InterpretedExchange::UnreadableStream(why)
            | InterpretedExchange::NoResponse(why)
                if why != &answer =>
            {
                format!("{status} ({why})")
            }
            _ => status,
        };
        Some(RowExample {
            arm: arm_name(record.key.arm, record.key.variant.as_deref()),
            curl: curl::render_command(&header.base_url, scheme, &exchange.request),
            status,
            answer,
        })
    }
}
