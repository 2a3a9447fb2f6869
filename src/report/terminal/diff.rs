//! A difference between two runs, on a terminal: what was lost first.

use crate::report::common::diff_phrases;
use crate::report::common::sanitize::{sanitize_line, shorten};
use crate::report::terminal::color::{TextColor, colorize};
use crate::report::terminal::table::FixedTable;
use crate::report::terminal::{TerminalStyle, color, render_heading};
use crate::results::diff::{FindingKind, ResultsDiff, RowKind};

/// Enough of a reason to recognise it; the results files have all of it.
const MAX_REASON_CHARS: usize = 400;

/// The whole of it.
pub fn render(diff: &ResultsDiff, style: TerminalStyle) -> String {
    let across = diff.is_cross_target();
    let indented = FixedTable::paragraph(2, style.table_width());
    let mut out = FixedTable::paragraph(0, style.table_width())
        .render_row(vec![colorize(TextColor::Bold, &sanitize_line(&diff_phrases::title(diff)))]);
    out.extend(diff_phrases::describe_pair(diff).iter().map(|side| indented.render_row(vec![sanitize_line(side)])));
    out.extend(
        diff.notes.iter().map(|note| indented.render_row(vec![colorize(TextColor::Yellow, &sanitize_line(note))])),
    );
    for kind in RowKind::ALL {
        let changes: Vec<_> = diff.rows.iter().filter(|change| change.kind == kind).collect();
        if changes.is_empty() {
            continue;
        }
        out.push_str(&render_heading(
            &format!("{} ({})", diff_phrases::row_heading(kind, across), changes.len()),
            style,
        ));
        for change in changes {
            let [before, after] = diff_phrases::describe_states(change);
            out.push_str(&render_change(
                &change.row,
                &before,
                &after,
                &change.why,
                change_color(kind, change.regression),
                style,
            ));
        }
    }
    for kind in FindingKind::ALL {
        let changes: Vec<_> = diff.findings.iter().filter(|change| change.kind == kind).collect();
        if changes.is_empty() {
            continue;
        }
        out.push_str(&render_heading(
            &format!("{} ({})", diff_phrases::finding_heading(kind, across), changes.len()),
            style,
        ));
        for change in changes {
            let [before, after] =
                [&change.before, &change.after].map(|state| diff_phrases::finding_state(state.as_ref()));
            let ink = if change.regression { TextColor::Red } else { TextColor::Bold };
            out.push_str(&render_change(&change.check, &before, &after, &change.why, ink, style));
        }
    }
    out.push('\n');
    out.push_str(&FixedTable::paragraph(0, style.table_width()).render_row(vec![diff_phrases::summarise(diff)]));
    color::to_ansi(&out, style.colour)
}

fn render_change(id: &str, before: &str, after: &str, why: &str, ink: TextColor, style: TerminalStyle) -> String {
    let arrow = if style.unicode { "→" } else { "->" };
    let absent = |state: &str| if state == "—" && !style.unicode { "-".to_owned() } else { sanitize_line(state) };
    let line = format!("{}: {} {arrow} {}", colorize(ink, &sanitize_line(id)), absent(before), absent(after));
    let mut out = FixedTable::paragraph(2, style.table_width()).render_row(vec![line]);
    let why = shorten(&sanitize_line(why), MAX_REASON_CHARS);
    if !why.is_empty() {
        out.push_str(&FixedTable::paragraph(4, style.table_width()).render_row(vec![colorize(TextColor::Dim, &why)]));
    }
    out
}

fn change_color(kind: RowKind, regression: bool) -> TextColor {
    match kind {
        _ if regression => TextColor::Red,
        RowKind::Undetermined | RowKind::Changed => TextColor::Yellow,
        RowKind::Lost | RowKind::Gone => TextColor::Red,
        RowKind::Gained | RowKind::Decided | RowKind::Outcome | RowKind::Come => TextColor::Bold,
    }
}
