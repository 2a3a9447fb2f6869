//! Serves mutants to other programs: `scripts/compare-peers --only notices` counts how many of them each notices.
//!
//! The first server has no mutation. Each server has a simulator of its own, because a mutant must not see what another
//! one cached.

use std::env;
use std::io;

use serde_json::json;

use super::ground::Ground;
use super::plan::mutants;

/// Prints one line of JSON per server, then waits for a line on stdin or its end, then prints how often each mutation was
/// applied. `FIELDTEST_MUTANTS` limits the number of mutants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "waits for other programs"]
async fn serve_mutants_to_other_programs() {
    let before = Ground::simulated().await.through(&[]).await;
    let (all, _) = mutants(&before.verdicts);
    let wanted = env::var("FIELDTEST_MUTANTS").map_or(all.len(), |most| most.parse().expect("a number"));
    // Evenly, because neighbours are alike.
    let chosen = (0..wanted.min(all.len())).map(|nth| &all[nth * all.len() / wanted.min(all.len())]);
    let mut served = Vec::new();
    for mutant in [None].into_iter().chain(chosen.map(Some)) {
        let ground = Ground::simulated().await;
        let mutations: Vec<_> = mutant.iter().map(|mutant| mutant.mutation).collect();
        let (proxy, own) = ground.serve(&mutations).await;
        let (row, kind) = (mutant.map(|mutant| mutant.row), mutant.map(|mutant| mutant.kind()));
        println!("{}", json!({"url": proxy.url, "row": row, "kind": kind, "model": own.model, "key": own.credential}));
        served.push((ground, proxy));
    }
    println!("{}", json!({"mutants": all.len()}));
    tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
    for (_, proxy) in &served {
        let applied: usize = proxy.between.applied().iter().map(|(_, times)| times).sum();
        println!("{}", json!({"url": proxy.url, "applied": applied}));
    }
}
