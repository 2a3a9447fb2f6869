//! Merges repeated runs of one plan ([`RepeatMerger`]) and counts how stable each verdict is.
//!
//! A row keeps its verdict if all runs that decided it agree. Otherwise the row is inconclusive, and its
//! reason has the counts. Runs are added one by one, so that at most two are in memory.

use crate::catalog::{VerdictStatus, is_silent};
use crate::results::cause::VerdictCause;
use crate::results::merge::totals::{add_cost, add_totals, merge_findings, merge_strictness, recount};
use crate::results::model::{RepeatSummary, Results, RowResult, VerdictCount, VerdictStability};
use crate::results::reason::ReasonData;

/// Merges runs one by one.
#[derive(Debug, Clone)]
pub struct RepeatMerger {
    planned_runs: u64,
    merged: Results,
    seeds: Vec<u64>,
}

impl RepeatMerger {
    /// Starts with the first of `asked` runs.
    pub fn new(first: Results, asked: u64) -> Self {
        let seeds = vec![first.seed];
        let mut merged = first;
        merged.rows.iter_mut().for_each(|row| row.stability = Some(VerdictStability::from_status(row.verdict.status)));
        Self { planned_runs: asked, merged, seeds }
    }

    /// Adds the next run of the same rows.
    pub fn add_run(&mut self, next: Results) {
        let merged = &mut self.merged;
        let order: Vec<String> = merged.rows.iter().map(|row| row.id.clone()).collect();
        let order: Vec<&str> = order.iter().map(String::as_str).collect();
        merged.findings = merge_findings(&[&merged.findings, &next.findings], &order);
        merged.totals = add_totals(&merged.totals, &next.totals);
        (merged.strictness, _) = merge_strictness(&merged.strictness, &next.strictness);
        merged.unsteady |= next.unsteady;
        merged.unfollowed = merged.unfollowed.take().or(next.unfollowed);
        merged.notes.extend(next.notes.iter().cloned());
        merged.partial = merged.partial.take().or(next.partial);
        merged.finished_at = next.finished_at;
        self.seeds.push(next.seed);
        for new in next.rows {
            match merged.rows.iter_mut().find(|row| row.id == new.id) {
                Some(row) => merge_row(row, new),
                None => merged
                    .rows
                    .push(RowResult { stability: Some(VerdictStability::from_status(new.verdict.status)), ..new }),
            }
        }
    }

    /// The merged results.
    pub fn into_results(self) -> Results {
        let Self { planned_runs: asked, mut merged, seeds } = self;
        let runs = seeds.len() as u64;
        merged.rows.iter_mut().for_each(clear_disputed_verdict);
        if runs < asked {
            let why = merged.partial.take().map_or_else(String::new, |why| format!(": {why}"));
            merged.partial = Some(format!("{runs} of {asked} runs were completed{why}"));
        }
        let stable =
            merged.rows.iter().filter(|row| row.stability.as_ref().is_some_and(VerdictStability::is_stable)).count();
        merged.repeats = Some(RepeatSummary { asked, runs, seeds, stable: stable as u64 });
        recount(&mut merged);
        merged
    }
}

/// Adds the verdict of another run to a row. The first decided verdict is shown.
fn merge_row(row: &mut RowResult, new: RowResult) {
    let mut stability = row.stability.take().unwrap_or_default();
    stability.record(new.verdict.status);
    let cost = add_cost(&row.cost, &new.cost);
    let mut findings = std::mem::take(&mut row.findings);
    findings.extend(new.findings.iter().cloned());
    findings.sort();
    findings.dedup();
    if !row.verdict.status.is_decided() && new.verdict.status.is_decided() {
        *row = new;
    }
    (row.stability, row.cost, row.findings) = (Some(stability), cost, findings);
}

