//! The reports on a terminal: [`render`] shows the tested endpoints, one table per section, and the counts.
//!
//! Width, colour and glyphs are arguments ([`TerminalStyle`]). Nothing here looks at the terminal or the
//! environment.

mod baseline;
mod color;
pub mod diff;
mod findings;
pub mod gateway_diff;
mod header;
mod highlights;
mod matrix;
pub mod mutation;
pub mod plan;
mod single_run;
mod style;
mod summary;
mod table;
#[cfg(test)]
mod tests;

use crate::report::common::matrix::ResultsMatrix;
pub use crate::report::terminal::style::TerminalStyle;
use crate::results::model::Results;

/// The report of one run, or of several runs side by side.
pub fn render(results: &[Results], style: TerminalStyle) -> String {
    let matrix = ResultsMatrix::from_results(results);
    let mut out = header::render(&matrix, style);
    match matrix.columns.as_slice() {
        [] => return "Nothing was run.\n".to_owned(),
        [_] => out.push_str(&single_run::render(&matrix, style)),
        [_, _, ..] => {
            out.push_str(&matrix::render(&matrix, style));
            out.push_str(&highlights::render(&matrix, style));
        }
    }
    out.push_str(&findings::render(&matrix, style));
    out.push_str(&summary::render(&matrix, style));
    out.push_str(&baseline::render(&matrix, style));
    color::to_ansi(&out, style.colour)
}
