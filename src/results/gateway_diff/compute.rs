//! Compares the results of a gateway with those of its upstream, row by row and finding by finding.

use std::cmp::Ordering;

use crate::catalog::VerdictStatus;
use crate::results::compare::{FieldBenefit, FindingPair, pair_findings};
use crate::results::gateway_diff::model::{
    AttributionCounts, ComparedFinding, ComparedRow, ConfirmationResult, GatewayAttribution, GatewayComparison, SCHEMA,
    SideSummary, SideVerdict,
};
use crate::results::model::{FindingSummary, Results, RowResult};

/// The results of both sides.
#[derive(Debug, Clone, Copy)]
pub struct ResultsPair<'a> {
    /// The upstream.
    pub direct: &'a Results,
    /// The gateway.
    pub via: &'a Results,
}

/// For a finding on one side only, at most this many rows are repeated.
const MAX_ROWS_PER_FINDING: usize = 3;

/// The rows to repeat before anything is attributed: rows that differ, and some rows in which only one
/// side has a protocol fault.
pub fn rows_to_confirm(sides: ResultsPair<'_>) -> Vec<String> {
    let differs = |row: &&RowResult| {
        let via = sides.via.find_row(&row.id);
        via.is_some_and(|via| is_difference(attribute(&to_side_verdict(row), &to_side_verdict(via))))
    };
    let mut rows: Vec<String> = sides.direct.rows.iter().filter(differs).map(|row| row.id.clone()).collect();
    for finding in compare_findings(sides, None) {
        if finding.direct == 0 || finding.via == 0 {
            rows.extend(finding.rows.into_iter().take(MAX_ROWS_PER_FINDING));
        }
    }
    // In the order of the tables, without duplicates.
    sides.direct.rows.iter().filter(|row| rows.contains(&row.id)).map(|row| row.id.clone()).collect()
}

/// Compares both sides. `again` has the results of the repeated rows.
pub fn compare(first: ResultsPair<'_>, again: Option<ResultsPair<'_>>) -> GatewayComparison {
    let rows: Vec<ComparedRow> = first.direct.rows.iter().filter_map(|row| compare_row(row, first, again)).collect();
    let all = || [Some(first), again].into_iter().flatten().flat_map(|sides| [sides.direct, sides.via]);
    let summarise = |side: fn(ResultsPair<'_>) -> &Results| {
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
        direct: summarise(|sides| sides.direct),
        via: summarise(|sides| sides.via),
        summary: AttributionCounts::from_rows(&rows),
        rows,
        findings: compare_findings(first, again),
    }
}

fn to_side_verdict(row: &RowResult) -> SideVerdict {
    SideVerdict { status: row.verdict.status, altered: row.alteration().is_some(), reason: row.verdict.reason.clone() }
}

/// What one comparison of two verdicts says about a gateway.
fn attribute(direct: &SideVerdict, via: &SideVerdict) -> GatewayAttribution {
    let benefit = |side: &SideVerdict| FieldBenefit::from_verdict(side.status, side.altered);
    let Some((upstream, gateway)) = benefit(direct).zip(benefit(via)) else {
        return GatewayAttribution::Undetermined;
    };
    match upstream.compare_across_gateway(gateway) {
        _ if direct.is_same(via) => GatewayAttribution::PassedThrough,
        Ordering::Greater => GatewayAttribution::Introduced,
        Ordering::Less => GatewayAttribution::Repaired,
        Ordering::Equal => GatewayAttribution::Changed,
    }
}

/// True if the sides differ in a way that must appear twice.
fn is_difference(attribution: GatewayAttribution) -> bool {
    !matches!(attribution, GatewayAttribution::PassedThrough | GatewayAttribution::Undetermined)
}

