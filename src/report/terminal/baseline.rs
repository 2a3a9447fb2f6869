//! The comparison of each run with its baseline, most important entries first.

use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::phrases;
use crate::report::common::sanitize::{sanitize_line, shorten};
use crate::report::terminal::color::{TextColor, colorize, use_no_break_spaces};
use crate::report::terminal::style::TerminalStyle;
use crate::results::baseline::{BaselineComparison, BaselineEntry, EntryState, EntryStatus, RegressionCause};

/// Enough of a reason to recognize it. The results file has all of it.
const MAX_REASON_CHARS: usize = 400;

/// A list for each run with a baseline; empty without any.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let has_several = matrix.columns.len() > 1;
    let mut out = String::new();
    for column in &matrix.columns {
        let Some(comparison) = &column.run.baseline else { continue };
        let file = sanitize_line(&comparison.file);
        out.push_str(&style.render_heading(&if has_several {
            format!("{}, compared with {file}", column.heading)
        } else {
            format!("Compared with {file}")
        }));
        out.push_str(&render_comparison(comparison, style));
    }
    out
}

fn render_comparison(comparison: &BaselineComparison, style: TerminalStyle) -> String {
    let mut out = String::new();
    for note in phrases::baseline_notes(comparison) {
        out.push_str(&style.render_paragraph(2, colorize(TextColor::Yellow, &sanitize_line(&note))));
    }
    let counts = phrases::baseline_counts(comparison).into_iter().map(|(status, count)| {
        let count = use_no_break_spaces(&count);
        status.map_or(count.clone(), |status| colorize(entry_color(status), &count))
    });
    out.push_str(&style.render_paragraph(2, counts.collect::<Vec<_>>().join("  ")));
    for status in EntryStatus::ALL {
        out.extend(comparison.entries_with_status(status).map(|entry| render_entry(entry, style)));
    }
    out
}

fn render_entry(entry: &BaselineEntry, style: TerminalStyle) -> String {
    let word = |state: Option<EntryState>| state.map_or("-", EntryState::as_str);
    let change = format!("{} {} {}", word(entry.before), style.arrow(), word(entry.now));
    let cause = entry.cause.map_or(String::new(), |cause: RegressionCause| format!(" ({})", cause.describe()));
    let status = colorize(entry_color(entry.case), phrases::entry_status(entry.case));
    let mut out =
        style.render_paragraph(2, format!("{status}: {}, {change}{cause}", sanitize_line(entry.subject.id())));
    out.push_str(&style.render_paragraph(4, shorten(&sanitize_line(&entry.why), MAX_REASON_CHARS)));
    if let Some(expectation) = phrases::describe_expectation(entry) {
        out.push_str(&style.render_paragraph(4, colorize(TextColor::Dim, &sanitize_line(&expectation))));
    }
    out
}

/// No status is green: an expected failure is still a failure.
fn entry_color(status: EntryStatus) -> TextColor {
    match status {
        EntryStatus::Regression => TextColor::Red,
        EntryStatus::Stale => TextColor::Magenta,
        EntryStatus::Unconfirmed => TextColor::Yellow,
        EntryStatus::NotRun | EntryStatus::Expected => TextColor::Dim,
    }
}
