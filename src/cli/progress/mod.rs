//! The progress of runs, for people and machines: bars, status lines, events and a log. None of them knows another.
//!
//! A terminal shows a bar for each active run; without a terminal, a status line appears every 30 seconds.

mod bar;
pub mod gateway;
mod log;
pub mod mutation;
mod ndjson;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::catalog::TargetPrices;
use crate::cli::io::stderr;
use crate::cli::progress::bar::{ProgressBars, RunProgressBar};
use crate::cli::progress::log::RunLog;
use crate::cli::progress::ndjson::NdjsonEmitter;
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::recording::event::{RunEvent, RunListener};
use crate::results::events::{NdjsonEvent, events_from_results};
use crate::results::model::Results;
use crate::results::progress::ProgressCounts;
use crate::wire::exchange::Exchange;
use crate::wire::message::InterpretedExchange;

/// The interval of status lines without a terminal.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);

/// The kinds of progress to show.
#[derive(Debug, Clone, Copy)]
pub struct ProgressOptions {
    /// No bars and no status lines.
    pub no_progress: bool,
    /// Events on standard output.
    pub ndjson: bool,
    /// The number of runs.
    pub run_count: usize,
}

/// Shows the progress of all runs of a command.
pub struct ProgressReporter {
    bars: Option<ProgressBars>,
    prints_lines: bool,
    ndjson: Option<NdjsonEmitter>,
    log_enabled: bool,
    started: Instant,
    run_count: usize,
    totals: Mutex<ProgressTotals>,
}

/// The finished and the active runs.
#[derive(Default)]
struct ProgressTotals {
    finished_runs: usize,
    finished: ProgressCounts,
    running: Vec<Arc<Mutex<ProgressCounts>>>,
}

/// A run that starts.
pub struct RunInfo<'a> {
    /// The target's name.
    pub name: &'a str,
    /// The base URL, as results show it.
    pub base_url: &'a str,
    /// The requested model.
    pub model: &'a str,
    /// True if the built-in simulator responds.
    pub simulated: bool,
    /// The number of rows.
    pub rows: u64,
    /// The random seed.
    pub seed: u64,
    /// The file of the recording.
    pub recording: String,
    /// The prices of a million tokens.
    pub prices: Option<TargetPrices>,
    /// The number of the run among repeated runs, from 1.
    pub run_number: Option<u64>,
}

impl ProgressReporter {
    /// A reporter for a command that starts now.
    pub fn new(environment: &ProcessEnvironment, options: ProgressOptions) -> Self {
        let quiet = options.no_progress || environment.log_enabled;
        let reporter = Self {
            bars: (environment.interactive && !quiet).then(|| ProgressBars::new(options.run_count)),
            prints_lines: !environment.interactive && !quiet,
            ndjson: options.ndjson.then(NdjsonEmitter::new),
            log_enabled: environment.log_enabled,
            started: Instant::now(),
            run_count: options.run_count,
            totals: Mutex::default(),
        };
        if let Some(events) = &reporter.ndjson {
            events.start();
        }
        reporter
    }

