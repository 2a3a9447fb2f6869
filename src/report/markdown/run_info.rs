//! What was tested: one endpoint, model and date a column, and the documents whose claims it is held against.

use crate::report::common::matrix::{Column, Matrix};
use crate::report::common::{format, phrases};
use crate::report::markdown::escape::{Table, code, escape, link};
use crate::report::markdown::headings;
use crate::results::model::Results;

const LIMITS: &str = "Claimed limits bound the run. They are not tested, unless a row says so.";

/// Title, warnings and the table of runs.
pub(super) fn render(matrix: &Matrix<'_>) -> String {
    let names = headings(matrix);
    let mut out = format!("# Anthropic Messages API: {}\n\n", names.join(", "));
    out.push_str(
        "What each field does, found by experiment and held against what the documentation claims. A run is of one \
         endpoint, one model and one date: it says nothing of others.\n\n",
    );
    for column in &matrix.columns {
        out.push_str(&warnings(column));
    }
    out.push_str("## What was tested\n\n");
    let mut table = Table::new(std::iter::once(String::new()).chain(names).collect());
    for (label, fact) in facts() {
        let cells: Vec<String> = matrix.columns.iter().map(|column| fact(column.run)).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            let or_dash = |cell: String| if cell.is_empty() { "—".to_owned() } else { cell };
            table.row(std::iter::once(label.to_owned()).chain(cells.into_iter().map(or_dash)).collect());
        }
    }
    out.push_str(&table.finish());
    if matrix.columns.iter().any(|column| !limits(column.run).is_empty()) {
        out.push_str(&format!("\n{LIMITS}\n"));
    }
    out
}

fn warnings(column: &Column<'_>) -> String {
    let name = escape(&column.heading);
    let mut out = String::new();
    if let Some(partial) = phrases::partial(column.run) {
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

type Fact = fn(&Results) -> String;

/// One line of the table each; an empty text where a run has nothing to say.
fn facts() -> [(&'static str, Fact); 11] {
    [
        ("Endpoint", |run| code(&run.target.base_url)),
        ("Model", |run| code(&run.target.model)),
        ("Date", |run| escape(&format::instant(&run.started_at))),
        ("Answered by", |run| escape(&phrases::answered_by(run))),
        ("Contract", |run| code(&format!("anthropic-version: {}", run.target.anthropic_version))),
        ("Claims", claims),
        ("Claimed limits", limits),
        ("Invented keys", |run| phrases::invented_keys(run).unwrap_or_default()),
        ("Equal requests", |run| if run.unsteady { phrases::UNSTEADY } else { "" }.to_owned()),
        ("Repeats", |run| phrases::repeats(run).unwrap_or_default()),
        ("Confidence asked for", |run| phrases::confidence(run).unwrap_or_default()),
    ]
}

fn claims(run: &Results) -> String {
    let Some(claims) = &run.target.claims else { return "none".to_owned() };
    let sources = claims.sources.iter().map(|source| {
        format!("{} ({})", link(&source.title, source.url.as_deref()), escape(&phrases::revision(source)))
    });
    std::iter::once(escape(&claims.title)).chain(sources).collect::<Vec<_>>().join("<br>")
}

fn limits(run: &Results) -> String {
    run.target.claims.as_ref().map_or(String::new(), |claims| phrases::limits(&claims.limits).join("<br>"))
}
