//! Interrupted runs: the files that they leave, and how they are resumed. With the real binary,
//! killed at random moments. Simulations start over.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use binary::{FinishedRun, Folder, RunningCommand};
use fieldtest::engine::unconfirmed::find_unconfirmed_errors;
use fieldtest::recording::reader;
use fieldtest::recording::run::{LIVENESS_ID_PREFIX, Recording};
use fieldtest::wire::exchange::{AttemptResult, Exchange};
use fieldtest::wire::message::InterpretedExchange;
use fieldtest::wire::parsed_exchange::parse_exchange;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use server::{FaithfulServer, ReceivedRequest, TestServer};

use crate::common::{binary, server};

const KEY: &str = "fieldtest-simulator";
const RECORDING: &str = "out/recording-it.jsonl";
const RESULTS: &str = "results-it.json";
/// Rows with all kinds of trials: screens, conversations, samples, repeats, blocks of real
/// responses. No row depends on times.
const ROW_IDS: [&str; 5] = ["field.*", "tools.*", "error.*", "turns.*", "content.thinking*"];

/// Starts an endpoint that returns equal responses to equal requests, so that two runs are equal
/// byte for byte.
fn deterministic_server(pause: Duration) -> TestServer {
    let faithful = FaithfulServer::start();
    let cache = ResponseCache::default();
    TestServer::start(move |request, stream| {
        thread::sleep(pause);
        stream.write_all(&cache.respond(&faithful, request)?)
    })
}

/// The response to each request.
#[derive(Default)]
struct ResponseCache(Mutex<HashMap<String, Vec<u8>>>);

impl ResponseCache {
    fn respond(&self, faithful: &FaithfulServer, received: &ReceivedRequest) -> std::io::Result<Vec<u8>> {
        let mut responses = self.0.lock().unwrap();
        let request = format!("{}{}", received.head, received.body);
        if !responses.contains_key(&request) {
            responses.insert(request.clone(), faithful.respond(received)?);
        }
        Ok(responses[&request].clone())
    }
}

/// Returns the command `fieldtest run` for a server and an output folder, with more arguments.
fn command(folder: &Folder, url: &str, out: &str, more: &[&str]) -> Command {
    let target = [
        "run",
        "--base-url",
        url,
        "--model",
        "m",
        "--name",
        "it",
        "--api-key-env",
        "KEY",
        "--claims",
        "deepseek@2025-12",
    ];
    let rows = ROW_IDS.iter().flat_map(|glob| ["--select", glob]);
    let rest = ["--out", out, "--seed", "7", "--retries", "0", "--no-progress"];
    let mut command = folder.command(target.into_iter().chain(rows).chain(rest).chain(more.iter().copied()));
    command.env("KEY", KEY);
    command
}

fn run(folder: &Folder, url: &str, out: &str, more: &[&str]) -> FinishedRun {
    RunningCommand::start(command(folder, url, out, more)).wait_for_end()
}

/// Resumes the run in `out`.
fn resume(folder: &Folder, url: &str, more: &[&str]) -> FinishedRun {
    run(folder, url, "out", &[&["--resume", RECORDING], more].concat())
}

fn read_recording(path: &Path) -> Recording {
    reader::read_recording(BufReader::new(fs::File::open(path).unwrap()))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// True if the exchange tests whether the endpoint still answers a plain request.
fn is_liveness_test(exchange: &Exchange) -> bool {
    exchange.id.starts_with(LIVENESS_ID_PREFIX)
}

/// Removes the liveness tests from the totals. Their number depends on the order in which the
/// responses of parallel requests come.
fn subtract_liveness_tests(results: &mut Value, recording: &Recording) {
    let mut cost = [0, 0, 0];
    for exchange in recording.exchanges.iter().filter(|e| is_liveness_test(e)) {
        cost[0] += exchange.sent_count();
        if let InterpretedExchange::Message(message) = parse_exchange(exchange).interpretation {
            cost[1] += message.input_tokens().unwrap();
            cost[2] += message.output_tokens().unwrap();
        }
    }
    for (key, amount) in ["requests", "input_tokens", "output_tokens"].into_iter().zip(cost) {
        let total = &mut results["totals"][key];
        *total = (total.as_u64().unwrap() - amount).into();
    }
    // The averages follow from the totals.
    results["per_verdict"] = Value::Null;
}

/// Reads results without that which differs between runs: times, retries, liveness tests, and the
/// estimate, which depends on the concurrency and the budget.
fn read_comparable(folder: &Folder, file: &str) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                let differing = ["started_at", "finished_at", "wall_ms", "retries", "planned"];
                map.retain(|key, _| !differing.contains(&key.as_str()));
                map.values_mut().for_each(strip);
            }
            Value::Array(all) => all.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(&folder.read(file)).unwrap();
    strip(&mut value);
    let recording = file.replacen("results-", "recording-", 1).replacen(".json", ".jsonl", 1);
    subtract_liveness_tests(&mut value, &read_recording(&folder.path().join(recording)));
    value
}

