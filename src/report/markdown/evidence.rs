//! The rows that need more than a cell, with their evidence: what was claimed, why the verdict, the trials, and a
//! request that anyone can send.

use crate::report::common::highlights::{HighlightGroup, NotRunGroup};
use crate::report::common::matrix::{Cell, ResultsMatrix};
use crate::report::common::row_status::RowStatus;
use crate::report::common::{format, highlights, phrases};
use crate::report::markdown::escape::{MarkdownTable, code_fence, code_span, escape};
use crate::report::markdown::row_anchor;
use crate::results::model::{RowExample, RowResult};

/// A chapter for each list that has a row, and whose rows are `wanted`: a list has rows of one kind.
pub(super) fn render(matrix: &ResultsMatrix<'_>, wanted: impl Fn(&RowResult) -> bool) -> String {
    // A list without a row that was tried has rows that were not run, which contradict nothing.
    let wanted = |list: &HighlightGroup<'_, '_>| list.cells.first().is_none_or(|entry| wanted(entry.row));
    let chapters =
        highlights::group_highlights(matrix).into_iter().filter(wanted).map(|list| render_group(matrix, &list));
    chapters.collect::<Vec<_>>().join("\n")
}

fn render_group(matrix: &ResultsMatrix<'_>, list: &HighlightGroup<'_, '_>) -> String {
    let mut out = format!("## {} ({})\n", list.title, format::with_thousands(list.len() as u64));
    for entry in &list.cells {
        out.push('\n');
        out.push_str(&render_row(matrix, entry));
    }
    if !list.not_run.is_empty() {
        out.push_str("\n### Not run\n\n");
        out.extend(list.not_run.iter().map(render_not_run));
    }
    out
}

fn render_row(matrix: &ResultsMatrix<'_>, entry: &Cell<'_, '_>) -> String {
    let row = entry.row;
    let whose = if matrix.columns.len() > 1 { format!("{}: ", escape(&entry.column.heading)) } else { String::new() };
    let mut out = format!(
        "<a id=\"{}\"></a>\n\n### {whose}{} ({})\n\n",
        row_anchor(&entry.column.heading, &row.id),
        escape(&row.title),
        code_span(&row.id)
    );
    out.push_str(&format!("{} **Observed** {}", RowStatus::from_row(row).mark(), row.verdict_label()));
    if let Some(claim) = &row.claim {
        out.push_str(&format!(", **claimed** {}", claim.status.as_str()));
        if let Some(words) = phrases::describe_claim(claim) {
            out.push_str(&format!(" ({})", escape(&words)));
        }
    }
    out.push_str(&format!(". {}\n\n", escape(&phrases::reason(row))));
    out.push_str(&render_evidence(row));
    if !row.arms.is_empty() {
        out.push_str(&render_arms(row));
    }
    match &row.example {
        None => out.push_str("No request was kept for this row.\n"),
        Some(example) if is_collapsed(RowStatus::from_row(row)) => {
            let summary = "<details><summary>The request, and what came back</summary>";
            out.push_str(&format!("{summary}\n\n{}\n</details>\n", render_example(example)));
        }
        Some(example) => out.push_str(&render_example(example)),
    }
    out
}

/// What the verdict rests on, in a line.
fn render_evidence(row: &RowResult) -> String {
    let verdict = &row.verdict;
    let mut facts = Vec::new();
    facts.extend(verdict.evidence.map(|evidence| format!("evidence: {}", evidence.as_str().replace('_', " "))));
    facts.extend(verdict.confidence.map(|confidence| format!("confidence: {confidence:.4}")));
    facts.extend(verdict.code.as_deref().map(|why| format!("undecided because: {}", code_span(why))));
    facts.push(format::plural(row.cost.requests, "request", "requests"));
    if !row.findings.is_empty() {
        let checks: Vec<String> = row.findings.iter().map(|check| code_span(check)).collect();
        facts.push(format!("protocol violations: {}", checks.join(", ")));
    }
    let mut line = facts.join(" · ");
    if let Some(first) = line.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{line}\n\n")
}

fn render_arms(row: &RowResult) -> String {
    let header = ["Arm", "Trials", "Showed the effect", "Refused", "Says nothing"];
    let mut table = MarkdownTable::right_aligned(header.map(str::to_owned).to_vec());
    for arm in &row.arms {
        let figures = [arm.trials, arm.effects, arm.refused, arm.void].map(format::with_thousands);
        table.add_row(std::iter::once(escape(&arm.name)).chain(figures).collect());
    }
    format!("{}\n", table.finish())
}

/// Contradictions and open questions are what a reader came for; the rest is kept out of the way.
fn is_collapsed(standing: RowStatus) -> bool {
    match standing {
        RowStatus::Contradicts | RowStatus::Undetermined | RowStatus::Unclaimed => false,
        RowStatus::Exceeds | RowStatus::Silent | RowStatus::Conforms => true,
    }
}

fn render_example(example: &RowExample) -> String {
    format!(
        "The {} request:\n\n{}\nWhat came back:\n\n{}",
        escape(&example.arm),
        code_fence("sh", &example.curl),
        code_fence("", &format!("{}\n\n{}", example.status, example.answer))
    )
}

fn render_not_run(group: &NotRunGroup<'_, '_>) -> String {
    let ids: Vec<String> = group.ids.iter().map(|id| code_span(id)).collect();
    format!("- **{}**: {} {}\n", escape(group.heading), escape(&group.reason), ids.join(", "))
}
