//! What becomes of mutants: pure, from the run without them and the run with them.
//!
//! A mutant is killed if its own row is named with the expected verdict; that another row changed is no kill, and
//! where it may not have changed, it undoes one.

use crate::catalog::{Catalog, VerdictStatus};
use crate::engine::InconclusiveReason;
use crate::mutation::insensitive_arms;
use crate::mutation::mutant::{RowMutant, depends_on, resolve_field_row};
use crate::mutation::observation::RunObservation;
use crate::recording::run::ArmKind;
use crate::results::model::{RowResult, Verdict};
use crate::results::mutation::{FollowReason, InsensitiveArm, MutantOutcome, VerdictChange};

/// What became of one mutant in a run.
#[derive(Debug, Clone)]
pub(super) struct MutantResult {
    pub mutant: RowMutant,
    pub outcome: MutantOutcome,
    pub actual_status: Option<VerdictStatus>,
    pub reason: String,
    pub insensitive_arms: Vec<InsensitiveArm>,
    /// Rows that changed along with it, as they may.
    pub followers: Vec<(String, FollowReason)>,
}

/// A run with some mutants at once.
#[derive(Debug, Clone)]
pub(super) struct BatchResult {
    pub results: Vec<MutantResult>,
    /// Rows that changed and may not: with several mutants, nobody knows yet because of which.
    pub unexpected_changes: Vec<VerdictChange>,
}

impl BatchResult {
    /// Weighs what a run showed.
    pub fn evaluate(catalog: &Catalog, before: &RunObservation, after: &RunObservation, mutants: &[RowMutant]) -> Self {
        let mut weighed: Vec<MutantResult> =
            mutants.iter().map(|mutant| evaluate_mutant(catalog, before, after, mutant)).collect();
        let mut strays = Vec::new();
        for (row, now) in &after.rows {
            let Some(was) = before.rows.get(row) else { continue };
            // A fault is of the whole server: what else it changes is no stray.
            let is_meant = mutants.iter().any(|m| m.row == *row || m.fault.is_some());
            if was.verdict.status == now.verdict.status || is_meant {
                continue;
            }
            let mut follows = false;
            for one in &mut weighed {
                if let Some(because) = may_follow(catalog, after, row, &now.verdict, &one.mutant) {
                    one.followers.push((row.clone(), because));
                    follows = true;
                }
            }
            if !follows {
                strays.push(build_change(was, now));
            }
        }
        // By itself, a mutant answers for every row that changes with it.
        if let ([one], false) = (weighed.as_mut_slice(), strays.is_empty())
            && one.outcome == MutantOutcome::Killed
        {
            one.outcome = MutantOutcome::Spread;
        }
        Self { results: weighed, unexpected_changes: strays }
    }

    /// The parts to try apart where something is wrong: what was missed and the rest, else the halves. None where
    /// nothing is wrong, or nobody else can be the cause.
    pub fn bisect(&self) -> Option<[Vec<RowMutant>; 2]> {
        let all: Vec<RowMutant> = self.results.iter().map(|one| one.mutant.clone()).collect();
        let missed: Vec<RowMutant> = self
            .results
            .iter()
            .filter(|one| one.outcome != MutantOutcome::Killed)
            .map(|one| one.mutant.clone())
            .collect();
        if all.len() == 1 || (missed.is_empty() && self.unexpected_changes.is_empty()) {
            return None;
        }
        let seen: Vec<RowMutant> = all.iter().filter(|mutant| !missed.contains(mutant)).cloned().collect();
        if !missed.is_empty() && !seen.is_empty() {
            return Some([missed, seen]);
        }
        let (one, other) = all.split_at(all.len() / 2);
        Some([one.to_vec(), other.to_vec()])
    }
}

/// A row that is not what it was.
pub(super) fn build_change(was: &RowResult, now: &RowResult) -> VerdictChange {
    VerdictChange {
        row: now.id.clone(),
        expected: was.verdict.status,
        reached: now.verdict.status,
        reason: describe(&now.verdict),
    }
}

/// A verdict's reason, with the word for it where it is undecided.
pub(super) fn describe(verdict: &Verdict) -> String {
    let code = verdict.code.as_ref().map_or(String::new(), |code| format!("{code}: "));
    format!("{code}{}", verdict.reason)
}

fn evaluate_mutant(
    catalog: &Catalog,
    before: &RunObservation,
    after: &RunObservation,
    mutant: &RowMutant,
) -> MutantResult {
    let mut weighed = MutantResult {
        mutant: mutant.clone(),
        outcome: MutantOutcome::Survived,
        actual_status: None,
        reason: "the run has no such row".to_owned(),
        insensitive_arms: Vec::new(),
        followers: Vec::new(),
    };
    let Some(now) = after.rows.get(&mutant.row) else { return weighed };
    weighed.actual_status = Some(now.verdict.status);
    weighed.reason = describe(&now.verdict);
    if let Some(partial) = &after.partial {
        weighed.reason = format!("{partial}: {}", weighed.reason);
    } else if mutant.fault.is_none() && !after.acted_on(resolve_field_row(catalog, &mutant.row), &mutant.row, None) {
        weighed.outcome = MutantOutcome::Void;
        weighed.reason =
            format!("no request of this row's arms carried the field, so the server never met it ({})", weighed.reason);
    } else if now.verdict.status == mutant.status {
        weighed.outcome = MutantOutcome::Killed;
    } else {
        weighed.insensitive_arms = insensitive_arms::insensitive_arms(before.rows.get(&mutant.row), now);
    }
    weighed
}

/// Whether a row's verdict may change because of another row's mutation, and why. It may become undecided where it
/// works through that row, or where its request without the field is refused for that row's sake; and it may be refused
/// with it. A second row for the same field may become what the first becomes. Never is it decided wrongly.
fn may_follow(
    catalog: &Catalog,
    after: &RunObservation,
    row: &str,
    verdict: &Verdict,
    mutant: &RowMutant,
) -> Option<FollowReason> {
    let through = || depends_on(catalog, row, &mutant.row);
    let is_refused = mutant.status == VerdictStatus::Rejected;
    if verdict.status == mutant.status && resolve_field_row(catalog, row) == resolve_field_row(catalog, &mutant.row) {
        return Some(FollowReason::SameField);
    }
    match verdict.status {
        VerdictStatus::Inconclusive if through() => Some(FollowReason::WorksThrough),
        VerdictStatus::Inconclusive => {
            let refused = is_refused
                && verdict.code.as_deref() == Some(InconclusiveReason::NegativeRejected.as_str())
                && after.acted_on(resolve_field_row(catalog, &mutant.row), row, Some(ArmKind::Negative));
            refused.then_some(FollowReason::NegativeRefused)
        }
        VerdictStatus::Rejected => (is_refused && through()).then_some(FollowReason::WorksThrough),
        VerdictStatus::Supported | VerdictStatus::Ignored | VerdictStatus::Substituted | VerdictStatus::Skipped => None,
    }
}

#[cfg(test)]
mod tests;
