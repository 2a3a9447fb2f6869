//! What the page shows, as plain texts: nothing here knows markup.

use serde::Serialize;

use crate::catalog::VerdictStatus;
use crate::report::common::highlights::HighlightGroup;
use crate::report::common::matrix::{Cell, MatrixColumn, ResultsMatrix};
use crate::report::common::row_status::{RowStatus, verdict_meanings};
use crate::report::common::sanitize::{sanitize_block, sanitize_line, shorten};
use crate::report::common::summary::SummaryLine;
use crate::report::common::{doc_links, format, highlights, phrases, summary};
use crate::results::baseline::{EntryState, EntryStatus};
use crate::results::file_names::slugify;
use crate::results::model::{FindingSummary, Results, RowResult};

/// Enough of a finding's example to recognise it; the results file has all of it.
const MAX_EXAMPLE_CHARS: usize = 200;

/// The page.
#[derive(Debug, Serialize)]
pub(crate) struct PageView {
    runs: Vec<RunView>,
    facts: Vec<FactView>,
    has_limits: bool,
    legend: Vec<LegendEntry>,
    observations: Vec<(&'static str, &'static str)>,
    summary: Vec<SummaryLineView>,
    sections: Vec<MatrixSectionView>,
    baselines: Vec<BaselineView>,
    chapters: Vec<DetailSectionView>,
    findings: Vec<FindingsView>,
}

/// A run held against a baseline.
#[derive(Debug, Serialize)]
struct BaselineView {
    heading: String,
    file: String,
    notes: Vec<String>,
    counts: Vec<(&'static str, String, &'static str)>,
    entries: Vec<BaselineEntryView>,
}

#[derive(Debug, Serialize)]
struct BaselineEntryView {
    case: &'static str,
    id: String,
    before: &'static str,
    now: &'static str,
    why: String,
    reason: Option<String>,
    href: Option<String>,
    until: Option<String>,
}

/// A column.
#[derive(Debug, Serialize)]
struct RunView {
    heading: String,
    partial: Option<String>,
    simulated: bool,
}

/// A line of what was tested: for each run some texts, each with an address where it has one.
#[derive(Debug, Serialize)]
struct FactView {
    label: &'static str,
    cells: Vec<Vec<LinkedText>>,
}

#[derive(Debug, Serialize)]
struct LinkedText {
    text: String,
    href: Option<String>,
    more: String,
}

#[derive(Debug, Serialize)]
struct LegendEntry {
    mark: &'static str,
    class: &'static str,
    word: &'static str,
    meaning: &'static str,
}

/// A line of the counts.
#[derive(Debug, Serialize)]
struct SummaryLineView {
    label: String,
    figures: Vec<String>,
}

#[derive(Debug, Serialize)]
struct MatrixSectionView {
    title: String,
    rows: Vec<MatrixRowView>,
}

#[derive(Debug, Serialize)]
struct MatrixRowView {
    id: String,
    title: String,
    cells: Vec<Option<CellView>>,
}

#[derive(Debug, Serialize)]
struct CellView {
    mark: &'static str,
    class: &'static str,
    outcome: &'static str,
    observed: &'static str,
    claim: String,
    anchor: Option<String>,
}

/// Rows with their details.
#[derive(Debug, Serialize)]
struct DetailSectionView {
    title: String,
    count: String,
    items: Vec<RowDetailView>,
    not_run: Vec<NotRunView>,
}

#[derive(Debug, Serialize)]
struct RowDetailView {
    anchor: String,
    whose: Option<String>,
    title: String,
    id: String,
    mark: &'static str,
    class: &'static str,
    outcome: &'static str,
    observed: &'static str,
    claimed: Option<String>,
    why: String,
    grounds: Vec<String>,
    arms: Vec<ArmView>,
    example: Option<ExampleView>,
    open: bool,
}

#[derive(Debug, Serialize)]
struct ArmView {
    name: String,
    figures: [String; 4],
}

#[derive(Debug, Serialize)]
struct ExampleView {
    arm: String,
    curl: String,
    status: String,
    answer: String,
}

