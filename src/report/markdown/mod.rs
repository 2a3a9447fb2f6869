//! `matrix.md`: the matrix with its evidence, for GitHub.
//!
//! The first half is for a reader who asks what works where; the second for one who doubts it. Whatever comes from
//! outside goes through `text`, so that it can neither break a table nor become markup.

mod about;
mod baseline;
mod evidence;
mod findings;
mod legend;
mod sections;
mod summary;
#[cfg(test)]
mod tests;
pub(super) mod text;

use self::text::escape;
use super::matrix::Matrix;
use super::names::slug;
use super::results::Results;

/// The whole report of one run, or of several side by side.
pub fn render(results: &[Results]) -> String {
    let matrix = Matrix::of(results);
    if matrix.columns.is_empty() {
        return "# Anthropic Messages API\n\nNothing was run.\n".to_owned();
    }
    let parts = [
        about::render(&matrix),
        legend::render(),
        summary::render(&matrix),
        baseline::render(&matrix),
        sections::render(&matrix),
        evidence::render(&matrix),
        findings::render(&matrix),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Where the evidence of a row stands in this file.
fn anchor(heading: &str, row: &str) -> String {
    format!("{}--{}", slug(heading), slug(row))
}

/// The columns' headings, ready for a table.
fn headings(matrix: &Matrix<'_>) -> Vec<String> {
    matrix.columns.iter().map(|column| escape(&column.heading)).collect()
}
