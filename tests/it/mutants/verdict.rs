//! The problems of a run with mutants: survivors, void mutants, and unexpected changes.

use std::fmt;

use fieldtest::catalog::VerdictStatus;
use fieldtest::results::model::{DependencyRole, Verdict};

use super::ground::{Run, Verdicts};
use super::plan::{Mutant, depends_on};
use crate::common::DEPENDENCIES;
use crate::proxy::mutation::Mutation;
use crate::proxy::mutator::mark;

/// Rows that change with another row without a declared dependency, with their new status (`None`
/// for
/// undecided) and the reason.
const ALONG: [(Mutation, &str, Option<VerdictStatus>, &str); 3] = [
    (
        Mutation::Strip("field.max_tokens"),
        "limit.max_output_tokens",
        None,
        "a server that ignores max_tokens has no limit for it either",
    ),
    (
        Mutation::Strip("field.thinking"),
        "content.thinking",
        None,
        "a server that never thinks makes no block to send back, and rejects made-up ones",
    ),
    (
        Mutation::Strip("field.thinking"),
        "content.thinking",
        Some(VerdictStatus::Ignored),
        "a gateway may remove such blocks from requests without thinking, and here no request has it",
    ),
];

/// A problem.
#[derive(Debug)]
pub enum Problem {
    /// The row did not get the expected verdict.
    Lives { mutant: Mutant, seen: String },
    /// The mutation met no request.
    Void(Mutant),
    /// Another row's verdict changed.
    Elsewhere { mutants: Vec<Mutant>, row: String, was: VerdictStatus, seen: String },
}

impl Problem {
    /// Whether this mutant was not killed.
    pub fn lives(&self, mutant: &Mutant) -> bool {
        match self {
            Self::Lives { mutant: other, .. } | Self::Void(other) => other == mutant,
            Self::Elsewhere { .. } => false,
        }
    }

    /// The row with the problem.
    pub fn row(&self) -> &str {
        match self {
            Self::Lives { mutant, .. } | Self::Void(mutant) => mutant.row,
            Self::Elsewhere { row, .. } => row,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lives { mutant, seen } => {
                write!(f, "{:?} survives: {} should be {} and is {seen}", mutant.mutation, mutant.row, mutant.expected)
            }
            Self::Void(mutant) => write!(f, "{:?} is void: it met no request", mutant.mutation),
            Self::Elsewhere { mutants, row, was, seen } => {
                let of: Vec<Mutation> = mutants.iter().map(|mutant| mutant.mutation).collect();
                write!(f, "{of:?}: {row} was {was} and is now {seen}")
            }
        }
    }
}

/// All problems of a run.
pub fn problems(mutants: &[Mutant], before: &Verdicts, run: &Run) -> Vec<Problem> {
    let mut found = Vec::new();
    for mutant in mutants {
        let applied = run.applied.iter().find(|(mutation, _)| *mutation == mutant.mutation).map_or(0, |(_, n)| *n);
        if applied == 0 {
            found.push(Problem::Void(*mutant));
        }
    }
    for (row, verdict) in &run.verdicts {
        match mutants.iter().find(|mutant| mutant.row == row) {
            Some(mutant) if verdict.status == mutant.expected => {}
            Some(mutant) => found.push(Problem::Lives { mutant: *mutant, seen: describe(verdict) }),
            None if verdict.status == before[row].status => {}
            None if mutants.iter().any(|mutant| may_follow(row, verdict, mutant)) => {}
            None => found.push(Problem::Elsewhere {
                mutants: mutants.to_vec(),
                row: row.clone(),
                was: before[row].status,
                seen: describe(verdict),
            }),
        }
    }
    found
}

/// Whether the verdict of a row may change because of the mutation of another row: it depends on
/// that
/// row and becomes undecided, or its requests are rejected because of that row, or it is a part of a
/// removed field, or [`ALONG`] lists it.
fn may_follow(row: &str, verdict: &Verdict, mutant: &Mutant) -> bool {
    let is_rejected = verdict.reason.contains(&mark(mutant.row));
    let through = depends_on(row, mutant.row);
    let along = |status| {
        ALONG.iter().any(|(mutation, other, is, _)| (*mutation, *other, *is) == (mutant.mutation, row, status))
    };
    match verdict.status {
        VerdictStatus::Inconclusive => through || is_rejected || along(None),
        VerdictStatus::Rejected if through && is_rejected => true,
        VerdictStatus::Ignored if !is_rejected && is_part_of(row, mutant.row) => {
            matches!(mutant.mutation, Mutation::Strip(_))
        }
        status => along(Some(status)),
    }
}

fn is_part_of(row: &str, other: &str) -> bool {
    DEPENDENCIES.direct(row).any(|edge| edge == (other, DependencyRole::PartOf))
}

fn describe(verdict: &Verdict) -> String {
    let code = verdict.code.as_ref().map_or(String::new(), |code| format!(", {code}"));
    format!("{}{code} ({})", verdict.status, verdict.reason)
}
