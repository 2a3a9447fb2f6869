//! Why: the rows of several runs that are not plainly conforming, each with its reason.

use crate::report::common::highlights::NotRunGroup;
use crate::report::common::matrix::{Cell, ResultsMatrix};
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::sanitize_line;
use crate::report::common::{format, highlights, phrases};
use crate::report::terminal::color::{TextColor, colorize};
use crate::report::terminal::table::FixedTable;
use crate::report::terminal::{TerminalStyle, render_heading, status_color};

const INDENT_WIDTH: usize = 2;

/// A list for each standing that needs a word.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let mut out = String::new();
    for list in highlights::group_highlights(matrix) {
        out.push_str(&render_heading(
            &format!("{} ({})", list.title, format::with_thousands(list.len() as u64)),
            style,
        ));
        out.extend(list.cells.iter().map(|entry| render_row(entry, style)));
        out.extend(list.not_run.iter().map(|group| render_not_run(group, style)));
    }
    out
}

fn render_row(entry: &Cell<'_, '_>, style: TerminalStyle) -> String {
    let row = entry.row;
    let claim = row.claim.as_ref().map_or(String::new(), |claim| {
        let said = phrases::describe_claim(claim).map_or(String::new(), |said| format!(" ({said})"));
        format!("claimed {}{said}, ", claim.status.as_str())
    });
    let standing = RowStatus::from_row(row);
    let line = format!(
        "{} {}: {}",
        colorize(TextColor::Bold, &entry.column.heading),
        sanitize_line(&row.id),
        sanitize_line(&format!("{claim}observed {}", row.verdict_label())),
    );
    render_two_lines(standing, line, sanitize_line(&phrases::reason(row)), style)
}

fn render_not_run(group: &NotRunGroup<'_, '_>, style: TerminalStyle) -> String {
    let rows = format::plural(group.ids.len() as u64, "row", "rows");
    let line = format!("{} {rows} skipped: {}", colorize(TextColor::Bold, group.heading), group.reason);
    render_two_lines(RowStatus::Undetermined, line, sanitize_line(&group.ids.join(", ")), style)
}

/// A paragraph with the mark hanging before it, and one below.
fn render_two_lines(standing: RowStatus, line: String, below: String, style: TerminalStyle) -> String {
    let grid = FixedTable::paragraph(2 * INDENT_WIDTH, style.table_width());
    let (line, below) = (grid.render_row(vec![line]), grid.render_row(vec![below]));
    let mark = colorize(status_color(standing), style.mark(standing));
    format!("{}{mark} {}{below}", " ".repeat(INDENT_WIDTH), line.trim_start_matches(' '))
}
