//! `matrix.md`: the matrix with its evidence, for GitHub.
//!
//! The first half is for a reader who asks what works where; the second for one who doubts it. Whatever comes from
//! outside goes through `text`, so that it can neither break a table nor become markup.

mod baseline;
pub mod diff;
pub mod escape;
mod evidence;
mod findings;
pub mod gateway_diff;
mod legend;
mod matrix;
pub mod mutation;
mod run_info;
mod summary;
#[cfg(test)]
mod tests;

use crate::report::common::highlights;
use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::row_status::RowStatus;
use crate::report::markdown::escape::escape;
use crate::results::file_names::slugify;
use crate::results::model::{Results, RowResult};

/// The whole report of one run, or of several side by side.
pub fn render(results: &[Results]) -> String {
    let matrix = ResultsMatrix::from_results(results);
    if matrix.columns.is_empty() {
        return "# Anthropic Messages API\n\nNothing was run.\n".to_owned();
    }
    let parts = [
        run_info::render(&matrix),
        legend::render(&matrix),
        summary::render(&matrix),
        baseline::render(&matrix),
        matrix::render(&matrix, highlights::is_highlighted),
        evidence::render(&matrix, |_| true),
        findings::render(&matrix, findings::repository_check_link),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A part of the report, for places that do not hold all of it. The most needed comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReportSection {
    About,
    Summary,
    Baseline,
    Legend,
    Matrix,
    Contradictions,
    Findings,
    OtherDetails,
}

impl ReportSection {
    pub(super) const ALL: [Self; 8] = [
        Self::About,
        Self::Summary,
        Self::Baseline,
        Self::Legend,
        Self::Matrix,
        Self::Contradictions,
        Self::Findings,
        Self::OtherDetails,
    ];

    /// What a reader misses without it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::About => "what was tested",
            Self::Summary => "the counts",
            Self::Baseline => "the comparison with the baseline",
            Self::Legend => "the legend",
            Self::Matrix => "the matrix",
            Self::Contradictions => "the details of contradictions",
            Self::Findings => "the findings",
            Self::OtherDetails => "the details of other rows",
        }
    }
}

/// One part, beside `all` those that are shown: cells link to evidence that is there, and pages are named by addresses
/// that work anywhere.
pub(super) fn render_section(matrix: &ResultsMatrix<'_>, part: ReportSection, all: &[ReportSection]) -> String {
    let contradicts = |row: &RowResult| RowStatus::from_row(row) == RowStatus::Contradicts;
    match part {
        ReportSection::About => run_info::render(matrix),
        ReportSection::Summary => summary::render(matrix),
        ReportSection::Baseline => baseline::render(matrix),
        ReportSection::Legend => legend::render(matrix),
        ReportSection::Matrix => matrix::render(matrix, |row| {
            let place = if contradicts(row) { ReportSection::Contradictions } else { ReportSection::OtherDetails };
            highlights::is_highlighted(row) && all.contains(&place)
        }),
        ReportSection::Contradictions => evidence::render(matrix, contradicts),
        ReportSection::Findings => findings::render(matrix, findings::absolute_check_link),
        ReportSection::OtherDetails => evidence::render(matrix, |row| !contradicts(row)),
    }
}

/// Where the evidence of a row stands in this file.
fn row_anchor(heading: &str, row: &str) -> String {
    format!("{}--{}", slugify(heading), slugify(row))
}

/// The columns' headings, ready for a table.
fn escaped_headings(matrix: &ResultsMatrix<'_>) -> Vec<String> {
    matrix.columns.iter().map(|column| escape(&column.heading)).collect()
}
