//! The rows that need more than a cell, with their evidence: the claim, the reason of the verdict, the
//! trials, and a request that anyone can send.

use crate::report::common::details::{CauseView, DetailSectionView, ExampleView, NotRunView, RowDetailView};
use crate::report::common::page::PageView;
use crate::report::common::row_status::RowStatus;
use crate::report::markdown::escape::{MarkdownTable, code_fence, code_span, escape};

/// The lists of rows whose outcome fulfils the condition.
pub(super) fn render(page: &PageView, condition: impl Fn(RowStatus) -> bool) -> String {
    let lists = page.details.iter().filter(|list| list.status.is_some_and(&condition));
    lists.map(render_list).collect::<Vec<_>>().join("\n")
}

fn render_list(list: &DetailSectionView) -> String {
    let mut out = format!("## {} ({})\n", list.title, list.count);
    if !list.causes.is_empty() {
        out.push_str("\nRows with one cause:\n\n");
        out.extend(list.causes.iter().map(render_cause));
    }
    for row in &list.items {
        out.push('\n');
        out.push_str(&render_row(row));
    }
    if !list.not_run.is_empty() {
        out.push_str("\n### Not run\n\n");
        out.extend(list.not_run.iter().map(render_not_run));
    }
    out
}

fn render_cause(cause: &CauseView) -> String {
    let run = cause.run.as_deref().map_or(String::new(), |heading| format!("{}: ", escape(heading)));
    let rows: Vec<String> = cause.rows.iter().map(|row| format!("[{}](#{})", code_span(&row.id), row.anchor)).collect();
    format!("- {run}**{}**: {}\n", escape(&cause.text), rows.join(", "))
}

fn render_row(row: &RowDetailView) -> String {
    let run = row.run.as_deref().map_or(String::new(), |heading| format!("{}: ", escape(heading)));
    let (title, id) = (escape(&row.title), code_span(&row.id));
    let mut out = format!("<a id=\"{}\"></a>\n\n### {run}{title} ({id})\n\n", row.anchor);
    out.push_str(&format!("{} **Observed** {}", row.mark, row.verdict));
    out.extend(row.claimed.as_deref().map(|claimed| format!(", **claimed** {}", escape(claimed))));
    out.push_str(&format!(". {}\n\n", escape(&row.why)));
    out.push_str(&render_facts(row));
    if !row.arms.is_empty() {
        out.push_str(&render_arms(row));
    }
    match &row.example {
        None => out.push_str("The results have no request of this row.\n"),
        Some(example) if is_collapsed(row.status) => {
            let summary = "<details><summary>The request and the response</summary>";
            out.push_str(&format!("{summary}\n\n{}\n</details>\n", render_example(example)));
        }
        Some(example) => out.push_str(&render_example(example)),
    }
    out
}

/// The evidence and the cost of the verdict, in one line.
fn render_facts(row: &RowDetailView) -> String {
    let facts = row.facts.iter().map(|fact| {
        let codes: Vec<String> = fact.codes.iter().map(|code| code_span(code)).collect();
        format!("{}{}", fact.text, codes.join(", "))
    });
    let mut line = facts.collect::<Vec<_>>().join(" · ");
    if let Some(first) = line.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{line}\n\n")
}

fn render_arms(row: &RowDetailView) -> String {
    let header = ["Arm", "Trials", "Effect", "Rejected", "Unusable"];
    let mut table = MarkdownTable::right_aligned(header.map(str::to_owned).to_vec());
    for arm in &row.arms {
        table.add_row(std::iter::once(escape(&arm.name)).chain(arm.counts.clone()).collect());
    }
    format!("{}\n", table.finish())
}

/// Contradictions and undecided rows are the most important, so their examples are open.
fn is_collapsed(status: RowStatus) -> bool {
    match status {
        RowStatus::Contradicts | RowStatus::Undetermined | RowStatus::Unclaimed => false,
        RowStatus::Exceeds | RowStatus::Silent | RowStatus::Conforms => true,
    }
}

fn render_example(example: &ExampleView) -> String {
    format!(
        "The {} request:\n\n{}\nThe response:\n\n{}",
        escape(&example.arm),
        code_fence("sh", &example.curl),
        code_fence("", &format!("{}\n\n{}", example.status, example.response))
    )
}

fn render_not_run(group: &NotRunView) -> String {
    let ids: Vec<String> = group.ids.iter().map(|id| code_span(id)).collect();
    format!("- **{}**: {} {}\n", escape(&group.heading), escape(&group.reason), ids.join(", "))
}
