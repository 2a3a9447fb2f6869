//! The upstream of the proxy: the simulated reference, or a real server.
//!
//! `FIELDTEST_UPSTREAM` (its base URL), `FIELDTEST_UPSTREAM_MODEL` and `FIELDTEST_UPSTREAM_KEY`
//! select
//! a real server. It should be deterministic: with a model that obeys only sometimes, a mutant can
//! stay undecided, which counts as survived. This file must not know what a mutation means.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use fieldtest::catalog::Target;
use fieldtest::results::model::{Results, Verdict};
use fieldtest::simulator;
use fieldtest::simulator::{RunningSimulator, SimulatorConfig};

use crate::common::{EndpointUnderTest, SHORT_BACKOFF, bundled_target, field_row_ids, test_endpoint};
use crate::proxy::Proxy;
use crate::proxy::mutation::{Mutation, Own};
use crate::proxy::mutator::Mutator;

/// Verdicts by row.
pub type Verdicts = BTreeMap<String, Verdict>;

/// An upstream.
pub struct Ground {
    /// Its name in a report.
    pub name: String,
    url: String,
    own: Own,
    target: &'static Target,
    running: Option<RunningSimulator>,
}

/// A run through the proxy.
pub struct Run {
    /// The verdicts of the run.
    pub verdicts: Verdicts,
    /// How often each mutation was applied.
    pub applied: Vec<(Mutation, usize)>,
}

impl Ground {
    /// The server that the environment selects, or the simulator.
    pub async fn get() -> Self {
        let Ok(url) = env::var("FIELDTEST_UPSTREAM") else { return Self::simulated().await };
        let named = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} belongs to FIELDTEST_UPSTREAM"));
        let own = Own { credential: named("FIELDTEST_UPSTREAM_KEY"), model: named("FIELDTEST_UPSTREAM_MODEL") };
        Self { name: format!("{} at {url}", own.model), url, own, target: bundled_target("anthropic"), running: None }
    }

    /// The simulator of the reference, in this process.
    pub async fn simulated() -> Self {
        let target = bundled_target("anthropic");
        let mut behaviour = SimulatorConfig::from_target(target);
        behaviour.seed = 1;
        let running = simulator::start(behaviour).await.expect("loopback has a free port");
        let own = Own { credential: running.credential().to_owned(), model: target.model.clone() };
        let url = running.base_url();
        Self { name: "the simulated reference".to_owned(), url, own, target, running: Some(running) }
    }

    /// The upstream's own verdicts.
    pub async fn direct(&self) -> Verdicts {
        verdicts(test_endpoint(&self.server(self.url.clone(), Vec::new()), self.target).await)
    }

    /// The verdicts of all rows through a proxy with these mutations.
    pub async fn through(&self, mutations: &[Mutation]) -> Run {
        self.rows_through(mutations, Vec::new()).await
    }

    /// The verdicts of some rows through a proxy with these mutations. Of all rows if `rows` is
    /// empty.
    pub async fn rows_through(&self, mutations: &[Mutation], rows: Vec<String>) -> Run {
        let proxy = Proxy::start(Mutator::new(mutations, self.own.clone()), &[&self.url]).await;
        let results = test_endpoint(&self.server(proxy.url.clone(), rows), self.target).await;
        proxy.assert_whole();
        Run { verdicts: verdicts(results), applied: proxy.between.applied() }
    }

    /// A proxy with these mutations, for other programs, and what they need to use it.
    pub async fn serve(&self, mutations: &[Mutation]) -> (Proxy<Mutator>, Own) {
        (Proxy::start(Mutator::new(mutations, self.own.clone()), &[&self.url]).await, self.own.clone())
    }

    /// The number of mutants that share a run. A real server is slow, so more of them share one.
    pub fn together(&self) -> usize {
        if self.running.is_some() { 8 } else { 16 }
    }

    fn server(&self, base_url: String, rows: Vec<String>) -> EndpointUnderTest {
        let Own { credential, model } = self.own.clone();
        let rows = if rows.is_empty() { field_row_ids(self.target) } else { rows };
        let initial_backoff = if self.running.is_some() { SHORT_BACKOFF } else { Duration::from_millis(500) };
        EndpointUnderTest {
            base_url,
            credential,
            model,
            concurrency: 4,
            initial_backoff,
            retries: 4,
            seed: 1,
            confidence: 0.99,
            rows,
        }
    }
}

fn verdicts(results: Results) -> Verdicts {
    results.rows.into_iter().map(|row| (row.id, row.verdict)).collect()
}
