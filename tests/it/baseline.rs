//! Baselines with the real binary: the four cases, what is not decided, what has expired, what names nothing, and the
//! commands that write, update and check files of expectations.

use binary::{FinishedRun, Folder};
use fieldtest::engine::InconclusiveReason;
use serde_json::Value;

use crate::common::binary;

/// Few requests, and deepseek's document calls both supported.
const STOP: &str = "field.stop_sequences";
const STREAM: &str = "field.stream";
/// The system prompt never reaches a model that does nothing it is told.
const SYSTEM: &str = "field.system";

const BROKEN: &str = "field.stop_sequences=ignored";

/// `fieldtest run deepseek --simulate` over the first two rows, with more arguments.
fn run(folder: &Folder, more: &[&str]) -> FinishedRun {
    let arguments = ["run", "deepseek", "--simulate", "--out", "out", "--select", STOP, "--select", STREAM];
    folder.run(arguments.iter().chain(more))
}

fn entry(row: &str, verdict: &str, more: &str) -> String {
    format!("  - row: {row}\n    verdict: {verdict}\n    reason: not forwarded before 1.4\n{more}")
}

/// A folder with a file of expectations.
fn listing(entries: &[String]) -> Folder {
    let folder = Folder::new();
    let entries = if entries.is_empty() { "  []\n".to_owned() } else { entries.concat() };
    folder.write("known.yaml", format!("schema: fieldtest-baseline/1\nexpect:\n{entries}"));
    folder
}

/// What the results say of a row or a check against their baseline.
fn told(folder: &Folder, id: &str) -> Value {
    let results = folder.results("out");
    let entries = results["baseline"]["entries"].as_array().unwrap_or_else(|| panic!("no baseline in {results}"));
    let of = |entry: &&Value| entry["row"] == id || entry["check"] == id;
    entries.iter().find(of).cloned().unwrap_or(Value::Null)
}

const HELD: [&str; 2] = ["--baseline", "known.yaml"];

mod cases {
    use super::*;

    #[test]
    fn failing_and_listed_passes() {
        let folder = listing(&[entry(STOP, "ignored", "    link: https://x.example/7\n    until: 2999-12-31\n")]);
        let ended = run(&folder, &[&HELD[..], &["--flip", BROKEN]].concat()).assert_exit_code(0);
        let entry = told(&folder, STOP);
        assert_eq!(
            (&entry["case"], &entry["listed"], &entry["cause"]),
            (&"expected".into(), &true.into(), &Value::Null)
        );
        assert_eq!((&entry["reason"], &entry["until"]), (&"not forwarded before 1.4".into(), &"2999-12-31".into()));
        assert_eq!(
            folder.results("out")["rows"][0]["outcome"],
            "contradicts",
            "the outcome itself is not painted over"
        );
        for text in [ended.stdout, folder.read("out/matrix.md")] {
            for part in ["known.yaml", "expected", "not forwarded before 1.4", "2999-12-31", "https://x.example/7"] {
                assert!(text.contains(part), "no {part} in:\n{text}");
            }
        }
    }

    #[test]
    fn failing_and_unlisted_fails() {
        let folder = listing(&[]);
        run(&folder, &[&HELD[..], &["--flip", BROKEN]].concat())
            .assert_exit_code(1)
            .assert_stderr_contains(&["deepseek: compared with known.yaml: 1 regression"]);
        let entry = told(&folder, STOP);
        assert_eq!((&entry["case"], &entry["cause"]), (&"regression".into(), &"unlisted".into()));
        assert!(folder.read("out/matrix.md").contains("**regression**: not listed"));
    }

    #[test]
    fn passing_and_listed_fails_as_stale() {
        let folder = listing(&[entry(STOP, "ignored", "")]);
        run(&folder, &HELD).assert_exit_code(1).assert_stderr_contains(&["1 stale entry"]);
        assert_eq!(told(&folder, STOP)["case"], "stale");
    }

    #[test]
    fn passing_and_unlisted_passes() {
        let folder = listing(&[]);
        run(&folder, &HELD).assert_exit_code(0);
        assert_eq!(folder.results("out")["baseline"]["counts"]["passes"], 2);
    }

    #[test]
    fn an_entry_is_bound_to_the_verdict() {
        let folder = listing(&[entry(STOP, "rejected", "")]);
        run(&folder, &[&HELD[..], &["--flip", BROKEN]].concat()).assert_exit_code(1);
        let entry = told(&folder, STOP);
        assert_eq!((&entry["cause"], &entry["before"]), (&"another_verdict".into(), &"rejected".into()));
    }

