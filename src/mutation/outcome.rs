//! The outcome of mutants: [`BatchResult`] compares a run with mutants with the run without them.
//! Pure.
//!
//! A mutant is killed if its own row gets the expected verdict. A change of another row is not a
//! kill, and an unexpected change of another row cancels the kill.

use crate::catalog::{Catalog, VerdictStatus};
use crate::engine::{InconclusiveReason, RowDependencies};
use crate::mutation::insensitive_arms;
use crate::mutation::mutant::{RowMutant, resolve_field_row};
use crate::mutation::observation::RunObservation;
use crate::recording::run::ArmKind;
use crate::results::model::{DependencyRole, RowResult, Verdict};
use crate::results::mutation::{FollowReason, InsensitiveArm, MutantOutcome, VerdictChange};

/// The outcome of one mutant in a run.
#[derive(Debug, Clone)]
pub(super) struct MutantResult {
    pub mutant: RowMutant,
    pub outcome: MutantOutcome,
    pub actual_status: Option<VerdictStatus>,
    pub reason: String,
    pub insensitive_arms: Vec<InsensitiveArm>,
    /// Other rows that changed, as they may.
    pub followers: Vec<(String, FollowReason)>,
}

/// The outcome of a run with one or more mutants.
#[derive(Debug, Clone)]
pub(super) struct BatchResult {
    pub results: Vec<MutantResult>,
    /// Rows that changed and must not. With several mutants, the cause is not known yet.
    pub unexpected_changes: Vec<VerdictChange>,
}

impl BatchResult {
    /// Compares the runs without and with the mutants.
    pub fn evaluate(
        catalog: &Catalog,
        dependencies: &RowDependencies,
        before: &RunObservation,
        after: &RunObservation,
        mutants: &[RowMutant],
    ) -> Self {
        let mut results: Vec<MutantResult> =
            mutants.iter().map(|mutant| evaluate_mutant(catalog, before, after, mutant)).collect();
        let mut unexpected_changes = Vec::new();
        for (row, now) in &after.rows {
            let Some(was) = before.rows.get(row) else { continue };
            // A fault affects the whole server, so its other changes are expected.
            let is_expected = mutants.iter().any(|m| m.row == *row || m.fault.is_some());
            // A row can reach its strongest word in several ways.
            let is_unchanged =
                was.verdict.status == now.verdict.status || (was.verdict.is_strongest() && now.verdict.is_strongest());
            if is_unchanged || is_expected {
                continue;
            }
            let mut follows = false;
            for result in &mut results {
                if let Some(reason) = may_follow(catalog, dependencies, after, row, &now.verdict, &result.mutant) {
                    result.followers.push((row.clone(), reason));
                    follows = true;
                }
            }
            if !follows {
                unexpected_changes.push(build_change(was, now));
            }
        }
        // A mutant alone is the cause of every change.
        if let ([single], false) = (results.as_mut_slice(), unexpected_changes.is_empty())
            && single.outcome == MutantOutcome::Killed
        {
            single.outcome = MutantOutcome::Spread;
        }
        Self { results, unexpected_changes }
    }

