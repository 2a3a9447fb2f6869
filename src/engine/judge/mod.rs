//! Judging: from a recording and the case files to results. Pure; the same input gives the same results.

mod findings;
mod stored_results;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::catalog::{AuthScheme, Catalog, CatalogRow, Outcome, VerdictStatus, is_silent};
use crate::checks;
use crate::checks::CheckedExchange;
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::judge::findings::RunFindings;
use crate::engine::probes;
use crate::engine::rules;
use crate::engine::rules::{Step, inconclusive_verdict, unfinished_verdict};
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::{ArmKind, Recording, RunEnd, TrialRecord};
use crate::results::model::{
    ArmResult, ClaimResult, CostPerVerdict, EvidenceKind, Results, ResultsSummary, RowCost, RowExample, RowResult,
    RunTotals, SCHEMA, TestedClaims, TestedTarget, Verdict,
};
use crate::wire::curl;
use crate::wire::exchange::{AttemptResult, Exchange};
use crate::wire::message::{InterpretedExchange, excerpt};
use crate::wire::parsed_exchange::ParsedExchange;

/// Why a recording cannot be judged with these case files.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The recording has a row that the case files do not decide.
    #[error("the recording holds row `{0}`, which no experiment decides: give the case files of the run with --cases")]
    UnknownRow(String),
}

/// Judges a recording.
///
/// # Errors
/// A row of the recording that the case files do not know.
pub fn judge(catalog: &Catalog, recording: &Recording) -> Result<Results, JudgeError> {
    let header = &recording.header;
    if header.scope.texts_removed {
        return Ok(stored_results::stored_results(catalog, recording));
    }
    let book = ExchangeIndex::new(recording);
    let mut facts = probes::run_facts(
        header.confidence,
        header.seed,
        &book.trials(probes::STRICTNESS_PROBE, false),
        &book.trials(probes::TEXT_FORM_PROBE, false),
    );
    let mut tried = Vec::new();
    for id in &header.rows {
        let row =
            catalog.rows.iter().find(|r| r.experiment.id() == id).ok_or_else(|| JudgeError::UnknownRow(id.clone()))?;
        tried.push((row, book.trials(id, row.experiment.decides_by_response())));
    }
    facts.is_inconsistent =
        tried.iter().any(|(row, trials)| rules::is_inconsistent(&rules::next_step(&row.experiment, trials, &facts)));
    let mut judged: Vec<_> = tried
        .into_iter()
        .map(|(row, trials)| {
            let verdict = match rules::next_step(&row.experiment, &trials, &facts) {
                Step::Decided(verdict) => verdict,
                Step::Run(_) => unfinished_verdict(&unfinished_reason(&book, trials.is_empty())),
            };
            (row, trials, verdict)
        })
        .collect();
    apply_dependencies(&mut judged);
    let mut counted = HashSet::new();
    let findings = RunFindings::new(recording, &book.checked);
    let mut rows = Vec::new();
    for (row, trials, verdict) in judged {
        let id = row.experiment.id();
        if header.scope.beside.iter().any(|beside| beside == id) {
            continue;
        }
        let claim = header.claims.as_ref().and_then(|t| t.claims.get(id));
        let status = claim.map(|c| c.status);
        rows.push(RowResult {
            id: id.to_owned(),
            section: row.section.clone(),
            title: row.experiment.title.clone(),
            claim: claim.map(ClaimResult::from),
            outcome: Outcome::compare(status, verdict.status),
            fate: None,
            silent: is_silent(status, verdict.status),
            cost: book.row_cost(id, &mut counted),
            arms: book.arm_results(id, &trials, row),
            findings: findings.row_checks(id),
            example: book.find_example(id, &trials, &row.experiment, &verdict, header),
            earlier: Vec::new(),
            stability: None,
            verdict,
        });
    }
    let (totals, summary) = (sum_totals(&book), ResultsSummary::from_rows(&rows));
    Ok(Results {
        schema: SCHEMA.to_owned(),
        target: TestedTarget {
            name: header.name.clone(),
            base_url: header.base_url.clone(),
            model: header.settings.model.clone(),
            simulated: header.simulated,
            anthropic_version: header.settings.anthropic_version.clone(),
            claims: header.claims.as_ref().map(TestedClaims::from),
        },
        gateway: None,
        started_at: header.started_at.clone(),
        finished_at: recording.footer.as_ref().map_or(header.started_at.clone(), |f| f.finished_at.clone()),
        partial: partial_reason(&book),
        confidence: header.confidence,
        seed: header.seed,
        per_verdict: CostPerVerdict::from_totals(&totals, summary.decided),
        baseline: None,
        totals,
        shard: header.scope.shard.clone(),
        reruns: Vec::new(),
        repeats: None,
        strictness: facts.strictness,
        unsteady: facts.is_inconsistent,
        summary,
        rows,
        findings: findings.without_dependencies(&header.scope.beside),
    })
}

