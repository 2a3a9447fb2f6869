//! Protocol violations, whatever row they were seen in.

use crate::checks::CheckSeverity;
use crate::report::common::format;
use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::sanitize::{sanitize_line, shorten};
use crate::report::terminal::color::{TextColor, colorize};
use crate::report::terminal::table::FixedTable;
use crate::report::terminal::{TerminalStyle, render_heading};
use crate::results::model::FindingSummary;

/// Two lines of an example are enough to recognise it; the results file has all of it.
const MAX_EXAMPLE_CHARS: usize = 140;

/// One item per check; nothing where nothing was found.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let several = matrix.columns.len() > 1;
    let mut out = String::new();
    for column in matrix.columns.iter().filter(|column| !column.run.findings.is_empty()) {
        let whose = if several { format!(", {}", column.heading) } else { String::new() };
        out.push_str(&render_heading(&format!("Findings{whose}"), style));
        for finding in &column.run.findings {
            let line = FixedTable::paragraph(2, style.table_width()).render_row(vec![describe_finding(finding)]);
            let example = FixedTable::paragraph(4, style.table_width())
                .render_row(vec![shorten(&sanitize_line(&finding.example), MAX_EXAMPLE_CHARS)]);
            out.push_str(&line);
            if !example.trim().is_empty() {
                out.push_str(&example);
            }
        }
    }
    out
}

fn describe_finding(finding: &FindingSummary) -> String {
    let ink = match finding.severity {
        CheckSeverity::Error => TextColor::Red,
        CheckSeverity::Warning => TextColor::Yellow,
        CheckSeverity::Note => TextColor::Dim,
    };
    let seen = format::plural(finding.count, "time", "times");
    let rows = sanitize_line(&finding.rows.join(", "));
    let place = if rows.is_empty() { String::new() } else { format!(" in {rows}") };
    format!("{}: {}, {seen}{place}", colorize(ink, finding.severity.as_str()), sanitize_line(&finding.check))
}
