//! What several suites share: the bundled case files, and whole runs against simulations in this process.
//!
//! Runs go through the library as the command line's do; there is no second way to run here.

#![allow(dead_code, reason = "each suite is a crate of its own and uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

pub mod binary;
pub mod canary;
pub mod clock;
pub mod noise;
pub mod properties;
pub mod server;
pub mod tls;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use fieldtest::catalog::{Catalog, CatalogRow, ClaimStatus, Target};
use fieldtest::client::{Budget, Client, ClientConfig, CredentialHeader};
use fieldtest::engine::{RunOptions, judge};
use fieldtest::recording::request_settings::RequestSettings;
use fieldtest::recording::run::{Recording, RunHeader, SCHEMA};
use fieldtest::results::model::Results;
use fieldtest::simulator;
use fieldtest::simulator::SimulatorConfig;

/// The targets that are simulated: the reference and the two seed tables.
pub const TARGETS: [&str; 3] = ["anthropic", "deepseek", "tencent-lkeap"];

/// The wait before a first retry at a server in this process.
pub const SHORT_WAIT: Duration = Duration::from_millis(5);

/// A moment for results whose dates nobody looks at.
const MOMENT: &str = "2026-01-01T00:00:00Z";

/// The bundled case files.
pub static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    Catalog::load_bundled().unwrap_or_else(|errors| panic!("the bundled case files are broken:\n{errors}"))
});

/// A file or folder of this repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// True where the files that a suite compares with are to be written anew.
pub fn update() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| value == "1")
}

/// A bundled target.
pub fn target(name: &str) -> &'static Target {
    &CATALOG.targets[name]
}

/// The rows that a target can be tested for.
pub fn rows_of(target: &Target) -> Vec<&'static CatalogRow> {
    CATALOG
        .rows
        .iter()
        .filter(|row| row.experiment.requires.is_none_or(|needed| target.limits.satisfies(needed)))
        .collect()
}

/// Those of them that stand for a field, by id. Where a field is changed on purpose, rows about conduct follow, and are
/// no witnesses.
pub fn fields_of(target: &Target) -> Vec<String> {
    let fields = rows_of(target).into_iter().filter(|row| row.experiment.is_field_row());
    fields.map(|row| row.experiment.id().to_owned()).collect()
}

/// A whole run against a simulation, and how it is done.
pub struct Setup<'a> {
    /// The target whose rows are tested and whose claims the verdicts are held against.
    pub target: &'a Target,
    /// The server that is tested.
    pub behaviour: SimulatorConfig,
    /// The seed of the run's own draws.
    pub seed: u64,
    /// The confidence that statistical verdicts must reach.
    pub confidence: f64,
    /// How many rows run side by side.
    pub concurrency: usize,
    /// The rows to run, by id; all that the target can be tested for where there are none.
    pub rows: Vec<String>,
}

impl<'a> Setup<'a> {
    /// The simulation of a target, with some rows flipped to another status.
    pub fn of(target: &'a Target, flips: &[(&str, ClaimStatus)]) -> Self {
        let mut behaviour = SimulatorConfig::from_target(target);
        behaviour.seed = 1;
        for (row, status) in flips {
            behaviour.set_status(row, *status).expect("the simulator knows every row");
        }
        Self { target, behaviour, seed: 1, confidence: 0.99, concurrency: 4, rows: Vec::new() }
    }
}

/// The simulation of a target, with some rows flipped to another status: the recording of a whole run.
pub async fn record(target: &Target, flips: &[(&str, ClaimStatus)]) -> Recording {
    record_run(Setup::of(target, flips)).await
}

/// The recording of a whole run.
pub async fn record_run(Setup { target, behaviour, seed, confidence, concurrency, rows }: Setup<'_>) -> Recording {
    let running = simulator::start(behaviour).await.expect("loopback has a free port");
    let server = Server {
        base_url: running.base_url(),
        credential: running.credential().to_owned(),
        model: target.model.clone(),
        concurrency,
        first_wait: Duration::from_millis(1),
        retries: 8,
        seed,
        confidence,
        rows,
    };
    record_at(&server, target).await
}

/// A server to run against, wherever it is.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its base URL.
    pub base_url: String,
    /// The credential that it wants in `x-api-key`.
    pub credential: String,
    /// The model to ask for.
    pub model: String,
    /// How many rows run side by side: 1 where the order of the requests matters.
    pub concurrency: usize,
    /// The wait before a first retry: long where the server has more to do than this.
    pub first_wait: Duration,
    /// Retries of one request.
    pub retries: u32,
    /// The seed of the run's own draws.
    pub seed: u64,
    /// The confidence that statistical verdicts must reach.
    pub confidence: f64,
    /// The rows to run, by id; all that the target can be tested for where there are none.
    pub rows: Vec<String>,
}

/// The recording of a whole run against a server, held against a target's claims.
pub async fn record_at(server: &Server, target: &Target) -> Recording {
    let options = RunOptions {
        settings: RequestSettings { model: server.model.clone(), ..RequestSettings::from_target(target, 1024) },
        seed: server.seed,
        confidence: server.confidence,
        concurrency: server.concurrency,
        budget: Budget::default(),
    };
    let mut config = ClientConfig::new(server.base_url.clone(), CredentialHeader::XApiKey);
    config.credential = Some(server.credential.clone().into());
    config.timeout = Duration::from_secs(60);
    config.initial_backoff = server.first_wait;
    config.retries = server.retries;
    config.concurrency = server.concurrency;
    config.use_proxies = false;
    let client = Client::new(config).expect("a plain configuration");
    let mut rows = rows_of(target);
    rows.retain(|row| server.rows.is_empty() || server.rows.iter().any(|id| id == row.experiment.id()));
    let header = RunHeader {
        schema: SCHEMA.to_owned(),
        name: target.name.clone(),
        base_url: "http://simulator".to_owned(),
        simulated: true,
        claims: Some(target.clone()),
        settings: options.settings.clone(),
        rows: rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
        confidence: options.confidence,
        seed: options.seed,
        started_at: MOMENT.to_owned(),
        scope: fieldtest::recording::scope::RunScope::default(),
    };
    fieldtest::engine::run_in_memory(&client, &rows, &options, header).await
}

/// The results of such a run.
pub async fn simulate(target: &Target, flips: &[(&str, ClaimStatus)]) -> Results {
    judge(&CATALOG, &record(target, flips).await).expect("the rows are the catalog's")
}

/// The results of a run against a server.
pub async fn results_at(server: &Server, target: &Target) -> Results {
    judge(&CATALOG, &record_at(server, target).await).expect("the rows are the catalog's")
}

/// The results of a recording.
pub fn judged(recording: &Recording) -> Results {
    judge(&CATALOG, recording).expect("the rows are the catalog's")
}
