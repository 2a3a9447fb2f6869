//! The book that a proof keeps of each row: where it reached which verdict, and what went wrong.
//!
//! Only counts and sorts; what a mutant's fate is was decided before (`fate`).

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, VerdictStatus};
use crate::mutation::mutant::RowMutant;
use crate::mutation::outcome::{BatchResult, MutantResult};
use crate::results::mutation::{FollowerRow, MutantFailure, MutantOutcome, ReachedStatus, RowReport, kill_rate};

/// What is known of each row so far.
pub(super) struct ReportBuilder {
    rows: BTreeMap<String, RowReport>,
    order: Vec<String>,
}

impl ReportBuilder {
    pub fn new(catalog: &Catalog, rows: &[String]) -> Self {
        let mut book = Self { rows: BTreeMap::new(), order: rows.to_vec() };
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
                kill_rate: 0.0,
                followers: Vec::new(),
                failures: Vec::new(),
            };
            book.rows.insert(id.clone(), row);
        }
        book
    }

    /// A row was seen to have a status on a ground.
    pub fn add_status(&mut self, row: &str, status: VerdictStatus, target: &str) {
        let statuses = self.rows.get_mut(row).map(|row| row.statuses.as_mut_slice()).unwrap_or_default();
        if let Some(reached) = statuses.iter_mut().find(|reached| reached.status == status) {
            reached.on.push(target.to_owned());
        }
    }

    /// What became of a mutant that was tried.
    pub fn add_mutant(&mut self, target: &str, one: &MutantResult, tried: &BatchResult) {
        let RowMutant { row: id, status, fault: _ } = &one.mutant;
        if one.outcome == MutantOutcome::Killed {
            self.add_status(id, *status, target);
        }
        let Some(row) = self.rows.get_mut(id) else { return };
        row.mutants += 1;
        row.followers.extend(one.followers.iter().map(|(row, because)| FollowerRow {
            target: target.to_owned(),
            row: row.clone(),
            because: *because,
        }));
        if one.outcome == MutantOutcome::Killed {
            row.killed += 1;
            return;
        }
        row.failures.push(MutantFailure {
            target: target.to_owned(),
            expected: *status,
            fate: one.outcome,
            reached: one.actual_status,
            reason: one.reason.clone(),
            arms: one.insensitive_arms.clone(),
            others: tried.unexpected_changes.clone(),
        });
    }

    /// A mutant that was not tried, and why.
    pub fn add_failure(&mut self, target: &str, mutant: &RowMutant, fate: MutantOutcome, reason: &str) {
        let Some(row) = self.rows.get_mut(&mutant.row) else { return };
        row.mutants += 1;
        row.failures.push(MutantFailure {
            target: target.to_owned(),
            expected: mutant.status,
            fate,
            reached: None,
            reason: reason.to_owned(),
            arms: Vec::new(),
            others: Vec::new(),
        });
    }

    /// The rows, in the order in which they were asked for.
    pub fn finish(mut self) -> Vec<RowReport> {
        for row in self.rows.values_mut() {
            // A status that was tried nowhere is as unproved as one that cannot be tried.
            let tried: BTreeSet<VerdictStatus> = row.failures.iter().map(|failure| failure.expected).collect();
            let nowhere = row.statuses.iter().filter(|s| s.on.is_empty() && !tried.contains(&s.status));
            let nowhere: Vec<VerdictStatus> = nowhere.map(|s| s.status).collect();
            for expected in nowhere {
                row.mutants += 1;
                row.failures.push(MutantFailure {
                    target: "any of the targets".to_owned(),
                    expected,
                    fate: MutantOutcome::Unproved,
                    reached: None,
                    reason: "none of them is a ground on which the row could have it".to_owned(),
                    arms: Vec::new(),
                    others: Vec::new(),
                });
            }
            row.kill_rate = kill_rate(row.killed, row.mutants);
            row.followers.sort();
            row.followers.dedup();
        }
        self.order.iter().filter_map(|id| self.rows.remove(id)).collect()
    }
}