    #[test]
    fn an_entry_that_has_expired_holds_no_longer() {
        let folder = listing(&[entry(STOP, "ignored", "    until: 2020-02-29\n")]);
        let ended = run(&folder, &[&HELD[..], &["--flip", BROKEN]].concat()).assert_exit_code(1);
        assert_eq!(told(&folder, STOP)["cause"], "expired");
        assert!(ended.stdout.contains("its entry expired after 2020-02-29"), "{}", ended.stdout);
    }

    #[test]
    fn what_is_not_decided_satisfies_no_entry_and_is_red_only_strictly() {
        let folder = listing(&[entry(SYSTEM, "ignored", "")]);
        let arguments = [&HELD[..], &["--select", SYSTEM], &folder.write_simulator_file("disobedience: 1\n")].concat();
        run(&folder, &arguments).assert_exit_code(0);
        let entry = told(&folder, SYSTEM);
        assert_eq!((&entry["case"], &entry["now"]), (&"unconfirmed".into(), &"inconclusive".into()), "{entry}");
        run(&folder, &[&arguments[..], &["--strict"]].concat()).assert_exit_code(1);
    }

    #[test]
    fn a_target_that_cannot_be_tested_satisfies_nothing() {
        let folder = listing(&[entry(STOP, "ignored", "")]);
        run(&folder, &[&HELD[..], &folder.write_simulator_file("inject_429: 1\n"), &["--retries", "0"]].concat())
            .assert_exit_code(3);
        assert_eq!(told(&folder, STOP)["case"], "unconfirmed");
    }

    #[test]
    fn a_row_that_is_not_selected_is_told_and_fails_nothing() {
        let folder = listing(&[entry("field.top_p", "ignored", "")]);
        let ended = run(&folder, &HELD).assert_exit_code(0);
        assert_eq!(told(&folder, "field.top_p")["case"], "not_run");
        assert!(ended.stdout.contains("not run: field.top_p"), "{}", ended.stdout);
    }

    #[test]
    fn the_words_of_gateways_are_verdicts_too() {
        let folder = listing(&[entry(STOP, "dropped", "")]);
        run(&folder, &[&HELD[..], &["--flip", BROKEN]].concat()).assert_exit_code(0);
    }
}

/// A simulator file with one fault.
const FAULT: &str = "faults: [sse.done-record]\n";

mod findings {
    use super::*;

    fn check(id: &str) -> String {
        format!("  - check: {id}\n    reason: an OpenAI habit\n")
    }

    #[test]
    fn listed_and_unlisted() {
        let folder = listing(&[]);
        run(&folder, &folder.write_simulator_file(FAULT)).assert_exit_code(0);
        run(&folder, &[&HELD[..], &folder.write_simulator_file(FAULT)].concat()).assert_exit_code(1);
        let entry = told(&folder, "sse.done-record");
        assert_eq!((&entry["case"], &entry["cause"]), (&"regression".into(), &"unlisted".into()));
        let folder = listing(&[check("sse.done-record")]);
        run(&folder, &[&HELD[..], &folder.write_simulator_file(FAULT)].concat()).assert_exit_code(0);
        assert_eq!(told(&folder, "sse.done-record")["case"], "expected");
    }

    /// The codes are the engine's; baselines know them by their words.
    #[test]
    fn the_codes_of_rows_without_an_answer_are_the_engines() {
        let codes = [
            InconclusiveReason::NegativeFailed,
            InconclusiveReason::TreatmentFailed,
            InconclusiveReason::ChallengeFailed,
        ];
        assert_eq!(codes.map(InconclusiveReason::as_str), fieldtest::results::baseline::NO_RESPONSE_CODES);
    }

    /// With some rows only, nobody knows whether another one would still show it.
    #[test]
    fn one_that_is_not_seen_is_stale_only_after_a_whole_run() {
        let folder = listing(&[check("sse.done-record")]);
        run(&folder, &HELD).assert_exit_code(0);
        assert_eq!(told(&folder, "sse.done-record")["case"], "not_run");
        folder.run(["run", "deepseek", "--simulate", "--out", "out", "--baseline", "known.yaml"]).assert_exit_code(1);
        assert_eq!(told(&folder, "sse.done-record")["case"], "stale");
    }
}

mod earlier_runs {
    use super::*;

    /// A folder with `before/results-deepseek.json`.
    fn before(more: &[&str]) -> Folder {
        let folder = Folder::new();
        run(&folder, more);
        std::fs::rename(folder.path().join("out"), folder.path().join("before")).unwrap();
        folder
    }

