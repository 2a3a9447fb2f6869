//! Baselines with the real binary: expected, unexpected and stale failures, inconclusive rows,
//! expired and invalid entries, and the commands that write, update and lint baseline files.

use binary::{FinishedRun, Folder};
use fieldtest::engine::InconclusiveReason;
use serde_json::Value;

use crate::common::binary;

/// Rows with few requests that the table of deepseek calls supported.
const STOP: &str = "field.stop_sequences";
const STREAM: &str = "field.stream";
/// A row that stays inconclusive if the model never obeys.
const SYSTEM: &str = "field.system";

/// A flip that makes the row fail.
const BROKEN: &str = "field.stop_sequences=ignored";

/// Runs `fieldtest run deepseek@2025-12 --simulate` with the first two rows and more arguments.
fn run(folder: &Folder, more: &[&str]) -> FinishedRun {
    let arguments = ["run", "deepseek@2025-12", "--simulate", "--out", "out", "--select", STOP, "--select", STREAM];
    folder.run(arguments.iter().chain(more))
}

fn row_entry(row: &str, verdict: &str, more: &str) -> String {
    format!("  - row: {row}\n    verdict: {verdict}\n    reason: not forwarded before 1.4\n{more}")
}

/// Creates a folder with a baseline file.
fn folder_with_baseline(entries: &[String]) -> Folder {
    let folder = Folder::new();
    let entries = if entries.is_empty() { "  []\n".to_owned() } else { entries.concat() };
    folder.write("known.yaml", format!("schema: fieldtest-baseline/1\nexpect:\n{entries}"));
    folder
}

/// Returns the entry of a row or a check in the baseline comparison of the results.
fn compared_entry(folder: &Folder, id: &str) -> Value {
    let results = folder.results("out");
    let entries = results["baseline"]["entries"].as_array().unwrap_or_else(|| panic!("no baseline in {results}"));
    let is_wanted = |entry: &&Value| entry["row"] == id || entry["check"] == id;
    entries.iter().find(is_wanted).cloned().unwrap_or(Value::Null)
}

const WITH_BASELINE: [&str; 2] = ["--baseline", "known.yaml"];

mod cases {
    use super::*;

    #[test]
    fn a_listed_failure_passes() {
        let folder = folder_with_baseline(&[row_entry(
            STOP,
            "ignored",
            "    link: https://x.example/7\n    until: 2999-12-31\n",
        )]);
        let finished = run(&folder, &[&WITH_BASELINE[..], &["--flip", BROKEN]].concat()).assert_exit_code(0);
        let entry = compared_entry(&folder, STOP);
        assert_eq!(
            (&entry["case"], &entry["listed"], &entry["cause"]),
            (&"expected".into(), &true.into(), &Value::Null)
        );
        assert_eq!((&entry["reason"], &entry["until"]), (&"not forwarded before 1.4".into(), &"2999-12-31".into()));
        assert_eq!(
            folder.results("out")["rows"][0]["outcome"],
            "contradicts",
            "the baseline does not change the outcome"
        );
        for text in [finished.stdout, folder.read("out/matrix.md")] {
            for part in ["known.yaml", "expected", "not forwarded before 1.4", "2999-12-31", "https://x.example/7"] {
                assert!(text.contains(part), "no {part} in:\n{text}");
            }
        }
    }

    #[test]
    fn an_unlisted_failure_fails() {
        let folder = folder_with_baseline(&[]);
        run(&folder, &[&WITH_BASELINE[..], &["--flip", BROKEN]].concat())
            .assert_exit_code(1)
            .assert_stderr_contains(&["deepseek@2025-12: compared with known.yaml: 1 regression"]);
        let entry = compared_entry(&folder, STOP);
        assert_eq!((&entry["case"], &entry["cause"]), (&"regression".into(), &"unlisted".into()));
        assert!(folder.read("out/matrix.md").contains("**regression**: not listed"));
    }

    #[test]
    fn a_listed_row_that_passes_is_stale_and_fails() {
        let folder = folder_with_baseline(&[row_entry(STOP, "ignored", "")]);
        run(&folder, &WITH_BASELINE).assert_exit_code(1).assert_stderr_contains(&["1 stale entry"]);
        assert_eq!(compared_entry(&folder, STOP)["case"], "stale");
    }

