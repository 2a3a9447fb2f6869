//! `fieldtest diff` with the real binary: regressions, improvements and changes between simulated
//! runs of one target and of two targets, with all formats and exit codes.

use binary::{FinishedRun, Folder};
use serde_json::Value;

use crate::common::binary;

const STOP: &str = "field.stop_sequences";

/// Runs a few rows of a simulated target and writes the results to a folder.
fn run_target(folder: &Folder, target: &str, out: &str, more: &[&str]) {
    let rows = ["--select", STOP, "--select", "field.stream", "--select", "field.top_k", "--select", "field.system"];
    let arguments = ["run", target, "--simulate", "--out", out];
    let finished = folder.run(arguments.iter().chain(&rows).chain(more));
    assert!(matches!(finished.code, Some(0 | 1)), "{}", finished.stderr);
}

/// Runs the simulation of deepseek two times.
fn two_runs(old: &[&str], new: &[&str]) -> Folder {
    let folder = Folder::new();
    run_target(&folder, "deepseek@2025-12", "old", old);
    run_target(&folder, "deepseek@2025-12", "new", new);
    folder
}

/// Runs it two times, the second time with these simulator options.
fn two_runs_with(options: &str) -> Folder {
    let folder = Folder::new();
    run_target(&folder, "deepseek@2025-12", "old", &[]);
    run_target(&folder, "deepseek@2025-12", "new", &folder.write_simulator_file(options));
    folder
}

fn diff(folder: &Folder, more: &[&str]) -> FinishedRun {
    folder.run(["diff", "old/results-deepseek-2025-12.json", "new/results-deepseek-2025-12.json"].iter().chain(more))
}

fn diff_json(folder: &Folder, more: &[&str]) -> Value {
    serde_json::from_str(&diff(folder, &[&["--format", "json"], more].concat()).stdout).unwrap()
}

#[test]
fn a_loss_exits_with_1_and_a_gain_with_0() {
    let folder = two_runs(&["--flip", "field.top_k=supported"], &["--flip", "field.stop_sequences=ignored"]);
    let finished = diff(&folder, &[]).assert_exit_code(1);
    for part in [
        "What changed at deepseek@2025-12",
        "Lost (2)",
        "field.top_k: supported",
        "field.stop_sequences",
        "2 regressions",
    ] {
        assert!(finished.stdout.contains(part), "no {part} in:\n{}", finished.stdout);
    }
    let back = folder
        .run(["diff", "new/results-deepseek-2025-12.json", "old/results-deepseek-2025-12.json"])
        .assert_exit_code(0);
    assert!(back.stdout.contains("Gained (2)") && back.stdout.contains("0 regressions"), "{}", back.stdout);
}

#[test]
fn equal_results_have_no_difference() {
    let folder = two_runs(&[], &[]);
    let same = folder
        .run(["diff", "old/results-deepseek-2025-12.json", "old/results-deepseek-2025-12.json"])
        .assert_exit_code(0);
    assert!(same.stdout.contains("No difference: 4 rows"), "{}", same.stdout);
    // Two runs with the same server have equal verdicts.
    assert!(diff(&folder, &["--strict"]).assert_exit_code(0).stdout.contains("No difference"));
}

#[test]
fn the_markdown_is_a_table_with_row_before_after_and_why() {
    let folder = two_runs(&[], &["--flip", "field.stop_sequences=unsupported"]);
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
fn devices_are_written_and_links_are_replaced() {
    let folder = two_runs(&[], &["--flip", "field.stop_sequences=unsupported"]);
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("linked.md"), "").unwrap();
    std::os::unix::fs::symlink("linked.md", path("link.md")).unwrap();
    diff(&folder, &["--format", "markdown", "--out", "link.md"]).assert_exit_code(1);
    assert!(!path("link.md").is_symlink());
    assert!(folder.read("link.md").contains("| row | before | after | why |"));
    assert_eq!(folder.read("linked.md"), "");
    diff(&folder, &["--out", "/dev/null"]).assert_exit_code(1);
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    // This pipe has no reader. Opening it would block forever.
    assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    diff(&folder, &["--out", "pipe"]).assert_exit_code(2).assert_stderr_contains(&["pipe: it is a named pipe"]);
}

