//! `comparison.md`: what the gateway does, for GitHub.

use crate::report::markdown::escape::{Table, code, escape};
use crate::results::gateway_diff::{Comparison, Fate};

/// The whole comparison.
pub fn render(comparison: &Comparison) -> String {
    let mut out = String::from("# A gateway against its upstream\n\n");
    let mut sides = Table::new(["", "base URL", "model", "requests", "rows decided"].map(str::to_owned).to_vec());
    for (name, side) in [("direct", &comparison.direct), ("via", &comparison.via)] {
        let decided = match &side.partial {
            Some(why) => format!("{}; partial: {}", side.decided, escape(why)),
            None => side.decided.to_string(),
        };
        sides.row(vec![name.to_owned(), code(&side.base_url), code(&side.model), side.requests.to_string(), decided]);
    }
    out.push_str(&sides.finish());
    out.push_str(&format!("\nFrom {} to {}.\n\n", comparison.started_at, comparison.finished_at));
    let mut counts = Table::new(vec!["fate".to_owned(), "rows".to_owned(), "findings".to_owned()]);
    for fate in Fate::ALL {
        let findings = comparison.findings.iter().filter(|finding| finding.fate == fate).count();
        let words = format!("{} {}", fate.mark(), fate.words());
        counts.row(vec![words, comparison.summary.of(fate).to_string(), findings.to_string()]);
    }
    out.push_str(&counts.finish());
    out.push_str("\nA row is introduced or repaired where both sides came out the same twice, with fresh draws.\n");
    out.push_str("\n## Rows\n\n");
    let mut rows = Table::new(["row", "direct", "via", "fate", "why"].map(str::to_owned).to_vec());
    for row in Fate::ALL.into_iter().flat_map(|fate| comparison.rows.iter().filter(move |row| row.fate == fate)) {
        let why = if row.fate == Fate::PassedThrough { String::new() } else { escape(&row.why) };
        let fate = format!("{} {}", row.fate.mark(), row.fate.words());
        rows.row(vec![code(&row.id), row.direct.words(), row.via.words(), fate, why]);
    }
    out.push_str(&rows.finish());
    if !comparison.findings.is_empty() {
        out.push_str("\n## Findings\n\n");
        let heads = ["check", "severity", "direct", "via", "fate", "example"].map(str::to_owned).to_vec();
        let mut findings = Table::new(heads);
        for finding in &comparison.findings {
            findings.row(vec![
                code(&finding.check),
                severity(finding.severity).to_owned(),
                finding.direct.to_string(),
                finding.via.to_string(),
                format!("{} {}", finding.fate.mark(), finding.fate.words()),
                escape(&finding.example),
            ]);
        }
        out.push_str(&findings.finish());
    }
    out
}

fn severity(severity: crate::results::model::Severity) -> &'static str {
    match severity {
        crate::results::model::Severity::Error => "error",
        crate::results::model::Severity::Warning => "warning",
        crate::results::model::Severity::Note => "note",
    }
}
