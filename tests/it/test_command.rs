//! `fieldtest test` as people and runners call it: the protocol of Rust's test programs, what is sent and what is not, and
//! snapshots.

use binary::{FinishedRun, Folder};
use insta::Snapshot;
use server::{FaithfulServer, TestServer};

use crate::common::{binary, server};

/// A row that takes few requests.
const STOP: &str = "deepseek::field.stop_sequences";

fn test(folder: &Folder, more: &[&str]) -> FinishedRun {
    folder.run(["test", "deepseek", "--simulate"].iter().chain(more))
}

mod listing {
    use super::*;

    #[test]
    fn sends_nothing_and_needs_no_credential() {
        let folder = Folder::new();
        for arguments in [
            &["test", "deepseek", "--list"][..],
            &["test", "--base-url", "http://127.0.0.1:9", "--model", "m", "--name", "deepseek", "--list"],
        ] {
            let ended = folder.run([arguments, &["--format", "terse"]].concat()).assert_exit_code(0);
            assert!(ended.stdout.lines().count() > 60, "{}", ended.stdout);
            assert!(ended.stdout.lines().all(|line| line.starts_with("deepseek::") && line.ends_with(": test")));
            assert!(ended.stdout.lines().any(|line| line == format!("{STOP}: test")));
            assert_eq!(ended.stderr, "");
        }
        assert!(folder.all_files().is_empty(), "nothing is left behind");
    }

    #[test]
    fn what_is_ignored_is_listed_apart_and_is_nothing() {
        let folder = Folder::new();
        let ended = folder.run(["test", "deepseek", "--list", "--format", "terse", "--ignored"]).assert_exit_code(0);
        assert_eq!(ended.stdout, "");
    }

