//! Tests runs of many targets, models and repeats with the binary.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use binary::Folder;
use serde_json::Value;
use server::{FaithfulServer, TestServer};

use crate::common::{binary, server};

/// A row that needs few requests.
const SMALL_ROW: &str = "field.stop_sequences";

fn read_results(folder: &Folder, name: &str) -> Value {
    serde_json::from_str(&folder.read(&format!("out/results-{}.json", name.replace('@', "-")))).unwrap()
}

#[test]
fn each_model_has_its_own_run() {
    let folder = Folder::new();
    let models = ["--model", "small", "--model", "large"];
    let run = ["run", "deepseek@2025-12", "--simulate", "--select", SMALL_ROW, "--out", "out"];
    folder.run(run.iter().chain(&models)).assert_exit_code(0);
    for model in ["small", "large"] {
        let results = read_results(&folder, &format!("deepseek-2025-12-{model}"));
        assert_eq!(results["target"]["name"], format!("deepseek@2025-12@{model}"));
        assert_eq!(results["target"]["model"], model);
        let recording = folder.read(&format!("out/recording-deepseek-2025-12-{model}.jsonl"));
        assert!(recording.contains(&format!(r#""model":"{model}""#)));
    }
    let matrix = folder.read("out/matrix.md");
    assert!(matrix.contains("deepseek@2025-12@small") && matrix.contains("deepseek@2025-12@large"), "{matrix}");
}

#[test]
fn a_single_model_does_not_change_the_name_of_the_target() {
    let folder = Folder::new();
    folder
        .run(["run", "deepseek@2025-12", "--simulate", "--select", SMALL_ROW, "--out", "out", "--model", "m"])
        .assert_exit_code(0);
    assert_eq!(read_results(&folder, "deepseek-2025-12")["target"]["model"], "m");
}

#[test]
fn a_target_list_names_targets_endpoints_and_models() {
    let folder = Folder::new();
    // No server listens on port 1.
    folder.write(
        "list.yaml",
        "targets:\n  - { target: deepseek@2025-12, models: [a, b], simulate: true }\n  - { target: anthropic, name: reference, \
         simulate: true, claims: deepseek@2025-12 }\n  - { base_url: \"http://127.0.0.1:1\", models: [m], claims: deepseek@2025-12 }\n",
    );
    let run = ["run", "--targets", "list.yaml", "--select", SMALL_ROW, "--out", "out", "--retries", "0"];
    let ended = folder.run(run).assert_exit_code(3);
    for name in ["deepseek-2025-12-a", "deepseek-2025-12-b", "reference"] {
        assert_eq!(read_results(&folder, name)["summary"]["decided"], 1, "{name}");
    }
    assert_eq!(read_results(&folder, "reference")["target"]["claims"]["target"], "deepseek@2025-12");
    let unreachable = read_results(&folder, "127.0.0.1-1");
    assert_eq!(unreachable["summary"]["decided"], 0);
    assert!(
        ended.stderr.contains("127.0.0.1:1: partial results: the endpoint could not be tested"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_invalid_target_list_is_rejected_before_the_first_request() {
    let folder = Folder::new();
    for (list, message) in [
        ("targets:\n  - target: deepsek\n", "list.yaml:2:13: there is no target `deepsek`"),
        (
            "targets:\n  - { target: deepseek@2025-12, simulate: true, colour: red }\n",
            "list.yaml:2:49: unknown key `colour`",
        ),
        (
            "targets:\n  - { target: deepseek@2025-12 }\n  - { target: tencent-lkeap@2025-12 }\n",
            "list.yaml: no credential: set DEEPSEEK_API_KEY",
        ),
        (
            "targets:\n  - { target: deepseek@2025-12 }\n  - { target: tencent-lkeap@2025-12 }\n",
            "set TENCENT_LKEAP_API_KEY",
        ),
        (
            "targets:\n  - { target: deepseek@2025-12, simulate: true }\n  - { target: anthropic, name: deepseek@2025-12, simulate: true }\n",
            "two targets have the name `deepseek@2025-12`",
        ),
        (
            "targets:\n  - { target: deepseek@2025-12, name: a/b, simulate: true }\n  - { target: deepseek@2025-12, name: a-b, simulate: true }\n",
            "`a/b` and `a-b` have the same file name",
        ),
        (
            "targets:\n  - { target: deepseek@2025-12, simulate: true, prices: { input: -1, output: 1 } }\n",
            "a price must be a number of US dollars, 0 or more",
        ),
        (
            "targets:\n  - { target: deepseek@2025-12, simulate: true, limits: { requests_per_minute: 0 } }\n",
            "deepseek@2025-12: a limit of its file or entry is 0",
        ),
        (
            "targets:\n  - { target: deepseek@2025-12, simulate: true }\n  - { target: anthropic, name: DeepSeek@2025-12, simulate: true }\n",
            "have the same file name",
        ),
    ] {
        folder.write("list.yaml", list);
        let ended = folder.run(["run", "--targets", "list.yaml", "--out", "out"]).assert_exit_code(2);
        assert!(ended.stderr.contains(message), "{list}\n{}", ended.stderr);
        assert!(!folder.exists("out/matrix.md"));
    }
    let ended = folder.run(["run", "deepseek@2025-12", "--targets", "list.yaml"]).assert_exit_code(2);
    assert!(ended.stderr.contains("cannot be used with"), "{}", ended.stderr);
}

#[test]
fn a_target_that_cannot_be_recorded_does_not_affect_the_others() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path().join("out/recording-anthropic.jsonl")).unwrap();
    let run = ["run", "anthropic", "deepseek@2025-12", "--simulate", "--select", SMALL_ROW, "--out", "out"];
    let ended = folder.run(run).assert_exit_code(2);
    assert!(ended.stderr.contains("recording-anthropic.jsonl"), "{}", ended.stderr);
    assert_eq!(read_results(&folder, "deepseek-2025-12")["summary"]["decided"], 1);
    assert!(folder.exists("out/matrix.md"));
}

/// Returns the order in which runs start and finish.
fn run_order(folder: &Folder, jobs: &str) -> Vec<(String, String)> {
    let run = [
        "run",
        "anthropic",
        "deepseek@2025-12",
        "--simulate",
        "--select",
        SMALL_ROW,
        "--out",
        "out",
        "--format",
        "ndjson,json",
    ];
    let ended = folder
        .run(run.iter().chain(&folder.write_simulator_file("latency_ms: 30\n")).chain(&["--jobs", jobs]))
        .assert_exit_code(0);
    let events = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let events = events.map(|event| (text(&event, "event"), text(&event, "target")));
    events.filter(|(event, _)| event == "run_started" || event == "run_finished").collect()
}

#[test]
fn jobs_sets_how_many_targets_run_in_parallel() {
    let folder = Folder::new();
    let kinds = |jobs| run_order(&folder, jobs).into_iter().map(|(event, _)| event).collect::<Vec<_>>();
    assert_eq!(kinds("2"), ["run_started", "run_started", "run_finished", "run_finished"]);
    assert_eq!(kinds("1"), ["run_started", "run_finished", "run_started", "run_finished"]);
}

#[test]
fn one_command_tests_two_hundred_targets() {
    let folder = Folder::new();
    let mut list = "targets:\n".to_owned();
    for n in 1..=200 {
        writeln!(list, "  - {{ target: deepseek@2025-12, name: host-{n}, simulate: true }}").unwrap();
    }
    folder.write("list.yaml", list);
    let run = ["run", "--targets", "list.yaml", "--select", SMALL_ROW, "--out", "out", "--format", "json,markdown"];
    folder.run(run).assert_exit_code(0);
    assert_eq!(folder.file_names("out", "results-").len(), 200);
    assert_eq!(folder.file_names("out", "recording-").len(), 200);
}

#[test]
fn repeats_report_the_stability_of_each_verdict() {
    let folder = Folder::new();
    let run = [
        "run",
        "deepseek@2025-12",
        "--simulate",
        "--select",
        "field.*",
        "--select",
        "tool*",
        "--out",
        "out",
        "--seed",
        "7",
    ];
    folder.run(run.iter().chain(&folder.write_simulator_file("disobedience: 0.4\n")).chain(&["--repeat", "4"]));
    let results = read_results(&folder, "deepseek-2025-12");
    let recordings = folder.file_names("out", "recording-deepseek-2025-12-run-");
    assert_eq!(recordings.len(), 4);
    // `judge` gives the verdicts of each run.
    let mut seen: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let mut requests = 0;
    for (n, recording) in recordings.iter().enumerate() {
        let out = format!("again-{n}");
        folder.run(["judge", &format!("out/{recording}"), "--out", &out]);
        let single = folder.results(&out);
        assert_eq!(single["seed"], 7 + n as u64);
        requests += single["totals"]["requests"].as_u64().unwrap();
        for row in single["rows"].as_array().unwrap() {
            let status = row["verdict"]["status"].as_str().unwrap().to_owned();
            *seen.entry(row["id"].as_str().unwrap().to_owned()).or_default().entry(status).or_default() += 1;
        }
    }
    assert_eq!(results["totals"]["requests"], requests);
    let mut stable = 0;
    for row in results["rows"].as_array().unwrap() {
        let id = row["id"].as_str().unwrap();
        let reported: BTreeMap<String, u64> = row["stability"]["seen"]
            .as_array()
            .unwrap()
            .iter()
            .map(|seen| (seen["status"].as_str().unwrap().to_owned(), seen["runs"].as_u64().unwrap()))
            .collect();
        assert_eq!(reported, seen[id], "{id}");
        let is_undecided = |status: &str| status == "inconclusive" || status == "skipped";
        let decided: Vec<&String> = reported.keys().filter(|status| !is_undecided(status)).collect();
        let status = row["verdict"]["status"].as_str().unwrap();
        match decided.as_slice() {
            [only] => assert_eq!(status, only.as_str(), "{id}"),
            [] => assert!(is_undecided(status), "{id}"),
            _ => assert_eq!((status, row["verdict"]["code"].as_str()), ("inconclusive", Some("unsteady")), "{id}"),
        }
        stable += u64::from(reported.len() == 1 && decided.len() == 1);
    }
    assert_eq!(results["repeats"]["stable"], stable);
    assert_eq!((&results["repeats"]["runs"], &results["repeats"]["asked"]), (&4.into(), &4.into()));
}

#[test]
fn repeats_end_when_a_run_is_stopped() {
    let folder = Folder::new();
    let run = ["run", "deepseek@2025-12", "--simulate", "--out", "out", "--repeat", "5", "--max-requests", "20"];
    folder.run(run).assert_exit_code(3);
    let results = read_results(&folder, "deepseek-2025-12");
    let partial = results["partial"].as_str().unwrap();
    assert!(partial.starts_with("1 of 5 runs were completed: the budget"), "{partial}");
}

#[test]
fn a_resumed_run_counts_the_earlier_requests_of_every_target() {
    let faithful = FaithfulServer::start();
    let server = TestServer::start(move |request, stream| stream.write_all(&faithful.respond(request)?));
    let folder = Folder::new();
    let entry = |name: &str| {
        format!(
            "  - {{ name: {name}, base_url: \"{}\", models: [m], claims: deepseek@2025-12, auth: {{ scheme: x-api-key, env: \
             [KEY] }} }}\n",
            server.url()
        )
    };
    folder.write("list.yaml", format!("targets:\n{}{}", entry("one"), entry("two")));
    let run = ["run", "--targets", "list.yaml", "--out", "out", "--max-requests", "60"];
    let run_again = |more: &[&str]| folder.run_with_env(&[("KEY", "fieldtest-simulator")], &[&run, more].concat());
    run_again(&[]).assert_stderr_contains(&["the budget was used up"]);
    let before = server.received_requests().len();
    assert!((50..=60).contains(&before), "{before}");
    run_again(&["--resume", "out", "--jobs", "1"]).assert_stderr_contains(&["the budget was used up"]);
    let after = server.received_requests().len();
    assert!(after <= 60, "{after} requests exceed the budget of the command");
}

#[test]
fn an_interrupted_recording_is_not_overwritten() {
    let folder = Folder::new();
    let run = ["run", "deepseek@2025-12", "--simulate", "--out", "out", "--max-requests"];
    folder.run(run.iter().chain(&["120"])).assert_exit_code(3);
    let interrupted = folder.read("out/recording-deepseek-2025-12.jsonl");
    let ended = folder.run(run.iter().chain(&["10"])).assert_exit_code(3);
    assert!(ended.stderr.contains("was renamed to"), "{}", ended.stderr);
    assert_eq!(folder.read("out/cut-recording-deepseek-2025-12.jsonl"), interrupted);
    // A complete recording is overwritten without a warning.
    let complete = ["run", "deepseek@2025-12", "--simulate", "--out", "whole", "--select", SMALL_ROW];
    for _ in 0..2 {
        folder.run(complete).assert_exit_code(0);
    }
    assert_eq!(folder.file_names("whole", "cut-"), Vec::<String>::new());
}
