//! Adds up the findings, totals and counts of several results.

use std::collections::BTreeMap;

use crate::checks::CheckSeverity;
use crate::results::model::{
    CostPerVerdict, EndpointStrictness, FindingSummary, Results, ResultsSummary, RowCost, RunTotals, UnknownKeyReaction,
};
use crate::results::progress::add_costs;
use crate::results::shared_causes::settle_causes;

/// The findings of several runs as one list: counts are added, rows are united in the order of `rows`, and
/// the first example is kept.
pub(in crate::results) fn merge_findings(parts: &[&[FindingSummary]], rows: &[&str]) -> Vec<FindingSummary> {
    let mut all: BTreeMap<(CheckSeverity, &str), FindingSummary> = BTreeMap::new();
    for finding in parts.iter().copied().flatten() {
        match all.get_mut(&(finding.severity, finding.check.as_str())) {
            None => {
                all.insert((finding.severity, &finding.check), finding.clone());
            }
            Some(known) => {
                known.count = known.count.saturating_add(finding.count);
                known.rows.extend(finding.rows.iter().cloned());
            }
        }
    }
    let mut all: Vec<FindingSummary> = all.into_values().collect();
    for finding in &mut all {
        let seen = std::mem::take(&mut finding.rows);
        let is_seen = |row: &&&str| seen.iter().any(|id| id == **row);
        finding.rows = rows.iter().filter(is_seen).map(|row| (*row).to_owned()).collect();
    }
    all
}

/// The totals of two runs, one after the other.
pub(super) fn add_totals(a: &RunTotals, b: &RunTotals) -> RunTotals {
    let planned = a.planned.as_ref().zip(b.planned.as_ref()).map(|(a, b)| a.add_sequential(b));
    RunTotals { wall_ms: a.wall_ms.saturating_add(b.wall_ms), planned, ..add_parallel_totals(a, b) }
}

/// The totals of two parallel runs.
pub(super) fn add_parallel_totals(a: &RunTotals, b: &RunTotals) -> RunTotals {
    RunTotals {
        requests: a.requests.saturating_add(b.requests),
        retries: a.retries.saturating_add(b.retries),
        input_tokens: a.input_tokens.saturating_add(b.input_tokens),
        output_tokens: a.output_tokens.saturating_add(b.output_tokens),
        cost_usd: add_costs(a.cost_usd, b.cost_usd),
        wall_ms: a.wall_ms.max(b.wall_ms),
        // Without the estimate of one part, the sum would be wrong.
        planned: a.planned.as_ref().zip(b.planned.as_ref()).map(|(a, b)| a.add_parallel(b)),
    }
}

pub(super) fn add_cost(a: &RowCost, b: &RowCost) -> RowCost {
    RowCost {
        requests: a.requests.saturating_add(b.requests),
        input_tokens: a.input_tokens.saturating_add(b.input_tokens),
        output_tokens: a.output_tokens.saturating_add(b.output_tokens),
    }
}

/// The reactions to unknown keys in two runs, and the places where the runs contradict each other. The
/// reaction in such a place is unknown.
pub(super) fn merge_strictness(
    a: &EndpointStrictness,
    b: &EndpointStrictness,
) -> (EndpointStrictness, Vec<&'static str>) {
    let mut contradictions = Vec::new();
    let mut both = |place: &'static str, a: UnknownKeyReaction, b: UnknownKeyReaction| match (a, b) {
        (UnknownKeyReaction::Unknown, known) | (known, UnknownKeyReaction::Unknown) => known,
        (a, b) if a == b => a,
        _ => {
            contradictions.push(place);
            UnknownKeyReaction::Unknown
        }
    };
    let merged = EndpointStrictness {
        top_level: both("the top of the body", a.top_level, b.top_level),
        tool: both("a tool", a.tool, b.tool),
        block: both("a block", a.block, b.block),
    };
    (merged, contradictions)
}

/// Recomputes the counts of the rows.
pub(super) fn recount(results: &mut Results) {
    // The comparison of one part with a baseline does not hold for all results.
    results.baseline = None;
    settle_causes(&mut results.rows);
    results.summary = ResultsSummary::from_rows(&results.rows);
    results.per_verdict = CostPerVerdict::from_totals(&results.totals, results.summary.decided);
}
