//! A gateway held against its upstream: `fieldtest compare` with the real binary.

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

/// `fieldtest simulate`, in a process of its own that ends with this value.
struct Simulator {
    child: Child,
    url: String,
    key: String,
}

impl Simulator {
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

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SELECT: [&str; 8] =
    ["--select", "field.s*", "--select", "field.top_*", "--select", "tool_choice.*", "--select", "stream.shape"];

/// Compares two simulators.
fn simulators(folder: &Folder, direct: &Simulator, via: &Simulator, more: &[&str]) -> FinishedRun {
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

/// Compares two servers that hand on to a faithful one.
fn servers(folder: &Folder, direct: &str, via: &str, more: &[&str]) -> FinishedRun {
    let arguments = ["compare", "--direct", direct, "--via", via, "--model", "m", "--out", "out", "--seed", "5"];
    let keys = ["--direct-key-env", "KEY", "--via-key-env", "KEY"];
    folder.run_with_env(&[("KEY", "fieldtest-simulator")], &[&arguments, &keys[..], more].concat())
}

fn comparison(folder: &Folder) -> Value {
    serde_json::from_str(&folder.read("out/comparison.json")).unwrap()
}

/// The ids of the rows with this fate.
fn rows(comparison: &Value, fate: &str) -> Vec<String> {
    let rows = comparison["rows"].as_array().unwrap().iter().filter(|row| row["fate"] == fate);
    rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn findings(comparison: &Value, fate: &str) -> Vec<String> {
    let findings = comparison["findings"].as_array().unwrap().iter().filter(|finding| finding["fate"] == fate);
    findings.map(|finding| finding["check"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_gateway_that_changes_nothing_introduces_nothing() {
    let folder = Folder::new();
    let (direct, via) = (Simulator::start(&folder, &[]), Simulator::start(&folder, &["--seed", "9"]));
    let ended = simulators(&folder, &direct, &via, &SELECT).assert_exit_code(0);
    let comparison = comparison(&folder);
    assert_eq!(rows(&comparison, "passed_through").len(), comparison["rows"].as_array().unwrap().len());
    assert!(ended.stdout.contains("✗ 0 introduced"), "{}", ended.stdout);
    for file in
        ["comparison.md", "results-direct.json", "results-via.json", "recording-direct.jsonl", "recording-via.jsonl"]
    {
        assert!(folder.exists(&format!("out/{file}")), "{file}");
    }
    for (_, content) in folder.all_files() {
        let text = String::from_utf8(content).unwrap();
        assert!(!text.contains(&direct.key) && !text.contains(&via.key), "a credential was written");
    }
}

#[test]
fn what_the_gateway_does_is_introduced_or_repaired_and_what_the_upstream_does_is_not() {
    let folder = Folder::new();
    // Both ignore top_k; the second also drops stop sequences, refuses `service_tier` and loses the last event.
    let flips = ["--flip", "field.top_k=ignored"];
    let worse = ["--flip", "field.stop_sequences=ignored", "--flip", "field.service_tier=rejected"];
    let broken = ["--fault", "sse.message-stop-missing"];
    let upstream = Simulator::start(&folder, &flips);
    let gateway = Simulator::start(&folder, &[&flips[..], &worse, &broken].concat());
    simulators(&folder, &upstream, &gateway, &SELECT).assert_exit_code(1);
    let forth = comparison(&folder);
    let introduced = rows(&forth, "introduced");
    assert!(introduced.contains(&"field.stop_sequences".to_owned()), "{forth:#}");
    assert!(introduced.contains(&"field.service_tier".to_owned()), "{introduced:?}");
    assert!(rows(&forth, "passed_through").contains(&"field.top_k".to_owned()), "ignored on both sides");
    assert!(findings(&forth, "introduced").contains(&"sse.message-stop-missing".to_owned()), "{:#}", forth["findings"]);
    let row = forth["rows"].as_array().unwrap().iter().find(|r| r["id"] == "field.stop_sequences").unwrap();
    assert_eq!((&row["direct"]["status"], &row["via"]["status"]), (&"supported".into(), &"ignored".into()));
    assert_eq!(row["again"]["via"]["status"], "ignored");
    assert!(folder.exists("out/recording-via-again.jsonl"));
    // The other way round it is all repaired.
    simulators(&folder, &gateway, &upstream, &SELECT).assert_exit_code(0);
    let back = comparison(&folder);
    assert_eq!(rows(&back, "repaired"), introduced);
    assert!(findings(&back, "repaired").contains(&"sse.message-stop-missing".to_owned()));
    assert_eq!(rows(&back, "introduced"), [""; 0]);
}

#[test]
fn a_difference_that_is_neither_better_nor_worse_is_a_change() {
    let folder = Folder::new();
    let direct = Simulator::start(&folder, &["--flip", "field.stop_sequences=ignored"]);
    let via = Simulator::start(&folder, &["--flip", "field.stop_sequences=rejected"]);
    simulators(&folder, &direct, &via, &["--select", "field.stop_sequences"]).assert_exit_code(0);
    assert_eq!(rows(&comparison(&folder), "changed"), ["field.stop_sequences"]);
    simulators(&folder, &direct, &via, &["--select", "field.stop_sequences", "--strict"]).assert_exit_code(1);
}

#[test]
fn a_dead_side_leaves_everything_undetermined() {
    let folder = Folder::new();
    let faithful = FaithfulServer::start();
    let alive = TestServer::start(move |asked, stream| stream.write_all(&faithful.respond(asked)?));
    let nobody = "http://127.0.0.1:9";
    let more = ["--select", "field.s*", "--retries", "0"];
    for (direct, via) in [(nobody, alive.url().as_str()), (alive.url().as_str(), nobody), (nobody, nobody)] {
        servers(&folder, direct, via, &more).assert_exit_code(3).assert_stderr_contains(&["could not be tested"]);
        let comparison = comparison(&folder);
        assert_eq!(rows(&comparison, "undetermined").len(), comparison["rows"].as_array().unwrap().len());
    }
}

#[test]
fn a_side_that_is_lost_in_the_middle_is_blamed_for_nothing() {
    let folder = Folder::new();
    let faithful = FaithfulServer::start();
    let upstream = {
        let faithful = faithful.clone();
        TestServer::start(move |asked, stream| stream.write_all(&faithful.respond(asked)?))
    };
    let dies = TestServer::start(move |asked, stream| match asked.number {
        0..50 => stream.write_all(&faithful.respond(asked)?),
        _ => Ok(()),
    });
    let more = ["--select", "field.*", "--retries", "0"];
    servers(&folder, &upstream.url(), &dies.url(), &more)
        .assert_exit_code(3)
        .assert_stderr_contains(&["via: partial results"]);
    let comparison = comparison(&folder);
    assert_eq!(rows(&comparison, "introduced"), [""; 0]);
    assert!(rows(&comparison, "passed_through").len() > 2, "what was decided before is kept");
    assert!(!rows(&comparison, "undetermined").is_empty());
    assert!(comparison["via"]["partial"].is_string() && comparison["direct"].get("partial").is_none());
}

#[test]
fn what_happens_once_is_nobodys() {
    let folder = Folder::new();
    let faithful = FaithfulServer::start();
    let upstream = {
        let faithful = faithful.clone();
        TestServer::start(move |asked, stream| stream.write_all(&faithful.respond(asked)?))
    };
    let refused = AtomicUsize::new(0);
    let unsteady = TestServer::start(move |asked, stream| {
        if asked.body.contains("stop_sequences") && refused.fetch_add(1, Ordering::Relaxed) == 0 {
            let error = r#"{"type":"error","error":{"type":"invalid_request_error","message":"stop_sequences: not supported"}}"#;
            return write_response(stream, "400 Bad Request", "application/json", error);
        }
        stream.write_all(&faithful.respond(asked)?)
    });
    servers(&folder, &upstream.url(), &unsteady.url(), &["--select", "field.stop_sequences"]).assert_exit_code(0);
    let comparison = comparison(&folder);
    assert_eq!(rows(&comparison, "undetermined"), ["field.stop_sequences"]);
    assert!(comparison["rows"][0]["why"].as_str().unwrap().contains("not reproducible"), "{comparison:#}");
}

#[test]
fn both_sides_are_asked_in_step_however_slow_one_is() {
    let folder = Folder::new();
    let faithful = FaithfulServer::start();
    let log: Arc<Mutex<String>> = Arc::default();
    let start = |name: char, wait: u64| {
        let (faithful, log) = (faithful.clone(), log.clone());
        TestServer::start(move |asked, stream| {
            log.lock().unwrap().push(name);
            let answer = faithful.respond(asked)?;
            thread::sleep(Duration::from_millis(wait));
            stream.write_all(&answer)
        })
    };
    let (direct, via) = (start('d', 0), start('v', 25));
    let more = ["--select", "field.*", "--concurrency", "2"];
    servers(&folder, &direct.url(), &via.url(), &more).assert_exit_code(0);
    let log = log.lock().unwrap().clone();
    let of = |name| log.matches(name).count();
    assert!(of('d') > 30 && of('v') > 30, "{log}");
    // While both have work: until the side that has less to do is through.
    let both = log.rfind('d').unwrap().min(log.rfind('v').unwrap());
    let mut ahead = 0_i64;
    for name in log[..both].chars() {
        ahead += if name == 'd' { 1 } else { -1 };
        assert!(ahead.abs() <= 3 + 2, "one side is {ahead} ahead: {log}");
    }
}

#[test]
fn wrong_usage_is_told_in_the_words_of_the_command() {
    let folder = Folder::new();
    let both = ["compare", "--direct", "http://127.0.0.1:1", "--via", "http://127.0.0.1:2"];
    let run = |more: &[&str]| folder.run(both.iter().chain(more));
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
        .assert_stderr_contains(&["--direct: the base URL"]);
    folder.run(["compare", "--direct", "http://h"]).assert_exit_code(2).assert_stderr_contains(&["--via <URL>"]);
}
