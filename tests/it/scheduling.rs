//! How well a run uses the time that it waits for answers: its requests one after the other and side by side, held against
//! what no schedule can go below.
//!
//! Time is virtual here: every answer takes one tick of a clock that goes on when nothing else does. So what is counted is
//! waiting alone, and a busy machine changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use clock::Clock;
use common::{CATALOG, Setup, TARGETS, record_run, rows_of, target};
use fieldtest::catalog::CatalogRow;
use fieldtest::client::{Budget, BudgetLimits, BudgetReservation, MessagesEndpoint, ReplayEndpoint};
use fieldtest::engine::run_in_memory;
use fieldtest::engine::{RunOptions, judge};
use fieldtest::recording::run::{Recording, TrialKey};
use fieldtest::wire::exchange::{Exchange, Request};
use harness::{Folder, Running};

use crate::common;
use crate::common::{binary as harness, clock};

/// How far above the bound a run may be.
const GOAL: f64 = 1.1;

/// A server that takes a tick for each answer.
struct Slow<'a> {
    clock: &'a Clock,
    answers: ReplayEndpoint<'a>,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl MessagesEndpoint for Slow<'_> {
    async fn send_within_budget(&self, id: &str, request: Request, _: Option<&mut BudgetReservation<'_>>) -> Exchange {
        let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        self.clock.sleep(1).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        self.answers.send(id, request).await
    }
}

/// The rounds of answers that no schedule goes below: the run's own questions, and after them the longest chain of a row,
/// or all other requests over how many may be under way. A row looks at each answer before it asks on, so what it asks is a chain.
fn bound(recording: &Recording, at_once: usize) -> f64 {
    let mut chains: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for trial in &recording.trials {
        chains.entry(&trial.key.row).or_default().extend(trial.exchanges.iter().map(String::as_str));
    }
    let mut length = |row: &str| chains.remove(row).map_or(0, |chain| chain.len());
    let (texts, keys) = (length("probe.channel"), length("probe.strictness"));
    // The plain request comes before the invented keys, which do not wait for each other; where they are refused, two more
    // come after.
    let own = texts + keys.min(if keys > 3 { 3 } else { 2 });
    let longest = own + chains.values().map(BTreeSet::len).max().unwrap_or(0);
    let others = recording.exchanges.len() - texts - keys;
    longest.max(own + others.div_ceil(at_once)) as f64
}

/// Runs a recording's requests again, so many at once, at a tick an answer; the new recording, the ticks it took and the
/// most that were under way.
fn again(recording: &Recording, rows: &[&CatalogRow], at_once: usize, budget: Budget) -> (Recording, f64, usize) {
    let clock = Clock::default();
    let slow =
        Slow { clock: &clock, answers: ReplayEndpoint::new(&recording.exchanges), under_way: 0.into(), most: 0.into() };
    let header = recording.header.clone();
    let settings = header.settings.clone();
    let options =
        RunOptions { settings, seed: header.seed, confidence: header.confidence, concurrency: at_once, budget };
    let made = clock.run(run_in_memory(&slow, rows, &options, header));
    assert_eq!(slow.answers.unrecorded_requests(), [], "it asks what was asked");
    let most = slow.most.load(Ordering::Relaxed);
    (made, clock.now() as f64, most)
}

/// What was sent, whatever the order.
fn sent(recording: &Recording) -> BTreeSet<&str> {
    recording.exchanges.iter().map(|exchange| exchange.id.as_str()).collect()
}

/// What was tried, whatever the order.
fn tried(recording: &Recording) -> BTreeSet<&TrialKey> {
    recording.trials.iter().map(|trial| &trial.key).collect()
}

/// A run of a target's simulation, one request after the other.
fn recorded(name: &str) -> Recording {
    let setup = Setup { concurrency: 1, ..Setup::of(target(name), &[]) };
    tokio::runtime::Runtime::new().unwrap().block_on(record_run(setup))
}