fn compare_row(row: &RowResult, first: ResultsPair<'_>, again: Option<ResultsPair<'_>>) -> Option<ComparedRow> {
    let (direct, via) = (to_side_verdict(row), to_side_verdict(first.via.find_row(&row.id)?));
    let once = attribute(&direct, &via);
    let again = again.and_then(|sides| {
        Some(ConfirmationResult {
            direct: to_side_verdict(sides.direct.find_row(&row.id)?),
            via: to_side_verdict(sides.via.find_row(&row.id)?),
        })
    });
    let again = again.filter(|_| is_difference(once));
    let (fate, why) = match &again {
        _ if !is_difference(once) => (once, explain_unconfirmed(&direct, &via)),
        Some(again) if again.direct.is_same(&direct) && again.via.is_same(&via) => {
            (once, format!("direct: {}; via: {}", direct.reason, via.reason))
        }
        Some(again) => (
            GatewayAttribution::Undetermined,
            format!(
                "not reproducible: {} and {} first, {} and {} when repeated",
                direct.describe(),
                via.describe(),
                again.direct.describe(),
                again.via.describe()
            ),
        ),
        None => (GatewayAttribution::Undetermined, "the sides differ; the row was not repeated".to_owned()),
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

/// The reason for an attribution that needs no repetition.
fn explain_unconfirmed(direct: &SideVerdict, via: &SideVerdict) -> String {
    match (direct.status.is_decided(), via.status.is_decided()) {
        (true, true) => "the same on both sides".to_owned(),
        (true, false) => format!("undecided through the gateway: {}", via.reason),
        (false, true) => format!("undecided at the upstream: {}", direct.reason),
        (false, false) => format!("undecided on both sides: direct: {}; via: {}", direct.reason, via.reason),
    }
}

/// The findings of both sides, by severity and check.
fn compare_findings(first: ResultsPair<'_>, again: Option<ResultsPair<'_>>) -> Vec<ComparedFinding> {
    let pairs = pair_findings(first.direct, first.via);
    let mut findings: Vec<ComparedFinding> =
        pairs.iter().filter_map(|pair| compare_finding(pair, first, again)).collect();
    findings.sort_by(|a, b| (a.severity, &a.check).cmp(&(b.severity, &b.check)));
    findings
}

/// True if a finding is in rows that both sides ran, or in no row (in the probes of a run).
fn is_comparable(finding: Option<&FindingSummary>, sides: ResultsPair<'_>) -> bool {
    let ran = |results: &Results, row: &str| {
        results.find_row(row).is_some_and(|row| row.verdict.status != VerdictStatus::Skipped)
    };
    finding.is_some_and(|finding| {
        finding.rows.is_empty() || finding.rows.iter().any(|row| ran(sides.direct, row) && ran(sides.via, row))
    })
}

fn compare_finding(
    pair: &FindingPair<'_>,
    first: ResultsPair<'_>,
    again: Option<ResultsPair<'_>>,
) -> Option<ComparedFinding> {
    let (direct, via, latest) = (pair.old, pair.new, pair.latest()?);
    let has_finding = |results: &Results| results.find_finding(&latest.check).is_some();
    let repeated = again.map(|again| (has_finding(again.direct), has_finding(again.via)));
    let (fate, why) = match (is_comparable(direct, first), is_comparable(via, first)) {
        (true, true) => (GatewayAttribution::PassedThrough, "on both sides"),
        (false, false) => (GatewayAttribution::Undetermined, "only in rows that were not run on both sides"),
        // The upstream has the fault in rows that the gateway did not run, so it is not the gateway's.
        (false, true) if direct.is_some() => (GatewayAttribution::PassedThrough, "on both sides"),
        (true, false) if via.is_some() => (GatewayAttribution::PassedThrough, "on both sides"),
        (false, true) if repeated == Some((false, true)) => {
            (GatewayAttribution::Introduced, "only through the gateway, twice")
        }
        (true, false) if repeated == Some((true, false)) => {
            (GatewayAttribution::Repaired, "only at the upstream, twice")
        }
        (false, true) | (true, false) => match repeated {
            Some(_) => (GatewayAttribution::Undetermined, "not reproducible"),
            None => (GatewayAttribution::Undetermined, "on one side; not repeated"),
        },
    };
    let rows = |finding: Option<&FindingSummary>| finding.map_or(Vec::new(), |finding| finding.rows.clone());
    let (of_direct, of_via) = (rows(direct), rows(via));
    let is_affected = |row: &&RowResult| of_direct.contains(&row.id) || of_via.contains(&row.id);
    Some(ComparedFinding {
        check: latest.check.clone(),
        severity: latest.severity,
        fate,
        direct: direct.map_or(0, |finding| finding.count),
        via: via.map_or(0, |finding| finding.count),
        rows: first.direct.rows.iter().filter(is_affected).map(|row| row.id.clone()).collect(),
        example: latest.example.clone(),
        why: why.to_owned(),
    })
}
