//! The sections of a report ([`ReportSection`]): facts, counts, legend and matrix here, others in their files.

use crate::report::common::page::{CellView, FactText, PageView};
use crate::report::common::row_status::RowStatus;
use crate::report::markdown::escape::{MarkdownTable, code_span, escape, render_link};
use crate::report::markdown::{baseline, evidence, findings};
use crate::results::model::Results;

/// The report of one run, or of several runs side by side.
pub fn render(results: &[Results]) -> String {
    if results.is_empty() {
        return "# Anthropic Messages API\n\nNothing was run.\n".to_owned();
    }
    let page = PageView::from_results(results);
    let sections = [
        render_facts(&page),
        render_legend(&page),
        render_summary(&page),
        baseline::render(&page),
        render_matrix(&page, |cell| cell.is_highlighted),
        evidence::render(&page, |_| true),
        findings::render(&page, findings::repository_check_link),
    ];
    sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A section of the report, for places with limited space. The most important section comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum ReportSection {
    About,
    Summary,
    Baseline,
    Legend,
    Matrix,
    Contradictions,
    Findings,
    OtherDetails,
}

impl ReportSection {
    pub(in crate::report) const ALL: [Self; 8] = [
        Self::About,
        Self::Summary,
        Self::Baseline,
        Self::Legend,
        Self::Matrix,
        Self::Contradictions,
        Self::Findings,
        Self::OtherDetails,
    ];

    /// The content of the section in a few words.
    pub(in crate::report) fn title(self) -> &'static str {
        match self {
            Self::About => "the tested endpoints",
            Self::Summary => "the counts",
            Self::Baseline => "the comparison with the baseline",
            Self::Legend => "the legend",
            Self::Matrix => "the matrix",
            Self::Contradictions => "the details of contradictions",
            Self::Findings => "the findings",
            Self::OtherDetails => "the details of other rows",
        }
    }
}

/// One of the `shown` sections. Cells link only to details that are shown, and links to documentation work
/// from anywhere.
pub(in crate::report) fn render_section(page: &PageView, section: ReportSection, shown: &[ReportSection]) -> String {
    match section {
        ReportSection::About => render_facts(page),
        ReportSection::Summary => render_summary(page),
        ReportSection::Baseline => baseline::render(page),
        ReportSection::Legend => render_legend(page),
        ReportSection::Matrix => render_matrix(page, |cell| {
            let contradicts = cell.status == RowStatus::Contradicts;
            let details = if contradicts { ReportSection::Contradictions } else { ReportSection::OtherDetails };
            cell.is_highlighted && shown.contains(&details)
        }),
        ReportSection::Contradictions => evidence::render(page, |status| status == RowStatus::Contradicts),
        ReportSection::Findings => findings::render(page, findings::absolute_check_link),
        ReportSection::OtherDetails => evidence::render(page, |status| status != RowStatus::Contradicts),
    }
}

/// A label for the first column, then the escaped headings of the runs.
fn table_header(page: &PageView, first: &str) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(page.runs.iter().map(|run| escape(&run.heading))).collect()
}

/// The title, warnings, and facts about every run.
fn render_facts(page: &PageView) -> String {
    let headings: Vec<String> = page.runs.iter().map(|run| escape(&run.heading)).collect();
    let mut out = format!("# Anthropic Messages API: {}\n\n{}\n\n", headings.join(", "), page.introduction);
    for (run, heading) in page.runs.iter().zip(headings) {
        if let Some(reason) = &run.partial {
            out.push_str(&format!("> [!WARNING]\n> **The run of {heading} is partial:** {}\n\n", escape(reason)));
        }
        if let Some(note) = run.simulated {
            out.push_str(&format!("> [!NOTE]\n> **{heading} is simulated:** {note}\n\n"));
        }
    }
    out.push_str("## What was tested\n\n");
    let mut table = MarkdownTable::new(table_header(page, ""));
    for fact in &page.facts {
        let cells = fact.cells.iter().map(|texts| match texts.as_slice() {
            [] => "—".to_owned(),
            texts => texts.iter().map(render_fact).collect::<Vec<_>>().join("<br>"),
        });
        table.add_row(std::iter::once(fact.label.to_owned()).chain(cells).collect());
    }
    out.push_str(&table.finish());
    out.extend(page.limits_note.map(|note| format!("\n{note}\n")));
    out
}

fn render_fact(fact: &FactText) -> String {
    let text = if fact.is_code { code_span(&fact.text) } else { render_link(&fact.text, fact.href.as_deref()) };
    if fact.more.is_empty() { text } else { format!("{text} {}", escape(&fact.more)) }
}

/// The counts of every run: decided and missing rows, then outcomes, then cost.
fn render_summary(page: &PageView) -> String {
    let mut table = MarkdownTable::right_aligned(table_header(page, ""));
    for (nth, line) in page.summary.iter().enumerate() {
        let label = if nth == 0 { format!("**{}**", line.label) } else { line.label.clone() };
        table.add_row(std::iter::once(label).chain(line.values.iter().map(|value| escape(value))).collect());
    }
    format!("## Summary\n\n{}", table.finish())
}

/// The meaning of marks and verdicts.
fn render_legend(page: &PageView) -> String {
    let mut marks = MarkdownTable::new(["Mark", "Outcome", "Meaning"].map(str::to_owned).to_vec());
    for entry in &page.legend {
        marks.add_row(vec![entry.mark.to_owned(), entry.status.to_string(), entry.meaning.to_owned()]);
    }
    marks.add_row(["—", "not run", "the run does not have this row"].map(str::to_owned).to_vec());
    let mut verdicts = MarkdownTable::new(["Verdict", "Meaning"].map(str::to_owned).to_vec());
    for (verdict, meaning) in &page.verdicts {
        verdicts.add_row(vec![(*verdict).to_owned(), (*meaning).to_owned()]);
    }
    format!("## Legend\n\n{}\n\n{}\n{}", page.matrix_note, marks.finish(), verdicts.finish())
}

/// The matrix: one table per section. Cells that are `linked` link to the details of their row.
fn render_matrix(page: &PageView, linked: impl Fn(&CellView) -> bool) -> String {
    let mut out = String::from("## Matrix\n");
    for section in &page.sections {
        let mut table = MarkdownTable::new(table_header(page, "Row"));
        for row in &section.rows {
            let title = format!("{}<br><sub>{}</sub>", escape(&row.title), code_span(&row.id));
            let cells = row.cells.iter().map(|cell| match cell {
                None => "— not run".to_owned(),
                Some(cell) => render_cell(cell, linked(cell)),
            });
            table.add_row(std::iter::once(title).chain(cells).collect());
        }
        out.push_str(&format!("\n### {}\n\n{}", escape(&section.title), table.finish()));
    }
    out
}

fn render_cell(cell: &CellView, is_linked: bool) -> String {
    let mut verdict = format!("{} {}", cell.mark, cell.verdict);
    if cell.status == RowStatus::Contradicts {
        verdict = format!("**{verdict}**");
    }
    if let Some(anchor) = cell.anchor.as_deref().filter(|_| is_linked) {
        verdict = format!("[{verdict}](#{anchor})");
    }
    format!("{verdict}<br><sub>{}</sub>", escape(&cell.claim))
}