#[derive(Debug, Serialize)]
struct NotRunView {
    heading: String,
    reason: String,
    ids: Vec<String>,
}

/// The findings of a run.
#[derive(Debug, Serialize)]
struct FindingsView {
    heading: String,
    all: Vec<FindingView>,
}

#[derive(Debug, Serialize)]
struct FindingView {
    check: String,
    href: Option<String>,
    severity: &'static str,
    seen: String,
    rows: Vec<String>,
    example: String,
}

impl PageView {
    /// All of it.
    pub(crate) fn from_matrix(matrix: &ResultsMatrix<'_>) -> Self {
        let several = matrix.columns.len() > 1;
        let mut chapters: Vec<DetailSectionView> = highlights::group_highlights(matrix)
            .iter()
            .map(|list| DetailSectionView::from_group(list, several))
            .collect();
        chapters.extend(DetailSectionView::from_other_rows(matrix, several));
        let found = matrix.columns.iter().filter(|column| !column.run.findings.is_empty());
        Self {
            runs: matrix.columns.iter().map(run_view).collect(),
            facts: fact_views(matrix),
            has_limits: matrix.columns.iter().any(|column| !limit_texts(column.run).is_empty()),
            legend: RowStatus::ALL.into_iter().map(legend_entry).collect(),
            observations: verdict_meanings(matrix.columns.iter().map(|column| column.run)),
            summary: summary::summary_lines(matrix.columns.iter().map(|column| column.run))
                .into_iter()
                .map(|line| summary_line_view(matrix, line))
                .collect(),
            sections: matrix.sections.iter().map(|section| MatrixSectionView::from_section(matrix, section)).collect(),
            baselines: matrix.columns.iter().filter_map(baseline_view).collect(),
            chapters,
            findings: found.map(FindingsView::from_column).collect(),
        }
    }
}

/// Any other scheme could be a script's.
fn is_web_url(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// The comparison, what needs a reader first.
fn baseline_view(column: &MatrixColumn<'_>) -> Option<BaselineView> {
    let held = column.run.baseline.as_ref()?;
    let counts = EntryStatus::ALL
        .map(|case| (phrases::entry_status(case), format::with_thousands(held.counts.get(case)), case.meaning()));
    let entries =
        EntryStatus::ALL.into_iter().flat_map(|case| held.entries_with_status(case)).map(|entry| BaselineEntryView {
            case: phrases::entry_status(entry.case),
            id: sanitize_line(entry.subject.id()),
            before: entry.before.map_or("—", EntryState::as_str),
            now: entry.now.map_or("—", EntryState::as_str),
            why: sanitize_line(&entry.why),
            reason: entry.reason.as_deref().map(sanitize_line),
            href: entry.link.clone().filter(|url| is_web_url(url)),
            until: entry.until.as_deref().map(sanitize_line),
        });
    Some(BaselineView {
        heading: column.heading.clone(),
        file: sanitize_line(&held.file),
        notes: held.notes.iter().map(|note| sanitize_line(note)).collect(),
        counts: counts.to_vec(),
        entries: entries.collect(),
    })
}

fn run_view(column: &MatrixColumn<'_>) -> RunView {
    let partial = phrases::partial_reason(column.run).map(|why| sanitize_line(&why));
    RunView { heading: column.heading.clone(), partial, simulated: column.run.target.simulated }
}

fn legend_entry(standing: RowStatus) -> LegendEntry {
    LegendEntry {
        mark: standing.mark(),
        class: css_class(standing),
        word: standing.as_str(),
        meaning: standing.meaning(),
    }
}

/// The name that the style sheet knows it by. Colour is never all that tells: the mark and the word stand beside it.
fn css_class(standing: RowStatus) -> &'static str {
    standing.as_str()
}

fn plain_text(text: impl AsRef<str>) -> LinkedText {
    LinkedText { text: sanitize_line(text.as_ref()), href: None, more: String::new() }
}

type FactFn = fn(&Results) -> Vec<LinkedText>;

