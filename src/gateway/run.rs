//! Sends the requests of a run as the client, with the upstream next to it: [`run`].
//!
//! Every wait has a bound: each request has its timeout, and so has the start of the gateway. A
//! gateway that stops responding ends the run, with the results so far.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::iter;
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::catalog::{
    ApiDialect, ClientSignal, GatewayBehaviour, GatewayRow, GatewayRowSubject, RequestSpec, UpstreamResponse,
};
use crate::client::MessagesEndpoint;
use crate::gateway::concurrent_batch::ConcurrentBatch;
use crate::gateway::correlation::{CallCorrelator, ScriptedResponse};
use crate::gateway::outcome::behaviour::CONCURRENT_REQUESTS;
use crate::gateway::outcome::decide::GatewayStep;
use crate::gateway::outcome::{behaviour, decide};
use crate::gateway::request::{build_request, merge_specs};
use crate::gateway::trial_index;
use crate::gateway::trial_index::TrialIndex;
use crate::gateway::upstream::script::{ResponseScript, fill_response};
use crate::gateway::upstream::server;
use crate::recording::gateway::{GatewayRunEnd, GatewayTrial, ServedResponseEnd, TrialKind, UpstreamCall};
use crate::variables::correlation_values::generate_values;
use crate::wire::exchange::{AttemptResult, Exchange, ExchangeAttempt, FailureKind};

/// The number of consecutive requests without a response that ends the run.
const MAX_NO_RESPONSE: u32 = 6;
/// The delay between two attempts to reach the gateway.
const READY_POLL: Duration = Duration::from_millis(300);
/// How long to wait for calls that the gateway makes after its response.
const LATE_CALL_WAIT: Duration = Duration::from_millis(200);
/// The row id of the first trials, which belong to no row.
const READINESS_ROW_ID: &str = "(first)";

/// The maximum number of concurrent requests for any `concurrency`: the size of a concurrent batch.
pub const MAX_CONCURRENT_REQUESTS: usize = CONCURRENT_REQUESTS as usize;

/// The options of a run.
#[derive(Debug, Clone)]
pub struct GatewayRunOptions {
    /// The API that the upstream speaks.
    pub dialect: ApiDialect,
    /// The requested model.
    pub model: String,
    /// The seed of all random values.
    pub seed: u64,
    /// The number of concurrent rows.
    pub concurrency: usize,
    /// How long the gateway may take until its first response.
    pub ready_timeout: Duration,
    /// The client's credential, to detect it at the upstream.
    pub client_secret: Option<SecretString>,
    /// Other secrets to remove from the calls of the gateway.
    pub other_secrets: Vec<SecretString>,
    /// The start of the run; all times are relative to it.
    pub started_at: Instant,
}

