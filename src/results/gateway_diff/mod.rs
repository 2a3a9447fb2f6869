//! Holding what came through a gateway against what its upstream does by itself.
//!
//! Pure: results in, a comparison out. What the upstream does itself is never the gateway's, and only what came out the
//! same twice is anybody's. This module must not know how anything was asked.

mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::catalog::VerdictStatus;
use crate::checks::CheckSeverity;
pub use crate::report::markdown::gateway_diff::render as markdown;
pub use crate::report::terminal::gateway_diff::render as terminal;
pub use crate::results::gateway_diff::model::{
    AttributionCounts, ComparedFinding, ComparedRow, ConfirmationResult, GatewayAttribution, GatewayComparison, SCHEMA,
    SideSummary, SideVerdict,
};
use crate::results::model::{FindingSummary, Results, RowResult};

/// Both sides of a run.
#[derive(Debug, Clone, Copy)]
pub struct ResultsPair<'a> {
    /// The upstream.
    pub direct: &'a Results,
    /// The gateway.
    pub via: &'a Results,
}

/// Of a finding that one side alone showed, so many rows are asked again.
const MAX_ROWS_PER_FINDING: usize = 3;

/// The rows that are to be asked again before anything is said of them: those that differ, and some of those in which
/// one side alone broke the protocol.
pub fn rows_to_confirm(sides: ResultsPair<'_>) -> Vec<String> {
    let differs = |row: &&RowResult| {
        let via = find_row(sides.via, &row.id);
        via.is_some_and(|via| {
            !matches!(
                attribute(&to_side_verdict(row), &to_side_verdict(via)),
                GatewayAttribution::PassedThrough | GatewayAttribution::Undetermined
            )
        })
    };
    let mut rows: Vec<String> = sides.direct.rows.iter().filter(differs).map(|row| row.id.clone()).collect();
    for finding in compare_findings(sides, None) {
        if finding.direct == 0 || finding.via == 0 {
            rows.extend(finding.rows.into_iter().take(MAX_ROWS_PER_FINDING));
        }
    }
    // In the order of the tables, each once.
    sides.direct.rows.iter().filter(|row| rows.contains(&row.id)).map(|row| row.id.clone()).collect()
}

/// Compares both sides. `again` is what they did when the rows in doubt were asked once more.
pub fn compare(first: ResultsPair<'_>, again: Option<ResultsPair<'_>>) -> GatewayComparison {
    let rows: Vec<ComparedRow> = first.direct.rows.iter().filter_map(|row| compare_row(row, first, again)).collect();
    let all = || [Some(first), again].into_iter().flatten().flat_map(|sides| [sides.direct, sides.via]);
    let asked = |side: fn(ResultsPair<'_>) -> &Results| {
        let results = side(first);
        let more = again.map_or(0, |again| side(again).totals.requests);
        SideSummary {
            base_url: results.target.base_url.clone(),
            model: results.target.model.clone(),
            requests: results.totals.requests.saturating_add(more),
            decided: results.summary.decided,
            partial: results.partial.clone(),
        }
    };
    GatewayComparison {
        schema: SCHEMA.to_owned(),
        started_at: all().map(|r| r.started_at.clone()).min().unwrap_or_default(),
        finished_at: all().map(|r| r.finished_at.clone()).max().unwrap_or_default(),
        direct: asked(|sides| sides.direct),
        via: asked(|sides| sides.via),
        summary: AttributionCounts::from_rows(&rows),
        rows,
        findings: compare_findings(first, again),
    }
}

/// The text of `comparison.json`. Equal comparisons are equal text.
#[expect(clippy::expect_used, reason = "strings as keys and no type that can refuse: there is nothing that could fail")]
pub fn to_json(comparison: &GatewayComparison) -> String {
    let mut text = serde_json::to_string_pretty(comparison).expect("comparisons are plain data");
    text.push('\n');
    text
}

/// The JSON Schema of comparisons.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(GatewayComparison).to_value()
}

fn find_row<'a>(results: &'a Results, row: &str) -> Option<&'a RowResult> {
    results.rows.iter().find(|r| r.id == row)
}

fn to_side_verdict(row: &RowResult) -> SideVerdict {
    let altered = row.verdict.qualifiers.iter().any(|qualifier| qualifier.starts_with("altered"));
    SideVerdict { status: row.verdict.status, altered, reason: row.verdict.reason.clone() }
}

impl SideVerdict {
    /// In a few words.
    pub fn describe(&self) -> String {
        format!("{}{}", self.status, if self.altered { " (altered)" } else { "" })
    }

