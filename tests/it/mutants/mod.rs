//! Mutation testing without the simulator's faults and flips: a reverse proxy changes the traffic.
//! Each
//! mutant changes the field of one row, and the verdict of that row, and of no other, must change.
//! A
//! mutant whose mutation met no request is void and fails.
//!
//! `FIELDTEST_ALL_MUTANTS=1` gives each mutant its own run. Otherwise unrelated mutants share runs,
//! and
//! run alone if a shared run has a problem. `FIELDTEST_UPSTREAM=http://…` puts the proxy in front
//! of a
//! real server (see `mutants/ground.rs`). `--nocapture` shows the kill rate.

#![allow(clippy::print_stdout, reason = "the kill rate is for people")]

use crate::{common, proxy};

mod ground;
mod plan;
mod serve;
mod verdict;

use std::collections::BTreeMap;

use common::CATALOG;
use fieldtest::catalog::VerdictStatus;
use futures_util::stream::{self, StreamExt as _};
use ground::{Ground, Run};
use plan::{Batch, Mutant, apart, batches, mutants};
use proxy::mutation::Mutation;
use proxy::place;
use verdict::{Problem, problems};

/// The number of parallel runs.
const SIDE_BY_SIDE: usize = 2;

#[test]
fn the_proxy_has_a_place_for_every_row_and_for_no_other() {
    let fields = CATALOG.rows.iter().filter(|row| row.experiment.is_field_row());
    let mut rows: Vec<&str> = fields.map(|row| row.experiment.id()).collect();
    let mut places: Vec<&str> = place::rows().collect();
    rows.sort_unstable();
    places.sort_unstable();
    assert_eq!(rows, places);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mutant_is_killed_and_nothing_else_changes() {
    let ground = Ground::get().await;
    let direct = ground.direct().await;
    let before = ground.through(&[]).await;
    let differing: Vec<&String> =
        direct.iter().filter(|(row, v)| before.verdicts[*row].status != v.status).map(|(row, _)| row).collect();
    assert!(differing.is_empty(), "a proxy without mutations changes verdicts: {differing:?}");
    let (all, left_out) = mutants(&before.verdicts);
    assert!(!all.is_empty(), "no row of this upstream can be mutated");
    let alone = std::env::var_os("FIELDTEST_ALL_MUTANTS").is_some_and(|value| value == "1");
    let mut found: Vec<Problem> = Vec::new();
    let mut waiting = batches(&all, if alone { 1 } else { ground.together() });
    let mut runs = 0;
    while !waiting.is_empty() {
        runs += waiting.len();
        let ran: Vec<(Batch, Run)> = stream::iter(waiting)
            .map(|batch| async {
                let mutations: Vec<Mutation> = batch.mutants.iter().map(|mutant| mutant.mutation).collect();
                let run = ground.rows_through(&mutations, batch.rows.clone()).await;
                (batch, run)
            })
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
        waiting = Vec::new();
        for (batch, run) in ran {
            let wrong = problems(&batch.mutants, &before.verdicts, &run);
            if batch.mutants.len() > 1 && !wrong.is_empty() {
                let doubtful: Vec<&str> = wrong.iter().map(Problem::row).collect();
                waiting.extend(apart(&batch, &doubtful));
            } else {
                found.extend(wrong);
            }
        }
    }
    report(&ground, &all, &left_out, &found, runs);
    let problems: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{} of {} mutants:\n{}", problems.len(), all.len(), problems.join("\n"));
}

/// The kill rate as a table, on standard output.
fn report(ground: &Ground, all: &[Mutant], left_out: &[String], found: &[Problem], runs: usize) {
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for mutant in all {
        let (total, killed) = kinds.entry(mutant.kind()).or_default();
        *total += 1;
        *killed += usize::from(!found.iter().any(|problem| problem.lives(mutant)));
    }
    println!("\nMutants in front of {} ({runs} runs)\n", ground.name);
    println!("| mutation | mutants | killed | kill rate |\n| --- | ---: | ---: | ---: |");
    for (kind, (total, killed)) in kinds {
        println!("| {kind} | {total} | {killed} | {:.1} % |", 100.0 * killed as f64 / total as f64);
    }
    println!("\nNot tried, because this upstream cannot show them: {}\n", left_out.len());
    for line in left_out {
        println!("- {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_harness_finds_a_survivor_a_void_mutant_and_an_unrelated_change() {
    let ground = Ground::simulated().await;
    let before = ground.through(&[]).await;
    let mutant = |row, expected| Mutant { mutation: Mutation::Strip(row), row, expected };
    let top_k = mutant("field.top_k", VerdictStatus::Ignored);
    let metadata = mutant("field.metadata", VerdictStatus::Ignored);

    let honest = ground.through(&[top_k.mutation]).await;
    assert!(problems(&[top_k], &before.verdicts, &honest).is_empty());
    // The run of another mutation: this mutant survives, was never applied, and another row
    // changed.
    let told = problems(&[metadata], &before.verdicts, &honest);
    assert!(told.iter().any(|p| matches!(p, Problem::Lives { mutant, .. } if *mutant == metadata)), "{told:?}");
    assert!(told.iter().any(|p| matches!(p, Problem::Void(mutant) if *mutant == metadata)), "{told:?}");
    let elsewhere = |p: &Problem| matches!(p, Problem::Elsewhere { row, .. } if row == "field.top_k");
    assert!(told.iter().any(elsewhere), "{told:?}");
    // A run without mutations kills nothing.
    let told = problems(&[top_k], &before.verdicts, &before);
    assert!(told.iter().any(|p| p.lives(&top_k)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_leaves_sampling_rows_undecided() {
    let ground = Ground::simulated().await;
    let rows = ["field.temperature", "field.top_k", "field.top_p"];
    let run = ground.rows_through(&[Mutation::CacheByPrompt], rows.map(str::to_owned).to_vec()).await;
    assert!(run.applied[0].1 > 0, "the cache was not used");
    let statuses: Vec<VerdictStatus> = rows.iter().map(|row| run.verdicts[*row].status).collect();
    assert_eq!(statuses, [VerdictStatus::Inconclusive; 3]);
}