#[track_caller]
fn assert_same_results(folder: &Folder, complete: &str, resumed: &str, context: &str) {
    let (complete, resumed) = (read_comparable(folder, complete), read_comparable(folder, resumed));
    for (a, b) in complete["rows"].as_array().unwrap().iter().zip(resumed["rows"].as_array().unwrap()) {
        assert!(a == b, "{context}: {}\n{a:#}\n{b:#}", a["id"]);
    }
    assert!(complete == resumed, "{context}:\n{complete:#}\n{resumed:#}");
}

/// Counts how often each request was received.
fn count_received(requests: &[ReceivedRequest]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        let line = request.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
        *counts.entry(format!("{line} {}", request.body)).or_default() += 1;
    }
    counts
}

/// Counts how often each request of a recording was sent.
fn count_recorded(recording: &Recording) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for exchange in &recording.exchanges {
        let request = &exchange.request;
        let body = match (&request.raw, request.body.is_null()) {
            (Some(raw), _) => raw.clone(),
            (None, true) => String::new(),
            (None, false) => request.body.to_string(),
        };
        let sent = usize::try_from(exchange.sent_count()).unwrap();
        *counts.entry(format!("{} {} {body}", request.method.as_str(), request.path)).or_default() += sent;
    }
    counts
}

fn add_counts(mut one: BTreeMap<String, usize>, other: BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    other.into_iter().for_each(|(request, n)| *one.entry(request).or_default() += n);
    one
}

/// Asserts that no answered request was sent again: its exchange did not change. Errors that may be
/// trouble, because no request was answered after them, are no answers.
fn assert_answered_are_kept(before: &Recording, after: &Recording, context: &str) {
    let is_answered = |e: &&Exchange| matches!(&e.last_attempt().unwrap().result, AttemptResult::Response(r) if r.status < 500 && r.cut.is_none());
    let unconfirmed = find_unconfirmed_errors(before, before.exchanges.iter().map(parse_exchange));
    let is_confirmed = |e: &&Exchange| !unconfirmed.contains(e.id.as_str());
    for answered in before.exchanges.iter().filter(is_answered).filter(is_confirmed) {
        let kept = after.exchanges.iter().find(|e| e.id == answered.id);
        assert_eq!(kept, Some(answered), "{context}: sent again");
    }
}

/// Asserts that the recording contains each trial and each exchange only one time.
fn assert_no_duplicates(recording: &Recording, context: &str) {
    let mut ids: Vec<&str> = recording.exchanges.iter().map(|e| e.id.as_str()).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "{context}: a duplicate exchange");
    let mut keys: Vec<_> = recording.trials.iter().map(|t| t.key.clone()).collect();
    keys.sort();
    let all = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), all, "{context}: a duplicate trial");
}

mod killed_runs {
    use super::*;

    /// The seed of the random moments. `FIELDTEST_SEED` sets another one.
    fn seed() -> u64 {
        std::env::var("FIELDTEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
    }

    /// Kills a run after this number of further requests and this delay.
    fn kill_after(mut running: RunningCommand, server: &TestServer, requests: usize, delay: Duration) {
        let until = server.received_requests().len() + requests;
        while !running.has_ended() && server.received_requests().len() < until {
            thread::sleep(Duration::from_micros(200));
        }
        thread::sleep(delay);
        running.kill();
    }

    #[test]
    fn a_run_killed_at_any_moment_resumes_with_the_same_results() {
        let seed = seed();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let server = deterministic_server(Duration::from_millis(3));
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &["--concurrency", "8"]).assert_exit_code(1);
        let requests = server.received_requests().len();
        assert!(requests > 100, "{requests} requests are too few for random interruptions");
        let (mut interrupted, mut interrupted_twice) = (0, 0);
        for n in 0..25 {
            let mut moment = |max_requests: usize| (random.random_range(0..max_requests), random.random_range(0..4000));
            let first = moment(requests);
            let second = (n % 3 == 0).then(|| moment(requests));
            let concurrency = ["1", "4", "8"][n % 3];
            let context =
                format!("seed {seed}, kill {n}, after {first:?}, then after {second:?}, {concurrency} at once");
            let _ = fs::remove_dir_all(folder.path().join("out"));
            let more = ["--concurrency", concurrency];
            let running = RunningCommand::start(command(&folder, &url, "out", &more));
            kill_after(running, &server, first.0, Duration::from_micros(first.1));
            let path = folder.path().join(RECORDING);
            if !fs::read_to_string(&path).is_ok_and(|text| text.contains('\n')) {
                // The run finished before the first recorded line.
                continue;
            }
            interrupted += 1;
            if let Some(second) = second {
                let resumed = command(&folder, &url, "out", &[&more[..], &["--resume", RECORDING]].concat());
                kill_after(RunningCommand::start(resumed), &server, second.0, Duration::from_micros(second.1));
                interrupted_twice += 1;
            }
            let before = read_recording(&path);
            let received_before = server.received_requests().len();
            if n % 5 == 0 {
                // The interrupted recording can be judged before the run resumes.
                let judged = folder.run(["judge", RECORDING, "--out", "judged"]);
                assert!([Some(0), Some(1), Some(3)].contains(&judged.code), "{context}: {}", judged.stderr);
            }
            let finished = resume(&folder, &url, &more);
            assert_eq!(finished.code, Some(1), "{context}:\n{}", finished.stderr);
            let after = read_recording(&path);
            assert_no_duplicates(&after, &context);
            assert_answered_are_kept(&before, &after, &context);
            // The recording holds exactly the new requests and the answered requests: none was
            // repeated.
            let requests_after_resume = server.received_requests();
            assert_eq!(
                add_counts(count_received(&requests_after_resume[received_before..]), count_recorded(&before)),
                count_recorded(&after),
                "{context}"
            );
            assert_same_results(&folder, &format!("whole/{RESULTS}"), &format!("out/{RESULTS}"), &context);
            if n % 5 == 0 {
                folder.run(["judge", RECORDING, "--out", "judged"]).assert_exit_code(1);
                let [judged, run] = ["judged", "out"].map(|out| folder.read(&format!("{out}/{RESULTS}")));
                assert_eq!(judged, run, "{context}: judging gives other results");
            }
        }
        assert!(
            interrupted >= 15 && interrupted_twice >= 5,
            "only {interrupted} runs were interrupted, {interrupted_twice} of them two times"
        );
        folder.run(["run", "--replay", "out", "--out", "again"]).assert_exit_code(1);
        assert_eq!(
            folder.read(&format!("again/{RESULTS}")),
            folder.read(&format!("out/{RESULTS}")),
            "the replay gives other results"
        );
    }

