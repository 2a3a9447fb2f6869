//! A difference between two runs, on a terminal: what was lost first.

use crate::report::common::diff_phrases;
use crate::report::common::sanitize::{one_line, shorten};
use crate::report::terminal::color::{Ink, paint};
use crate::report::terminal::table::Grid;
use crate::report::terminal::{TerminalStyle, color, heading};
use crate::results::diff::{Diff, FindingKind, RowKind};

/// Enough of a reason to recognise it; the results files have all of it.
const WHY: usize = 400;

/// The whole of it.
pub fn render(diff: &Diff, style: TerminalStyle) -> String {
    let across = diff.is_across();
    let indented = Grid::paragraph(2, style.columns());
    let mut out =
        Grid::paragraph(0, style.columns()).row(vec![paint(Ink::Bold, &one_line(&diff_phrases::title(diff)))]);
    out.extend(diff_phrases::sides(diff).iter().map(|side| indented.row(vec![one_line(side)])));
    out.extend(diff.notes.iter().map(|note| indented.row(vec![paint(Ink::Yellow, &one_line(note))])));
    for kind in RowKind::ALL {
        let changes: Vec<_> = diff.rows.iter().filter(|change| change.kind == kind).collect();
        if changes.is_empty() {
            continue;
        }
        out.push_str(&heading(&format!("{} ({})", diff_phrases::rows(kind, across), changes.len()), style));
        for change in changes {
            let [before, after] = diff_phrases::states(change);
            out.push_str(&item(&change.row, &before, &after, &change.why, ink_of(kind, change.regression), style));
        }
    }
    for kind in FindingKind::ALL {
        let changes: Vec<_> = diff.findings.iter().filter(|change| change.kind == kind).collect();
        if changes.is_empty() {
            continue;
        }
        out.push_str(&heading(&format!("{} ({})", diff_phrases::findings(kind, across), changes.len()), style));
        for change in changes {
            let [before, after] = [&change.before, &change.after].map(|state| diff_phrases::sight(state.as_ref()));
            let ink = if change.regression { Ink::Red } else { Ink::Bold };
            out.push_str(&item(&change.check, &before, &after, &change.why, ink, style));
        }
    }
    out.push('\n');
    out.push_str(&Grid::paragraph(0, style.columns()).row(vec![diff_phrases::summary(diff)]));
    color::develop(&out, style.colour)
}

fn item(id: &str, before: &str, after: &str, why: &str, ink: Ink, style: TerminalStyle) -> String {
    let arrow = if style.unicode { "→" } else { "->" };
    let absent = |state: &str| if state == "—" && !style.unicode { "-".to_owned() } else { one_line(state) };
    let line = format!("{}: {} {arrow} {}", paint(ink, &one_line(id)), absent(before), absent(after));
    let mut out = Grid::paragraph(2, style.columns()).row(vec![line]);
    let why = shorten(&one_line(why), WHY);
    if !why.is_empty() {
        out.push_str(&Grid::paragraph(4, style.columns()).row(vec![paint(Ink::Dim, &why)]));
    }
    out
}

fn ink_of(kind: RowKind, regression: bool) -> Ink {
    match kind {
        _ if regression => Ink::Red,
        RowKind::Undetermined | RowKind::Changed => Ink::Yellow,
        RowKind::Lost | RowKind::Gone => Ink::Red,
        RowKind::Gained | RowKind::Decided | RowKind::Outcome | RowKind::Come => Ink::Bold,
    }
}