#[test]
fn the_json_has_a_schema_and_a_stable_order() {
    let folder = two_runs(&["--flip", "field.top_k=supported"], &["--flip", "field.stop_sequences=ignored"]);
    let diff = diff_json(&folder, &[]);
    assert_eq!((&diff["schema"], &diff["regressions"]), (&"fieldtest-diff/2".into(), &2.into()));
    let rows: Vec<&Value> = diff["rows"].as_array().unwrap().iter().map(|row| &row["row"]).collect();
    assert_eq!(rows, [STOP, "field.top_k"]);
    assert_eq!(diff["rows"][0]["before"]["verdict"], "supported");
    assert_eq!(diff_json(&folder, &[]), diff);
}

#[test]
fn a_new_finding_with_severity_error_is_a_regression() {
    let folder = two_runs_with("faults: [sse.done-record]\n");
    let finished = diff(&folder, &[]).assert_exit_code(1);
    assert!(
        finished.stdout.contains("New findings (1)") && finished.stdout.contains("sse.done-record"),
        "{}",
        finished.stdout
    );
    folder
        .run(["diff", "new/results-deepseek-2025-12.json", "old/results-deepseek-2025-12.json", "--strict"])
        .assert_exit_code(0);
}

#[test]
fn a_row_that_becomes_inconclusive_is_a_regression_only_with_strict() {
    let folder = two_runs_with("disobedience: 1\n");
    let finished = diff(&folder, &[]);
    assert!(finished.stdout.contains("No longer decided"), "{}", finished.stdout);
    finished.assert_exit_code(0);
    diff(&folder, &["--strict"]).assert_exit_code(1);
}

#[test]
fn two_targets_are_compared_and_the_differing_settings_are_named() {
    let folder = Folder::new();
    run_target(&folder, "anthropic", "a", &[]);
    run_target(&folder, "deepseek@2025-12", "b", &["--confidence", "0.95"]);
    let files = ["diff", "a/results-anthropic.json", "b/results-deepseek-2025-12.json"];
    let finished = folder.run(files).assert_exit_code(1);
    let parts = [
        "What would change by moving from anthropic to deepseek@2025-12",
        "Would be lost (1)",
        "field.top_k",
        "the model differs: ",
        "the table of claims differs: ",
        "the required confidence differs: 0.99 and 0.95",
    ];
    for part in parts {
        assert!(finished.stdout.contains(part), "no {part} in:\n{}", finished.stdout);
    }
    let text = folder.run(files.iter().chain(&["--format", "markdown"])).assert_exit_code(1).stdout;
    assert!(text.contains("# What would change by moving from anthropic to deepseek@2025-12"), "{text}");
}

#[test]
fn new_and_missing_rows_are_reported() {
    let folder = two_runs(&[], &["--select", "field.top_p"]);
    let finished = diff(&folder, &[]).assert_exit_code(0);
    assert!(finished.stdout.contains("New rows (1)"), "{}", finished.stdout);
    assert!(
        finished.stdout.contains("the rows differ: 0 only in the first run, 1 only in the second"),
        "{}",
        finished.stdout
    );
}

#[test]
fn incomplete_edited_and_wrong_files_are_rejected() {
    let folder = two_runs(&[], &[]);
    let text = folder.read("new/results-deepseek-2025-12.json");
    let recording = folder.read("new/recording-deepseek-2025-12.jsonl");
    for (content, part) in [
        (&text[..text.len() - 9], "the file is incomplete"),
        (&text.replacen("\"outcome\": \"conforms\"", "\"outcome\": \"exceeds\"", 1), "The file was edited"),
        (&text.replacen("fieldtest-results/2", "fieldtest-results/0", 1), "fieldtest-results/0"),
        (&recording, "This is a recording"),
    ] {
        folder.write("new/results-deepseek-2025-12.json", content);
        diff(&folder, &[]).assert_exit_code(2).assert_stderr_contains(&["new/results-deepseek-2025-12.json", part]);
    }
    folder
        .run(["diff", "old/results-deepseek-2025-12.json", "nowhere.json"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["nowhere.json"]);
    folder.run(["diff", "old/results-deepseek-2025-12.json"]).assert_exit_code(2).assert_stderr_contains(&["NEW"]);
}

#[test]
fn the_help_has_valid_examples() {
    let folder = Folder::new();
    let help = folder.run(["diff", "--help"]).assert_exit_code(0).stdout;
    let (_, examples) = help.split_once("Examples").unwrap();
    let examples: Vec<&str> = examples.lines().filter_map(|line| line.trim().strip_prefix("fieldtest ")).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        folder.run(example.split_whitespace().chain(["--help"])).assert_exit_code(0);
    }
}
