//! The differences between two runs: one table per kind of change.

use crate::report::common::diff_phrases;
use crate::report::markdown::escape::{MarkdownTable, code_span, escape};
use crate::results::diff::{FindingKind, ResultsDiff, RowKind};

/// The whole diff.
pub fn render(diff: &ResultsDiff) -> String {
    let across = diff.is_cross_target();
    let mut out = format!("# {}\n\n", escape(&diff_phrases::title(diff)));
    out.extend(diff_phrases::describe_pair(diff).iter().chain(&diff.notes).map(|line| format!("- {}\n", escape(line))));
    out.push_str(&format!("\n{}\n", escape(&diff_phrases::summarise(diff))));
    for kind in RowKind::ALL {
        let rows = diff.rows.iter().filter(|change| change.kind == kind).map(|change| {
            let [before, after] = diff_phrases::describe_states(change);
            vec![code_span(&change.row), escape(&before), escape(&after), escape(&change.why)]
        });
        out.push_str(&render_section(diff_phrases::row_heading(kind, across), "row", rows.collect()));
    }
    for kind in FindingKind::ALL {
        let rows = diff.findings.iter().filter(|change| change.kind == kind).map(|change| {
            let [before, after] =
                [&change.before, &change.after].map(|state| diff_phrases::finding_state(state.as_ref()));
            vec![code_span(&change.check), before, after, code_span(&change.why)]
        });
        out.push_str(&render_section(diff_phrases::finding_heading(kind, across), "check", rows.collect()));
    }
    out
}

fn render_section(title: &str, subject: &str, rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let count = rows.len();
    let mut table = MarkdownTable::new([subject, "before", "after", "why"].map(str::to_owned).to_vec());
    rows.into_iter().for_each(|row| table.add_row(row));
    format!("\n## {title} ({count})\n\n{}", table.finish())
}
