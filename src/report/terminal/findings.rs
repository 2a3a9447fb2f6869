//! Protocol violations, whatever row they were seen in.

use crate::report::common::format;
use crate::report::common::matrix::Matrix;
use crate::report::common::sanitize::{one_line, shorten};
use crate::report::terminal::color::{Ink, paint};
use crate::report::terminal::table::Grid;
use crate::report::terminal::{TerminalStyle, heading};
use crate::results::model::{Finding, Severity};

/// Two lines of an example are enough to recognise it; the results file has all of it.
const EXAMPLE: usize = 140;

/// One item per check; nothing where nothing was found.
pub(super) fn render(matrix: &Matrix<'_>, style: TerminalStyle) -> String {
    let several = matrix.columns.len() > 1;
    let mut out = String::new();
    for column in matrix.columns.iter().filter(|column| !column.run.findings.is_empty()) {
        let whose = if several { format!(", {}", column.heading) } else { String::new() };
        out.push_str(&heading(&format!("Findings{whose}"), style));
        for finding in &column.run.findings {
            let line = Grid::paragraph(2, style.columns()).row(vec![line(finding)]);
            let example = Grid::paragraph(4, style.columns()).row(vec![shorten(&one_line(&finding.example), EXAMPLE)]);
            out.push_str(&line);
            if !example.trim().is_empty() {
                out.push_str(&example);
            }
        }
    }
    out
}

fn line(finding: &Finding) -> String {
    let (word, ink) = match finding.severity {
        Severity::Error => ("error", Ink::Red),
        Severity::Warning => ("warning", Ink::Yellow),
        Severity::Note => ("note", Ink::Dim),
    };
    let seen = format::counted(finding.count, "time", "times");
    let rows = one_line(&finding.rows.join(", "));
    let place = if rows.is_empty() { String::new() } else { format!(" in {rows}") };
    format!("{}: {}, {seen}{place}", paint(ink, word), one_line(&finding.check))
}
