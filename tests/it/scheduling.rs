//! Compares the duration of runs with the minimum that any schedule needs.
//!
//! Time is virtual: each response takes one tick, and the clock advances only when no other work is
//! left. A busy machine therefore does not change the measurement.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clock::VirtualClock;
use common::{CATALOG, SimulationSetup, TARGETS, bundled_target, record_simulation, testable_rows};
use fieldtest::catalog::CatalogRow;
use fieldtest::client::{Budget, BudgetLimits, BudgetReservation, MessagesEndpoint, ReplayEndpoint};
use fieldtest::engine::{RunOptions, judge, run_in_memory};
use fieldtest::recording::run::{LIVENESS_ID_PREFIX, Recording, TrialKey};
use fieldtest::wire::exchange::{Exchange, Request};
use harness::{Folder, RunningCommand};

use crate::common;
use crate::common::{binary as harness, clock};

/// The maximum duration of a run, as a multiple of the minimum.
const MAX_RATIO: f64 = 1.1;

/// The maximum number of rounds of an eager run without a limit of requests in flight.
const MAX_EAGER_ROUNDS: f64 = 10.0;

/// The maximum share of requests that an eager run sends without need.
const MAX_EARLY_SHARE: f64 = 0.05;

/// The maximum number of requests that a run sends because of the order of parallel responses.
const MAX_EXTRA_REQUESTS: u64 = 10;

/// An endpoint that needs one tick for each response.
struct OneTickEndpoint<'a> {
    clock: &'a VirtualClock,
    responses: ReplayEndpoint<'a>,
    in_flight: AtomicUsize,
    max_in_flight: AtomicUsize,
}

impl MessagesEndpoint for OneTickEndpoint<'_> {
    async fn send_within_budget(&self, id: &str, request: Request, _: Option<&mut BudgetReservation<'_>>) -> Exchange {
        let current = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.max_in_flight.fetch_max(current, Ordering::Relaxed);
        self.clock.sleep(1).await;
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.responses.send(id, request).await
    }

    fn is_live(&self) -> bool {
        self.responses.is_live()
    }

    async fn wait(&self, _: Duration) {
        self.clock.sleep(1).await;
    }
}

/// Returns the minimum duration in ticks: the probes, and then the longer of two times. One is the
/// longest chain of a row, since a row reads each response before it sends the next request. The
/// other is the number of all other requests, divided by the concurrency.
fn minimum_ticks(recording: &Recording, concurrency: usize) -> f64 {
    let mut chains: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for trial in &recording.trials {
        chains.entry(&trial.key.row).or_default().extend(trial.exchanges.iter().map(String::as_str));
    }
    let mut length = |row: &str| chains.remove(row).map_or(0, |chain| chain.len());
    let (channel_requests, strictness_requests) = (length("probe.channel"), length("probe.strictness"));
    // The plain request and the requests with unknown keys run in parallel. If the endpoint rejects
    // the keys, two more requests follow.
    let probe_ticks = channel_requests + if strictness_requests > 3 { 2 } else { 1 };
    let longest_chain = probe_ticks + chains.values().map(BTreeSet::len).max().unwrap_or(0);
    let others = recording.exchanges.len() - channel_requests - strictness_requests;
    longest_chain.max(probe_ticks + others.div_ceil(concurrency)) as f64
}

/// A run in virtual time.
struct TimedRun {
    recording: Recording,
    /// Its duration.
    ticks: f64,
    max_in_flight: usize,
    /// The ids of the requests that the first run did not need. They get no response.
    unneeded: Vec<String>,
}

/// Runs the rows of a recording again with its responses.
fn run_with_virtual_time(
    recording: &Recording,
    rows: &[&CatalogRow],
    concurrency: usize,
    budget: Budget,
    eager: bool,
) -> TimedRun {
    let clock = VirtualClock::default();
    let endpoint = OneTickEndpoint {
        clock: &clock,
        responses: ReplayEndpoint::new(&recording.exchanges),
        in_flight: 0.into(),
        max_in_flight: 0.into(),
    };
    let header = recording.header.clone();
    let settings = header.settings.clone();
    let options = RunOptions { settings, seed: header.seed, confidence: header.confidence, concurrency, budget, eager };
    let replayed = clock.run(run_in_memory(&endpoint, rows, &options, header));
    let mut unrecorded = endpoint.responses.unrecorded_requests();
    // The number of liveness requests depends on the order of parallel responses.
    unrecorded.retain(|request| !request.id.starts_with(LIVENESS_ID_PREFIX));
    assert!(unrecorded.iter().all(|request| !request.has_other_request), "{unrecorded:?}");
    TimedRun {
        recording: replayed,
        ticks: clock.now() as f64,
        max_in_flight: endpoint.max_in_flight.load(Ordering::Relaxed),
        unneeded: unrecorded.into_iter().map(|request| request.id).collect(),
    }
}

