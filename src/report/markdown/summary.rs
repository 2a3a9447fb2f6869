//! The counts of every run: what ran and what did not, then the outcomes, then the cost.

use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::summary;
use crate::report::common::summary::SummaryLine;
use crate::report::markdown::escape::{MarkdownTable, escape};
use crate::report::markdown::escaped_headings;

/// One table, a column per run.
pub(super) fn render(matrix: &ResultsMatrix<'_>) -> String {
    let mut table =
        MarkdownTable::right_aligned(std::iter::once(String::new()).chain(escaped_headings(matrix)).collect());
    for line in summary::summary_lines(matrix.columns.iter().map(|column| column.run)) {
        let figures = matrix.columns.iter().map(|column| escape(&line.value(column.run)));
        table.add_row(std::iter::once(line_label(line)).chain(figures).collect());
    }
    format!("## Summary\n\n{}", table.finish())
}

fn line_label(line: SummaryLine) -> String {
    match line {
        SummaryLine::Status(standing) => format!("{} {}", standing.mark(), line.label()),
        SummaryLine::Rows => format!("**{}**", line.label()),
        SummaryLine::Decided
        | SummaryLine::Inconclusive
        | SummaryLine::NotRun
        | SummaryLine::Requests
        | SummaryLine::PerVerdict
        | SummaryLine::Retries
        | SummaryLine::InputTokens
        | SummaryLine::OutputTokens
        | SummaryLine::Cost
        | SummaryLine::Time
        | SummaryLine::Planned => line.label(),
    }
}
