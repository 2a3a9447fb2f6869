//! What the proxy stands in front of: the product's simulator of the reference, or a real server.
//!
//! A real server is named by `FIELDTEST_UPSTREAM` (its base URL), `FIELDTEST_UPSTREAM_MODEL` and
//! `FIELDTEST_UPSTREAM_KEY`. It should repeat itself: with a model that does as told now and then, a mutant may stay
//! undecided, which counts as alive. This must not know what a mutation means.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use fieldtest::catalog::Target;
use fieldtest::results::model::{Results, Verdict};
use fieldtest::simulator;
use fieldtest::simulator::{RunningSimulator, SimulatorConfig};

use crate::common::{SHORT_WAIT, Server, fields_of, results_at, target};
use crate::proxy::Proxy;
use crate::proxy::mutation::{Mutation, Own};
use crate::proxy::mutator::Mutator;

/// Verdicts by row.
pub type Verdicts = BTreeMap<String, Verdict>;

/// An upstream.
pub struct Ground {
    /// How it is called in a report.
    pub name: String,
    url: String,
    own: Own,
    target: &'static Target,
    running: Option<RunningSimulator>,
}

/// A run through the proxy.
pub struct Run {
    /// What was found.
    pub verdicts: Verdicts,
    /// How often each mutation was applied.
    pub applied: Vec<(Mutation, usize)>,
}

impl Ground {
    /// The server that the environment names, else the simulator.
    pub async fn get() -> Self {
        let Ok(url) = env::var("FIELDTEST_UPSTREAM") else { return Self::simulated().await };
        let named = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} belongs to FIELDTEST_UPSTREAM"));
        let own = Own { credential: named("FIELDTEST_UPSTREAM_KEY"), model: named("FIELDTEST_UPSTREAM_MODEL") };
        Self { name: format!("{} at {url}", own.model), url, own, target: target("anthropic"), running: None }
    }

    /// The simulator of the reference, in this process.
    pub async fn simulated() -> Self {
        let target = target("anthropic");
        let mut behaviour = SimulatorConfig::from_target(target);
        behaviour.seed = 1;
        let own = Own { credential: behaviour.expected_credential().to_owned(), model: target.model.clone() };
        let running = simulator::start(behaviour).await.expect("loopback has a free port");
        let url = running.base_url();
        Self { name: "the simulated reference".to_owned(), url, own, target, running: Some(running) }
    }

    /// The upstream's own verdicts.
    pub async fn direct(&self) -> Verdicts {
        verdicts(results_at(&self.server(self.url.clone(), Vec::new()), self.target).await)
    }

    /// The verdicts of all rows through a proxy with these mutations.
    pub async fn through(&self, mutations: &[Mutation]) -> Run {
        self.rows_through(mutations, Vec::new()).await
    }

    /// The verdicts of some rows through a proxy with these mutations; of all where none are named.
    pub async fn rows_through(&self, mutations: &[Mutation], rows: Vec<String>) -> Run {
        let proxy = Proxy::start(Mutator::new(mutations, self.own.clone()), &[&self.url]).await;
        let results = results_at(&self.server(proxy.url.clone(), rows), self.target).await;
        proxy.assert_whole();
        Run { verdicts: verdicts(results), applied: proxy.between.applied() }
    }

    /// How many mutants share a run: a real server takes its time.
    pub fn together(&self) -> usize {
        if self.running.is_some() { 8 } else { 16 }
    }

    fn server(&self, base_url: String, rows: Vec<String>) -> Server {
        let Own { credential, model } = self.own.clone();
        let rows = if rows.is_empty() { fields_of(self.target) } else { rows };
        let first_wait = if self.running.is_some() { SHORT_WAIT } else { Duration::from_millis(500) };
        Server { base_url, credential, model, concurrency: 4, first_wait, retries: 4, seed: 1, confidence: 0.99, rows }
    }
}

fn verdicts(results: Results) -> Verdicts {
    results.rows.into_iter().map(|row| (row.id, row.verdict)).collect()
}
