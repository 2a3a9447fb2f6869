//! The outcome of mutants: [`BatchResult`] compares a run with mutants with the run without them.
//! Pure.
//!
//! A mutant is killed if its own row gets the expected verdict. A change of another row is not a
//! kill, and a wrong verdict of another row cancels the kill (`expectation`).

use std::collections::BTreeSet;

use crate::catalog::{Catalog, VerdictStatus};
use crate::mutation::expectation::{RowExpectations, RowReaction};
use crate::mutation::insensitive_arms;
use crate::mutation::mutant::{RowMutant, describe_verdict, is_expected, resolve_field_row};
use crate::mutation::observation::RunObservation;
use crate::results::model::{RowResult, Verdict};
use crate::results::mutation::{
    FollowReason, InsensitiveArm, MisjudgedRow, MutantOutcome, SentinelCounts, VerdictChange,
};

/// The outcome of one mutant in a run.
#[derive(Debug, Clone)]
pub(super) struct MutantResult {
    pub mutant: RowMutant,
    pub outcome: MutantOutcome,
    pub actual_status: Option<VerdictStatus>,
    /// The row itself reached the expected verdict, but other rows block it.
    pub is_blocked: bool,
    pub reason: String,
    pub insensitive_arms: Vec<InsensitiveArm>,
    /// Other rows that changed, as they may.
    pub followers: Vec<(String, FollowReason)>,
}

/// The outcome of a run with one or more mutants.
#[derive(Debug, Clone)]
pub(super) struct BatchResult {
    pub results: Vec<MutantResult>,
    /// Other rows with a wrong verdict. With several mutants, the cause is not known yet.
    pub misjudged: Vec<MisjudgedRow>,
    /// The number of verdicts of other rows that were compared.
    pub compared: u64,
    pub sentinels: SentinelCounts,
    /// Rows that were not run.
    pub left_out: Vec<String>,
}

impl BatchResult {
    /// Compares the runs without and with the mutants.
    pub fn evaluate(expectations: &RowExpectations<'_>) -> Self {
        let RowExpectations { catalog, before, after, mutants, .. } = expectations;
        let mut batch = Self {
            results: mutants.iter().map(|mutant| evaluate_mutant(catalog, before, after, mutant)).collect(),
            misjudged: Vec::new(),
            compared: 0,
            sentinels: SentinelCounts::default(),
            left_out: Vec::new(),
        };
        let rows_with_fault = match mutants.iter().any(|mutant| mutant.fault.is_some()) {
            true => Some(after.rows_with_new_responses(before)),
            false => None,
        };
        for (row, now) in &after.rows {
            let Some(was) = before.rows.get(row).filter(|_| !mutants.iter().any(|m| m.row == *row)) else { continue };
            match &rows_with_fault {
                Some(rows) => batch.add_row_beside_fault(catalog, rows, was, now),
                None => batch.add_row_beside_fields(expectations, was, now),
            }
        }
        // A mutant alone is the cause of everything.
        if let [single] = batch.results.as_mut_slice()
            && single.outcome.has_passed()
            && let Some(worst) = batch.misjudged.iter().map(|row| row.fate).min()
        {
            single.outcome = worst;
        }
        batch
    }

    /// A fault can change any response. Rows whose responses are the same must not change, unless
    /// they name a row with other responses, or have it as their contrast.
    fn add_row_beside_fault(
        &mut self,
        catalog: &Catalog,
        rows_with_fault: &BTreeSet<&str>,
        was: &RowResult,
        now: &RowResult,
    ) {
        let has_fault = |row: &str| rows_with_fault.contains(row);
        if has_fault(&now.id) {
            return;
        }
        self.compared += 1;
        let is_named = now.verdict.blocked_by.iter().any(|cause| has_fault(&cause.row) || has_fault(&cause.root));
        let contrast = catalog.experiment(&now.id).and_then(|experiment| experiment.contrast.as_deref());
        let lacks_contrast = now.verdict.status == VerdictStatus::Accepted && contrast.is_some_and(has_fault);
        if was.verdict.status != now.verdict.status && !is_named && !lacks_contrast {
            self.misjudged.push(MisjudgedRow { fate: MutantOutcome::Changed, change: build_change(was, now) });
        }
    }