    /// The trouble ends while nothing runs. Its errors are no responses to the fields.
    #[test]
    fn a_run_killed_in_a_stretch_of_trouble_asks_again() {
        for error in ["You exceeded your current quota", "this is not possible"] {
            let has_trouble = Arc::new(AtomicBool::new(false));
            let (faithful, cache, in_trouble) =
                (FaithfulServer::start(), ResponseCache::default(), has_trouble.clone());
            let body = format!(
                "{{\"type\":\"error\",\"error\":{{\"type\":\"invalid_request_error\",\"message\":\"{error}\"}}}}"
            );
            let server = TestServer::start(move |request, stream| match in_trouble.load(Ordering::SeqCst) {
                true => server::write_response(stream, "400 Bad Request", "application/json", &body),
                false => stream.write_all(&cache.respond(&faithful, request)?),
            });
            let (folder, url) = (Folder::new(), server.url());
            run(&folder, &url, "whole", &[]).assert_exit_code(1);
            let until = server.received_requests().len() + 40;
            let mut running = RunningCommand::start(command(&folder, &url, "out", &[]));
            running.wait_until(|| server.received_requests().len() > until);
            has_trouble.store(true, Ordering::SeqCst);
            let recorded = || folder.read(RECORDING).matches(error).count();
            // The responses with the error and the first plain request.
            running.wait_until(|| recorded() > 4);
            running.kill();
            has_trouble.store(false, Ordering::SeqCst);
            let whole = folder.results("whole");
            let compare = |out: &str, may_be_unfinished: bool| {
                let results = folder.results(out);
                for (a, b) in whole["rows"].as_array().unwrap().iter().zip(results["rows"].as_array().unwrap()) {
                    let is_unfinished = b["verdict"]["code"] == "not-finished";
                    assert!(
                        a["verdict"] == b["verdict"] || (may_be_unfinished && is_unfinished),
                        "{out}, {error}: {}: {}",
                        a["id"],
                        b["verdict"]
                    );
                }
            };
            folder.run(["judge", RECORDING, "--out", "judged"]).assert_stderr_contains(&["no footer"]);
            compare("judged", true);
            // The first rows with this error took it as their response.
            let is_doubted = folder.read(&format!("judged/{RESULTS}")).contains("may be trouble of the endpoint");
            assert!(is_doubted || error.contains("quota"), "{error}");
            folder.run(["run", "--replay", "out", "--out", "replayed"]);
            compare("replayed", true);
            resume(&folder, &url, &[]).assert_exit_code(1);
            compare("out", false);
        }
    }
}

mod simulations {
    use super::*;

    const SIMULATED_RECORDING: &str = "out/recording-deepseek-2025-12.jsonl";

    /// Rows with all kinds of state in the server: prompt caches, random responses, repeated requests.
    const ROWS: [&str; 9] = [
        "--select",
        "field.t*",
        "--select",
        "tools.*",
        "--select",
        "content.text*",
        "--select",
        "cache_control.*",
        "--no-progress",
    ];

