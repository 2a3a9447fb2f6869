//! `comparison.md`: the comparison of a gateway with its upstream.

use crate::report::markdown::escape::{MarkdownTable, code_span, escape};
use crate::results::gateway_diff::{GatewayAttribution, GatewayComparison};

/// The whole comparison.
pub fn render(comparison: &GatewayComparison) -> String {
    let mut out = String::from("# A gateway compared with its upstream\n\n");
    let mut sides = new_table(["", "base URL", "model", "requests", "rows decided"]);
    for (name, side) in [("direct", &comparison.direct), ("via", &comparison.via)] {
        let partial = side.partial.as_ref().map_or(String::new(), |why| format!("; partial: {}", escape(why)));
        sides.add_row(vec![
            name.to_owned(),
            code_span(&side.base_url),
            code_span(&side.model),
            side.requests.to_string(),
            format!("{}{partial}", side.decided),
        ]);
    }
    out.push_str(&sides.finish());
    out.push_str(&format!("\nFrom {} to {}.\n\n", comparison.started_at, comparison.finished_at));
    let mut counts = new_table(["result", "rows", "findings"]);
    for attribution in GatewayAttribution::ALL {
        let findings = comparison.findings.iter().filter(|finding| finding.fate == attribution).count();
        let rows = comparison.summary.get(attribution).to_string();
        counts.add_row(vec![describe(attribution), rows, findings.to_string()]);
    }
    out.push_str(&counts.finish());
    out.push_str(
        "\nA difference is introduced or repaired only if both sides give the same verdicts twice, the second time \
         with new random values.\n\n## Rows\n\n",
    );
    let mut rows = new_table(["row", "direct", "via", "result", "why"]);
    for row in GatewayAttribution::ALL.into_iter().flat_map(|a| comparison.rows.iter().filter(move |r| r.fate == a)) {
        let why = if row.fate == GatewayAttribution::PassedThrough { String::new() } else { escape(&row.why) };
        rows.add_row(vec![code_span(&row.id), row.direct.describe(), row.via.describe(), describe(row.fate), why]);
    }
    out.push_str(&rows.finish());
    if !comparison.findings.is_empty() {
        out.push_str("\n## Findings\n\n");
        let mut findings = new_table(["check", "severity", "direct", "via", "result", "example"]);
        for finding in &comparison.findings {
            findings.add_row(vec![
                code_span(&finding.check),
                finding.severity.to_string(),
                finding.direct.to_string(),
                finding.via.to_string(),
                describe(finding.fate),
                escape(&finding.example),
            ]);
        }
        out.push_str(&findings.finish());
    }
    out
}

fn new_table<const N: usize>(header: [&str; N]) -> MarkdownTable {
    MarkdownTable::new(header.map(str::to_owned).to_vec())
}

fn describe(attribution: GatewayAttribution) -> String {
    format!("{} {}", attribution.mark(), attribution.label())
}
