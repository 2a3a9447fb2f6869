//! `comparison.md`: what the gateway does, for GitHub.

use crate::report::markdown::escape::{MarkdownTable, code_span, escape};
use crate::results::gateway_diff::{GatewayAttribution, GatewayComparison};

/// The whole comparison.
pub fn render(comparison: &GatewayComparison) -> String {
    let mut out = String::from("# A gateway against its upstream\n\n");
    let mut sides =
        MarkdownTable::new(["", "base URL", "model", "requests", "rows decided"].map(str::to_owned).to_vec());
    for (name, side) in [("direct", &comparison.direct), ("via", &comparison.via)] {
        let decided = match &side.partial {
            Some(why) => format!("{}; partial: {}", side.decided, escape(why)),
            None => side.decided.to_string(),
        };
        sides.add_row(vec![
            name.to_owned(),
            code_span(&side.base_url),
            code_span(&side.model),
            side.requests.to_string(),
            decided,
        ]);
    }
    out.push_str(&sides.finish());
    out.push_str(&format!("\nFrom {} to {}.\n\n", comparison.started_at, comparison.finished_at));
    let mut counts = MarkdownTable::new(vec!["fate".to_owned(), "rows".to_owned(), "findings".to_owned()]);
    for fate in GatewayAttribution::ALL {
        let findings = comparison.findings.iter().filter(|finding| finding.fate == fate).count();
        let words = format!("{} {}", fate.mark(), fate.label());
        counts.add_row(vec![words, comparison.summary.get(fate).to_string(), findings.to_string()]);
    }
    out.push_str(&counts.finish());
    out.push_str("\nA row is introduced or repaired where both sides came out the same twice, with fresh draws.\n");
    out.push_str("\n## Rows\n\n");
    let mut rows = MarkdownTable::new(["row", "direct", "via", "fate", "why"].map(str::to_owned).to_vec());
    for row in
        GatewayAttribution::ALL.into_iter().flat_map(|fate| comparison.rows.iter().filter(move |row| row.fate == fate))
    {
        let why = if row.fate == GatewayAttribution::PassedThrough { String::new() } else { escape(&row.why) };
        let fate = format!("{} {}", row.fate.mark(), row.fate.label());
        rows.add_row(vec![code_span(&row.id), row.direct.describe(), row.via.describe(), fate, why]);
    }
    out.push_str(&rows.finish());
    if !comparison.findings.is_empty() {
        out.push_str("\n## Findings\n\n");
        let heads = ["check", "severity", "direct", "via", "fate", "example"].map(str::to_owned).to_vec();
        let mut findings = MarkdownTable::new(heads);
        for finding in &comparison.findings {
            findings.add_row(vec![
                code_span(&finding.check),
                finding.severity.to_string(),
                finding.direct.to_string(),
                finding.via.to_string(),
                format!("{} {}", finding.fate.mark(), finding.fate.label()),
                escape(&finding.example),
            ]);
        }
        out.push_str(&findings.finish());
    }
    out
}
