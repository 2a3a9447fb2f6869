//! [`TroubledEndpoint`]: an endpoint in front of a simulator that answers some requests itself.
//!
//! The simulator's answers depend on the bytes of a request alone, so each of them is sent one time
//! for all runs with the same seed. Time is virtual.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fieldtest::catalog::{CatalogRow, Target};
use fieldtest::client::{Budget, BudgetReservation, Client, ClientConfig, MessagesEndpoint};
use fieldtest::engine::{RunOptions, run_in_memory};
use fieldtest::recording::request_settings::RequestSettings;
use fieldtest::recording::run::{Recording, RunHeader, SCHEMA};
use fieldtest::recording::scope::RunScope;
use fieldtest::simulator::{self, RunningSimulator, SimulatorConfig};
use fieldtest::wire::exchange::{AttemptResult, AuthScheme, BodyBytes, Exchange, ExchangeAttempt, Request, Response};
use tokio::runtime::Handle;

use crate::common::clock::VirtualClock;
use crate::common::testable_rows;

/// The virtual milliseconds of each request.
const LATENCY_MS: u64 = 20;

/// A simulated target whose responses are kept.
pub struct KeptResponses {
    client: Client,
    /// The runtime of the simulator, in real time.
    runtime: Handle,
    responses: Mutex<HashMap<String, Exchange>>,
    /// The target.
    pub target: &'static Target,
    /// The seed of the simulator and of the runs.
    pub seed: u64,
    _simulator: RunningSimulator,
}

impl KeptResponses {
    /// Starts a simulated target. `runtime` must have its own threads.
    pub fn start(runtime: &Handle, target: &'static Target, seed: u64) -> Self {
        runtime.block_on(async {
            let config = SimulatorConfig { seed, ..SimulatorConfig::from_target(target) };
            let simulator = simulator::start(config).await.unwrap();
            let mut config = ClientConfig::new(simulator.base_url(), AuthScheme::XApiKey);
            config.credential = Some(simulator.credential().to_owned().into());
            config.use_proxies = false;
            let client = Client::new(config).unwrap();
            let responses = Mutex::default();
            Self { client, runtime: runtime.clone(), responses, target, seed, _simulator: simulator }
        })
    }

    fn send(&self, id: &str, request: Request) -> Exchange {
        let kept = self.responses.lock().unwrap().get(id).filter(|kept| kept.request == request).cloned();
        if let Some(exchange) = kept {
            return exchange;
        }
        // The virtual clock stands still meanwhile.
        let exchange = self.runtime.block_on(self.client.send(id, request));
        self.responses.lock().unwrap().insert(exchange.id.clone(), exchange.clone());
        exchange
    }
}

/// Answers a request instead of the simulator, at this time of the run.
pub type Interceptor<'a> = dyn Fn(Duration, &Request) -> Option<Response> + Send + Sync + 'a;

/// An endpoint in front of the simulator.
pub struct TroubledEndpoint<'a> {
    kept: &'a KeptResponses,
    intercept: &'a Interceptor<'a>,
    clock: &'a VirtualClock,
    request_count: AtomicU64,
    intercepted_count: AtomicU64,
}

impl MessagesEndpoint for TroubledEndpoint<'_> {
    async fn wait(&self, pause: Duration) {
        self.clock.sleep(pause.as_millis() as u64).await;
    }

    async fn send_within_budget(&self, id: &str, request: Request, _: Option<&mut BudgetReservation<'_>>) -> Exchange {
        self.clock.sleep(LATENCY_MS).await;
        self.request_count.fetch_add(1, Ordering::Relaxed);
        let now = Duration::from_millis(self.clock.now());
        let Some(response) = (self.intercept)(now, &request) else { return self.kept.send(id, request) };
        self.intercepted_count.fetch_add(1, Ordering::Relaxed);
        let result = AttemptResult::Response(response);
        let attempt = ExchangeAttempt { started_ms: now.as_millis() as u64, duration_ms: 1, result };
        Exchange { id: id.to_owned(), request, attempts: vec![attempt] }
    }
}

/// A recording of a run, and the numbers of its requests.
pub struct TroubledRun {
    /// The recording.
    pub recording: Recording,
    /// All requests.
    pub requests: u64,
    /// The requests that did not reach the simulator.
    pub intercepted: u64,
    /// The virtual duration.
    pub duration: Duration,
}

/// Runs rows in virtual time. Without names, all rows are run.
pub fn run_rows(kept: &KeptResponses, rows: &[&str], concurrency: usize, intercept: &Interceptor<'_>) -> TroubledRun {
    let mut selected: Vec<&CatalogRow> = testable_rows(kept.target);
    // Its verdict depends on real time.
    selected.retain(|row| row.experiment.id() != "stream.gradual");
    selected.retain(|row| rows.is_empty() || rows.contains(&row.experiment.id()));
    let settings = RequestSettings::from_target(kept.target, 1024);
    let options = RunOptions {
        settings: settings.clone(),
        seed: kept.seed,
        confidence: 0.99,
        concurrency,
        budget: Budget::default(),
        eager: false,
    };
    let header = RunHeader {
        schema: SCHEMA.to_owned(),
        name: kept.target.name.clone(),
        base_url: "http://simulator".to_owned(),
        simulated: true,
        claims: Some(kept.target.clone()),
        settings,
        rows: selected.iter().map(|row| row.experiment.id().to_owned()).collect(),
        confidence: options.confidence,
        seed: options.seed,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        scope: RunScope::default(),
    };
    let clock = VirtualClock::default();
    let (request_count, intercepted_count) = (AtomicU64::new(0), AtomicU64::new(0));
    let endpoint = TroubledEndpoint { kept, intercept, clock: &clock, request_count, intercepted_count };
    let recording = clock.run(run_in_memory(&endpoint, &selected, &options, header));
    TroubledRun {
        recording,
        requests: endpoint.request_count.load(Ordering::Relaxed),
        intercepted: endpoint.intercepted_count.load(Ordering::Relaxed),
        duration: Duration::from_millis(clock.now()),
    }
}

/// An error response in the format of the Messages API.
pub fn error_response(status: u16, kind: &str, message: &str) -> Response {
    let body = serde_json::json!({ "type": "error", "error": { "type": kind, "message": message } });
    text_response(status, "application/json", &body.to_string())
}

/// A response with any body.
pub fn text_response(status: u16, content_type: &str, body: &str) -> Response {
    Response {
        status,
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: BodyBytes(body.as_bytes().to_vec()),
        arrivals: vec![(1, body.len() as u64)],
        cut: None,
    }
}