/// What a run reports while it is running.
#[derive(Debug)]
pub enum GatewayEvent<'a> {
    /// A request of the client ended.
    TrialFinished(&'a GatewayTrial),
    /// An upstream call is new, or its response has changed.
    CallChanged(&'a UpstreamCall),
    /// A row is decided.
    RowDecided(&'a str),
}

/// Receives the events of a run.
pub trait GatewayEventListener: Send {
    /// Handles an event.
    fn on_event(&mut self, event: GatewayEvent<'_>);
}

/// The records of a run.
#[derive(Debug)]
pub struct GatewayRunOutput {
    /// Every request of the client.
    pub trials: Vec<GatewayTrial>,
    /// Every upstream call.
    pub calls: Vec<UpstreamCall>,
    /// How the run ended.
    pub end: GatewayRunEnd,
}

/// Runs rows against the gateway behind `client`, with the upstream on `socket`, until every row is
/// decided or `stopped` is ready.
pub async fn run<E: MessagesEndpoint>(
    client: &E,
    socket: TcpListener,
    rows: &[&GatewayRow],
    options: &GatewayRunOptions,
    listener: &mut dyn GatewayEventListener,
    stopped: impl Future<Output = ()>,
) -> GatewayRunOutput {
    let correlator = Arc::new(CallCorrelator::new(
        options.dialect,
        options.started_at,
        options.client_secret.clone(),
        &options.other_secrets,
    ));
    let server = server::serve(socket, Arc::clone(&correlator));
    let runner = GatewayRunner {
        client,
        correlator: &correlator,
        rows,
        options,
        controls: trial_index::assign_controls(rows),
        no_response_streak: AtomicU32::new(0),
        collected: Mutex::new(CollectedRecords {
            trials: Vec::new(),
            calls: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            listener,
        }),
    };
    let end = tokio::select! {
        biased;
        () = correlator.wait_until_overloaded() => GatewayRunEnd::Overloaded,
        end = runner.run_all() => end,
        () = stopped => GatewayRunEnd::Interrupted,
    };
    // Calls that a gateway makes after its last response belong to the run, too.
    tokio::time::sleep(LATE_CALL_WAIT).await;
    runner.collect_calls(|_| true);
    runner.record_stopped_trials();
    server.abort();
    let collected = runner.collected.into_inner().unwrap_or_else(PoisonError::into_inner);
    GatewayRunOutput { trials: collected.trials, calls: collected.calls.into_values().collect(), end }
}

struct GatewayRunner<'a, E> {
    client: &'a E,
    correlator: &'a CallCorrelator,
    rows: &'a [&'a GatewayRow],
    options: &'a GatewayRunOptions,
    controls: HashMap<&'a str, &'a str>,
    /// The number of consecutive requests without a response.
    no_response_streak: AtomicU32,
    collected: Mutex<CollectedRecords<'a>>,
}

/// The records so far.
struct CollectedRecords<'a> {
    trials: Vec<GatewayTrial>,
    /// The calls by number.
    calls: BTreeMap<u64, UpstreamCall>,
    /// The requests without a response so far, by id.
    in_flight: BTreeMap<String, GatewayTrial>,
    listener: &'a mut dyn GatewayEventListener,
}

/// A request to send.
struct GatewayTrialSpec<'a> {
    row: &'a str,
    kind: TrialKind,
    trial: u32,
    request: &'a RequestSpec,
    response: UpstreamResponse,
    batch: Option<Arc<ConcurrentBatch>>,
    /// Whether a missing response means that the gateway may be down.
    counts_no_response: bool,
}

impl<'a> GatewayTrialSpec<'a> {
    /// A request with the plain response.
    fn new(row: &'a str, kind: TrialKind, trial: u32, request: &'a RequestSpec) -> Self {
        Self {
            row,
            kind,
            trial,
            request,
            response: UpstreamResponse::default(),
            batch: None,
            counts_no_response: false,
        }
    }
}

impl<'a, E: MessagesEndpoint> GatewayRunner<'a, E> {
    async fn run_all(&self) -> GatewayRunEnd {
        if !self.wait_until_ready().await {
            return GatewayRunEnd::Untestable;
        }
        self.run_controls(TrialKind::Control).await;
        // A gateway may stop calling an upstream that fails. These rows run last, one by one.
        let (failing, others): (Vec<_>, Vec<_>) =
            self.rows.iter().copied().partition(|row| row.fails_upstream(self.options.dialect));
        iter(others).map(|row| self.run_row(row)).buffer_unordered(self.options.concurrency).collect::<Vec<()>>().await;
        self.run_controls(TrialKind::After).await;
        for row in failing {
            self.run_row(row).await;
        }
        if self.is_unresponsive() { GatewayRunEnd::Lost } else { GatewayRunEnd::Complete }
    }

    fn is_unresponsive(&self) -> bool {
        self.no_response_streak.load(Ordering::Relaxed) >= MAX_NO_RESPONSE
    }

    /// Sends the plain request until the gateway responds. Returns true if it reached the upstream.
    async fn wait_until_ready(&self) -> bool {
        let plain = RequestSpec::default();
        let deadline = Instant::now() + self.options.ready_timeout;
        for trial in 1.. {
            let spec = GatewayTrialSpec::new(READINESS_ROW_ID, TrialKind::First, trial, &plain);
            let record = self.send_trial(spec).await;
            let is_starting = match record.exchange.last_attempt().map(|attempt| &attempt.result) {
                Some(AttemptResult::Failure(failure)) => {
                    matches!(failure.kind, FailureKind::Connect | FailureKind::Reset)
                }
                Some(AttemptResult::Response(response)) => response.status == 503,
                None => false,
            };
            let is_reached = self.with_index(&[], Some(&record), |index| !index.model_calls(&record).is_empty());
            if is_reached || !is_starting || Instant::now() + READY_POLL >= deadline {
                self.record_trial(record);
                return is_reached;
            }
            tokio::time::sleep(READY_POLL).await;
        }
        false
    }

