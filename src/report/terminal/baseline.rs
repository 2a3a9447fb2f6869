//! How each run stands to its baseline: what needs a reader first stands first.

use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::phrases;
use crate::report::common::sanitize::{sanitize_line, shorten};
use crate::report::terminal::color::{TextColor, colorize, use_no_break_spaces};
use crate::report::terminal::table::FixedTable;
use crate::report::terminal::{TerminalStyle, render_heading};
use crate::results::baseline::{BaselineComparison, BaselineEntry, EntryState, EntryStatus, RegressionCause};

/// Enough of a reason to recognise it; the results file has all of it.
const MAX_REASON_CHARS: usize = 400;

/// A list for each run that was held against a baseline; nothing where none was.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let several = matrix.columns.len() > 1;
    let mut out = String::new();
    for column in &matrix.columns {
        let Some(held) = &column.run.baseline else { continue };
        let whose = if several { format!("{}, ", column.heading) } else { String::new() };
        out.push_str(&render_heading(
            &format!("{whose}{} {}", if several { "held against" } else { "Held against" }, sanitize_line(&held.file)),
            style,
        ));
        out.push_str(&render_comparison(held, style));
    }
    out
}

fn render_comparison(held: &BaselineComparison, style: TerminalStyle) -> String {
    let grid = FixedTable::paragraph(2, style.table_width());
    let mut out = String::new();
    for note in phrases::baseline_notes(held) {
        out.push_str(&grid.render_row(vec![colorize(TextColor::Yellow, &sanitize_line(&note))]));
    }
    let counts = phrases::baseline_counts(held).into_iter().map(|(case, told)| {
        let told = use_no_break_spaces(&told);
        case.map_or(told.clone(), |case| colorize(entry_color(case), &told))
    });
    let counts: Vec<String> = counts.collect();
    out.push_str(&grid.render_row(vec![counts.join("  ")]));
    for case in EntryStatus::ALL {
        out.extend(held.entries_with_status(case).map(|entry| render_entry(entry, style)));
    }
    out
}

fn render_entry(entry: &BaselineEntry, style: TerminalStyle) -> String {
    let word = |state: Option<EntryState>| state.map_or("-", EntryState::as_str);
    let arrow = if style.unicode { "→" } else { "->" };
    let change = format!("{} {arrow} {}", word(entry.before), word(entry.now));
    let cause = entry.cause.map_or(String::new(), |cause: RegressionCause| format!(" ({})", cause.describe()));
    let line = format!(
        "{}: {}, {change}{cause}",
        colorize(entry_color(entry.case), phrases::entry_status(entry.case)),
        sanitize_line(entry.subject.id())
    );
    let below = FixedTable::paragraph(4, style.table_width());
    let mut out = FixedTable::paragraph(2, style.table_width()).render_row(vec![line]);
    out.push_str(&below.render_row(vec![shorten(&sanitize_line(&entry.why), MAX_REASON_CHARS)]));
    if let Some(said) = phrases::describe_expectation(entry) {
        out.push_str(&below.render_row(vec![colorize(TextColor::Dim, &sanitize_line(&said))]));
    }
    out
}

/// Nothing here is green: what is expected is still broken.
fn entry_color(case: EntryStatus) -> TextColor {
    match case {
        EntryStatus::Regression => TextColor::Red,
        EntryStatus::Stale => TextColor::Magenta,
        EntryStatus::Unconfirmed => TextColor::Yellow,
        EntryStatus::NotRun | EntryStatus::Expected => TextColor::Dim,
    }
}
