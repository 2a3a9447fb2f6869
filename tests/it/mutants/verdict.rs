//! What is wrong with a run of mutants: which live, which are void, and what changed that must not.

use std::fmt;

use fieldtest::catalog::VerdictStatus;
use fieldtest::results::model::Verdict;

use super::ground::{Run, Verdicts};
use super::plan::{Mutant, works_through};
use crate::proxy::mutation::Mutation;
use crate::proxy::mutator::mark;

/// Rows that change with another one though they do not say that they work through it, each with what they
/// become (undecided where no status stands) and the reason.
const ALONG: [(Mutation, &str, Option<VerdictStatus>, &str); 3] = [
    (
        Mutation::Strip("field.max_tokens"),
        "limit.max_output_tokens",
        None,
        "a server that does not look at max_tokens has no bound for it either",
    ),
    (
        Mutation::Strip("field.thinking"),
        "content.thinking",
        Some(VerdictStatus::Rejected),
        "a server that never thinks makes no block that could be handed back, and made-up ones are refused; the \
         verdict says so in a qualifier",
    ),
    (
        Mutation::Strip("field.thinking"),
        "content.thinking",
        Some(VerdictStatus::Ignored),
        "a gateway may take such blocks out wherever no thinking is asked for, and then it never is",
    ),
];

/// Something wrong.
#[derive(Debug)]
pub enum Problem {
    /// The row's verdict is not what the mutation makes of the server.
    Lives { mutant: Mutant, seen: String },
    /// The mutation never met a request.
    Void(Mutant),
    /// Another row's verdict changed.
    Elsewhere { mutants: Vec<Mutant>, row: String, was: VerdictStatus, seen: String },
}

impl Problem {
    /// True where it says that this mutant was not killed.
    pub fn lives(&self, mutant: &Mutant) -> bool {
        match self {
            Self::Lives { mutant: other, .. } | Self::Void(other) => other == mutant,
            Self::Elsewhere { .. } => false,
        }
    }

    /// The row that it is about.
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
                write!(f, "{:?} lives: {} should be {} and is {seen}", mutant.mutation, mutant.row, mutant.expected)
            }
            Self::Void(mutant) => write!(f, "{:?} is void: it met no request", mutant.mutation),
            Self::Elsewhere { mutants, row, was, seen } => {
                let of: Vec<Mutation> = mutants.iter().map(|mutant| mutant.mutation).collect();
                write!(f, "{of:?}: {row} was {was} and is now {seen}")
            }
        }
    }
}

/// All that is wrong with a run.
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
            Some(mutant) => found.push(Problem::Lives { mutant: *mutant, seen: told(verdict) }),
            None if verdict.status == before[row].status => {}
            None if mutants.iter().any(|mutant| may_follow(row, verdict, mutant)) => {}
            None => found.push(Problem::Elsewhere {
                mutants: mutants.to_vec(),
                row: row.clone(),
                was: before[row].status,
                seen: told(verdict),
            }),
        }
    }
    found
}

/// Whether a row's verdict may change because of another row's mutation: it works through that row and becomes
/// undecided, or is turned away for that row's sake; or the list above says why.
fn may_follow(row: &str, verdict: &Verdict, mutant: &Mutant) -> bool {
    let turned_away = verdict.reason.contains(&mark(mutant.row));
    let through = works_through(row, mutant.row);
    let along = |status| {
        ALONG.iter().any(|(mutation, other, is, _)| (*mutation, *other, *is) == (mutant.mutation, row, status))
    };
    match verdict.status {
        VerdictStatus::Inconclusive => through || turned_away || along(None),
        VerdictStatus::Rejected if through && turned_away => true,
        status => along(Some(status)),
    }
}

fn told(verdict: &Verdict) -> String {
    let code = verdict.code.as_ref().map_or(String::new(), |code| format!(", {code}"));
    format!("{}{code} ({})", verdict.status, verdict.reason)
}
