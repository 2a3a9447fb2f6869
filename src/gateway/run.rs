//! Asking: the client's side of a run, with the upstream beside it.
//!
//! Every wait has a bound: each request its time-out, the gateway's start its own, and a gateway that stops answering
//! ends the run with what was seen so far.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
use crate::gateway::correlation::{CallCorrelator, ConcurrentBatch, ScriptedResponse};
use crate::gateway::outcome::behaviour::CONCURRENT_REQUESTS;
use crate::gateway::outcome::decide::GatewayStep;
use crate::gateway::outcome::{behaviour, decide};
use crate::gateway::request::{build_request, merge_specs};
use crate::gateway::trial_index::{self, TrialIndex};
use crate::gateway::upstream::script::{ResponseScript, fill_response};
use crate::gateway::upstream::server;
use crate::recording::gateway::{GatewayRunEnd, GatewayTrial, TrialKind, UpstreamCall};
use crate::variables::correlation_values::generate_values;
use crate::wire::exchange::{AttemptResult, Exchange, FailureKind};

/// So many requests in a row without any answer end the run.
const MAX_NO_RESPONSE: u32 = 6;
/// The rest between two tries to find the gateway.
const READY_POLL: Duration = Duration::from_millis(300);
/// How long calls are waited for that a gateway makes behind its answer.
const LATE_CALL_WAIT: Duration = Duration::from_millis(200);
/// The row of trials that belong to none.
const READINESS_ROW_ID: &str = "(first)";

/// How many requests may be on their way at once, whatever `concurrency` says: a crowd is one.
pub const MAX_CONCURRENT_REQUESTS: usize = CONCURRENT_REQUESTS as usize;

/// How a run is done.
#[derive(Debug, Clone)]
pub struct GatewayRunOptions {
    /// The API that the upstream speaks.
    pub shape: ApiDialect,
    /// The model to ask for.
    pub model: String,
    /// The seed of every draw.
    pub seed: u64,
    /// How many rows are asked at once.
    pub concurrency: usize,
    /// How long the gateway may take to answer at all.
    pub ready_timeout: Duration,
    /// The client's credential, to be looked for at the upstream.
    pub client_secret: Option<SecretString>,
    /// What else must not be kept of what the gateway says to its upstream.
    pub other_secrets: Vec<SecretString>,
    /// The moment that all times count from.
    pub started_at: Instant,
}

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum GatewayEvent<'a> {
    /// A request of the client ended.
    TrialFinished(&'a GatewayTrial),
    /// A call of the upstream ended.
    CallFinished(&'a UpstreamCall),
    /// A row is decided.
    RowDecided(&'a str),
}

/// Who is told.
pub trait GatewayEventListener: Send {
    /// Takes note of an event.
    fn on_event(&mut self, event: GatewayEvent<'_>);
}

/// What a run brought.
#[derive(Debug)]
pub struct GatewayRunOutput {
    /// Every request of the client.
    pub trials: Vec<GatewayTrial>,
    /// Every call of the upstream.
    pub calls: Vec<UpstreamCall>,
    /// Whether it came to its end.
    pub end: GatewayRunEnd,
}

/// Runs rows against the gateway behind `client`, with the upstream on `socket`, until all is seen or `stopped` is.
pub async fn run<E: MessagesEndpoint>(
    client: &E,
    socket: TcpListener,
    rows: &[&GatewayRow],
    options: &GatewayRunOptions,
    listener: &mut dyn GatewayEventListener,
    stopped: impl Future<Output = ()>,
) -> GatewayRunOutput {
    let board = Arc::new(CallCorrelator::new(
        options.shape,
        options.started_at,
        options.client_secret.clone(),
        &options.other_secrets,
    ));
    let server = server::serve(socket, Arc::clone(&board));
    let runner = GatewayRunner {
        client,
        correlator: &board,
        rows,
        options,
        controls: trial_index::assign_controls(rows),
        no_response_streak: AtomicU32::new(0),
        collected: Mutex::new(CollectedRecords { trials: Vec::new(), calls: Vec::new(), listener }),
    };
    let ended = tokio::select! {
        ended = runner.run_all() => ended,
        () = stopped => GatewayRunEnd::Interrupted,
    };
    // What a gateway does behind its answers belongs to the run as well.
    tokio::time::sleep(LATE_CALL_WAIT).await;
    runner.collect_calls(true);
    server.abort();
    let kept = runner.collected.into_inner().unwrap_or_else(PoisonError::into_inner);
    GatewayRunOutput { trials: kept.trials, calls: kept.calls, end: ended }
}

struct GatewayRunner<'a, E> {
    client: &'a E,
    correlator: &'a CallCorrelator,
    rows: &'a [&'a GatewayRow],
    options: &'a GatewayRunOptions,
    controls: HashMap<&'a str, &'a str>,
    /// Requests in a row without any answer.
    no_response_streak: AtomicU32,
    collected: Mutex<CollectedRecords<'a>>,
}

/// What was seen so far.
struct CollectedRecords<'a> {
    trials: Vec<GatewayTrial>,
    calls: Vec<UpstreamCall>,
    listener: &'a mut dyn GatewayEventListener,
}

