//! The report formats for CI, from the real binary: files, annotations, summaries and badges, also
//! with text from a hostile server.

use binary::{FinishedRun, Folder};
use quick_junit::{Report, TestCase, TestCaseStatus};
use server::{TestServer, write_response};

use crate::common::{binary, server};

const ALL_FORMATS: &str = "terminal,markdown,json,html,junit,github,badge";
/// The maximum size of a step summary on GitHub.
const MAX_SUMMARY_BYTES: usize = 1024 * 1024;

/// A run of two rows of the simulated deepseek. One row contradicts its claim.
const RUN_ARGUMENTS: [&str; 12] = [
    "run",
    "deepseek@2025-12",
    "--simulate",
    "--select",
    "field.stop_sequences",
    "--select",
    "field.metadata",
    "--flip",
    "field.metadata=unsupported",
    "--out",
    "out",
    "--format",
];

fn run(folder: &Folder, variables: &[(&str, &str)], more: &[&str]) -> FinishedRun {
    folder.run_with_env(variables, &[&RUN_ARGUMENTS[..], &[ALL_FORMATS], more].concat())
}

fn read_junit(folder: &Folder, out: &str) -> Report {
    Report::deserialize_from_str(&folder.read(&format!("{out}/junit.xml"))).unwrap()
}

fn find_case<'a>(report: &'a Report, name: &str) -> &'a TestCase {
    report.test_suites.iter().flat_map(|suite| &suite.test_cases).find(|case| case.name.as_str() == name).unwrap()
}

#[test]
fn every_format_shows_the_contradiction() {
    let folder = Folder::new();
    let finished = run(&folder, &[], &[]).assert_exit_code(1).assert_stderr_contains(&[
        "junit.xml",
        "matrix.html",
        "badge-*.json",
    ]);
    let report = read_junit(&folder, "out");
    assert_eq!((report.tests, report.failures, report.errors, report.skipped), (2, 1, 0, 0));
    let TestCaseStatus::NonSuccess { ty, message, description, .. } = &find_case(&report, "field.metadata").status
    else {
        panic!("{:?}", find_case(&report, "field.metadata"));
    };
    assert_eq!(ty.as_deref(), Some("contradicts"));
    assert!(message.as_deref().unwrap().starts_with("claimed ignored, observed rejected: "), "{message:?}");
    let details = description.as_deref().unwrap();
    assert!(details.contains("curl ") && details.contains("The response:"), "{details}");
    let annotation =
        "::error title=deepseek@2025-12%3A field.metadata contradicts::claimed ignored, observed rejected: ";
    assert!(finished.stdout.lines().any(|line| line.starts_with(annotation)), "{}", finished.stdout);
    assert!(
        folder.read("out/matrix.html").contains("<strong>The")
            || folder.read("out/matrix.html").contains("is simulated")
    );
    let badge: serde_json::Value = serde_json::from_str(&folder.read("out/badge-deepseek-2025-12.json")).unwrap();
    let expected = serde_json::json!({
        "schemaVersion": 1, "label": "deepseek@2025-12 (simulated)", "message": "1 conform, 1 contradicted", "color": "red",
    });
    assert_eq!(badge, expected);
    // Without GITHUB_STEP_SUMMARY, the summary is a file in the output folder.
    assert!(folder.read("out/summary.md").contains("## Contradictions (1)"));
}

#[test]
fn results_can_be_rendered_again_without_requests() {
    let folder = Folder::new();
    run(&folder, &[], &[]).assert_exit_code(1);
    folder
        .run(["report", "out/results-deepseek-2025-12.json", "--out", "again", "--format", "junit,html,badge"])
        .assert_exit_code(0);
    for file in ["junit.xml", "matrix.html", "badge-deepseek-2025-12.json"] {
        assert_eq!(folder.read(&format!("again/{file}")), folder.read(&format!("out/{file}")), "{file}");
    }
    assert!(!folder.exists("again/matrix.md"));
}

#[test]
fn two_runs_of_a_target_have_two_badges() {
    let folder = Folder::new();
    run(&folder, &[], &[]).assert_exit_code(1);
    let results = "out/results-deepseek-2025-12.json";
    folder.run(["report", results, results, "--out", "again", "--format", "badge"]).assert_exit_code(0);
    assert_eq!(folder.file_names("again", "badge-"), ["badge-deepseek-2025-12-2.json", "badge-deepseek-2025-12.json"]);
}

#[test]
fn the_step_summary_is_appended_and_limited_to_the_maximum_of_github() {
    let folder = Folder::new();
    for (existing_bytes, expected) in
        [(20, "## Contradictions (1)"), (MAX_SUMMARY_BYTES - 3_000, "Left out"), (MAX_SUMMARY_BYTES, "")]
    {
        let before = "x".repeat(existing_bytes);
        let path = folder.write("summary", &before);
        run(&folder, &[("GITHUB_STEP_SUMMARY", path.to_str().unwrap())], &[]).assert_exit_code(1);
        let after = folder.read("summary");
        let added = after.strip_prefix(&before).unwrap();
        assert!(after.len() <= MAX_SUMMARY_BYTES && added.contains(expected), "{existing_bytes}: {added}");
        assert!(!folder.exists("out/summary.md"));
    }
    let named = [("GITHUB_STEP_SUMMARY", "no/such/folder/summary")];
    run(&folder, &named, &[]).assert_exit_code(2).assert_stderr_contains(&["cannot write no/such/folder/summary"]);
}