#[test]
fn a_run_waits_no_longer_than_it_must_and_sends_the_same_at_any_number_of_requests_at_once() {
    let mut table = Vec::new();
    for name in TARGETS {
        let (first, rows) = (recorded(name), rows_of(target(name)));
        let verdicts = judge(&CATALOG, &first).unwrap().rows;
        for at_once in [1, 2, 4, 8, 16, 32, 256] {
            let (made, took, most) = again(&first, &rows, at_once, Budget::default());
            let least = bound(&made, at_once);
            table.push((took / least, format!("{name}, {at_once} at once: {took} ticks, at least {least}")));
            assert!(most <= at_once, "{name}: {most} under way, {at_once} allowed");
            assert_eq!(sent(&made), sent(&first), "{name}, {at_once} at once");
            assert_eq!(tried(&made), tried(&first), "{name}, {at_once} at once");
            assert_eq!(judge(&CATALOG, &made).unwrap().rows, verdicts, "{name}, {at_once} at once");
        }
    }
    let told: Vec<&String> = table.iter().map(|(_, told)| told).collect();
    assert!(table.iter().all(|(ratio, _)| *ratio <= GOAL && *ratio >= 1.0), "{told:#?}");
}

#[test]
fn where_only_so_much_may_be_sent_rows_are_asked_in_order_and_end_before_others_begin() {
    let (first, rows) = (recorded("deepseek"), rows_of(target("deepseek")));
    let budget = Budget::new(BudgetLimits { requests: Some(60), ..BudgetLimits::default() });
    let (made, ..) = again(&first, &rows, 4, budget);
    assert_eq!(made.exchanges.len(), 60);
    let asked: BTreeSet<&str> = made.exchanges.iter().filter_map(|e| e.id.split('/').next()).collect();
    let last = rows.iter().rposition(|row| asked.contains(row.experiment.id())).unwrap();
    assert!(last < rows.len() / 2, "the rows that were asked are the first ones: {asked:?}");
    let decided = judge(&CATALOG, &made).unwrap().rows.iter().filter(|row| row.verdict.status.is_decided()).count();
    assert!(decided + 8 >= last, "{decided} of the first {last} rows are decided");
}

/// A simulation in a process of its own, which says at its end how many requests came.
struct Simulation {
    child: Child,
    base_url: String,
    key: String,
}

impl Simulation {
    fn start(folder: &Folder) -> Self {
        let mut child = folder.command(["simulate", "deepseek", "--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        child.stdout = Some(stdout.into_inner());
        let after =
            |mark: &str| line.split(mark).nth(1).unwrap().split([':', ',', ' ', '\n']).next().unwrap().to_owned();
        let address = line.split("on http://").nth(1).unwrap().split(": ").next().unwrap();
        Self { child, base_url: format!("http://{address}"), key: after("x-api-key ") }
    }

    fn ended(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let mut told = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
        assert!(self.child.wait().unwrap().success());
        told
    }
}

#[test]
fn the_binary_sends_as_many_requests_at_32_at_once_as_one_after_the_other() {
    let folder = Folder::new();
    let mut seen = Vec::new();
    for at_once in ["1", "32"] {
        let simulation = Simulation::start(&folder);
        let mut command = folder.command([
            "run",
            "--base-url",
            &simulation.base_url,
            "--model",
            "deepseek-chat",
            "--claims",
            "deepseek",
            "--name",
            "d",
            "--api-key-env",
            "KEY",
            "--seed",
            "3",
            "--concurrency",
            at_once,
            "--out",
            at_once,
            "--no-progress",
        ]);
        command.env("KEY", &simulation.key);
        Running::start(command).ended().exits(0);
        let results = folder.results(at_once);
        let requests = results["totals"]["requests"].as_u64().unwrap() + results["totals"]["retries"].as_u64().unwrap();
        assert_eq!(simulation.ended(), format!("{requests} requests received\n"));
        let verdicts: Vec<_> =
            results["rows"].as_array().unwrap().iter().map(|r| r["verdict"]["status"].clone()).collect();
        seen.push((requests, verdicts));
    }
    assert_eq!(seen[0], seen[1]);
}