    /// The results of a simulation that starts over equal those of an uninterrupted run, with their
    /// totals. Its recording has the requests of one run only.
    #[test]
    fn an_interrupted_simulation_starts_over() {
        let folder = Folder::new();
        let simulator_options = "disobedience: 0.2\ninject_529: 0.05\ninject_reset: 0.05\n";
        let options =
            [&folder.write_simulator_file(simulator_options)[..], &["--flip", "field.top_k=supported"]].concat();
        let complete = ["run", "deepseek@2025-12", "--simulate", "--out", "whole"];
        folder.run(complete.iter().chain(&ROWS).chain(&options)).assert_exit_code(0);
        let text = folder.read("whole/recording-deepseek-2025-12.jsonl");
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let half = lines.len() / 2;
        let points = [1, 2, lines.len() / 4, half, lines.len() - 2, lines.len() - 1];
        let truncated = points.map(|count| lines[..count].concat());
        let in_a_line = format!("{}{}", truncated[3], &lines[half][..lines[half].len() / 2]);
        for (n, interrupted) in truncated.into_iter().chain([in_a_line]).enumerate() {
            let context = format!("interruption {n}");
            folder.write(SIMULATED_RECORDING, interrupted);
            // The recording names the target. The simulator options have to be given again.
            folder
                .run(["run", "--resume", "out", "--out", "out"].iter().chain(&options))
                .assert_exit_code(0)
                .assert_stderr_contains(&["a simulation cannot be resumed", "starts over"]);
            assert_no_duplicates(&read_recording(&folder.path().join(SIMULATED_RECORDING)), &context);
            assert_same_results(
                &folder,
                "whole/results-deepseek-2025-12.json",
                "out/results-deepseek-2025-12.json",
                &context,
            );
        }
        folder
            .run(["run", "--resume", "out", "--out", "out"].iter().chain(&options))
            .assert_exit_code(0)
            .assert_stderr_contains(&["is complete; no requests sent"]);
    }

    #[test]
    fn a_killed_simulation_starts_over_with_the_same_options() {
        let folder = Folder::new();
        let complete = ["run", "deepseek@2025-12", "--simulate", "--seed", "5", "--out", "whole"];
        folder.run(complete.iter().chain(&ROWS)).assert_exit_code(0);
        // The responses are so slow that the run cannot end by itself.
        folder.write("slow.yaml", "latency_ms: 600000\n");
        folder.write("fast.yaml", "latency_ms: 0\n");
        let slow = ["run", "deepseek@2025-12", "--simulate", "--seed", "5", "--out", "out", "--simulator", "slow.yaml"];
        let mut running = RunningCommand::start(folder.command(slow.iter().chain(&ROWS)));
        let has_header = || fs::read_to_string(folder.path().join(SIMULATED_RECORDING)).is_ok_and(|t| t.contains('\n'));
        running.wait_until(has_header);
        running.kill();
        let resume = |more: &[&str]| folder.run([&["run", "--resume", "out", "--out", "out"], more].concat());
        // The budget of the command counts only the requests of the new run.
        resume(&["--max-requests", "20", "--simulator", "fast.yaml"]).assert_exit_code(3).assert_stderr_contains(&[
            "starts over",
            "the budget was used up",
            "to start over, run",
        ]);
        resume(&["--max-requests", "1000"]).assert_exit_code(0).assert_stderr_contains(&["starts over"]);
        assert_same_results(
            &folder,
            "whole/results-deepseek-2025-12.json",
            "out/results-deepseek-2025-12.json",
            "killed",
        );
        folder.write(SIMULATED_RECORDING, folder.read(SIMULATED_RECORDING).lines().next().unwrap().to_owned() + "\n");
        resume(&["--flip", "field.system=ignored"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["simulator options differ from the recorded run"]);
    }
}

mod stopped_runs {
    use super::*;

    #[test]
    fn a_run_stopped_by_signals_and_budgets_can_be_resumed_repeatedly() {
        let server = deterministic_server(Duration::from_millis(3));
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &[]).assert_exit_code(1);
        let needed = server.received_requests().len();
        let received_count = || server.received_requests().len() - needed;
        run(&folder, &url, "out", &["--max-requests", "20"]).assert_stderr_contains(&["the budget was used up"]);
        assert_eq!(received_count(), 20);
        // The recorded requests count against the budget. All but the liveness tests have an answer,
        // which is void or not confirmed if the budget ended before its liveness test.
        let recording = read_recording(&folder.path().join(RECORDING));
        let unconfirmed = find_unconfirmed_errors(&recording, recording.exchanges.iter().map(parse_exchange));
        let is_answered = |e: &&Exchange| !is_liveness_test(e) && !e.is_void() && !unconfirmed.contains(e.id.as_str());
        let answered = recording.exchanges.iter().filter(is_answered).count();
        assert!(answered >= 18, "{answered}");
        resume(&folder, &url, &["--max-requests", "20"]).assert_stderr_contains(&[
            &format!("{answered} answered requests are not sent again"),
            "the budget was used up",
        ]);
        assert_eq!(received_count(), 20);
        resume(&folder, &url, &["--max-requests", "45"]).assert_stderr_contains(&["the budget was used up"]);
        assert_eq!(received_count(), 45);
        assert_eq!(count_recorded(&read_recording(&folder.path().join(RECORDING))).values().sum::<usize>(), 45);
        for signal in ["INT", "TERM"] {
            let received_before = received_count();
            let mut running = RunningCommand::start(command(&folder, &url, "out", &["--resume", RECORDING]));
            running.wait_until(|| received_count() > received_before + 10);
            running.send_signal(signal);
            running.wait_for_end().assert_stderr_contains(&["stopping", "interrupted"]);
            assert_eq!(folder.results("out")["partial"], "the run was interrupted", "{signal}");
        }
        resume(&folder, &url, &[]).assert_exit_code(1);
        assert_same_results(&folder, &format!("whole/{RESULTS}"), &format!("out/{RESULTS}"), "after six interruptions");
        // Only the open requests at the two signals were sent again.
        assert!(received_count() <= needed + 2 * 4, "{} requests instead of {needed}", received_count());
        let text = folder.read(RECORDING);
        let count = |kind: &str| text.lines().filter(|line| line.starts_with(&format!("{{\"{kind}\""))).count();
        assert_eq!((count("header"), count("footer"), count("resumed")), (1, 6, 5));
    }

