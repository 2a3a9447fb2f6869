//! Runs that end with 0: no claim is contradicted.

use super::*;

#[test]
fn a_run_without_arguments_tests_both_tables_without_network_or_key() {
    let folder = Folder::new();
    let finished = folder.run(["run", "--select", STOP, "--select", "field.top_k"]).assert_exit_code(0);
    assert!(
        finished.stdout.contains("deepseek@2025-12") && finished.stdout.contains("tencent-lkeap@2025-12"),
        "{}",
        finished.stdout
    );
    assert!(finished.stdout.contains("simulated"), "a simulation is told as such: {}", finished.stdout);
    let files = ["recording-deepseek-2025-12.jsonl", "recording-tencent-lkeap-2025-12.jsonl"];
    assert_eq!(folder.file_names("reports", "recording-"), files);
    assert_eq!(
        folder.file_names("reports", "results-"),
        ["results-deepseek-2025-12.json", "results-tencent-lkeap-2025-12.json"]
    );
    assert!(folder.read("reports/matrix.md").contains("top_k"));
}

#[test]
fn a_named_simulation() {
    let folder = folder_with_results();
    let results = folder.results("out");
    assert_eq!(results["schema"], "fieldtest-results/2");
    assert_eq!((&results["target"]["simulated"], &results["partial"]), (&Value::Bool(true), &Value::Null));
    assert_eq!(results["rows"][0]["outcome"], "conforms");
}

#[test]
fn a_server_is_tested_by_its_base_url_with_and_without_a_path() {
    let folder = Folder::new();
    let simulator = SimulatorProcess::start(&folder, &["anthropic"]);
    let authority = simulator.url.strip_prefix("http://").unwrap();
    for (path, more, claim) in [
        ("", &["--claims", "deepseek@2025-12"][..], Value::from("supported")),
        ("/", &[], Value::Null),
        ("/anthropic", &["--claims", "anthropic"], Value::from("supported")),
        ("/a/b/v1/messages", &[], Value::Null),
    ] {
        let folder = Folder::new();
        let url = format!("{}{path}", simulator.url);
        let arguments = ["run", "--base-url", &url, "--model", "claude-sonnet-4-5", "--select", STOP, "--out", "out"];
        let arguments = [&arguments[..], &["--api-key-env", "KEY"], more].concat();
        folder.run_with_env(&[("KEY", &simulator.key)], &arguments).assert_exit_code(0);
        let results = folder.results("out");
        let target = &results["target"];
        assert_eq!((&target["name"], &target["simulated"]), (&authority.into(), &false.into()), "{path}");
        let row = &results["rows"][0];
        assert_eq!((&row["verdict"]["status"], &row["claim"]["status"]), (&"supported".into(), &claim), "{path}");
    }
}

#[test]
fn the_name_option_names_results_and_files() {
    let folder = Folder::new();
    let simulator = SimulatorProcess::start(&folder, &["deepseek@2025-12"]);
    let arguments =
        ["run", "--base-url", &simulator.url, "--claims", "deepseek@2025-12", "--select", STOP, "--out", "out"];
    let arguments = [&arguments[..], &["--api-key-env", "KEY", "--name", "../gateway é"]].concat();
    folder.run_with_env(&[("KEY", &simulator.key)], &arguments).assert_exit_code(0);
    assert_eq!(folder.results("out")["target"]["name"], "../gateway é");
    assert_eq!(folder.file_names("out", ""), ["matrix.md", "recording-gateway.jsonl", "results-gateway.json"]);
}

#[test]
fn more_than_the_claim_is_not_a_contradiction() {
    let folder = Folder::new();
    run_simulated(&folder, &["--select", "field.top_k", "--flip", "field.top_k=supported"]).assert_exit_code(0);
    assert_eq!(folder.results("out")["rows"][0]["outcome"], "exceeds");
}
