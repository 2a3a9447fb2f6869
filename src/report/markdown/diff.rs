//! A difference for GitHub: a table per kind of change, `row | before | after | why`.

use crate::report::common::diff_phrases;
use crate::report::markdown::escape::{Table, code, escape};
use crate::results::diff::model::{Diff, FindingKind, RowKind};

/// The whole of it.
pub fn render(diff: &Diff) -> String {
    let across = diff.is_across();
    let mut out = format!("# {}\n\n", escape(&diff_phrases::title(diff)));
    out.extend(diff_phrases::sides(diff).iter().chain(&diff.notes).map(|line| format!("- {}\n", escape(line))));
    out.push_str(&format!("\n{}\n", escape(&diff_phrases::summary(diff))));
    for kind in RowKind::ALL {
        let rows = diff.rows.iter().filter(|change| change.kind == kind).map(|change| {
            let [before, after] = diff_phrases::states(change);
            vec![code(&change.row), escape(&before), escape(&after), escape(&change.why)]
        });
        out.push_str(&section(diff_phrases::rows(kind, across), "row", rows.collect()));
    }
    for kind in FindingKind::ALL {
        let rows = diff.findings.iter().filter(|change| change.kind == kind).map(|change| {
            let (before, after) =
                (diff_phrases::sight(change.before.as_ref()), diff_phrases::sight(change.after.as_ref()));
            vec![code(&change.check), before, after, code(&change.why)]
        });
        out.push_str(&section(diff_phrases::findings(kind, across), "check", rows.collect()));
    }
    out
}

fn section(title: &str, what: &str, rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let count = rows.len();
    let mut table = Table::new([what, "before", "after", "why"].map(str::to_owned).to_vec());
    rows.into_iter().for_each(|row| table.row(row));
    format!("\n## {title} ({count})\n\n{}", table.finish())
}
