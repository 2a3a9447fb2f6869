//! A run and its rerun: the rows that were asked again, each with what was seen before, among those that were not.

use thiserror::Error;

use crate::catalog::{Outcome, VerdictStatus};
use crate::results::merge::{add_cost, add_totals, merge_findings, merge_strictness, recount};
use crate::results::model::{EarlierVerdict, RerunRecord, Results, RowResult};

/// What keeps a run from being the rerun of another.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("it is of another run: {what} is {then} there, and {now} here")]
pub struct RunMismatch {
    /// What differs.
    pub what: &'static str,
    /// In the file.
    pub then: String,
    /// In this run.
    pub now: String,
}

/// The rows that a rerun is for: those that contradict their claim, and those that were not decided.
pub fn rows_to_rerun(results: &Results) -> Vec<String> {
    let is_due = |row: &&RowResult| row.outcome == Outcome::Contradicts || !row.verdict.status.is_decided();
    results.rows.iter().filter(is_due).map(|row| row.id.clone()).collect()
}

/// True of a row that contradicted its claim when it was asked before, and came out otherwise when it was asked again.
pub fn is_flaky(row: &RowResult) -> bool {
    let otherwise =
        |earlier: &EarlierVerdict| earlier.outcome == Outcome::Contradicts && earlier.status != row.verdict.status;
    row.verdict.status.is_decided() && row.earlier.iter().any(otherwise)
}

/// Holds what two runs are of against each other.
///
/// # Errors
/// The first thing that differs.
pub fn verify_compatible(old: &Results, new: &Results) -> Result<(), RunMismatch> {
    let claims = |r: &Results| {
        let told = |c: &crate::results::model::TestedClaims| {
            let source = c.sources.first().map_or(String::new(), |s| format!(" ({s:?})"));
            format!("{}{source}", c.target)
        };
        r.target.claims.as_ref().map_or("none".to_owned(), told)
    };
    let (a, b) = (&old.target, &new.target);
    let same =
        |what, then: String, now: String| if then == now { Ok(()) } else { Err(RunMismatch { what, then, now }) };
    same("the target", a.name.clone(), b.name.clone())?;
    same("the base URL", a.base_url.clone(), b.base_url.clone())?;
    same("the model", a.model.clone(), b.model.clone())?;
    same("anthropic-version", a.anthropic_version.clone(), b.anthropic_version.clone())?;
    same("whose claims are held", claims(old), claims(new))?;
    let claim = |row: &RowResult| row.claim.as_ref().map_or("none".to_owned(), |c| c.status.as_str().to_owned());
    for row in &new.rows {
        if let Some(before) = old.rows.iter().find(|before| before.id == row.id) {
            same("a row's claim", format!("{} of {}", claim(before), row.id), format!("{} of {}", claim(row), row.id))?;
        }
    }
    Ok(())
}

/// The old results with the rows that were asked again in their places. What was seen before stays told.
pub fn merge_rerun(old: Results, new: Results) -> Results {
    let order: Vec<String> = old.rows.iter().map(|row| row.id.clone()).collect();
    let order: Vec<&str> = order.iter().map(String::as_str).collect();
    let findings = merge_findings(&[&old.findings, &new.findings], &order);
    let totals = add_totals(&old.totals, &new.totals);
    let (strictness, _) = merge_strictness(&old.strictness, &new.strictness);
    // What is replaced was seen by the last run that asked the row.
    let seen_at = |row: &RowResult| {
        let reruns = old.reruns.iter().rev().find(|rerun| rerun.rows.contains(&row.id));
        reruns.map_or(old.started_at.clone(), |rerun| rerun.started_at.clone())
    };
    let mut asked = Vec::new();
    let rows: Vec<RowResult> = old
        .rows
        .iter()
        .cloned()
        .map(|before| match new.rows.iter().find(|row| row.id == before.id) {
            // A rerun that did not get so far has nothing to say of the row.
            Some(row) if row.verdict.status != VerdictStatus::Skipped => {
                asked.push(row.id.clone());
                let seen_at = seen_at(&before);
                merge_row(before, row.clone(), seen_at)
            }
            Some(_) | None => before,
        })
        .collect();
    let untried = rows.iter().any(|row| row.verdict.status == VerdictStatus::Skipped);
    let mut reruns = old.reruns.clone();
    reruns.push(RerunRecord {
        started_at: new.started_at,
        finished_at: new.finished_at.clone(),
        seed: new.seed,
        rows: asked,
    });
    let mut results = Results {
        reruns,
        partial: new.partial.or(old.partial.filter(|_| untried)),
        finished_at: new.finished_at,
        unsteady: old.unsteady || new.unsteady,
        strictness,
        totals,
        findings,
        rows,
        ..old
    };
    recount(&mut results);
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
    let times: Vec<String> = row.earlier.iter().map(|e| format!("{} and so {}", e.status, e.outcome)).collect();
    row.verdict.qualifiers.push(format!("asked again, was {}{flaky}", times.join(", then ")));
    row
}
