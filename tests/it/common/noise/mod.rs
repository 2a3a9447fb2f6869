//! Measures verdicts under noise: seeded runs against simulated servers whose model does not always
//! obey.
//!
//! The measurement (`benches/noise.rs`) and its quick version (`tests/it/noise.rs`) use this
//! module. It compares verdicts with the configuration of the servers, and must not know how
//! verdicts are reached.

#![allow(dead_code, reason = "each of the two uses a part of this module")]
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

/// The number of runs at the same time.
const CONCURRENT_RUNS: usize = 6;

/// The tallies by condition and server kind.
pub type Tallies = BTreeMap<(NoiseCondition, ServerKind), VerdictTally>;

/// Returns the measured servers: `of_each_target` per target; every second one is flipped.
pub fn servers(first_seed: u64, of_each_target: u64) -> Vec<MeasuredServer> {
    let kinds = |n: u64| if n.is_multiple_of(2) { ServerKind::AsClaimed } else { ServerKind::Flipped };
    (0..of_each_target)
        .flat_map(|n| TARGETS.map(|name| MeasuredServer::new(bundled_target(name), kinds(n), first_seed + n)))
        .collect()
}

/// Measures all servers under each condition. The runs without noise come first, for the
/// comparison.
pub async fn measure(servers: &[MeasuredServer], conditions: &[NoiseCondition], report: impl Fn(&str)) -> Tallies {
    let mut tallies = Tallies::new();
    report(NoiseCondition::Calm.title());
    let lengths = vec![0; servers.len()];
    let calm = observe_all(servers, NoiseCondition::Calm, &lengths).await;
    let lengths: Vec<u64> = calm.iter().map(|run| run.attempts).collect();
    for condition in conditions {
        let noisy = match condition {
            NoiseCondition::Calm => calm.clone(),
            other => {
                report(other.title());
                observe_all(servers, *other, &lengths).await
            }
        };
        for ((server, run), before) in servers.iter().zip(&noisy).zip(&calm) {
            tallies.entry((*condition, server.kind)).or_default().add(server, run, before);
        }
    }
    tallies
}

async fn observe_all(servers: &[MeasuredServer], condition: NoiseCondition, lengths: &[u64]) -> Vec<ObservedRun> {
    // One task per run, so that all processors are used.
    let jobs: Vec<_> = servers.iter().cloned().zip(lengths.to_vec()).collect();
    stream::iter(jobs)
        .map(|(server, length)| tokio::spawn(observe(server, condition, length)))
        .buffered(CONCURRENT_RUNS)
        .map(|joined| joined.expect("a run ends"))
        .collect()
        .await
}

/// Runs against one server and returns the verdicts.
pub async fn observe(server: MeasuredServer, condition: NoiseCondition, length: u64) -> ObservedRun {
    let setup = SimulationSetup {
        target: server.target,
        behaviour: server.simulator_config(condition.impairments(length)),
        seed: server.seed,
        confidence: condition.confidence(),
        concurrency: condition.concurrency(),
        rows: field_row_ids(server.target),
        eager: false,
    };
    let results = judge(&CATALOG, &record_simulation(setup).await).expect("all rows are in the catalog");
    assert_eq!(results.partial, None, "the run is complete");
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
