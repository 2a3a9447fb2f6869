//! Running: the one part of the engine that talks to an endpoint.
//!
//! Rows run side by side, each asking the rules after every trial what comes next, so many requests at once. Whatever happens is told to the
//! listeners as it happens; they know nothing of each other. A run that is stopped keeps what it has.

mod body_memory;
pub mod probes;
pub mod replay;
mod scheduler;
pub mod send;
mod trial;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::catalog::{CatalogRow, Experiment};
use crate::client::{Budget, Endpoint};
use crate::engine::request::arms;
use crate::engine::request::build::{Channel, Settings};
use crate::engine::rules;
use crate::engine::rules::{Facts, Step};
use crate::engine::run::body_memory::Kept;
use crate::engine::run::scheduler::{Turn, Turns, Way, way};
use crate::engine::run::send::Shared;
pub use crate::engine::run::send::book;
pub(super) use crate::engine::run::send::{GIVE_UP, IS_THERE};
use crate::engine::trial::Trial;
use crate::recording::answered::Known;
use crate::recording::run::{ArmKind, Ended, TrialKey, TrialRecord};
use crate::results::model::Verdict;
use crate::wire::exchange::Exchange;

/// What a run is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// What requests take from the target and the options.
    pub settings: Settings,
    /// The seed of every draw.
    pub seed: u64,
    /// The confidence that statistical verdicts must reach.
    pub confidence: f64,
    /// How many requests are under way at once.
    pub concurrency: usize,
    /// When to stop before the end; runs that go side by side may share it.
    pub budget: Budget,
}

/// What happens in a run.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A row is begun.
    RowStarted(&'a str),
    /// An exchange is done.
    Exchange(&'a Exchange),
    /// A trial is done.
    Trial(&'a TrialRecord),
    /// The endpoint was seen to treat equal requests unequally: so many rows are asked again.
    AskedAgain(usize),
    /// A row has its verdict.
    Verdict(&'a str, &'a Verdict),
}

/// Hears what happens in a run.
pub trait Listener: Send {
    /// Called for each event, in order.
    fn on(&mut self, event: Event<'_>);
}

/// Stops a run from outside.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<tokio::sync::watch::Sender<bool>>);

impl Stop {
    /// Stops the run: nothing more is sent, and what is under way is given up.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Waits until somebody stops the run.
    pub async fn stopped(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// True once somebody stopped it.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }
}

/// How a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Whether it came to its end.
    pub ended: Ended,
    /// The form in which texts were put into messages.
    pub channel: Channel,
}

/// Runs the rows against an endpoint.
pub async fn run<'a, E: Endpoint>(
    endpoint: &'a E,
    rows: &[&CatalogRow],
    options: &'a Options,
    listeners: Vec<&'a mut (dyn Listener + 'a)>,
    stop: &'a Stop,
) -> Finished {
    run_named(endpoint, rows, rows, options, listeners, stop).await
}

/// Runs rows that are some of a larger plan. Requests that rows share are named after the first row of the plan that
/// sends them, so that every part of it gives them the same names.
pub async fn run_named<'a, E: Endpoint>(
    endpoint: &'a E,
    plan: &[&CatalogRow],
    rows: &[&CatalogRow],
    options: &'a Options,
    listeners: Vec<&'a mut (dyn Listener + 'a)>,
    stop: &'a Stop,
) -> Finished {
    static NOTHING: LazyLock<Known> = LazyLock::new(Known::default);
    resume(endpoint, plan, rows, options, &NOTHING, listeners, stop).await
}

/// Goes on with a run that was cut: what is `known` already is not sent again, and not told of. Trials are told of
/// whether they are known or not.
pub async fn resume<'a, E: Endpoint>(
    endpoint: &'a E,
    plan: &[&CatalogRow],
    rows: &[&CatalogRow],
    options: &'a Options,
    known: &'a Known,
    listeners: Vec<&'a mut (dyn Listener + 'a)>,
    stop: &'a Stop,
) -> Finished {
    let mut runner = Runner {
        endpoint,
        options,
        stop,
        listeners: Mutex::new(listeners),
        shared: Mutex::default(),
        owners: HashMap::new(),
        lost: AtomicU64::new(0),
        gone: AtomicBool::new(false),
        channel: Channel::String,
        turns: Turns::new(options.concurrency),
        kept: Kept::default(),
        asked: AtomicU64::new(0),
        known,
    };
    let probe = probes::experiment();
    let mut trials = Vec::new();
    let channel = loop {
        match probes::channel(&trials) {
            Ok(channel) => break channel,
            Err(arm) => {
                runner.channel = if arm == ArmKind::Positive { Channel::Blocks } else { Channel::String };
                let before = trials.iter().filter(|t: &&Trial| t.arm == arm).count() as u32;
                let key = TrialKey { row: probes::CHANNEL.to_owned(), variant: None, arm, trial: before + 1 };
                let asks = probes::channel_arm();
                match runner.simple_trial(&probe, &[&asks], key, &runner.turns.of(0, Way::InOrder)).await {
                    Some(trial) => trials.push(trial),
                    None => break Channel::String,
                }
            }
        }
    };
    runner.channel = channel;
    runner.owners = owners(plan);
    let facts = if probes::unanswered(&trials) { None } else { runner.strictness(&probe, &trials).await };
    if let Some(mut facts) = facts.clone() {
        let mut begun: Vec<(usize, Vec<Trial>)> = (0..rows.len()).map(|row| (row, Vec::new())).collect();
        begun = runner.rows(rows, begun, &facts).await;
        let verdict = |(row, trials): &(usize, Vec<Trial>)| rules::next(&rows[*row].experiment, trials, &facts);
        if begun.iter().any(|row| rules::is_unsteady(&verdict(row))) {
            // What was sure of one endpoint is not of several: every row is asked again, many times.
            facts.unsteady = true;
            runner.tell(Event::AskedAgain(begun.len()));
            runner.rows(rows, begun, &facts).await;
        }
    }
    let ended = if stop.is_stopped() {
        Ended::Interrupted
    } else if runner.gone.load(Ordering::Relaxed) {
        Ended::Lost
    } else if options.budget.is_spent() {
        Ended::Budget
    } else if facts.is_none() {
        Ended::Untestable
    } else {
        Ended::Complete
    };
    Finished { ended, channel }
}

