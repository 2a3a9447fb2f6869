//! Runs that end with 1: a claim is contradicted.

use super::*;

#[test]
fn a_contradiction() {
    let folder = Folder::new();
    run_simulated(&folder, &["--select", STOP, "--flip", "field.stop_sequences=ignored"]).assert_exit_code(1);
    assert_eq!(folder.results("out")["rows"][0]["outcome"], "contradicts");
}

#[test]
fn a_contradiction_of_one_of_two_targets() {
    let folder = Folder::new();
    folder
        .run(["run", "--select", STOP, "--flip", "field.stop_sequences=rejected", "--out", "out"])
        .assert_exit_code(1);
    assert_eq!(folder.file_names("out", "results-").len(), 2);
}

#[test]
fn a_contradiction_of_the_claims_of_another_target() {
    let folder = Folder::new();
    run_simulated(&folder, &["--select", "field.top_k", "--claims", "anthropic"]).assert_exit_code(1);
    let results = folder.results("out");
    assert_eq!(results["target"]["claims"]["target"], "anthropic");
    assert_eq!(results["rows"][0]["claim"]["status"], "supported");
}

#[test]
fn a_silent_row_fails_only_with_strict() {
    let folder = Folder::new();
    let silent = ["--select", "content.{image,tool_result.content}", "--flip", "content.image=ignored"];
    run_simulated(&folder, &silent).assert_exit_code(0);
    assert_eq!(folder.results("out")["rows"][0]["silent"], true);
    run_simulated(&folder, &[&silent[..], &["--strict"]].concat()).assert_exit_code(1);
}

#[test]
fn a_finding_fails_only_with_strict_and_a_note_never_fails() {
    let folder = Folder::new();
    let fault = |id: &str| folder.write_simulator_file(&format!("faults: [{id}]\n"));
    let warned = [&["--select", STOP][..], &fault("message.id-prefix")].concat();
    let report = run_simulated(&folder, &warned).assert_exit_code(0);
    assert!(report.stdout.contains("warning: message.id-prefix"), "{}", report.stdout);
    assert_eq!(folder.results("out")["findings"][0]["check"], "message.id-prefix");
    run_simulated(&folder, &[&warned[..], &["--strict"]].concat()).assert_exit_code(1);
    run_simulated(&folder, &[&["--select", STOP, "--strict"][..], &fault("message.key-unknown")].concat())
        .assert_exit_code(0);
    assert_eq!(folder.results("out")["findings"][0]["severity"], "note");
    run_simulated(&folder, &["--select", STOP, "--strict"]).assert_exit_code(0);
    let unknown = [&["--select", STOP][..], &fault("no.such")].concat();
    run_simulated(&folder, &unknown)
        .assert_exit_code(2)
        .assert_stderr_contains(&["simulator.yaml:1:", "no fault `no.such`"]);
    // A fault is of a simulation; nobody's endpoint is made to have one.
    let live = ["run", "--base-url", "http://127.0.0.1:9", "--model", "m"];
    folder.run(live.iter().chain(&fault("message.type"))).assert_exit_code(2).assert_stderr_contains(&["--simulate"]);
}

#[test]
fn a_recording_is_judged_with_other_claims() {
    let folder = Folder::new();
    run_simulated(&folder, &["--select", "field.top_k"]).assert_exit_code(0);
    let judge =
        |claims| folder.run(["judge", "out/recording-deepseek-2025-12.jsonl", "--claims", claims, "--out", "again"]);
    judge("anthropic").assert_exit_code(1);
    assert_eq!(folder.results("again")["rows"][0]["outcome"], "contradicts");
    judge("deepseek@2025-12").assert_exit_code(0);
    assert_eq!(folder.results("again"), folder.results("out"));
}
