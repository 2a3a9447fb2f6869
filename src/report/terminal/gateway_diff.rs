//! The comparison of a gateway with its upstream: the rows that differ, and the counts.

use crate::report::common::sanitize::sanitize_line;
use crate::report::terminal::table::new_fitted_table;
use crate::results::gateway_diff::{GatewayAttribution, GatewayComparison};

/// The whole comparison, in lines of at most `width` columns if the ids of the rows leave enough space.
pub fn render(comparison: &GatewayComparison, width: usize) -> String {
    let mut out = String::new();
    for (name, side) in [("direct", &comparison.direct), ("via", &comparison.via)] {
        let partial = side.partial.as_ref().map_or(String::new(), |why| format!("; partial: {why}"));
        let line = format!(
            "{name:<7}{}, model {}: {} rows decided with {} requests{partial}",
            side.base_url, side.model, side.decided, side.requests
        );
        out.push_str(&sanitize_line(&line));
        out.push('\n');
    }
    let is_shown = |attribution: &GatewayAttribution| *attribution != GatewayAttribution::PassedThrough;
    let mut rows = new_fitted_table(&["row", "direct", "via", "result", "why"], width, &[0]);
    let shown = GatewayAttribution::ALL.into_iter().filter(is_shown);
    for row in shown.flat_map(|attribution| comparison.rows.iter().filter(move |row| row.fate == attribution)) {
        rows.add_row([
            row.id.clone(),
            row.direct.describe(),
            row.via.describe(),
            describe(row.fate),
            sanitize_line(&row.why),
        ]);
    }
    if !rows.is_empty() {
        out.push_str(&format!("\n{rows}\n"));
    }
    let mut findings = new_fitted_table(&["check", "direct", "via", "result", "example"], width, &[0]);
    for finding in comparison.findings.iter().filter(|finding| is_shown(&finding.fate)) {
        findings.add_row([
            finding.check.clone(),
            finding.direct.to_string(),
            finding.via.to_string(),
            describe(finding.fate),
            sanitize_line(&finding.example),
        ]);
    }
    if !findings.is_empty() {
        out.push_str(&format!("\n{findings}\n"));
    }
    let counts = GatewayAttribution::ALL.map(|attribution| {
        format!("{} {} {}", attribution.mark(), comparison.summary.get(attribution), attribution.label())
    });
    out.push_str(&format!("\n{} rows: {}\n", comparison.summary.rows, counts.join(", ")));
    out
}

fn describe(attribution: GatewayAttribution) -> String {
    format!("{} {}", attribution.mark(), attribution.label())
}
