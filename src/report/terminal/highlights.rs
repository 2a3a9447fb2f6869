//! Why: the rows of several runs that are not plainly conforming, each with its reason.

use crate::report::common::highlights::NotRun;
use crate::report::common::matrix::{Entry, Matrix};
use crate::report::common::row_status::Standing;
use crate::report::common::sanitize::one_line;
use crate::report::common::{format, highlights, phrases};
use crate::report::terminal::color::{Ink, paint};
use crate::report::terminal::table::Grid;
use crate::report::terminal::{TerminalStyle, heading, ink_of};

const INDENT: usize = 2;

/// A list for each standing that needs a word.
pub(super) fn render(matrix: &Matrix<'_>, style: TerminalStyle) -> String {
    let mut out = String::new();
    for list in highlights::of(matrix) {
        out.push_str(&heading(&format!("{} ({})", list.title, format::count(list.len() as u64)), style));
        out.extend(list.tried.iter().map(|entry| item(entry, style)));
        out.extend(list.not_run.iter().map(|group| not_run(group, style)));
    }
    out
}

fn item(entry: &Entry<'_, '_>, style: TerminalStyle) -> String {
    let row = entry.row;
    let claim = row.claim.as_ref().map_or(String::new(), |claim| {
        let said = phrases::claim_words(claim).map_or(String::new(), |said| format!(" ({said})"));
        format!("claimed {}{said}, ", claim.status.word())
    });
    let standing = Standing::of(row);
    let line = format!(
        "{} {}: {}",
        paint(Ink::Bold, &entry.column.heading),
        one_line(&row.id),
        one_line(&format!("{claim}observed {}", row.observed())),
    );
    two_lines(standing, line, one_line(&phrases::why(row)), style)
}

fn not_run(group: &NotRun<'_, '_>, style: TerminalStyle) -> String {
    let rows = format::counted(group.ids.len() as u64, "row", "rows");
    let line = format!("{} {rows} skipped: {}", paint(Ink::Bold, group.heading), group.reason);
    two_lines(Standing::Undetermined, line, one_line(&group.ids.join(", ")), style)
}

/// A paragraph with the mark hanging before it, and one below.
fn two_lines(standing: Standing, line: String, below: String, style: TerminalStyle) -> String {
    let grid = Grid::paragraph(2 * INDENT, style.columns());
    let (line, below) = (grid.row(vec![line]), grid.row(vec![below]));
    let mark = paint(ink_of(standing), style.mark(standing));
    format!("{}{mark} {}{below}", " ".repeat(INDENT), line.trim_start_matches(' '))
}
