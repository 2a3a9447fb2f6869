//! What needs more than a cell: contradictions first, then what is not known, what is more, what is silent.
//!
//! Chooses and groups; the formats draw. This module must not shorten: every row that belongs to a list is in it.

use crate::catalog::VerdictStatus;
use crate::report::common::matrix::{Entry, Matrix};
use crate::report::common::phrases;
use crate::report::common::row_status::Standing;
use crate::report::common::sanitize::one_line;
use crate::results::model::RowResult;

/// A list below the tables.
pub(crate) struct List<'m, 'a> {
    pub(crate) title: &'static str,
    /// Rows with something to tell.
    pub(crate) tried: Vec<Entry<'m, 'a>>,
    /// Rows that were not run: a run that ends early leaves many with one reason.
    pub(crate) not_run: Vec<NotRun<'m, 'a>>,
}

impl List<'_, '_> {
    /// How many rows are in the list.
    pub(crate) fn len(&self) -> usize {
        self.tried.len() + self.not_run.iter().map(|group| group.ids.len()).sum::<usize>()
    }
}

/// Rows of one run that were not run for one reason.
pub(crate) struct NotRun<'m, 'a> {
    pub(crate) heading: &'m str,
    pub(crate) reason: String,
    pub(crate) ids: Vec<&'a str>,
}

/// True for rows that have an item of their own in one of the lists.
pub(crate) fn has_own_item(row: &RowResult) -> bool {
    match Standing::of(row) {
        Standing::Contradicts | Standing::Exceeds | Standing::Silent => true,
        Standing::Conforms => false,
        Standing::Undetermined | Standing::Unclaimed => row.verdict.status == VerdictStatus::Inconclusive,
    }
}

/// All lists that have a row.
pub(crate) fn of<'m, 'a>(matrix: &'m Matrix<'a>) -> Vec<List<'m, 'a>> {
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
        let reason = one_line(&phrases::why(entry.row));
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
    use crate::results::fixtures;

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
