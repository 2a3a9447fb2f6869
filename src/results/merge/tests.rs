use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::catalog::{Outcome, VerdictStatus};
use crate::results::fixtures;
use crate::results::merge::totals::{merge_findings, recount};
use crate::results::merge::*;
use crate::results::model::{Results, ResultsSummary, RunTotals, ShardMetadata};

/// Splits results into `of` shards. `place` gives the shard of each row.
fn split_into_shards(whole: &Results, of: u32, place: &[u32]) -> Vec<(String, Results)> {
    let ids: Vec<String> = whole.rows.iter().map(|row| row.id.clone()).collect();
    let at =
        |id: &String| ids.iter().position(|other| other == id).and_then(|n| place.get(n)).copied().unwrap_or(0) % of;
    (0..of)
        .map(|nth| {
            let mut part = whole.clone();
            part.shard = Some(ShardMetadata {
                index: nth + 1,
                of,
                answer_tokens: 1024,
                cases: "c".to_owned(),
                plan: "p".to_owned(),
                rows: ids.clone(),
            });
            part.rows.retain(|row| at(&row.id) == nth);
            part.findings.retain(|finding| finding.rows.is_empty() || finding.rows.iter().any(|id| at(id) == nth));
            part.findings.iter_mut().for_each(|finding| finding.rows.retain(|id| at(id) == nth));
            part.partial = None;
            part.totals = RunTotals { requests: 1, ..RunTotals::default() };
            recount(&mut part);
            (format!("{nth}.json"), part)
        })
        .collect()
}

/// Gives findings the form that the judge gives them: one per check, sorted, with rows of the run.
fn normalize_run(mut run: Results) -> Results {
    let rows: BTreeSet<String> = run.rows.iter().map(|row| row.id.clone()).collect();
    let order: Vec<String> = run.rows.iter().map(|row| row.id.clone()).collect();
    let order: Vec<&str> = order.iter().map(String::as_str).collect();
    run.findings.retain(|finding| finding.rows.iter().all(|id| rows.contains(id)));
    run.findings = merge_findings(&[&run.findings], &order);
    run.partial = None;
    run.shard = None;
    run
}

proptest! {
    #[test]
    fn merged_shards_equal_the_whole_run_except_its_cost(
        run in fixtures::any_run(),
        of in 1..6u32,
        place in proptest::collection::vec(0..6u32, 40),
        turn in 0..6usize,
    ) {
        let whole = normalize_run(run);
        let mut parts = split_into_shards(&whole, of, &place);
        let by = turn % parts.len();
        parts.rotate_left(by);
        let joined = merge_shards(parts.clone()).unwrap().unwrap().results;
        prop_assert_eq!(&joined.rows, &whole.rows);
        prop_assert_eq!(&joined.summary, &ResultsSummary::from_rows(&whole.rows));
        prop_assert_eq!(joined.totals.requests, u64::from(of));
        prop_assert_eq!(joined.unsteady, whole.unsteady);
        let told = |r: &Results| r.findings.iter().map(|f| (f.check.clone(), f.severity, f.rows.clone())).collect::<Vec<_>>();
        prop_assert_eq!(told(&joined), told(&whole));
        // A missing shard and a duplicate shard are detected.
        let last = parts.pop().unwrap();
        if !parts.is_empty() {
            let missing = matches!(merge_shards(parts.clone()), Err(MergeError::MissingShards { .. }));
            prop_assert!(missing);
            parts.push(parts[0].clone());
            parts.push(last);
            let double = matches!(merge_shards(parts), Err(MergeError::DuplicateShard { .. }));
            prop_assert!(double);
        }
    }

    /// For any rerun: every row stays, other rows are unchanged, and no contradiction is lost.
    #[test]
    fn a_rerun_loses_nothing(old in fixtures::any_run(), new in fixtures::any_run()) {
        let mut new = new;
        new.rows.retain(|row| old.rows.iter().any(|before| before.id == row.id));
        let merged = merge_rerun(old.clone(), new.clone());
        prop_assert_eq!(merged.rows.len(), old.rows.len());
        for (before, after) in old.rows.iter().zip(&merged.rows) {
            prop_assert_eq!(&before.id, &after.id);
            let asked = new.rows.iter().any(|r| r.id == before.id && r.verdict.status != VerdictStatus::Skipped);
            if !asked {
                prop_assert_eq!(before, after);
            } else {
                let last = after.earlier.last().unwrap();
                prop_assert_eq!((last.status, last.outcome), (before.verdict.status, before.outcome));
                let contradicted = before.outcome == Outcome::Contradicts && before.verdict.status != after.verdict.status;
                prop_assert!(!(contradicted && after.verdict.status.is_decided()) || is_flaky(after));
            }
        }
        prop_assert_eq!(&merged.summary, &ResultsSummary::from_rows(&merged.rows));
    }
}
