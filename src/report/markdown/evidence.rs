//! The rows that need more than a cell, with their evidence: what was claimed, why the verdict, the trials, and a
//! request that anyone can send.

use crate::report::common::highlights::{List, NotRun};
use crate::report::common::matrix::{Entry, Matrix};
use crate::report::common::row_status::Standing;
use crate::report::common::{format, highlights, phrases};
use crate::report::markdown::anchor;
use crate::report::markdown::escape::{Table, code, escape, fence};
use crate::results::model::{Example, RowResult};

/// A chapter for each list that has a row, and whose rows are `wanted`: a list has rows of one kind.
pub(super) fn render(matrix: &Matrix<'_>, wanted: impl Fn(&RowResult) -> bool) -> String {
    // A list without a row that was tried has rows that were not run, which contradict nothing.
    let wanted = |list: &List<'_, '_>| list.tried.first().is_none_or(|entry| wanted(entry.row));
    let chapters = highlights::of(matrix).into_iter().filter(wanted).map(|list| chapter(matrix, &list));
    chapters.collect::<Vec<_>>().join("\n")
}

fn chapter(matrix: &Matrix<'_>, list: &List<'_, '_>) -> String {
    let mut out = format!("## {} ({})\n", list.title, format::count(list.len() as u64));
    for entry in &list.tried {
        out.push('\n');
        out.push_str(&item(matrix, entry));
    }
    if !list.not_run.is_empty() {
        out.push_str("\n### Not run\n\n");
        out.extend(list.not_run.iter().map(not_run));
    }
    out
}

fn item(matrix: &Matrix<'_>, entry: &Entry<'_, '_>) -> String {
    let row = entry.row;
    let whose = if matrix.columns.len() > 1 { format!("{}: ", escape(&entry.column.heading)) } else { String::new() };
    let mut out = format!(
        "<a id=\"{}\"></a>\n\n### {whose}{} ({})\n\n",
        anchor(&entry.column.heading, &row.id),
        escape(&row.title),
        code(&row.id)
    );
    out.push_str(&format!("{} **Observed** {}", Standing::of(row).mark(), row.observed()));
    if let Some(claim) = &row.claim {
        out.push_str(&format!(", **claimed** {}", claim.status.word()));
        if let Some(words) = phrases::claim_words(claim) {
            out.push_str(&format!(" ({})", escape(&words)));
        }
    }
    out.push_str(&format!(". {}\n\n", escape(&phrases::why(row))));
    out.push_str(&grounds(row));
    if !row.arms.is_empty() {
        out.push_str(&arms(row));
    }
    match &row.example {
        None => out.push_str("No request was kept for this row.\n"),
        Some(example) if folded(Standing::of(row)) => {
            let summary = "<details><summary>The request, and what came back</summary>";
            out.push_str(&format!("{summary}\n\n{}\n</details>\n", shown(example)));
        }
        Some(example) => out.push_str(&shown(example)),
    }
    out
}

/// What the verdict rests on, in a line.
fn grounds(row: &RowResult) -> String {
    let verdict = &row.verdict;
    let mut facts = Vec::new();
    facts.extend(verdict.evidence.map(|evidence| format!("evidence: {}", evidence.word().replace('_', " "))));
    facts.extend(verdict.confidence.map(|confidence| format!("confidence: {confidence:.4}")));
    facts.extend(verdict.code.as_deref().map(|why| format!("undecided because: {}", code(why))));
    facts.push(format::counted(row.cost.requests, "request", "requests"));
    if !row.findings.is_empty() {
        let checks: Vec<String> = row.findings.iter().map(|check| code(check)).collect();
        facts.push(format!("protocol violations: {}", checks.join(", ")));
    }
    let mut line = facts.join(" · ");
    if let Some(first) = line.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{line}\n\n")
}

fn arms(row: &RowResult) -> String {
    let header = ["Arm", "Trials", "Showed the effect", "Refused", "Says nothing"];
    let mut table = Table::figures(header.map(str::to_owned).to_vec());
    for arm in &row.arms {
        let figures = [arm.trials, arm.effects, arm.refused, arm.void].map(format::count);
        table.row(std::iter::once(escape(&arm.name)).chain(figures).collect());
    }
    format!("{}\n", table.finish())
}

/// Contradictions and open questions are what a reader came for; the rest is kept out of the way.
fn folded(standing: Standing) -> bool {
    match standing {
        Standing::Contradicts | Standing::Undetermined | Standing::Unclaimed => false,
        Standing::Exceeds | Standing::Silent | Standing::Conforms => true,
    }
}

fn shown(example: &Example) -> String {
    format!(
        "The {} request:\n\n{}\nWhat came back:\n\n{}",
        escape(&example.arm),
        fence("sh", &example.curl),
        fence("", &format!("{}\n\n{}", example.status, example.answer))
    )
}

fn not_run(group: &NotRun<'_, '_>) -> String {
    let ids: Vec<String> = group.ids.iter().map(|id| code(id)).collect();
    format!("- **{}**: {} {}\n", escape(group.heading), escape(&group.reason), ids.join(", "))
}
