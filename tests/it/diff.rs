//! `fieldtest diff` with the real binary: what was lost, gained and changed between simulated runs, of one target and of
//! two, with every format and exit code.

use binary::{FinishedRun, Folder};
use serde_json::Value;

use crate::common::binary;

const STOP: &str = "field.stop_sequences";

/// A run of a target's simulation over a few rows, into a folder.
fn run(folder: &Folder, target: &str, out: &str, more: &[&str]) {
    let rows = ["--select", STOP, "--select", "field.stream", "--select", "field.top_k", "--select", "field.system"];
    let arguments = ["run", target, "--simulate", "--out", out];
    let ended = folder.run(arguments.iter().chain(&rows).chain(more));
    assert!(matches!(ended.code, Some(0 | 1)), "{}", ended.stderr);
}

/// Two runs of deepseek's simulation.
fn two(old: &[&str], new: &[&str]) -> Folder {
    let folder = Folder::new();
    run(&folder, "deepseek", "old", old);
    run(&folder, "deepseek", "new", new);
    folder
}

/// Two such runs, the second of a simulation with these deviations.
fn two_with(deviations: &str) -> Folder {
    let folder = Folder::new();
    run(&folder, "deepseek", "old", &[]);
    run(&folder, "deepseek", "new", &folder.write_simulator_file(deviations));
    folder
}

fn diff(folder: &Folder, more: &[&str]) -> FinishedRun {
    folder.run(["diff", "old/results-deepseek.json", "new/results-deepseek.json"].iter().chain(more))
}

fn json(folder: &Folder, more: &[&str]) -> Value {
    serde_json::from_str(&diff(folder, &[&["--format", "json"], more].concat()).stdout).unwrap()
}

#[test]
fn what_was_lost_ends_with_1_and_what_was_gained_with_0() {
    let folder = two(&["--flip", "field.top_k=supported"], &["--flip", "field.stop_sequences=ignored"]);
    let ended = diff(&folder, &[]).assert_exit_code(1);
    for part in
        ["What changed at deepseek", "Lost (2)", "field.top_k: supported", "field.stop_sequences", "2 regressions"]
    {
        assert!(ended.stdout.contains(part), "no {part} in:\n{}", ended.stdout);
    }
    let back = folder.run(["diff", "new/results-deepseek.json", "old/results-deepseek.json"]).assert_exit_code(0);
    assert!(back.stdout.contains("Gained (2)") && back.stdout.contains("0 regressions"), "{}", back.stdout);
}

#[test]
fn the_same_file_differs_in_nothing() {
    let folder = two(&[], &[]);
    let same = folder.run(["diff", "old/results-deepseek.json", "old/results-deepseek.json"]).assert_exit_code(0);
    assert!(same.stdout.contains("No difference: 4 rows"), "{}", same.stdout);
    // Two runs of the same server found the same.
    assert!(diff(&folder, &["--strict"]).assert_exit_code(0).stdout.contains("No difference"));
}

#[test]
fn the_markdown_is_a_table_of_row_before_after_why() {
    let folder = two(&[], &["--flip", "field.stop_sequences=unsupported"]);
    diff(&folder, &["--format", "markdown", "--out", "diff.md"]).assert_exit_code(1);
    let text = folder.read("diff.md");
    let table: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    let [header, _, row] = table.as_slice() else { panic!("{text}") };
    assert_eq!(*header, "| row | before | after | why |");
    assert!(row.starts_with("| `field.stop_sequences` | supported, conforms | rejected "), "{row}");
    assert!(row.contains(", contradicts | rejected with HTTP 400: stop_sequences: not supported"), "{row}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_written_through_and_not_replaced() {
    let folder = two(&[], &["--flip", "field.stop_sequences=unsupported"]);
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("linked.md"), "").unwrap();
    std::os::unix::fs::symlink("linked.md", path("link.md")).unwrap();
    diff(&folder, &["--format", "markdown", "--out", "link.md"]).assert_exit_code(1);
    assert!(path("link.md").is_symlink());
    assert!(folder.read("linked.md").contains("| row | before | after | why |"));
    diff(&folder, &["--out", "/dev/null"]).assert_exit_code(1);
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    // Nobody reads this one: to open it would wait for ever.
    assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    diff(&folder, &["--out", "pipe"]).assert_exit_code(2).assert_stderr_contains(&["pipe: it is a named pipe"]);
}