    const BEFORE: [&str; 2] = ["--baseline", "before/results-deepseek.json"];

    #[test]
    fn what_failed_then_may_fail_now() {
        let folder = before(&["--flip", BROKEN]);
        run(&folder, &[&BEFORE[..], &["--flip", BROKEN]].concat()).assert_exit_code(0);
        let baseline = &folder.results("out")["baseline"];
        assert_eq!((&baseline["kind"], &baseline["earlier"]["target"]), (&"results".into(), &"deepseek".into()));
        assert_eq!(told(&folder, STOP)["case"], "expected");
        run(&folder, &BEFORE).assert_exit_code(1);
        assert_eq!(told(&folder, STOP)["case"], "stale");
    }

    #[test]
    fn falling_behind_is_a_regression_without_any_claim() {
        let folder =
            before(&["--claims", "tencent-lkeap", "--select", "field.top_k", "--flip", "field.top_k=supported"]);
        let now = ["--claims", "tencent-lkeap", "--select", "field.top_k"];
        run(&folder, &now).assert_exit_code(0);
        let ended = run(&folder, &[&BEFORE[..], &now].concat()).assert_exit_code(1);
        let entry = told(&folder, "field.top_k");
        assert_eq!((&entry["cause"], &entry["listed"]), (&"fell_behind".into(), &false.into()), "{entry}");
        assert!(ended.stdout.contains("worse than in the earlier run"), "{}", ended.stdout);
    }

    #[test]
    fn another_target_is_allowed_and_told() {
        let folder = before(&[]);
        let arguments = ["run", "tencent-lkeap", "--simulate", "--out", "out", "--select", STOP, "--select", STREAM];
        let ended = folder.run(arguments.iter().chain(&BEFORE)).assert_exit_code(0);
        for text in [ended.stdout, folder.read("out/matrix.md")] {
            assert!(text.contains("the target differs: deepseek and tencent-lkeap"), "{text}");
        }
    }

    #[test]
    fn of_several_targets_the_one_of_its_name_is_meant() {
        let folder = before(&[]);
        let ended = folder.run(["run", "--out", "out", "--select", STOP].iter().chain(&BEFORE)).assert_exit_code(0);
        ended.assert_stderr_contains(&["tencent-lkeap: not compared with"]);
        let held = |name: &str| folder.read(&format!("out/results-{name}.json")).contains("\"baseline\": {");
        assert_eq!((held("deepseek"), held("tencent-lkeap")), (true, false));
    }

    #[test]
    fn files_that_were_cut_edited_or_are_something_else_are_refused_before_anything_is_sent() {
        let folder = before(&["--flip", BROKEN]);
        let text = folder.read("before/results-deepseek.json");
        let recording = folder.read("before/recording-deepseek.jsonl");
        for (content, part) in [
            (&text[..text.len() / 2], "the file is incomplete"),
            (&text.replacen("\"outcome\": \"contradicts\"", "\"outcome\": \"conforms\"", 1), "The file was edited"),
            (&text.replacen("fieldtest-results/1", "fieldtest-results/9", 1), "this version of fieldtest reads"),
            (
                &text.replacen("\"id\": \"field.stream\"", "\"id\": \"field.streams\"", 1),
                "did you mean `field.stream`?",
            ),
            (&recording, "it is a recording"),
            ("", "the file is empty"),
        ] {
            folder.write("bad.json", content);
            run(&folder, &["--baseline", "bad.json"]).assert_exit_code(2).assert_stderr_contains(&["bad.json", part]);
            assert!(!folder.exists("out"), "{part}: something was written");
        }
        run(&folder, &["--baseline", "nowhere.json"]).assert_exit_code(2).assert_stderr_contains(&["nowhere.json"]);
    }

    #[test]
    fn a_comparison_in_a_results_file_is_checked_when_it_is_read() {
        let folder = listing(&[]);
        run(&folder, &[&HELD[..], &["--flip", BROKEN]].concat()).assert_exit_code(1);
        let text = folder.read("out/results-deepseek.json");
        let again = |text: &str| {
            folder.write("edited.json", text);
            folder.run(["report", "edited.json", "--out", "again"])
        };
        let ended = again(&text).assert_exit_code(0);
        assert!(ended.stdout.contains("Compared with known.yaml"), "the report carries it: {}", ended.stdout);
        again(&text.replacen("\"case\": \"regression\"", "\"case\": \"expected\"", 1))
            .assert_exit_code(2)
            .assert_stderr_contains(&["\"baseline\"", "The file was edited"]);
    }
}

mod elsewhere {
    use super::*;

