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

use crate::catalog::{Answer, Conduct, GatewayRow, Sending, Shape, Sign, Subject};
use crate::client::Endpoint;
use crate::gateway::correlation::{Board, Crowd, Posted};
use crate::gateway::outcome::behaviour::CROWD;
use crate::gateway::outcome::decide::Step;
use crate::gateway::outcome::{behaviour, decide};
use crate::gateway::request::{layered, request};
use crate::gateway::trial_index::Book;
use crate::gateway::upstream::script::Script;
use crate::gateway::upstream::server;
use crate::gateway::{trial_index, values};
use crate::recording::gateway::{Arm, Call, Ended, TrialRecord};
use crate::variables::fill;
use crate::wire::exchange::{AttemptResult, Exchange, FailureKind};

/// So many requests in a row without any answer end the run.
const LOST: u32 = 6;
/// The rest between two tries to find the gateway.
const KNOCK: Duration = Duration::from_millis(300);
/// How long calls are waited for that a gateway makes behind its answer.
const GRACE: Duration = Duration::from_millis(200);
/// The row of trials that belong to none.
const NO_ROW: &str = "(first)";

/// How many requests may be on their way at once, whatever `concurrency` says: a crowd is one.
pub const MOST_AT_ONCE: usize = CROWD as usize;

/// How a run is done.
#[derive(Debug, Clone)]
pub struct Options {
    /// The API that the upstream speaks.
    pub shape: Shape,
    /// The model to ask for.
    pub model: String,
    /// The seed of every draw.
    pub seed: u64,
    /// How many rows are asked at once.
    pub concurrency: usize,
    /// How long the gateway may take to answer at all.
    pub ready: Duration,
    /// The client's credential, to be looked for at the upstream.
    pub secret: Option<SecretString>,
    /// What else must not be kept of what the gateway says to its upstream.
    pub secrets: Vec<SecretString>,
    /// The moment that all times count from.
    pub started: Instant,
}

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A request of the client ended.
    Trial(&'a TrialRecord),
    /// A call of the upstream ended.
    Call(&'a Call),
    /// A row is decided.
    Row(&'a str),
}

/// Who is told.
pub trait Listener: Send {
    /// Takes note of an event.
    fn on(&mut self, event: Event<'_>);
}

/// What a run brought.
#[derive(Debug)]
pub struct Finished {
    /// Every request of the client.
    pub trials: Vec<TrialRecord>,
    /// Every call of the upstream.
    pub calls: Vec<Call>,
    /// Whether it came to its end.
    pub ended: Ended,
}

/// Runs rows against the gateway behind `client`, with the upstream on `socket`, until all is seen or `stopped` is.
pub async fn run<E: Endpoint>(
    client: &E,
    socket: TcpListener,
    rows: &[&GatewayRow],
    options: &Options,
    listener: &mut dyn Listener,
    stopped: impl Future<Output = ()>,
) -> Finished {
    let board = Arc::new(Board::new(options.shape, options.started, options.secret.clone(), &options.secrets));
    let server = server::serve(socket, Arc::clone(&board));
    let runner = Runner {
        client,
        board: &board,
        rows,
        options,
        controls: trial_index::controls(rows),
        silent: AtomicU32::new(0),
        kept: Mutex::new(Kept { trials: Vec::new(), calls: Vec::new(), listener }),
    };
    let ended = tokio::select! {
        ended = runner.all() => ended,
        () = stopped => Ended::Interrupted,
    };
    // What a gateway does behind its answers belongs to the run as well.
    tokio::time::sleep(GRACE).await;
    runner.drain(true);
    server.abort();
    let kept = runner.kept.into_inner().unwrap_or_else(PoisonError::into_inner);
    Finished { trials: kept.trials, calls: kept.calls, ended }
}

struct Runner<'a, E> {
    client: &'a E,
    board: &'a Board,
    rows: &'a [&'a GatewayRow],
    options: &'a Options,
    controls: HashMap<&'a str, &'a str>,
    /// Requests in a row without any answer.
    silent: AtomicU32,
    kept: Mutex<Kept<'a>>,
}

/// What was seen so far.
struct Kept<'a> {
    trials: Vec<TrialRecord>,
    calls: Vec<Call>,
    listener: &'a mut dyn Listener,
}