/// Makes a row inconclusive if the runs disagree.
fn clear_disputed_verdict(row: &mut RowResult) {
    let Some(stability) = &row.stability else { return };
    let decided: Vec<&VerdictCount> = stability.seen.iter().filter(|seen| seen.status.is_decided()).collect();
    if decided.len() < 2 {
        return;
    }
    let counts: Vec<String> = decided.iter().map(|seen| format!("{} in {}", seen.status, seen.runs)).collect();
    let because = ReasonData::RunsDisagree { runs: stability.runs, counts: counts.join(", ") };
    row.verdict.set_reason(because);
    row.verdict.status = VerdictStatus::Inconclusive;
    row.verdict.code = Some("unsteady".to_owned());
    row.verdict.evidence = None;
    row.verdict.confidence = None;
    row.verdict.qualifiers.clear();
    row.cause = Some(VerdictCause::Inconsistency);
    let claim = row.claim.as_ref().map(|claim| claim.status);
    row.outcome = row.verdict.compare_with(claim);
    row.silent = is_silent(claim, row.verdict.status);
}

#[cfg(test)]
mod tests {
    use VerdictStatus::{Ignored, Inconclusive, Skipped, Supported};

    use super::*;
    use crate::catalog::{ClaimStatus, Outcome};
    use crate::results::fixtures;

    fn run_with_verdict(seed: u64, status: VerdictStatus) -> Results {
        let row = fixtures::make_row("A", "a", "a", Some(ClaimStatus::Supported), status);
        let mut run = fixtures::make_run("any", vec![row]);
        run.seed = seed;
        run
    }

    fn merge_runs(asked: u64, statuses: &[VerdictStatus]) -> Results {
        let mut runs = statuses.iter().zip(1..).map(|(status, seed)| run_with_verdict(seed, *status));
        let mut repeats = RepeatMerger::new(runs.next().unwrap(), asked);
        runs.for_each(|run| repeats.add_run(run));
        repeats.into_results()
    }

    #[test]
    fn a_verdict_that_every_run_agrees_on_stays() {
        let results = merge_runs(3, &[Supported, Supported, Supported]);
        let row = &results.rows[0];
        assert_eq!((row.verdict.status, row.outcome), (Supported, Outcome::Conforms));
        let repeated = results.repeats.unwrap();
        assert_eq!((repeated.runs, repeated.stable, repeated.seeds), (3, 1, vec![1, 2, 3]));
        assert_eq!(results.partial, None);
    }

    #[test]
    fn runs_that_disagree_make_a_row_inconclusive() {
        let results = merge_runs(3, &[Supported, Ignored, Supported]);
        let row = &results.rows[0];
        assert_eq!((row.verdict.status, row.outcome), (Inconclusive, Outcome::Undetermined));
        assert_eq!(row.verdict.reason, "not the same in 3 runs: supported in 2, ignored in 1");
        assert_eq!(row.verdict.code.as_deref(), Some("unsteady"));
        assert_eq!((results.repeats.unwrap().stable, results.summary.undetermined), (0, 1));
    }

    #[test]
    fn an_undecided_run_keeps_the_verdict_and_is_counted() {
        for order in [[Inconclusive, Supported], [Supported, Inconclusive]] {
            let results = merge_runs(2, &order);
            let row = &results.rows[0];
            assert_eq!(row.verdict.status, Supported);
            let stability = row.stability.as_ref().unwrap();
            assert!(!stability.is_stable());
            assert_eq!(stability.describe(), "supported in 1 of 2 runs, inconclusive in 1");
        }
    }

    #[test]
    fn missing_runs_make_the_results_partial() {
        let results = merge_runs(5, &[Supported, Skipped]);
        assert_eq!(results.partial.as_deref(), Some("2 of 5 runs were completed"));
        assert_eq!(results.rows[0].verdict.status, Supported);
    }

    #[test]
    fn costs_of_all_runs_are_added() {
        let one = run_with_verdict(1, Supported);
        let results = merge_runs(2, &[Supported, Supported]);
        assert_eq!(results.totals.requests, 2 * one.totals.requests);
        assert_eq!(results.rows[0].cost.requests, 2 * one.rows[0].cost.requests);
    }
}