    /// Sends one request for each base of the rows.
    async fn run_controls(&self, kind: TrialKind) {
        let firsts = self.rows.iter().filter(|row| self.controls.get(row.id()) == Some(&row.id()));
        iter(firsts)
            .map(|row| {
                let spec = GatewayTrialSpec::new(row.id(), kind, 1, &row.base);
                self.run_trial(GatewayTrialSpec { counts_no_response: true, ..spec })
            })
            .buffer_unordered(self.options.concurrency)
            .collect::<Vec<()>>()
            .await;
    }

    /// Runs one row until it is decided.
    async fn run_row(&self, row: &GatewayRow) {
        let dialect = self.options.dialect;
        match row.subject(dialect) {
            GatewayRowSubject::Behaviour(GatewayBehaviour::Isolation) => self.run_concurrent_batch(row).await,
            GatewayRowSubject::Behaviour(behaviour) => {
                for (trial, response) in (1..).zip(behaviour::failure_responses(behaviour, dialect)) {
                    self.run_treatment(row, trial, response).await;
                }
            }
            GatewayRowSubject::Response { response, .. } => {
                self.run_trials(row, &response.cloned().unwrap_or_default()).await;
            }
            GatewayRowSubject::Request { .. } => self.run_trials(row, &UpstreamResponse::default()).await,
        }
        self.lock_collected().listener.on_event(GatewayEvent::RowDecided(row.id()));
    }

    async fn run_trials(&self, row: &GatewayRow, response: &UpstreamResponse) {
        let control = self.controls.get(row.id()).copied().unwrap_or(row.id());
        for trial in 1.. {
            let is_decided = self.with_index(&[row.id(), control, READINESS_ROW_ID], None, |index| {
                matches!(decide::next_step(index, row), GatewayStep::Decided(_))
            });
            if is_decided || self.is_unresponsive() {
                return;
            }
            self.run_treatment(row, trial, response.clone()).await;
        }
    }

    async fn run_treatment(&self, row: &GatewayRow, trial: u32, response: UpstreamResponse) {
        let request = merge_specs(&row.base, row.request.as_ref());
        let spec = GatewayTrialSpec::new(row.id(), TrialKind::Treatment, trial, &request);
        // If the upstream fails on purpose, a missing response is a valid reaction.
        let counts_no_response =
            row.expect_client.as_ref().is_none_or(|expected| expected.sign != Some(ClientSignal::Failure));
        self.run_trial(GatewayTrialSpec { response, counts_no_response, ..spec }).await;
    }

    async fn run_concurrent_batch(&self, row: &GatewayRow) {
        let batch = Arc::new(ConcurrentBatch::new(MAX_CONCURRENT_REQUESTS));
        let trials = (1..=CONCURRENT_REQUESTS).map(|trial| {
            let spec = GatewayTrialSpec::new(row.id(), TrialKind::Crowd, trial, &row.base);
            let spec = GatewayTrialSpec { batch: Some(Arc::clone(&batch)), ..spec };
            async move { self.record_trial(self.send_trial(spec).await) }
        });
        join_all(trials).await;
    }

    /// Sends and records a trial, unless the gateway has stopped responding.
    async fn run_trial(&self, spec: GatewayTrialSpec<'_>) {
        if !self.is_unresponsive() {
            let record = self.send_trial(spec).await;
            self.record_trial(record);
        }
    }