/// One request to be sent.
struct GatewayTrialSpec<'a> {
    row: &'a str,
    arm: TrialKind,
    trial: u32,
    request_spec: &'a RequestSpec,
    response: UpstreamResponse,
    batch: Option<Arc<ConcurrentBatch>>,
    /// Whether an answer that never comes says something about the gateway.
    counts_no_response: bool,
}

impl<E: MessagesEndpoint> GatewayRunner<'_, E> {
    async fn run_all(&self) -> GatewayRunEnd {
        if !self.wait_until_ready().await {
            return GatewayRunEnd::Untestable;
        }
        let firsts = || self.rows.iter().filter(|row| self.controls.get(row.id()) == Some(&row.id()));
        let each = self.options.concurrency;
        iter(firsts())
            .map(|row| self.run_control(row, TrialKind::Control))
            .buffer_unordered(each)
            .collect::<Vec<()>>()
            .await;
        // A gateway that sees its upstream fail may leave it alone for a while: those rows come last, one by one.
        let (failing, sound): (Vec<_>, Vec<_>) =
            self.rows.iter().copied().partition(|row| behaviour::fails_upstream(row, self.options.shape));
        iter(sound).map(|row| self.run_row(row)).buffer_unordered(each).collect::<Vec<()>>().await;
        iter(firsts())
            .map(|row| self.run_control(row, TrialKind::After))
            .buffer_unordered(each)
            .collect::<Vec<()>>()
            .await;
        for row in failing {
            self.run_row(row).await;
        }
        if self.is_unresponsive() { GatewayRunEnd::Lost } else { GatewayRunEnd::Complete }
    }

    fn is_unresponsive(&self) -> bool {
        self.no_response_streak.load(Ordering::Relaxed) >= MAX_NO_RESPONSE
    }

    /// Waits for the gateway, and asks the plain question; true where it reached the upstream.
    async fn wait_until_ready(&self) -> bool {
        let plain = RequestSpec::default();
        let deadline = Instant::now() + self.options.ready_timeout;
        for trial in 1.. {
            let asking = GatewayTrialSpec {
                row: READINESS_ROW_ID,
                arm: TrialKind::First,
                trial,
                request_spec: &plain,
                response: UpstreamResponse::default(),
                batch: None,
                counts_no_response: false,
            };
            let record = self.send_trial(asking).await;
            let is_asleep = match record.exchange.last_attempt().map(|attempt| &attempt.result) {
                Some(AttemptResult::Failure(failure)) => {
                    matches!(failure.kind, FailureKind::Connect | FailureKind::Reset)
                }
                Some(AttemptResult::Response(response)) => response.status == 503,
                None => false,
            };
            let reached = self.with_index(&[], Some(&record), |book| !book.model_calls(&record).is_empty());
            if reached || !is_asleep || Instant::now() + READY_POLL >= deadline {
                self.record_trial(record);
                return reached;
            }
            tokio::time::sleep(READY_POLL).await;
        }
        false
    }

    async fn run_control(&self, row: &GatewayRow, arm: TrialKind) {
        if self.is_unresponsive() {
            return;
        }
        let asking = GatewayTrialSpec {
            row: row.id(),
            arm,
            trial: 1,
            request_spec: &row.base,
            response: UpstreamResponse::default(),
            batch: None,
            counts_no_response: true,
        };
        let record = self.send_trial(asking).await;
        self.record_trial(record);
    }

    /// One row, until it is decided.
    async fn run_row(&self, row: &GatewayRow) {
        let shape = self.options.shape;
        match row.subject(shape) {
            GatewayRowSubject::Behaviour(GatewayBehaviour::Isolation) => self.run_concurrent_batch(row).await,
            GatewayRowSubject::Behaviour(conduct) => {
                for (nth, answer) in (1..).zip(behaviour::failure_responses(conduct, shape)) {
                    self.run_treatment(row, nth, answer).await;
                }
            }
            GatewayRowSubject::Response { response: answer, .. } => {
                let answer = answer.cloned().unwrap_or_default();
                self.run_trials(row, &answer).await;
            }
            GatewayRowSubject::Request { .. } => self.run_trials(row, &UpstreamResponse::default()).await,
        }
        self.emit(|listener| listener.on_event(GatewayEvent::RowDecided(row.id())));
    }

    async fn run_trials(&self, row: &GatewayRow, answer: &UpstreamResponse) {
        let control = self.controls.get(row.id()).copied().unwrap_or(row.id());
        for trial in 1.. {
            let is_over = self.with_index(&[row.id(), control, READINESS_ROW_ID], None, |book| {
                matches!(decide::next_step(book, row), GatewayStep::Decided(_))
            });
            if is_over || self.is_unresponsive() {
                return;
            }
            self.run_treatment(row, trial, answer.clone()).await;
        }
    }

    async fn run_treatment(&self, row: &GatewayRow, trial: u32, answer: UpstreamResponse) {
        if self.is_unresponsive() {
            return;
        }
        let sending = merge_specs(&row.base, row.request.as_ref());
        // Where the upstream breaks off, silence is an answer.
        let counts = row.expect_client.as_ref().is_none_or(|expected| expected.sign != Some(ClientSignal::Failure));
        let asking = GatewayTrialSpec {
            row: row.id(),
            arm: TrialKind::Treatment,
            trial,
            request_spec: &sending,
            response: answer,
            batch: None,
            counts_no_response: counts,
        };
        let record = self.send_trial(asking).await;
        self.record_trial(record);
    }

    /// Many at once.
    async fn run_concurrent_batch(&self, row: &GatewayRow) {
        let crowd = Arc::new(ConcurrentBatch::new(CONCURRENT_REQUESTS as usize));
        let asked = (1..=CONCURRENT_REQUESTS).map(|trial| {
            let asking = GatewayTrialSpec {
                row: row.id(),
                arm: TrialKind::Crowd,
                trial,
                request_spec: &row.base,
                response: UpstreamResponse::default(),
                batch: Some(Arc::clone(&crowd)),
                counts_no_response: false,
            };
            async move {
                let record = self.send_trial(asking).await;
                self.record_trial(record);
            }
        });
        join_all(asked).await;
    }

    async fn send_trial(&self, asking: GatewayTrialSpec<'_>) -> GatewayTrial {
        let GatewayTrialSpec {
            row,
            arm,
            trial,
            request_spec: sending,
            response: answer,
            batch: crowd,
            counts_no_response: counts,
        } = asking;
        let id = format!("{row}/{}/{trial}", arm.as_str());
        let values = generate_values(self.options.seed, &id, &self.options.model);
        let reply = values.get("reply").cloned().unwrap_or_default();
        let script = ResponseScript { reply, response: fill_response(&answer, &values) };
        self.correlator
            .register(values.get("label").map_or("", String::as_str), ScriptedResponse { script, batch: crowd });
        let exchange = self.client.send(&id, build_request(sending, &values)).await;
        let exchange = self.correlator.redact_exchange(exchange);
        self.track_no_response(&exchange, counts);
        // Some answer first, and ask the upstream behind it.
        let is_answered =
            matches!(exchange.last_attempt().map(|a| &a.result), Some(AttemptResult::Response(r)) if r.status < 300);
        if is_answered && !self.correlator.was_called(values.get("label").map_or("", String::as_str)) {
            tokio::time::sleep(LATE_CALL_WAIT).await;
        }
        GatewayTrial { row: row.to_owned(), arm, trial, values, exchange }
    }

    fn track_no_response(&self, exchange: &Exchange, counts: bool) {
        match exchange.last_attempt().map(|attempt| &attempt.result) {
            Some(AttemptResult::Response(_)) => self.no_response_streak.store(0, Ordering::Relaxed),
            // Once lost, it stays so.
            _ if counts => drop(self.no_response_streak.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    fn emit(&self, tell: impl FnOnce(&mut dyn GatewayEventListener)) {
        let mut kept = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        tell(kept.listener);
    }

    fn record_trial(&self, record: GatewayTrial) {
        {
            let mut kept = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
            kept.listener.on_event(GatewayEvent::TrialFinished(&record));
            kept.trials.push(record);
        }
        self.collect_calls(false);
    }

    /// Takes the calls that are over, or all of them.
    fn collect_calls(&self, all: bool) {
        let mut kept = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        let from = kept.calls.len();
        let calls = if all { self.correlator.calls_from(from) } else { self.correlator.finished_calls_from(from) };
        for call in calls {
            kept.listener.on_event(GatewayEvent::CallFinished(&call));
            kept.calls.push(call);
        }
    }

    /// What is known of some rows, arranged. Calls that are not over yet count as well.
    fn with_index<T>(&self, rows: &[&str], extra: Option<&GatewayTrial>, look: impl FnOnce(&TrialIndex<'_>) -> T) -> T {
        let trials: Vec<GatewayTrial> = {
            let kept = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
            kept.trials.iter().filter(|trial| rows.contains(&trial.row.as_str())).chain(extra).cloned().collect()
        };
        let wanted: Vec<&str> =
            trials.iter().filter_map(|trial| trial.values.get("label").map(String::as_str)).collect();
        let calls: Vec<UpstreamCall> = self
            .correlator
            .calls_from(0)
            .into_iter()
            .filter(|call| call.labels.is_empty() || call.labels.iter().any(|label| wanted.contains(&label.as_str())))
            .collect();
        let replies = self.correlator.replies();
        look(&TrialIndex::new(self.options.shape, self.controls.clone(), &trials, &calls).with_replies(&replies))
    }
}
