//! What people and machines see of runs while they go on: bars, lines, events, a log. None knows another.
//!
//! A terminal gets a bar for each run that is under way; where there is none, a line every half minute says how far
//! things are. Machines get every event as JSON, if they ask for it.

mod bar;
pub mod gateway;
mod log;
mod ndjson;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::catalog::TargetPrices;
use crate::cli::io::stdout;
pub use crate::cli::progress::bar::{ProgressBars, RunProgressBar};
use crate::cli::progress::log::RunLog;
use crate::cli::progress::ndjson::NdjsonEmitter;
use crate::cli::{ExitStatus, ProcessEnvironment};
use crate::recording::event::{RunEvent, RunListener};
use crate::results::events::NdjsonEvent as Told;
use crate::results::model::Results;
use crate::results::progress::ProgressCounts;
use crate::wire::exchange::Exchange;
use crate::wire::message::InterpretedExchange;

/// How often it is said how far things are, where there is no terminal.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);

/// How a command is watched.
#[derive(Debug, Clone, Copy)]
pub struct ProgressOptions {
    /// No bars, and no lines.
    pub no_progress: bool,
    /// Events on standard output.
    pub ndjson: bool,
    /// How many runs there will be.
    pub run_count: usize,
}

/// What watches all runs of a command.
pub struct ProgressReporter {
    bars: Option<ProgressBars>,
    prints_lines: bool,
    ndjson: Option<NdjsonEmitter>,
    log_enabled: bool,
    started: Instant,
    run_count: usize,
    totals: Mutex<ProgressTotals>,
}

/// The runs that are over, and those that are under way.
#[derive(Default)]
struct ProgressTotals {
    finished_runs: usize,
    finished: ProgressCounts,
    running: Vec<Arc<Mutex<ProgressCounts>>>,
}

/// A run that begins.
pub struct RunInfo<'a> {
    /// The target's name.
    pub name: &'a str,
    /// The base URL, as results show it.
    pub base_url: &'a str,
    /// The model that is asked for.
    pub model: &'a str,
    /// True when the built-in simulator answers.
    pub simulated: bool,
    /// How many rows it has.
    pub rows: u64,
    /// The seed of its draws.
    pub seed: u64,
    /// Where its recording goes.
    pub recording: String,
    /// What a million tokens cost.
    pub prices: Option<TargetPrices>,
    /// Which of several runs of the same plan, from 1.
    pub run_number: Option<u64>,
}

impl ProgressReporter {
    /// Watches a command from now on.
    pub fn new(environment: &ProcessEnvironment, wanted: ProgressOptions) -> Self {
        let quiet = wanted.no_progress || environment.log_enabled;
        let watch = Self {
            bars: (environment.interactive && !quiet).then(|| ProgressBars::new(wanted.run_count)),
            prints_lines: !environment.interactive && !quiet,
            ndjson: wanted.ndjson.then(NdjsonEmitter::new),
            log_enabled: environment.log_enabled,
            started: Instant::now(),
            run_count: wanted.run_count,
            totals: Mutex::default(),
        };
        if let Some(events) = &watch.ndjson {
            events.start();
        }
        watch
    }