/// The ids of all exchanges, without their order.
fn exchange_ids(recording: &Recording) -> BTreeSet<&str> {
    let ids = recording.exchanges.iter().map(|exchange| exchange.id.as_str());
    ids.filter(|id| !id.starts_with(LIVENESS_ID_PREFIX)).collect()
}

/// The keys of all trials, without their order.
fn trial_keys(recording: &Recording) -> BTreeSet<&TrialKey> {
    recording.trials.iter().map(|trial| &trial.key).collect()
}

/// Records a simulated run of a target with one request at a time.
fn record_sequentially(name: &str) -> Recording {
    let setup = SimulationSetup { concurrency: 1, ..SimulationSetup::new(bundled_target(name), &[]) };
    tokio::runtime::Runtime::new().unwrap().block_on(record_simulation(setup))
}

#[test]
fn a_run_is_near_the_minimum_duration_and_sends_the_same_requests_at_any_concurrency() {
    let mut table = Vec::new();
    for name in TARGETS {
        let (first, rows) = (record_sequentially(name), testable_rows(bundled_target(name)));
        let verdicts = judge(&CATALOG, &first).unwrap().rows;
        for concurrency in [1, 2, 4, 8, 16, 32, 256] {
            let TimedRun { recording: replayed, ticks, max_in_flight, unneeded } =
                run_with_virtual_time(&first, &rows, concurrency, Budget::default(), false);
            assert_eq!(unneeded, [""; 0], "{name}, concurrency {concurrency}");
            let minimum = minimum_ticks(&replayed, concurrency);
            table.push((
                ticks / minimum,
                format!("{name}, concurrency {concurrency}: {ticks} ticks, at least {minimum}"),
            ));
            assert!(max_in_flight <= concurrency, "{name}: {max_in_flight} in flight, {concurrency} allowed");
            assert_eq!(exchange_ids(&replayed), exchange_ids(&first), "{name}, concurrency {concurrency}");
            assert_eq!(trial_keys(&replayed), trial_keys(&first), "{name}, concurrency {concurrency}");
            assert_eq!(judge(&CATALOG, &replayed).unwrap().rows, verdicts, "{name}, concurrency {concurrency}");
        }
    }
    let lines: Vec<&String> = table.iter().map(|(_, line)| line).collect();
    assert!(table.iter().all(|(ratio, _)| *ratio <= MAX_RATIO && *ratio >= 1.0), "{lines:#?}");
}

