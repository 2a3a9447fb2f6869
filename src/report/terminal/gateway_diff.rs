//! The comparison on a terminal: what does not pass through, and the counts.

use comfy_table::{ContentArrangement, Table, TableStyle};

use crate::report::common::sanitize;
use crate::results::gateway_diff::{Comparison, Fate};

/// The whole comparison, in lines of at most `width` columns.
pub fn render(comparison: &Comparison, width: usize) -> String {
    let mut out = String::new();
    for (name, side) in [("direct", &comparison.direct), ("via", &comparison.via)] {
        let partial = side.partial.as_ref().map_or(String::new(), |why| format!("; partial: {why}"));
        let line = format!(
            "{name:<7}{}, model {}: {} rows decided with {} requests{partial}",
            side.base_url, side.model, side.decided, side.requests
        );
        out.push_str(&sanitize::one_line(&line));
        out.push('\n');
    }
    let told = |fate: &Fate| *fate != Fate::PassedThrough;
    let mut rows = table(["row", "direct", "via", "fate", "why"], width);
    for row in Fate::ALL.into_iter().filter(told).flat_map(|f| comparison.rows.iter().filter(move |r| r.fate == f)) {
        let fate = format!("{} {}", row.fate.mark(), row.fate.words());
        rows.add_row([row.id.clone(), row.direct.words(), row.via.words(), fate, sanitize::one_line(&row.why)]);
    }
    if !rows.is_empty() {
        out.push_str(&format!("\n{rows}\n"));
    }
    let mut findings = table(["check", "direct", "via", "fate", "example"], width);
    for finding in comparison.findings.iter().filter(|finding| told(&finding.fate)) {
        findings.add_row([
            finding.check.clone(),
            finding.direct.to_string(),
            finding.via.to_string(),
            format!("{} {}", finding.fate.mark(), finding.fate.words()),
            sanitize::one_line(&finding.example),
        ]);
    }
    if !findings.is_empty() {
        out.push_str(&format!("\n{findings}\n"));
    }
    let counts: Vec<String> = Fate::ALL
        .into_iter()
        .map(|fate| format!("{} {} {}", fate.mark(), comparison.summary.of(fate), fate.words()))
        .collect();
    out.push_str(&format!("\n{} rows: {}\n", comparison.summary.rows, counts.join(", ")));
    out
}

fn table(heads: [&str; 5], width: usize) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width.clamp(60, 400) as u16);
    table.set_header(heads);
    table
}
