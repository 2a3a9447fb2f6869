//! Holding what came through a gateway against what its upstream does by itself.
//!
//! Pure: results in, a comparison out. What the upstream does itself is never the gateway's, and only what came out the
//! same twice is anybody's. This module must not know how anything was asked.

mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::catalog::VerdictStatus;
pub use crate::report::markdown::gateway_diff::render as markdown;
pub use crate::report::terminal::gateway_diff::render as terminal;
pub use crate::results::gateway_diff::model::{
    Again, Asked, ComparedFinding, ComparedRow, Comparison, Fate, Fates, Observed, SCHEMA,
};
use crate::results::model::{Finding, Results, RowResult, Severity};

/// Both sides of a run.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// The upstream.
    pub direct: &'a Results,
    /// The gateway.
    pub via: &'a Results,
}

/// Of a finding that one side alone showed, so many rows are asked again.
const ROWS_OF_FINDING: usize = 3;

/// The rows that are to be asked again before anything is said of them: those that differ, and some of those in which
/// one side alone broke the protocol.
pub fn in_doubt(sides: Sides<'_>) -> Vec<String> {
    let differs = |row: &&RowResult| {
        let via = of(sides.via, &row.id);
        via.is_some_and(|via| !matches!(fate(&observed(row), &observed(via)), Fate::PassedThrough | Fate::Undetermined))
    };
    let mut rows: Vec<String> = sides.direct.rows.iter().filter(differs).map(|row| row.id.clone()).collect();
    for finding in findings(sides, None) {
        if finding.direct == 0 || finding.via == 0 {
            rows.extend(finding.rows.into_iter().take(ROWS_OF_FINDING));
        }
    }
    // In the order of the tables, each once.
    sides.direct.rows.iter().filter(|row| rows.contains(&row.id)).map(|row| row.id.clone()).collect()
}

/// Compares both sides. `again` is what they did when the rows in doubt were asked once more.
pub fn compare(first: Sides<'_>, again: Option<Sides<'_>>) -> Comparison {
    let rows: Vec<ComparedRow> = first.direct.rows.iter().filter_map(|row| compared(row, first, again)).collect();
    let all = || [Some(first), again].into_iter().flatten().flat_map(|sides| [sides.direct, sides.via]);
    let asked = |side: fn(Sides<'_>) -> &Results| {
        let results = side(first);
        let more = again.map_or(0, |again| side(again).totals.requests);
        Asked {
            base_url: results.target.base_url.clone(),
            model: results.target.model.clone(),
            requests: results.totals.requests.saturating_add(more),
            decided: results.summary.decided,
            partial: results.partial.clone(),
        }
    };
    Comparison {
        schema: SCHEMA.to_owned(),
        started_at: all().map(|r| r.started_at.clone()).min().unwrap_or_default(),
        finished_at: all().map(|r| r.finished_at.clone()).max().unwrap_or_default(),
        direct: asked(|sides| sides.direct),
        via: asked(|sides| sides.via),
        summary: Fates::count(&rows),
        rows,
        findings: findings(first, again),
    }
}

/// The text of `comparison.json`. Equal comparisons are equal text.
#[expect(clippy::expect_used, reason = "strings as keys and no type that can refuse: there is nothing that could fail")]
pub fn json(comparison: &Comparison) -> String {
    let mut text = serde_json::to_string_pretty(comparison).expect("comparisons are plain data");
    text.push('\n');
    text
}

/// The JSON Schema of comparisons.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Comparison).to_value()
}

fn of<'a>(results: &'a Results, row: &str) -> Option<&'a RowResult> {
    results.rows.iter().find(|r| r.id == row)
}

fn observed(row: &RowResult) -> Observed {
    let altered = row.verdict.qualifiers.iter().any(|qualifier| qualifier.starts_with("altered"));
    Observed { status: row.verdict.status, altered, reason: row.verdict.reason.clone() }
}

impl Observed {
    /// In a few words.
    pub fn words(&self) -> String {
        format!("{}{}", self.status, if self.altered { " (altered)" } else { "" })
    }

