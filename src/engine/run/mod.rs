//! Runs rows against an endpoint: [`run`], [`run_selection`] and [`resume`]. The only part of the
//! engine that sends requests.
//!
//! Rows run in parallel. After each trial, a row gets its next step from the rules. Listeners
//! receive every event immediately. A stopped run keeps its recording so far.

mod health;
pub mod in_memory;
mod prefetch;
mod probe;
pub mod replay;
mod response_memory;
mod scheduler;
mod send;
mod trial;

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use futures_util::future::join;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::catalog::{CatalogRow, Experiment};
use crate::client::{Budget, MessagesEndpoint};
use crate::engine::dependencies::edges::RequestTemplates;
use crate::engine::dependencies::{RowTrials, decide_rows};
use crate::engine::request::arms;
use crate::engine::rules::{RunFacts, Step};
use crate::engine::run::health::EndpointHealth;
use crate::engine::run::response_memory::ResponseMemoryLimit;
use crate::engine::run::scheduler::{RowScheduler, RowSlot, row_priority};
use crate::engine::run::send::SharedRequests;
pub use crate::engine::run::send::charge_recording;
use crate::engine::selection::RowSelection;
use crate::engine::trial::CompletedTrial;
use crate::engine::{probes, rules};
use crate::recording::answered::AnsweredExchanges;
use crate::recording::event::{RunEvent, RunListener};
use crate::recording::request_settings::{RequestSettings, TextForm};
use crate::recording::run::{ArmKind, RunEnd, TrialKey};

/// The options of a run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The settings of the target and the command line that requests use.
    pub settings: RequestSettings,
    /// The seed of all random values.
    pub seed: u64,
    /// The confidence that statistical verdicts must reach.
    pub confidence: f64,
    /// The number of requests in flight.
    pub concurrency: usize,
    /// The budget. Parallel runs may share it.
    pub budget: Budget,
    /// Sends requests that rows probably need before they need them. A budget with a limit turns it
    /// off.
    pub eager: bool,
}

/// Stops a run from outside.
#[derive(Debug, Clone, Default)]
pub struct StopSignal(Arc<tokio::sync::watch::Sender<bool>>);

impl StopSignal {
    /// Stops the run: nothing more is sent, and requests in flight are aborted.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the run is stopped.
    pub async fn wait_until_stopped(&self) {
        // The sender is in `self`, so this cannot fail.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// True once the run is stopped.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishedRun {
    /// Why it ended.
    pub end: RunEnd,
    /// The form of texts in messages.
    pub text_form: TextForm,
}

/// Runs all rows against an endpoint.
pub async fn run<'a, E: MessagesEndpoint>(
    endpoint: &'a E,
    rows: &[&CatalogRow],
    options: &'a RunOptions,
    listeners: Vec<&'a mut (dyn RunListener + 'a)>,
    stop: &'a StopSignal,
) -> FinishedRun {
    run_selection(endpoint, &RowSelection::all(rows.to_vec()), options, listeners, stop).await
}

/// Runs the selected rows of a plan against an endpoint.
pub async fn run_selection<'a, E: MessagesEndpoint>(
    endpoint: &'a E,
    selection: &RowSelection<'_>,
    options: &'a RunOptions,
    listeners: Vec<&'a mut (dyn RunListener + 'a)>,
    stop: &'a StopSignal,
) -> FinishedRun {
    static NO_ANSWERED_EXCHANGES: LazyLock<AnsweredExchanges> = LazyLock::new(AnsweredExchanges::default);
    resume(endpoint, selection, options, &NO_ANSWERED_EXCHANGES, listeners, stop).await
}

