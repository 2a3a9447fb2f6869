//! Protocol violations, whatever row they were seen in.

use crate::checks::CheckSeverity;
use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::sanitize::{sanitize_line, shorten};
use crate::report::common::{doc_links, format};
use crate::report::markdown::escape::{MarkdownTable, code_span, escape, render_link};

/// Enough to recognise it; the results file has all of it.
const MAX_EXAMPLE_CHARS: usize = 200;
/// The most rows that are named.
const MAX_NAMED_ROWS: usize = 10;

/// The first rows; the results file has all of them.
fn render_rows(all: &[String]) -> String {
    let named = all.iter().take(MAX_NAMED_ROWS).map(|row| code_span(row)).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MAX_NAMED_ROWS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A check that links to its page, as seen from a file in this repository.
pub(super) fn repository_check_link(check: &str) -> String {
    format!("[{0}](/docs/checks/{0}.md)", escape(&sanitize_line(check)))
}

/// A check that links to its page from anywhere, where its address is known.
pub(super) fn absolute_check_link(check: &str) -> String {
    render_link(&sanitize_line(check), doc_links::check_page(check).as_deref())
}

/// A table per run; nothing where nothing was found.
pub(super) fn render(matrix: &ResultsMatrix<'_>, page: fn(&str) -> String) -> String {
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
        let mut table = MarkdownTable::new(header.map(str::to_owned).to_vec());
        for finding in &column.run.findings {
            let severity = match finding.severity {
                CheckSeverity::Error => "**error**",
                CheckSeverity::Warning => "warning",
                CheckSeverity::Note => "note",
            };
            table.add_row(vec![
                page(&finding.check),
                severity.to_owned(),
                format::plural(finding.count, "time", "times"),
                render_rows(&finding.rows),
                code_span(&shorten(&sanitize_line(&finding.example), MAX_EXAMPLE_CHARS)),
            ]);
        }
        out.push_str(&format!("\n{}", table.finish()));
    }
    out
}