#[test]
fn an_eager_run_needs_few_rounds_and_few_more_requests() {
    for name in TARGETS {
        let (first, rows) = (record_sequentially(name), testable_rows(bundled_target(name)));
        let verdicts = judge(&CATALOG, &first).unwrap().rows;
        for concurrency in [1, 8, 32, 256] {
            let run = run_with_virtual_time(&first, &rows, concurrency, Budget::default(), true);
            let what = format!("{name}, concurrency {concurrency}: {} ticks, unneeded: {:?}", run.ticks, run.unneeded);
            println!("{what}");
            assert!(run.max_in_flight <= concurrency, "{what}: {} in flight", run.max_in_flight);
            assert_eq!(trial_keys(&run.recording), trial_keys(&first), "{what}");
            assert_eq!(judge(&CATALOG, &run.recording).unwrap().rows, verdicts, "{what}");
            assert!(run.unneeded.len() as f64 <= first.exchanges.len() as f64 * MAX_EARLY_SHARE, "{what}");
            assert!(concurrency > 1 || run.unneeded.is_empty(), "{what}");
            assert!(concurrency < 256 || run.ticks <= MAX_EAGER_ROUNDS, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eager_run_reaches_the_same_verdicts() {
    for (name, disobedience) in TARGETS.into_iter().zip([0.0, 0.1, 0.2]) {
        for seed in 1..=3 {
            let mut verdicts = Vec::new();
            for eager in [false, true] {
                let mut setup =
                    SimulationSetup { seed, eager, concurrency: 32, ..SimulationSetup::new(bundled_target(name), &[]) };
                (setup.behaviour.seed, setup.behaviour.impairments.disobedience) = (seed, disobedience);
                let recording = record_simulation(setup).await;
                let mut rows = judge(&CATALOG, &recording).unwrap().rows;
                // Its verdict depends on real time.
                rows.retain(|row| row.id != "stream.gradual");
                verdicts.push(rows.into_iter().map(|row| (row.id, row.verdict)).collect::<Vec<_>>());
            }
            assert_eq!(verdicts[0], verdicts[1], "{name}, disobedience {disobedience}, seed {seed}");
        }
    }
}

#[test]
fn with_a_small_budget_a_run_finishes_rows_in_order() {
    let (first, rows) = (record_sequentially("deepseek@2025-12"), testable_rows(bundled_target("deepseek@2025-12")));
    let budget = Budget::new(BudgetLimits { requests: Some(60), ..BudgetLimits::default() });
    // With a limited budget, no request is sent early.
    let TimedRun { recording: replayed, unneeded, .. } = run_with_virtual_time(&first, &rows, 4, budget, true);
    assert_eq!(unneeded, [""; 0]);
    assert_eq!(replayed.exchanges.len(), 60);
    let started_rows: BTreeSet<&str> = replayed.exchanges.iter().filter_map(|e| e.id.split('/').next()).collect();
    let last = rows.iter().rposition(|row| started_rows.contains(row.experiment.id())).unwrap();
    assert!(last < rows.len() / 2, "only the first rows are started: {started_rows:?}");
    let decided = judge(&CATALOG, &replayed).unwrap().rows.iter().filter(|row| row.verdict.status.is_decided()).count();
    assert!(decided + 8 >= last, "{decided} of the first {last} rows are decided");
}

/// A simulator in its own process. It prints the number of requests when it ends.
struct SimulatorProcess {
    child: Child,
    base_url: String,
    key: String,
}

impl SimulatorProcess {
    fn start(folder: &Folder) -> Self {
        let mut child =
            folder.command(["simulate", "deepseek@2025-12", "--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        child.stdout = Some(stdout.into_inner());
        let after =
            |mark: &str| line.split(mark).nth(1).unwrap().split([':', ',', ' ', '\n']).next().unwrap().to_owned();
        let address = line.split("on http://").nth(1).unwrap().split(": ").next().unwrap();
        Self { child, base_url: format!("http://{address}"), key: after("x-api-key ") }
    }

    /// Stops the simulator and returns its remaining output.
    fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        assert!(self.child.wait().unwrap().success());
        output
    }
}

#[test]
fn the_binary_reaches_the_same_verdicts_at_concurrency_1_and_32() {
    let folder = Folder::new();
    let mut seen = Vec::new();
    for concurrency in ["1", "32"] {
        let simulator = SimulatorProcess::start(&folder);
        let mut command = folder.command([
            "run",
            "--base-url",
            &simulator.base_url,
            "--model",
            "deepseek-chat",
            "--claims",
            "deepseek@2025-12",
            "--name",
            "d",
            "--api-key-env",
            "KEY",
            "--seed",
            "3",
            "--concurrency",
            concurrency,
            "--out",
            concurrency,
            "--no-progress",
        ]);
        command.env("KEY", &simulator.key);
        RunningCommand::start(command).wait_for_end().assert_exit_code(0);
        let results = folder.results(concurrency);
        let requests = results["totals"]["requests"].as_u64().unwrap() + results["totals"]["retries"].as_u64().unwrap();
        assert_eq!(simulator.stop(), format!("{requests} requests received\n"));
        let verdicts: Vec<_> =
            results["rows"].as_array().unwrap().iter().map(|r| r["verdict"]["status"].clone()).collect();
        seen.push((requests, verdicts));
    }
    let [(first, verdicts), (second, other_verdicts)] = seen.try_into().unwrap();
    assert_eq!(verdicts, other_verdicts);
    // Rejections that arrive together can look like trouble of the endpoint. Then a liveness request
    // is sent, and the rejected requests are sent again.
    assert!(first.abs_diff(second) <= MAX_EXTRA_REQUESTS, "{first} and {second} requests");
}
