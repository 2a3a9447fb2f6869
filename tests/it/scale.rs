//! Many targets, many models, many runs: through the real binary.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use binary::Folder;
use serde_json::Value;

use crate::common::binary;

/// A row that takes few requests.
const STOP: &str = "field.stop_sequences";

fn results(folder: &Folder, name: &str) -> Value {
    serde_json::from_str(&folder.read(&format!("out/results-{name}.json"))).unwrap()
}

#[test]
fn each_model_is_a_run_of_its_own() {
    let folder = Folder::new();
    let models = ["--model", "small", "--model", "large"];
    let run = ["run", "deepseek", "--simulate", "--select", STOP, "--out", "out"];
    folder.run(run.iter().chain(&models)).exits(0);
    for model in ["small", "large"] {
        let results = results(&folder, &format!("deepseek-{model}"));
        assert_eq!(results["target"]["name"], format!("deepseek@{model}"));
        assert_eq!(results["target"]["model"], model);
        let recording = folder.read(&format!("out/recording-deepseek-{model}.jsonl"));
        assert!(recording.contains(&format!(r#""model":"{model}""#)));
    }
    let matrix = folder.read("out/matrix.md");
    assert!(matrix.contains("deepseek@small") && matrix.contains("deepseek@large"), "{matrix}");
}

#[test]
fn one_model_leaves_the_targets_name_alone() {
    let folder = Folder::new();
    folder.run(["run", "deepseek", "--simulate", "--select", STOP, "--out", "out", "--model", "m"]).exits(0);
    assert_eq!(results(&folder, "deepseek")["target"]["model"], "m");
}

#[test]
fn a_list_names_targets_endpoints_and_models() {
    let folder = Folder::new();
    // Nobody listens on port 1.
    folder.write(
        "list.yaml",
        "targets:\n  - { target: deepseek, models: [a, b], simulate: true }\n  - { target: anthropic, name: reference, \
         simulate: true, claims: deepseek }\n  - { base_url: \"http://127.0.0.1:1\", models: [m], claims: deepseek }\n",
    );
    let run = ["run", "--targets", "list.yaml", "--select", STOP, "--out", "out", "--retries", "0"];
    let ended = folder.run(run).exits(3);
    for name in ["deepseek-a", "deepseek-b", "reference"] {
        assert_eq!(results(&folder, name)["summary"]["decided"], 1, "{name}");
    }
    assert_eq!(results(&folder, "reference")["target"]["claims"]["target"], "deepseek");
    let lost = results(&folder, "127.0.0.1-1");
    assert_eq!(lost["summary"]["decided"], 0);
    assert!(
        ended.stderr.contains("127.0.0.1:1: partial results: the endpoint could not be tested"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_is_wrong_with_a_list_is_told_before_anything_is_sent() {
    let folder = Folder::new();
    for (list, told) in [
        ("targets:\n  - target: deepsek\n", "list.yaml:2:13: there is no target `deepsek`"),
        ("targets:\n  - { target: deepseek, simulate: true, colour: red }\n", "list.yaml:2:41: unknown key `colour`"),
        (
            "targets:\n  - { target: deepseek }\n  - { target: tencent-lkeap }\n",
            "list.yaml: no credential: set DEEPSEEK_API_KEY",
        ),
        ("targets:\n  - { target: deepseek }\n  - { target: tencent-lkeap }\n", "set TENCENT_LKEAP_API_KEY"),
        (
            "targets:\n  - { target: deepseek, simulate: true }\n  - { target: anthropic, name: deepseek, simulate: true }\n",
            "`deepseek` is tested twice",
        ),
        (
            "targets:\n  - { target: deepseek, name: a/b, simulate: true }\n  - { target: deepseek, name: a-b, simulate: true }\n",
            "`a/b` and `a-b` have the same file name",
        ),
        (
            "targets:\n  - { target: deepseek, simulate: true, prices: { input: -1, output: 1 } }\n",
            "a price is a number of US dollars, and not below 0",
        ),
        (
            "targets:\n  - { target: deepseek, simulate: true, limits: { requests_per_minute: 0 } }\n",
            "deepseek: a limit of its file or entry is 0",
        ),
        (
            "targets:\n  - { target: deepseek, simulate: true }\n  - { target: anthropic, name: DeepSeek, simulate: true }\n",
            "have the same file name",
        ),
    ] {
        folder.write("list.yaml", list);
        let ended = folder.run(["run", "--targets", "list.yaml", "--out", "out"]).exits(2);
        assert!(ended.stderr.contains(told), "{list}\n{}", ended.stderr);
        assert!(!folder.exists("out/matrix.md"));
    }
    let ended = folder.run(["run", "deepseek", "--targets", "list.yaml"]).exits(2);
    assert!(ended.stderr.contains("cannot be used with"), "{}", ended.stderr);
}

#[test]
fn a_target_that_cannot_be_recorded_costs_the_others_nothing() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path().join("out/recording-anthropic.jsonl")).unwrap();
    let run = ["run", "anthropic", "deepseek", "--simulate", "--select", STOP, "--out", "out"];
    let ended = folder.run(run).exits(2);
    assert!(ended.stderr.contains("recording-anthropic.jsonl"), "{}", ended.stderr);
    assert_eq!(results(&folder, "deepseek")["summary"]["decided"], 1);
    assert!(folder.exists("out/matrix.md"));
}

/// The order in which runs begin and end.
fn order(folder: &Folder, jobs: &str) -> Vec<(String, String)> {
    let run =
        ["run", "anthropic", "deepseek", "--simulate", "--select", STOP, "--out", "out", "--format", "ndjson,json"];
    let ended = folder.run(run.iter().chain(&folder.simulator("latency_ms: 30\n")).chain(&["--jobs", jobs])).exits(0);
    let events = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let events = events.map(|event| (told(&event, "event"), told(&event, "target")));
    events.filter(|(event, _)| event == "run_started" || event == "run_finished").collect()
}

#[test]
fn targets_are_tested_side_by_side_if_they_may_be() {
    let folder = Folder::new();
    let kinds = |jobs| order(&folder, jobs).into_iter().map(|(event, _)| event).collect::<Vec<_>>();
    assert_eq!(kinds("2"), ["run_started", "run_started", "run_finished", "run_finished"]);
    assert_eq!(kinds("1"), ["run_started", "run_finished", "run_started", "run_finished"]);
}

#[test]
fn two_hundred_targets_are_tested_in_one_go() {
    let folder = Folder::new();
    let mut list = "targets:\n".to_owned();
    for n in 1..=200 {
        writeln!(list, "  - {{ target: deepseek, name: host-{n}, simulate: true }}").unwrap();
    }
    folder.write("list.yaml", list);
    let run = ["run", "--targets", "list.yaml", "--select", STOP, "--out", "out", "--format", "json,markdown"];
    folder.run(run).exits(0);
    assert_eq!(folder.names("out", "results-").len(), 200);
    assert_eq!(folder.names("out", "recording-").len(), 200);
}

#[test]
fn repeats_tell_how_stable_each_verdict_is() {
    let folder = Folder::new();
    let run =
        ["run", "deepseek", "--simulate", "--select", "field.*", "--select", "tool*", "--out", "out", "--seed", "7"];
    folder.run(run.iter().chain(&folder.simulator("disobedience: 0.4\n")).chain(&["--repeat", "4"]));
    let results = results(&folder, "deepseek");
    let recordings = folder.names("out", "recording-deepseek-run-");
    assert_eq!(recordings.len(), 4);
    // What each run saw is what judging its recording says.
    let mut seen: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let mut requests = 0;
    for (n, recording) in recordings.iter().enumerate() {
        let out = format!("again-{n}");
        folder.run(["judge", &format!("out/{recording}"), "--out", &out]);
        let one = folder.results(&out);
        assert_eq!(one["seed"], 7 + n as u64);
        requests += one["totals"]["requests"].as_u64().unwrap();
        for row in one["rows"].as_array().unwrap() {
            let status = row["verdict"]["status"].as_str().unwrap().to_owned();
            *seen.entry(row["id"].as_str().unwrap().to_owned()).or_default().entry(status).or_default() += 1;
        }
    }
    assert_eq!(results["totals"]["requests"], requests);
    let mut stable = 0;
    for row in results["rows"].as_array().unwrap() {
        let id = row["id"].as_str().unwrap();
        let told: BTreeMap<String, u64> = row["stability"]["seen"]
            .as_array()
            .unwrap()
            .iter()
            .map(|seen| (seen["status"].as_str().unwrap().to_owned(), seen["runs"].as_u64().unwrap()))
            .collect();
        assert_eq!(told, seen[id], "{id}");
        let undecided = |status: &str| status == "inconclusive" || status == "skipped";
        let decided: Vec<&String> = told.keys().filter(|status| !undecided(status)).collect();
        let status = row["verdict"]["status"].as_str().unwrap();
        match decided.as_slice() {
            [only] => assert_eq!(status, only.as_str(), "{id}"),
            [] => assert!(undecided(status), "{id}"),
            _ => assert_eq!((status, row["verdict"]["code"].as_str()), ("inconclusive", Some("unsteady")), "{id}"),
        }
        stable += u64::from(told.len() == 1 && decided.len() == 1);
    }
    assert_eq!(results["repeats"]["stable"], stable);
    assert_eq!((&results["repeats"]["runs"], &results["repeats"]["asked"]), (&4.into(), &4.into()));
}

#[test]
fn repeats_end_where_a_run_is_stopped() {
    let folder = Folder::new();
    let run = ["run", "deepseek", "--simulate", "--out", "out", "--repeat", "5", "--max-requests", "20"];
    folder.run(run).exits(3);
    let results = results(&folder, "deepseek");
    let partial = results["partial"].as_str().unwrap();
    assert!(partial.starts_with("1 of 5 runs were completed: the budget"), "{partial}");
}

#[test]
fn a_budget_counts_what_every_target_took_before_it_was_gone_on_with() {
    let folder = Folder::new();
    let run = ["run", "deepseek", "anthropic", "--simulate", "--out", "out", "--max-requests", "60"];
    folder.run(run).exits(3);
    let requests =
        || ["deepseek", "anthropic"].map(|name| results(&folder, name)["totals"]["requests"].as_u64().unwrap());
    let before: u64 = requests().iter().sum();
    assert!((50..=60).contains(&before), "{before}");
    folder.run(run.iter().chain(&["--resume", "out", "--jobs", "1"])).exits(3);
    let after: u64 = requests().iter().sum();
    assert!(after <= 60, "{after} requests are more than the command may send");
}

#[test]
fn a_cut_recording_is_not_written_over() {
    let folder = Folder::new();
    let run = ["run", "deepseek", "--simulate", "--out", "out", "--max-requests"];
    folder.run(run.iter().chain(&["120"])).exits(3);
    let cut = folder.read("out/recording-deepseek.jsonl");
    let ended = folder.run(run.iter().chain(&["10"])).exits(3);
    assert!(ended.stderr.contains("was renamed to"), "{}", ended.stderr);
    assert_eq!(folder.read("out/cut-recording-deepseek.jsonl"), cut);
    // What is whole is made anew without a word.
    let whole = ["run", "deepseek", "--simulate", "--out", "whole", "--select", STOP];
    for _ in 0..2 {
        folder.run(whole).exits(0);
    }
    assert_eq!(folder.names("whole", "cut-"), Vec::<String>::new());
}
