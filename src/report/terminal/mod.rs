//! The report on a terminal: who was tested, a table per section, and the counts.
//!
//! Width, colour and glyphs come in as arguments: nothing here looks at the terminal or the environment.

mod baseline;
mod color;
mod diff;
mod findings;
pub mod gateway_diff;
mod header;
mod highlights;
mod matrix;
pub mod mutation;
pub mod plan;
mod single_run;
mod summary;
mod table;
#[cfg(test)]
mod tests;

use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::row_status::RowStatus;
use crate::report::terminal::color::TextColor;
pub use crate::report::terminal::diff::render as render_diff;
use crate::report::terminal::table::FixedTable;
use crate::results::model::Results;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalStyle {
    /// Columns. No line is wider, as long as there are at least 60; tables do not fit in less.
    pub width: usize,
    /// Escape codes for colour are wanted.
    pub colour: bool,
    /// Characters beyond ASCII are shown for marks and lines.
    pub unicode: bool,
}

impl TerminalStyle {
    /// The width that tables are made for.
    fn table_width(self) -> usize {
        self.width.clamp(60, 400)
    }

    fn mark(self, standing: RowStatus) -> &'static str {
        if self.unicode { standing.mark() } else { standing.ascii_mark() }
    }

    fn stroke(self) -> &'static str {
        if self.unicode { "─" } else { "-" }
    }

    /// Facts on a line, broken only between them.
    fn join_facts(self, facts: impl IntoIterator<Item = String>) -> String {
        let facts: Vec<String> = facts.into_iter().map(|fact| color::use_no_break_spaces(&fact)).collect();
        facts.join(if self.unicode { " · " } else { ", " })
    }

    /// Where a run has no such row.
    fn not_run_label(self) -> &'static str {
        if self.unicode { "— not run" } else { "- not run" }
    }
}

/// The whole report of one run, or of several side by side.
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

/// The colour of a standing: green is for what conforms and for nothing else.
fn status_color(standing: RowStatus) -> TextColor {
    match standing {
        RowStatus::Conforms => TextColor::Green,
        RowStatus::Silent => TextColor::Magenta,
        RowStatus::Exceeds => TextColor::Cyan,
        RowStatus::Contradicts => TextColor::Red,
        RowStatus::Undetermined => TextColor::Yellow,
        RowStatus::Unclaimed => TextColor::Dim,
    }
}

/// A heading after a blank line.
fn render_heading(title: &str, style: TerminalStyle) -> String {
    format!(
        "\n{}",
        FixedTable::paragraph(0, style.table_width()).render_row(vec![color::colorize(TextColor::Bold, title)])
    )
}
