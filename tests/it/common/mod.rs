//! Shared by all tests and benchmarks: the bundled case files, and complete runs against simulators
//! in this process.
//!
//! Runs use the same functions of the library as the command line.

#![allow(dead_code, reason = "each test crate uses a part of this module")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests may fail loudly"
)]

pub mod binary;
pub mod canary;
pub mod client_reactions;
pub mod clock;
pub mod noise;
pub mod properties;
pub mod server;
pub mod tls;
pub mod trouble;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use fieldtest::catalog::{Catalog, CatalogRow, ClaimStatus, Target};
use fieldtest::client::{Budget, Client, ClientConfig};
use fieldtest::engine::{RowDependencies, RunOptions, judge};
use fieldtest::recording::request_settings::RequestSettings;
use fieldtest::recording::run::{Recording, RunHeader, SCHEMA};
use fieldtest::results::model::{DependencyRole, Results};
use fieldtest::simulator;
use fieldtest::simulator::SimulatorConfig;
use fieldtest::wire::exchange::AuthScheme;
use serde_json::Value;

/// The simulated targets: the reference and the two targets with published tables.
pub const TARGETS: [&str; 3] = ["anthropic", "deepseek@2025-12", "tencent-lkeap@2025-12"];

/// The wait before the first retry at a server in this process.
pub const SHORT_BACKOFF: Duration = Duration::from_millis(5);

/// The start time of all runs. No test depends on it.
const STARTED_AT: &str = "2026-01-01T00:00:00Z";

/// The bundled case files.
pub static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    Catalog::load_bundled().unwrap_or_else(|errors| panic!("the bundled case files are broken:\n{errors}"))
});

/// The rows on which rows can depend.
pub static DEPENDENCIES: LazyLock<RowDependencies> =
    LazyLock::new(|| RowDependencies::new(&CATALOG.rows.iter().collect::<Vec<_>>()));

/// Returns the rows that a row is a part of, or through which it is observed.
pub fn needed_rows(row: &str) -> Vec<&'static str> {
    let is_needed = |(_, role): &(&str, DependencyRole)| *role <= DependencyRole::Reads;
    DEPENDENCIES.direct(row).filter(is_needed).map(|(other, _)| other).collect()
}

/// Returns true if a row needs another row, directly or through other rows.
pub fn needs(row: &str, other: &str) -> bool {
    let (mut waiting, mut seen) = (needed_rows(row), BTreeSet::new());
    while let Some(next) = waiting.pop() {
        if next == other {
            return true;
        }
        if seen.insert(next) {
            waiting.extend(needed_rows(next));
        }
    }
    false
}

/// Returns the absolute path of a file or folder of this repository.
pub fn repository_path(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns true if `UPDATE=1` requests to rewrite the expected files.
pub fn is_update_requested() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| value == "1")
}

/// Returns true if `FIELDTEST_LONG=1` requests simulations at full size (`scripts/nightly`). Otherwise
/// prints how a test is reduced.
pub fn is_long(reduction: &str) -> bool {
    let long = std::env::var_os("FIELDTEST_LONG").is_some_and(|value| value == "1");
    if !long {
        eprintln!("reduced: {reduction}. FIELDTEST_LONG=1 tests all");
    }
    long
}

/// Returns a validator of a published schema, for example `results`.
pub fn schema_validator(name: &str) -> jsonschema::Validator {
    let path = repository_path("schemas").join(format!("{name}.schema.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// Returns a bundled target.
pub fn bundled_target(name: &str) -> &'static Target {
    CATALOG.target(name).expect("a bundled target")
}

/// Returns the rows that can be tested at a target.
pub fn testable_rows(target: &Target) -> Vec<&'static CatalogRow> {
    CATALOG
        .rows
        .iter()
        .filter(|row| row.experiment.requires.is_none_or(|needed| target.limits.satisfies(needed)))
        .collect()
}

/// Returns the ids of the testable rows that test a field.
///
/// A changed field also changes behaviour rows, so those rows are no evidence about the field.
pub fn field_row_ids(target: &Target) -> Vec<String> {
    let fields = testable_rows(target).into_iter().filter(|row| row.experiment.is_field_row());
    fields.map(|row| row.experiment.id().to_owned()).collect()
}

/// A complete run against a simulator, and its options.
pub struct SimulationSetup<'a> {
    /// The target whose rows are tested. Its claims are compared with the verdicts.
    pub target: &'a Target,
    /// The tested simulator.
    pub behaviour: SimulatorConfig,
    /// The seed of the random values of the run.
    pub seed: u64,
    /// The confidence that statistical verdicts must reach.
    pub confidence: f64,
    /// The number of rows that run at the same time.
    pub concurrency: usize,
    /// The ids of the rows to run. Empty: all testable rows.
    pub rows: Vec<String>,
    /// True if requests that rows probably need are sent early.
    pub eager: bool,
}

