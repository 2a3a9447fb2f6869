//! The counts of every run: what ran and what did not, then the outcomes, then the cost.

use crate::report::common::matrix::Matrix;
use crate::report::common::summary;
use crate::report::common::summary::Line;
use crate::report::markdown::escape::{Table, escape};
use crate::report::markdown::headings;

/// One table, a column per run.
pub(super) fn render(matrix: &Matrix<'_>) -> String {
    let mut table = Table::figures(std::iter::once(String::new()).chain(headings(matrix)).collect());
    for line in summary::lines(matrix.columns.iter().map(|column| column.run)) {
        let figures = matrix.columns.iter().map(|column| escape(&line.figure(column.run)));
        table.row(std::iter::once(label(line)).chain(figures).collect());
    }
    format!("## Summary\n\n{}", table.finish())
}

fn label(line: Line) -> String {
    match line {
        Line::Standing(standing) => format!("{} {}", standing.mark(), line.label()),
        Line::Rows => format!("**{}**", line.label()),
        Line::Decided
        | Line::Inconclusive
        | Line::NotRun
        | Line::Requests
        | Line::PerVerdict
        | Line::Retries
        | Line::InputTokens
        | Line::OutputTokens
        | Line::Cost
        | Line::Time
        | Line::Planned => line.label(),
    }
}
