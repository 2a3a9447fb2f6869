//! Measuring noise: seeded runs against simulated servers whose model does not always do as told, and what became of
//! their verdicts.
//!
//! Both the measurement (`benches/noise.rs`) and its quick version (`tests/noise.rs`) are made of this. It judges
//! verdicts by what the servers were told to be; how verdicts are reached is none of its business.

#![allow(dead_code, reason = "each of the two uses its own part of this")]
#![allow(clippy::expect_used, reason = "measurements may fail loudly")]

pub mod condition;
pub mod designs;
pub mod interval;
pub mod server;
pub mod tally;

use std::collections::BTreeMap;

use condition::NoiseCondition;
use fieldtest::engine::judge;
use futures_util::stream::{self, StreamExt as _};
use server::{MeasuredServer, ServerKind};
use tally::{ObservedRow, ObservedRun, VerdictTally};

use crate::common::{CATALOG, SimulationSetup, TARGETS, bundled_target, field_row_ids, record_simulation};

/// How many runs are under way at once.
const SIDE_BY_SIDE: usize = 6;

/// The tallies, by condition and kind of server.
pub type Tallies = BTreeMap<(NoiseCondition, ServerKind), VerdictTally>;

/// Every server that is measured: so many of each target, every other one flipped.
pub fn servers(first_seed: u64, of_each_target: u64) -> Vec<MeasuredServer> {
    let kinds = |n: u64| if n.is_multiple_of(2) { ServerKind::AsClaimed } else { ServerKind::Flipped };
    (0..of_each_target)
        .flat_map(|n| TARGETS.map(|name| MeasuredServer::new(bundled_target(name), kinds(n), first_seed + n)))
        .collect()
}

/// Runs against every server under each condition, without noise first: the others are compared with that.
pub async fn measure(servers: &[MeasuredServer], conditions: &[NoiseCondition], tell: impl Fn(&str)) -> Tallies {
    let mut tallies = Tallies::new();
    tell(NoiseCondition::Calm.title());
    let lengths = vec![0; servers.len()];
    let calm = observe_all(servers, NoiseCondition::Calm, &lengths).await;
    let lengths: Vec<u64> = calm.iter().map(|seen| seen.attempts).collect();
    for condition in conditions {
        let noisy = match condition {
            NoiseCondition::Calm => calm.clone(),
            other => {
                tell(other.title());
                observe_all(servers, *other, &lengths).await
            }
        };
        for ((server, seen), before) in servers.iter().zip(&noisy).zip(&calm) {
            tallies.entry((*condition, server.kind)).or_default().add(server, seen, before);
        }
    }
    tallies
}

async fn observe_all(servers: &[MeasuredServer], condition: NoiseCondition, lengths: &[u64]) -> Vec<ObservedRun> {
    // Tasks of their own, so that all processors are used.
    let jobs: Vec<_> = servers.iter().cloned().zip(lengths.to_vec()).collect();
    stream::iter(jobs)
        .map(|(server, length)| tokio::spawn(observe(server, condition, length)))
        .buffered(SIDE_BY_SIDE)
        .map(|joined| joined.expect("a run comes to its end"))
        .collect()
        .await
}

/// One run against one server.
pub async fn observe(server: MeasuredServer, condition: NoiseCondition, length: u64) -> ObservedRun {
    let setup = SimulationSetup {
        target: server.target,
        behaviour: server.behaviour(condition.impairments(length)),
        seed: server.seed,
        confidence: condition.confidence(),
        concurrency: condition.concurrency(),
        rows: field_row_ids(server.target),
    };
    let results = judge(&CATALOG, &record_simulation(setup).await).expect("the rows are the catalog's");
    assert_eq!(results.partial, None, "the run is whole");
    ObservedRun {
        attempts: results.totals.requests + results.totals.retries,
        input_tokens: results.totals.input_tokens,
        rows: results
            .rows
            .into_iter()
            .map(|row| ObservedRow {
                id: row.id,
                status: row.verdict.status,
                code: row.verdict.code,
                reason: row.verdict.reason,
                confidence: row.verdict.confidence,
                evidence: row.verdict.evidence.map(|evidence| evidence.as_str()),
            })
            .collect(),
    }
}
