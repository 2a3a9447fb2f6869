//! What is seen of runs while they go on: events, the log, and nothing where nothing is wanted.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use binary::Folder;
use fieldtest::results::events;
use serde_json::Value;

use crate::common::{binary, schema_validator};

const RUN: [&str; 6] = ["run", "deepseek@2025-12", "--simulate", "--select", "field.*", "--out"];

fn run<'a>(more: &'a [&'a str]) -> Vec<&'a str> {
    RUN.iter().copied().chain(["out"]).chain(more.iter().copied()).collect()
}

fn events(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn events_match_their_schema_and_the_results() {
    let folder = Folder::new();
    let output = folder.run(run(&["--format", "ndjson,json", "--flip", "field.top_k=supported"])).assert_exit_code(0);
    let events = events(&output.stdout);
    let validator = schema_validator("events");
    for event in &events {
        let errors: Vec<String> = validator.iter_errors(event).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{event}: {errors:?}");
    }
    assert_eq!(events[0]["event"], "started");
    assert_eq!(events[0]["schema"], events::SCHEMA);
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["exit"]), (&"finished".into(), &0.into()));

    let results = folder.results("out");
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    let rows: Vec<(&Value, &Value, &Value)> =
        of("row").iter().map(|row| (&row["row"], &row["status"], &row["outcome"])).collect();
    let written: Vec<(&Value, &Value, &Value)> = results["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["id"], &row["verdict"]["status"], &row["outcome"]))
        .collect();
    assert_eq!(rows, written);
    let exchanges: BTreeSet<&str> = of("exchange").iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(exchanges.len() as u64, results["totals"]["requests"].as_u64().unwrap());
    let recording = folder.read("out/recording-deepseek-2025-12.jsonl");
    assert!(exchanges.iter().all(|id| recording.contains(&format!(r#""id":"{id}""#))));
    let finished = of("run_finished");
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0]["totals"], results["totals"]);
    // A row is told when it is decided, not at the end.
    let at = |kind: &str| events.iter().position(|event| event["event"] == kind).unwrap();
    assert!(at("verdict") < events.iter().rposition(|event| event["event"] == "exchange").unwrap());
}

#[test]
fn events_exclude_other_formats_on_standard_output() {
    let folder = Folder::new();
    for format in ["ndjson,terminal", "github,ndjson"] {
        let output = folder.run(run(&["--format", format])).assert_exit_code(2);
        assert!(output.stderr.contains("cannot be combined with terminal or github"), "{}", output.stderr);
    }
}

#[test]
fn commands_that_send_nothing_have_no_events() {
    let folder = Folder::new();
    folder.run(run(&["--format", "json"])).assert_exit_code(0);
    for command in [
        &["judge", "out/recording-deepseek-2025-12.jsonl"][..],
        &["report", "out/results-deepseek-2025-12.json"],
        &["merge", "out/results-deepseek-2025-12.json"],
        &["run", "--replay", "out"],
        &["gateway", "--via", "http://127.0.0.1:1", "--model", "m", "--upstream-port", "0", "--shape", "anthropic"],
        &["compare", "--via", "http://127.0.0.1:1", "--direct", "http://127.0.0.1:1", "--model", "m"],
    ] {
        let output = folder.run(command.iter().chain(&["--format", "ndjson", "--out", "again"])).assert_exit_code(2);
        assert!(
            output.stderr.contains("ndjson") || output.stderr.contains("compare writes terminal"),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn a_reader_that_closes_the_pipe_does_not_stop_the_run() {
    let folder = Folder::new();
    let mut command =
        folder.command(run(
            &[&["--format", "ndjson,json"][..], &folder.write_simulator_file("latency_ms: 5\n")].concat()
        ));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("started"), "{line}");
    assert!(child.wait().unwrap().success());
    assert_eq!(folder.results("out")["partial"], Value::Null);
}

#[test]
fn the_log_is_printed_on_request() {
    let folder = Folder::new();
    let quiet = folder.run(run(&[])).assert_exit_code(0);
    assert!(!quiet.stderr.contains("verdict") && !quiet.stderr.contains('\u{1b}'), "{}", quiet.stderr);
    let verdicts = folder.run(run(&["-v"])).assert_exit_code(0);
    assert!(verdicts.stderr.contains("INFO fieldtest::run: verdict"), "{}", verdicts.stderr);
    assert!(!verdicts.stderr.contains("DEBUG") && !verdicts.stdout.contains("INFO"), "{}", verdicts.stderr);
    let requests = folder.run(run(&["-vv"])).assert_exit_code(0);
    assert!(requests.stderr.contains("DEBUG fieldtest::run: response"), "{}", requests.stderr);
    let named = folder.run_with_env(&[("RUST_LOG", "fieldtest::run=trace")], &run(&[])).assert_exit_code(0);
    assert!(named.stderr.contains("TRACE fieldtest::run: trial done"), "{}", named.stderr);
    let wrong = folder.run_with_env(&[("RUST_LOG", "fieldtest=loud")], &run(&[])).assert_exit_code(0);
    assert!(wrong.stderr.contains("RUST_LOG is ignored"), "{}", wrong.stderr);
}

#[test]
fn the_log_has_retries_and_waits() {
    let folder = Folder::new();
    let limited = folder.write_simulator_file("inject_429: 0.3\n");
    let output = folder.run(run(&[&["-v", "--seed", "3"][..], &limited].concat())).assert_exit_code(0);
    assert!(output.stderr.contains("retrying"), "{}", output.stderr);
}

#[test]
fn events_of_repeated_runs_have_numbers_and_the_merged_results_come_last() {
    let folder = Folder::new();
    let disobeys = folder.write_simulator_file("disobedience: 0.35\n");
    let more = [&["--format", "ndjson,json", "--repeat", "2"][..], &disobeys].concat();
    let output = folder.run(run(&more));
    let events = events(&output.stdout);
    let over: Vec<&Value> = events.iter().filter(|event| event["event"] == "run_finished").collect();
    assert_eq!(over.iter().map(|event| &event["run"]).collect::<Vec<_>>(), [&Value::from(1), &2.into(), &Value::Null]);
    let results = folder.results("out");
    assert_eq!(over[2]["totals"], results["totals"]);
    let last = |row: &Value| events.iter().rfind(|event| event["event"] == "row" && event["row"] == row["id"]).unwrap();
    for row in results["rows"].as_array().unwrap() {
        assert_eq!(last(row)["status"], row["verdict"]["status"], "{}", row["id"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_reported() {
    use std::os::unix::fs::FileTypeExt as _;
    let device = std::fs::metadata("/dev/full").is_ok_and(|found| found.file_type().is_char_device());
    assert!(device, "/dev/full is not the device that this test needs: `mknod -m 666 /dev/full c 1 7` makes it");
    let folder = Folder::new();
    for format in ["terminal", "ndjson"] {
        let mut command = folder.command(run(&["--format", format]));
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.matches("standard output cannot be written").count(), 1, "{said}");
    }
}