#[test]
fn an_undetermined_row_fails_with_strict() {
    let folder = Folder::new();
    let arguments = ["run", "deepseek@2025-12", "--simulate", "--select", "field.system", "--select", "field.metadata"];
    let more =
        [&folder.write_simulator_file("disobedience: 1\n")[..], &["--format", "junit,github", "--out", "out"]].concat();
    let loose = folder.run(arguments.iter().chain(&more)).assert_exit_code(0);
    assert!(
        loose.stdout.contains("::warning title=deepseek@2025-12%3A field.system undetermined::"),
        "{}",
        loose.stdout
    );
    let report = read_junit(&folder, "out");
    assert!(matches!(find_case(&report, "field.system").status, TestCaseStatus::Skipped { .. }));
    let strict = folder.run(arguments.iter().chain(&more).chain(&["--strict"])).assert_exit_code(1);
    assert!(
        strict.stdout.contains("::error title=deepseek@2025-12%3A field.system undetermined::"),
        "{}",
        strict.stdout
    );
    assert_eq!(read_junit(&folder, "out").failures, 1);
}

#[test]
fn a_baseline_skips_known_failures_and_fails_stale_entries() {
    let folder = Folder::new();
    run(&folder, &[], &[]).assert_exit_code(1);
    let write =
        ["baseline", "write", "out/results-deepseek-2025-12.json", "-o", "known.yaml", "--reason", "refused until 1.4"];
    folder.run(write).assert_exit_code(0);
    let finished = run(&folder, &[], &["--baseline", "known.yaml"]).assert_exit_code(0);
    assert!(!finished.stdout.contains("::error"), "{}", finished.stdout);
    assert!(
        finished.stdout.contains("::notice title=deepseek@2025-12%3A expected::1 failure as listed"),
        "{}",
        finished.stdout
    );
    let report = read_junit(&folder, "out");
    let TestCaseStatus::Skipped { ty, message, .. } = &find_case(&report, "field.metadata").status else {
        panic!("{report:?}")
    };
    assert_eq!(ty.as_deref(), Some("expected"));
    assert!(message.as_deref().unwrap().contains("refused until 1.4"), "{message:?}");
    assert!(folder.read("out/matrix.html").contains("compared with known.yaml"));
    assert!(folder.read("out/badge-deepseek-2025-12.json").contains("\"orange\""));
    // The gateway is fixed, so the entry is stale.
    let fixed_run: Vec<&str> =
        RUN_ARGUMENTS.into_iter().filter(|word| *word != "--flip" && !word.contains('=')).collect();
    let finished = folder.run(fixed_run.iter().chain(&[ALL_FORMATS, "--baseline", "known.yaml"])).assert_exit_code(1);
    assert!(
        finished.stdout.contains("::error title=deepseek@2025-12%3A field.metadata stale::"),
        "{}",
        finished.stdout
    );
    let TestCaseStatus::NonSuccess { ty, .. } =
        &find_case(&read_junit(&folder, "out"), "field.metadata").status.clone()
    else {
        panic!("a stale entry passed");
    };
    assert_eq!(ty.as_deref(), Some("stale"));
}

/// A server may send any text. None of it becomes a workflow command, markup or an invalid file.
#[test]
fn text_of_a_hostile_server_becomes_no_command_and_no_markup() {
    let evil = "\\n::error::pwned\\r\\n  ::add-mask::x\\n##[error]old\\u001b[2J<script>alert(1)</script>|]]></failure></details>";
    let server = TestServer::start(move |_, stream| {
        let body =
            format!("{{\"type\":\"error\",\"error\":{{\"type\":\"invalid_request_error\",\"message\":\"{evil}\"}}}}");
        write_response(stream, "400 Bad Request", "application/json", body)
    });
    let folder = Folder::new();
    let url = server.url();
    let arguments = [
        "run",
        "--base-url",
        &url,
        "--model",
        "m",
        "--claims",
        "deepseek@2025-12",
        "--select",
        "field.s*",
        "--retries",
        "0",
    ];
    let name = ["--name", "::warning::x", "--out", "out", "--format", ALL_FORMATS];
    let finished = folder.run(arguments.iter().chain(&name)).assert_exit_code(3);
    let ours = ["::error title=", "::warning title=", "::notice title="];
    let mut annotations = 0;
    for line in finished.stdout.lines().chain(finished.stderr.lines()) {
        assert!(!line.contains("##["), "{line}");
        if line.trim_start().starts_with("::") {
            assert!(ours.iter().any(|begin| line.starts_with(begin)), "{line}");
            annotations += 1;
        }
    }
    assert!(annotations > 0);
    let report = read_junit(&folder, "out");
    assert!(report.errors > 0 && report.failures == 0, "{report:?}");
    for file in ["matrix.html", "summary.md", "junit.xml", "matrix.md"] {
        let text = folder.read(&format!("out/{file}"));
        assert!(!text.contains("<script") && !text.contains('\u{1b}'), "{file}");
        assert!(text.contains("script"), "{file}: the text of the server is shown");
    }
}