    fn add_row_beside_fields(&mut self, expectations: &RowExpectations<'_>, was: &RowResult, now: &RowResult) {
        // A run that could not go on decides few rows. It must not decide them wrongly.
        let is_open = expectations.after.partial.is_some() && !now.verdict.status.is_decided();
        if is_open {
            return;
        }
        self.compared += 1;
        match expectations.evaluate(&now.id, &was.verdict, &now.verdict) {
            RowReaction::Unchanged => {}
            RowReaction::Follows(mutant, reason) => {
                if let Some(result) = self.results.get_mut(mutant) {
                    result.followers.push((now.id.clone(), reason));
                }
            }
            RowReaction::Wrong(fate) => {
                let mut change = build_change(was, now);
                if fate == MutantOutcome::Kept {
                    change.expected = VerdictStatus::Inconclusive;
                }
                self.misjudged.push(MisjudgedRow { fate, change });
            }
        }
        for (fate, verdict) in expectations.forge_verdicts(&now.id, &was.verdict, &now.verdict) {
            self.sentinels.forged += 1;
            let is_noticed = expectations.evaluate(&now.id, &was.verdict, &verdict) == RowReaction::Wrong(fate);
            self.sentinels.noticed += u64::from(is_noticed);
        }
    }

    /// The two parts of a batch to run again if something is wrong: the missed mutants and the
    /// others, or else the two halves. `None` if nothing is wrong, or the batch has one mutant.
    pub fn bisect(&self) -> Option<[Vec<RowMutant>; 2]> {
        let (passed, missed): (Vec<&MutantResult>, Vec<&MutantResult>) =
            self.results.iter().partition(|result| result.outcome.has_passed());
        if self.results.len() == 1 || (missed.is_empty() && self.misjudged.is_empty()) {
            return None;
        }
        let to_mutants = |results: &[&MutantResult]| results.iter().map(|result| result.mutant.clone()).collect();
        if !missed.is_empty() && !passed.is_empty() {
            return Some([to_mutants(&missed), to_mutants(&passed)]);
        }
        let all: Vec<&MutantResult> = self.results.iter().collect();
        let (first, second) = all.split_at(all.len() / 2);
        Some([to_mutants(first), to_mutants(second)])
    }
}

/// The change of a row between two runs.
pub(super) fn build_change(was: &RowResult, now: &RowResult) -> VerdictChange {
    VerdictChange {
        row: now.id.clone(),
        expected: was.verdict.status,
        reached: now.verdict.status,
        reason: describe_verdict(&now.verdict),
    }
}

/// True if the row by itself has the expected verdict, and is only undecided because the mutant also
/// changes a row that it depends on, or because that row does not work on the unmutated server either.
fn is_expected_by_itself(expected: VerdictStatus, verdict: &Verdict) -> bool {
    !verdict.blocked_by.is_empty() && verdict.by_itself.as_ref().is_some_and(|own| own.status == expected)
}

fn evaluate_mutant(
    catalog: &Catalog,
    before: &RunObservation,
    after: &RunObservation,
    mutant: &RowMutant,
) -> MutantResult {
    let mut result = MutantResult {
        mutant: mutant.clone(),
        outcome: MutantOutcome::Survived,
        actual_status: None,
        is_blocked: false,
        reason: "the run has no such row".to_owned(),
        insensitive_arms: Vec::new(),
        followers: Vec::new(),
    };
    if !mutant.must_be_detected {
        result.outcome = MutantOutcome::Harmless;
        return result;
    }
    let Some(now) = after.rows.get(&mutant.row) else { return result };
    result.actual_status = Some(now.verdict.status);
    result.reason = describe_verdict(&now.verdict);
    if let Some(partial) = &after.partial {
        result.reason = format!("{partial}: {}", result.reason);
    } else if mutant.fault.is_none() && !after.acted_on(resolve_field_row(catalog, &mutant.row), &mutant.row, None) {
        result.outcome = MutantOutcome::Void;
        result.reason =
            format!("no request of this row had the field, so the mutation had no effect ({})", result.reason);
    } else if is_expected(mutant.status, &now.verdict) {
        result.outcome = MutantOutcome::Killed;
    } else if is_expected_by_itself(mutant.status, &now.verdict) {
        (result.outcome, result.is_blocked) = (MutantOutcome::Killed, true);
    } else {
        result.insensitive_arms = insensitive_arms::insensitive_arms(before.rows.get(&mutant.row), now);
    }
    result
}

#[cfg(test)]
mod tests;