#[test]
fn the_json_has_a_schema_and_a_stable_order() {
    let folder = two(&["--flip", "field.top_k=supported"], &["--flip", "field.stop_sequences=ignored"]);
    let told = json(&folder, &[]);
    assert_eq!((&told["schema"], &told["regressions"]), (&"fieldtest-diff/1".into(), &2.into()));
    let rows: Vec<&Value> = told["rows"].as_array().unwrap().iter().map(|row| &row["row"]).collect();
    assert_eq!(rows, [STOP, "field.top_k"]);
    assert_eq!(told["rows"][0]["before"]["verdict"], "supported");
    assert_eq!(json(&folder, &[]), told);
}

#[test]
fn a_finding_of_severity_error_that_came_is_a_regression() {
    let folder = two_with("faults: [sse.done-record]\n");
    let ended = diff(&folder, &[]).assert_exit_code(1);
    assert!(ended.stdout.contains("New findings (1)") && ended.stdout.contains("sse.done-record"), "{}", ended.stdout);
    folder.run(["diff", "new/results-deepseek.json", "old/results-deepseek.json", "--strict"]).assert_exit_code(0);
}

#[test]
fn what_is_no_longer_decided_is_a_regression_only_strictly() {
    let folder = two_with("disobedience: 1\n");
    let ended = diff(&folder, &[]);
    assert!(ended.stdout.contains("No longer decided"), "{}", ended.stdout);
    ended.assert_exit_code(0);
    diff(&folder, &["--strict"]).assert_exit_code(1);
}

#[test]
fn two_targets_are_compared_in_words_that_fit_and_what_differs_is_told() {
    let folder = Folder::new();
    run(&folder, "anthropic", "a", &[]);
    run(&folder, "deepseek", "b", &["--confidence", "0.95"]);
    let files = ["diff", "a/results-anthropic.json", "b/results-deepseek.json"];
    let ended = folder.run(files).assert_exit_code(1);
    let parts = [
        "What would change by moving from anthropic to deepseek",
        "Would be lost (1)",
        "field.top_k",
        "the model differs: ",
        "the table of claims differs: ",
        "the confidence asked for differs: 0.99 and 0.95",
    ];
    for part in parts {
        assert!(ended.stdout.contains(part), "no {part} in:\n{}", ended.stdout);
    }
    let text = folder.run(files.iter().chain(&["--format", "markdown"])).assert_exit_code(1).stdout;
    assert!(text.contains("# What would change by moving from anthropic to deepseek"), "{text}");
}

#[test]
fn rows_that_came_and_went_are_told() {
    let folder = two(&[], &["--select", "field.top_p"]);
    let ended = diff(&folder, &[]).assert_exit_code(0);
    assert!(ended.stdout.contains("New rows (1)"), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("the rows differ: 0 only in the first run, 1 only in the second"),
        "{}",
        ended.stdout
    );
}

#[test]
fn files_that_were_cut_edited_or_are_something_else_are_refused() {
    let folder = two(&[], &[]);
    let text = folder.read("new/results-deepseek.json");
    let recording = folder.read("new/recording-deepseek.jsonl");
    for (content, part) in [
        (&text[..text.len() - 9], "the file is incomplete"),
        (&text.replacen("\"outcome\": \"conforms\"", "\"outcome\": \"exceeds\"", 1), "The file was edited"),
        (&text.replacen("fieldtest-results/1", "fieldtest-results/0", 1), "fieldtest-results/0"),
        (&recording, "it is a recording"),
    ] {
        folder.write("new/results-deepseek.json", content);
        diff(&folder, &[]).assert_exit_code(2).assert_stderr_contains(&["new/results-deepseek.json", part]);
    }
    folder
        .run(["diff", "old/results-deepseek.json", "nowhere.json"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["nowhere.json"]);
    folder.run(["diff", "old/results-deepseek.json"]).assert_exit_code(2).assert_stderr_contains(&["NEW"]);
}

#[test]
fn the_help_has_examples_that_are_taken() {
    let folder = Folder::new();
    let help = folder.run(["diff", "--help"]).assert_exit_code(0).stdout;
    let (_, examples) = help.split_once("Examples").unwrap();
    let examples: Vec<&str> = examples.lines().filter_map(|line| line.trim().strip_prefix("fieldtest ")).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        folder.run(example.split_whitespace().chain(["--help"])).assert_exit_code(0);
    }
}
