//! Groups the rows that need more than a cell of the matrix: [`group_highlights`].
//!
//! Contradictions come first, then undetermined rows, rows beyond their claims, and silent rows. This
//! module must not shorten: every row of a group is in its list.

use crate::catalog::VerdictStatus;
use crate::report::common::causes::{CauseGroup, group_by_cause};
use crate::report::common::matrix::{MatrixCell, ResultsMatrix};
use crate::report::common::phrases;
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::sanitize_line;
use crate::results::model::RowResult;

/// One list below the matrix.
pub(crate) struct HighlightGroup<'m, 'a> {
    pub(crate) title: &'static str,
    pub(crate) status: RowStatus,
    /// Rows with details.
    pub(crate) cells: Vec<MatrixCell<'m, 'a>>,
    /// The causes that some of these rows share.
    pub(crate) causes: Vec<CauseGroup<'m, 'a>>,
    /// Rows that were not run, grouped by reason: a partial run has many rows with the same reason.
    pub(crate) not_run: Vec<NotRunGroup<'m, 'a>>,
}

impl HighlightGroup<'_, '_> {
    /// The number of rows in the list.
    pub(crate) fn len(&self) -> usize {
        self.cells.len() + self.not_run.iter().map(|group| group.ids.len()).sum::<usize>()
    }
}

/// Rows of one run that were not run for the same reason.
pub(crate) struct NotRunGroup<'m, 'a> {
    pub(crate) heading: &'m str,
    pub(crate) reason: String,
    pub(crate) ids: Vec<&'a str>,
}

/// True for rows with details in one of the lists.
pub(crate) fn is_highlighted(row: &RowResult) -> bool {
    match RowStatus::from_row(row) {
        RowStatus::Contradicts | RowStatus::Exceeds | RowStatus::Silent => true,
        RowStatus::Conforms => false,
        RowStatus::Undetermined | RowStatus::Unclaimed => row.verdict.status == VerdictStatus::Inconclusive,
    }
}

/// All lists with at least one row.
pub(crate) fn group_highlights<'m, 'a>(matrix: &'m ResultsMatrix<'a>) -> Vec<HighlightGroup<'m, 'a>> {
    [
        ("Contradictions", RowStatus::Contradicts),
        ("Undetermined rows", RowStatus::Undetermined),
        ("Beyond the claims", RowStatus::Exceeds),
        ("Silent rows", RowStatus::Silent),
    ]
    .into_iter()
    .map(|(title, status)| build_group(matrix, title, status))
    .filter(|list| list.len() > 0)
    .collect()
}

fn build_group<'m, 'a>(
    matrix: &'m ResultsMatrix<'a>,
    title: &'static str,
    status: RowStatus,
) -> HighlightGroup<'m, 'a> {
    // Undecided rows need attention with or without a claim.
    let entries = matrix.find_cells(|row| {
        let undecided = !row.verdict.status.is_decided();
        RowStatus::from_row(row) == status || (status == RowStatus::Undetermined && undecided)
    });
    let (skipped, tried): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.row.verdict.status == VerdictStatus::Skipped);
    let causes = group_by_cause(&tried);
    HighlightGroup { title, status, cells: tried, causes, not_run: group_not_run(skipped) }
}

fn group_not_run<'m, 'a>(entries: Vec<MatrixCell<'m, 'a>>) -> Vec<NotRunGroup<'m, 'a>> {
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