fn fact_views(matrix: &ResultsMatrix<'_>) -> Vec<FactView> {
    let all: [(&'static str, FactFn); 11] = [
        ("Endpoint", |run| vec![plain_text(&run.target.base_url)]),
        ("Model", |run| vec![plain_text(&run.target.model)]),
        ("Date", |run| vec![plain_text(format::timestamp(&run.started_at))]),
        ("Answered by", |run| vec![plain_text(phrases::describe_responder(run))]),
        ("Contract", |run| vec![plain_text(format!("anthropic-version: {}", run.target.anthropic_version))]),
        ("Claims", claim_texts),
        ("Claimed limits", |run| limit_texts(run).iter().map(plain_text).collect()),
        ("Invented keys", |run| phrases::describe_unknown_keys(run).iter().map(plain_text).collect()),
        ("Equal requests", |run| {
            if run.unsteady { vec![plain_text(phrases::INCONSISTENT_ENDPOINT_NOTE)] } else { Vec::new() }
        }),
        ("Repeats", |run| phrases::describe_repeats(run).iter().map(plain_text).collect()),
        ("Confidence asked for", |run| phrases::describe_confidence(run).iter().map(plain_text).collect()),
    ];
    let of = |(label, told): (&'static str, FactFn)| FactView {
        label,
        cells: matrix.columns.iter().map(|column| told(column.run)).collect(),
    };
    all.map(of).into_iter().filter(|fact| fact.cells.iter().any(|cell| !cell.is_empty())).collect()
}

fn claim_texts(run: &Results) -> Vec<LinkedText> {
    let Some(claims) = &run.target.claims else { return vec![plain_text("none")] };
    let sources = claims.sources.iter().map(|source| LinkedText {
        text: sanitize_line(&source.title),
        href: source.url.clone().filter(|url| is_web_url(url)),
        more: format!(" ({})", sanitize_line(&phrases::describe_revision(source))),
    });
    std::iter::once(plain_text(&claims.title)).chain(sources).collect()
}

fn limit_texts(run: &Results) -> Vec<String> {
    run.target.claims.as_ref().map_or_else(Vec::new, |claims| phrases::describe_limits(&claims.limits))
}

fn summary_line_view(matrix: &ResultsMatrix<'_>, line: SummaryLine) -> SummaryLineView {
    let label = match line {
        SummaryLine::Status(standing) => format!("{} {}", standing.mark(), line.label()),
        _ => line.label(),
    };
    SummaryLineView { label, figures: matrix.columns.iter().map(|column| line.value(column.run)).collect() }
}

fn row_anchor(heading: &str, row: &str) -> String {
    format!("{}--{}", slugify(heading), slugify(row))
}

/// What was not tried has no details.
fn has_details(row: &RowResult) -> bool {
    row.verdict.status != VerdictStatus::Skipped
}

impl MatrixSectionView {
    fn from_section(matrix: &ResultsMatrix<'_>, section: &crate::report::common::matrix::MatrixSection<'_>) -> Self {
        let rows = section.rows.iter().map(|line| MatrixRowView {
            id: sanitize_line(line.id),
            title: sanitize_line(line.title),
            cells: matrix
                .columns
                .iter()
                .zip(&line.cells)
                .map(|(column, row)| Some(cell_view(column, (*row)?)))
                .collect(),
        });
        Self { title: sanitize_line(section.title), rows: rows.collect() }
    }
}

fn cell_view(column: &MatrixColumn<'_>, row: &RowResult) -> CellView {
    let standing = RowStatus::from_row(row);
    let claim = row.claim.as_ref().map_or("no claim".to_owned(), |claim| format!("claimed {}", claim.status.as_str()));
    // Honoured in another way than documented is no plain tick.
    let altered = row.verdict.qualifiers.iter().find(|told| told.starts_with("altered: "));
    let altered = altered.map_or(String::new(), |told| format!("; {}", sanitize_line(told)));
    CellView {
        mark: standing.mark(),
        class: css_class(standing),
        outcome: standing.as_str(),
        observed: row.verdict_label(),
        claim: format!("{claim}{altered}"),
        anchor: has_details(row).then(|| row_anchor(&column.heading, &row.id)),
    }
}

impl DetailSectionView {
    fn from_group(list: &HighlightGroup<'_, '_>, several: bool) -> Self {
        let not_run = list.not_run.iter().map(|group| NotRunView {
            heading: group.heading.to_owned(),
            reason: group.reason.clone(),
            ids: group.ids.iter().map(|id| sanitize_line(id)).collect(),
        });
        Self {
            title: list.title.to_owned(),
            count: format::with_thousands(list.len() as u64),
            items: list.cells.iter().map(|entry| row_detail_view(entry, several)).collect(),
            not_run: not_run.collect(),
        }
    }

    /// Rows of which matrix and claim say all; who doubts them finds the requests here.
    fn from_other_rows(matrix: &ResultsMatrix<'_>, several: bool) -> Option<Self> {
        let rest = matrix.find_cells(|row| has_details(row) && !highlights::is_highlighted(row));
        let items: Vec<RowDetailView> = rest.iter().map(|entry| row_detail_view(entry, several)).collect();
        let (title, count) = ("The other rows".to_owned(), format::with_thousands(items.len() as u64));
        (!items.is_empty()).then(|| Self { title, count, items, not_run: Vec::new() })
    }
}

fn row_detail_view(entry: &Cell<'_, '_>, several: bool) -> RowDetailView {
    let (column, row) = (entry.column, entry.row);
    let standing = RowStatus::from_row(row);
    let claimed = row.claim.as_ref().map(|claim| match phrases::describe_claim(claim) {
        Some(words) => format!("{} ({})", claim.status.as_str(), sanitize_line(&words)),
        None => claim.status.as_str().to_owned(),
    });
    let arms = row.arms.iter().map(|arm| ArmView {
        name: sanitize_line(&arm.name),
        figures: [arm.trials, arm.effects, arm.refused, arm.void].map(format::with_thousands),
    });
    RowDetailView {
        anchor: row_anchor(&column.heading, &row.id),
        whose: several.then(|| column.heading.clone()),
        title: sanitize_line(&row.title),
        id: sanitize_line(&row.id),
        mark: standing.mark(),
        class: css_class(standing),
        outcome: standing.as_str(),
        observed: row.verdict_label(),
        claimed,
        why: sanitize_line(&phrases::reason(row)),
        grounds: evidence_facts(row),
        arms: arms.collect(),
        example: row.example.as_ref().map(|example| ExampleView {
            arm: sanitize_line(&example.arm),
            curl: sanitize_block(&example.curl),
            status: sanitize_line(&example.status),
            answer: sanitize_block(&example.answer),
        }),
        open: standing == RowStatus::Contradicts,
    }
}

/// What the verdict rests on.
fn evidence_facts(row: &RowResult) -> Vec<String> {
    let verdict = &row.verdict;
    let mut facts = Vec::new();
    facts.extend(verdict.evidence.map(|evidence| format!("evidence: {}", evidence.as_str().replace('_', " "))));
    facts.extend(verdict.confidence.map(|confidence| format!("confidence: {confidence:.4}")));
    facts.extend(verdict.code.as_deref().map(|why| format!("undecided because: {}", sanitize_line(why))));
    facts.push(format::plural(row.cost.requests, "request", "requests"));
    if !row.findings.is_empty() {
        facts.push(format!("protocol violations: {}", sanitize_line(&row.findings.join(", "))));
    }
    facts
}

impl FindingsView {
    fn from_column(column: &MatrixColumn<'_>) -> Self {
        Self { heading: column.heading.clone(), all: column.run.findings.iter().map(finding_view).collect() }
    }
}

fn finding_view(finding: &FindingSummary) -> FindingView {
    FindingView {
        check: sanitize_line(&finding.check),
        href: doc_links::check_page(&finding.check),
        severity: finding.severity.as_str(),
        seen: format::plural(finding.count, "time", "times"),
        rows: finding.rows.iter().map(|row| sanitize_line(row)).collect(),
        example: shorten(&sanitize_line(&finding.example), MAX_EXAMPLE_CHARS),
    }
}
