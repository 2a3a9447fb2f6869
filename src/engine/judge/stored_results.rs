//! Results that a recording carries because it can no longer be judged: its texts were taken out when it was written.
//!
//! The verdicts are those that the run reached. They can be held against other claims, and some of them can be left
//! out; they cannot be judged by newer rules, and nothing here pretends to.

use crate::catalog::{Catalog, CatalogRow, Outcome, Target, is_silent};
use crate::engine::rules::unfinished_verdict;
use crate::recording::run::Recording;
use crate::results::model::{
    ClaimResult, CostPerVerdict, EndpointStrictness, Results, ResultsSummary, RowCost, RowResult, RunTotals,
    TestedClaims, TestedTarget, Verdict,
};

/// Why a row of such a recording has no verdict.
const NO_STORED_VERDICT: &str = "the texts were taken out of the recording, and it carries no verdict of this row";

/// The results that a recording carries, for the rows of its header, held against the claims of its header.
pub fn stored_results(catalog: &Catalog, recording: &Recording) -> Results {
    let header = &recording.header;
    let stored = header.scope.results.as_deref();
    let claims = header.claims.as_ref();
    let reported = header.rows.iter().filter(|row| !header.scope.beside.contains(row));
    let rows: Vec<RowResult> = reported
        .filter_map(|id| {
            let known = stored.and_then(|results| results.rows.iter().find(|row| row.id == *id)).cloned();
            let row =
                known.or_else(|| catalog.rows.iter().find(|row| row.experiment.id() == id).map(missing_row_result))?;
            Some(apply_claims(row, claims))
        })
        .collect();
    let is_known = |row: &RowResult| stored.is_some_and(|results| results.rows.iter().any(|r| r.id == row.id));
    let is_whole = rows.iter().all(is_known);
    let summary = ResultsSummary::from_rows(&rows);
    let mut results = stored.cloned().unwrap_or_else(|| Results {
        schema: crate::results::model::SCHEMA.to_owned(),
        target: TestedTarget {
            name: header.name.clone(),
            base_url: header.base_url.clone(),
            model: header.settings.model.clone(),
            simulated: header.simulated,
            anthropic_version: header.settings.anthropic_version.clone(),
            claims: None,
        },
        started_at: header.started_at.clone(),
        finished_at: header.started_at.clone(),
        partial: Some("the run was cut before its results were written".to_owned()),
        confidence: header.confidence,
        seed: header.seed,
        totals: RunTotals { requests: recording.exchanges.len() as u64, ..RunTotals::default() },
        per_verdict: None,
        shard: header.scope.shard.clone(),
        reruns: Vec::new(),
        repeats: None,
        baseline: None,
        gateway: None,
        strictness: EndpointStrictness::default(),
        unsteady: false,
        summary: ResultsSummary::default(),
        rows: Vec::new(),
        findings: Vec::new(),
    });
    results.partial = results.partial.or_else(|| (!is_whole).then(|| NO_STORED_VERDICT.to_owned()));
    results.target.claims = claims.map(TestedClaims::from);
    results.per_verdict = CostPerVerdict::from_totals(&results.totals, summary.decided);
    results.findings.retain(|f| f.rows.is_empty() || f.rows.iter().any(|id| rows.iter().any(|row| row.id == *id)));
    results.findings.iter_mut().for_each(|f| f.rows.retain(|id| rows.iter().any(|row| row.id == *id)));
    results.summary = summary;
    results.rows = rows;
    results
}

/// A row held against these claims.
fn apply_claims(mut row: RowResult, claims: Option<&Target>) -> RowResult {
    let claim = claims.and_then(|target| target.claims.get(&row.id));
    let status = claim.map(|claim| claim.status);
    row.outcome = Outcome::compare(status, row.verdict.status);
    row.silent = is_silent(status, row.verdict.status);
    row.claim = claim.map(ClaimResult::from);
    row
}

fn missing_row_result(row: &CatalogRow) -> RowResult {
    let verdict: Verdict = unfinished_verdict(NO_STORED_VERDICT);
    RowResult {
        id: row.experiment.id().to_owned(),
        section: row.section.clone(),
        title: row.experiment.title.clone(),
        claim: None,
        outcome: Outcome::compare(None, verdict.status),
        silent: false,
        verdict,
        cost: RowCost::default(),
        arms: Vec::new(),
        findings: Vec::new(),
        example: None,
        earlier: Vec::new(),
        stability: None,
        fate: None,
    }
}
