//! `fieldtest compare` with the real binary: a gateway is compared with its upstream.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use binary::{FinishedRun, Folder};
use serde_json::Value;
use server::{FaithfulServer, TestServer, write_response};

use crate::common::{binary, server};

/// A process of `fieldtest simulate` that ends when this value is dropped.
struct SimulatorProcess {
    child: Child,
    url: String,
    key: String,
}

impl SimulatorProcess {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = folder.command(["simulate", "anthropic", "--port", "0"].iter().chain(arguments));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find_map(|word| word.strip_suffix(':').filter(|w| w.starts_with("http://")));
        let key = line.trim().rsplit_once("x-api-key ").unwrap().1.to_owned();
        Self { child, url: url.unwrap_or_else(|| panic!("no address in `{line}`")).to_owned(), key }
    }
}

impl Drop for SimulatorProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SELECT: [&str; 8] =
    ["--select", "field.s*", "--select", "field.top_*", "--select", "tool_choice.*", "--select", "stream.shape"];

/// Compares two simulators.
fn compare_simulators(
    folder: &Folder,
    direct: &SimulatorProcess,
    via: &SimulatorProcess,
    more: &[&str],
) -> FinishedRun {
    let arguments = [
        "compare",
        "--direct",
        &direct.url,
        "--direct-key-env",
        "UP",
        "--via",
        &via.url,
        "--via-key-env",
        "GW",
        "--model",
        "claude-sonnet-4-5",
        "--out",
        "out",
        "--seed",
        "5",
    ];
    folder.run_with_env(&[("UP", &direct.key), ("GW", &via.key)], &[&arguments, more].concat())
}

/// Compares two servers that forward requests to simulators without faults.
fn compare_servers(folder: &Folder, direct: &str, via: &str, more: &[&str]) -> FinishedRun {
    let arguments = ["compare", "--direct", direct, "--via", via, "--model", "m", "--out", "out", "--seed", "5"];
    let keys = ["--direct-key-env", "KEY", "--via-key-env", "KEY"];
    folder.run_with_env(&[("KEY", "fieldtest-simulator")], &[&arguments, &keys[..], more].concat())
}

fn read_comparison(folder: &Folder) -> Value {
    serde_json::from_str(&folder.read("out/comparison.json")).unwrap()
}

