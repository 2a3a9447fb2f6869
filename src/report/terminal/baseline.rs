//! How each run stands to its baseline: what needs a reader first stands first.

use crate::report::common::matrix::Matrix;
use crate::report::common::phrases;
use crate::report::common::sanitize::{one_line, shorten};
use crate::report::terminal::color::{Ink, paint, unbroken};
use crate::report::terminal::table::Grid;
use crate::report::terminal::{TerminalStyle, heading};
use crate::results::baseline::{Case, Cause, Entry, Held, State};

/// Enough of a reason to recognise it; the results file has all of it.
const WHY: usize = 400;

/// A list for each run that was held against a baseline; nothing where none was.
pub(super) fn render(matrix: &Matrix<'_>, style: TerminalStyle) -> String {
    let several = matrix.columns.len() > 1;
    let mut out = String::new();
    for column in &matrix.columns {
        let Some(held) = &column.run.baseline else { continue };
        let whose = if several { format!("{}, ", column.heading) } else { String::new() };
        out.push_str(&heading(
            &format!("{whose}{} {}", if several { "held against" } else { "Held against" }, one_line(&held.file)),
            style,
        ));
        out.push_str(&body(held, style));
    }
    out
}

fn body(held: &Held, style: TerminalStyle) -> String {
    let grid = Grid::paragraph(2, style.columns());
    let mut out = String::new();
    for note in phrases::baseline_notes(held) {
        out.push_str(&grid.row(vec![paint(Ink::Yellow, &one_line(&note))]));
    }
    let counts = phrases::baseline_counts(held).into_iter().map(|(case, told)| {
        let told = unbroken(&told);
        case.map_or(told.clone(), |case| paint(ink_of(case), &told))
    });
    let counts: Vec<String> = counts.collect();
    out.push_str(&grid.row(vec![counts.join("  ")]));
    for case in Case::ALL {
        out.extend(held.of_case(case).map(|entry| item(entry, style)));
    }
    out
}

fn item(entry: &Entry, style: TerminalStyle) -> String {
    let word = |state: Option<State>| state.map_or("-", State::word);
    let arrow = if style.unicode { "→" } else { "->" };
    let change = format!("{} {arrow} {}", word(entry.before), word(entry.now));
    let cause = entry.cause.map_or(String::new(), |cause: Cause| format!(" ({})", cause.words()));
    let line = format!(
        "{}: {}, {change}{cause}",
        paint(ink_of(entry.case), phrases::case(entry.case)),
        one_line(entry.subject.id())
    );
    let below = Grid::paragraph(4, style.columns());
    let mut out = Grid::paragraph(2, style.columns()).row(vec![line]);
    out.push_str(&below.row(vec![shorten(&one_line(&entry.why), WHY)]));
    if let Some(said) = phrases::listed(entry) {
        out.push_str(&below.row(vec![paint(Ink::Dim, &one_line(&said))]));
    }
    out
}

/// Nothing here is green: what is expected is still broken.
fn ink_of(case: Case) -> Ink {
    match case {
        Case::Regression => Ink::Red,
        Case::Stale => Ink::Magenta,
        Case::Unconfirmed => Ink::Yellow,
        Case::NotRun | Case::Expected => Ink::Dim,
    }
}
