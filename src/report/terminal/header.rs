//! The tested endpoint of each run, with model, date and claims.

use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::phrases;
use crate::report::common::sanitize::sanitize_line;
use crate::report::terminal::color::{TextColor, colorize};
use crate::report::terminal::style::TerminalStyle;
use crate::report::terminal::table::{COLUMN_GAP, FixedTable, max_width};
use crate::results::format;

/// One paragraph per run, with a warning for partial runs.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let name = max_width(matrix.columns.iter().map(|column| column.heading.as_str())).clamp(2, 24);
    let table = FixedTable::new(0, [name, style.table_width() - name - COLUMN_GAP]);
    let mut out = String::new();
    for column in &matrix.columns {
        let mut first = colorize(TextColor::Bold, &column.heading);
        for fact in describe_run(column, style) {
            out.push_str(&table.render_row(vec![std::mem::take(&mut first), fact]));
        }
        if let Some(partial) = phrases::partial_reason(column.run) {
            let partial = colorize(TextColor::Yellow, &format!("PARTIAL RUN: {}", sanitize_line(&partial)));
            out.push_str(&table.render_row(vec![String::new(), partial]));
        }
    }
    out
}

fn describe_run(column: &MatrixColumn<'_>, style: TerminalStyle) -> Vec<String> {
    let run = column.run;
    let target = &run.target;
    let kind = if target.simulated { "simulated, not the provider:" } else { "live:" };
    let mut facts = vec![
        format!("{kind} {}", sanitize_line(&target.base_url)),
        style.join_facts([
            format!("model {}", sanitize_line(&target.model)),
            sanitize_line(&format::timestamp(&run.started_at)),
            format!("API version {}", sanitize_line(&target.anthropic_version)),
        ]),
    ];
    match &target.claims {
        None => facts.push("no claims: nothing to compare with. Use --claims".to_owned()),
        Some(claims) => facts.extend(claims.sources.iter().map(|source| {
            let line = format!("claims: {}, {} ({})", claims.title, source.title, phrases::describe_revision(source));
            sanitize_line(&line)
        })),
    }
    if run.gateway.is_some() {
        facts.push(format!("responses from {}", sanitize_line(&phrases::describe_responder(run))));
    }
    facts.extend(phrases::describe_unknown_keys(run).map(|keys| format!("unknown keys: {keys}")));
    if run.unsteady {
        facts.push(phrases::INCONSISTENT_ENDPOINT_NOTE.to_owned());
    }
    facts.extend(phrases::describe_unfollowed(run).map(|line| colorize(TextColor::Yellow, &line)));
    facts.extend(run.notes.iter().map(|note| sanitize_line(note)));
    facts.extend(phrases::describe_repeats(run));
    facts
}
