//! Who was tested: a run is of one endpoint, model and date, and says so.

use super::TerminalStyle;
use super::grid::{GAP, Grid, widest};
use super::ink::{Ink, paint};
use crate::report::clean::one_line;
use crate::report::matrix::{Column, Matrix};
use crate::report::{figures, prose};

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
        if let Some(partial) = prose::partial(column.run) {
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
            one_line(&figures::instant(&run.started_at)),
            format!("contract {}", one_line(&target.anthropic_version)),
        ]),
    ];
    match &target.claims {
        None => facts.push("no claims to hold it against".to_owned()),
        Some(claims) => facts.extend(claims.sources.iter().map(|source| {
            let line = format!("claims: {}, {} ({})", claims.title, source.title, prose::revision(source));
            one_line(&line)
        })),
    }
    if run.gateway.is_some() {
        facts.push(format!("answered by {}", one_line(&prose::answered_by(run))));
    }
    facts.extend(prose::invented_keys(run).map(|keys| format!("invented keys: {keys}")));
    if run.unsteady {
        facts.push(prose::UNSTEADY.to_owned());
    }
    facts.extend(prose::repeats(run));
    facts
}