    #[test]
    fn report_and_judge_hold_against_baselines_too() {
        let folder = listing(&[]);
        run(&folder, &["--flip", BROKEN]).assert_exit_code(1);
        folder.run(["report", "out/results-deepseek.json", "--out", "again"]).assert_exit_code(0);
        folder
            .run(["report", "out/results-deepseek.json", "--out", "again", "--baseline", "known.yaml"])
            .assert_exit_code(1);
        folder.write("known.yaml", format!("schema: fieldtest-baseline/1\nexpect:\n{}", entry(STOP, "ignored", "")));
        folder
            .run(["report", "out/results-deepseek.json", "--out", "again", "--baseline", "known.yaml"])
            .assert_exit_code(0);
        assert_eq!(folder.results("again")["baseline"]["counts"]["expected"], 1);
        folder
            .run(["judge", "out/recording-deepseek.jsonl", "--out", "judged", "--baseline", "known.yaml"])
            .assert_exit_code(0);
        assert_eq!(folder.results("judged")["baseline"], folder.results("again")["baseline"]);
    }

    #[test]
    fn a_file_for_another_target_is_refused() {
        let folder = Folder::new();
        folder.write("known.yaml", "schema: fieldtest-baseline/1\ntarget: anthropic\nexpect: []\n");
        run(&folder, &HELD).assert_exit_code(2).assert_stderr_contains(&["known.yaml", "anthropic", "deepseek"]);
    }

    #[test]
    fn what_names_nothing_is_refused_with_its_place() {
        let known = |text: &str| {
            let folder = Folder::new();
            folder.write("known.yaml", text);
            let ended = run(&folder, &HELD).assert_exit_code(2);
            assert!(!folder.exists("out"));
            ended
        };
        let with = |entries: &str| known(&format!("schema: fieldtest-baseline/1\nexpect:\n{entries}"));
        with(&entry("field.stop_sequence", "ignored", ""))
            .assert_stderr_contains(&["known.yaml:3:10", "did you mean `field.stop_sequences`?"]);
        with("  - check: sse.pings-missing\n    reason: r\n").assert_stderr_contains(&[
            "known.yaml:3:12",
            "unknown check",
            "did you mean",
        ]);
        with(&entry(STOP, "ignores", "")).assert_stderr_contains(&["known.yaml:4:14", "did you mean `ignored`?"]);
        with(&entry(STOP, "inconclusive", "")).assert_stderr_contains(&["satisfies no entry"]);
        with(&[entry(STOP, "ignored", ""), entry(STOP, "rejected", "")].concat())
            .assert_stderr_contains(&["known.yaml:6:10", "twice"]);
        with("  - check: sse.done-record\n    reason: ''\n").assert_stderr_contains(&["known.yaml:4:13", "blank"]);
        known("schema: fieldtest-baseline/1\ntarget: deepseak\nexpect: []\n")
            .assert_stderr_contains(&["known.yaml:2:9", "`deepseek`?"]);
        known("schema: fieldtest-baseline/7\nexpect: []\n")
            .assert_stderr_contains(&["known.yaml:1:9", "fieldtest-baseline/1"]);
        known("expect: [\n").assert_stderr_contains(&["known.yaml:"]);
    }
}

mod commands {
    use super::*;

    /// A folder with the results of a run in which one row fails.
    fn failed() -> Folder {
        let folder = Folder::new();
        run(&folder, &[&["--flip", BROKEN][..], &folder.write_simulator_file(FAULT)].concat()).assert_exit_code(1);
        folder
    }

    const RESULTS: &str = "out/results-deepseek.json";

    fn write(folder: &Folder, more: &[&str]) -> FinishedRun {
        let arguments = ["baseline", "write", RESULTS, "-o", "known.yaml", "--reason", "before: 1.4"];
        folder.run(arguments.iter().chain(more))
    }

    #[test]
    fn what_is_written_makes_the_run_pass() {
        let folder = failed();
        write(&folder, &["--link", "https://x.example/7", "--until", "2999-01-01"]).assert_exit_code(0);
        let text = folder.read("known.yaml");
        let file: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!((&file["schema"], &file["target"]), (&"fieldtest-baseline/1".into(), &"deepseek".into()));
        let [row, check] = file["expect"].as_array().unwrap().as_slice() else { panic!("{text}") };
        assert_eq!(
            (&row["row"], &row["verdict"], &row["until"]),
            (&STOP.into(), &"ignored".into(), &"2999-01-01".into())
        );
        assert_eq!((&check["check"], &check["reason"]), (&"sse.done-record".into(), &"before: 1.4".into()));
        run(&folder, &[&HELD[..], &["--flip", BROKEN], &folder.write_simulator_file(FAULT)].concat())
            .assert_exit_code(0);
        folder.run(["baseline", "lint", "known.yaml"]).assert_exit_code(0);
        write(&folder, &[]).assert_exit_code(2).assert_stderr_contains(&["already exists", "--force"]);
        assert_eq!(folder.read("known.yaml"), text);
        write(&folder, &["--force"]).assert_exit_code(0);
        assert!(!folder.read("known.yaml").contains("until"));
    }

