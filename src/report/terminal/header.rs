//! Who was tested: a run is of one endpoint, model and date, and says so.

use crate::report::common::matrix::{Column, Matrix};
use crate::report::common::sanitize::one_line;
use crate::report::common::{format, phrases};
use crate::report::terminal::TerminalStyle;
use crate::report::terminal::color::{Ink, paint};
use crate::report::terminal::table::{GAP, Grid, widest};

/// A paragraph per run; partial runs say so loudly.
pub(super) fn render(matrix: &Matrix<'_>, style: TerminalStyle) -> String {
    let name = widest(matrix.columns.iter().map(|column| column.heading.as_str())).clamp(2, 24);
    let grid = Grid::new(0, [name, style.columns() - name - GAP]);
    let mut out = String::new();
    for column in &matrix.columns {
        let mut first = paint(Ink::Bold, &column.heading);
        for fact in facts(column, style) {
            out.push_str(&grid.row(vec![std::mem::take(&mut first), fact]));
        }
        if let Some(partial) = phrases::partial(column.run) {
            let partial = paint(Ink::Yellow, &format!("PARTIAL RUN: {}", one_line(&partial)));
            out.push_str(&grid.row(vec![String::new(), partial]));
        }
    }
    out
}

fn facts(column: &Column<'_>, style: TerminalStyle) -> Vec<String> {
    let run = column.run;
    let target = &run.target;
    let who = if target.simulated { "simulated, not the provider:" } else { "live:" };
    let mut facts = vec![
        format!("{who} {}", one_line(&target.base_url)),
        style.facts([
            format!("model {}", one_line(&target.model)),
            one_line(&format::instant(&run.started_at)),
            format!("contract {}", one_line(&target.anthropic_version)),
        ]),
    ];
    match &target.claims {
        None => facts.push("no claims to hold it against".to_owned()),
        Some(claims) => facts.extend(claims.sources.iter().map(|source| {
            let line = format!("claims: {}, {} ({})", claims.title, source.title, phrases::revision(source));
            one_line(&line)
        })),
    }
    if run.gateway.is_some() {
        facts.push(format!("answered by {}", one_line(&phrases::answered_by(run))));
    }
    facts.extend(phrases::invented_keys(run).map(|keys| format!("invented keys: {keys}")));
    if run.unsteady {
        facts.push(phrases::UNSTEADY.to_owned());
    }
    facts.extend(phrases::repeats(run));
    facts
}
