//! The protocol faults of each run.

use crate::checks::CheckSeverity;
use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::phrases;
use crate::report::common::sanitize::{sanitize_line, shorten};
use crate::report::terminal::color::{TextColor, colorize};
use crate::report::terminal::style::TerminalStyle;
use crate::results::model::FindingSummary;

/// Two lines of an example are enough to recognize it. The results file has all of it.
const MAX_EXAMPLE_CHARS: usize = 140;

/// One item per check; empty without findings.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let has_several = matrix.columns.len() > 1;
    let mut out = String::new();
    for column in matrix.columns.iter().filter(|column| !column.run.findings.is_empty()) {
        let run = if has_several { format!(", {}", column.heading) } else { String::new() };
        out.push_str(&style.render_heading(&format!("Findings{run}")));
        for finding in &column.run.findings {
            out.push_str(&style.render_paragraph(2, describe_finding(finding)));
            let example = shorten(&sanitize_line(&finding.example), MAX_EXAMPLE_CHARS);
            if !example.is_empty() {
                out.push_str(&style.render_paragraph(4, example));
            }
        }
    }
    out
}

fn describe_finding(finding: &FindingSummary) -> String {
    let color = match finding.severity {
        CheckSeverity::Error => TextColor::Red,
        CheckSeverity::Warning => TextColor::Yellow,
        CheckSeverity::Note => TextColor::Dim,
    };
    let severity = colorize(color, finding.severity.as_str());
    let rows = sanitize_line(&finding.rows.join(", "));
    let rows = if rows.is_empty() { rows } else { format!(": {rows}") };
    format!("{severity}: {}, {}{rows}", sanitize_line(&finding.check), phrases::describe_occurrences(finding))
}