    #[test]
    fn a_run_stopped_by_the_endpoint_repeats_only_unanswered_requests() {
        let is_down = Arc::new(AtomicBool::new(false));
        let (faithful, cache, server_is_down) = (FaithfulServer::start(), ResponseCache::default(), is_down.clone());
        let server = TestServer::start(move |request, stream| {
            match (server_is_down.load(Ordering::SeqCst), request.number % 2) {
                (false, _) => stream.write_all(&cache.respond(&faithful, request)?),
                (true, 0) => server::write_response(stream, "503 Service Unavailable", "text/plain", "gone"),
                // The server closes the connection.
                (true, _) => Ok(()),
            }
        });
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &[]).assert_exit_code(1);
        let running = RunningCommand::start(command(&folder, &url, "out", &[]));
        let received_before = server.received_requests().len();
        while server.received_requests().len() < received_before + 40 {
            thread::sleep(Duration::from_micros(200));
        }
        is_down.store(true, Ordering::SeqCst);
        running.wait_for_end().assert_stderr_contains(&["the endpoint stopped responding"]);
        // The endpoint is still down; later it responds again.
        resume(&folder, &url, &[]).assert_stderr_contains(&["the endpoint stopped responding"]);
        is_down.store(false, Ordering::SeqCst);
        let (before, received_before) =
            (read_recording(&folder.path().join(RECORDING)), server.received_requests().len());
        resume(&folder, &url, &[]).assert_exit_code(1);
        let after = read_recording(&folder.path().join(RECORDING));
        assert_no_duplicates(&after, "lost");
        let mut complete = read_comparable(&folder, &format!("whole/{RESULTS}"));
        let mut resumed = read_comparable(&folder, &format!("out/{RESULTS}"));
        assert!(after.exchanges.iter().any(is_liveness_test));
        assert_eq!(complete.get("notes"), None);
        assert!(resumed["notes"].to_string().contains("plain requests failed for a while"), "{}", resumed["notes"]);
        for results in [&mut complete, &mut resumed] {
            // The failed requests cost requests too.
            for key in ["totals", "per_verdict", "findings", "notes"] {
                results[key] = Value::Null;
            }
            for row in results["rows"].as_array_mut().unwrap() {
                row["findings"] = Value::Null;
            }
        }
        assert_eq!(complete, resumed);
        assert_answered_are_kept(&before, &after, "lost");
        let received_now = count_received(&server.received_requests()[received_before..]);
        let (recorded_before, all) = (count_recorded(&before), count_recorded(&after));
        for (request, n) in &received_now {
            let before = recorded_before.get(request).copied().unwrap_or(0);
            assert!(before + n <= all[request], "sent again: {request}");
        }
    }

    #[test]
    fn a_complete_run_is_judged_without_requests() {
        let server = deterministic_server(Duration::ZERO);
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "out", &[]).assert_exit_code(1);
        let (received, text, results) =
            (server.received_requests().len(), folder.read(RECORDING), folder.read(&format!("out/{RESULTS}")));
        resume(&folder, &url, &[]).assert_exit_code(1).assert_stderr_contains(&["is complete; no requests sent"]);
        // No target and no credential are needed.
        folder
            .run(["run", "--resume", "out", "--out", "again"])
            .assert_exit_code(1)
            .assert_stderr_contains(&["is complete; no requests sent"]);
        assert_eq!((server.received_requests().len(), folder.read(RECORDING)), (received, text));
        assert_eq!(folder.read(&format!("again/{RESULTS}")), results);
    }

    #[test]
    fn an_incomplete_last_line_is_removed() {
        let server = deterministic_server(Duration::ZERO);
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &[]).assert_exit_code(1);
        let complete = folder.read("whole/recording-it.jsonl");
        let lines: Vec<&str> = complete.split_inclusive('\n').collect();
        let begin = lines[..60].concat();
        // Half a line, a line without its line feed, one byte, and nothing.
        let [half, without_line_feed] = [&lines[60][..lines[60].len() / 2], lines[60].trim_end()];
        for tail in [half, without_line_feed, "{", ""] {
            folder.write(RECORDING, format!("{begin}{tail}"));
            resume(&folder, &url, &[]).assert_exit_code(1);
            let text = folder.read(RECORDING);
            let kept = if tail == without_line_feed { lines[..61].concat() } else { begin.clone() };
            assert!(text.starts_with(&format!("{kept}{{\"resumed\":")), "{tail}");
            assert_same_results(&folder, &format!("whole/{RESULTS}"), &format!("out/{RESULTS}"), tail);
        }
    }

    /// A failed request caused an additional trial. After the resume, the request succeeds, so the
    /// trial is not needed.
    #[test]
    fn an_unneeded_trial_is_withdrawn() {
        let server = deterministic_server(Duration::ZERO);
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &[]).assert_exit_code(1);
        let complete = folder.read("whole/recording-it.jsonl");
        let mut lines: Vec<String> = complete.split_inclusive('\n').take(80).map(str::to_owned).collect();
        let is_trial = |line: &&String| line.starts_with("{\"trial\"") && line.contains("\"trial\":1,");
        let trial = lines.iter().rfind(is_trial).unwrap().clone();
        lines.push(trial.replacen("\"trial\":1,", "\"trial\":9,", 1));
        folder.write(RECORDING, lines.concat());
        // After another interruption, the trial may still be needed.
        resume(&folder, &url, &["--max-requests", "45"]).assert_stderr_contains(&["resuming"]);
        assert!(!folder.read(RECORDING).contains("{\"withdrawn\""));
        resume(&folder, &url, &[]).assert_exit_code(1);
        let text = folder.read(RECORDING);
        let withdrawn = text.lines().find(|line| line.starts_with("{\"withdrawn\"")).unwrap();
        assert!(withdrawn.contains("\"trial\":9"), "{withdrawn}");
        assert!(read_recording(&folder.path().join(RECORDING)).trials.iter().all(|trial| trial.key.trial != 9));
        assert_same_results(&folder, &format!("whole/{RESULTS}"), &format!("out/{RESULTS}"), "withdrawn");
        folder.run(["judge", RECORDING, "--out", "judged"]).assert_exit_code(1);
        assert_eq!(folder.read(&format!("judged/{RESULTS}")), folder.read(&format!("out/{RESULTS}")));
    }

    #[test]
    fn several_targets_are_resumed_together_and_missing_targets_are_run() {
        let folder = Folder::new();
        let rows = ["--select", "field.t*", "--no-progress"];
        folder.run(["run", "--out", "whole"].iter().chain(&rows)).assert_exit_code(0);
        folder.run(["run", "--out", "out", "--max-requests", "8"].iter().chain(&rows)).assert_exit_code(3);
        folder.run(["run", "--resume", "out", "--out", "out"]).assert_exit_code(0).assert_stderr_contains(&[
            "deepseek@2025-12: a simulation cannot be resumed",
            "tencent-lkeap@2025-12: a simulation cannot be resumed",
        ]);
        for name in ["results-deepseek-2025-12.json", "results-tencent-lkeap-2025-12.json"] {
            assert_same_results(&folder, &format!("whole/{name}"), &format!("out/{name}"), name);
        }
        // An interruption before the first recorded line has the same effect as a missing file.
        folder.write("out/recording-tencent-lkeap-2025-12.jsonl", "{\"header\":{");
        let named =
            ["run", "deepseek@2025-12", "tencent-lkeap@2025-12", "--simulate", "--resume", "out", "--out", "out"];
        folder
            .run(named.iter().chain(&rows))
            .assert_exit_code(0)
            .assert_stderr_contains(&["recording-deepseek-2025-12.jsonl is complete"]);
        assert_eq!(
            folder.file_names("out", "recording-"),
            ["recording-deepseek-2025-12.jsonl", "recording-tencent-lkeap-2025-12.jsonl"]
        );
        assert_same_results(
            &folder,
            "whole/results-tencent-lkeap-2025-12.json",
            "out/results-tencent-lkeap-2025-12.json",
            "not started",
        );
    }
}

