//! The rows of several runs that need more than a cell, each with its reason.

use crate::report::common::causes::CauseGroup;
use crate::report::common::highlights::NotRunGroup;
use crate::report::common::matrix::{MatrixCell, ResultsMatrix};
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::sanitize_line;
use crate::report::common::{highlights, phrases};
use crate::report::terminal::color::{TextColor, colorize};
use crate::report::terminal::style::{TerminalStyle, status_color};
use crate::results::format;

const INDENT_WIDTH: usize = 2;

/// One list for each outcome that needs details.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let mut out = String::new();
    for list in highlights::group_highlights(matrix) {
        let count = format::with_thousands(list.len() as u64);
        out.push_str(&style.render_heading(&format!("{} ({count})", list.title)));
        for group in &list.causes {
            let has_group = |cell: &&MatrixCell<'_, '_>| group.contains(cell);
            out.push_str(&render_cause(group, list.status, style));
            // The reasons of undecided rows repeat the cause.
            if list.status != RowStatus::Undetermined {
                out.extend(list.cells.iter().filter(has_group).map(|entry| render_row(entry, style)));
            }
        }
        let alone = list.cells.iter().filter(|cell| !list.causes.iter().any(|group| group.contains(cell)));
        out.extend(alone.map(|entry| render_row(entry, style)));
        out.extend(list.not_run.iter().map(|group| render_not_run(group, style)));
    }
    out
}

fn render_row(entry: &MatrixCell<'_, '_>, style: TerminalStyle) -> String {
    let row = entry.row;
    let claim = row.claim.as_ref().map_or(String::new(), |claim| {
        let details = phrases::describe_claim(claim).map_or(String::new(), |details| format!(" ({details})"));
        format!("claimed {}{details}, ", claim.status.as_str())
    });
    let status = RowStatus::from_row(row);
    let line = format!(
        "{} {}: {}",
        colorize(TextColor::Bold, &entry.column.heading),
        sanitize_line(&row.id),
        sanitize_line(&format!("{claim}observed {}", row.verdict_label())),
    );
    render_two_lines(status, line, sanitize_line(&phrases::reason(row)), style)
}

fn render_cause(group: &CauseGroup<'_, '_>, status: RowStatus, style: TerminalStyle) -> String {
    let line = format!("{} {}", colorize(TextColor::Bold, group.heading), group.describe());
    let ids: Vec<String> = group.rows.iter().map(|row| sanitize_line(&row.id)).collect();
    render_two_lines(status, line, ids.join(", "), style)
}

fn render_not_run(group: &NotRunGroup<'_, '_>, style: TerminalStyle) -> String {
    let rows = format::plural(group.ids.len() as u64, "row", "rows");
    let line = format!("{} {rows} skipped: {}", colorize(TextColor::Bold, group.heading), group.reason);
    render_two_lines(RowStatus::Undetermined, line, sanitize_line(&group.ids.join(", ")), style)
}

/// A paragraph with a hanging mark, and a paragraph below.
fn render_two_lines(status: RowStatus, line: String, below: String, style: TerminalStyle) -> String {
    let [line, below] = [line, below].map(|text| style.render_paragraph(2 * INDENT_WIDTH, text));
    let mark = colorize(status_color(status), style.mark(status));
    format!("{}{mark} {}{below}", " ".repeat(INDENT_WIDTH), line.trim_start_matches(' '))
}
