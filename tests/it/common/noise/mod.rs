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

use condition::Condition;
use fieldtest::engine::judge;
use futures_util::stream::{self, StreamExt as _};
use server::{Kind, Server};
use tally::{RowSeen, Seen, Tally};

use crate::common::{CATALOG, Setup, TARGETS, fields_of, record_run, target};

/// How many runs are under way at once.
const SIDE_BY_SIDE: usize = 6;

/// The tallies, by condition and kind of server.
pub type Tallies = BTreeMap<(Condition, Kind), Tally>;

/// Every server that is measured: so many of each target, every other one flipped.
pub fn servers(first_seed: u64, of_each_target: u64) -> Vec<Server> {
    let kinds = |n: u64| if n.is_multiple_of(2) { Kind::AsClaimed } else { Kind::Flipped };
    (0..of_each_target).flat_map(|n| TARGETS.map(|name| Server::new(target(name), kinds(n), first_seed + n))).collect()
}

/// Runs against every server under each condition, without noise first: the others are compared with that.
pub async fn measure(servers: &[Server], conditions: &[Condition], tell: impl Fn(&str)) -> Tallies {
    let mut tallies = Tallies::new();
    tell(Condition::Calm.title());
    let lengths = vec![0; servers.len()];
    let calm = observe_all(servers, Condition::Calm, &lengths).await;
    let lengths: Vec<u64> = calm.iter().map(|seen| seen.attempts).collect();
    for condition in conditions {
        let noisy = match condition {
            Condition::Calm => calm.clone(),
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

async fn observe_all(servers: &[Server], condition: Condition, lengths: &[u64]) -> Vec<Seen> {
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
pub async fn observe(server: Server, condition: Condition, length: u64) -> Seen {
    let setup = Setup {
        target: server.target,
        behaviour: server.behaviour(condition.knobs(length)),
        seed: server.seed,
        confidence: condition.confidence(),
        concurrency: condition.concurrency(),
        rows: fields_of(server.target),
    };
    let results = judge(&CATALOG, &record_run(setup).await).expect("the rows are the catalog's");
    assert_eq!(results.partial, None, "the run is whole");
    Seen {
        attempts: results.totals.requests + results.totals.retries,
        input_tokens: results.totals.input_tokens,
        rows: results
            .rows
            .into_iter()
            .map(|row| RowSeen {
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