#[test]
fn a_shard_resumes_as_the_same_shard() {
    let folder = Folder::new();
    let rows = ["--select", "field.*", "--select", "tools.*", "--select", "tool_choice.*"];
    let shard = ["run", "deepseek@2025-12", "--simulate", "--shard", "2/3", "--no-progress"];
    let shard = [&shard[..], &rows, &["--out"]].concat();
    folder.run(shard.iter().chain(&["whole"])).assert_exit_code(0);
    folder
        .run(shard.iter().chain(&["out", "--max-requests", "12"]))
        .assert_stderr_contains(&["`fieldtest run --resume out/recording-"]);
    folder.run(["run", "--resume", "out", "--out", "out"]).assert_exit_code(0);
    assert_same_results(&folder, "whole/results-deepseek-2025-12.json", "out/results-deepseek-2025-12.json", "a shard");
}

mod rejected_resumes {
    use super::*;

    /// Creates a folder with an interrupted run.
    fn interrupted_run() -> (TestServer, Folder) {
        let (server, folder) = (deterministic_server(Duration::ZERO), Folder::new());
        run(&folder, &server.url(), "out", &["--max-requests", "20"])
            .assert_stderr_contains(&["the budget was used up"]);
        (server, folder)
    }

    #[test]
    fn options_that_change_the_requests_are_rejected() {
        let (server, folder) = interrupted_run();
        let other = deterministic_server(Duration::ZERO);
        let (url, received) = (server.url(), server.received_requests().len());
        let before = folder.read(RECORDING);
        let base = ["run", "--resume", RECORDING, "--out", "out", "--api-key-env", "KEY"];
        let at = |url: &str| ["--base-url", url, "--name", "it", "--model", "m"].map(str::to_owned).to_vec();
        let with = |more: &[&str]| at(&url).into_iter().chain(more.iter().map(|m| (*m).to_owned())).collect::<Vec<_>>();
        for (more, messages) in [
            (at(&other.url()), vec!["the recording has base URL", "must be equal"]),
            (with(&["--model", "other"]), vec!["several are named"]),
            (
                ["--base-url", &url, "--name", "it", "--model", "x"].map(str::to_owned).to_vec(),
                vec!["the recording has model `m`"],
            ),
            (
                ["--base-url", &url, "--name", "x", "--model", "m"].map(str::to_owned).to_vec(),
                vec!["the recording has target `it`"],
            ),
            (with(&["--claims", "anthropic"]), vec!["the recording has the claims of `deepseek@2025-12`"]),
            (with(&["--seed", "8"]), vec!["made with `--seed 7`", "Remove `--seed`"]),
            (with(&["--confidence", "0.9"]), vec!["--confidence 0.99"]),
            (with(&["--default-max-tokens", "99"]), vec!["--default-max-tokens 1024"]),
            (with(&["--redact", "content"]), vec!["the recording already has texts"]),
            (with(&["--select", "field.top_k"]), vec!["--select names other rows"]),
            (with(&["--shard", "1/2"]), vec!["--shard none"]),
            (with(&["--repeat", "2"]), vec!["cannot be used with"]),
        ] {
            let more: Vec<&str> = more.iter().map(String::as_str).collect();
            folder
                .run_with_env(&[("KEY", KEY)], &[&base[..], &more].concat())
                .assert_exit_code(2)
                .assert_stderr_contains(&messages);
        }
        assert_eq!(
            (server.received_requests().len(), other.received_requests().len()),
            (received, 0),
            "nothing was sent"
        );
        assert_eq!(folder.read(RECORDING), before, "nothing was written");
        // All options can be omitted, because the recording contains them.
        folder.run_with_env(&[("KEY", KEY)], &base).assert_exit_code(1);
    }

