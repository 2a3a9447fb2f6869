//! Runs all rows against an adversary, and finds the wrong verdicts.
//!
//! The test of an adversary and the table share its runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use fieldtest::catalog::{ClaimStatus, VerdictStatus};
use fieldtest::results::model::{EvidenceKind, Results, Verdict};
use fieldtest::simulator;
use fieldtest::simulator::{RunningSimulator, SimulatorConfig};
use tokio::sync::OnceCell;

use super::server::{Acting, Adversary};
use super::truth::{ALL, DIFFERS, Truth};
use crate::common::{EndpointUnderTest, SHORT_BACKOFF, bundled_target, field_row_ids, is_long, test_endpoint};
use crate::proxy::Proxy;
use crate::proxy::mutation::Own;

/// Verdicts by row.
pub type Verdicts = BTreeMap<String, Verdict>;

/// The results of an adversary.
#[derive(Debug)]
pub struct Seen {
    /// The verdicts of the honest upstream.
    pub upstream: Verdicts,
    /// The verdicts of each run. Adversaries with random behaviour have several runs.
    pub runs: Vec<Verdicts>,
    /// Runs that did not notice two different servers. Their verdicts are those of one of the
    /// servers.
    pub unnoticed: usize,
    /// The number of actions that an honest server would not do.
    pub acted: usize,
}

/// A decided verdict that is not true of the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The row.
    pub row: String,
    /// The verdict, with its reason.
    pub told: String,
}

static SEEN: LazyLock<HashMap<Adversary, OnceCell<Seen>>> =
    LazyLock::new(|| ALL.iter().map(|truth| (truth.adversary, OnceCell::new())).collect());
static UPSTREAM: OnceCell<Verdicts> = OnceCell::const_new();

/// The runs against an adversary.
pub async fn seen(adversary: Adversary) -> &'static Seen {
    SEEN[&adversary].get_or_init(|| run(adversary)).await
}

async fn run(adversary: Adversary) -> Seen {
    let (honest, own) = simulated(&[]).await;
    let upstream = UPSTREAM
        .get_or_init(|| async {
            verdicts(test_endpoint(&server(honest.base_url(), &own, 4), bundled_target("anthropic")).await)
        })
        .await
        .clone();
    let (other, _) = simulated(&DIFFERS).await;
    let salts = match adversary {
        Adversary::LoadBalances if is_long("2 of 8 ways to balance the load") => 8,
        Adversary::LoadBalances => 2,
        _ => 1,
    };
    // If the order of requests matters, the speed of rows must not change it.
    let concurrency = match adversary {
        Adversary::AnswersFromACache
        | Adversary::HidesItsCache
        | Adversary::LoadBalances
        | Adversary::OverloadedEverySecondTime => 1,
        _ => 4,
    };
    let (mut runs, mut acted, mut unnoticed) = (Vec::new(), 0, 0);
    for salt in 0..salts {
        let acting = Acting::new(adversary, own.clone(), salt);
        let proxy = Proxy::start(acting, &[&honest.base_url(), &other.base_url()]).await;
        let results = test_endpoint(&server(proxy.url.clone(), &own, concurrency), bundled_target("anthropic")).await;
        assert_eq!(results.partial, None, "{adversary:?}");
        // Sometimes two servers look like one for a whole run. The results count these runs.
        if adversary == Adversary::LoadBalances && !results.unsteady {
            unnoticed += 1;
        } else {
            runs.push(verdicts(results));
        }
        proxy.assert_whole();
        acted += proxy.between.acted();
    }
    Seen { upstream, runs, acted, unnoticed }
}

async fn simulated(flips: &[(&str, ClaimStatus)]) -> (RunningSimulator, Own) {
    let target = bundled_target("anthropic");
    let mut behaviour = SimulatorConfig::from_target(target);
    behaviour.seed = 1;
    for (row, status) in flips {
        behaviour.set_status(row, *status).expect("the simulator knows every row");
    }
    let running = simulator::start(behaviour).await.expect("loopback has a free port");
    let own = Own { credential: running.credential().to_owned(), model: target.model.clone() };
    (running, own)
}

fn server(base_url: String, own: &Own, concurrency: usize) -> EndpointUnderTest {
    EndpointUnderTest {
        base_url,
        credential: own.credential.clone(),
        model: own.model.clone(),
        concurrency,
        initial_backoff: SHORT_BACKOFF,
        retries: 4,
        seed: 1,
        confidence: 0.99,
        rows: field_row_ids(bundled_target("anthropic")),
    }
}

fn verdicts(results: Results) -> Verdicts {
    results.rows.into_iter().map(|row| (row.id, row.verdict)).collect()
}

impl Seen {
    /// The wrong verdicts. A skipped row counts as wrong too.
    pub fn wrong(&self, truth: &Truth) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        for (row, verdict) in self.runs.iter().flatten() {
            let right = match verdict.status {
                VerdictStatus::Inconclusive => true,
                VerdictStatus::Skipped => false,
                _ => truth.allows(row, verdict, &self.upstream[row]),
            };
            let found = Wrong { row: row.clone(), told: told(verdict) };
            if !right && !wrong.contains(&found) {
                wrong.push(found);
            }
        }
        wrong
    }

    /// The different verdicts of a row.
    pub fn said(&self, row: &str) -> String {
        let mut said: Vec<String> = self.runs.iter().map(|run| word(&run[row])).collect();
        said.dedup();
        said.join(" / ")
    }
}

/// A verdict in short form.
pub fn word(verdict: &Verdict) -> String {
    if let Some(code) = &verdict.code {
        return code.clone();
    }
    let validated = verdict.status == VerdictStatus::Supported && verdict.evidence == Some(EvidenceKind::Validated);
    let by = if validated { ", as validated" } else { "" };
    let but = if verdict.qualifiers.is_empty() { "" } else { ", with a qualifier" };
    format!("{}{by}{but}", verdict.status)
}

/// A verdict with its reason and its qualifiers.
pub fn told(verdict: &Verdict) -> String {
    let qualifiers = verdict.qualifiers.iter().map(|q| format!("; {q}")).collect::<String>();
    format!("{} ({}{qualifiers})", word(verdict), verdict.reason)
}