    /// How much a client gets of the field.
    fn rank(&self) -> u8 {
        match self.status {
            VerdictStatus::Supported if !self.altered => 2,
            VerdictStatus::Supported | VerdictStatus::Substituted => 1,
            VerdictStatus::Ignored | VerdictStatus::Rejected | VerdictStatus::Inconclusive | VerdictStatus::Skipped => {
                0
            }
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.status == other.status && self.altered == other.altered
    }
}

/// What becomes of a row that was seen so on both sides, for all that this one time shows.
fn attribute(direct: &SideVerdict, via: &SideVerdict) -> GatewayAttribution {
    if !direct.status.is_decided() || !via.status.is_decided() {
        GatewayAttribution::Undetermined
    } else if direct.is_same(via) {
        GatewayAttribution::PassedThrough
    } else {
        match direct.rank().cmp(&via.rank()) {
            std::cmp::Ordering::Greater => GatewayAttribution::Introduced,
            std::cmp::Ordering::Less => GatewayAttribution::Repaired,
            std::cmp::Ordering::Equal => GatewayAttribution::Changed,
        }
    }
}

fn compare_row(row: &RowResult, first: ResultsPair<'_>, again: Option<ResultsPair<'_>>) -> Option<ComparedRow> {
    let (direct, via) = (to_side_verdict(row), to_side_verdict(find_row(first.via, &row.id)?));
    let once = attribute(&direct, &via);
    let again = again.and_then(|sides| {
        Some(ConfirmationResult {
            direct: to_side_verdict(find_row(sides.direct, &row.id)?),
            via: to_side_verdict(find_row(sides.via, &row.id)?),
        })
    });
    let differs = !matches!(once, GatewayAttribution::PassedThrough | GatewayAttribution::Undetermined);
    let again = again.filter(|_| differs);
    let (fate, why) = match (&again, differs) {
        (Some(again), true) if again.direct.is_same(&direct) && again.via.is_same(&via) => {
            (once, format!("direct: {}; via: {}", direct.reason, via.reason))
        }
        (Some(again), true) => (
            GatewayAttribution::Undetermined,
            format!(
                "it did not come out the same twice: {} and {} at first, {} and {} when it was asked again",
                direct.describe(),
                via.describe(),
                again.direct.describe(),
                again.via.describe()
            ),
        ),
        (None, true) => (GatewayAttribution::Undetermined, "the sides differ, and could not be asked again".to_owned()),
        (_, false) => (once, explain_unconfirmed(&direct, &via)),
    };
    Some(ComparedRow {
        id: row.id.clone(),
        section: row.section.clone(),
        title: row.title.clone(),
        fate,
        direct,
        via,
        again,
        why,
    })
}

/// Why a row has its fate that needed no second asking.
fn explain_unconfirmed(direct: &SideVerdict, via: &SideVerdict) -> String {
    match (direct.status.is_decided(), via.status.is_decided()) {
        (true, true) => "the same on both sides".to_owned(),
        (true, false) => format!("not decided via the gateway: {}", via.reason),
        (false, true) => format!("not decided at the upstream: {}", direct.reason),
        (false, false) => format!("not decided on either side: direct: {}; via: {}", direct.reason, via.reason),
    }
}

/// The checks that failed on either side, held against each other over the rows that were run on both.
fn compare_findings(first: ResultsPair<'_>, again: Option<ResultsPair<'_>>) -> Vec<ComparedFinding> {
    let mut checks: BTreeMap<(CheckSeverity, &str), [Option<&FindingSummary>; 2]> = BTreeMap::new();
    for (side, results) in [first.direct, first.via].into_iter().enumerate() {
        for finding in &results.findings {
            checks.entry((finding.severity, &finding.check)).or_default()[side] = Some(finding);
        }
    }
    checks.into_iter().filter_map(|(_, [direct, via])| compare_finding(direct, via, first, again)).collect()
}

/// True where a finding was seen in rows that were run on both sides, or in none: in what a run asks for itself.
fn is_comparable(finding: Option<&FindingSummary>, sides: ResultsPair<'_>) -> bool {
    let ran = |results: &Results, row: &str| {
        find_row(results, row).is_some_and(|row| row.verdict.status != VerdictStatus::Skipped)
    };
    finding.is_some_and(|finding| {
        finding.rows.is_empty() || finding.rows.iter().any(|row| ran(sides.direct, row) && ran(sides.via, row))
    })
}

fn compare_finding(
    direct: Option<&FindingSummary>,
    via: Option<&FindingSummary>,
    first: ResultsPair<'_>,
    again: Option<ResultsPair<'_>>,
) -> Option<ComparedFinding> {
    let any = via.or(direct)?;
    let seen = |results: &Results| results.findings.iter().any(|finding| finding.check == any.check);
    let twice = again.map(|again| (seen(again.direct), seen(again.via)));
    let (fate, why) = match (is_comparable(direct, first), is_comparable(via, first)) {
        (true, true) => (GatewayAttribution::PassedThrough, "seen on both sides"),
        (false, false) => (GatewayAttribution::Undetermined, "seen only in rows that were not run on both sides"),
        // The upstream shows it where the gateway was not asked: that is no blame for the gateway.
        (false, true) if direct.is_some() => (GatewayAttribution::PassedThrough, "seen on both sides"),
        (true, false) if via.is_some() => (GatewayAttribution::PassedThrough, "seen on both sides"),
        (false, true) if twice == Some((false, true)) => {
            (GatewayAttribution::Introduced, "seen through the gateway alone, twice")
        }
        (true, false) if twice == Some((true, false)) => {
            (GatewayAttribution::Repaired, "seen at the upstream alone, twice")
        }
        (false, true) | (true, false) => match twice {
            Some(_) => (GatewayAttribution::Undetermined, "it did not come out the same twice"),
            None => (GatewayAttribution::Undetermined, "seen on one side, which could not be asked again"),
        },
    };
    let rows = |finding: Option<&FindingSummary>| finding.map_or(Vec::new(), |finding| finding.rows.clone());
    let (of_direct, of_via) = (rows(direct), rows(via));
    let seen_in = |row: &&RowResult| of_direct.contains(&row.id) || of_via.contains(&row.id);
    Some(ComparedFinding {
        check: any.check.clone(),
        severity: any.severity,
        fate,
        direct: direct.map_or(0, |finding| finding.count),
        via: via.map_or(0, |finding| finding.count),
        rows: first.direct.rows.iter().filter(seen_in).map(|row| row.id.clone()).collect(),
        example: any.example.clone(),
        why: why.to_owned(),
    })
}
