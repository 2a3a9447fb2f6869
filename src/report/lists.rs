//! What needs more than a cell: contradictions first, then what is not known, what is more, what is silent.
//!
//! Chooses and groups; the formats draw. This module must not shorten: every row that belongs to a list is in it.

use super::clean::one_line;
use super::matrix::{Entry, Matrix};
use super::prose;
use super::results::RowResult;
use super::standing::Standing;
use crate::case::VerdictStatus;

/// A list below the tables.
pub(super) struct List<'m, 'a> {
    pub(super) title: &'static str,
    /// Rows with something to tell.
    pub(super) tried: Vec<Entry<'m, 'a>>,
    /// Rows that were not run: a run that ends early leaves many with one reason.
    pub(super) not_run: Vec<NotRun<'m, 'a>>,
}

impl List<'_, '_> {
    /// How many rows are in the list.
    pub(super) fn len(&self) -> usize {
        self.tried.len() + self.not_run.iter().map(|group| group.ids.len()).sum::<usize>()
    }
}

/// Rows of one run that were not run for one reason.
pub(super) struct NotRun<'m, 'a> {
    pub(super) heading: &'m str,
    pub(super) reason: String,
    pub(super) ids: Vec<&'a str>,
}

/// True for rows that have an item of their own in one of the lists.
pub(super) fn has_own_item(row: &RowResult) -> bool {
    match Standing::of(row) {
        Standing::Contradicts | Standing::Exceeds | Standing::Silent => true,
        Standing::Conforms => false,
        Standing::Undetermined | Standing::Unclaimed => row.verdict.status == VerdictStatus::Inconclusive,
    }
}

/// All lists that have a row.
pub(super) fn of<'m, 'a>(matrix: &'m Matrix<'a>) -> Vec<List<'m, 'a>> {
    [
        ("Contradictions", Standing::Contradicts),
        ("Undetermined rows", Standing::Undetermined),
        ("Beyond the claims", Standing::Exceeds),
        ("Silent rows", Standing::Silent),
    ]
    .into_iter()
    .map(|(title, standing)| list(matrix, title, standing))
    .filter(|list| list.len() > 0)
    .collect()
}

fn list<'m, 'a>(matrix: &'m Matrix<'a>, title: &'static str, standing: Standing) -> List<'m, 'a> {
    // An undecided row is an open question, with a claim or without.
    let entries = matrix.entries(|row| {
        let undecided = !row.verdict.status.is_decided();
        Standing::of(row) == standing || (standing == Standing::Undetermined && undecided)
    });
    let (skipped, tried): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.row.verdict.status == VerdictStatus::Skipped);
    List { title, tried, not_run: grouped(skipped) }
}

fn grouped<'m, 'a>(entries: Vec<Entry<'m, 'a>>) -> Vec<NotRun<'m, 'a>> {
    let mut groups: Vec<NotRun<'m, 'a>> = Vec::new();
    for entry in entries {
        let heading = entry.column.heading.as_str();
        let reason = one_line(&prose::why(entry.row));
        match groups.iter_mut().find(|group| group.heading == heading && group.reason == reason) {
            Some(group) => group.ids.push(&entry.row.id),
            None => groups.push(NotRun { heading, reason, ids: vec![&entry.row.id] }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    #[test]
    fn rows_that_were_not_run_for_one_reason_are_one_item() {
        let results = [fixtures::partial()];
        let matrix = Matrix::of(&results);
        let lists = of(&matrix);
        let undetermined = lists.iter().find(|list| list.title == "Undetermined rows").expect("there is one");
        assert_eq!(undetermined.not_run.len(), 1);
        let skipped = results[0].summary.skipped;
        assert!(skipped > 1);
        assert_eq!(undetermined.not_run[0].ids.len() as u64, skipped);
    }

    #[test]
    fn an_undecided_row_without_a_claim_is_listed() {
        let row = fixtures::row("S", "field.x", "x", None, VerdictStatus::Inconclusive);
        let results = [fixtures::run("any", vec![row])];
        let matrix = Matrix::of(&results);
        let lists = of(&matrix);
        assert_eq!(lists.len(), 1);
        assert_eq!((lists[0].title, lists[0].tried.len()), ("Undetermined rows", 1));
    }
}
