//! Making one run's results of several: the shards of a plan (`shards`), a run and its rerun (`again`), or repeated runs (`repeats`).
//!
//! Pure. Nothing is decided anew: verdicts stay as they are, counts are added, what does not fit together is refused
//! with what differs.

mod repeats;
mod rerun;
mod shards;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::checks::CheckSeverity;
pub use crate::results::merge::repeats::RepeatMerger;
pub use crate::results::merge::rerun::{RunMismatch, is_flaky, merge_rerun, rows_to_rerun, verify_compatible};
pub use crate::results::merge::shards::{MergeError, MergedShards, merge_shards};
use crate::results::model::{
    CostPerVerdict, EndpointStrictness, FindingSummary, Results, ResultsSummary, RowCost, RunTotals, UnknownKeyReaction,
};

/// The findings of several runs as one run's: counts added, rows united in the order of `rows`, the first example.
fn merge_findings(parts: &[&[FindingSummary]], rows: &[&str]) -> Vec<FindingSummary> {
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

/// What two runs cost, one after the other.
fn add_totals(a: &RunTotals, b: &RunTotals) -> RunTotals {
    let planned = a.planned.as_ref().zip(b.planned.as_ref()).map(|(a, b)| a.add_sequential(b));
    RunTotals { wall_ms: a.wall_ms.saturating_add(b.wall_ms), planned, ..add_parallel_totals(a, b) }
}

/// What two runs cost, side by side.
fn add_parallel_totals(a: &RunTotals, b: &RunTotals) -> RunTotals {
    RunTotals {
        requests: a.requests.saturating_add(b.requests),
        retries: a.retries.saturating_add(b.retries),
        input_tokens: a.input_tokens.saturating_add(b.input_tokens),
        output_tokens: a.output_tokens.saturating_add(b.output_tokens),
        cost_usd: match (a.cost_usd, b.cost_usd) {
            (Some(a), Some(b)) => Some(a + b),
            (one, other) => one.or(other),
        },
        wall_ms: a.wall_ms.max(b.wall_ms),
        // The parts of one plan make up what was planned of it; a plan that lacks one says nothing.
        planned: a.planned.as_ref().zip(b.planned.as_ref()).map(|(a, b)| a.add_parallel(b)),
    }
}

fn add_cost(a: &RowCost, b: &RowCost) -> RowCost {
    RowCost {
        requests: a.requests.saturating_add(b.requests),
        input_tokens: a.input_tokens.saturating_add(b.input_tokens),
        output_tokens: a.output_tokens.saturating_add(b.output_tokens),
    }
}

/// What two runs know of invented keys together, and the places where they saw opposite things, of which nothing is known.
fn merge_strictness(a: &EndpointStrictness, b: &EndpointStrictness) -> (EndpointStrictness, Vec<&'static str>) {
    let mut disagree = Vec::new();
    let mut both = |place: &'static str, a: UnknownKeyReaction, b: UnknownKeyReaction| match (a, b) {
        (UnknownKeyReaction::Unknown, known) | (known, UnknownKeyReaction::Unknown) => known,
        (a, b) if a == b => a,
        _ => {
            disagree.push(place);
            UnknownKeyReaction::Unknown
        }
    };
    let together = EndpointStrictness {
        top_level: both("the top of the body", a.top_level, b.top_level),
        tool: both("a tool", a.tool, b.tool),
        block: both("a block", a.block, b.block),
    };
    (together, disagree)
}

/// Counts the rows anew.
fn recount(results: &mut Results) {
    // What a part was held against says nothing of the whole.
    results.baseline = None;
    results.summary = ResultsSummary::from_rows(&results.rows);
    results.per_verdict = CostPerVerdict::from_totals(&results.totals, results.summary.decided);
}
