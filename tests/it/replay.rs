//! Tests `--replay` with the binary.

use std::io::Write;

use binary::{FinishedRun, Folder};
use serde_json::Value;
use server::{FaithfulServer, TestServer};

use crate::common::{binary, server};

/// Rows of every rule: effects, screens, rejections, comparisons, conversations and samples.
const MIXED: [&str; 8] =
    ["field.*", "tools.*", "error.*", "stream.*", "content.text.*", "tool_choice.*", "side.*", "turns.*"];

/// Runs `fieldtest run TARGET --simulate` into `out`.
fn run_simulated(folder: &Folder, target: &str, out: &str, more: &[&str]) -> FinishedRun {
    folder.run(["run", target, "--simulate", "--out", out].iter().chain(more))
}

fn selects(globs: &[&'static str]) -> Vec<&'static str> {
    globs.iter().flat_map(|glob| ["--select", glob]).collect()
}

fn row<'a>(results: &'a Value, id: &str) -> &'a Value {
    results["rows"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("no row {id}"))
}

#[test]
fn a_replay_gives_the_same_results_byte_for_byte() {
    let folder = Folder::new();
    for (target, deviations, more) in [
        ("deepseek@2025-12", "", vec!["--concurrency", "16"]),
        ("deepseek@2025-12", "disobedience: 0.3\ninject_529: 0.1\ninject_reset: 0.1\n", vec![]),
        ("tencent-lkeap@2025-12", "faults: [sse.message-stop-missing]\n", vec!["--flip", "field.system=ignored"]),
        ("anthropic", "", vec!["--max-requests", "60"]),
        ("deepseek@2025-12", "faults: [http.redirect]\n", vec![]),
    ] {
        let mut arguments = selects(&MIXED[..6]);
        arguments.extend(["--record", "rec"]);
        arguments.extend(&more);
        if !deviations.is_empty() {
            arguments.extend(folder.write_simulator_file(deviations));
        }
        let first = run_simulated(&folder, target, "out", &arguments);
        let again = folder.run(["run", target, "--replay", "rec", "--out", "again"]);
        assert_eq!(again.code, first.code, "{deviations} {more:?}\n{}\n{}", first.stderr, again.stderr);
        let file_name = target.replace('@', "-");
        for file in [format!("results-{file_name}.json"), "matrix.md".to_owned()] {
            let (first, again) = (folder.read(&format!("out/{file}")), folder.read(&format!("again/{file}")));
            assert!(first == again, "{target} {more:?}: {file} differs");
        }
        folder.run(["judge", &format!("rec/recording-{file_name}.jsonl"), "--out", "judged"]);
        let name = format!("results-{file_name}.json");
        assert!(folder.read(&format!("judged/{name}")) == folder.read(&format!("again/{name}")), "judge differs");
    }
}

/// The requests of the run are named after its rows, not after rows that others depend on.
#[test]
fn a_replay_of_rows_that_depend_on_other_rows_gives_the_same_results() {
    let folder = Folder::new();
    run_simulated(&folder, "deepseek@2025-12", "out", &selects(&["tools.*", "turns.*"])).assert_exit_code(0);
    folder.run(["run", "--replay", "out", "--out", "again"]).assert_exit_code(0);
    let file = "results-deepseek-2025-12.json";
    assert!(folder.read(&format!("out/{file}")) == folder.read(&format!("again/{file}")));
}

#[test]
fn a_replay_reports_an_endpoint_that_stopped_responding() {
    let folder = Folder::new();
    let faithful = FaithfulServer::start();
    let failing = TestServer::start(move |asked, stream| match asked.number {
        0..40 => stream.write_all(&faithful.respond(asked)?),
        _ => Ok(()),
    });
    let url = failing.url();
    let run = ["run", "--base-url", &url, "--model", "m", "--name", "dies", "--api-key-env", "KEY", "--out", "out"];
    let more = ["--select", "field.*", "--retries", "0", "--claims", "deepseek@2025-12"];
    let ended = folder.run_with_env(&[("KEY", "fieldtest-simulator")], &[&run[..], &more].concat());
    assert!(ended.stderr.contains("stopped responding"), "{}", ended.stderr);
    folder.run(["run", "--replay", "out", "--out", "again"]).assert_stderr_contains(&["stopped responding"]);
    assert!(folder.read("out/results-dies.json") == folder.read("again/results-dies.json"));
}

