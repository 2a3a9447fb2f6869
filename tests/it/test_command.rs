//! `fieldtest test` as people and runners call it: the protocol of Rust's test programs, what is sent and what is not, and
//! snapshots.

use binary::{FinishedRun, Folder};
use insta::Snapshot;
use server::{FaithfulServer, TestServer};

use crate::common::{binary, server};

/// A row that takes few requests.
const STOP: &str = "deepseek@2025-12::field.stop_sequences";

fn test(folder: &Folder, more: &[&str]) -> FinishedRun {
    folder.run(["test", "deepseek@2025-12", "--simulate"].iter().chain(more))
}

mod listing {
    use super::*;

    #[test]
    fn a_list_sends_nothing_and_needs_no_credential() {
        let folder = Folder::new();
        for arguments in [
            &["test", "deepseek@2025-12", "--list"][..],
            &["test", "--base-url", "http://127.0.0.1:9", "--model", "m", "--name", "deepseek@2025-12", "--list"],
        ] {
            let finished = folder.run([arguments, &["--format", "terse"]].concat()).assert_exit_code(0);
            assert!(finished.stdout.lines().count() > 60, "{}", finished.stdout);
            assert!(
                finished.stdout.lines().all(|line| line.starts_with("deepseek@2025-12::") && line.ends_with(": test"))
            );
            assert!(finished.stdout.lines().any(|line| line == format!("{STOP}: test")));
            assert_eq!(finished.stderr, "");
        }
        assert!(folder.all_files().is_empty(), "nothing is left behind");
    }

    #[test]
    fn the_list_of_ignored_tests_is_empty() {
        let folder = Folder::new();
        let finished =
            folder.run(["test", "deepseek@2025-12", "--list", "--format", "terse", "--ignored"]).assert_exit_code(0);
        assert_eq!(finished.stdout, "");
    }

