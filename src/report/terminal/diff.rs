//! The differences between two runs, losses first.

use crate::report::common::diff_phrases;
use crate::report::common::sanitize::{sanitize_line, shorten};
use crate::report::terminal::color::{TextColor, colorize, to_ansi};
use crate::report::terminal::style::TerminalStyle;
use crate::results::diff::{FindingKind, ResultsDiff, RowKind};

/// Enough of a reason to recognize it. The results files have all of it.
const MAX_REASON_CHARS: usize = 400;

/// The whole diff.
pub fn render(diff: &ResultsDiff, style: TerminalStyle) -> String {
    let across = diff.is_cross_target();
    let title = colorize(TextColor::Bold, &sanitize_line(&diff_phrases::title(diff)));
    let mut out = style.render_paragraph(0, title);
    out.extend(diff_phrases::describe_pair(diff).iter().map(|side| style.render_paragraph(2, sanitize_line(side))));
    let notes = diff.notes.iter().map(|note| colorize(TextColor::Yellow, &sanitize_line(note)));
    out.extend(notes.map(|note| style.render_paragraph(2, note)));
    for kind in RowKind::ALL {
        let changes = diff.rows.iter().filter(|change| change.kind == kind).map(|change| {
            let states = diff_phrases::describe_states(change);
            render_change(&change.row, states, &change.why, change_color(kind, change.regression), style)
        });
        out.push_str(&render_section(diff_phrases::row_heading(kind, across), changes.collect(), style));
    }
    for kind in FindingKind::ALL {
        let changes = diff.findings.iter().filter(|change| change.kind == kind).map(|change| {
            let states = [&change.before, &change.after].map(|state| diff_phrases::finding_state(state.as_ref()));
            let color = if change.regression { TextColor::Red } else { TextColor::Bold };
            render_change(&change.check, states, &change.why, color, style)
        });
        out.push_str(&render_section(diff_phrases::finding_heading(kind, across), changes.collect(), style));
    }
    out.push('\n');
    out.push_str(&style.render_paragraph(0, diff_phrases::summarise(diff)));
    to_ansi(&out, style.colour)
}

fn render_section(title: &str, changes: Vec<String>, style: TerminalStyle) -> String {
    if changes.is_empty() {
        return String::new();
    }
    style.render_heading(&format!("{title} ({})", changes.len())) + &changes.concat()
}

fn render_change(id: &str, states: [String; 2], why: &str, color: TextColor, style: TerminalStyle) -> String {
    let [before, after] = states.map(|state| match state.as_str() {
        "—" if !style.unicode => "-".to_owned(),
        _ => sanitize_line(&state),
    });
    let line = format!("{}: {before} {} {after}", colorize(color, &sanitize_line(id)), style.arrow());
    let mut out = style.render_paragraph(2, line);
    let why = shorten(&sanitize_line(why), MAX_REASON_CHARS);
    if !why.is_empty() {
        out.push_str(&style.render_paragraph(4, colorize(TextColor::Dim, &why)));
    }
    out
}

fn change_color(kind: RowKind, regression: bool) -> TextColor {
    match kind {
        _ if regression => TextColor::Red,
        RowKind::Undetermined | RowKind::Changed => TextColor::Yellow,
        RowKind::Lost | RowKind::Removed => TextColor::Red,
        RowKind::Gained | RowKind::Decided | RowKind::Outcome | RowKind::Added => TextColor::Bold,
    }
}
