//! What was tested: one endpoint, model and date a column, and the documents whose claims it is held against.

use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::{format, phrases};
use crate::report::markdown::escape::{MarkdownTable, code_span, escape, render_link};
use crate::report::markdown::escaped_headings;
use crate::results::model::Results;

const LIMITS_NOTE: &str = "Claimed limits bound the run. They are not tested, unless a row says so.";

/// Title, warnings and the table of runs.
pub(super) fn render(matrix: &ResultsMatrix<'_>) -> String {
    let names = escaped_headings(matrix);
    let mut out = format!("# Anthropic Messages API: {}\n\n", names.join(", "));
    out.push_str(
        "What each field does, found by experiment and held against what the documentation claims. A run is of one \
         endpoint, one model and one date: it says nothing of others.\n\n",
    );
    for column in &matrix.columns {
        out.push_str(&render_warnings(column));
    }
    out.push_str("## What was tested\n\n");
    let mut table = MarkdownTable::new(std::iter::once(String::new()).chain(names).collect());
    for (label, fact) in fact_rows() {
        let cells: Vec<String> = matrix.columns.iter().map(|column| fact(column.run)).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            let or_dash = |cell: String| if cell.is_empty() { "—".to_owned() } else { cell };
            table.add_row(std::iter::once(label.to_owned()).chain(cells.into_iter().map(or_dash)).collect());
        }
    }
    out.push_str(&table.finish());
    if matrix.columns.iter().any(|column| !render_limits(column.run).is_empty()) {
        out.push_str(&format!("\n{LIMITS_NOTE}\n"));
    }
    out
}

fn render_warnings(column: &MatrixColumn<'_>) -> String {
    let name = escape(&column.heading);
    let mut out = String::new();
    if let Some(partial) = phrases::partial_reason(column.run) {
        out.push_str(&format!("> [!WARNING]\n> **The run of {name} is partial:** {}\n\n", escape(&partial)));
    }
    if column.run.target.simulated {
        out.push_str(&format!(
            "> [!NOTE]\n> **{name} was simulated:** the built-in simulator answered, as the claims say. This column \
             proves the experiments, and nothing about the provider's servers.\n\n"
        ));
    }
    out
}

type MarkdownFactFn = fn(&Results) -> String;

/// One line of the table each; an empty text where a run has nothing to say.
fn fact_rows() -> [(&'static str, MarkdownFactFn); 11] {
    [
        ("Endpoint", |run| code_span(&run.target.base_url)),
        ("Model", |run| code_span(&run.target.model)),
        ("Date", |run| escape(&format::timestamp(&run.started_at))),
        ("Answered by", |run| escape(&phrases::describe_responder(run))),
        ("Contract", |run| code_span(&format!("anthropic-version: {}", run.target.anthropic_version))),
        ("Claims", render_claims),
        ("Claimed limits", render_limits),
        ("Invented keys", |run| phrases::describe_unknown_keys(run).unwrap_or_default()),
        ("Equal requests", |run| if run.unsteady { phrases::INCONSISTENT_ENDPOINT_NOTE } else { "" }.to_owned()),
        ("Repeats", |run| phrases::describe_repeats(run).unwrap_or_default()),
        ("Confidence asked for", |run| phrases::describe_confidence(run).unwrap_or_default()),
    ]
}

fn render_claims(run: &Results) -> String {
    let Some(claims) = &run.target.claims else { return "none".to_owned() };
    let sources = claims.sources.iter().map(|source| {
        format!(
            "{} ({})",
            render_link(&source.title, source.url.as_deref()),
            escape(&phrases::describe_revision(source))
        )
    });
    std::iter::once(escape(&claims.title)).chain(sources).collect::<Vec<_>>().join("<br>")
}

fn render_limits(run: &Results) -> String {
    run.target.claims.as_ref().map_or(String::new(), |claims| phrases::describe_limits(&claims.limits).join("<br>"))
}
