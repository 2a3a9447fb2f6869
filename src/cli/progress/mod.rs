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

use crate::catalog::Prices;
use crate::cli::io::stdout;
pub use crate::cli::progress::bar::{Bar, Bars};
use crate::cli::progress::log::Log;
use crate::cli::progress::ndjson::Events;
use crate::cli::{Environment, Exit};
use crate::engine::{Event, Listener};
use crate::results::events::Event as Told;
use crate::results::model::Results;
use crate::results::progress::Pace;
use crate::wire::exchange::Exchange;
use crate::wire::message::{Reading, read};

/// How often it is said how far things are, where there is no terminal.
const BEAT: Duration = Duration::from_secs(30);

/// How a command is watched.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// No bars, and no lines.
    pub no_progress: bool,
    /// Events on standard output.
    pub ndjson: bool,
    /// How many runs there will be.
    pub runs: usize,
}

/// What watches all runs of a command.
pub struct Watch {
    bars: Option<Bars>,
    lines: bool,
    events: Option<Events>,
    log: bool,
    started: Instant,
    runs: usize,
    paces: Mutex<Paces>,
}

/// The runs that are over, and those that are under way.
#[derive(Default)]
struct Paces {
    over: usize,
    done: Pace,
    under_way: Vec<Arc<Mutex<Pace>>>,
}

/// A run that begins.
pub struct Begun<'a> {
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
    pub prices: Option<Prices>,
    /// Which of several runs of the same plan, from 1.
    pub run: Option<u64>,
}

impl Watch {
    /// Watches a command from now on.
    pub fn new(environment: &Environment, wanted: Wanted) -> Self {
        let quiet = wanted.no_progress || environment.logs;
        let watch = Self {
            bars: (environment.interactive && !quiet).then(|| Bars::new(wanted.runs)),
            lines: !environment.interactive && !quiet,
            events: wanted.ndjson.then(Events::new),
            log: environment.logs,
            started: Instant::now(),
            runs: wanted.runs,
            paces: Mutex::default(),
        };
        if let Some(events) = &watch.events {
            events.began();
        }
        watch
    }

    /// Watches one run.
    pub fn run(&self, begun: &Begun<'_>) -> Watched<'_> {
        let pace = Pace { rows: begun.rows, cost_usd: begun.prices.map(|_| 0.0), ..Pace::default() };
        let pace = Arc::new(Mutex::new(pace));
        self.paces().under_way.push(Arc::clone(&pace));
        if let Some(events) = &self.events {
            let begins = Told::RunStarted {
                base_url: begun.base_url.to_owned(),
                model: begun.model.to_owned(),
                simulated: begun.simulated,
                rows: begun.rows,
                seed: begun.seed,
                recording: begun.recording.clone(),
            };
            events.tell(Some(begun.name), begun.run, begins);
        }
        Watched {
            watch: self,
            name: begun.name.to_owned(),
            run: begun.run,
            prices: begun.prices,
            started: Instant::now(),
            pace,
            bar: self.bars.as_ref().map(|bars| bars.run(begun.name, begun.rows)),
            log: self.log.then(|| Log::new(begun.name)),
        }
    }

    /// Says every half minute how far things are, where nothing else does. Never ends.
    pub async fn beat(&self) {
        if !self.lines {
            return std::future::pending().await;
        }
        let mut beats = tokio::time::interval(BEAT);
        beats.tick().await;
        loop {
            beats.tick().await;
            stdout::warn(self.told(self.started.elapsed()));
        }
    }

    /// How far things are, in a line.
    fn told(&self, elapsed: Duration) -> String {
        let paces = self.paces();
        let each = paces.under_way.iter().map(|pace| *pace.lock().unwrap_or_else(PoisonError::into_inner));
        let all = each.fold(paces.done, Pace::plus);
        let rows = format!("{} of {} rows", all.decided, all.rows);
        let runs = match self.runs {
            0 | 1 => rows,
            runs => format!("{} of {runs} runs done, {} under way, {rows}", paces.over, paces.under_way.len()),
        };
        let seconds = elapsed.as_secs();
        // What is left of the runs that have begun says nothing of those that have not.
        let foretold = if self.runs > 1 { Pace { rows: 0, decided: 0, ..all } } else { all };
        format!("{}:{:02} {runs}: {}", seconds / 60, seconds % 60, foretold.told(milliseconds(elapsed)))
    }

    /// Tells what a target came to: all of its runs, where there are several.
    pub fn results(&self, results: &Results) {
        if let Some(events) = &self.events {
            for event in crate::results::events::of_results(results) {
                events.tell(Some(&results.target.name), None, event);
            }
        }
    }

    /// Tells how the command ends.
    pub fn ended(&self, exit: &Result<Exit, crate::cli::CliError>) {
        if let Some(events) = &self.events {
            let exit = exit.as_ref().map_or_else(crate::cli::CliError::exit, |exit| *exit);
            events.tell(None, None, Told::Finished { exit: exit.code() });
        }
    }

    fn paces(&self) -> std::sync::MutexGuard<'_, Paces> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What watches one run.
pub struct Watched<'a> {
    watch: &'a Watch,
    name: String,
    run: Option<u64>,
    prices: Option<Prices>,
    started: Instant,
    pace: Arc<Mutex<Pace>>,
    bar: Option<Bar>,
    log: Option<Log>,
}

impl Watched<'_> {
    /// The run is over, and came to these results. Those of the only run are the target's, which are told as such.
    pub fn ended(self, results: &Results) {
        if let (Some(events), Some(_)) = (&self.watch.events, self.run) {
            for event in crate::results::events::of_results(results) {
                events.tell(Some(&self.name), self.run, event);
            }
        }
    }