    /// The two parts of a batch to run again if something is wrong: the missed mutants and the
    /// others, or else the two halves. `None` if nothing is wrong, or the batch has one mutant.
    pub fn bisect(&self) -> Option<[Vec<RowMutant>; 2]> {
        let (killed, missed): (Vec<&MutantResult>, Vec<&MutantResult>) =
            self.results.iter().partition(|result| result.outcome == MutantOutcome::Killed);
        if self.results.len() == 1 || (missed.is_empty() && self.unexpected_changes.is_empty()) {
            return None;
        }
        let to_mutants = |results: &[&MutantResult]| results.iter().map(|result| result.mutant.clone()).collect();
        if !missed.is_empty() && !killed.is_empty() {
            return Some([to_mutants(&missed), to_mutants(&killed)]);
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
        reason: describe(&now.verdict),
    }
}

/// The reason of a verdict, after its code if it is undecided.
pub(super) fn describe(verdict: &Verdict) -> String {
    let code = verdict.code.as_ref().map_or(String::new(), |code| format!("{code}: "));
    format!("{code}{}", verdict.reason)
}

/// True if the verdict names the row as a cause.
fn is_blocked_by(verdict: &Verdict, row: &str) -> bool {
    verdict.blocked_by.iter().any(|cause| cause.row == row || cause.root == row)
}

/// True if the row by itself has the expected verdict, and is only undecided because the mutant also
/// changes a row that it depends on, or because that row does not work on the unmutated server either.
fn is_expected_by_itself(expected: VerdictStatus, verdict: &Verdict) -> bool {
    !verdict.blocked_by.is_empty() && verdict.by_itself.as_ref().is_some_and(|own| own.status == expected)
}

/// True if a verdict is the expected one. A positive verdict must be the strongest that the row can
/// reach.
pub(super) fn is_expected(expected: VerdictStatus, verdict: &Verdict) -> bool {
    expected == verdict.status || (expected.is_positive() && verdict.is_strongest())
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
        reason: "the run has no such row".to_owned(),
        insensitive_arms: Vec::new(),
        followers: Vec::new(),
    };
    let Some(now) = after.rows.get(&mutant.row) else { return result };
    result.actual_status = Some(now.verdict.status);
    result.reason = describe(&now.verdict);
    if let Some(partial) = &after.partial {
        result.reason = format!("{partial}: {}", result.reason);
    } else if mutant.fault.is_none() && !after.acted_on(resolve_field_row(catalog, &mutant.row), &mutant.row, None) {
        result.outcome = MutantOutcome::Void;
        result.reason =
            format!("no request of this row had the field, so the mutation had no effect ({})", result.reason);
    } else if is_expected(mutant.status, &now.verdict) || is_expected_by_itself(mutant.status, &now.verdict) {
        result.outcome = MutantOutcome::Killed;
    } else {
        result.insensitive_arms = insensitive_arms::insensitive_arms(before.rows.get(&mutant.row), now);
    }
    result
}

/// Why the verdict of a row may change because of the mutation of another row, if it may. The row
/// can become undecided if it depends on that row, or if its request without the field is rejected
/// because of that row. It can be rejected together with that row, and a part of an ignored field is
/// ignored too. A second row of the same field can get the same verdict. It must never get a wrong verdict.
fn may_follow(
    catalog: &Catalog,
    dependencies: &RowDependencies,
    after: &RunObservation,
    row: &str,
    verdict: &Verdict,
    mutant: &RowMutant,
) -> Option<FollowReason> {
    let depends = || dependencies.depends_on(row, &mutant.row);
    let is_part = || dependencies.direct(row).any(|edge| edge == (mutant.row.as_str(), DependencyRole::PartOf));
    let is_rejected = mutant.status == VerdictStatus::Rejected;
    if verdict.status == mutant.status && resolve_field_row(catalog, row) == resolve_field_row(catalog, &mutant.row) {
        return Some(FollowReason::SameField);
    }
    match verdict.status {
        VerdictStatus::Inconclusive if depends() || is_blocked_by(verdict, &mutant.row) => {
            Some(FollowReason::WorksThrough)
        }
        VerdictStatus::Inconclusive => {
            let has_code = |code: InconclusiveReason| verdict.code.as_deref() == Some(code.as_str());
            let acted_on = |arm| after.acted_on(resolve_field_row(catalog, &mutant.row), row, arm);
            let names_mutant = has_code(InconclusiveReason::NegativeRejected) && acted_on(Some(ArmKind::Negative))
                || has_code(InconclusiveReason::RejectedElsewhere) && acted_on(None);
            (is_rejected && names_mutant).then_some(FollowReason::NegativeRefused)
        }
        VerdictStatus::Rejected => (is_rejected && depends()).then_some(FollowReason::WorksThrough),
        VerdictStatus::Ignored => {
            (mutant.status == VerdictStatus::Ignored && is_part()).then_some(FollowReason::WorksThrough)
        }
        // Without its contrast, the row proves less.
        VerdictStatus::Accepted => depends().then_some(FollowReason::WorksThrough),
        VerdictStatus::Supported | VerdictStatus::Validated | VerdictStatus::Substituted | VerdictStatus::Skipped => {
            None
        }
    }
}

#[cfg(test)]
mod tests;
