//! The comparison on a terminal: what does not pass through, and the counts.

use comfy_table::{ContentArrangement, Table, TableStyle};

use crate::report::common::sanitize;
use crate::results::gateway_diff::{GatewayAttribution, GatewayComparison};

/// The whole comparison, in lines of at most `width` columns.
pub fn render(comparison: &GatewayComparison, width: usize) -> String {
    let mut out = String::new();
    for (name, side) in [("direct", &comparison.direct), ("via", &comparison.via)] {
        let partial = side.partial.as_ref().map_or(String::new(), |why| format!("; partial: {why}"));
        let line = format!(
            "{name:<7}{}, model {}: {} rows decided with {} requests{partial}",
            side.base_url, side.model, side.decided, side.requests
        );
        out.push_str(&sanitize::sanitize_line(&line));
        out.push('\n');
    }
    let told = |fate: &GatewayAttribution| *fate != GatewayAttribution::PassedThrough;
    let mut rows = new_table(["row", "direct", "via", "fate", "why"], width);
    for row in GatewayAttribution::ALL
        .into_iter()
        .filter(told)
        .flat_map(|f| comparison.rows.iter().filter(move |r| r.fate == f))
    {
        let fate = format!("{} {}", row.fate.mark(), row.fate.label());
        rows.add_row([
            row.id.clone(),
            row.direct.describe(),
            row.via.describe(),
            fate,
            sanitize::sanitize_line(&row.why),
        ]);
    }
    if !rows.is_empty() {
        out.push_str(&format!("\n{rows}\n"));
    }
    let mut findings = new_table(["check", "direct", "via", "fate", "example"], width);
    for finding in comparison.findings.iter().filter(|finding| told(&finding.fate)) {
        findings.add_row([
            finding.check.clone(),
            finding.direct.to_string(),
            finding.via.to_string(),
            format!("{} {}", finding.fate.mark(), finding.fate.label()),
            sanitize::sanitize_line(&finding.example),
        ]);
    }
    if !findings.is_empty() {
        out.push_str(&format!("\n{findings}\n"));
    }
    let counts: Vec<String> = GatewayAttribution::ALL
        .into_iter()
        .map(|fate| format!("{} {} {}", fate.mark(), comparison.summary.get(fate), fate.label()))
        .collect();
    out.push_str(&format!("\n{} rows: {}\n", comparison.summary.rows, counts.join(", ")));
    out
}

fn new_table(heads: [&str; 5], width: usize) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width.clamp(60, 400) as u16);
    table.set_header(heads);
    table
}