    #[test]
    fn an_unlisted_row_that_passes_passes() {
        let folder = folder_with_baseline(&[]);
        run(&folder, &WITH_BASELINE).assert_exit_code(0);
        assert_eq!(folder.results("out")["baseline"]["counts"]["passes"], 2);
    }

    #[test]
    fn an_entry_matches_only_its_verdict() {
        let folder = folder_with_baseline(&[row_entry(STOP, "rejected", "")]);
        run(&folder, &[&WITH_BASELINE[..], &["--flip", BROKEN]].concat()).assert_exit_code(1);
        let entry = compared_entry(&folder, STOP);
        assert_eq!((&entry["cause"], &entry["before"]), (&"another_verdict".into(), &"rejected".into()));
    }

    #[test]
    fn an_expired_entry_does_not_apply() {
        let folder = folder_with_baseline(&[row_entry(STOP, "ignored", "    until: 2020-02-29\n")]);
        let finished = run(&folder, &[&WITH_BASELINE[..], &["--flip", BROKEN]].concat()).assert_exit_code(1);
        assert_eq!(compared_entry(&folder, STOP)["cause"], "expired");
        assert!(finished.stdout.contains("the entry expired after 2020-02-29"), "{}", finished.stdout);
    }

    #[test]
    fn an_inconclusive_row_satisfies_no_entry_and_fails_only_with_strict() {
        let folder = folder_with_baseline(&[row_entry(SYSTEM, "ignored", "")]);
        let arguments =
            [&WITH_BASELINE[..], &["--select", SYSTEM], &folder.write_simulator_file("disobedience: 1\n")].concat();
        run(&folder, &arguments).assert_exit_code(0);
        let entry = compared_entry(&folder, SYSTEM);
        assert_eq!((&entry["case"], &entry["now"]), (&"unconfirmed".into(), &"inconclusive".into()), "{entry}");
        run(&folder, &[&arguments[..], &["--strict"]].concat()).assert_exit_code(1);
    }

    #[test]
    fn an_untestable_target_satisfies_no_entry() {
        let folder = folder_with_baseline(&[row_entry(STOP, "ignored", "")]);
        run(
            &folder,
            &[&WITH_BASELINE[..], &folder.write_simulator_file("inject_429: 1\n"), &["--retries", "0"]].concat(),
        )
        .assert_exit_code(3);
        assert_eq!(compared_entry(&folder, STOP)["case"], "unconfirmed");
    }

    #[test]
    fn an_entry_of_an_unselected_row_is_reported_and_does_not_fail() {
        let folder = folder_with_baseline(&[row_entry("field.top_p", "ignored", "")]);
        let finished = run(&folder, &WITH_BASELINE).assert_exit_code(0);
        assert_eq!(compared_entry(&folder, "field.top_p")["case"], "not_run");
        assert!(finished.stdout.contains("not run: field.top_p"), "{}", finished.stdout);
    }

    #[test]
    fn gateway_verdicts_are_accepted_in_entries() {
        let folder = folder_with_baseline(&[row_entry(STOP, "dropped", "")]);
        run(&folder, &[&WITH_BASELINE[..], &["--flip", BROKEN]].concat()).assert_exit_code(0);
    }
}

/// A simulator file with one fault.
const FAULT_FILE: &str = "faults: [sse.done-record]\n";

mod findings {
    use super::*;

    fn check_entry(id: &str) -> String {
        format!("  - check: {id}\n    reason: an OpenAI habit\n")
    }

    #[test]
    fn a_listed_finding_passes_and_an_unlisted_finding_fails() {
        let folder = folder_with_baseline(&[]);
        run(&folder, &folder.write_simulator_file(FAULT_FILE)).assert_exit_code(0);
        run(&folder, &[&WITH_BASELINE[..], &folder.write_simulator_file(FAULT_FILE)].concat()).assert_exit_code(1);
        let entry = compared_entry(&folder, "sse.done-record");
        assert_eq!((&entry["case"], &entry["cause"]), (&"regression".into(), &"unlisted".into()));
        let folder = folder_with_baseline(&[check_entry("sse.done-record")]);
        run(&folder, &[&WITH_BASELINE[..], &folder.write_simulator_file(FAULT_FILE)].concat()).assert_exit_code(0);
        assert_eq!(compared_entry(&folder, "sse.done-record")["case"], "expected");
    }

