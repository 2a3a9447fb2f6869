//! The report of one or more runs as plain texts: [`PageView`], which Markdown and HTML render.
//!
//! Texts from outside are sanitized here. This module must not know markup: each format escapes texts
//! itself.

use serde::Serialize;

use crate::report::common::details::{
    DetailSectionView, detail_section_view, has_details, other_rows_view, row_anchor,
};
use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::row_status::{RowStatus, verdict_meanings};
use crate::report::common::sanitize::{sanitize_line, shorten};
use crate::report::common::summary::SummaryLine;
use crate::report::common::{doc_links, highlights, phrases, summary};
use crate::results::baseline::{BaselineEntry, EntryState, EntryStatus, EntrySubject, RegressionCause};
use crate::results::compare::SectionUnion;
use crate::results::format;
use crate::results::model::{FindingSummary, Results, RowResult};

/// Enough of an example to recognize it. The results file has all of it.
const MAX_EXAMPLE_CHARS: usize = 200;

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct PageView {
    pub(crate) runs: Vec<RunView>,
    pub(crate) introduction: &'static str,
    pub(crate) facts: Vec<FactView>,
    /// The note about claimed limits, if a run has any.
    pub(crate) limits_note: Option<&'static str>,
    pub(crate) legend: Vec<LegendEntry>,
    pub(crate) verdicts: Vec<(&'static str, &'static str)>,
    pub(crate) summary: Vec<SummaryLineView>,
    pub(crate) matrix_note: &'static str,
    pub(crate) sections: Vec<MatrixSectionView>,
    pub(crate) baselines: Vec<BaselineView>,
    pub(crate) details: Vec<DetailSectionView>,
    pub(crate) findings_note: &'static str,
    pub(crate) findings: Vec<FindingsView>,
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct RunView {
    pub(crate) heading: String,
    pub(crate) partial: Option<String>,
    pub(crate) simulated: Option<&'static str>,
}

/// One fact about every run: for each run some texts.
#[derive(Debug, Serialize)]
pub(crate) struct FactView {
    pub(crate) label: &'static str,
    pub(crate) cells: Vec<Vec<FactText>>,
}

/// One text of a fact, with a web address or further text if there is one.
#[derive(Debug, Serialize)]
pub(crate) struct FactText {
    pub(crate) text: String,
    pub(crate) href: Option<String>,
    pub(crate) more: String,
    pub(crate) is_code: bool,
}

/// The mark of an outcome.
#[derive(Debug, Serialize)]
pub(crate) struct LegendEntry {
    pub(crate) mark: &'static str,
    pub(crate) status: RowStatus,
    pub(crate) meaning: &'static str,
}

/// One line of the counts.
#[derive(Debug, Serialize)]
pub(crate) struct SummaryLineView {
    pub(crate) label: String,
    pub(crate) values: Vec<String>,
}

/// One section of the matrix.
#[derive(Debug, Serialize)]
pub(crate) struct MatrixSectionView {
    pub(crate) title: String,
    pub(crate) rows: Vec<MatrixRowView>,
}

/// One row of the matrix; a cell is `None` if the run does not have the row.
#[derive(Debug, Serialize)]
pub(crate) struct MatrixRowView {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) cells: Vec<Option<CellView>>,
}

/// The verdict of one row in one run.
#[derive(Debug, Serialize)]
pub(crate) struct CellView {
    pub(crate) mark: &'static str,
    pub(crate) status: RowStatus,
    pub(crate) verdict: &'static str,
    /// True if a claim of `supported` is met without an observed effect.
    pub(crate) is_pale: bool,
    pub(crate) claim: String,
    /// The details of the row, if it has any.
    pub(crate) anchor: Option<String>,
    /// True if the details are more than a reader finds in the cell.
    pub(crate) is_highlighted: bool,
}

/// The comparison of one run with a baseline.
#[derive(Debug, Serialize)]
pub(crate) struct BaselineView {
    pub(crate) heading: String,
    pub(crate) file: String,
    pub(crate) date: String,
    pub(crate) notes: Vec<String>,
    /// The counts in one line.
    pub(crate) counts: String,
    /// The statuses that occur, with their meaning.
    pub(crate) meanings: Vec<(&'static str, &'static str)>,
    pub(crate) entries: Vec<BaselineEntryView>,
}

/// One entry of the comparison with a baseline.
#[derive(Debug, Serialize)]
pub(crate) struct BaselineEntryView {
    pub(crate) status: &'static str,
    pub(crate) cause: Option<&'static str>,
    /// True if the comparison fails because of this entry.
    pub(crate) is_failure: bool,
    pub(crate) id: String,
    pub(crate) is_finding: bool,
    pub(crate) before: &'static str,
    pub(crate) now: &'static str,
    pub(crate) why: String,
    pub(crate) reason: Option<String>,
    pub(crate) href: Option<String>,
    pub(crate) until: Option<String>,
}