/// One request to be sent.
struct Asking<'a> {
    row: &'a str,
    arm: Arm,
    trial: u32,
    sending: &'a Sending,
    answer: Answer,
    crowd: Option<Arc<Crowd>>,
    /// Whether an answer that never comes says something about the gateway.
    counts: bool,
}

impl<E: Endpoint> Runner<'_, E> {
    async fn all(&self) -> Ended {
        if !self.first().await {
            return Ended::Untestable;
        }
        let firsts = || self.rows.iter().filter(|row| self.controls.get(row.id()) == Some(&row.id()));
        let each = self.options.concurrency;
        iter(firsts()).map(|row| self.control(row, Arm::Control)).buffer_unordered(each).collect::<Vec<()>>().await;
        // A gateway that sees its upstream fail may leave it alone for a while: those rows come last, one by one.
        let (failing, sound): (Vec<_>, Vec<_>) =
            self.rows.iter().copied().partition(|row| behaviour::fails(row, self.options.shape));
        iter(sound).map(|row| self.row(row)).buffer_unordered(each).collect::<Vec<()>>().await;
        iter(firsts()).map(|row| self.control(row, Arm::After)).buffer_unordered(each).collect::<Vec<()>>().await;
        for row in failing {
            self.row(row).await;
        }
        if self.is_lost() { Ended::Lost } else { Ended::Complete }
    }

    fn is_lost(&self) -> bool {
        self.silent.load(Ordering::Relaxed) >= LOST
    }

    /// Waits for the gateway, and asks the plain question; true where it reached the upstream.
    async fn first(&self) -> bool {
        let plain = Sending::default();
        let deadline = Instant::now() + self.options.ready;
        for trial in 1.. {
            let asking = Asking {
                row: NO_ROW,
                arm: Arm::First,
                trial,
                sending: &plain,
                answer: Answer::default(),
                crowd: None,
                counts: false,
            };
            let record = self.send(asking).await;
            let is_asleep = match record.exchange.last().map(|attempt| &attempt.result) {
                Some(AttemptResult::Failure(failure)) => {
                    matches!(failure.kind, FailureKind::Connect | FailureKind::Reset)
                }
                Some(AttemptResult::Response(response)) => response.status == 503,
                None => false,
            };
            let reached = self.with_book(&[], Some(&record), |book| !book.questions(&record).is_empty());
            if reached || !is_asleep || Instant::now() + KNOCK >= deadline {
                self.keep(record);
                return reached;
            }
            tokio::time::sleep(KNOCK).await;
        }
        false
    }

    async fn control(&self, row: &GatewayRow, arm: Arm) {
        if self.is_lost() {
            return;
        }
        let asking = Asking {
            row: row.id(),
            arm,
            trial: 1,
            sending: &row.base,
            answer: Answer::default(),
            crowd: None,
            counts: true,
        };
        let record = self.send(asking).await;
        self.keep(record);
    }

    /// One row, until it is decided.
    async fn row(&self, row: &GatewayRow) {
        let shape = self.options.shape;
        match row.subject(shape) {
            Subject::Conduct(Conduct::Isolation) => self.crowd(row).await,
            Subject::Conduct(conduct) => {
                for (nth, answer) in (1..).zip(behaviour::failures(conduct, shape)) {
                    self.treatment(row, nth, answer).await;
                }
            }
            Subject::Answer { answer, .. } => {
                let answer = answer.cloned().unwrap_or_default();
                self.trials(row, &answer).await;
            }
            Subject::Request { .. } => self.trials(row, &Answer::default()).await,
        }
        self.tell(|listener| listener.on(Event::Row(row.id())));
    }

    async fn trials(&self, row: &GatewayRow, answer: &Answer) {
        let control = self.controls.get(row.id()).copied().unwrap_or(row.id());
        for trial in 1.. {
            let is_over = self
                .with_book(&[row.id(), control, NO_ROW], None, |book| matches!(decide::next(book, row), Step::Done(_)));
            if is_over || self.is_lost() {
                return;
            }
            self.treatment(row, trial, answer.clone()).await;
        }
    }

    async fn treatment(&self, row: &GatewayRow, trial: u32, answer: Answer) {
        if self.is_lost() {
            return;
        }
        let sending = layered(&row.base, row.send.as_ref());
        // Where the upstream breaks off, silence is an answer.
        let counts = row.comes.as_ref().is_none_or(|comes| comes.sign != Some(Sign::Failure));
        let asking =
            Asking { row: row.id(), arm: Arm::Treatment, trial, sending: &sending, answer, crowd: None, counts };
        let record = self.send(asking).await;
        self.keep(record);
    }

    /// Many at once.
    async fn crowd(&self, row: &GatewayRow) {
        let crowd = Arc::new(Crowd::new(CROWD as usize));
        let asked = (1..=CROWD).map(|trial| {
            let asking = Asking {
                row: row.id(),
                arm: Arm::Crowd,
                trial,
                sending: &row.base,
                answer: Answer::default(),
                crowd: Some(Arc::clone(&crowd)),
                counts: false,
            };
            async move {
                let record = self.send(asking).await;
                self.keep(record);
            }
        });
        join_all(asked).await;
    }

    async fn send(&self, asking: Asking<'_>) -> TrialRecord {
        let Asking { row, arm, trial, sending, answer, crowd, counts } = asking;
        let id = format!("{row}/{}/{trial}", arm.word());
        let values = values::values(self.options.seed, &id, &self.options.model);
        let reply = values.get("reply").cloned().unwrap_or_default();
        let script = Script { reply, answer: fill::answer(&answer, &values) };
        self.board.post(values.get("label").map_or("", String::as_str), Posted { script, crowd });
        let exchange = self.client.send(&id, request(sending, &values)).await;
        let exchange = self.board.masked(exchange);
        self.note_silence(&exchange, counts);
        // Some answer first, and ask the upstream behind it.
        let is_answered =
            matches!(exchange.last().map(|a| &a.result), Some(AttemptResult::Response(r)) if r.status < 300);
        if is_answered && !self.board.has_come(values.get("label").map_or("", String::as_str)) {
            tokio::time::sleep(GRACE).await;
        }
        TrialRecord { row: row.to_owned(), arm, trial, values, exchange }
    }

    fn note_silence(&self, exchange: &Exchange, counts: bool) {
        match exchange.last().map(|attempt| &attempt.result) {
            Some(AttemptResult::Response(_)) => self.silent.store(0, Ordering::Relaxed),
            // Once lost, it stays so.
            _ if counts => drop(self.silent.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    fn tell(&self, tell: impl FnOnce(&mut dyn Listener)) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        tell(kept.listener);
    }

    fn keep(&self, record: TrialRecord) {
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.listener.on(Event::Trial(&record));
            kept.trials.push(record);
        }
        self.drain(false);
    }

    /// Takes the calls that are over, or all of them.
    fn drain(&self, all: bool) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let from = kept.calls.len();
        let calls = if all { self.board.calls_from(from) } else { self.board.finished_from(from) };
        for call in calls {
            kept.listener.on(Event::Call(&call));
            kept.calls.push(call);
        }
    }

    /// What is known of some rows, arranged. Calls that are not over yet count as well.
    fn with_book<T>(&self, rows: &[&str], extra: Option<&TrialRecord>, look: impl FnOnce(&Book<'_>) -> T) -> T {
        let trials: Vec<TrialRecord> = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.trials.iter().filter(|trial| rows.contains(&trial.row.as_str())).chain(extra).cloned().collect()
        };
        let wanted: Vec<&str> =
            trials.iter().filter_map(|trial| trial.values.get("label").map(String::as_str)).collect();
        let calls: Vec<Call> = self
            .board
            .calls_from(0)
            .into_iter()
            .filter(|call| call.labels.is_empty() || call.labels.iter().any(|label| wanted.contains(&label.as_str())))
            .collect();
        let replies = self.board.replies();
        look(&Book::new(self.options.shape, self.controls.clone(), &trials, &calls).knowing(&replies))
    }
}