    /// Baselines know the codes of the engine only as text.
    #[test]
    fn the_codes_of_rows_without_a_response_match_the_engine() {
        let codes = [
            InconclusiveReason::NegativeFailed,
            InconclusiveReason::TreatmentFailed,
            InconclusiveReason::ChallengeFailed,
        ];
        assert_eq!(codes.map(InconclusiveReason::as_str), fieldtest::results::baseline::NO_RESPONSE_CODES);
    }

    /// If only some rows run, another row may still show the finding.
    #[test]
    fn a_missing_finding_is_stale_only_after_a_complete_run() {
        let folder = folder_with_baseline(&[check_entry("sse.done-record")]);
        run(&folder, &WITH_BASELINE).assert_exit_code(0);
        assert_eq!(compared_entry(&folder, "sse.done-record")["case"], "not_run");
        folder
            .run(["run", "deepseek@2025-12", "--simulate", "--out", "out", "--baseline", "known.yaml"])
            .assert_exit_code(1);
        assert_eq!(compared_entry(&folder, "sse.done-record")["case"], "stale");
    }
}

mod earlier_runs {
    use super::*;

    /// Runs once and returns a folder with `before/results-deepseek-2025-12.json`.
    fn folder_with_earlier_run(more: &[&str]) -> Folder {
        let folder = Folder::new();
        run(&folder, more);
        std::fs::rename(folder.path().join("out"), folder.path().join("before")).unwrap();
        folder
    }

    const WITH_EARLIER_RUN: [&str; 2] = ["--baseline", "before/results-deepseek-2025-12.json"];

    #[test]
    fn failures_of_the_earlier_run_are_expected() {
        let folder = folder_with_earlier_run(&["--flip", BROKEN]);
        run(&folder, &[&WITH_EARLIER_RUN[..], &["--flip", BROKEN]].concat()).assert_exit_code(0);
        let baseline = &folder.results("out")["baseline"];
        assert_eq!(
            (&baseline["kind"], &baseline["earlier"]["target"]),
            (&"results".into(), &"deepseek@2025-12".into())
        );
        assert_eq!(compared_entry(&folder, STOP)["case"], "expected");
        run(&folder, &WITH_EARLIER_RUN).assert_exit_code(1);
        assert_eq!(compared_entry(&folder, STOP)["case"], "stale");
    }

    #[test]
    fn a_worse_verdict_is_a_regression_without_a_claim() {
        let folder = folder_with_earlier_run(&[
            "--claims",
            "tencent-lkeap@2025-12",
            "--select",
            "field.top_k",
            "--flip",
            "field.top_k=supported",
        ]);
        let now = ["--claims", "tencent-lkeap@2025-12", "--select", "field.top_k"];
        run(&folder, &now).assert_exit_code(0);
        let finished = run(&folder, &[&WITH_EARLIER_RUN[..], &now].concat()).assert_exit_code(1);
        let entry = compared_entry(&folder, "field.top_k");
        assert_eq!((&entry["cause"], &entry["listed"]), (&"fell_behind".into(), &false.into()), "{entry}");
        assert!(finished.stdout.contains("worse than in the earlier run"), "{}", finished.stdout);
    }

    #[test]
    fn another_target_is_allowed_and_reported() {
        let folder = folder_with_earlier_run(&[]);
        let arguments =
            ["run", "tencent-lkeap@2025-12", "--simulate", "--out", "out", "--select", STOP, "--select", STREAM];
        let finished = folder.run(arguments.iter().chain(&WITH_EARLIER_RUN)).assert_exit_code(0);
        for text in [finished.stdout, folder.read("out/matrix.md")] {
            assert!(text.contains("the target differs: deepseek@2025-12 and tencent-lkeap@2025-12"), "{text}");
        }
    }

    #[test]
    fn a_results_file_applies_only_to_the_target_of_its_name() {
        let folder = folder_with_earlier_run(&[]);
        let finished =
            folder.run(["run", "--out", "out", "--select", STOP].iter().chain(&WITH_EARLIER_RUN)).assert_exit_code(0);
        finished.assert_stderr_contains(&["tencent-lkeap@2025-12: not compared with"]);
        let has_baseline = |name: &str| {
            folder.read(&format!("out/results-{}.json", name.replace('@', "-"))).contains("\"baseline\": {")
        };
        assert_eq!((has_baseline("deepseek@2025-12"), has_baseline("tencent-lkeap@2025-12")), (true, false));
    }