    #[test]
    fn a_list_respects_filters() {
        let folder = Folder::new();
        let list = |more: &[&str]| {
            let finished = folder.run(["test", "--list"].iter().chain(more)).assert_exit_code(0);
            finished.stdout.lines().map(|line| line.trim_end_matches(": test").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(list(&["field.stop_s"]), [STOP, "tencent-lkeap@2025-12::field.stop_sequences"]);
        assert_eq!(
            list(&["deepseek@2025-12", "field.top"]),
            ["deepseek@2025-12::field.top_k", "deepseek@2025-12::field.top_p"]
        );
        assert_eq!(list(&["deepseek@2025-12", "field.top", "--skip", "top_p"]), ["deepseek@2025-12::field.top_k"]);
        assert_eq!(list(&[STOP, "--exact"]), [STOP]);
        assert!(list(&["field.stop_s", "--exact"]).is_empty());
        assert_eq!(list(&["deepseek@2025-12", "--select", "field.top_*"]).len(), 2);
    }
}

mod running {
    use super::*;

    #[test]
    fn nextest_runs_one_test_by_its_exact_name() {
        let folder = Folder::new();
        let finished = test(&folder, &[STOP, "--exact", "--nocapture"]).assert_exit_code(0);
        assert!(finished.stdout.contains(&format!("test {STOP} ... ok")), "{}", finished.stdout);
        assert!(finished.stdout.contains("1 passed; 0 failed; 0 ignored"), "{}", finished.stdout);
    }

    #[test]
    fn a_contradiction_fails_with_the_claim_and_a_request_to_repeat() {
        let folder = Folder::new();
        let finished = test(&folder, &["field.metadata", "--flip", "field.metadata=unsupported"]).assert_exit_code(101);
        for part in ["FAILED", "claimed ignored, observed rejected", "curl ", "The response:", "1 failed"] {
            assert!(finished.stdout.contains(part), "{part}\n{}", finished.stdout);
        }
    }

    #[test]
    fn an_undetermined_row_is_ignored_with_its_reason_and_fails_with_strict() {
        let folder = Folder::new();
        let disobeys = folder.write_simulator_file("disobedience: 1\n");
        let open = [&["deepseek@2025-12::field.system", "--exact"][..], &disobeys].concat();
        let finished = test(&folder, &open).assert_exit_code(0);
        assert!(finished.stdout.contains("... ignored (undetermined: "), "{}", finished.stdout);
        assert!(finished.stdout.contains("0 passed; 0 failed; 1 ignored"), "{}", finished.stdout);
        test(&folder, &[&open[..], &["--strict"]].concat()).assert_exit_code(101);
        // Without a single row decided, the target was not tested.
        test(&folder, &[&["field.system"][..], &disobeys].concat()).assert_exit_code(3);
    }

    #[test]
    fn only_selected_rows_and_their_dependencies_are_sent() {
        let faithful = FaithfulServer::start();
        let server =
            TestServer::start(move |request, stream| std::io::Write::write_all(stream, &faithful.respond(request)?));
        let folder = Folder::new();
        let url = server.url();
        let arguments =
            ["test", "--base-url", &url, "--model", "m", "--claims", "deepseek@2025-12", "--name", "gateway"];
        let one = ["gateway::field.stop_sequences", "--exact", "--api-key-env", "KEY"];
        let key = [("KEY", "fieldtest-simulator")];
        let finished = folder.run_with_env(&key, &[&arguments[..], &one].concat()).assert_exit_code(0);
        assert!(finished.stdout.contains("test gateway::field.stop_sequences ... ok"), "{}", finished.stdout);
        let sent = server.received_requests();
        assert!(!sent.is_empty() && sent.len() < 30, "{} requests for one row", sent.len());
        assert!(sent.iter().any(|request| request.body.contains("stop_sequences")));
        assert!(!sent.iter().any(|request| request.body.contains("\"thinking\"")), "another row was run");
    }

    #[test]
    fn an_unreachable_endpoint_is_not_a_failed_test() {
        let folder = Folder::new();
        let arguments = ["test", "--base-url", "http://127.0.0.1:9", "--model", "m", "--claims", "deepseek@2025-12"];
        let finished =
            folder.run(arguments.iter().chain(&["--retries", "0", "--timeout", "5", "field.stop"])).assert_exit_code(3);
        assert!(finished.stdout.contains("could not be tested"), "{}", finished.stdout);
    }

    #[test]
    fn a_baseline_ignores_known_failures_and_fails_stale_entries() {
        let folder = Folder::new();
        folder.write(
            "known.yaml",
            "schema: fieldtest-baseline/1\nexpect:\n  - row: field.metadata\n    verdict: rejected\n    reason: refused until 1.4\n",
        );
        let known = ["field.metadata", "--baseline", "known.yaml"];
        let broken = [&known[..], &["--flip", "field.metadata=unsupported"]].concat();
        let finished = test(&folder, &broken).assert_exit_code(0);
        assert!(finished.stdout.contains("... ignored (expected: "), "{}", finished.stdout);
        assert!(finished.stdout.contains("refused until 1.4"), "{}", finished.stdout);
        let finished = test(&folder, &known).assert_exit_code(101);
        assert!(finished.stdout.contains("stale: "), "{}", finished.stdout);
    }

    #[test]
    fn a_baseline_adds_a_test_of_the_findings() {
        let folder = Folder::new();
        folder.write("none.yaml", "schema: fieldtest-baseline/1\nexpect: []\n");
        let arguments = ["--select", "field.stream", "--baseline", "none.yaml"];
        test(&folder, &arguments).assert_exit_code(0);
        let finished =
            test(&folder, &[&arguments[..], &folder.write_simulator_file("faults: [message.id-missing]\n")].concat())
                .assert_exit_code(101);
        assert!(finished.stdout.contains("deepseek@2025-12::findings"), "{}", finished.stdout);
        assert!(finished.stdout.contains("regression message.id-missing"), "{}", finished.stdout);
    }
}

mod usage {
    use super::*;

    #[test]
    fn the_command_line_accepts_each_example_of_the_help() {
        let folder = Folder::new();
        let help = folder.run(["test", "--help"]).assert_exit_code(0).stdout;
        assert!(help.contains("101 a test failed"), "{help}");
        let (_, examples) = help.split_once("Examples").unwrap();
        let examples: Vec<&str> = examples.lines().filter_map(|line| line.trim().strip_prefix("fieldtest ")).collect();
        assert!(examples.len() >= 4, "{examples:?}");
        for example in examples {
            folder.run(example.split_whitespace().chain(["--help"])).assert_exit_code(0);
        }
    }

    #[test]
    fn a_live_target_needs_its_credential() {
        Folder::new()
            .run(["test", "deepseek@2025-12", "field.stop"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["DEEPSEEK_API_KEY"]);
    }

    #[test]
    fn a_filter_without_tests_is_reported_with_the_targets() {
        let said = ["no test is selected", "`depseek`", "tencent-lkeap", "--list"];
        Folder::new().run(["test", "depseek"]).assert_exit_code(2).assert_stderr_contains(&said);
        Folder::new().run(["test", "one", "two"]).assert_exit_code(2).assert_stderr_contains(&[
            "only one filter is allowed",
            "`one`",
            "`two`",
        ]);
        let exact = ["test", "deepseek@2025-12", "--simulate", "field.stop_sequences", "--exact"];
        Folder::new().run(exact).assert_exit_code(2).assert_stderr_contains(&["is not the name of a test"]);
    }

    #[test]
    fn options_that_exclude_each_other_are_rejected() {
        let folder = Folder::new();
        folder
            .run(["test", "deepseek@2025-12", "--accept"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["--snapshots"]);
        let arguments = ["test", "deepseek@2025-12", "--simulate", "--snapshots"];
        folder
            .run_with_env(&[("INSTA_UPDATE", "perhaps")], &arguments)
            .assert_exit_code(2)
            .assert_stderr_contains(&["INSTA_UPDATE", "always"]);
        folder
            .run(["test", "--base-url", "http://127.0.0.1:9", "--model", "m", "--flip", "field.top_k=ignored"])
            .assert_exit_code(2);
    }
}

mod snapshots {
    use super::*;

    const FILE: &str = "snapshots/deepseek-2025-12/field.metadata.snap";
    const PENDING: &str = "snapshots/deepseek-2025-12/field.metadata.snap.new";

    fn run_with_snapshots(folder: &Folder, variables: &[(&str, &str)], more: &[&str]) -> FinishedRun {
        let arguments = ["test", "deepseek@2025-12", "--simulate", "field.metadata", "--snapshots"];
        folder.run_with_env(variables, &[&arguments[..], more].concat())
    }

    #[test]
    fn a_missing_snapshot_is_written_for_review_but_not_in_ci() {
        let folder = Folder::new();
        let finished = run_with_snapshots(&folder, &[("CI", "true")], &[]).assert_exit_code(101);
        assert!(
            finished.stdout.contains("the row has no snapshot") && !folder.exists("snapshots"),
            "{}",
            finished.stdout
        );
        run_with_snapshots(&folder, &[], &[]).assert_exit_code(101);
        assert!(folder.exists(PENDING) && !folder.exists(FILE));
        let pending = Snapshot::from_file(&folder.path().join(PENDING)).unwrap();
        assert!(pending.as_text().unwrap().to_string().contains("\"verdict\": \"ignored\""));
        assert_eq!(pending.metadata().description(), Some("deepseek@2025-12: metadata"));
        run_with_snapshots(&folder, &[], &["--accept"]).assert_exit_code(0);
        assert!(folder.exists(FILE) && !folder.exists(PENDING));
        run_with_snapshots(&folder, &[("CI", "true")], &[]).assert_exit_code(0);
    }

    #[test]
    fn a_changed_row_fails_with_a_difference_and_can_be_accepted() {
        let folder = Folder::new();
        run_with_snapshots(&folder, &[("INSTA_UPDATE", "always")], &[]).assert_exit_code(0);
        let before = folder.read(FILE);
        // More than was claimed contradicts nothing: the snapshot alone sees it.
        let changed = ["--flip", "field.metadata=supported"];
        let finished = run_with_snapshots(&folder, &[], &changed).assert_exit_code(101);
        for part in ["-  \"verdict\": \"ignored\"", "+  \"verdict\": \"validated\"", "cargo insta review"] {
            assert!(finished.stdout.contains(part), "{part}\n{}", finished.stdout);
        }
        assert_eq!(folder.read(FILE), before);
        assert!(folder.exists(PENDING));
        // As it was again: nothing is pending any more.
        run_with_snapshots(&folder, &[], &[]).assert_exit_code(0);
        assert!(!folder.exists(PENDING));
        run_with_snapshots(&folder, &[], &[&changed[..], &["--accept"]].concat()).assert_exit_code(0);
        assert!(folder.read(FILE).contains("\"verdict\": \"validated\""));
    }

    #[test]
    fn an_undetermined_row_changes_no_snapshot() {
        let folder = Folder::new();
        let row = |more: &[&str]| test(&folder, &[&["deepseek@2025-12::field.system", "--exact"][..], more].concat());
        row(&["--snapshots", "--accept"]).assert_exit_code(0);
        let before = folder.read("snapshots/deepseek-2025-12/field.system.snap");
        let finished =
            row(&[&["--snapshots", "--accept"][..], &folder.write_simulator_file("disobedience: 1\n")].concat())
                .assert_exit_code(0);
        assert!(finished.stdout.contains("1 ignored"), "{}", finished.stdout);
        assert_eq!(folder.file_names("snapshots/deepseek-2025-12", ""), ["field.system.snap"]);
        assert_eq!(folder.read("snapshots/deepseek-2025-12/field.system.snap"), before);
    }

    #[test]
    fn a_row_has_the_same_snapshot_alone_and_with_others() {
        let folder = Folder::new();
        let rows = ["field.stop_sequences", "field.metadata", "field.stream", "field.service_tier"];
        let mut together = vec!["--snapshots", "together", "--accept"];
        for row in rows {
            together.extend(["--select", row]);
            let name = format!("deepseek@2025-12::{row}");
            test(&folder, &[&name, "--exact", "--snapshots", "alone", "--accept"]).assert_exit_code(0);
        }
        test(&folder, &together).assert_exit_code(0);
        assert_eq!(folder.file_names("together/deepseek-2025-12", "").len(), rows.len());
        for file in folder.file_names("together/deepseek-2025-12", "") {
            let [alone, together] =
                ["alone", "together"].map(|of| folder.read(&format!("{of}/deepseek-2025-12/{file}")));
            assert_eq!(alone, together, "{file}");
        }
    }

    #[test]
    fn an_invalid_snapshot_is_reported() {
        let folder = Folder::new();
        folder.write(FILE, "---\nsource: [\n---\n{}\n");
        let finished = run_with_snapshots(&folder, &[], &[]).assert_exit_code(101);
        assert!(finished.stdout.contains("not a snapshot") && finished.stdout.contains(FILE), "{}", finished.stdout);
    }
}
