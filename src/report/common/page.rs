//! What the page shows, as plain texts: nothing here knows markup.

use serde::Serialize;

use crate::catalog::VerdictStatus;
use crate::report::common::highlights::List;
use crate::report::common::matrix::{Column, Entry, Matrix};
use crate::report::common::row_status::{Standing, observations};
use crate::report::common::sanitize::{block, one_line, shorten};
use crate::report::common::summary::Line;
use crate::report::common::{ci_status, doc_links, format, highlights, phrases, summary};
use crate::results::baseline::{Case, State};
use crate::results::file_names::slug;
use crate::results::model::{Finding, Results, RowResult};

/// Enough of a finding's example to recognise it; the results file has all of it.
const EXAMPLE: usize = 200;

/// The page.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    runs: Vec<Run>,
    facts: Vec<Fact>,
    has_limits: bool,
    legend: Vec<Legend>,
    observations: Vec<(&'static str, &'static str)>,
    summary: Vec<Count>,
    sections: Vec<Section>,
    baselines: Vec<Baseline>,
    chapters: Vec<Chapter>,
    findings: Vec<Findings>,
}

/// A run held against a baseline.
#[derive(Debug, Serialize)]
struct Baseline {
    heading: String,
    file: String,
    notes: Vec<String>,
    counts: Vec<(&'static str, String, &'static str)>,
    entries: Vec<Compared>,
}

#[derive(Debug, Serialize)]
struct Compared {
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
struct Run {
    heading: String,
    partial: Option<String>,
    simulated: bool,
}

/// A line of what was tested: for each run some texts, each with an address where it has one.
#[derive(Debug, Serialize)]
struct Fact {
    label: &'static str,
    cells: Vec<Vec<Text>>,
}

#[derive(Debug, Serialize)]
struct Text {
    text: String,
    href: Option<String>,
    more: String,
}

#[derive(Debug, Serialize)]
struct Legend {
    mark: &'static str,
    class: &'static str,
    word: &'static str,
    meaning: &'static str,
}

/// A line of the counts.
#[derive(Debug, Serialize)]
struct Count {
    label: String,
    figures: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Section {
    title: String,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    title: String,
    cells: Vec<Option<Cell>>,
}

#[derive(Debug, Serialize)]
struct Cell {
    mark: &'static str,
    class: &'static str,
    outcome: &'static str,
    observed: &'static str,
    claim: String,
    anchor: Option<String>,
}

/// Rows with their details.
#[derive(Debug, Serialize)]
struct Chapter {
    title: String,
    count: String,
    items: Vec<Item>,
    not_run: Vec<NotRun>,
}

#[derive(Debug, Serialize)]
struct Item {
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
    arms: Vec<Arm>,
    example: Option<Shown>,
    open: bool,
}

#[derive(Debug, Serialize)]
struct Arm {
    name: String,
    figures: [String; 4],
}

#[derive(Debug, Serialize)]
struct Shown {
    arm: String,
    curl: String,
    status: String,
    answer: String,
}

#[derive(Debug, Serialize)]
struct NotRun {
    heading: String,
    reason: String,
    ids: Vec<String>,
}

/// The findings of a run.
#[derive(Debug, Serialize)]
struct Findings {
    heading: String,
    all: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    check: String,
    href: Option<String>,
    severity: &'static str,
    seen: String,
    rows: Vec<String>,
    example: String,
}

impl Page {
    /// All of it.
    pub(crate) fn of(matrix: &Matrix<'_>) -> Self {
        let several = matrix.columns.len() > 1;
        let mut chapters: Vec<Chapter> =
            highlights::of(matrix).iter().map(|list| Chapter::of_list(list, several)).collect();
        chapters.extend(Chapter::of_the_rest(matrix, several));
        let found = matrix.columns.iter().filter(|column| !column.run.findings.is_empty());
        Self {
            runs: matrix.columns.iter().map(run).collect(),
            facts: facts(matrix),
            has_limits: matrix.columns.iter().any(|column| !limits(column.run).is_empty()),
            legend: Standing::ALL.into_iter().map(legend).collect(),
            observations: observations(matrix.columns.iter().map(|column| column.run)),
            summary: summary::lines(matrix.columns.iter().map(|column| column.run))
                .into_iter()
                .map(|line| count(matrix, line))
                .collect(),
            sections: matrix.sections.iter().map(|section| Section::of(matrix, section)).collect(),
            baselines: matrix.columns.iter().filter_map(baseline).collect(),
            chapters,
            findings: found.map(Findings::of).collect(),
        }
    }
}

/// Any other scheme could be a script's.
fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// The comparison, what needs a reader first.
fn baseline(column: &Column<'_>) -> Option<Baseline> {
    let held = column.run.baseline.as_ref()?;
    let counts = Case::ALL.map(|case| (word(case), format::count(held.counts.of(case)), case.meaning()));
    let entries = Case::ALL.into_iter().flat_map(|case| held.of_case(case)).map(|entry| Compared {
        case: word(entry.case),
        id: one_line(entry.subject.id()),
        before: entry.before.map_or("—", State::word),
        now: entry.now.map_or("—", State::word),
        why: one_line(&entry.why),
        reason: entry.reason.as_deref().map(one_line),
        href: entry.link.clone().filter(|url| is_web(url)),
        until: entry.until.as_deref().map(one_line),
    });
    Some(Baseline {
        heading: column.heading.clone(),
        file: one_line(&held.file),
        notes: held.notes.iter().map(|note| one_line(note)).collect(),
        counts: counts.to_vec(),
        entries: entries.collect(),
    })
}

fn word(case: Case) -> &'static str {
    match case {
        Case::NotRun => "not run",
        Case::Regression | Case::Stale | Case::Unconfirmed | Case::Expected => case.word(),
    }
}

fn run(column: &Column<'_>) -> Run {
    let partial = phrases::partial(column.run).map(|why| one_line(&why));
    Run { heading: column.heading.clone(), partial, simulated: column.run.target.simulated }
}

fn legend(standing: Standing) -> Legend {
    Legend { mark: standing.mark(), class: class(standing), word: standing.word(), meaning: standing.meaning() }
}

/// The name that the style sheet knows it by. Colour is never all that tells: the mark and the word stand beside it.
fn class(standing: Standing) -> &'static str {
    standing.word()
}