    #[test]
    fn obeys_filters() {
        let folder = Folder::new();
        let list = |more: &[&str]| {
            let ended = folder.run(["test", "--list"].iter().chain(more)).assert_exit_code(0);
            ended.stdout.lines().map(|line| line.trim_end_matches(": test").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(list(&["field.stop_s"]), [STOP, "tencent-lkeap::field.stop_sequences"]);
        assert_eq!(list(&["deepseek", "field.top"]), ["deepseek::field.top_k", "deepseek::field.top_p"]);
        assert_eq!(list(&["deepseek", "field.top", "--skip", "top_p"]), ["deepseek::field.top_k"]);
        assert_eq!(list(&[STOP, "--exact"]), [STOP]);
        assert!(list(&["field.stop_s", "--exact"]).is_empty());
        assert_eq!(list(&["deepseek", "--select", "field.top_*"]).len(), 2);
    }
}

mod running {
    use super::*;

    #[test]
    fn one_test_as_nextest_runs_it() {
        let folder = Folder::new();
        let ended = test(&folder, &[STOP, "--exact", "--nocapture"]).assert_exit_code(0);
        assert!(ended.stdout.contains(&format!("test {STOP} ... ok")), "{}", ended.stdout);
        assert!(ended.stdout.contains("1 passed; 0 failed; 0 ignored"), "{}", ended.stdout);
    }

    #[test]
    fn a_contradiction_fails_with_what_was_claimed_and_a_request_to_repeat() {
        let folder = Folder::new();
        let ended = test(&folder, &["field.metadata", "--flip", "field.metadata=unsupported"]).assert_exit_code(101);
        for part in ["FAILED", "claimed ignored, observed rejected", "curl ", "The response:", "1 failed"] {
            assert!(ended.stdout.contains(part), "{part}\n{}", ended.stdout);
        }
    }

    #[test]
    fn a_row_that_stays_open_is_ignored_with_its_reason_and_fails_strictly() {
        let folder = Folder::new();
        let disobeys = folder.write_simulator_file("disobedience: 1\n");
        let open = [&["deepseek::field.system", "--exact"][..], &disobeys].concat();
        let ended = test(&folder, &open).assert_exit_code(0);
        assert!(ended.stdout.contains("... ignored (undetermined: "), "{}", ended.stdout);
        assert!(ended.stdout.contains("0 passed; 0 failed; 1 ignored"), "{}", ended.stdout);
        test(&folder, &[&open[..], &["--strict"]].concat()).assert_exit_code(101);
        // Without a single row decided, the target was not tested.
        test(&folder, &[&["field.system"][..], &disobeys].concat()).assert_exit_code(3);
    }

    #[test]
    fn only_what_is_selected_is_sent_and_what_it_works_through() {
        let faithful = FaithfulServer::start();
        let server =
            TestServer::start(move |asked, stream| std::io::Write::write_all(stream, &faithful.respond(asked)?));
        let folder = Folder::new();
        let url = server.url();
        let arguments = ["test", "--base-url", &url, "--model", "m", "--claims", "deepseek", "--name", "gateway"];
        let one = ["gateway::field.stop_sequences", "--exact", "--api-key-env", "KEY"];
        let key = [("KEY", "fieldtest-simulator")];
        let ended = folder.run_with_env(&key, &[&arguments[..], &one].concat()).assert_exit_code(0);
        assert!(ended.stdout.contains("test gateway::field.stop_sequences ... ok"), "{}", ended.stdout);
        let sent = server.received_requests();
        assert!(!sent.is_empty() && sent.len() < 30, "{} requests for one row", sent.len());
        assert!(sent.iter().any(|asked| asked.body.contains("stop_sequences")));
        assert!(!sent.iter().any(|asked| asked.body.contains("\"thinking\"")), "another row was run");
    }

    #[test]
    fn an_endpoint_that_is_not_there_is_no_failed_test() {
        let folder = Folder::new();
        let arguments = ["test", "--base-url", "http://127.0.0.1:9", "--model", "m", "--claims", "deepseek"];
        let ended =
            folder.run(arguments.iter().chain(&["--retries", "0", "--timeout", "5", "field.stop"])).assert_exit_code(3);
        assert!(ended.stdout.contains("could not be tested"), "{}", ended.stdout);
    }

    #[test]
    fn a_baseline_ignores_what_is_known_and_fails_what_is_stale() {
        let folder = Folder::new();
        folder.write(
            "known.yaml",
            "schema: fieldtest-baseline/1\nexpect:\n  - row: field.metadata\n    verdict: rejected\n    reason: refused until 1.4\n",
        );
        let known = ["field.metadata", "--baseline", "known.yaml"];
        let broken = [&known[..], &["--flip", "field.metadata=unsupported"]].concat();
        let ended = test(&folder, &broken).assert_exit_code(0);
        assert!(ended.stdout.contains("... ignored (expected: "), "{}", ended.stdout);
        assert!(ended.stdout.contains("refused until 1.4"), "{}", ended.stdout);
        let ended = test(&folder, &known).assert_exit_code(101);
        assert!(ended.stdout.contains("stale: "), "{}", ended.stdout);
    }

    #[test]
    fn with_a_baseline_findings_are_tested_too() {
        let folder = Folder::new();
        folder.write("none.yaml", "schema: fieldtest-baseline/1\nexpect: []\n");
        let arguments = ["--select", "field.stream", "--baseline", "none.yaml"];
        test(&folder, &arguments).assert_exit_code(0);
        let ended =
            test(&folder, &[&arguments[..], &folder.write_simulator_file("faults: [message.id-missing]\n")].concat())
                .assert_exit_code(101);
        assert!(ended.stdout.contains("deepseek::findings"), "{}", ended.stdout);
        assert!(ended.stdout.contains("regression message.id-missing"), "{}", ended.stdout);
    }
}

mod usage {
    use super::*;

    #[test]
    fn help_has_examples_and_each_is_taken() {
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
            .run(["test", "deepseek", "field.stop"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["DEEPSEEK_API_KEY"]);
    }

    #[test]
    fn what_selects_nothing_is_told_with_the_targets() {
        let said = ["no test is selected", "`depseek`", "tencent-lkeap", "--list"];
        Folder::new().run(["test", "depseek"]).assert_exit_code(2).assert_stderr_contains(&said);
        Folder::new().run(["test", "one", "two"]).assert_exit_code(2).assert_stderr_contains(&[
            "only one filter is allowed",
            "`one`",
            "`two`",
        ]);
        let exact = ["test", "deepseek", "--simulate", "field.stop_sequences", "--exact"];
        Folder::new().run(exact).assert_exit_code(2).assert_stderr_contains(&["is not the name of a test"]);
    }

    #[test]
    fn options_that_do_not_fit() {
        let folder = Folder::new();
        folder.run(["test", "deepseek", "--accept"]).assert_exit_code(2).assert_stderr_contains(&["--snapshots"]);
        let arguments = ["test", "deepseek", "--simulate", "--snapshots"];
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

    const FILE: &str = "snapshots/deepseek/field.metadata.snap";
    const PENDING: &str = "snapshots/deepseek/field.metadata.snap.new";

    fn kept(folder: &Folder, variables: &[(&str, &str)], more: &[&str]) -> FinishedRun {
        let arguments = ["test", "deepseek", "--simulate", "field.metadata", "--snapshots"];
        folder.run_with_env(variables, &[&arguments[..], more].concat())
    }

    #[test]
    fn what_has_none_is_left_for_review_and_in_ci_not_even_that() {
        let folder = Folder::new();
        let ended = kept(&folder, &[("CI", "true")], &[]).assert_exit_code(101);
        assert!(ended.stdout.contains("the row has no snapshot") && !folder.exists("snapshots"), "{}", ended.stdout);
        kept(&folder, &[], &[]).assert_exit_code(101);
        assert!(folder.exists(PENDING) && !folder.exists(FILE));
        let pending = Snapshot::from_file(&folder.path().join(PENDING)).unwrap();
        assert!(pending.as_text().unwrap().to_string().contains("\"verdict\": \"ignored\""));
        assert_eq!(pending.metadata().description(), Some("deepseek: metadata"));
        kept(&folder, &[], &["--accept"]).assert_exit_code(0);
        assert!(folder.exists(FILE) && !folder.exists(PENDING));
        kept(&folder, &[("CI", "true")], &[]).assert_exit_code(0);
    }

    #[test]
    fn what_changed_fails_with_a_difference_and_is_accepted() {
        let folder = Folder::new();
        kept(&folder, &[("INSTA_UPDATE", "always")], &[]).assert_exit_code(0);
        let before = folder.read(FILE);
        // More than was claimed contradicts nothing: the snapshot alone sees it.
        let changed = ["--flip", "field.metadata=supported"];
        let ended = kept(&folder, &[], &changed).assert_exit_code(101);
        for part in ["-  \"verdict\": \"ignored\"", "+  \"verdict\": \"supported\"", "cargo insta review"] {
            assert!(ended.stdout.contains(part), "{part}\n{}", ended.stdout);
        }
        assert_eq!(folder.read(FILE), before);
        assert!(folder.exists(PENDING));
        // As it was again: nothing is pending any more.
        kept(&folder, &[], &[]).assert_exit_code(0);
        assert!(!folder.exists(PENDING));
        kept(&folder, &[], &[&changed[..], &["--accept"]].concat()).assert_exit_code(0);
        assert!(folder.read(FILE).contains("\"verdict\": \"supported\""));
    }

    #[test]
    fn an_undetermined_row_changes_none() {
        let folder = Folder::new();
        let row = |more: &[&str]| test(&folder, &[&["deepseek::field.system", "--exact"][..], more].concat());
        row(&["--snapshots", "--accept"]).assert_exit_code(0);
        let before = folder.read("snapshots/deepseek/field.system.snap");
        let ended =
            row(&[&["--snapshots", "--accept"][..], &folder.write_simulator_file("disobedience: 1\n")].concat())
                .assert_exit_code(0);
        assert!(ended.stdout.contains("1 ignored"), "{}", ended.stdout);
        assert_eq!(folder.file_names("snapshots/deepseek", ""), ["field.system.snap"]);
        assert_eq!(folder.read("snapshots/deepseek/field.system.snap"), before);
    }

    #[test]
    fn alone_each_row_is_what_it_is_among_others() {
        let folder = Folder::new();
        let rows = ["field.stop_sequences", "field.metadata", "field.stream", "field.service_tier"];
        let mut together = vec!["--snapshots", "together", "--accept"];
        for row in rows {
            together.extend(["--select", row]);
            let name = format!("deepseek::{row}");
            test(&folder, &[&name, "--exact", "--snapshots", "alone", "--accept"]).assert_exit_code(0);
        }
        test(&folder, &together).assert_exit_code(0);
        assert_eq!(folder.file_names("together/deepseek", "").len(), rows.len());
        for file in folder.file_names("together/deepseek", "") {
            let [alone, together] = ["alone", "together"].map(|of| folder.read(&format!("{of}/deepseek/{file}")));
            assert_eq!(alone, together, "{file}");
        }
    }

    #[test]
    fn a_file_that_is_none_is_told() {
        let folder = Folder::new();
        folder.write(FILE, "---\nsource: [\n---\n{}\n");
        let ended = kept(&folder, &[], &[]).assert_exit_code(101);
        assert!(ended.stdout.contains("not a snapshot") && ended.stdout.contains(FILE), "{}", ended.stdout);
    }
}
