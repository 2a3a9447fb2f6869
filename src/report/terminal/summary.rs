//! The counts of each run: decided and missing rows, then outcomes, then cost.

use crate::catalog::VerdictStatus;
use crate::report::common::causes::group_by_cause;
use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::sanitize_line;
use crate::report::common::{phrases, summary};
use crate::report::terminal::color::{TextColor, colorize, use_no_break_spaces};
use crate::report::terminal::matrix::ColumnLayout;
use crate::report::terminal::style::{TerminalStyle, status_color};
use crate::report::terminal::table::FixedTable;
use crate::results::format;
use crate::results::model::Results;

/// The counts of every run. The warning for a partial run is repeated here, since the end is read first.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let mut out = style.render_heading("Summary");
    match matrix.columns.as_slice() {
        [only] => {
            out.push_str(&render_single_run(only.run, style));
            out.push_str(&render_causes(matrix, style));
        }
        columns => {
            out.push_str(&render_table(columns, style));
            for column in columns {
                let plan = phrases::compare_plan_with_totals(&column.run.totals);
                out.extend(plan.map(|plan| style.render_paragraph(2, format!("{}: {plan}", column.heading))));
            }
        }
    }
    for column in &matrix.columns {
        if let Some(partial) = phrases::partial_reason(column.run) {
            let line =
                colorize(TextColor::Yellow, &format!("PARTIAL RUN, {}: {}", column.heading, sanitize_line(&partial)));
            out.push_str(&style.render_paragraph(2, line));
        }
    }
    out
}

/// Three lines for one run, and the ids of contradicting rows, which `--select` accepts.
fn render_single_run(run: &Results, style: TerminalStyle) -> String {
    let summary = &run.summary;
    let rows = format!(
        "{}: {} decided, {} undecided, {} not run",
        format::plural(summary.rows, "row", "rows"),
        format::with_thousands(summary.decided),
        format::with_thousands(summary.inconclusive),
        format::with_thousands(summary.skipped),
    );
    let outcomes = RowStatus::ALL.map(|status| {
        let n = summary::count_rows(summary, status);
        let text = format!("{} {} {}", style.mark(status), format::with_thousands(n), summary::count_label(status));
        // Zeros need no attention.
        colorize(if n == 0 { TextColor::Dim } else { status_color(status) }, &use_no_break_spaces(&text))
    });
    let totals = &run.totals;
    let mut cost = vec![
        format::plural(totals.requests, "request", "requests"),
        run.per_verdict.map_or(String::new(), |each| format!("{} per verdict", format::one_decimal(each.requests))),
        format::plural(totals.retries, "retry", "retries"),
        format!("{} tokens in", format::with_thousands(totals.input_tokens)),
        format!("{} out", format::with_thousands(totals.output_tokens)),
    ];
    cost.retain(|fact| !fact.is_empty());
    cost.extend(totals.cost_usd.map(format::dollars));
    cost.push(format::duration(totals.wall_ms));

    let met = phrases::describe_met_claims(summary).map(|met| format!("claims of support: {met}"));
    let mut lines: Vec<String> = [Some(rows), Some(outcomes.join("  ")), met].into_iter().flatten().collect();
    lines.push(style.join_facts(cost));
    lines.extend(phrases::compare_plan_with_totals(totals));
    let contradicting = run.rows.iter().filter(|row| RowStatus::from_row(row) == RowStatus::Contradicts);
    let ids: Vec<String> = contradicting.map(|row| sanitize_line(&row.id)).collect();
    if !ids.is_empty() {
        lines.push(format!("{} {}", colorize(TextColor::Red, "contradicted:"), ids.join(", ")));
    }
    lines.into_iter().map(|line| style.render_paragraph(2, line)).collect()
}

/// One line for each cause that several contradicting or undecided rows share.
fn render_causes(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let cells = matrix.find_cells(|row| {
        let is_open = row.verdict.status == VerdictStatus::Inconclusive;
        is_open || RowStatus::from_row(row) == RowStatus::Contradicts
    });
    let lines = group_by_cause(&cells).into_iter().map(|group| {
        let ids: Vec<String> = group.rows.iter().map(|row| sanitize_line(&row.id)).collect();
        format!("{} {}: {}", colorize(TextColor::Yellow, "one cause:"), group.describe(), ids.join(", "))
    });
    lines.map(|line| style.render_paragraph(2, line)).collect()
}

fn render_table(columns: &[MatrixColumn<'_>], style: TerminalStyle) -> String {
    // The plan is too long for a column, so it is below the table.
    let lines = summary::summary_lines([]);
    let labels: Vec<String> = lines.iter().map(|line| line.label().to_owned()).collect();
    let layout = ColumnLayout::new(&labels, columns, style);
    let mut out = String::new();
    for columns in columns.chunks(layout.columns_per_table) {
        let table = FixedTable::right_aligned(2, layout.widths(columns.len()));
        let names = columns.iter().map(|column| colorize(TextColor::Bold, &column.heading));
        out.push_str(&table.render_row(std::iter::once(String::new()).chain(names).collect()));
        out.push_str(&table.render_rule(style.stroke()));
        for (line, label) in lines.iter().zip(&labels) {
            let figures = columns.iter().map(|column| line.value(column.run));
            out.push_str(&table.render_row(std::iter::once(label.clone()).chain(figures).collect()));
        }
    }
    out
}
