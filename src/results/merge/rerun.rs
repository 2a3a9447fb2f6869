//! Merges a run with its rerun ([`merge_rerun`]): rerun rows replace their earlier versions and keep the
//! earlier verdicts.

use thiserror::Error;

use crate::catalog::{Outcome, VerdictStatus};
use crate::results::merge::totals::{add_cost, add_totals, merge_findings, merge_strictness, recount};
use crate::results::model::{EarlierVerdict, RerunRecord, Results, RowResult, TestedClaims};

/// Why a run cannot be the rerun of another run.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("these are different runs: {what} is {then} in the results and {now} in this run")]
pub struct RunMismatch {
    /// What differs.
    pub what: &'static str,
    /// The value in the results file.
    pub then: String,
    /// The value in this run.
    pub now: String,
}

/// The rows to rerun: rows that contradict their claim, and undecided rows.
pub fn rows_to_rerun(results: &Results) -> Vec<String> {
    let needs_rerun = |row: &&RowResult| row.outcome == Outcome::Contradicts || !row.verdict.status.is_decided();
    results.rows.iter().filter(needs_rerun).map(|row| row.id.clone()).collect()
}

/// True for a decided row that contradicted its claim in an earlier run and now has another verdict.
pub fn is_flaky(row: &RowResult) -> bool {
    let changed =
        |earlier: &EarlierVerdict| earlier.outcome == Outcome::Contradicts && earlier.status != row.verdict.status;
    row.verdict.status.is_decided() && row.earlier.iter().any(changed)
}

/// Checks that two runs have the same target, model and claims.
///
/// # Errors
/// The first difference.
pub fn verify_compatible(old: &Results, new: &Results) -> Result<(), RunMismatch> {
    let claims = |r: &Results| {
        let describe = |c: &TestedClaims| {
            let source = c.sources.first().map_or(String::new(), |s| format!(" ({s:?})"));
            format!("{}{source}", c.target)
        };
        r.target.claims.as_ref().map_or("none".to_owned(), describe)
    };
    let (a, b) = (&old.target, &new.target);
    let same =
        |what, then: String, now: String| if then == now { Ok(()) } else { Err(RunMismatch { what, then, now }) };
    same("the target", a.name.clone(), b.name.clone())?;
    same("the base URL", a.base_url.clone(), b.base_url.clone())?;
    same("the model", a.model.clone(), b.model.clone())?;
    same("anthropic-version", a.anthropic_version.clone(), b.anthropic_version.clone())?;
    same("the claiming target", claims(old), claims(new))?;
    let claim = |row: &RowResult| row.claim.as_ref().map_or("none".to_owned(), |c| c.status.as_str().to_owned());
    for row in &new.rows {
        if let Some(before) = old.find_row(&row.id) {
            same(
                "the claim of a row",
                format!("{} of {}", claim(before), row.id),
                format!("{} of {}", claim(row), row.id),
            )?;
        }
    }
    Ok(())
}

/// The old results with the rerun rows in their places. Earlier verdicts are kept in the rows.
pub fn merge_rerun(old: Results, new: Results) -> Results {
    let order: Vec<String> = old.rows.iter().map(|row| row.id.clone()).collect();
    let order: Vec<&str> = order.iter().map(String::as_str).collect();
    let findings = merge_findings(&[&old.findings, &new.findings], &order);
    let totals = add_totals(&old.totals, &new.totals);
    let (strictness, _) = merge_strictness(&old.strictness, &new.strictness);
    // The replaced verdict is from the last run that had the row.
    let seen_at = |row: &RowResult| {
        let reruns = old.reruns.iter().rev().find(|rerun| rerun.rows.contains(&row.id));
        reruns.map_or(old.started_at.clone(), |rerun| rerun.started_at.clone())
    };
    let mut rerun_rows = Vec::new();
    let rows: Vec<RowResult> = old
        .rows
        .iter()
        .cloned()
        .map(|before| match new.find_row(&before.id) {
            // The rerun ended before this row.
            Some(row) if row.verdict.status != VerdictStatus::Skipped => {
                rerun_rows.push(row.id.clone());
                let seen_at = seen_at(&before);
                merge_row(before, row.clone(), seen_at)
            }
            Some(_) | None => before,
        })
        .collect();
    let has_skipped = rows.iter().any(|row| row.verdict.status == VerdictStatus::Skipped);
    let mut reruns = old.reruns.clone();
    reruns.push(RerunRecord {
        started_at: new.started_at,
        finished_at: new.finished_at.clone(),
        seed: new.seed,
        rows: rerun_rows,
    });
    let is_unfollowed = new.unfollowed.is_some();
    let mut results = Results {
        reruns,
        partial: new.partial.or(old.partial.filter(|_| has_skipped)),
        finished_at: new.finished_at,
        unsteady: old.unsteady || new.unsteady,
        unfollowed: new.unfollowed.or(old.unfollowed),
        notes: [old.notes, new.notes].concat(),
        strictness,
        totals,
        findings,
        rows,
        ..old
    };
    recount(&mut results);
    if !is_unfollowed && results.summary.needs_model == 0 {
        results.unfollowed = None;
    }
    results
}

fn merge_row(before: RowResult, mut row: RowResult, started_at: String) -> RowResult {
    row.cost = add_cost(&before.cost, &row.cost);
    row.findings.extend(before.findings);
    row.findings.sort();
    row.findings.dedup();
    row.earlier = before.earlier;
    row.earlier.push(EarlierVerdict {
        started_at,
        status: before.verdict.status,
        outcome: before.outcome,
        reason: before.verdict.reason,
    });
    let flaky = if is_flaky(&row) { "; flaky" } else { "" };
    let times: Vec<String> = row.earlier.iter().map(|e| format!("{} ({})", e.status, e.outcome)).collect();
    row.verdict.qualifiers.push(format!("rerun; before: {}{flaky}", times.join(", then ")));
    row
}