fn partial_reason(book: &ExchangeIndex<'_>) -> Option<String> {
    match book.recording.footer.as_ref().map(|f| f.ended) {
        Some(RunEnd::Complete) => None,
        Some(RunEnd::Interrupted) => Some("the run was interrupted".to_owned()),
        Some(RunEnd::Lost) => Some("the endpoint stopped answering".to_owned()),
        Some(RunEnd::Budget) => Some("the budget was spent before the end".to_owned()),
        Some(RunEnd::Unrecorded) => Some(
            "the recording lacks requests that the rows need: other rows or case files than those of the run?"
                .to_owned(),
        ),
        Some(RunEnd::Untestable) => Some(format!("the endpoint could not be tested: {}", describe_first_failure(book))),
        None => Some("the recording has no footer: the run was cut".to_owned()),
    }
}

/// What the plainest request of the run brought instead of a message.
fn describe_first_failure(book: &ExchangeIndex<'_>) -> String {
    // The first request of all may already have found nobody.
    let trials = [probes::STRICTNESS_PROBE, probes::TEXT_FORM_PROBE].map(|row| book.trials(row, false));
    match trials.iter().flatten().next().and_then(|t| t.responses.last()) {
        Some(InterpretedExchange::HttpError(r)) => {
            let advice = match r.status {
                401 | 403 => {
                    "; is there a credential (--api-key-env), is it right, and in the header that the endpoint reads (--auth)?"
                }
                404 => "; are the base URL and the model right?",
                400 | 422 => "; does the endpoint serve the model (--model)?",
                429 => "; is the quota used up, or is a lower --rpm or --concurrency needed?",
                500.. => "; does the same run work later?",
                _ => "; is the base URL right?",
            };
            format!("a plain request is answered with HTTP {}: {}{advice}", r.status, r.message)
        }
        Some(InterpretedExchange::Malformed(why)) => {
            format!("{why}; is the base URL right, and is it the Messages API that answers there?")
        }
        Some(InterpretedExchange::NoResponse(why)) => why.clone(),
        Some(InterpretedExchange::Message(_)) | None => "no plain request was answered".to_owned(),
    }
}

fn unfinished_reason(book: &ExchangeIndex<'_>, untried: bool) -> String {
    let why = partial_reason(book).unwrap_or_else(|| "the recording lacks a trial that these rules need".to_owned());
    format!("{}: {why}", if untried { "not run" } else { "not run to the end" })
}

/// Where a row works through another one that is not honoured, or of which nobody knows yet because the run was cut,
/// "ignored" proves nothing of it.
fn apply_dependencies(judged: &mut [(&CatalogRow, Vec<CompletedTrial>, Verdict)]) {
    use VerdictStatus::{Ignored, Inconclusive, Rejected, Skipped};
    let statuses: HashMap<String, VerdictStatus> =
        judged.iter().map(|(row, _, v)| (row.experiment.id().to_owned(), v.status)).collect();
    // Of a row about conduct, nothing can be said where what it works through is not known to work.
    let rests = |row: &CatalogRow, v: &Verdict| match row.experiment.is_field_row() {
        true => v.status == Ignored,
        false => v.status.is_decided(),
    };
    for (row, _, verdict) in judged.iter_mut().filter(|(row, _, v)| rests(row, v)) {
        let of_field = row.experiment.is_field_row();
        let is_weak = |s: VerdictStatus| matches!(s, Ignored | Rejected | Skipped) || (!of_field && s == Inconclusive);
        let others =
            row.experiment.depends_on.iter().map(|other| (other, statuses.get(other).copied().unwrap_or(Skipped)));
        // A row that was not selected is as unknown as one that was not finished. What is known goes before what is not.
        let weak = others.filter(|(_, s)| is_weak(*s)).min_by_key(|(_, s)| *s == Skipped);
        match weak {
            Some((other, Skipped)) => {
                *verdict = unfinished_verdict(&format!(
                    "it works through {other}, which was not run, or not to the end; by itself: {}",
                    verdict.reason
                ));
            }
            Some((other, status)) => {
                *verdict = inconclusive_verdict(
                    InconclusiveReason::DependsOn,
                    format!("it works through {other}, which is {status}; by itself: {}", verdict.reason),
                );
            }
            None => {}
        }
    }
}

