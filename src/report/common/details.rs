//! The details of rows as plain texts, for Markdown and HTML: [`DetailSectionView`].

use serde::Serialize;

use crate::catalog::VerdictStatus;
use crate::report::common::causes::CauseGroup;
use crate::report::common::highlights::HighlightGroup;
use crate::report::common::matrix::{MatrixCell, ResultsMatrix};
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::{sanitize_block, sanitize_line};
use crate::report::common::{highlights, phrases};
use crate::results::file_names::slugify;
use crate::results::format;
use crate::results::model::RowResult;

/// A list of rows with their details.
#[derive(Debug, Serialize)]
pub(crate) struct DetailSectionView {
    pub(crate) title: &'static str,
    /// The outcome of the rows; `None` for the rows that need no details.
    pub(crate) status: Option<RowStatus>,
    pub(crate) count: String,
    /// The causes that some of the rows share.
    pub(crate) causes: Vec<CauseView>,
    pub(crate) items: Vec<RowDetailView>,
    pub(crate) not_run: Vec<NotRunView>,
}

/// A cause that several rows of one run share.
#[derive(Debug, Serialize)]
pub(crate) struct CauseView {
    /// The heading of the run, if there are several.
    pub(crate) run: Option<String>,
    /// The cause and the number of its rows.
    pub(crate) text: String,
    pub(crate) rows: Vec<CauseRowView>,
}

/// A row of a cause.
#[derive(Debug, Serialize)]
pub(crate) struct CauseRowView {
    pub(crate) id: String,
    pub(crate) anchor: String,
}

/// The details of one row.
#[derive(Debug, Serialize)]
pub(crate) struct RowDetailView {
    pub(crate) anchor: String,
    /// The heading of the run, if there are several.
    pub(crate) run: Option<String>,
    pub(crate) title: String,
    pub(crate) id: String,
    pub(crate) mark: &'static str,
    pub(crate) status: RowStatus,
    pub(crate) verdict: &'static str,
    pub(crate) claimed: Option<String>,
    pub(crate) why: String,
    pub(crate) facts: Vec<EvidenceFact>,
    pub(crate) arms: Vec<ArmView>,
    pub(crate) example: Option<ExampleView>,
    pub(crate) is_open: bool,
}

/// One fact about the evidence of a verdict: a text, then words that are code.
#[derive(Debug, Serialize)]
pub(crate) struct EvidenceFact {
    pub(crate) text: String,
    pub(crate) codes: Vec<String>,
}

/// The counts of one arm.
#[derive(Debug, Serialize)]
pub(crate) struct ArmView {
    pub(crate) name: String,
    /// Trials, trials with the effect, rejected trials, unusable responses.
    pub(crate) counts: [String; 4],
}

/// A request and its response.
#[derive(Debug, Serialize)]
pub(crate) struct ExampleView {
    pub(crate) arm: String,
    pub(crate) curl: String,
    pub(crate) status: String,
    pub(crate) response: String,
}

/// Rows of one run that were not run, with the reason.
#[derive(Debug, Serialize)]
pub(crate) struct NotRunView {
    pub(crate) heading: String,
    pub(crate) reason: String,
    pub(crate) ids: Vec<String>,
}

/// The anchor of the details of a row.
pub(super) fn row_anchor(heading: &str, row: &str) -> String {
    format!("{}--{}", slugify(heading), slugify(row))
}

/// A row that was not run has no details.
pub(super) fn has_details(row: &RowResult) -> bool {
    row.verdict.status != VerdictStatus::Skipped
}

/// A list of rows with their details.
pub(super) fn detail_section_view(group: &HighlightGroup<'_, '_>, has_several: bool) -> DetailSectionView {
    let not_run = group.not_run.iter().map(|group| NotRunView {
        heading: group.heading.to_owned(),
        reason: group.reason.clone(),
        ids: group.ids.iter().map(|id| sanitize_line(id)).collect(),
    });
    DetailSectionView {
        title: group.title,
        status: Some(group.status),
        count: format::with_thousands(group.len() as u64),
        causes: group.causes.iter().map(|cause| cause_view(cause, has_several)).collect(),
        items: group.cells.iter().map(|cell| row_detail_view(cell, has_several)).collect(),
        not_run: not_run.collect(),
    }
}

fn cause_view(group: &CauseGroup<'_, '_>, has_several: bool) -> CauseView {
    let rows = group
        .rows
        .iter()
        .map(|row| CauseRowView { id: sanitize_line(&row.id), anchor: row_anchor(group.heading, &row.id) });
    CauseView { run: has_several.then(|| group.heading.to_owned()), text: group.describe(), rows: rows.collect() }
}

/// The rows whose cell and claim say everything. Their requests are listed for verification.
pub(super) fn other_rows_view(matrix: &ResultsMatrix<'_>, has_several: bool) -> Option<DetailSectionView> {
    let others = matrix.find_cells(|row| has_details(row) && !highlights::is_highlighted(row));
    (!others.is_empty()).then(|| DetailSectionView {
        title: "Other rows",
        status: None,
        count: format::with_thousands(others.len() as u64),
        causes: Vec::new(),
        items: others.iter().map(|cell| row_detail_view(cell, has_several)).collect(),
        not_run: Vec::new(),
    })
}

fn row_detail_view(cell: &MatrixCell<'_, '_>, has_several: bool) -> RowDetailView {
    let (column, row) = (cell.column, cell.row);
    let status = RowStatus::from_row(row);
    let claimed = row.claim.as_ref().map(|claim| match phrases::describe_claim(claim) {
        Some(details) => format!("{} ({})", claim.status, sanitize_line(&details)),
        None => claim.status.to_string(),
    });
    let arms = row.arms.iter().map(|arm| ArmView {
        name: sanitize_line(&arm.name),
        counts: [arm.trials, arm.effects, arm.refused, arm.void].map(format::with_thousands),
    });
    RowDetailView {
        anchor: row_anchor(&column.heading, &row.id),
        run: has_several.then(|| column.heading.clone()),
        title: sanitize_line(&row.title),
        id: sanitize_line(&row.id),
        mark: status.mark(),
        status,
        verdict: row.verdict_label(),
        claimed,
        why: sanitize_line(&phrases::reason(row)),
        facts: evidence_facts(row),
        arms: arms.collect(),
        example: row.example.as_ref().map(|example| ExampleView {
            arm: sanitize_line(&example.arm),
            curl: sanitize_block(&example.curl),
            status: sanitize_line(&example.status),
            response: sanitize_block(&example.answer),
        }),
        is_open: status == RowStatus::Contradicts,
    }
}

/// The evidence of a verdict, its cost, and the protocol faults.
fn evidence_facts(row: &RowResult) -> Vec<EvidenceFact> {
    let text = |text: String| EvidenceFact { text, codes: Vec::new() };
    let verdict = &row.verdict;
    let mut facts = Vec::new();
    facts.extend(verdict.evidence.map(|evidence| text(format!("evidence: {}", evidence.as_str().replace('_', " ")))));
    facts.extend(verdict.confidence.map(|confidence| text(format!("confidence: {confidence:.4}"))));
    facts.extend(
        verdict
            .code
            .as_deref()
            .map(|code| EvidenceFact { text: "undecided because: ".to_owned(), codes: vec![sanitize_line(code)] }),
    );
    facts.push(text(format::plural(row.cost.requests, "request", "requests")));
    if !row.findings.is_empty() {
        let codes = row.findings.iter().map(|check| sanitize_line(check)).collect();
        facts.push(EvidenceFact { text: "protocol faults: ".to_owned(), codes });
    }
    facts
}