/// The findings of one run.
#[derive(Debug, Serialize)]
pub(crate) struct FindingsView {
    pub(crate) heading: String,
    pub(crate) findings: Vec<FindingView>,
}

/// One finding.
#[derive(Debug, Serialize)]
pub(crate) struct FindingView {
    pub(crate) check: String,
    pub(crate) href: Option<String>,
    pub(crate) severity: &'static str,
    pub(crate) occurrences: String,
    pub(crate) rows: Vec<String>,
    pub(crate) example: String,
}

impl PageView {
    /// Builds the report of these runs.
    pub(crate) fn from_results(results: &[Results]) -> Self {
        let matrix = ResultsMatrix::from_results(results);
        let has_several = matrix.columns.len() > 1;
        let groups = highlights::group_highlights(&matrix);
        let with_findings = matrix.columns.iter().filter(|column| !column.run.findings.is_empty());
        Self {
            runs: matrix.columns.iter().map(run_view).collect(),
            introduction: phrases::INTRODUCTION,
            facts: fact_views(&matrix),
            limits_note: results.iter().any(|run| !limit_texts(run).is_empty()).then_some(phrases::LIMITS_NOTE),
            legend: RowStatus::ALL.into_iter().map(legend_entry).collect(),
            verdicts: verdict_meanings(results.iter()),
            summary: summary::summary_lines(results).into_iter().map(|line| summary_line_view(&matrix, line)).collect(),
            matrix_note: phrases::MATRIX_NOTE,
            sections: matrix.sections.iter().map(|section| matrix_section_view(&matrix, section)).collect(),
            baselines: matrix.columns.iter().filter_map(baseline_view).collect(),
            details: groups
                .iter()
                .map(|group| detail_section_view(group, has_several))
                .chain(other_rows_view(&matrix, has_several))
                .collect(),
            findings_note: phrases::FINDINGS_NOTE,
            findings: with_findings.map(findings_view).collect(),
        }
    }
}