    /// How much a client gets of the field.
    fn worth(&self) -> u8 {
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
fn fate(direct: &Observed, via: &Observed) -> Fate {
    if !direct.status.is_decided() || !via.status.is_decided() {
        Fate::Undetermined
    } else if direct.is_same(via) {
        Fate::PassedThrough
    } else {
        match direct.worth().cmp(&via.worth()) {
            std::cmp::Ordering::Greater => Fate::Introduced,
            std::cmp::Ordering::Less => Fate::Repaired,
            std::cmp::Ordering::Equal => Fate::Changed,
        }
    }
}

fn compared(row: &RowResult, first: Sides<'_>, again: Option<Sides<'_>>) -> Option<ComparedRow> {
    let (direct, via) = (observed(row), observed(of(first.via, &row.id)?));
    let once = fate(&direct, &via);
    let again = again.and_then(|sides| {
        Some(Again { direct: observed(of(sides.direct, &row.id)?), via: observed(of(sides.via, &row.id)?) })
    });
    let differs = !matches!(once, Fate::PassedThrough | Fate::Undetermined);
    let again = again.filter(|_| differs);
    let (fate, why) = match (&again, differs) {
        (Some(again), true) if again.direct.is_same(&direct) && again.via.is_same(&via) => {
            (once, format!("direct: {}; via: {}", direct.reason, via.reason))
        }
        (Some(again), true) => (
            Fate::Undetermined,
            format!(
                "it did not come out the same twice: {} and {} at first, {} and {} when it was asked again",
                direct.words(),
                via.words(),
                again.direct.words(),
                again.via.words()
            ),
        ),
        (None, true) => (Fate::Undetermined, "the sides differ, and could not be asked again".to_owned()),
        (_, false) => (once, unasked(&direct, &via)),
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
fn unasked(direct: &Observed, via: &Observed) -> String {
    match (direct.status.is_decided(), via.status.is_decided()) {
        (true, true) => "the same on both sides".to_owned(),
        (true, false) => format!("not decided via the gateway: {}", via.reason),
        (false, true) => format!("not decided at the upstream: {}", direct.reason),
        (false, false) => format!("not decided on either side: direct: {}; via: {}", direct.reason, via.reason),
    }
}

/// The checks that failed on either side, held against each other over the rows that were run on both.
fn findings(first: Sides<'_>, again: Option<Sides<'_>>) -> Vec<ComparedFinding> {
    let mut checks: BTreeMap<(Severity, &str), [Option<&Finding>; 2]> = BTreeMap::new();
    for (side, results) in [first.direct, first.via].into_iter().enumerate() {
        for finding in &results.findings {
            checks.entry((finding.severity, &finding.check)).or_default()[side] = Some(finding);
        }
    }
    checks.into_iter().filter_map(|(_, [direct, via])| finding(direct, via, first, again)).collect()
}

/// True where a finding was seen in rows that were run on both sides, or in none: in what a run asks for itself.
fn counts(finding: Option<&Finding>, sides: Sides<'_>) -> bool {
    let ran =
        |results: &Results, row: &str| of(results, row).is_some_and(|row| row.verdict.status != VerdictStatus::Skipped);
    finding.is_some_and(|finding| {
        finding.rows.is_empty() || finding.rows.iter().any(|row| ran(sides.direct, row) && ran(sides.via, row))
    })
}

fn finding(
    direct: Option<&Finding>,
    via: Option<&Finding>,
    first: Sides<'_>,
    again: Option<Sides<'_>>,
) -> Option<ComparedFinding> {
    let any = via.or(direct)?;
    let seen = |results: &Results| results.findings.iter().any(|finding| finding.check == any.check);
    let twice = again.map(|again| (seen(again.direct), seen(again.via)));
    let (fate, why) = match (counts(direct, first), counts(via, first)) {
        (true, true) => (Fate::PassedThrough, "seen on both sides"),
        (false, false) => (Fate::Undetermined, "seen only in rows that were not run on both sides"),
        // The upstream shows it where the gateway was not asked: that is no blame for the gateway.
        (false, true) if direct.is_some() => (Fate::PassedThrough, "seen on both sides"),
        (true, false) if via.is_some() => (Fate::PassedThrough, "seen on both sides"),
        (false, true) if twice == Some((false, true)) => (Fate::Introduced, "seen through the gateway alone, twice"),
        (true, false) if twice == Some((true, false)) => (Fate::Repaired, "seen at the upstream alone, twice"),
        (false, true) | (true, false) => match twice {
            Some(_) => (Fate::Undetermined, "it did not come out the same twice"),
            None => (Fate::Undetermined, "seen on one side, which could not be asked again"),
        },
    };
    let rows = |finding: Option<&Finding>| finding.map_or(Vec::new(), |finding| finding.rows.clone());
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
