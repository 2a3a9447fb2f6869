//! The counts: what ran and what did not, before any outcome.

use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::sanitize_line;
use crate::report::common::{format, phrases, summary};
use crate::report::terminal::color::{TextColor, colorize, use_no_break_spaces};
use crate::report::terminal::matrix::ColumnLayout;
use crate::report::terminal::table::FixedTable;
use crate::report::terminal::{TerminalStyle, render_heading, status_color};
use crate::results::model::Results;
use crate::results::plan_estimate;

/// Counts of every run. A partial run says again that it is one: the end is what is read first.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let mut out = render_heading("Summary", style);
    match matrix.columns.as_slice() {
        [only] => out.push_str(&render_single_run(only.run, style)),
        columns => {
            out.push_str(&render_table(columns, style));
            for column in columns {
                let told = plan_estimate::compare_with_actual(&column.run.totals)
                    .map(|told| format!("{}: {told}", column.heading));
                told.into_iter().for_each(|told| {
                    out.push_str(&FixedTable::paragraph(2, style.table_width()).render_row(vec![told]))
                });
            }
        }
    }
    for column in &matrix.columns {
        if let Some(partial) = phrases::partial_reason(column.run) {
            let line =
                colorize(TextColor::Yellow, &format!("PARTIAL RUN, {}: {}", column.heading, sanitize_line(&partial)));
            out.push_str(&FixedTable::paragraph(2, style.table_width()).render_row(vec![line]));
        }
    }
    out
}

/// Three lines for one run, and the ids of what contradicts: they are what `--select` takes.
fn render_single_run(run: &Results, style: TerminalStyle) -> String {
    let summary = &run.summary;
    let rows = format!(
        "{}: {} decided, {} could not be decided, {} not run",
        format::plural(summary.rows, "row", "rows"),
        format::with_thousands(summary.decided),
        format::with_thousands(summary.inconclusive),
        format::with_thousands(summary.skipped),
    );
    let outcomes = RowStatus::ALL.map(|standing| {
        let n = summary::count_rows(summary, standing);
        let text = format!("{} {} {}", style.mark(standing), format::with_thousands(n), summary::count_label(standing));
        // A colour says that there is something to look at.
        colorize(if n == 0 { TextColor::Dim } else { status_color(standing) }, &use_no_break_spaces(&text))
    });
    let totals = &run.totals;
    let mut cost = vec![
        format::plural(totals.requests, "request", "requests"),
        run.per_verdict.map_or(String::new(), |each| format!("{} a verdict", format::one_decimal(each.requests))),
        format::plural(totals.retries, "retry", "retries"),
        format!("{} tokens in", format::with_thousands(totals.input_tokens)),
        format!("{} out", format::with_thousands(totals.output_tokens)),
    ];
    cost.retain(|fact| !fact.is_empty());
    cost.extend(totals.cost_usd.map(format::dollars));
    cost.push(format::duration(totals.wall_ms));

    let grid = FixedTable::paragraph(2, style.table_width());
    let mut out = grid.render_row(vec![rows]);
    out.push_str(&grid.render_row(vec![outcomes.join("  ")]));
    out.push_str(&grid.render_row(vec![style.join_facts(cost)]));
    if let Some(planned) = plan_estimate::compare_with_actual(totals) {
        out.push_str(&grid.render_row(vec![planned]));
    }
    let contradicting = run.rows.iter().filter(|row| RowStatus::from_row(row) == RowStatus::Contradicts);
    let ids: Vec<String> = contradicting.map(|row| sanitize_line(&row.id)).collect();
    if !ids.is_empty() {
        let line = format!("{} {}", colorize(TextColor::Red, "contradicted:"), ids.join(", "));
        out.push_str(&grid.render_row(vec![line]));
    }
    out
}

fn render_table(columns: &[MatrixColumn<'_>], style: TerminalStyle) -> String {
    // What was planned is too long for a column, and stands below.
    let lines = summary::summary_lines([]);
    let labels: Vec<String> = lines.iter().map(|line| line.label()).collect();
    let shape = ColumnLayout::new(&labels, columns, style);
    let mut out = String::new();
    for columns in columns.chunks(shape.columns_per_table) {
        let grid = FixedTable::right_aligned(2, shape.widths(columns.len()));
        let names = columns.iter().map(|column| colorize(TextColor::Bold, &column.heading));
        out.push_str(&grid.render_row(std::iter::once(String::new()).chain(names).collect()));
        out.push_str(&grid.render_rule(style.stroke()));
        for (line, label) in lines.iter().zip(&labels) {
            let figures = columns.iter().map(|column| line.value(column.run));
            out.push_str(&grid.render_row(std::iter::once(label.clone()).chain(figures).collect()));
        }
    }
    out
}