/// True for addresses that a browser opens as a page. Any other scheme could run a script.
fn is_web_url(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

fn run_view(column: &MatrixColumn<'_>) -> RunView {
    RunView {
        heading: column.heading.clone(),
        partial: phrases::partial_reason(column.run).map(|reason| sanitize_line(&reason)),
        simulated: column.run.target.simulated.then_some(phrases::SIMULATION_NOTE),
    }
}

fn plain_text(text: impl AsRef<str>) -> FactText {
    FactText { text: sanitize_line(text.as_ref()), href: None, more: String::new(), is_code: false }
}

fn code_text(text: impl AsRef<str>) -> FactText {
    FactText { is_code: true, ..plain_text(text) }
}

fn fact_views(matrix: &ResultsMatrix<'_>) -> Vec<FactView> {
    type FactTexts = fn(&Results) -> Vec<FactText>;
    let facts: [(&'static str, FactTexts); 13] = [
        ("Endpoint", |run| vec![code_text(&run.target.base_url)]),
        ("Model", |run| vec![code_text(&run.target.model)]),
        ("Date", |run| vec![plain_text(format::timestamp(&run.started_at))]),
        ("Responses from", |run| vec![plain_text(phrases::describe_responder(run))]),
        ("API version", |run| vec![code_text(format!("anthropic-version: {}", run.target.anthropic_version))]),
        ("Claims", claim_texts),
        ("Claimed limits", |run| limit_texts(run).iter().map(plain_text).collect()),
        ("Unknown keys", |run| phrases::describe_unknown_keys(run).iter().map(plain_text).collect()),
        ("Equal requests", |run| {
            if run.unsteady { vec![plain_text(phrases::INCONSISTENT_ENDPOINT_NOTE)] } else { Vec::new() }
        }),
        ("Instructions", |run| phrases::describe_unfollowed(run).iter().map(plain_text).collect()),
        ("Disturbances", |run| run.notes.iter().map(plain_text).collect()),
        ("Repeats", |run| phrases::describe_repeats(run).iter().map(plain_text).collect()),
        ("Required confidence", |run| phrases::describe_confidence(run).iter().map(plain_text).collect()),
    ];
    let views = facts.map(|(label, texts)| FactView {
        label,
        cells: matrix.columns.iter().map(|column| texts(column.run)).collect(),
    });
    views.into_iter().filter(|fact| fact.cells.iter().any(|cell| !cell.is_empty())).collect()
}

fn claim_texts(run: &Results) -> Vec<FactText> {
    let Some(claims) = &run.target.claims else { return vec![plain_text("none")] };
    let sources = claims.sources.iter().map(|source| FactText {
        href: source.url.clone().filter(|url| is_web_url(url)),
        more: format!(" ({})", sanitize_line(&phrases::describe_revision(source))),
        ..plain_text(&source.title)
    });
    std::iter::once(plain_text(&claims.title)).chain(sources).collect()
}

fn limit_texts(run: &Results) -> Vec<String> {
    run.target.claims.as_ref().map_or_else(Vec::new, |claims| phrases::describe_limits(&claims.limits))
}

fn legend_entry(status: RowStatus) -> LegendEntry {
    LegendEntry { mark: status.mark(), status, meaning: status.meaning() }
}

fn summary_line_view(matrix: &ResultsMatrix<'_>, line: SummaryLine) -> SummaryLineView {
    let label = match line {
        SummaryLine::Status(status) => format!("{} {}", status.mark(), line.label()),
        _ => line.label().to_owned(),
    };
    SummaryLineView { label, values: matrix.columns.iter().map(|column| line.value(column.run)).collect() }
}

fn matrix_section_view(matrix: &ResultsMatrix<'_>, section: &SectionUnion<'_>) -> MatrixSectionView {
    let rows = section.rows.iter().map(|row| MatrixRowView {
        id: sanitize_line(row.id),
        title: sanitize_line(row.title),
        cells: matrix.columns.iter().zip(&row.cells).map(|(column, row)| Some(cell_view(column, (*row)?))).collect(),
    });
    MatrixSectionView { title: sanitize_line(section.title), rows: rows.collect() }
}

fn cell_view(column: &MatrixColumn<'_>, row: &RowResult) -> CellView {
    let status = RowStatus::from_row(row);
    let mut claim = row.claim.as_ref().map_or("no claim".to_owned(), |claim| format!("claimed {}", claim.status));
    if status == RowStatus::Silent {
        claim.push_str(", silent");
    }
    // A field that is supported in another way than documented needs more than the mark.
    claim.extend(row.alteration().map(|alteration| format!("; {}", sanitize_line(alteration))));
    CellView {
        mark: status.mark(),
        status,
        verdict: row.verdict_label(),
        is_pale: row.lacks_effect(),
        claim,
        anchor: has_details(row).then(|| row_anchor(&column.heading, &row.id)),
        is_highlighted: highlights::is_highlighted(row),
    }
}

fn baseline_view(column: &MatrixColumn<'_>) -> Option<BaselineView> {
    let comparison = column.run.baseline.as_ref()?;
    let counts: Vec<String> = phrases::baseline_counts(comparison).into_iter().map(|(_, count)| count).collect();
    let occurring = EntryStatus::ALL.into_iter().filter(|status| comparison.counts.get(*status) > 0);
    let entries = EntryStatus::ALL.into_iter().flat_map(|status| comparison.entries_with_status(status));
    Some(BaselineView {
        heading: column.heading.clone(),
        file: sanitize_line(&comparison.file),
        date: sanitize_line(&comparison.held_on),
        notes: phrases::baseline_notes(comparison).iter().map(|note| sanitize_line(note)).collect(),
        counts: counts.join(", "),
        meanings: occurring.map(|status| (phrases::entry_status(status), status.meaning())).collect(),
        entries: entries.map(baseline_entry_view).collect(),
    })
}

fn baseline_entry_view(entry: &BaselineEntry) -> BaselineEntryView {
    BaselineEntryView {
        status: phrases::entry_status(entry.case),
        cause: entry.cause.map(RegressionCause::describe),
        is_failure: matches!(entry.case, EntryStatus::Regression | EntryStatus::Stale),
        id: sanitize_line(entry.subject.id()),
        is_finding: matches!(entry.subject, EntrySubject::Check(_)),
        before: entry.before.map_or("—", EntryState::as_str),
        now: entry.now.map_or("—", EntryState::as_str),
        why: sanitize_line(&entry.why),
        reason: entry.reason.as_deref().map(sanitize_line),
        href: entry.link.clone().filter(|url| is_web_url(url)),
        until: entry.until.as_deref().map(sanitize_line),
    }
}

fn findings_view(column: &MatrixColumn<'_>) -> FindingsView {
    FindingsView { heading: column.heading.clone(), findings: column.run.findings.iter().map(finding_view).collect() }
}

fn finding_view(finding: &FindingSummary) -> FindingView {
    FindingView {
        check: sanitize_line(&finding.check),
        href: doc_links::check_page(&finding.check),
        severity: finding.severity.as_str(),
        occurrences: phrases::describe_occurrences(finding),
        rows: finding.rows.iter().map(|row| sanitize_line(row)).collect(),
        example: shorten(&sanitize_line(&finding.example), MAX_EXAMPLE_CHARS),
    }
}