/// Resumes an interrupted run. Requests with a response in `answered` are not sent again and cause
/// no event. Each trial causes an event, whether its requests are sent or not.
pub async fn resume<'a, E: MessagesEndpoint>(
    endpoint: &'a E,
    selection: &RowSelection<'_>,
    options: &'a RunOptions,
    answered: &'a AnsweredExchanges,
    listeners: Vec<&'a mut (dyn RunListener + 'a)>,
    stop: &'a StopSignal,
) -> FinishedRun {
    let rows = selection.all_rows();
    let mut runner = RowRunner {
        endpoint,
        options,
        stop,
        listeners: Mutex::new(listeners),
        shared_requests: Mutex::default(),
        request_names: HashMap::new(),
        no_response_streak: AtomicU64::new(0),
        unreachable: AtomicBool::new(false),
        server_errors_pass: AtomicBool::new(false),
        health: EndpointHealth::default(),
        row_trials: Mutex::default(),
        text_form: TextForm::String,
        scheduler: RowScheduler::new(options.concurrency),
        response_memory: ResponseMemoryLimit::default(),
        request_count: AtomicU64::new(0),
        answered_exchanges: answered,
    };
    let probe_trials = runner.probe_text_form().await;
    let others = rows.iter().filter(|row| !selection.plan.iter().any(|p| p.experiment.id() == row.experiment.id()));
    runner.request_names = shared_request_names(selection.plan.iter().chain(others).copied());
    let row_count = selection.run.len();
    let is_needed = AtomicBool::new(true);
    let run_rows = async {
        let facts = runner.run_all_rows(&rows, row_count, &probe_trials).await;
        is_needed.store(false, Ordering::Relaxed);
        facts
    };
    let prefetch = runner.prefetch_first_trials(&rows[..row_count], &probe_trials, &is_needed);
    let (facts, ()) = join(run_rows, prefetch).await;
    let end = if stop.is_stopped() {
        RunEnd::Interrupted
    } else if runner.health.has_failed() {
        RunEnd::Trouble
    } else if runner.unreachable.load(Ordering::Relaxed) {
        RunEnd::Lost
    } else if options.budget.is_exhausted() {
        RunEnd::Budget
    } else if facts.is_none() {
        RunEnd::Untestable
    } else {
        RunEnd::Complete
    };
    FinishedRun { end, text_form: runner.text_form }
}

/// The rows that were not run, although the verdict of another row depends on them.
fn find_missing_rows(
    rows: &[&CatalogRow],
    finished: &[StartedRow],
    facts: &RunFacts,
    templates: &RequestTemplates<'_>,
) -> Vec<StartedRow> {
    if finished.len() == rows.len() {
        return Vec::new();
    }
    let row_trials: Vec<RowTrials<'_>> =
        finished.iter().map(|(row, trials)| RowTrials { experiment: &rows[*row].experiment, trials }).collect();
    let missing = decide_rows(&row_trials, facts, templates).missing;
    let is_missing = |row: &usize| missing.contains(rows[*row].experiment.id());
    (0..rows.len()).filter(is_missing).map(|row| (row, Vec::new())).collect()
}

/// The names of shared requests, by template: the first row and arm of the plan that can send them.
fn shared_request_names<'a>(rows: impl Iterator<Item = &'a CatalogRow>) -> HashMap<String, String> {
    let mut owners = HashMap::new();
    for row in rows {
        for (variant, arm) in arms::arms(&row.experiment).into_iter().filter(|(_, arm)| *arm != ArmKind::After) {
            let layers = arms::layers(&row.experiment, variant, arm);
            let variant = variant.map_or(String::new(), |v| format!("{v}/"));
            let template = arms::template_id(&row.experiment, &layers);
            owners.entry(template).or_insert_with(|| format!("{}/{variant}{arm}", row.experiment.id()));
        }
    }
    owners
}

/// The index of a row, and its trials so far.
type StartedRow = (usize, Vec<CompletedTrial>);

/// A trial with the ids of its exchanges.
type TrialExchanges = (TrialKey, Vec<String>);

