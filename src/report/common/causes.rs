//! Groups rows with one cause ([`group_by_cause`]), so that a report shows each cause once.

use crate::report::common::matrix::MatrixCell;
use crate::report::common::sanitize::sanitize_line;
use crate::results::cause::VerdictCause;
use crate::results::format;
use crate::results::model::{Results, RowResult};

/// Rows of one run with the same cause. There are at least two.
pub(crate) struct CauseGroup<'m, 'a> {
    /// The heading of the run.
    pub(crate) heading: &'m str,
    pub(crate) cause: &'a VerdictCause,
    /// The cause in words.
    pub(crate) text: String,
    pub(crate) rows: Vec<&'a RowResult>,
}

impl CauseGroup<'_, '_> {
    /// The cause with the number of its rows.
    pub(crate) fn describe(&self) -> String {
        format!("{}: {}", self.text, format::plural(self.rows.len() as u64, "row", "rows"))
    }

    /// True if the row is in this group.
    pub(crate) fn contains(&self, cell: &MatrixCell<'_, '_>) -> bool {
        self.heading == cell.column.heading && cell.row.cause.as_ref() == Some(self.cause)
    }
}

/// The causes that several cells share, in the order of the cells.
pub(crate) fn group_by_cause<'m, 'a>(cells: &[MatrixCell<'m, 'a>]) -> Vec<CauseGroup<'m, 'a>> {
    let mut groups: Vec<CauseGroup<'m, 'a>> = Vec::new();
    for cell in cells {
        let Some(cause) = &cell.row.cause else { continue };
        match groups.iter_mut().find(|group| group.contains(cell)) {
            Some(group) => group.rows.push(cell.row),
            None => groups.push(CauseGroup {
                heading: &cell.column.heading,
                cause,
                text: sanitize_line(&describe_cause(cell.column.run, cause)),
                rows: vec![cell.row],
            }),
        }
    }
    groups.retain(|group| group.rows.len() > 1);
    groups
}

fn describe_cause(run: &Results, cause: &VerdictCause) -> String {
    match cause {
        VerdictCause::Row(id) => match run.find_row(id) {
            Some(row) => format!("{id} is {}", row.verdict_label()),
            None => format!("{id} is not known to work"),
        },
        VerdictCause::Credentials => "the endpoint checks no credential".to_owned(),
        VerdictCause::Validation => "the endpoint rejects no invalid request".to_owned(),
        VerdictCause::Model => "the model does not do what the experiments ask".to_owned(),
        VerdictCause::Inconsistency => "equal requests are treated differently".to_owned(),
        VerdictCause::RunEnd => "the run ended too early".to_owned(),
        VerdictCause::PlainResponse => "the plain response does not reach the client".to_owned(),
        VerdictCause::ClientRejection => "the gateway rejects the client: its credential or its rate".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{ClaimStatus, VerdictStatus};
    use crate::report::common::matrix::ResultsMatrix;
    use crate::results::fixtures;

    #[test]
    fn a_cause_is_listed_once_per_run_with_its_rows() {
        let row = |id: &str, status, cause: Option<VerdictCause>| {
            let row = fixtures::make_row("S", id, id, Some(ClaimStatus::Supported), status);
            RowResult { cause, ..row }
        };
        let tools = || Some(VerdictCause::Row("tools".to_owned()));
        let rows = vec![
            row("tools", VerdictStatus::Rejected, tools()),
            row("field.top_k", VerdictStatus::Ignored, None),
            row("tools.name", VerdictStatus::Inconclusive, tools()),
            row("stream.twin", VerdictStatus::Inconclusive, Some(VerdictCause::Row("field.stream".to_owned()))),
        ];
        let results = [fixtures::make_run("one", rows.clone()), fixtures::make_run("two", rows)];
        let matrix = ResultsMatrix::from_results(&results);
        let groups = group_by_cause(&matrix.find_cells(|_| true));
        let shown: Vec<_> = groups.iter().map(|group| (group.heading, group.describe())).collect();
        assert_eq!(
            shown,
            [("one", "tools is rejected: 2 rows".to_owned()), ("two", "tools is rejected: 2 rows".to_owned())]
        );
        assert_eq!(groups[0].rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["tools", "tools.name"]);
    }
}