impl<'a> SimulationSetup<'a> {
    /// Simulates a target, with some rows flipped to another status.
    pub fn new(target: &'a Target, flips: &[(&str, ClaimStatus)]) -> Self {
        let mut behaviour = SimulatorConfig::from_target(target);
        behaviour.seed = 1;
        for (row, status) in flips {
            behaviour.set_status(row, *status).expect("the simulator knows every row");
        }
        Self { target, behaviour, seed: 1, confidence: 0.99, concurrency: 4, rows: Vec::new(), eager: false }
    }
}

/// Records a complete run against the simulated target, with some rows flipped to another status.
pub async fn record_target(target: &Target, flips: &[(&str, ClaimStatus)]) -> Recording {
    record_simulation(SimulationSetup::new(target, flips)).await
}

/// Records a complete run against a simulator.
pub async fn record_simulation(
    SimulationSetup { target, behaviour, seed, confidence, concurrency, rows, eager }: SimulationSetup<'_>,
) -> Recording {
    let running = simulator::start(behaviour).await.expect("loopback has a free port");
    let server = EndpointUnderTest {
        base_url: running.base_url(),
        credential: running.credential().to_owned(),
        model: target.model.clone(),
        concurrency,
        initial_backoff: Duration::from_millis(1),
        retries: 8,
        seed,
        confidence,
        rows,
    };
    record_run(&server, target, eager).await
}

/// The endpoint of a run, and the options of the run.
#[derive(Debug, Clone)]
pub struct EndpointUnderTest {
    /// Its base URL.
    pub base_url: String,
    /// The credential that it expects in `x-api-key`.
    pub credential: String,
    /// The model of the requests.
    pub model: String,
    /// The number of rows that run at the same time: 1 if the order of the requests matters.
    pub concurrency: usize,
    /// The wait before the first retry: long if the server also has other work.
    pub initial_backoff: Duration,
    /// The maximum number of retries per request.
    pub retries: u32,
    /// The seed of the random values of the run.
    pub seed: u64,
    /// The confidence that statistical verdicts must reach.
    pub confidence: f64,
    /// The ids of the rows to run. Empty: all testable rows.
    pub rows: Vec<String>,
}

/// Records a complete run against an endpoint, with the claims of a target.
pub async fn record_endpoint(server: &EndpointUnderTest, target: &Target) -> Recording {
    record_run(server, target, false).await
}

/// The same, with or without requests that are sent early.
async fn record_run(server: &EndpointUnderTest, target: &Target, eager: bool) -> Recording {
    let options = RunOptions {
        settings: RequestSettings { model: server.model.clone(), ..RequestSettings::from_target(target, 1024) },
        seed: server.seed,
        confidence: server.confidence,
        concurrency: server.concurrency,
        budget: Budget::default(),
        eager,
    };
    let mut config = ClientConfig::new(server.base_url.clone(), AuthScheme::XApiKey);
    config.credential = Some(server.credential.clone().into());
    config.timeout = Duration::from_secs(60);
    config.initial_backoff = server.initial_backoff;
    config.retries = server.retries;
    config.concurrency = server.concurrency;
    config.use_proxies = false;
    let client = Client::new(config).expect("a plain configuration");
    let mut rows = testable_rows(target);
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
        started_at: STARTED_AT.to_owned(),
        scope: fieldtest::recording::scope::RunScope::default(),
    };
    fieldtest::engine::run_in_memory(&client, &rows, &options, header).await
}

/// Tests the simulated target and returns the results.
pub async fn test_target(target: &Target, flips: &[(&str, ClaimStatus)]) -> Results {
    judge(&CATALOG, &record_target(target, flips).await).expect("all rows are in the catalog")
}

/// Tests an endpoint and returns the results.
pub async fn test_endpoint(server: &EndpointUnderTest, target: &Target) -> Results {
    judge(&CATALOG, &record_endpoint(server, target).await).expect("all rows are in the catalog")
}

/// Judges a recording.
pub fn judge_recording(recording: &Recording) -> Results {
    judge(&CATALOG, recording).expect("all rows are in the catalog")
}

/// Removes what depends on measured times from a row of the results: the durations in the reason,
/// and the number of trials and requests, since an endpoint that was slow by chance is asked again.
/// Rows without measured times stay as they are.
pub fn remove_measured_times(row: &mut Value) {
    let Some(because) = row.pointer_mut("/verdict/because").and_then(Value::as_object_mut) else { return };
    let mut is_timed = false;
    for key in ["long_ms", "short_ms", "stream_ms"] {
        is_timed |= because.remove(key).is_some();
    }
    if is_timed {
        let row = row.as_object_mut().expect("an object");
        row.remove("cost");
        row.remove("arms");
    }
}