    fn pace(&self) -> Pace {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, exchange: &Exchange, reading: &Reading) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.requests += 1;
        pace.retries += (exchange.attempts.len() as u64).saturating_sub(1);
        if let Reading::Message(message) = reading {
            // An endpoint may say anything of its usage.
            pace.input_tokens = pace.input_tokens.saturating_add(message.input_tokens().unwrap_or(0));
            pace.output_tokens = pace.output_tokens.saturating_add(message.output_tokens().unwrap_or(0));
        }
        let (input, output) = (pace.input_tokens as f64, pace.output_tokens as f64);
        pace.cost_usd = self.prices.map(|prices| (input * prices.input + output * prices.output) / 1e6);
    }
}

impl Listener for Watched<'_> {
    fn on(&mut self, event: Event<'_>) {
        let reading = match event {
            Event::Exchange(exchange) => {
                let reading = read(exchange);
                self.count(exchange, &reading);
                Some(reading)
            }
            Event::Verdict(..) => {
                self.pace.lock().unwrap_or_else(PoisonError::into_inner).decided += 1;
                None
            }
            Event::AskedAgain(rows) => {
                self.pace.lock().unwrap_or_else(PoisonError::into_inner).rows += rows as u64;
                None
            }
            Event::RowStarted(_) | Event::Trial(_) => None,
        };
        let (pace, elapsed) = (self.pace(), milliseconds(self.started.elapsed()));
        if let Some(bar) = &self.bar {
            bar.show(event, &pace, elapsed);
        }
        if let Some(log) = &self.log {
            log.tell(event, reading.as_ref());
        }
        if let Some(events) = &self.watch.events {
            events.on(&self.name, self.run, event, reading.as_ref(), pace, elapsed);
        }
    }
}

impl Drop for Watched<'_> {
    /// However the run ended, it is under way no longer.
    fn drop(&mut self) {
        let mut paces = self.watch.paces();
        paces.under_way.retain(|pace| !Arc::ptr_eq(pace, &self.pace));
        paces.done = paces.done.plus(*self.pace.lock().unwrap_or_else(PoisonError::into_inner));
        paces.over += 1;
        if let (Some(bars), Some(bar)) = (&self.watch.bars, &self.bar) {
            bars.over(bar);
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