    /// Watches one run.
    pub fn start_run(&self, begun: &RunInfo<'_>) -> RunProgress<'_> {
        let pace =
            ProgressCounts { rows: begun.rows, cost_usd: begun.prices.map(|_| 0.0), ..ProgressCounts::default() };
        let pace = Arc::new(Mutex::new(pace));
        self.lock_totals().running.push(Arc::clone(&pace));
        if let Some(events) = &self.ndjson {
            let begins = Told::RunStarted {
                base_url: begun.base_url.to_owned(),
                model: begun.model.to_owned(),
                simulated: begun.simulated,
                rows: begun.rows,
                seed: begun.seed,
                recording: begun.recording.clone(),
            };
            events.emit(Some(begun.name), begun.run_number, begins);
        }
        RunProgress {
            reporter: self,
            name: begun.name.to_owned(),
            run_number: begun.run_number,
            prices: begun.prices,
            started: Instant::now(),
            progress: pace,
            bar: self.bars.as_ref().map(|bars| bars.add_run(begun.name, begun.rows)),
            log: self.log_enabled.then(|| RunLog::new(begun.name)),
        }
    }

    /// Says every half minute how far things are, where nothing else does. Never ends.
    pub async fn heartbeat(&self) {
        if !self.prints_lines {
            return std::future::pending().await;
        }
        let mut beats = tokio::time::interval(HEARTBEAT_INTERVAL);
        beats.tick().await;
        loop {
            beats.tick().await;
            stdout::warn(self.status_line(self.started.elapsed()));
        }
    }

    /// How far things are, in a line.
    fn status_line(&self, elapsed: Duration) -> String {
        let paces = self.lock_totals();
        let each = paces.running.iter().map(|pace| *pace.lock().unwrap_or_else(PoisonError::into_inner));
        let all = each.fold(paces.finished, ProgressCounts::merge);
        let rows = format!("{} of {} rows", all.decided, all.rows);
        let runs = match self.run_count {
            0 | 1 => rows,
            runs => format!("{} of {runs} runs done, {} under way, {rows}", paces.finished_runs, paces.running.len()),
        };
        let seconds = elapsed.as_secs();
        // What is left of the runs that have begun says nothing of those that have not.
        let foretold = if self.run_count > 1 { ProgressCounts { rows: 0, decided: 0, ..all } } else { all };
        format!("{}:{:02} {runs}: {}", seconds / 60, seconds % 60, foretold.describe(milliseconds(elapsed)))
    }

    /// Tells what a target came to: all of its runs, where there are several.
    pub fn emit_results(&self, results: &Results) {
        if let Some(events) = &self.ndjson {
            for event in crate::results::events::events_from_results(results) {
                events.emit(Some(&results.target.name), None, event);
            }
        }
    }

    /// Tells how the command ends.
    pub fn emit_exit(&self, exit: &Result<ExitStatus, crate::cli::CliError>) {
        if let Some(events) = &self.ndjson {
            let exit = exit.as_ref().map_or_else(crate::cli::CliError::exit_status, |exit| *exit);
            events.emit(None, None, Told::Finished { exit: exit.code() });
        }
    }

    fn lock_totals(&self) -> std::sync::MutexGuard<'_, ProgressTotals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What watches one run.
pub struct RunProgress<'a> {
    reporter: &'a ProgressReporter,
    name: String,
    run_number: Option<u64>,
    prices: Option<TargetPrices>,
    started: Instant,
    progress: Arc<Mutex<ProgressCounts>>,
    bar: Option<RunProgressBar>,
    log: Option<RunLog>,
}

impl RunProgress<'_> {
    /// The run is over, and came to these results. Those of the only run are the target's, which are told as such.
    pub fn finish(self, results: &Results) {
        if let (Some(events), Some(_)) = (&self.reporter.ndjson, self.run_number) {
            for event in crate::results::events::events_from_results(results) {
                events.emit(Some(&self.name), self.run_number, event);
            }
        }
    }

    fn current_progress(&self) -> ProgressCounts {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_exchange(&self, exchange: &Exchange, reading: &InterpretedExchange) {
        let mut pace = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        pace.requests += 1;
        pace.retries += (exchange.attempts.len() as u64).saturating_sub(1);
        if let InterpretedExchange::Message(message) = reading {
            // An endpoint may say anything of its usage.
            pace.input_tokens = pace.input_tokens.saturating_add(message.input_tokens().unwrap_or(0));
            pace.output_tokens = pace.output_tokens.saturating_add(message.output_tokens().unwrap_or(0));
        }
        let (input, output) = (pace.input_tokens as f64, pace.output_tokens as f64);
        pace.cost_usd = self.prices.map(|prices| (input * prices.input + output * prices.output) / 1e6);
    }
}

impl RunListener for RunProgress<'_> {
    fn on_event(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Exchange(exchange, parsed) => self.count_exchange(exchange, &parsed.interpretation),
            RunEvent::Verdict(..) => self.progress.lock().unwrap_or_else(PoisonError::into_inner).decided += 1,
            RunEvent::RowsRestarted(rows) => {
                self.progress.lock().unwrap_or_else(PoisonError::into_inner).rows += rows as u64;
            }
            RunEvent::RowStarted(_) | RunEvent::Trial(_) => {}
        }
        let (pace, elapsed) = (self.current_progress(), milliseconds(self.started.elapsed()));
        if let Some(bar) = &self.bar {
            bar.update(event, &pace, elapsed);
        }
        if let Some(log) = &self.log {
            log.log_event(event);
        }
        if let Some(events) = &self.reporter.ndjson {
            events.emit_run_event(&self.name, self.run_number, event, pace, elapsed);
        }
    }
}

impl Drop for RunProgress<'_> {
    /// However the run ended, it is under way no longer.
    fn drop(&mut self) {
        let mut paces = self.reporter.lock_totals();
        paces.running.retain(|pace| !Arc::ptr_eq(pace, &self.progress));
        paces.finished = paces.finished.merge(*self.progress.lock().unwrap_or_else(PoisonError::into_inner));
        paces.finished_runs += 1;
        if let (Some(bars), Some(bar)) = (&self.reporter.bars, &self.bar) {
            bars.finish_run(bar);
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
