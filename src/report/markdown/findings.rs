//! The protocol faults of each run.

use crate::report::common::page::{FindingView, PageView};
use crate::report::markdown::escape::{MarkdownTable, code_span, escape, render_link};

/// At most this many rows of a finding are named. The results file has all of them.
const MAX_NAMED_ROWS: usize = 10;

/// A link to the page of a check that works in a file of this repository.
pub(super) fn repository_check_link(finding: &FindingView) -> String {
    format!("[{0}](/docs/checks/{0}.md)", escape(&finding.check))
}

/// A link to the page of a check that works anywhere, if the address is known.
pub(super) fn absolute_check_link(finding: &FindingView) -> String {
    render_link(&finding.check, finding.href.as_deref())
}

/// One table per run; empty without findings.
pub(super) fn render(page: &PageView, link: fn(&FindingView) -> String) -> String {
    if page.findings.is_empty() {
        return String::new();
    }
    let mut out = format!("## Findings\n\n{}\n", page.findings_note);
    for run in &page.findings {
        if page.runs.len() > 1 {
            out.push_str(&format!("\n### {}\n", escape(&run.heading)));
        }
        let header = ["Check", "Severity", "Found", "Rows", "Example"];
        let mut table = MarkdownTable::new(header.map(str::to_owned).to_vec());
        for finding in &run.findings {
            let severity = if finding.severity == "error" { "**error**" } else { finding.severity };
            table.add_row(vec![
                link(finding),
                severity.to_owned(),
                finding.occurrences.clone(),
                render_rows(&finding.rows),
                code_span(&finding.example),
            ]);
        }
        out.push_str(&format!("\n{}", table.finish()));
    }
    out
}

fn render_rows(rows: &[String]) -> String {
    let named = rows.iter().take(MAX_NAMED_ROWS).map(|row| code_span(row)).collect::<Vec<_>>().join(", ");
    match rows.len().saturating_sub(MAX_NAMED_ROWS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