    #[test]
    fn unsuitable_recordings_are_rejected() {
        let (_server, folder) = interrupted_run();
        let text = folder.read(RECORDING);
        let try_with = |text: String| {
            folder.write("bad/recording-it.jsonl", text);
            folder.run(["run", "--resume", "bad", "--out", "bad"])
        };
        let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
        try_with(text.replacen(&version, "\"version\":\"0.0.9\"", 1))
            .assert_exit_code(2)
            .assert_stderr_contains(&["written by version 0.0.9"]);
        let without_version = text.replacen(&format!(",{version}"), "", 1);
        assert_ne!(without_version, text);
        try_with(without_version).assert_exit_code(2).assert_stderr_contains(&["written by an earlier version"]);
        let cases = text.split_once("\"cases\":\"").unwrap().1[..16].to_owned();
        try_with(text.replacen(&cases, "0123456789abcdef", 1))
            .assert_exit_code(2)
            .assert_stderr_contains(&["the case files changed", "--cases"]);
        try_with("{}\n".to_owned()).assert_exit_code(2).assert_stderr_contains(&["is not the header of a recording"]);
        // A run that was killed before the first recorded line.
        try_with("{\"header\":".to_owned()).assert_exit_code(2).assert_stderr_contains(&["nothing was recorded"]);
        folder
            .run(["run", "--resume", "bad/recording-it.jsonl"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["Start a new run"]);
        folder
            .run(["run", "--resume", "nowhere"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["no such file or folder"]);
        folder.write("empty/x.txt", "");
        folder
            .run(["run", "--resume", "empty"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["no recording-*.jsonl in the folder"]);
        let select = ["--select", "field.top_k", "--no-progress"];
        folder
            .run(
                ["run", "deepseek@2025-12", "--simulate", "--redact", "content", "--out", "texts"]
                    .iter()
                    .chain(&select),
            )
            .assert_exit_code(0);
        folder
            .run(["run", "--resume", "texts"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["the recording has no texts"]);
        folder.write("gateway.jsonl", "{\"header\":{\"schema\":\"fieldtest-gateway-recording/1\"\n");
        folder
            .run(["run", "--resume", "gateway.jsonl"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["fieldtest gateway"]);
        for n in [1, 2] {
            folder.write(&format!("two/recording-{n}.jsonl"), &text);
        }
        folder
            .run(["run", "--resume", "two"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["several recordings of `it`"]);
    }

    /// Each footer counts the lines above it, so the last footer counts all lines.
    #[test]
    fn a_recording_with_a_missing_line_is_rejected() {
        let (server, folder) = interrupted_run();
        resume(&folder, &server.url(), &["--max-requests", "40"]);
        resume(&folder, &server.url(), &[]).assert_exit_code(1);
        let text = folder.read(RECORDING);
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let footers: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("{\"footer\"")).collect();
        assert_eq!(footers.len(), 3);
        let judge_lines = |lines: &[&str]| {
            folder.write("x.jsonl", lines.concat());
            folder.run(["judge", "x.jsonl", "--out", "judged"])
        };
        judge_lines(&lines).assert_exit_code(1);
        for footer in &footers {
            let mut fewer = lines.clone();
            let trial = fewer[..*footer].iter().rposition(|line| line.starts_with("{\"trial\"")).unwrap();
            fewer.remove(trial);
            judge_lines(&fewer).assert_exit_code(2).assert_stderr_contains(&["It was edited; record it again"]);
        }
        // Lines after a footer without a `resumed` line are invalid, and also lines after the last
        // footer.
        let without_resumed: Vec<&str> =
            lines.iter().copied().filter(|line| !line.starts_with("{\"resumed\"")).collect();
        judge_lines(&without_resumed).assert_exit_code(2).assert_stderr_contains(&["something follows the footer"]);
        let more = [&lines[..], &["{\"resumed\":{\"at\":\"2026-01-01T00:00:00Z\"}}\n"]].concat();
        judge_lines(&more).assert_exit_code(2).assert_stderr_contains(&["the footer of a complete run"]);
    }
}

mod write_errors {
    use super::*;

    /// On a full disk, only the end of the recording is missing.
    #[cfg(unix)]
    #[test]
    fn a_full_disk_leaves_a_recording_that_can_be_resumed() {
        let server = deterministic_server(Duration::ZERO);
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &[]).assert_exit_code(1);
        let plain = command(&folder, &url, "out", &["--format", "terminal"]);
        let mut limited = Command::new("sh");
        // The process ignores the signal, so that the write fails as on a full disk.
        limited.args(["-c", "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$@\""]);
        limited.arg(plain.get_program()).args(plain.get_args()).current_dir(folder.path());
        limited.env_clear().env("KEY", KEY).env("PATH", std::env::var_os("PATH").unwrap());
        let finished = RunningCommand::start(limited).wait_for_end().assert_exit_code(1);
        let finished = finished.assert_stderr_contains(&[
            "out/recording-it.jsonl: cannot write",
            "The run continues",
            "is incomplete",
        ]);
        assert_eq!(finished.stderr.matches("The run continues").count(), 1, "one warning: {}", finished.stderr);
        assert!(finished.stdout.contains("stop_sequences"), "the results are shown");
        let received = server.received_requests().len();
        let before = read_recording(&folder.path().join(RECORDING));
        assert!(before.footer.is_none(), "the recording is incomplete");
        assert!(!before.exchanges.is_empty(), "the first exchanges are recorded");
        resume(&folder, &url, &[]).assert_exit_code(1);
        let after = read_recording(&folder.path().join(RECORDING));
        assert_answered_are_kept(&before, &after, "full");
        let received_after = count_received(&server.received_requests()[received..]);
        assert_eq!(add_counts(received_after, count_recorded(&before)), count_recorded(&after));
        assert_same_results(&folder, &format!("whole/{RESULTS}"), &format!("out/{RESULTS}"), "full");
    }

    #[test]
    fn two_runs_never_write_to_the_same_folder() {
        let (faithful, cache, block) =
            (FaithfulServer::start(), ResponseCache::default(), Arc::new(AtomicBool::new(true)));
        let is_blocked = block.clone();
        let server = TestServer::start(move |request, stream| {
            while request.number == 30 && is_blocked.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            stream.write_all(&cache.respond(&faithful, request)?)
        });
        let (folder, url) = (Folder::new(), server.url());
        let mut first = RunningCommand::start(command(&folder, &url, "out", &["--concurrency", "1"]));
        first.wait_until(|| server.received_requests().len() > 30);
        let received = server.received_requests().len();
        let in_use = "in use by another fieldtest";
        run(&folder, &url, "out", &[]).assert_exit_code(2).assert_stderr_contains(&["out is in use", in_use]);
        folder
            .run(["run", "deepseek@2025-12", "--simulate", "--out", "out"])
            .assert_exit_code(2)
            .assert_stderr_contains(&[in_use]);
        folder.run(["judge", RECORDING, "--out", "out"]).assert_exit_code(2).assert_stderr_contains(&[in_use]);
        // The reports go to another folder, the recording to the same folder.
        run(&folder, &url, "other", &["--record", "out"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["another run is writing it"]);
        run(&folder, &url, "other", &["--resume", RECORDING])
            .assert_exit_code(2)
            .assert_stderr_contains(&["another run is writing it"]);
        assert_eq!(server.received_requests().len(), received, "nothing was sent");
        // Another folder is free.
        folder
            .run(["run", "deepseek@2025-12", "--simulate", "--select", "field.top_k", "--out", "other"])
            .assert_exit_code(0);
        block.store(false, Ordering::SeqCst);
        first.wait_for_end().assert_exit_code(1);
        let sent: usize = count_recorded(&read_recording(&folder.path().join(RECORDING))).values().sum();
        assert_eq!(sent, server.received_requests().len());
        run(&folder, &url, "out", &[]).assert_exit_code(1);
    }
}
