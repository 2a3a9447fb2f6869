//! Merges the shards of one plan ([`merge_shards`]): every row exactly once, in the order of the tables.

use std::collections::HashMap;

use thiserror::Error;

use crate::results::merge::totals::{add_parallel_totals, merge_findings, merge_strictness, recount};
use crate::results::model::{Results, RowResult, ShardMetadata};

/// The merged results of all shards, with notes about their differences.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedShards {
    /// The results of the whole plan.
    pub results: Results,
    /// Differences between the shards, one sentence each.
    pub notes: Vec<String>,
}

/// Why shards cannot be merged.
#[derive(Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages show what the fields are")]
pub enum MergeError {
    /// The results are not a shard.
    #[error("{0} is not a shard: its run had no --shard")]
    NotAShard(String),
    /// Two shards are of different plans.
    #[error("{one} and {other} are shards of different plans: {what}")]
    DifferentPlans { one: String, other: String, what: String },
    /// A shard is given twice.
    #[error("shard {index} of {of} is given twice: {one} and {other}")]
    DuplicateShard { index: u32, of: u32, one: String, other: String },
    /// Shards are missing.
    #[error("{target}: {} of {of} {} missing. Run {}", shard_numbers(.missing), is_or_are(.missing), shard_options(.missing, *.of))]
    MissingShards { target: String, missing: Vec<u32>, of: u32 },
    /// A row is in no shard or in two shards, or is not part of the plan.
    #[error("{target}: row {row} {what}. A file was edited, or written by another version of fieldtest")]
    InvalidRow { target: String, row: String, what: &'static str },
}

fn shard_numbers(missing: &[u32]) -> String {
    let numbers: Vec<String> = missing.iter().map(u32::to_string).collect();
    format!("shard{} {}", if missing.len() == 1 { "" } else { "s" }, numbers.join(", "))
}

fn is_or_are(missing: &[u32]) -> &'static str {
    if missing.len() == 1 { "is" } else { "are" }
}

fn shard_options(missing: &[u32], of: u32) -> String {
    let options: Vec<String> = missing.iter().map(|index| format!("--shard {index}/{of}")).collect();
    options.join(" and ")
}

/// Merges the shards of the plan of one target. Each shard has the name of its file.
///
/// # Errors
/// The first reason why the shards are not one complete plan.
pub fn merge_shards(parts: Vec<(String, Results)>) -> Result<Option<MergedShards>, MergeError> {
    let mut known: Vec<(String, ShardMetadata, Results)> = Vec::new();
    for (name, results) in parts {
        let shard = results.shard.clone().ok_or_else(|| MergeError::NotAShard(name.clone()))?;
        if let Some((first, of, whole)) = known.first()
            && let Some(what) = find_plan_difference((of, whole), (&shard, &results))
        {
            return Err(MergeError::DifferentPlans { one: first.clone(), other: name, what });
        }
        if let Some((one, ..)) = known.iter().find(|(_, other, _)| other.index == shard.index) {
            let (index, of) = (shard.index, shard.of);
            return Err(MergeError::DuplicateShard { index, of, one: one.clone(), other: name });
        }
        known.push((name, shard, results));
    }
    known.sort_by_key(|(_, shard, _)| shard.index);
    let Some((_, plan, first)) = known.first().cloned() else { return Ok(None) };
    let missing: Vec<u32> = (1..=plan.of).filter(|i| known.iter().all(|(_, shard, _)| shard.index != *i)).collect();
    let target = first.target.name.clone();
    if !missing.is_empty() {
        return Err(MergeError::MissingShards { target, missing, of: plan.of });
    }
    let order: Vec<&str> = plan.rows.iter().map(String::as_str).collect();
    let rows = merge_rows(&target, &order, &known)?;
    let part_findings: Vec<_> = known.iter().map(|(_, _, results)| results.findings.as_slice()).collect();
    let findings = merge_findings(&part_findings, &order);
    let mut results = Results { rows, findings, shard: None, partial: merge_partial_reasons(&known), ..first };
    let mut notes = Vec::new();
    for (_, shard, part) in &known[1..] {
        let part_of = format!("shard {} of {}", shard.index, shard.of);
        // Shards run in parallel, so the total time is the time of the longest.
        results.totals = add_parallel_totals(&results.totals, &part.totals);
        let (merged, contradictions) = merge_strictness(&results.strictness, &part.strictness);
        results.strictness = merged;
        notes.extend(contradictions.iter().map(|place| {
            format!("{target}: an unknown key in {place} is accepted in one shard and rejected in {part_of}")
        }));
        if part.seed != results.seed && !part.rows.is_empty() {
            notes.push(format!(
                "{target}: {part_of} has another seed than shard 1; the results have the seed of shard 1"
            ));
        }
        if part.unsteady && !results.unsteady {
            notes.push(format!(
                "{target}: inconsistent endpoint in {part_of}; the other shards did not repeat their rows"
            ));
        }
        results.unsteady |= part.unsteady;
        results.unfollowed = results.unfollowed.take().or(part.unfollowed.clone());
        results.notes.extend(part.notes.iter().cloned());
        results.started_at = results.started_at.min(part.started_at.clone());
        results.finished_at = results.finished_at.max(part.finished_at.clone());
    }
    recount(&mut results);
    Ok(Some(MergedShards { results, notes }))
}