fn sum_totals(book: &ExchangeIndex<'_>) -> RunTotals {
    let recording = book.recording;
    let mut totals = RunTotals { requests: recording.exchanges.len() as u64, ..RunTotals::default() };
    for (exchange, checked) in recording.exchanges.iter().zip(&book.checked) {
        totals.retries += exchange.attempts.len().saturating_sub(1) as u64;
        let (input, output) = checked.parsed.interpretation.token_counts();
        totals.input_tokens = totals.input_tokens.saturating_add(input);
        totals.output_tokens = totals.output_tokens.saturating_add(output);
    }
    let header = &recording.header;
    let foreseen = header.scope.foreseen.as_ref();
    let stated = foreseen.and_then(|f| f.prices).or(header.claims.as_ref().and_then(|t| t.prices));
    let prices = stated.filter(|_| !header.simulated);
    totals.cost_usd =
        prices.map(|p| (totals.input_tokens as f64 * p.input + totals.output_tokens as f64 * p.output) / 1e6);
    totals.planned = foreseen.map(|f| f.planned.clone());
    totals.wall_ms = recording.footer.as_ref().map_or(0, |f| f.wall_ms);
    totals
}

/// A recording by row. Each exchange is parsed and checked once.
struct ExchangeIndex<'a> {
    recording: &'a Recording,
    /// The exchanges of the recording, in its order.
    checked: Vec<CheckedExchange>,
    /// The position of each exchange, by its id.
    positions: HashMap<&'a str, usize>,
    trials: HashMap<&'a str, Vec<&'a TrialRecord>>,
}

impl<'a> ExchangeIndex<'a> {
    fn new(recording: &'a Recording) -> Self {
        let mut trials: HashMap<&str, Vec<&TrialRecord>> = HashMap::new();
        for trial in &recording.trials {
            trials.entry(trial.key.row.as_str()).or_default().push(trial);
        }
        // By name, not by the order in which answers happened to come.
        trials.values_mut().for_each(|of_row| of_row.sort_by(|a, b| a.key.cmp(&b.key)));
        Self {
            recording,
            checked: recording.exchanges.iter().map(checks::check_exchange).collect(),
            positions: recording.exchanges.iter().enumerate().map(|(i, e)| (e.id.as_str(), i)).collect(),
            trials,
        }
    }

    fn find_exchange(&self, id: &str) -> Option<(&'a Exchange, &ParsedExchange)> {
        let position = *self.positions.get(id)?;
        Some((&self.recording.exchanges[position], &self.checked[position].parsed))
    }

    fn trial_records(&self, row: &str) -> &[&'a TrialRecord] {
        self.trials.get(row).map_or(&[], Vec::as_slice)
    }

    /// The trials of a row; with its answers as they came, where these count.
    fn trials(&self, row: &str, with_answers: bool) -> Vec<CompletedTrial> {
        let of = |record: &&TrialRecord| {
            let steps: Vec<_> = record.exchanges.iter().filter_map(|id| self.find_exchange(id)).collect();
            CompletedTrial {
                variant: record.key.variant.clone(),
                arm: record.key.arm,
                last_response: steps.last().filter(|_| with_answers).and_then(|(_, parsed)| parsed.response.clone()),
                responses: steps.into_iter().map(|(_, parsed)| parsed.interpretation.clone()).collect(),
                values: record.values.clone(),
            }
        };
        self.trial_records(row).iter().map(of).collect()
    }