struct RowRunner<'a, E> {
    endpoint: &'a E,
    options: &'a RunOptions,
    stop: &'a StopSignal,
    listeners: Mutex<Vec<&'a mut (dyn RunListener + 'a)>>,
    shared_requests: Mutex<SharedRequests>,
    request_names: HashMap<String, String>,
    /// Consecutive requests without an informative response.
    no_response_streak: AtomicU64,
    /// True if the liveness test got no message.
    unreachable: AtomicBool,
    /// True if a request was answered after a server error.
    server_errors_pass: AtomicBool,
    health: EndpointHealth,
    row_trials: Mutex<HashMap<String, Vec<TrialExchanges>>>,
    text_form: TextForm,
    scheduler: RowScheduler,
    response_memory: ResponseMemoryLimit,
    /// The number of requests so far. It makes the ids of liveness tests unique.
    request_count: AtomicU64,
    /// The exchanges of the interrupted run.
    answered_exchanges: &'a AnsweredExchanges,
}

impl<E: MessagesEndpoint> RowRunner<'_, E> {
    fn emit(&self, event: RunEvent<'_>) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter_mut().for_each(|l| l.on_event(event));
    }

    /// Runs the first rows, and others if their verdicts depend on them. Returns the facts of the
    /// run, or `None` if no row can be decided.
    async fn run_all_rows(
        &self,
        rows: &[&CatalogRow],
        row_count: usize,
        text_form_trials: &[CompletedTrial],
    ) -> Option<RunFacts> {
        if probes::has_no_response(text_form_trials) {
            return None;
        }
        let mut facts = self.find_facts(text_form_trials).await?;
        let templates = RequestTemplates { settings: &self.options.settings, text_form: self.text_form };
        let mut finished = Vec::new();
        let mut pending: Vec<StartedRow> = (0..row_count).map(|row| (row, Vec::new())).collect();
        while !pending.is_empty() {
            finished.append(&mut self.run_rows(rows, pending, &facts).await);
            pending = self.restart_void_rows(rows, &mut finished).await;
            if !pending.is_empty() {
                continue;
            }
            let next_step = |(row, trials): &StartedRow, facts| rules::next_step(&rows[*row].experiment, trials, facts);
            let known = facts.clone();
            // The first rows may be decided before the run shows that server errors pass.
            facts.server_errors_pass = self.server_errors_pass.load(Ordering::Relaxed);
            if !facts.is_inconsistent && finished.iter().any(|row| rules::is_inconsistent(&next_step(row, &facts))) {
                // Each row may have evidence from only one of several servers, so all rows get more
                // trials.
                facts.is_inconsistent = true;
                self.emit(RunEvent::RowsRestarted(finished.len()));
                pending = std::mem::take(&mut finished);
                continue;
            }
            let is_undecided = |row: &mut StartedRow| matches!(next_step(row, &facts), Step::Run(_));
            // A row without a verdict got no response. It gets one only if something has changed.
            pending = match facts == known {
                true => Vec::new(),
                false => finished.extract_if(.., is_undecided).collect(),
            };
            if pending.is_empty() {
                pending = find_missing_rows(rows, &finished, &facts, &templates);
            }
        }
        Some(facts)
    }

    /// Continues rows after the trials that they have. Returns all their trials.
    async fn run_rows(&self, rows: &[&CatalogRow], started: Vec<StartedRow>, facts: &RunFacts) -> Vec<StartedRow> {
        let in_order = self.options.concurrency <= 1 || self.options.budget.is_bounded();
        let run_row = |(row, trials): StartedRow| async move {
            let experiment = &rows[row].experiment;
            (
                row,
                self.run_row(
                    experiment,
                    trials,
                    facts,
                    self.scheduler.create_slot(row, row_priority(experiment, in_order)),
                )
                .await,
            )
        };
        let running: FuturesUnordered<_> = started.into_iter().map(run_row).collect();
        let mut finished: Vec<_> = running.collect().await;
        finished.sort_by_key(|(row, _)| *row);
        finished
    }

    /// Withdraws the trials of the rows that used void responses, and returns these rows without
    /// trials, to be run again. If the run ended, they are not run again.
    async fn restart_void_rows(&self, rows: &[&CatalogRow], finished: &mut Vec<StartedRow>) -> Vec<StartedRow> {
        if self.health.has_doubtful_end() {
            self.confirm_end().await;
        }
        if self.health.has_failed() {
            // Requests in flight ended after the last test.
            self.void_unconfirmed();
        }
        let void = self.health.take_void();
        if void.is_empty() {
            return Vec::new();
        }
        let is_void = |id: &String| void.contains(id);
        let mut shared = self.shared_requests.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|_, cell| !cell.get().is_some_and(|sent| is_void(&sent.exchange.id)));
        drop(shared);
        let mut restarted = Vec::new();
        for (row, trials) in finished.iter_mut() {
            let id = rows[*row].experiment.id();
            let mut row_trials = self.row_trials.lock().unwrap_or_else(PoisonError::into_inner);
            if row_trials.get(id).is_some_and(|known| known.iter().any(|(_, ids)| ids.iter().any(is_void))) {
                let withdrawn: Vec<TrialKey> =
                    row_trials.remove(id).into_iter().flatten().map(|(key, _)| key).collect();
                drop(row_trials);
                self.emit(RunEvent::TrialsWithdrawn(&withdrawn));
                trials.clear();
                restarted.push((*row, Vec::new()));
            }
        }
        if self.has_ended() {
            return Vec::new();
        }
        let is_restarted = |(row, _): &mut StartedRow| restarted.iter().any(|(other, _)| other == row);
        finished.extract_if(.., is_restarted).for_each(drop);
        restarted
    }

    /// True if nothing more is sent.
    fn has_ended(&self) -> bool {
        self.stop.is_stopped()
            || self.health.has_failed()
            || self.unreachable.load(Ordering::Relaxed)
            || self.options.budget.is_exhausted()
    }

    async fn run_row(
        &self,
        experiment: &Experiment,
        mut trials: Vec<CompletedTrial>,
        facts: &RunFacts,
        slot: RowSlot<'_>,
    ) -> Vec<CompletedTrial> {
        slot.acquire().await;
        if self.stop.is_stopped() {
            return trials;
        }
        self.emit(RunEvent::RowStarted(experiment.id()));
        let is_needed = AtomicBool::new(true);
        let mut prefetched = HashSet::new();
        let mut prefetches = FuturesUnordered::new();
        loop {
            let needed = match rules::next_step(experiment, &trials, facts) {
                Step::Decided(verdict) => {
                    self.emit(RunEvent::Verdict(experiment.id(), &verdict));
                    break;
                }
                Step::Run(needed) => needed,
            };
            for key in self.predict_next_trials(experiment, &trials, facts) {
                if !prefetched.contains(&key)
                    && let Some(slot) = self.scheduler.take_free_slot()
                {
                    prefetched.insert(key.clone());
                    prefetches.push(self.prefetch_trial(experiment, key, slot, &is_needed));
                }
            }
            let earlier_trials = trials.iter().filter(|t| t.arm == needed.arm && t.variant == needed.variant).count();
            let key = TrialKey {
                row: experiment.id().to_owned(),
                variant: needed.variant,
                arm: needed.arm,
                trial: earlier_trials as u32 + 1,
            };
            match run_beside(self.run_trial(experiment, key, &slot), &mut prefetches).await {
                Some(trial) => trials.push(trial),
                None => break,
            }
        }
        is_needed.store(false, Ordering::Relaxed);
        drop(slot);
        // The recording must contain every sent request.
        prefetches.collect::<()>().await;
        trials
    }
}

/// Runs a future to its end, and others meanwhile.
async fn run_beside<T>(main: impl Future<Output = T>, others: &mut FuturesUnordered<impl Future<Output = ()>>) -> T {
    let mut main = pin!(main);
    loop {
        tokio::select! {
            biased;
            output = &mut main => return output,
            Some(()) = others.next() => {}
        }
    }
}
