//! [`ReportBuilder`]: collects the verdicts that each row reached, and the mutants that were not
//! killed.
//!
//! It only counts and sorts. `outcome` decides the outcome of a mutant.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, VerdictStatus};
use crate::mutation::mutant::RowMutant;
use crate::mutation::outcome::{BatchResult, MutantResult};
use crate::results::mutation::{
    BlockedMutant, FollowerRow, MutantFailure, MutantOutcome, ReachedStatus, RowReport, kill_rate,
};

/// The report of each row so far.
pub(super) struct ReportBuilder {
    rows: BTreeMap<String, RowReport>,
    order: Vec<String>,
}

impl ReportBuilder {
    pub fn new(catalog: &Catalog, rows: &[String]) -> Self {
        let mut report = Self { rows: BTreeMap::new(), order: rows.to_vec() };
        for id in rows {
            let mut statuses: Vec<ReachedStatus> = Vec::new();
            for status in catalog.experiment(id).map(|e| e.statuses.as_slice()).unwrap_or_default() {
                if !statuses.iter().any(|known| known.status == *status) {
                    statuses.push(ReachedStatus { status: *status, on: Vec::new() });
                }
            }
            let row = RowReport {
                id: id.clone(),
                statuses,
                mutants: 0,
                killed: 0,
                blocked: Vec::new(),
                carried: 0,
                kill_rate: 0.0,
                followers: Vec::new(),
                failures: Vec::new(),
            };
            report.rows.insert(id.clone(), row);
        }
        report
    }

    /// Adds a status that a row reached on a target.
    pub fn add_status(&mut self, row: &str, status: VerdictStatus, target: &str) {
        let statuses = self.rows.get_mut(row).map(|row| row.statuses.as_mut_slice()).unwrap_or_default();
        if let Some(reached) = statuses.iter_mut().find(|reached| reached.status.is_same_kind(status)) {
            reached.on.push(target.to_owned());
        }
    }

    /// Adds the result of a mutant.
    pub fn add_mutant(&mut self, target: &str, result: &MutantResult, batch: &BatchResult) {
        let RowMutant { row: id, status, fault: _, must_be_detected } = &result.mutant;
        if result.outcome == MutantOutcome::Killed {
            self.add_status(id, *status, target);
        }
        let Some(row) = self.rows.get_mut(id) else { return };
        match must_be_detected {
            true => row.mutants += 1,
            false => row.carried += 1,
        }
        row.followers.extend(result.followers.iter().map(|(row, reason)| FollowerRow {
            target: target.to_owned(),
            row: row.clone(),
            because: *reason,
        }));
        row.killed += u64::from(result.outcome == MutantOutcome::Killed);
        if result.is_blocked && result.outcome == MutantOutcome::Killed {
            row.blocked.push(BlockedMutant {
                target: target.to_owned(),
                status: *status,
                reason: result.reason.clone(),
            });
        }
        if result.outcome.has_passed() {
            return;
        }
        row.failures.push(MutantFailure {
            reached: result.actual_status,
            arms: result.insensitive_arms.clone(),
            others: batch.misjudged.clone(),
            ..new_failure(target, *status, result.outcome, &result.reason)
        });
    }

    /// Adds a mutant that was not run.
    pub fn add_failure(&mut self, target: &str, mutant: &RowMutant, outcome: MutantOutcome, reason: &str) {
        let Some(row) = self.rows.get_mut(&mutant.row).filter(|_| mutant.must_be_detected) else { return };
        row.mutants += 1;
        row.failures.push(new_failure(target, mutant.status, outcome, reason));
    }

    /// The reports of the rows, in the order of the options.
    pub fn finish(mut self) -> Vec<RowReport> {
        for row in self.rows.values_mut() {
            // A status without any mutant is not proved either.
            let failed: BTreeSet<VerdictStatus> = row.failures.iter().map(|failure| failure.expected).collect();
            let is_untried = |status: &&ReachedStatus| status.on.is_empty() && !failed.contains(&status.status);
            let untried: Vec<VerdictStatus> =
                row.statuses.iter().filter(is_untried).map(|status| status.status).collect();
            for expected in untried {
                row.mutants += 1;
                let reason = "on none of these targets can the row have this verdict";
                row.failures.push(new_failure("any of the targets", expected, MutantOutcome::Unproved, reason));
            }
            row.kill_rate = kill_rate(row.killed, row.mutants);
            row.followers.sort();
            row.followers.dedup();
        }
        self.order.iter().filter_map(|id| self.rows.remove(id)).collect()
    }
}

fn new_failure(target: &str, expected: VerdictStatus, outcome: MutantOutcome, reason: &str) -> MutantFailure {
    MutantFailure {
        target: target.to_owned(),
        expected,
        fate: outcome,
        reached: None,
        reason: reason.to_owned(),
        arms: Vec::new(),
        others: Vec::new(),
    }
}