    /// What a row cost, of what was not yet counted.
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

    fn arm_results(&self, row: &str, trials: &[CompletedTrial], catalog_row: &CatalogRow) -> Vec<ArmResult> {
        let mut arms: BTreeMap<(ArmKind, Option<&str>), ArmResult> = BTreeMap::new();
        for (record, trial) in self.trial_records(row).iter().zip(trials) {
            let variant = record.key.variant.as_deref();
            let arm = arms.entry((record.key.arm, variant)).or_insert_with(|| ArmResult {
                name: variant.map_or(record.key.arm.to_string(), |v| format!("{}:{v}", record.key.arm)),
                trials: 0,
                effects: 0,
                refused: 0,
                void: 0,
                exchanges: Vec::new(),
            });
            match trial.outcome(&catalog_row.experiment) {
                TrialOutcome::EffectPresent { .. } => {
                    arm.trials += 1;
                    arm.effects += 1;
                }
                TrialOutcome::EffectAbsent => arm.trials += 1,
                TrialOutcome::NoSignal if catalog_row.experiment.effect.is_none() => arm.trials += 1,
                TrialOutcome::NoSignal
                | TrialOutcome::Unusable(_)
                | TrialOutcome::Failed(_)
                | TrialOutcome::Malformed(_) => arm.void += 1,
                TrialOutcome::Rejected(_) => {
                    arm.trials += 1;
                    arm.refused += 1;
                }
            }
            arm.exchanges.extend(record.exchanges.iter().cloned());
        }
        arms.into_values().collect()
    }

    /// The exchange that shows the verdict best: the one that was refused, or the first with the field.
    fn find_example(
        &self,
        row: &str,
        trials: &[CompletedTrial],
        experiment: &crate::catalog::Experiment,
        verdict: &Verdict,
        header: &crate::recording::run::RunHeader,
    ) -> Option<RowExample> {
        let records = self.trial_records(row);
        let find = |wanted: &dyn Fn(&CompletedTrial) -> bool| trials.iter().position(wanted).map(|i| records[i]);
        let refused = |t: &CompletedTrial| {
            matches!(t.outcome(experiment), TrialOutcome::Rejected(_)) && t.arm != ArmKind::Negative
        };
        let failed =
            |t: &CompletedTrial| matches!(t.outcome(experiment), TrialOutcome::Failed(_) | TrialOutcome::Malformed(_));
        let challenge = |t: &CompletedTrial| matches!(t.arm, ArmKind::Challenge(_) | ArmKind::ScreenChallenge);
        let treated = |t: &CompletedTrial| {
            matches!(t.arm, ArmKind::Treatment | ArmKind::Insist | ArmKind::Narrow | ArmKind::Screen)
        };
        let negative = |t: &CompletedTrial| t.arm == ArmKind::Negative;
        let record = match (verdict.status, verdict.evidence) {
            (VerdictStatus::Rejected, _) => find(&refused),
            (VerdictStatus::Supported, Some(EvidenceKind::Validated)) => find(&refused),
            (VerdictStatus::Ignored | VerdictStatus::Substituted, Some(EvidenceKind::Validated)) => {
                find(&|t| challenge(t) && t.message().is_some())
            }
            (VerdictStatus::Inconclusive, _) => find(&failed)
                .or_else(|| find(&|t| negative(t) && matches!(t.outcome(experiment), TrialOutcome::Rejected(_)))),
            _ => None,
        }
        .or_else(|| find(&treated))
        .or_else(|| find(&challenge))
        .or_else(|| find(&negative))?;
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
            InterpretedExchange::Malformed(why) | InterpretedExchange::NoResponse(why) if why != &answer => {
                format!("{status} ({why})")
            }
            _ => status,
        };
        let arm =
            record.key.variant.as_deref().map_or(record.key.arm.to_string(), |v| format!("{}:{v}", record.key.arm));
        Some(RowExample {
            arm,
            curl: curl::render_command(&header.base_url, scheme == AuthScheme::Bearer, &exchange.request),
            status,
            answer,
        })
    }
}