/// Every row of the plan exactly once.
fn merge_rows(
    target: &str,
    order: &[&str],
    parts: &[(String, ShardMetadata, Results)],
) -> Result<Vec<RowResult>, MergeError> {
    let invalid = |row: &str, what| MergeError::InvalidRow { target: target.to_owned(), row: row.to_owned(), what };
    let mut by_id: HashMap<&str, &RowResult> = HashMap::new();
    for row in parts.iter().flat_map(|(_, _, results)| &results.rows) {
        if !order.contains(&row.id.as_str()) {
            return Err(invalid(&row.id, "is not part of the plan"));
        }
        if by_id.insert(&row.id, row).is_some() {
            return Err(invalid(&row.id, "is in two shards"));
        }
    }
    let of = |id: &&str| by_id.get(id).map(|row| (*row).clone()).ok_or_else(|| invalid(id, "is in no shard"));
    order.iter().map(of).collect()
}

fn merge_partial_reasons(parts: &[(String, ShardMetadata, Results)]) -> Option<String> {
    let reasons = parts.iter().filter_map(|(_, shard, results)| {
        Some(format!("shard {} of {}: {}", shard.index, shard.of, results.partial.as_ref()?))
    });
    let reasons: Vec<String> = reasons.collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The first difference between the plans of two shards.
fn find_plan_difference(
    (a, of_a): (&ShardMetadata, &Results),
    (b, of_b): (&ShardMetadata, &Results),
) -> Option<String> {
    let differs = |what: &str, a: &dyn std::fmt::Display, b: &dyn std::fmt::Display| {
        let (a, b) = (a.to_string(), b.to_string());
        (a != b).then(|| format!("{what} {a} and {b}"))
    };
    let claims = |r: &Results| r.target.claims.as_ref().map_or("none".to_owned(), |claims| claims.target.clone());
    let (x, y) = (&of_a.target, &of_b.target);
    let only = |a: &[String], b: &[String]| a.iter().find(|row| !b.contains(row)).cloned();
    differs("the number of shards is", &a.of, &b.of)
        .or_else(|| differs("the base URL is", &x.base_url, &y.base_url))
        .or_else(|| differs("the model is", &x.model, &y.model))
        .or_else(|| differs("anthropic-version is", &x.anthropic_version, &y.anthropic_version))
        .or_else(|| differs("the claims come from", &claims(of_a), &claims(of_b)))
        .or_else(|| differs("the confidence is", &of_a.confidence, &of_b.confidence))
        .or_else(|| differs("--default-max-tokens is", &a.answer_tokens, &b.answer_tokens))
        .or_else(|| only(&a.rows, &b.rows).map(|row| format!("row {row} is only in the first (--select, --cases)")))
        .or_else(|| only(&b.rows, &a.rows).map(|row| format!("row {row} is only in the second (--select, --cases)")))
        .or_else(|| (a.cases != b.cases).then(|| "the case files differ (--cases)".to_owned()))
        .or_else(|| (a.plan != b.plan).then(|| "the claims or the limits of the target differ".to_owned()))
}
