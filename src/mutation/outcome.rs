//! What becomes of mutants: pure, from the run without them and the run with them.
//!
//! A mutant is killed if its own row is named with the expected verdict; that another row changed is no kill, and
//! where it may not have changed, it undoes one.

use crate::catalog::{Catalog, VerdictStatus};
use crate::engine::Undecided;
use crate::mutation::insensitive_arms;
use crate::mutation::mutant::{Mutant, field_of, works_through};
use crate::mutation::observation::Shown;
use crate::recording::run::ArmKind;
use crate::results::model::{RowResult, Verdict};
use crate::results::mutation::{Because, BlindArm, Change, Fate};

/// What became of one mutant in a run.
#[derive(Debug, Clone)]
pub(super) struct Weighed {
    pub mutant: Mutant,
    pub fate: Fate,
    pub reached: Option<VerdictStatus>,
    pub reason: String,
    pub arms: Vec<BlindArm>,
    /// Rows that changed along with it, as they may.
    pub followers: Vec<(String, Because)>,
}

/// A run with some mutants at once.
#[derive(Debug, Clone)]
pub(super) struct Tried {
    pub mutants: Vec<Weighed>,
    /// Rows that changed and may not: with several mutants, nobody knows yet because of which.
    pub strays: Vec<Change>,
}

impl Tried {
    /// Weighs what a run showed.
    pub fn weigh(catalog: &Catalog, before: &Shown, after: &Shown, mutants: &[Mutant]) -> Self {
        let mut weighed: Vec<Weighed> = mutants.iter().map(|mutant| weigh(catalog, before, after, mutant)).collect();
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
                strays.push(change(was, now));
            }
        }
        // By itself, a mutant answers for every row that changes with it.
        if let ([one], false) = (weighed.as_mut_slice(), strays.is_empty())
            && one.fate == Fate::Killed
        {
            one.fate = Fate::Spread;
        }
        Self { mutants: weighed, strays }
    }

    /// The parts to try apart where something is wrong: what was missed and the rest, else the halves. None where
    /// nothing is wrong, or nobody else can be the cause.
    pub fn parts(&self) -> Option<[Vec<Mutant>; 2]> {
        let all: Vec<Mutant> = self.mutants.iter().map(|one| one.mutant.clone()).collect();
        let missed: Vec<Mutant> =
            self.mutants.iter().filter(|one| one.fate != Fate::Killed).map(|one| one.mutant.clone()).collect();
        if all.len() == 1 || (missed.is_empty() && self.strays.is_empty()) {
            return None;
        }
        let seen: Vec<Mutant> = all.iter().filter(|mutant| !missed.contains(mutant)).cloned().collect();
        if !missed.is_empty() && !seen.is_empty() {
            return Some([missed, seen]);
        }
        let (one, other) = all.split_at(all.len() / 2);
        Some([one.to_vec(), other.to_vec()])
    }
}

/// A row that is not what it was.
pub(super) fn change(was: &RowResult, now: &RowResult) -> Change {
    Change {
        row: now.id.clone(),
        expected: was.verdict.status,
        reached: now.verdict.status,
        reason: told(&now.verdict),
    }
}

/// A verdict's reason, with the word for it where it is undecided.
pub(super) fn told(verdict: &Verdict) -> String {
    let code = verdict.code.as_ref().map_or(String::new(), |code| format!("{code}: "));
    format!("{code}{}", verdict.reason)
}

fn weigh(catalog: &Catalog, before: &Shown, after: &Shown, mutant: &Mutant) -> Weighed {
    let mut weighed = Weighed {
        mutant: mutant.clone(),
        fate: Fate::Survived,
        reached: None,
        reason: "the run has no such row".to_owned(),
        arms: Vec::new(),
        followers: Vec::new(),
    };
    let Some(now) = after.rows.get(&mutant.row) else { return weighed };
    weighed.reached = Some(now.verdict.status);
    weighed.reason = told(&now.verdict);
    if let Some(partial) = &after.partial {
        weighed.reason = format!("{partial}: {}", weighed.reason);
    } else if mutant.fault.is_none() && !after.acted(field_of(catalog, &mutant.row), &mutant.row, None) {
        weighed.fate = Fate::Void;
        weighed.reason =
            format!("no request of this row's arms carried the field, so the server never met it ({})", weighed.reason);
    } else if now.verdict.status == mutant.status {
        weighed.fate = Fate::Killed;
    } else {
        weighed.arms = insensitive_arms::arms(before.rows.get(&mutant.row), now);
    }
    weighed
}

/// Whether a row's verdict may change because of another row's mutation, and why. It may become undecided where it
/// works through that row, or where its request without the field is refused for that row's sake; and it may be refused
/// with it. A second row for the same field may become what the first becomes. Never is it decided wrongly.
fn may_follow(catalog: &Catalog, after: &Shown, row: &str, verdict: &Verdict, mutant: &Mutant) -> Option<Because> {
    let through = || works_through(catalog, row, &mutant.row);
    let is_refused = mutant.status == VerdictStatus::Rejected;
    if verdict.status == mutant.status && field_of(catalog, row) == field_of(catalog, &mutant.row) {
        return Some(Because::SameField);
    }
    match verdict.status {
        VerdictStatus::Inconclusive if through() => Some(Because::WorksThrough),
        VerdictStatus::Inconclusive => {
            let refused = is_refused
                && verdict.code.as_deref() == Some(Undecided::NegativeRefused.word())
                && after.acted(field_of(catalog, &mutant.row), row, Some(ArmKind::Negative));
            refused.then_some(Because::NegativeRefused)
        }
        VerdictStatus::Rejected => (is_refused && through()).then_some(Because::WorksThrough),
        VerdictStatus::Supported | VerdictStatus::Ignored | VerdictStatus::Substituted | VerdictStatus::Skipped => None,
    }
}

#[cfg(test)]
mod tests;