fn plain(text: impl AsRef<str>) -> Text {
    Text { text: one_line(text.as_ref()), href: None, more: String::new() }
}

type Told = fn(&Results) -> Vec<Text>;

fn facts(matrix: &Matrix<'_>) -> Vec<Fact> {
    let all: [(&'static str, Told); 11] = [
        ("Endpoint", |run| vec![plain(&run.target.base_url)]),
        ("Model", |run| vec![plain(&run.target.model)]),
        ("Date", |run| vec![plain(format::instant(&run.started_at))]),
        ("Answered by", |run| vec![plain(phrases::answered_by(run))]),
        ("Contract", |run| vec![plain(format!("anthropic-version: {}", run.target.anthropic_version))]),
        ("Claims", claims),
        ("Claimed limits", |run| limits(run).iter().map(plain).collect()),
        ("Invented keys", |run| phrases::invented_keys(run).iter().map(plain).collect()),
        ("Equal requests", |run| if run.unsteady { vec![plain(phrases::UNSTEADY)] } else { Vec::new() }),
        ("Repeats", |run| phrases::repeats(run).iter().map(plain).collect()),
        ("Confidence asked for", |run| phrases::confidence(run).iter().map(plain).collect()),
    ];
    let of = |(label, told): (&'static str, Told)| Fact {
        label,
        cells: matrix.columns.iter().map(|column| told(column.run)).collect(),
    };
    all.map(of).into_iter().filter(|fact| fact.cells.iter().any(|cell| !cell.is_empty())).collect()
}

fn claims(run: &Results) -> Vec<Text> {
    let Some(claims) = &run.target.claims else { return vec![plain("none")] };
    let sources = claims.sources.iter().map(|source| Text {
        text: one_line(&source.title),
        href: source.url.clone().filter(|url| is_web(url)),
        more: format!(" ({})", one_line(&phrases::revision(source))),
    });
    std::iter::once(plain(&claims.title)).chain(sources).collect()
}

fn limits(run: &Results) -> Vec<String> {
    run.target.claims.as_ref().map_or_else(Vec::new, |claims| phrases::limits(&claims.limits))
}

fn count(matrix: &Matrix<'_>, line: Line) -> Count {
    let label = match line {
        Line::Standing(standing) => format!("{} {}", standing.mark(), line.label()),
        _ => line.label(),
    };
    Count { label, figures: matrix.columns.iter().map(|column| line.figure(column.run)).collect() }
}

fn anchor(heading: &str, row: &str) -> String {
    format!("{}--{}", slug(heading), slug(row))
}

/// What was not tried has no details.
fn has_details(row: &RowResult) -> bool {
    row.verdict.status != VerdictStatus::Skipped
}

impl Section {
    fn of(matrix: &Matrix<'_>, section: &crate::report::common::matrix::Section<'_>) -> Self {
        let rows = section.lines.iter().map(|line| Row {
            id: one_line(line.id),
            title: one_line(line.title),
            cells: matrix.columns.iter().zip(&line.cells).map(|(column, row)| Some(cell(column, (*row)?))).collect(),
        });
        Self { title: one_line(section.title), rows: rows.collect() }
    }
}

fn cell(column: &Column<'_>, row: &RowResult) -> Cell {
    let standing = Standing::of(row);
    let claim = row.claim.as_ref().map_or("no claim".to_owned(), |claim| format!("claimed {}", claim.status.word()));
    // Honoured in another way than documented is no plain tick.
    let altered = row.verdict.qualifiers.iter().find(|told| told.starts_with("altered: "));
    let altered = altered.map_or(String::new(), |told| format!("; {}", one_line(told)));
    Cell {
        mark: standing.mark(),
        class: class(standing),
        outcome: standing.word(),
        observed: row.observed(),
        claim: format!("{claim}{altered}"),
        anchor: has_details(row).then(|| anchor(&column.heading, &row.id)),
    }
}

impl Chapter {
    fn of_list(list: &List<'_, '_>, several: bool) -> Self {
        let not_run = list.not_run.iter().map(|group| NotRun {
            heading: group.heading.to_owned(),
            reason: group.reason.clone(),
            ids: group.ids.iter().map(|id| one_line(id)).collect(),
        });
        Self {
            title: list.title.to_owned(),
            count: format::count(list.len() as u64),
            items: list.tried.iter().map(|entry| item(entry, several)).collect(),
            not_run: not_run.collect(),
        }
    }

    /// Rows of which matrix and claim say all; who doubts them finds the requests here.
    fn of_the_rest(matrix: &Matrix<'_>, several: bool) -> Option<Self> {
        let rest = matrix.entries(|row| has_details(row) && !highlights::has_own_item(row));
        let items: Vec<Item> = rest.iter().map(|entry| item(entry, several)).collect();
        let (title, count) = ("The other rows".to_owned(), format::count(items.len() as u64));
        (!items.is_empty()).then(|| Self { title, count, items, not_run: Vec::new() })
    }
}

fn item(entry: &Entry<'_, '_>, several: bool) -> Item {
    let (column, row) = (entry.column, entry.row);
    let standing = Standing::of(row);
    let claimed = row.claim.as_ref().map(|claim| match phrases::claim_words(claim) {
        Some(words) => format!("{} ({})", claim.status.word(), one_line(&words)),
        None => claim.status.word().to_owned(),
    });
    let arms = row.arms.iter().map(|arm| Arm {
        name: one_line(&arm.name),
        figures: [arm.trials, arm.effects, arm.refused, arm.void].map(format::count),
    });
    Item {
        anchor: anchor(&column.heading, &row.id),
        whose: several.then(|| column.heading.clone()),
        title: one_line(&row.title),
        id: one_line(&row.id),
        mark: standing.mark(),
        class: class(standing),
        outcome: standing.word(),
        observed: row.observed(),
        claimed,
        why: one_line(&phrases::why(row)),
        grounds: grounds(row),
        arms: arms.collect(),
        example: row.example.as_ref().map(|example| Shown {
            arm: one_line(&example.arm),
            curl: block(&example.curl),
            status: one_line(&example.status),
            answer: block(&example.answer),
        }),
        open: standing == Standing::Contradicts,
    }
}

/// What the verdict rests on.
fn grounds(row: &RowResult) -> Vec<String> {
    let verdict = &row.verdict;
    let mut facts = Vec::new();
    facts.extend(verdict.evidence.map(|evidence| format!("evidence: {}", evidence.word().replace('_', " "))));
    facts.extend(verdict.confidence.map(|confidence| format!("confidence: {confidence:.4}")));
    facts.extend(verdict.code.as_deref().map(|why| format!("undecided because: {}", one_line(why))));
    facts.push(format::counted(row.cost.requests, "request", "requests"));
    if !row.findings.is_empty() {
        facts.push(format!("protocol violations: {}", one_line(&row.findings.join(", "))));
    }
    facts
}

impl Findings {
    fn of(column: &Column<'_>) -> Self {
        Self { heading: column.heading.clone(), all: column.run.findings.iter().map(found).collect() }
    }
}

fn found(finding: &Finding) -> Found {
    Found {
        check: one_line(&finding.check),
        href: doc_links::of_check(&finding.check),
        severity: ci_status::severity(finding.severity),
        seen: format::counted(finding.count, "time", "times"),
        rows: finding.rows.iter().map(|row| one_line(row)).collect(),
        example: shorten(&one_line(&finding.example), EXAMPLE),
    }
}