    #[test]
    fn an_update_says_each_change() {
        let folder = failed();
        write(&folder, &["--link", "https://x.example/7"]).assert_exit_code(0);
        let update = || folder.run(["baseline", "update", "known.yaml", RESULTS, "--reason", "since 1.5"]);
        let before = folder.read("known.yaml");
        assert!(update().assert_exit_code(0).stdout.contains("no change"));
        assert_eq!(folder.read("known.yaml"), before);
        let other = ["--flip", "field.stop_sequences=unsupported", "--flip", "field.stream=ignored"];
        run(&folder, &[&other[..], &folder.write_simulator_file(FAULT)].concat()).assert_exit_code(1);
        let said = update().assert_exit_code(0).stdout;
        for line in ["changed  field.stop_sequences: ignored to rejected", "added    field.stream: "] {
            assert!(said.contains(line), "{said}");
        }
        let after = folder.read("known.yaml");
        assert!(after.contains("since 1.5") && after.contains("before: 1.4"), "{after}");
        run(&folder, &[]).assert_exit_code(0);
        let said = update().assert_exit_code(0).stdout;
        assert!(said.contains("removed  field.stop_sequences") && !said.contains("removed  sse"), "{said}");
        let of_another = folder.read(RESULTS).replacen("\"name\": \"deepseek\"", "\"name\": \"other\"", 1);
        folder.write(RESULTS, of_another);
        update().assert_exit_code(2).assert_stderr_contains(&["the list is for target `deepseek`"]);
    }

    #[test]
    fn a_results_file_with_something_wrong_changes_nothing() {
        let folder = failed();
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
    fn lint_tells_what_is_wrong_and_what_has_expired() {
        let lint = |text: &str| {
            let folder = Folder::new();
            folder.write("known.yaml", text);
            folder.run(["baseline", "lint", "known.yaml"])
        };
        let with = |entries: &str| lint(&format!("schema: fieldtest-baseline/1\nexpect:\n{entries}"));
        with(&entry(STOP, "ignored", "    until: 2999-01-01\n")).assert_exit_code(0);
        with(&entry(STOP, "ignored", "    until: 2020-01-01\n"))
            .assert_exit_code(1)
            .assert_stderr_contains(&["known.yaml:3:", "expired after 2020-01-01"]);
        with(&entry(STOP, "ignored", "    until: 2027-02-30\n"))
            .assert_exit_code(2)
            .assert_stderr_contains(&["known.yaml:6:12", "2027-02-30"]);
        with(&entry(STOP, "ignored", "    link: wiki/7\n"))
            .assert_exit_code(2)
            .assert_stderr_contains(&["known.yaml:6:11", "https://"]);
        // All that is wrong is told at once.
        let two = [entry("field.x", "ignored", ""), entry(STOP, "fine", "")].concat();
        with(&two).assert_exit_code(2).assert_stderr_contains(&["known.yaml:3:10", "known.yaml:7:14"]);
        lint("{\"schema\": \"fieldtest-results/1\"}")
            .assert_exit_code(2)
            .assert_stderr_contains(&["expected a list of known failures"]);
        Folder::new()
            .run(["baseline", "lint", "known.yaml"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["known.yaml"]);
    }

    #[test]
    fn blank_reasons_odd_days_and_odd_links_are_refused() {
        let folder = failed();
        let wrong = |more: &[&str]| {
            let arguments = ["baseline", "write", RESULTS, "-o", "known.yaml"];
            folder.run(arguments.iter().chain(more)).assert_exit_code(2)
        };
        wrong(&[]).assert_stderr_contains(&["--reason"]);
        wrong(&["--reason", " "]).assert_stderr_contains(&["expected a reason"]);
        wrong(&["--reason", "r", "--until", "soon"]).assert_stderr_contains(&["2027-01-31"]);
        wrong(&["--reason", "r", "--link", "wiki"]).assert_stderr_contains(&["https://"]);
        assert!(!folder.exists("known.yaml"));
    }

    #[test]
    fn every_command_has_help_with_an_example_that_is_taken() {
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