/// Returns the ids of the rows with this attribution.
fn row_ids(comparison: &Value, attribution: &str) -> Vec<String> {
    let rows = comparison["rows"].as_array().unwrap().iter().filter(|row| row["fate"] == attribution);
    rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Returns the ids of the checks whose findings have this attribution.
fn finding_ids(comparison: &Value, attribution: &str) -> Vec<String> {
    let findings = comparison["findings"].as_array().unwrap().iter().filter(|finding| finding["fate"] == attribution);
    findings.map(|finding| finding["check"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_gateway_that_changes_nothing_introduces_nothing() {
    let folder = Folder::new();
    let (direct, via) = (SimulatorProcess::start(&folder, &[]), SimulatorProcess::start(&folder, &["--seed", "9"]));
    let finished = compare_simulators(&folder, &direct, &via, &SELECT).assert_exit_code(0);
    let comparison = read_comparison(&folder);
    let mut rows = comparison["rows"].as_array().unwrap().iter();
    assert!(rows.all(|row| row["fate"] == "passed_through"), "{:#}", comparison["rows"]);
    assert!(finished.stdout.contains("✗ 0 introduced"), "{}", finished.stdout);
    for file in
        ["comparison.md", "results-direct.json", "results-via.json", "recording-direct.jsonl", "recording-via.jsonl"]
    {
        assert!(folder.exists(&format!("out/{file}")), "{file}");
    }
    for (_, content) in folder.all_files() {
        let text = String::from_utf8(content).unwrap();
        assert!(!text.contains(&direct.key) && !text.contains(&via.key), "a file contains a credential");
    }
}

#[test]
fn problems_of_the_gateway_are_introduced_and_problems_of_the_upstream_are_passed_through() {
    let folder = Folder::new();
    // Both ignore `top_k`. The second also drops stop sequences, rejects `service_tier` and loses
    // the last event.
    let flips = ["--flip", "field.top_k=ignored"];
    let worse = ["--flip", "field.stop_sequences=ignored", "--flip", "field.service_tier=rejected"];
    let broken = ["--fault", "sse.message-stop-missing"];
    let upstream = SimulatorProcess::start(&folder, &flips);
    let gateway = SimulatorProcess::start(&folder, &[&flips[..], &worse, &broken].concat());
    compare_simulators(&folder, &upstream, &gateway, &SELECT).assert_exit_code(1);
    let forward = read_comparison(&folder);
    let introduced = row_ids(&forward, "introduced");
    assert!(introduced.contains(&"field.stop_sequences".to_owned()), "{forward:#}");
    assert!(introduced.contains(&"field.service_tier".to_owned()), "{introduced:?}");
    assert!(row_ids(&forward, "passed_through").contains(&"field.top_k".to_owned()), "both sides ignore it");
    assert!(
        finding_ids(&forward, "introduced").contains(&"sse.message-stop-missing".to_owned()),
        "{:#}",
        forward["findings"]
    );
    let row = forward["rows"].as_array().unwrap().iter().find(|r| r["id"] == "field.stop_sequences").unwrap();
    assert_eq!((&row["direct"]["status"], &row["via"]["status"]), (&"supported".into(), &"ignored".into()));
    assert_eq!(row["again"]["via"]["status"], "ignored");
    assert!(folder.exists("out/recording-via-again.jsonl"));
    // In the other direction, the gateway repairs all of it.
    compare_simulators(&folder, &gateway, &upstream, &SELECT).assert_exit_code(0);
    let backward = read_comparison(&folder);
    assert_eq!(row_ids(&backward, "repaired"), introduced);
    assert!(finding_ids(&backward, "repaired").contains(&"sse.message-stop-missing".to_owned()));
    assert_eq!(row_ids(&backward, "introduced"), [""; 0]);
}

#[test]
fn a_difference_that_is_neither_better_nor_worse_is_a_change() {
    let folder = Folder::new();
    let direct = SimulatorProcess::start(&folder, &["--flip", "field.stop_sequences=ignored"]);
    let via = SimulatorProcess::start(&folder, &["--flip", "field.stop_sequences=rejected"]);
    compare_simulators(&folder, &direct, &via, &["--select", "field.stop_sequences"]).assert_exit_code(0);
    assert_eq!(row_ids(&read_comparison(&folder), "changed"), ["field.stop_sequences"]);
    compare_simulators(&folder, &direct, &via, &["--select", "field.stop_sequences", "--strict"]).assert_exit_code(1);
}

#[test]
fn an_unreachable_side_leaves_all_rows_undetermined() {
    let folder = Folder::new();
    let faithful = FaithfulServer::start();
    let working = TestServer::start(move |request, stream| stream.write_all(&faithful.respond(request)?));
    let closed_port = "http://127.0.0.1:9";
    let more = ["--select", "field.s*", "--retries", "0"];
    for (direct, via) in
        [(closed_port, working.url().as_str()), (working.url().as_str(), closed_port), (closed_port, closed_port)]
    {
        compare_servers(&folder, direct, via, &more)
            .assert_exit_code(3)
            .assert_stderr_contains(&["could not be tested"]);
        let comparison = read_comparison(&folder);
        assert_eq!(row_ids(&comparison, "undetermined").len(), comparison["rows"].as_array().unwrap().len());
    }
}

#[test]
fn a_side_that_stops_responding_is_not_blamed() {
    let folder = Folder::new();
    let faithful = FaithfulServer::start();
    let upstream = {
        let faithful = faithful.clone();
        TestServer::start(move |request, stream| stream.write_all(&faithful.respond(request)?))
    };
    let failing = TestServer::start(move |request, stream| match request.number {
        0..40 => stream.write_all(&faithful.respond(request)?),
        _ => Ok(()),
    });
    // One request at a time: the first rows are decided before the server stops responding.
    let more = ["--select", "field.*", "--retries", "0", "--concurrency", "1"];
    compare_servers(&folder, &upstream.url(), &failing.url(), &more)
        .assert_exit_code(3)
        .assert_stderr_contains(&["via: partial results"]);
    let comparison = read_comparison(&folder);
    assert_eq!(row_ids(&comparison, "introduced"), [""; 0]);
    assert!(row_ids(&comparison, "passed_through").len() > 2, "rows that were decided earlier keep their verdict");
    assert!(!row_ids(&comparison, "undetermined").is_empty());
    assert!(comparison["via"]["partial"].is_string() && comparison["direct"].get("partial").is_none());
}

#[test]
fn a_difference_that_occurs_once_is_not_attributed() {
    let folder = Folder::new();
    let faithful = FaithfulServer::start();
    let upstream = {
        let faithful = faithful.clone();
        TestServer::start(move |request, stream| stream.write_all(&faithful.respond(request)?))
    };
    let rejected = AtomicUsize::new(0);
    let inconsistent = TestServer::start(move |request, stream| {
        if request.body.contains("stop_sequences") && rejected.fetch_add(1, Ordering::Relaxed) == 0 {
            let error = r#"{"type":"error","error":{"type":"invalid_request_error","message":"stop_sequences: not supported"}}"#;
            return write_response(stream, "400 Bad Request", "application/json", error);
        }
        stream.write_all(&faithful.respond(request)?)
    });
    compare_servers(&folder, &upstream.url(), &inconsistent.url(), &["--select", "field.stop_sequences"])
        .assert_exit_code(0);
    let comparison = read_comparison(&folder);
    assert_eq!(row_ids(&comparison, "undetermined"), ["field.stop_sequences"]);
    assert!(comparison["rows"][0]["why"].as_str().unwrap().contains("not reproducible"), "{comparison:#}");
}

#[test]
fn both_sides_receive_requests_in_lockstep_if_one_is_slow() {
    let folder = Folder::new();
    let faithful = FaithfulServer::start();
    let log: Arc<Mutex<String>> = Arc::default();
    let start = |name: char, wait: u64| {
        let (faithful, log) = (faithful.clone(), log.clone());
        TestServer::start(move |request, stream| {
            log.lock().unwrap().push(name);
            let response = faithful.respond(request)?;
            thread::sleep(Duration::from_millis(wait));
            stream.write_all(&response)
        })
    };
    let (direct, via) = (start('d', 0), start('v', 25));
    let more = ["--select", "field.*", "--concurrency", "2"];
    compare_servers(&folder, &direct.url(), &via.url(), &more).assert_exit_code(0);
    let log = log.lock().unwrap().clone();
    let count_of = |name| log.matches(name).count();
    assert!(count_of('d') > 30 && count_of('v') > 30, "{log}");
    // Compare only while both sides have requests left.
    let last_common = log.rfind('d').unwrap().min(log.rfind('v').unwrap());
    let mut ahead = 0_i64;
    for name in log[..last_common].chars() {
        ahead += if name == 'd' { 1 } else { -1 };
        assert!(ahead.abs() <= 3 + 2, "one side is {ahead} ahead: {log}");
    }
}

#[test]
fn usage_errors_name_the_options_of_the_command() {
    let folder = Folder::new();
    let arguments = ["compare", "--direct", "http://127.0.0.1:1", "--via", "http://127.0.0.1:2"];
    let run = |more: &[&str]| folder.run(arguments.iter().chain(more));
    run(&[]).assert_exit_code(2).assert_stderr_contains(&["--direct needs --model"]);
    run(&["--model", "m", "--via-key-env", "sk-0123456789"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["--via-key-env needs the name"]);
    run(&["--model", "m", "--select", "nothing.*"]).assert_exit_code(2).assert_stderr_contains(&["selects no row"]);
    run(&["--model", "m", "--max-cost", "1"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["--max-cost needs --price-input and --price-output"]);
    folder
        .run(["compare", "--direct", "x", "--via", "y", "--model", "m"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["--direct: invalid base URL `x`"]);
    folder.run(["compare", "--direct", "http://h"]).assert_exit_code(2).assert_stderr_contains(&["--via <URL>"]);
}
