//! The counts: what ran and what did not, before any outcome.

use crate::report::common::matrix::{Column, Matrix};
use crate::report::common::row_status::Standing;
use crate::report::common::sanitize::one_line;
use crate::report::common::{format, phrases, summary};
use crate::report::terminal::color::{Ink, paint, unbroken};
use crate::report::terminal::matrix::Shape;
use crate::report::terminal::table::Grid;
use crate::report::terminal::{TerminalStyle, heading, ink_of};
use crate::results::model::Results;
use crate::results::plan_estimate;

/// Counts of every run. A partial run says again that it is one: the end is what is read first.
pub(super) fn render(matrix: &Matrix<'_>, style: TerminalStyle) -> String {
    let mut out = heading("Summary", style);
    match matrix.columns.as_slice() {
        [only] => out.push_str(&lines(only.run, style)),
        columns => {
            out.push_str(&table(columns, style));
            for column in columns {
                let told = plan_estimate::beside(&column.run.totals).map(|told| format!("{}: {told}", column.heading));
                told.into_iter().for_each(|told| out.push_str(&Grid::paragraph(2, style.columns()).row(vec![told])));
            }
        }
    }
    for column in &matrix.columns {
        if let Some(partial) = phrases::partial(column.run) {
            let line = paint(Ink::Yellow, &format!("PARTIAL RUN, {}: {}", column.heading, one_line(&partial)));
            out.push_str(&Grid::paragraph(2, style.columns()).row(vec![line]));
        }
    }
    out
}

/// Three lines for one run, and the ids of what contradicts: they are what `--select` takes.
fn lines(run: &Results, style: TerminalStyle) -> String {
    let summary = &run.summary;
    let rows = format!(
        "{}: {} decided, {} could not be decided, {} not run",
        format::counted(summary.rows, "row", "rows"),
        format::count(summary.decided),
        format::count(summary.inconclusive),
        format::count(summary.skipped),
    );
    let outcomes = Standing::ALL.map(|standing| {
        let n = summary::of(summary, standing);
        let text = format!("{} {} {}", style.mark(standing), format::count(n), summary::counted(standing));
        // A colour says that there is something to look at.
        paint(if n == 0 { Ink::Dim } else { ink_of(standing) }, &unbroken(&text))
    });
    let totals = &run.totals;
    let mut cost = vec![
        format::counted(totals.requests, "request", "requests"),
        run.per_verdict.map_or(String::new(), |each| format!("{} a verdict", format::rounded(each.requests))),
        format::counted(totals.retries, "retry", "retries"),
        format!("{} tokens in", format::count(totals.input_tokens)),
        format!("{} out", format::count(totals.output_tokens)),
    ];
    cost.retain(|fact| !fact.is_empty());
    cost.extend(totals.cost_usd.map(format::dollars));
    cost.push(format::duration(totals.wall_ms));

    let grid = Grid::paragraph(2, style.columns());
    let mut out = grid.row(vec![rows]);
    out.push_str(&grid.row(vec![outcomes.join("  ")]));
    out.push_str(&grid.row(vec![style.facts(cost)]));
    if let Some(planned) = plan_estimate::beside(totals) {
        out.push_str(&grid.row(vec![planned]));
    }
    let contradicting = run.rows.iter().filter(|row| Standing::of(row) == Standing::Contradicts);
    let ids: Vec<String> = contradicting.map(|row| one_line(&row.id)).collect();
    if !ids.is_empty() {
        let line = format!("{} {}", paint(Ink::Red, "contradicted:"), ids.join(", "));
        out.push_str(&grid.row(vec![line]));
    }
    out
}

fn table(columns: &[Column<'_>], style: TerminalStyle) -> String {
    // What was planned is too long for a column, and stands below.
    let lines = summary::lines([]);
    let labels: Vec<String> = lines.iter().map(|line| line.label()).collect();
    let shape = Shape::of(&labels, columns, style);
    let mut out = String::new();
    for columns in columns.chunks(shape.abreast) {
        let grid = Grid::figures(2, shape.widths(columns.len()));
        let names = columns.iter().map(|column| paint(Ink::Bold, &column.heading));
        out.push_str(&grid.row(std::iter::once(String::new()).chain(names).collect()));
        out.push_str(&grid.rule(style.stroke()));
        for (line, label) in lines.iter().zip(&labels) {
            let figures = columns.iter().map(|column| line.figure(column.run));
            out.push_str(&grid.row(std::iter::once(label.clone()).chain(figures).collect()));
        }
    }
    out
}
