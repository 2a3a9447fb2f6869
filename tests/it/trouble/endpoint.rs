//! [`FaultyEndpoint`]: an endpoint in front of the simulator that answers some requests itself.

use std::sync::atomic::{AtomicU64, Ordering};

use fieldtest::catalog::{CatalogRow, Target};
use fieldtest::client::{Budget, BudgetReservation, Client, ClientConfig, MessagesEndpoint};
use fieldtest::engine::{RunOptions, run_in_memory};
use fieldtest::recording::request_settings::RequestSettings;
use fieldtest::recording::run::{Recording, RunHeader, SCHEMA};
use fieldtest::recording::scope::RunScope;
use fieldtest::simulator::{self, RunningSimulator, SimulatorConfig};
use fieldtest::wire::exchange::{AttemptResult, AuthScheme, BodyBytes, Exchange, ExchangeAttempt, Request, Response};

use crate::common::{bundled_target, testable_rows};

/// Answers a request instead of the simulator. The number counts the requests from 0.
pub type Interceptor<'a> = dyn Fn(u64, &Request) -> Option<Response> + Send + Sync + 'a;

/// An endpoint in front of the simulator.
pub struct FaultyEndpoint<'a> {
    client: Client,
    intercept: &'a Interceptor<'a>,
    request_count: AtomicU64,
    _simulator: RunningSimulator,
}

impl<'a> FaultyEndpoint<'a> {
    /// Starts a simulated target.
    pub async fn start(target: &Target, seed: u64, intercept: &'a Interceptor<'a>) -> Self {
        let simulator =
            simulator::start(SimulatorConfig { seed, ..SimulatorConfig::from_target(target) }).await.unwrap();
        let mut config = ClientConfig::new(simulator.base_url(), AuthScheme::XApiKey);
        config.credential = Some(simulator.credential().to_owned().into());
        config.use_proxies = false;
        let client = Client::new(config).unwrap();
        Self { client, intercept, request_count: AtomicU64::new(0), _simulator: simulator }
    }

    /// The number of requests so far.
    pub fn request_count(&self) -> u64 {
        self.request_count.load(Ordering::Relaxed)
    }
}

impl MessagesEndpoint for FaultyEndpoint<'_> {
    async fn send_within_budget(
        &self,
        id: &str,
        request: Request,
        reservation: Option<&mut BudgetReservation<'_>>,
    ) -> Exchange {
        let number = self.request_count.fetch_add(1, Ordering::Relaxed);
        let Some(response) = (self.intercept)(number, &request) else {
            return self.client.send_within_budget(id, request, reservation).await;
        };
        let result = AttemptResult::Response(response);
        let attempt = ExchangeAttempt { started_ms: number, duration_ms: 1, result };
        Exchange { id: id.to_owned(), request, attempts: vec![attempt] }
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

/// Runs rows of the reference target. Without names, all rows are run.
pub async fn record_rows(endpoint: &FaultyEndpoint<'_>, rows: &[&str], seed: u64, concurrency: usize) -> Recording {
    let target = bundled_target("anthropic");
    let mut selected: Vec<&CatalogRow> = testable_rows(target);
    selected.retain(|row| rows.is_empty() || rows.contains(&row.experiment.id()));
    let settings = RequestSettings::from_target(target, 1024);
    let options =
        RunOptions { settings: settings.clone(), seed, confidence: 0.99, concurrency, budget: Budget::default() };
    let header = RunHeader {
        schema: SCHEMA.to_owned(),
        name: target.name.clone(),
        base_url: "http://simulator".to_owned(),
        simulated: true,
        claims: Some(target.clone()),
        settings,
        rows: selected.iter().map(|row| row.experiment.id().to_owned()).collect(),
        confidence: options.confidence,
        seed,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        scope: RunScope::default(),
    };
    run_in_memory(endpoint, &selected, &options, header).await
}