    /// Starts to show one run.
    pub fn start_run(&self, info: &RunInfo<'_>) -> RunProgress<'_> {
        let progress =
            ProgressCounts { rows: info.rows, cost_usd: info.prices.map(|_| 0.0), ..ProgressCounts::default() };
        let progress = Arc::new(Mutex::new(progress));
        self.lock_totals().running.push(Arc::clone(&progress));
        if let Some(events) = &self.ndjson {
            let event = NdjsonEvent::RunStarted {
                base_url: info.base_url.to_owned(),
                model: info.model.to_owned(),
                simulated: info.simulated,
                rows: info.rows,
                seed: info.seed,
                recording: info.recording.clone(),
            };
            events.emit(Some(info.name), info.run_number, event);
        }
        RunProgress {
            reporter: self,
            name: info.name.to_owned(),
            run_number: info.run_number,
            prices: info.prices,
            started: Instant::now(),
            progress,
            bar: self.bars.as_ref().map(|bars| bars.add_run(info.name, info.rows)),
            log: self.log_enabled.then(|| RunLog::new(info.name)),
        }
    }

    /// Prints a status line every 30 seconds if there are no bars. Never ends.
    pub async fn heartbeat(&self) {
        if !self.prints_lines {
            return std::future::pending().await;
        }
        let mut interval = tokio::time::interval(HEARTBEAT_INTERVAL);
        interval.tick().await;
        loop {
            interval.tick().await;
            stderr::warn(self.status_line(self.started.elapsed()));
        }
    }

    /// The status of all runs in one line.
    fn status_line(&self, elapsed: Duration) -> String {
        let totals = self.lock_totals();
        let running = totals.running.iter().map(|run| *run.lock().unwrap_or_else(PoisonError::into_inner));
        let all = running.fold(totals.finished, ProgressCounts::merge);
        let rows = format!("{} of {} rows", all.decided, all.rows);
        let runs = match self.run_count {
            0 | 1 => rows,
            runs => format!("{} of {runs} runs done, {} active, {rows}", totals.finished_runs, totals.running.len()),
        };
        let seconds = elapsed.as_secs();
        // The remaining time of active runs does not cover runs that have not started.
        let counts = if self.run_count > 1 { ProgressCounts { rows: 0, decided: 0, ..all } } else { all };
        format!("{}:{:02} {runs}: {}", seconds / 60, seconds % 60, counts.describe(milliseconds(elapsed)))
    }

    /// Emits the results of a target: of all its runs.
    pub fn emit_results(&self, results: &Results) {
        if let Some(events) = &self.ndjson {
            for event in events_from_results(results) {
                events.emit(Some(&results.target.name), None, event);
            }
        }
    }

    /// Emits the exit code of the command.
    pub fn emit_exit(&self, exit: &Result<ExitStatus, CliError>) {
        if let Some(events) = &self.ndjson {
            let exit = exit.as_ref().map_or_else(CliError::exit_status, |exit| *exit);
            events.emit(None, None, NdjsonEvent::Finished { exit: exit.code() });
        }
    }

    fn lock_totals(&self) -> std::sync::MutexGuard<'_, ProgressTotals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows the progress of one run.
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
    /// Emits the results of a repeated run. The results of a single run are those of the target.
    pub fn finish(self, results: &Results) {
        if let (Some(events), Some(_)) = (&self.reporter.ndjson, self.run_number) {
            for event in events_from_results(results) {
                events.emit(Some(&self.name), self.run_number, event);
            }
        }
    }

    fn current_progress(&self) -> ProgressCounts {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_exchange(&self, exchange: &Exchange, interpretation: &InterpretedExchange) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.requests += 1;
        progress.retries += (exchange.attempts.len() as u64).saturating_sub(1);
        if let InterpretedExchange::Message(message) = interpretation {
            // The usage of an endpoint may be any number.
            progress.input_tokens = progress.input_tokens.saturating_add(message.input_tokens().unwrap_or(0));
            progress.output_tokens = progress.output_tokens.saturating_add(message.output_tokens().unwrap_or(0));
        }
        let (input, output) = (progress.input_tokens as f64, progress.output_tokens as f64);
        progress.cost_usd = self.prices.map(|prices| (input * prices.input + output * prices.output) / 1e6);
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
            // The row is decided again.
            RunEvent::TrialsWithdrawn(_) => {
                let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
                progress.decided = progress.decided.saturating_sub(1);
            }
            RunEvent::RowStarted(_) | RunEvent::Trial(_) => {}
        }
        let (progress, elapsed) = (self.current_progress(), milliseconds(self.started.elapsed()));
        if let Some(bar) = &self.bar {
            bar.update(event, &progress, elapsed);
        }
        if let Some(log) = &self.log {
            log.log_event(event);
        }
        if let Some(events) = &self.reporter.ndjson {
            events.emit_run_event(&self.name, self.run_number, event, progress, elapsed);
        }
    }
}

impl Drop for RunProgress<'_> {
    /// Marks the run as finished, however it ended.
    fn drop(&mut self) {
        let mut totals = self.reporter.lock_totals();
        totals.running.retain(|run| !Arc::ptr_eq(run, &self.progress));
        totals.finished = totals.finished.merge(*self.progress.lock().unwrap_or_else(PoisonError::into_inner));
        totals.finished_runs += 1;
        if let (Some(bars), Some(bar)) = (&self.reporter.bars, &self.bar) {
            bars.finish_run(bar);
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