#[test]
fn a_replay_without_a_target_replays_every_recording_of_the_folder() {
    let folder = Folder::new();
    folder.run(["run", "--select", "field.top_k", "--out", "out"]).assert_exit_code(0);
    folder.run(["run", "--replay", "out", "--out", "again"]).assert_exit_code(0);
    assert_eq!(
        folder.file_names("again", "results-"),
        ["results-deepseek-2025-12.json", "results-tencent-lkeap-2025-12.json"]
    );
    // `--replay` also accepts a file.
    folder.run(["run", "--replay", "out/recording-deepseek-2025-12.jsonl", "--out", "one"]).assert_exit_code(0);
    assert_eq!(folder.file_names("one", "results-"), ["results-deepseek-2025-12.json"]);
}

#[test]
fn a_replay_follows_select_and_claims() {
    let folder = Folder::new();
    run_simulated(&folder, "deepseek@2025-12", "out", &["--select", "field.*"]).assert_exit_code(0);
    let all = folder.results("out");
    // A single row gets the same verdict, although its shared requests carry the id of another row.
    folder
        .run(["run", "deepseek@2025-12", "--replay", "out", "--select", "field.top_k", "--out", "one"])
        .assert_exit_code(0);
    let one = folder.results("one");
    assert_eq!(one["rows"].as_array().unwrap().len(), 1);
    assert_eq!(row(&one, "field.top_k")["verdict"], row(&all, "field.top_k")["verdict"]);
    // Other claims.
    folder
        .run(["run", "deepseek@2025-12", "--replay", "out", "--claims", "anthropic", "--out", "held"])
        .assert_exit_code(1);
    let compared = folder.results("held");
    assert_eq!(row(&compared, "field.top_k")["outcome"], "contradicts");
    assert_eq!(compared["target"]["claims"]["target"], "anthropic");
    // The results contain a row without recorded requests. Its reason explains the missing verdict.
    let select = ["--select", "field.top_k", "--select", "tool_choice.auto"];
    folder
        .run(["run", "deepseek@2025-12", "--replay", "out", "--out", "more"].iter().chain(&select))
        .assert_exit_code(3)
        .assert_stderr_contains(&["partial", "the recording lacks requests"]);
    let more = folder.results("more");
    assert_eq!(row(&more, "tool_choice.auto")["verdict"]["status"], "skipped");
    assert_eq!(row(&more, "field.top_k")["verdict"]["status"], "ignored");
}

#[test]
fn a_changed_case_file_leaves_its_row_undecided() {
    let folder = Folder::new();
    run_simulated(
        &folder,
        "deepseek@2025-12",
        "out",
        &["--select", "field.system", "--select", "field.stop_sequences"],
    )
    .assert_exit_code(0);
    let changed = "rows:\n  - row: field.stop_sequences\n    title: stop_sequences\n    \
                   ask: Count from 1 to 30, separated by single spaces.\n    \
                   treatment: { body: { stop_sequences: [\" 9\"] } }\n    \
                   effect: { stop_reason: stop_sequence, stop_sequence: \" 9\" }\n    by_chance: never\n";
    let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/experiments/02-simple-fields.yaml");
    let bundled = std::fs::read_to_string(bundled).unwrap();
    let section = bundled.lines().find(|line| line.starts_with("section:")).unwrap();
    folder.write("cases/experiments/x.yaml", format!("{section}\n{changed}"));
    let ended = folder.run(["run", "deepseek@2025-12", "--replay", "out", "--cases", "cases", "--out", "again"]);
    let again = {
        ended.assert_exit_code(3);
        folder.results("again")
    };
    assert_eq!(row(&again, "field.stop_sequences")["verdict"]["status"], "skipped");
    assert_eq!(row(&again, "field.system")["verdict"]["status"], "supported");
}