    #[test]
    fn incomplete_edited_and_wrong_files_are_rejected_before_the_first_request() {
        let folder = folder_with_earlier_run(&["--flip", BROKEN]);
        let text = folder.read("before/results-deepseek-2025-12.json");
        let recording = folder.read("before/recording-deepseek-2025-12.jsonl");
        for (content, part) in [
            (&text[..text.len() / 2], "the file is incomplete"),
            (&text.replacen("\"outcome\": \"contradicts\"", "\"outcome\": \"conforms\"", 1), "The file was edited"),
            (&text.replacen("fieldtest-results/2", "fieldtest-results/9", 1), "This version of fieldtest reads"),
            (
                &text.replacen("\"id\": \"field.stream\"", "\"id\": \"field.streams\"", 1),
                "did you mean `field.stream`?",
            ),
            (&recording, "This is a recording"),
            ("", "the file is empty"),
        ] {
            folder.write("bad.json", content);
            run(&folder, &["--baseline", "bad.json"]).assert_exit_code(2).assert_stderr_contains(&["bad.json", part]);
            assert!(!folder.exists("out"), "{part}: a file was written");
        }
        run(&folder, &["--baseline", "nowhere.json"]).assert_exit_code(2).assert_stderr_contains(&["nowhere.json"]);
    }

    #[test]
    fn an_edited_comparison_in_a_results_file_is_rejected() {
        let folder = folder_with_baseline(&[]);
        run(&folder, &[&WITH_BASELINE[..], &["--flip", BROKEN]].concat()).assert_exit_code(1);
        let text = folder.read("out/results-deepseek-2025-12.json");
        let again = |text: &str| {
            folder.write("edited.json", text);
            folder.run(["report", "edited.json", "--out", "again"])
        };
        let finished = again(&text).assert_exit_code(0);
        assert!(
            finished.stdout.contains("Compared with known.yaml"),
            "the report shows the comparison: {}",
            finished.stdout
        );
        again(&text.replacen("\"case\": \"regression\"", "\"case\": \"expected\"", 1))
            .assert_exit_code(2)
            .assert_stderr_contains(&["\"baseline\"", "The file was edited"]);
    }
}

mod elsewhere {
    use super::*;

    #[test]
    fn report_and_judge_compare_with_baselines() {
        let folder = folder_with_baseline(&[]);
        run(&folder, &["--flip", BROKEN]).assert_exit_code(1);
        folder.run(["report", "out/results-deepseek-2025-12.json", "--out", "again"]).assert_exit_code(0);
        folder
            .run(["report", "out/results-deepseek-2025-12.json", "--out", "again", "--baseline", "known.yaml"])
            .assert_exit_code(1);
        folder
            .write("known.yaml", format!("schema: fieldtest-baseline/1\nexpect:\n{}", row_entry(STOP, "ignored", "")));
        folder
            .run(["report", "out/results-deepseek-2025-12.json", "--out", "again", "--baseline", "known.yaml"])
            .assert_exit_code(0);
        assert_eq!(folder.results("again")["baseline"]["counts"]["expected"], 1);
        folder
            .run(["judge", "out/recording-deepseek-2025-12.jsonl", "--out", "judged", "--baseline", "known.yaml"])
            .assert_exit_code(0);
        assert_eq!(folder.results("judged")["baseline"], folder.results("again")["baseline"]);
    }

    #[test]
    fn a_baseline_file_of_another_target_is_rejected() {
        let folder = Folder::new();
        folder.write("known.yaml", "schema: fieldtest-baseline/1\ntarget: anthropic\nexpect: []\n");
        run(&folder, &WITH_BASELINE).assert_exit_code(2).assert_stderr_contains(&[
            "known.yaml",
            "anthropic",
            "deepseek@2025-12",
        ]);
    }

