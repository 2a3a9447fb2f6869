//! The style of terminal reports: [`TerminalStyle`], headings and colours of statuses.

use crate::report::common::row_status::RowStatus;
use crate::report::terminal::color::{TextColor, colorize, use_no_break_spaces};
use crate::report::terminal::table::FixedTable;
use crate::results::model::RowResult;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalStyle {
    /// The number of columns. No line is wider if there are at least 60; tables need 60 columns.
    pub width: usize,
    /// True to use escape codes for colour.
    pub colour: bool,
    /// True to use characters beyond ASCII for marks and lines.
    pub unicode: bool,
}

impl TerminalStyle {
    /// The width of tables.
    pub(super) fn table_width(self) -> usize {
        self.width.clamp(60, 400)
    }

    pub(super) fn mark(self, status: RowStatus) -> &'static str {
        if self.unicode { status.mark() } else { status.ascii_mark() }
    }

    /// The character of horizontal lines.
    pub(super) fn stroke(self) -> &'static str {
        if self.unicode { "─" } else { "-" }
    }

    pub(super) fn arrow(self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// Joins facts to a line that is wrapped only between them.
    pub(super) fn join_facts(self, facts: impl IntoIterator<Item = String>) -> String {
        let facts: Vec<String> = facts.into_iter().map(|fact| use_no_break_spaces(&fact)).collect();
        facts.join(if self.unicode { " · " } else { ", " })
    }

    /// The cell of a row that the run does not have.
    pub(super) fn not_run_label(self) -> &'static str {
        if self.unicode { "— not run" } else { "- not run" }
    }

    /// A paragraph with an indent.
    pub(super) fn render_paragraph(self, indent: usize, text: String) -> String {
        FixedTable::paragraph(indent, self.table_width()).render_row(vec![text])
    }

    /// A heading after an empty line.
    pub(super) fn render_heading(self, title: &str) -> String {
        format!("\n{}", self.render_paragraph(0, colorize(TextColor::Bold, title)))
    }
}

/// The colour of a row: that of its status, and lighter if a claim of `supported` is met without an
/// observed effect.
pub(super) fn row_color(row: &RowResult) -> TextColor {
    if row.lacks_effect() { TextColor::PaleGreen } else { status_color(RowStatus::from_row(row)) }
}

/// The colour of a status. Only conforming rows are green.
pub(super) fn status_color(status: RowStatus) -> TextColor {
    match status {
        RowStatus::Conforms => TextColor::Green,
        RowStatus::Silent => TextColor::Magenta,
        RowStatus::Exceeds => TextColor::Cyan,
        RowStatus::Contradicts => TextColor::Red,
        RowStatus::Undetermined => TextColor::Yellow,
        RowStatus::Unclaimed => TextColor::Dim,
    }
}
