//! Protocol violations, whatever row they were seen in.

use crate::report::common::matrix::Matrix;
use crate::report::common::sanitize::{one_line, shorten};
use crate::report::common::{doc_links, format};
use crate::report::markdown::escape::{Table, code, escape, link};
use crate::results::model::Severity;

/// Enough to recognise it; the results file has all of it.
const EXAMPLE: usize = 200;
/// The most rows that are named.
const ROWS: usize = 10;

/// The first rows; the results file has all of them.
fn rows(all: &[String]) -> String {
    let named = all.iter().take(ROWS).map(|row| code(row)).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(ROWS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A check that links to its page, as seen from a file in this repository.
pub(super) fn in_this_repository(check: &str) -> String {
    format!("[{0}](/docs/checks/{0}.md)", escape(&one_line(check)))
}

/// A check that links to its page from anywhere, where its address is known.
pub(super) fn anywhere(check: &str) -> String {
    link(&one_line(check), doc_links::of_check(check).as_deref())
}

/// A table per run; nothing where nothing was found.
pub(super) fn render(matrix: &Matrix<'_>, page: fn(&str) -> String) -> String {
    let found: Vec<_> = matrix.columns.iter().filter(|column| !column.run.findings.is_empty()).collect();
    if found.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "## Findings\n\nBreaches of the protocol, seen in passing in the exchanges of any row. Each has a page in the repository of fieldtest.\n",
    );
    for column in found {
        if matrix.columns.len() > 1 {
            out.push_str(&format!("\n### {}\n", escape(&column.heading)));
        }
        let header = ["Check", "Severity", "Seen", "Rows", "Example"];
        let mut table = Table::new(header.map(str::to_owned).to_vec());
        for finding in &column.run.findings {
            let severity = match finding.severity {
                Severity::Error => "**error**",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            table.row(vec![
                page(&finding.check),
                severity.to_owned(),
                format::counted(finding.count, "time", "times"),
                rows(&finding.rows),
                code(&shorten(&one_line(&finding.example), EXAMPLE)),
            ]);
        }
        out.push_str(&format!("\n{}", table.finish()));
    }
    out
}