/// The names of requests that several rows share: the first row, in order, that can send them, by template.
fn owners(rows: &[&CatalogRow]) -> HashMap<String, String> {
    let mut owners = HashMap::new();
    for row in rows {
        for (variant, arm) in arms::all(&row.experiment).into_iter().filter(|(_, arm)| *arm != ArmKind::After) {
            let layers = arms::layers(&row.experiment, variant, arm);
            let variant = variant.map_or(String::new(), |v| format!("{v}/"));
            let template = arms::template(&row.experiment, &layers);
            owners.entry(template).or_insert_with(|| format!("{}/{variant}{arm}", row.experiment.id()));
        }
    }
    owners
}

struct Runner<'a, E> {
    endpoint: &'a E,
    options: &'a Options,
    stop: &'a Stop,
    listeners: Mutex<Vec<&'a mut (dyn Listener + 'a)>>,
    shared: Mutex<Shared>,
    owners: HashMap<String, String>,
    /// Requests in a row that brought no answer.
    lost: AtomicU64,
    /// The plainest request brought no message either.
    gone: AtomicBool,
    channel: Channel,
    turns: Turns,
    kept: Kept,
    /// Requests so far. No two runs need agree in it, and a question that bears it is no other run's.
    asked: AtomicU64,
    /// What an earlier part of the run brought.
    known: &'a Known,
}

impl<E: Endpoint> Runner<'_, E> {
    fn tell(&self, event: Event<'_>) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter_mut().for_each(|l| l.on(event));
    }

    /// Takes rows on from the trials that they have; with the trials that they end with.
    async fn rows(
        &self,
        rows: &[&CatalogRow],
        begun: Vec<(usize, Vec<Trial>)>,
        facts: &Facts,
    ) -> Vec<(usize, Vec<Trial>)> {
        let in_order = self.options.concurrency <= 1 || self.options.budget.is_bounded();
        let go_on = |(row, trials): (usize, Vec<Trial>)| async move {
            let experiment = &rows[row].experiment;
            (row, self.row(experiment, trials, facts, self.turns.of(row, way(experiment, in_order))).await)
        };
        let under_way: FuturesUnordered<_> = begun.into_iter().map(go_on).collect();
        let mut ended: Vec<_> = under_way.collect().await;
        ended.sort_by_key(|(row, _)| *row);
        ended
    }

    async fn row(&self, experiment: &Experiment, mut trials: Vec<Trial>, facts: &Facts, turn: Turn<'_>) -> Vec<Trial> {
        turn.come().await;
        if self.stop.is_stopped() {
            return trials;
        }
        self.tell(Event::RowStarted(experiment.id()));
        loop {
            let needed = match rules::next(experiment, &trials, facts) {
                Step::Done(verdict) => {
                    self.tell(Event::Verdict(experiment.id(), &verdict));
                    return trials;
                }
                Step::Try(needed) => needed,
            };
            let before = trials.iter().filter(|t| t.arm == needed.arm && t.variant == needed.variant).count();
            let key = TrialKey {
                row: experiment.id().to_owned(),
                variant: needed.variant,
                arm: needed.arm,
                trial: before as u32 + 1,
            };
            match self.trial(experiment, key, &turn).await {
                Some(trial) => trials.push(trial),
                None => return trials,
            }
        }
    }

    /// What holds for the whole run. `None` where the plainest request of all brings no message: nothing that follows
    /// could be decided, and nothing more need be sent.
    async fn strictness(&self, probe: &Experiment, channel: &[Trial]) -> Option<Facts> {
        let mut trials: Vec<Trial> = Vec::new();
        loop {
            let needed = probes::strictness(&trials);
            if needed.is_empty() {
                break;
            }
            let ask = |(rank, (arm, asks))| async move {
                let key = TrialKey { row: probes::STRICTNESS.to_owned(), variant: None, arm, trial: 1 };
                self.simple_trial(probe, &[&asks], key, &self.turns.of(rank, Way::InOrder)).await
            };
            let asked = join_all(needed.into_iter().enumerate().map(ask)).await;
            trials.extend(asked.into_iter().collect::<Option<Vec<Trial>>>()?);
        }
        trials.first()?.message()?;
        Some(probes::facts(self.options.confidence, self.options.seed, &trials, channel))
    }
}