    #[test]
    fn unknown_names_are_rejected_with_their_location() {
        let run_with = |text: &str| {
            let folder = Folder::new();
            folder.write("known.yaml", text);
            let finished = run(&folder, &WITH_BASELINE).assert_exit_code(2);
            assert!(!folder.exists("out"));
            finished
        };
        let with = |entries: &str| run_with(&format!("schema: fieldtest-baseline/1\nexpect:\n{entries}"));
        with(&row_entry("field.stop_sequence", "ignored", ""))
            .assert_stderr_contains(&["known.yaml:3:10", "did you mean `field.stop_sequences`?"]);
        with("  - check: sse.pings-missing\n    reason: r\n").assert_stderr_contains(&[
            "known.yaml:3:12",
            "unknown check",
            "did you mean",
        ]);
        with(&row_entry(STOP, "ignores", "")).assert_stderr_contains(&["known.yaml:4:14", "did you mean `ignored`?"]);
        with(&row_entry(STOP, "inconclusive", "")).assert_stderr_contains(&["satisfies no entry"]);
        with(&[row_entry(STOP, "ignored", ""), row_entry(STOP, "rejected", "")].concat())
            .assert_stderr_contains(&["known.yaml:6:10", "twice"]);
        with("  - check: sse.done-record\n    reason: ''\n").assert_stderr_contains(&["known.yaml:4:13", "is empty"]);
        run_with("schema: fieldtest-baseline/1\ntarget: deepseak\nexpect: []\n")
            .assert_stderr_contains(&["known.yaml:2:9", "`deepseek`?"]);
        run_with("schema: fieldtest-baseline/7\nexpect: []\n")
            .assert_stderr_contains(&["known.yaml:1:9", "fieldtest-baseline/1"]);
        run_with("expect: [\n").assert_stderr_contains(&["known.yaml:"]);
    }
}

mod commands {
    use super::*;

    /// Creates a folder with the results of a run with one failed row.
    fn folder_with_failed_run() -> Folder {
        let folder = Folder::new();
        run(&folder, &[&["--flip", BROKEN][..], &folder.write_simulator_file(FAULT_FILE)].concat()).assert_exit_code(1);
        folder
    }

    const RESULTS: &str = "out/results-deepseek-2025-12.json";

    fn write(folder: &Folder, more: &[&str]) -> FinishedRun {
        let arguments = ["baseline", "write", RESULTS, "-o", "known.yaml", "--reason", "before: 1.4"];
        folder.run(arguments.iter().chain(more))
    }

    #[test]
    fn the_written_baseline_makes_the_run_pass() {
        let folder = folder_with_failed_run();
        write(&folder, &["--link", "https://x.example/7", "--until", "2999-01-01"]).assert_exit_code(0);
        let text = folder.read("known.yaml");
        let file: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!((&file["schema"], &file["target"]), (&"fieldtest-baseline/2".into(), &"deepseek@2025-12".into()));
        let [row, check] = file["expect"].as_array().unwrap().as_slice() else { panic!("{text}") };
        assert_eq!(
            (&row["row"], &row["verdict"], &row["until"]),
            (&STOP.into(), &"ignored".into(), &"2999-01-01".into())
        );
        assert_eq!((&check["check"], &check["reason"]), (&"sse.done-record".into(), &"before: 1.4".into()));
        run(&folder, &[&WITH_BASELINE[..], &["--flip", BROKEN], &folder.write_simulator_file(FAULT_FILE)].concat())
            .assert_exit_code(0);
        folder.run(["baseline", "lint", "known.yaml"]).assert_exit_code(0);
        write(&folder, &[]).assert_exit_code(2).assert_stderr_contains(&["already exists", "--force"]);
        assert_eq!(folder.read("known.yaml"), text);
        write(&folder, &["--force"]).assert_exit_code(0);
        assert!(!folder.read("known.yaml").contains("until"));
    }

    #[test]
    fn an_update_reports_each_change() {
        let folder = folder_with_failed_run();
        write(&folder, &["--link", "https://x.example/7"]).assert_exit_code(0);
        let update = || folder.run(["baseline", "update", "known.yaml", RESULTS, "--reason", "since 1.5"]);
        let before = folder.read("known.yaml");
        assert!(update().assert_exit_code(0).stdout.contains("no change"));
        assert_eq!(folder.read("known.yaml"), before);
        let other = ["--flip", "field.stop_sequences=unsupported", "--flip", "field.stream=ignored"];
        run(&folder, &[&other[..], &folder.write_simulator_file(FAULT_FILE)].concat()).assert_exit_code(1);
        let printed = update().assert_exit_code(0).stdout;
        for line in ["changed  field.stop_sequences: ignored to rejected", "added    field.stream: "] {
            assert!(printed.contains(line), "{printed}");
        }
        let after = folder.read("known.yaml");
        assert!(after.contains("since 1.5") && after.contains("before: 1.4"), "{after}");
        run(&folder, &[]).assert_exit_code(0);
        let printed = update().assert_exit_code(0).stdout;
        assert!(printed.contains("removed  field.stop_sequences") && !printed.contains("removed  sse"), "{printed}");
        let other_target = folder.read(RESULTS).replacen("\"name\": \"deepseek@2025-12\"", "\"name\": \"other\"", 1);
        folder.write(RESULTS, other_target);
        update().assert_exit_code(2).assert_stderr_contains(&["the list is for target `deepseek@2025-12`"]);
    }

