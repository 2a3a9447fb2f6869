//! Who was tested: a run is of one endpoint, model and date, and says so.

use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::sanitize::sanitize_line;
use crate::report::common::{format, phrases};
use crate::report::terminal::TerminalStyle;
use crate::report::terminal::color::{TextColor, colorize};
use crate::report::terminal::table::{COLUMN_GAP, FixedTable, max_width};

/// A paragraph per run; partial runs say so loudly.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let name = max_width(matrix.columns.iter().map(|column| column.heading.as_str())).clamp(2, 24);
    let grid = FixedTable::new(0, [name, style.table_width() - name - COLUMN_GAP]);
    let mut out = String::new();
    for column in &matrix.columns {
        let mut first = colorize(TextColor::Bold, &column.heading);
        for fact in describe_run(column, style) {
            out.push_str(&grid.render_row(vec![std::mem::take(&mut first), fact]));
        }
        if let Some(partial) = phrases::partial_reason(column.run) {
            let partial = colorize(TextColor::Yellow, &format!("PARTIAL RUN: {}", sanitize_line(&partial)));
            out.push_str(&grid.render_row(vec![String::new(), partial]));
        }
    }
    out
}

fn describe_run(column: &MatrixColumn<'_>, style: TerminalStyle) -> Vec<String> {
    let run = column.run;
    let target = &run.target;
    let who = if target.simulated { "simulated, not the provider:" } else { "live:" };
    let mut facts = vec![
        format!("{who} {}", sanitize_line(&target.base_url)),
        style.join_facts([
            format!("model {}", sanitize_line(&target.model)),
            sanitize_line(&format::timestamp(&run.started_at)),
            format!("contract {}", sanitize_line(&target.anthropic_version)),
        ]),
    ];
    match &target.claims {
        None => facts.push("no claims to hold it against".to_owned()),
        Some(claims) => facts.extend(claims.sources.iter().map(|source| {
            let line = format!("claims: {}, {} ({})", claims.title, source.title, phrases::describe_revision(source));
            sanitize_line(&line)
        })),
    }
    if run.gateway.is_some() {
        facts.push(format!("answered by {}", sanitize_line(&phrases::describe_responder(run))));
    }
    facts.extend(phrases::describe_unknown_keys(run).map(|keys| format!("invented keys: {keys}")));
    if run.unsteady {
        facts.push(phrases::INCONSISTENT_ENDPOINT_NOTE.to_owned());
    }
    facts.extend(phrases::describe_repeats(run));
    facts
}
