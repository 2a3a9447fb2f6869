//! What needs more than a cell: contradictions first, then what is not known, what is more, what is silent.
//!
//! Chooses and groups; the formats draw. This module must not shorten: every row that belongs to a list is in it.

use crate::catalog::VerdictStatus;
use crate::report::common::matrix::{Cell, ResultsMatrix};
use crate::report::common::phrases;
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::sanitize_line;
use crate::results::model::RowResult;

/// A list below the tables.
pub(crate) struct HighlightGroup<'m, 'a> {
    pub(crate) title: &'static str,
    /// Rows with something to tell.
    pub(crate) cells: Vec<Cell<'m, 'a>>,
    /// Rows that were not run: a run that ends early leaves many with one reason.
    pub(crate) not_run: Vec<NotRunGroup<'m, 'a>>,
}

impl HighlightGroup<'_, '_> {
    /// How many rows are in the list.
    pub(crate) fn len(&self) -> usize {
        self.cells.len() + self.not_run.iter().map(|group| group.ids.len()).sum::<usize>()
    }
}

/// Rows of one run that were not run for one reason.
pub(crate) struct NotRunGroup<'m, 'a> {
    pub(crate) heading: &'m str,
    pub(crate) reason: String,
    pub(crate) ids: Vec<&'a str>,
}

/// True for rows that have an item of their own in one of the lists.
pub(crate) fn is_highlighted(row: &RowResult) -> bool {
    match RowStatus::from_row(row) {
        RowStatus::Contradicts | RowStatus::Exceeds | RowStatus::Silent => true,
        RowStatus::Conforms => false,
        RowStatus::Undetermined | RowStatus::Unclaimed => row.verdict.status == VerdictStatus::Inconclusive,
    }
}

/// All lists that have a row.
pub(crate) fn group_highlights<'m, 'a>(matrix: &'m ResultsMatrix<'a>) -> Vec<HighlightGroup<'m, 'a>> {
    [
        ("Contradictions", RowStatus::Contradicts),
        ("Undetermined rows", RowStatus::Undetermined),
        ("Beyond the claims", RowStatus::Exceeds),
        ("Silent rows", RowStatus::Silent),
    ]
    .into_iter()
    .map(|(title, standing)| build_group(matrix, title, standing))
    .filter(|list| list.len() > 0)
    .collect()
}

fn build_group<'m, 'a>(
    matrix: &'m ResultsMatrix<'a>,
    title: &'static str,
    standing: RowStatus,
) -> HighlightGroup<'m, 'a> {
    // An undecided row is an open question, with a claim or without.
    let entries = matrix.find_cells(|row| {
        let undecided = !row.verdict.status.is_decided();
        RowStatus::from_row(row) == standing || (standing == RowStatus::Undetermined && undecided)
    });
    let (skipped, tried): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.row.verdict.status == VerdictStatus::Skipped);
    HighlightGroup { title, cells: tried, not_run: group_not_run(skipped) }
}

fn group_not_run<'m, 'a>(entries: Vec<Cell<'m, 'a>>) -> Vec<NotRunGroup<'m, 'a>> {
    let mut groups: Vec<NotRunGroup<'m, 'a>> = Vec::new();
    for entry in entries {
        let heading = entry.column.heading.as_str();
        let reason = sanitize_line(&phrases::reason(entry.row));
        match groups.iter_mut().find(|group| group.heading == heading && group.reason == reason) {
            Some(group) => group.ids.push(&entry.row.id),
            None => groups.push(NotRunGroup { heading, reason, ids: vec![&entry.row.id] }),
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
        let results = [fixtures::partial_run()];
        let matrix = ResultsMatrix::from_results(&results);
        let lists = group_highlights(&matrix);
        let undetermined = lists.iter().find(|list| list.title == "Undetermined rows").expect("there is one");
        assert_eq!(undetermined.not_run.len(), 1);
        let skipped = results[0].summary.skipped;
        assert!(skipped > 1);
        assert_eq!(undetermined.not_run[0].ids.len() as u64, skipped);
    }

    #[test]
    fn an_undecided_row_without_a_claim_is_listed() {
        let row = fixtures::make_row("S", "field.x", "x", None, VerdictStatus::Inconclusive);
        let results = [fixtures::make_run("any", vec![row])];
        let matrix = ResultsMatrix::from_results(&results);
        let lists = group_highlights(&matrix);
        assert_eq!(lists.len(), 1);
        assert_eq!((lists[0].title, lists[0].cells.len()), ("Undetermined rows", 1));
    }
}