    #[test]
    fn an_invalid_results_file_changes_no_baseline() {
        let folder = folder_with_failed_run();
        write(&folder, &[]).assert_exit_code(0);
        let before = folder.read("known.yaml");
        let text = folder.read(RESULTS);
        folder.write(RESULTS, &text[..text.len() - 20]);
        folder
            .run(["baseline", "update", "known.yaml", RESULTS, "--reason", "r"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["the file is incomplete"]);
        assert_eq!(folder.read("known.yaml"), before);
        folder.run(["baseline", "write", RESULTS, "-o", "new.yaml", "--reason", "r"]).assert_exit_code(2);
        assert!(!folder.exists("new.yaml"));
        assert!(folder.file_names("", "").iter().all(|name| !name.contains("partial")));
    }

    #[test]
    fn lint_reports_errors_and_expired_entries() {
        let lint = |text: &str| {
            let folder = Folder::new();
            folder.write("known.yaml", text);
            folder.run(["baseline", "lint", "known.yaml"])
        };
        let with = |entries: &str| lint(&format!("schema: fieldtest-baseline/1\nexpect:\n{entries}"));
        with(&row_entry(STOP, "ignored", "    until: 2999-01-01\n")).assert_exit_code(0);
        with(&row_entry(STOP, "ignored", "    until: 2020-01-01\n"))
            .assert_exit_code(1)
            .assert_stderr_contains(&["known.yaml:3:", "expired after 2020-01-01"]);
        with(&row_entry(STOP, "ignored", "    until: 2027-02-30\n"))
            .assert_exit_code(2)
            .assert_stderr_contains(&["known.yaml:6:12", "2027-02-30"]);
        with(&row_entry(STOP, "ignored", "    link: wiki/7\n"))
            .assert_exit_code(2)
            .assert_stderr_contains(&["known.yaml:6:11", "https://"]);
        // All errors are reported at the same time.
        let two = [row_entry("field.x", "ignored", ""), row_entry(STOP, "fine", "")].concat();
        with(&two).assert_exit_code(2).assert_stderr_contains(&["known.yaml:3:10", "known.yaml:7:14"]);
        lint("{\"schema\": \"fieldtest-results/2\"}")
            .assert_exit_code(2)
            .assert_stderr_contains(&["expected a list of known failures"]);
        Folder::new()
            .run(["baseline", "lint", "known.yaml"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["known.yaml"]);
    }

    #[test]
    fn blank_reasons_and_invalid_dates_and_links_are_rejected() {
        let folder = folder_with_failed_run();
        let write_invalid = |more: &[&str]| {
            let arguments = ["baseline", "write", RESULTS, "-o", "known.yaml"];
            folder.run(arguments.iter().chain(more)).assert_exit_code(2)
        };
        write_invalid(&[]).assert_stderr_contains(&["--reason"]);
        write_invalid(&["--reason", " "]).assert_stderr_contains(&["expected a reason"]);
        write_invalid(&["--reason", "r", "--until", "soon"]).assert_stderr_contains(&["2027-01-31"]);
        write_invalid(&["--reason", "r", "--link", "wiki"]).assert_stderr_contains(&["https://"]);
        assert!(!folder.exists("known.yaml"));
    }

    #[test]
    fn the_help_of_every_command_has_valid_examples() {
        let folder = Folder::new();
        let mut tried = 0;
        for command in [&["baseline"][..], &["baseline", "write"], &["baseline", "update"], &["baseline", "lint"]] {
            let help = folder.run(command.iter().chain(&["--help"])).assert_exit_code(0).stdout;
            let (_, examples) = help.split_once("Example").unwrap();
            for example in examples.lines().filter_map(|line| line.trim().strip_prefix("fieldtest ")) {
                folder.run(example.split_whitespace().chain(["--help"])).assert_exit_code(0);
                tried += 1;
            }
        }
        assert!(tried >= 7, "{tried}");
    }
}