    async fn send_trial(&self, spec: GatewayTrialSpec<'_>) -> GatewayTrial {
        let GatewayTrialSpec { row, kind, trial, request, response, batch, counts_no_response } = spec;
        let id = format!("{row}/{}/{trial}", kind.as_str());
        let values = generate_values(self.options.seed, &id, &self.options.model);
        let value = |name: &str| values.get(name).map_or("", String::as_str);
        let script = ResponseScript { reply: value("reply").to_owned(), response: fill_response(&response, &values) };
        self.correlator.register(value("label"), ScriptedResponse { script, batch });
        let request = build_request(request, &values);
        let stopped = Exchange { id: id.clone(), request: request.clone(), attempts: vec![ExchangeAttempt::stopped()] };
        let mut record =
            GatewayTrial { row: row.to_owned(), arm: kind, trial, values: values.clone(), exchange: stopped };
        self.lock_collected().in_flight.insert(id.clone(), record.clone());
        let exchange = self.client.send(&id, request).await;
        let exchange = self.correlator.redact_exchange(exchange);
        self.track_no_response(&exchange, counts_no_response);
        // Some gateways respond first, and call the upstream after that.
        let is_success =
            matches!(exchange.last_attempt().map(|a| &a.result), Some(AttemptResult::Response(r)) if r.status < 300);
        if is_success && !self.correlator.was_called(value("label")) {
            tokio::time::sleep(LATE_CALL_WAIT).await;
        }
        self.lock_collected().in_flight.remove(&id);
        record.exchange = exchange;
        record
    }

    fn track_no_response(&self, exchange: &Exchange, counts_no_response: bool) {
        match exchange.last_attempt().map(|attempt| &attempt.result) {
            Some(AttemptResult::Response(_)) => self.no_response_streak.store(0, Ordering::Relaxed),
            _ if counts_no_response => drop(self.no_response_streak.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    fn lock_collected(&self) -> MutexGuard<'_, CollectedRecords<'a>> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a trial after its calls. Otherwise, the recording of a killed run could show a trial
    /// without them.
    fn record_trial(&self, record: GatewayTrial) {
        if !self.correlator.has_room_for(count_response_bytes(&record.exchange)) {
            return;
        }
        let label = record.values.get("label");
        self.collect_calls(|call| {
            call.answered.ended != ServedResponseEnd::Open || label.is_some_and(|label| call.labels.contains(label))
        });
        let mut collected = self.lock_collected();
        collected.listener.on_event(GatewayEvent::TrialFinished(&record));
        collected.trials.push(record);
    }

    /// Records the requests that were in flight when the run was stopped.
    fn record_stopped_trials(&self) {
        let stopped = std::mem::take(&mut self.lock_collected().in_flight);
        stopped.into_values().for_each(|record| self.record_trial(record));
    }

    /// Records the wanted calls that are new, or whose response has changed.
    fn collect_calls(&self, is_wanted: impl Fn(&UpstreamCall) -> bool) {
        let mut collected = self.lock_collected();
        let CollectedRecords { calls, listener, .. } = &mut *collected;
        let is_new = |call: &UpstreamCall| calls.get(&call.number).is_none_or(|known| known.answered != call.answered);
        for call in self.correlator.find_calls(|call| is_wanted(call) && is_new(call)) {
            listener.on_event(GatewayEvent::CallChanged(&call));
            calls.insert(call.number, call);
        }
    }

    /// Calls `look` with an index of the trials of some rows. It has unfinished calls, too.
    fn with_index<T>(&self, rows: &[&str], extra: Option<&GatewayTrial>, look: impl FnOnce(&TrialIndex<'_>) -> T) -> T {
        let trials: Vec<GatewayTrial> = {
            let collected = self.lock_collected();
            collected.trials.iter().filter(|trial| rows.contains(&trial.row.as_str())).chain(extra).cloned().collect()
        };
        let labels: Vec<&str> =
            trials.iter().filter_map(|trial| trial.values.get("label").map(String::as_str)).collect();
        let is_relevant = |call: &UpstreamCall| {
            call.labels.is_empty() || call.labels.iter().any(|label| labels.contains(&label.as_str()))
        };
        let calls = self.correlator.find_calls(is_relevant);
        let replies = self.correlator.replies();
        look(&TrialIndex::new(self.options.dialect, self.controls.clone(), &trials, &calls).with_replies(&replies))
    }
}

/// The bytes of the responses that a trial keeps.
fn count_response_bytes(exchange: &Exchange) -> usize {
    exchange.attempts.iter().map(|attempt| attempt.result.content_bytes()).sum()
}