mod bad_recordings {
    use super::*;

    /// A folder with a recording of one row, and its lines.
    fn record_one_row() -> (Folder, Vec<String>) {
        let folder = Folder::new();
        run_simulated(&folder, "deepseek@2025-12", "out", &["--select", "field.top_k"]).assert_exit_code(0);
        let lines = folder.read("out/recording-deepseek-2025-12.jsonl").lines().map(str::to_owned).collect();
        (folder, lines)
    }

    fn replay(folder: &Folder, lines: &[String]) -> FinishedRun {
        folder.write("rec/recording-deepseek-2025-12.jsonl", lines.join("\n") + "\n");
        folder.run(["run", "deepseek@2025-12", "--replay", "rec", "--out", "again"])
    }

    #[test]
    fn a_truncated_recording_gives_its_finished_rows_and_is_partial() {
        let (folder, lines) = record_one_row();
        replay(&folder, &lines[..lines.len() - 1])
            .assert_exit_code(3)
            .assert_stderr_contains(&["partial", "no footer"]);
        assert_eq!(row(&folder.results("again"), "field.top_k")["verdict"]["status"], "ignored");
        replay(&folder, &lines[..4]).assert_exit_code(3).assert_stderr_contains(&["partial"]);
        assert_eq!(row(&folder.results("again"), "field.top_k")["verdict"]["status"], "skipped");
        // The file ends in the middle of a line.
        let half = &lines[lines.len() - 3][..40];
        let text = format!("{}\n{half}", lines[..lines.len() - 3].join("\n"));
        folder.write("rec/recording-deepseek-2025-12.jsonl", text);
        folder
            .run(["run", "deepseek@2025-12", "--replay", "rec", "--out", "again"])
            .assert_exit_code(3)
            .assert_stderr_contains(&["partial"]);
    }

    #[test]
    fn a_recording_of_another_version_is_rejected() {
        let (folder, mut lines) = record_one_row();
        lines[0] = lines[0].replace("fieldtest-recording/1", "fieldtest-recording/7");
        replay(&folder, &lines).assert_exit_code(2).assert_stderr_contains(&[
            "line 1",
            "fieldtest-recording/7",
            "this version reads",
        ]);
    }

    #[test]
    fn an_edited_request_is_rejected_with_its_line() {
        let (folder, mut lines) = record_one_row();
        let at = lines.iter().position(|line| line.contains("exchange") && line.contains("\"top_k\"")).unwrap();
        lines[at] = lines[at].replacen("\"max_tokens\":1024", "\"max_tokens\":1025", 1);
        let line = format!("line {} ", at + 1);
        replay(&folder, &lines).assert_exit_code(2).assert_stderr_contains(&[&line, "another request", "edited"]);
    }

    #[test]
    fn a_trial_without_its_exchange_is_rejected_with_its_line() {
        let (folder, mut lines) = record_one_row();
        let at = lines.iter().position(|line| line.starts_with("{\"exchange\"") && line.contains("\"top_k\"")).unwrap();
        lines.remove(at);
        replay(&folder, &lines).assert_exit_code(2).assert_stderr_contains(&["line ", "refers to exchange"]);
    }

    #[test]
    fn a_path_without_a_recording_is_reported() {
        let folder = Folder::new();
        folder
            .run(["run", "deepseek@2025-12", "--replay", "nowhere"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["nowhere", "no such file or folder"]);
        folder.write("empty/x.txt", "");
        folder
            .run(["run", "--replay", "empty"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["no recording-*.jsonl in the folder"]);
        folder
            .run(["run", "deepseek@2025-12", "--replay", "empty"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["no recording-deepseek-2025-12.jsonl in the folder"]);
        folder
            .run(["run", "deepseek@2025-12", "--replay", "x", "--simulate"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["cannot be used with"]);
    }
}
