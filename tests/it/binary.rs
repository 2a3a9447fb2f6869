//! The real binary as users run it: every exit code by several ways, what it says, what it leaves behind, and what it
//! never does.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use binary::{FinishedRun, Folder, RunningCommand};
use fieldtest::recording::reader;
use fieldtest::simulator::SimulatorFault;
use proptest::prelude::*;
use serde_json::Value;
use server::{FaithfulServer, TestServer};

use crate::common::{binary, server};
use crate::workflows::{assert_accepted, fieldtest_calls};

const COMMANDS: [&str; 9] = ["run", "plan", "judge", "merge", "compare", "report", "rows", "simulate", "check"];
/// A row that takes few requests, and that deepseek's document calls supported.
const STOP: &str = "field.stop_sequences";

/// Runs `fieldtest run deepseek --simulate --out out` with more arguments.
fn run_simulated(folder: &Folder, more: &[&str]) -> FinishedRun {
    folder.run(["run", "deepseek", "--simulate", "--out", "out"].iter().chain(more))
}

/// A folder with the results and the recording of one row that conforms.
fn folder_with_results() -> Folder {
    let folder = Folder::new();
    run_simulated(&folder, &["--select", STOP]).assert_exit_code(0);
    folder
}

/// `fieldtest simulate`, in a process of its own that ends with this value.
struct Simulator {
    child: Child,
    url: String,
    key: String,
}

impl Simulator {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = folder.command(["simulate"].iter().chain(arguments).chain(&["--port", "0"]));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find_map(|word| word.strip_suffix(':').filter(|w| w.starts_with("http://")));
        let url = url.unwrap_or_else(|| panic!("no address in `{line}`")).to_owned();
        let key = line.trim().rsplit_once("x-api-key ").unwrap().1.to_owned();
        Self { child, url, key }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

mod help {
    use super::*;

    #[test]
    fn every_command_has_help_with_an_example_that_names_it() {
        let folder = Folder::new();
        let all = folder.run(["--help"]).assert_exit_code(0);
        for command in COMMANDS {
            assert!(all.stdout.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{command}");
            let help = folder.run([command, "--help"]).assert_exit_code(0);
            assert!(help.stdout.contains(&format!("\n  fieldtest {command}")), "{}", help.stdout);
            assert_eq!(help.stderr, "");
        }
    }

    /// An example that cannot be run is worse than none: at least the arguments must be taken.
    #[test]
    fn the_command_line_accepts_every_example() {
        let folder = Folder::new();
        let mut tried = 0;
        for command in COMMANDS {
            let help = folder.run([command, "--help"]).stdout;
            for arguments in fieldtest_calls(&help) {
                assert_accepted(&arguments, command);
                tried += 1;
            }
        }
        assert!(tried >= COMMANDS.len(), "{tried}");
    }

    #[test]
    fn the_help_lists_the_exit_codes() {
        let help = Folder::new().run(["--help"]).assert_exit_code(0).stdout;
        for part in [
            "Exit codes",
            "0   no claim is contradicted",
            "1   a claim is contradicted",
            "2   wrong usage",
            "3   the target",
            "70  a bug",
        ] {
            assert!(help.contains(part), "{help}");
        }
    }

    #[test]
    fn the_faults_of_the_simulator_are_listed_by_area_with_a_description() {
        let finished = Folder::new().run(["simulate", "--list-faults"]).assert_exit_code(0);
        let listed: Vec<(&str, &str)> = finished.stdout.lines().map(|line| line.split_once("  ").unwrap()).collect();
        let all: Vec<(&str, &str)> = SimulatorFault::all().map(|fault| (fault.id(), fault.description())).collect();
        assert_eq!(listed.iter().map(|(id, what)| (*id, what.trim())).collect::<Vec<_>>(), all);
        assert!(all.iter().all(|(_, what)| !what.is_empty() && what.len() < 90), "{all:?}");
        let mut areas: Vec<&str> = all.iter().map(|(id, _)| id.split('.').next().unwrap()).collect();
        areas.dedup();
        assert!(areas.starts_with(&["http", "message", "sse", "usage", "error", "tool", "raw"]), "{areas:?}");
        // A target beside it changes nothing, and nothing is served.
        assert_eq!(
            Folder::new().run(["simulate", "deepseek", "--list-faults"]).assert_exit_code(0).stdout,
            finished.stdout
        );
    }

    #[test]
    fn the_version_is_printed() {
        let version = Folder::new().run(["--version"]).assert_exit_code(0).stdout;
        assert_eq!(version, format!("fieldtest {}\n", env!("CARGO_PKG_VERSION")));
    }
}

mod exit_0 {
    use super::*;

    #[test]
    fn a_run_without_arguments_tests_both_tables_without_network_or_key() {
        let folder = Folder::new();
        let finished = folder.run(["run", "--select", STOP, "--select", "field.top_k"]).assert_exit_code(0);
        assert!(
            finished.stdout.contains("deepseek") && finished.stdout.contains("tencent-lkeap"),
            "{}",
            finished.stdout
        );
        assert!(finished.stdout.contains("simulated"), "a simulation is told as such: {}", finished.stdout);
        let files = ["recording-deepseek.jsonl", "recording-tencent-lkeap.jsonl"];
        assert_eq!(folder.file_names("reports", "recording-"), files);
        assert_eq!(folder.file_names("reports", "results-"), ["results-deepseek.json", "results-tencent-lkeap.json"]);
        assert!(folder.read("reports/matrix.md").contains("top_k"));
    }

    #[test]
    fn a_named_simulation() {
        let folder = folder_with_results();
        let results = folder.results("out");
        assert_eq!(results["schema"], "fieldtest-results/1");
        assert_eq!((&results["target"]["simulated"], &results["partial"]), (&Value::Bool(true), &Value::Null));
        assert_eq!(results["rows"][0]["outcome"], "conforms");
    }

    #[test]
    fn a_server_is_tested_by_its_base_url_with_and_without_a_path() {
        let folder = Folder::new();
        let simulator = Simulator::start(&folder, &["anthropic"]);
        let authority = simulator.url.strip_prefix("http://").unwrap();
        for (path, more, claim) in [
            ("", &["--claims", "deepseek"][..], Value::from("supported")),
            ("/", &[], Value::Null),
            ("/anthropic", &["--claims", "anthropic"], Value::from("supported")),
            ("/a/b/v1/messages", &[], Value::Null),
        ] {
            let folder = Folder::new();
            let url = format!("{}{path}", simulator.url);
            let arguments =
                ["run", "--base-url", &url, "--model", "claude-sonnet-4-5", "--select", STOP, "--out", "out"];
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
        let simulator = Simulator::start(&folder, &["deepseek"]);
        let arguments = ["run", "--base-url", &simulator.url, "--claims", "deepseek", "--select", STOP, "--out", "out"];
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
}

mod exit_1 {
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
        folder
            .run(live.iter().chain(&fault("message.type")))
            .assert_exit_code(2)
            .assert_stderr_contains(&["--simulate"]);
    }

    #[test]
    fn a_recording_is_judged_with_other_claims() {
        let folder = Folder::new();
        run_simulated(&folder, &["--select", "field.top_k"]).assert_exit_code(0);
        let judge =
            |claims| folder.run(["judge", "out/recording-deepseek.jsonl", "--claims", claims, "--out", "again"]);
        judge("anthropic").assert_exit_code(1);
        assert_eq!(folder.results("again")["rows"][0]["outcome"], "contradicts");
        judge("deepseek").assert_exit_code(0);
        assert_eq!(folder.results("again"), folder.results("out"));
    }
}

mod exit_2 {
    use super::*;

    /// Runs that are wrong from the start: what is said, and that nothing is left behind.
    #[track_caller]
    fn assert_rejected(arguments: &[&str], said: &[&str]) {
        let folder = Folder::new();
        let finished = folder.run(arguments).assert_exit_code(2).assert_stderr_contains(said);
        assert_eq!(finished.stdout, "", "{arguments:?}");
        assert!(finished.stderr.starts_with("error: "), "{}", finished.stderr);
        assert!(folder.all_files().is_empty(), "{arguments:?} left {:?}", folder.all_files());
    }

    #[test]
    fn a_missing_command_and_unknown_words_are_rejected() {
        let folder = Folder::new();
        folder.run::<&str>([]).assert_exit_code(2).assert_stderr_contains(&["Usage: fieldtest [OPTIONS] <COMMAND>"]);
        assert_rejected(&["frobnicate"], &["unrecognized subcommand 'frobnicate'"]);
        assert_rejected(&["run", "--frobnicate"], &["unexpected argument '--frobnicate'"]);
        assert_rejected(&["judge"], &["<RECORDING>..."]);
        assert_rejected(&["report"], &["<RESULTS>..."]);
        assert_rejected(&["simulate"], &["<TARGET>"]);
    }

    #[test]
    fn unknown_names_are_rejected() {
        let known = "anthropic, deepseek, tencent-lkeap";
        assert_rejected(&["run", "nobody"], &["unknown target `nobody`", known]);
        assert_rejected(&["run", "--claims", "nobody"], &["unknown target `nobody`", known]);
        assert_rejected(&["plan", "nobody"], &["unknown target `nobody`", known]);
        assert_rejected(&["simulate", "nobody"], &["unknown target `nobody`", known]);
        assert_rejected(&["judge", "nothing.jsonl", "--claims", "nobody"], &["unknown target `nobody`", known]);
        assert_rejected(&["judge", "nothing.jsonl", "--out", "."], &["cannot read nothing.jsonl"]);
        assert_rejected(&["report", "nothing.json"], &["cannot read nothing.json"]);
    }

    #[test]
    fn selections_without_rows_are_rejected() {
        for command in ["run", "plan", "rows"] {
            assert_rejected(
                &[command, "--select", "field.none"],
                &["--select field.none selects no row", "`fieldtest rows`"],
            );
            assert_rejected(&[command, "--select", ""], &["selects no row"]);
            assert_rejected(&[command, "--select", "["], &["--select [", "missing ']'"]);
        }
        assert_rejected(&["run", "--select", "limit.*"], &["need `limits: max_output_tokens`"]);
    }

    #[test]
    fn values_out_of_range_are_rejected() {
        let target = &["run", "deepseek", "--simulate"][..];
        for (option, value, said) in [
            ("--confidence", "1", "from 0.5 up to"),
            ("--confidence", "nan", "from 0.5 up to"),
            ("--concurrency", "0", "0 is not in 1..=256"),
            ("--rpm", "0", "0 is not in 1.."),
            ("--timeout", "0", "0 is not in 1.."),
            ("--timeout", "1.5", "invalid digit"),
            ("--retries", "99", "99 is not in 0..=20"),
            ("--max-requests", "0", "0 is not in 1.."),
            ("--max-tokens", "-1", "'-1'"),
            ("--max-cost", "-1", "above 0"),
            ("--max-cost", "inf", "above 0"),
            ("--default-max-tokens", "0", "0 is not in 1.."),
            ("--model", "", "a value is required for '--model"),
            ("--name", "", "a value is required for '--name"),
            ("--api-key-env", "", "a value is required for '--api-key-env"),
            ("--format", "xml", "possible values: terminal, markdown, json"),
            ("--flip", "nonsense", "expected ROW=STATUS"),
            (
                "--flip",
                "field.top_k=maybe",
                "unknown status `maybe`. Use supported, ignored, unsupported or substituted",
            ),
        ] {
            assert_rejected(&[target, &[option, value]].concat(), &[said]);
        }
        for (option, value, said) in [
            ("--disobedience", "2", "a number from 0 to 1"),
            ("--drift-to", "1.5", "a number from 0 to 1"),
            ("--drift-after", "5", "--drift-to <P>"),
        ] {
            assert_rejected(&["simulate", "deepseek", option, value], &[said]);
        }
    }

    #[test]
    fn options_that_exclude_each_other_are_rejected() {
        let url = "http://127.0.0.1:9";
        assert_rejected(&["run", "--base-url", url, "--simulate"], &["--simulate and --base-url cannot be combined"]);
        assert_rejected(&["run", "deepseek", "anthropic", "--base-url", url], &["--base-url accepts one target"]);
        assert_rejected(&["run", "deepseek", "deepseek", "--simulate"], &["target `deepseek` is named twice"]);
        assert_rejected(&["run", "--name", "x"], &["--name accepts one target"]);
        assert_rejected(&["run", "--base-url", url], &["--base-url needs --model"]);
        assert_rejected(
            &["run", "--base-url", url, "--model", "m", "--flip", "field.top_k=ignored"],
            &["simulator options need --simulate"],
        );
        assert_rejected(&["run", "--max-cost", "1"], &["--max-cost needs prices for", "`prices`", "--price-input"]);
    }

    #[test]
    fn invalid_base_urls_are_rejected() {
        for (url, said) in [
            ("api.example.com", "it does not begin with http:// or https://"),
            ("ftp://host", "it begins with `ftp:`"),
            ("http://", "empty host"),
            ("https://user:hunter2-0123@host", "it contains a user name or a password"),
            ("https://host/?key=hunter2-0123", "it has a query"),
        ] {
            for command in ["run", "plan"] {
                let folder = Folder::new();
                let finished = folder
                    .run([command, "--base-url", url, "--model", "m"])
                    .assert_exit_code(2)
                    .assert_stderr_contains(&[said, "--base-url"]);
                assert!(!finished.stderr.contains("hunter2"), "{}", finished.stderr);
            }
        }
    }

    #[test]
    fn a_live_target_without_its_credential_is_rejected() {
        let said = &[
            "no credential: set DEEPSEEK_API_KEY",
            "--api-key-env",
            "--api-key-file",
            "To run without a key: `fieldtest run deepseek --simulate`",
        ];
        assert_rejected(&["run", "deepseek"], said);
        let folder = Folder::new();
        // CI systems set a secret that they do not have to nothing.
        folder
            .run_with_env(&[("DEEPSEEK_API_KEY", "")], &["run", "deepseek"])
            .assert_exit_code(2)
            .assert_stderr_contains(said);
        // That of another target is not his.
        folder
            .run_with_env(&[("ANTHROPIC_API_KEY", "sk-ant-0123456789")], &["run", "deepseek"])
            .assert_exit_code(2)
            .assert_stderr_contains(said);
        assert_rejected(&["run", "deepseek", "--api-key-env", "MY_KEY"], &["no credential: set MY_KEY"]);
        assert_rejected(&["run", "deepseek", "--api-key-file", "none"], &["the credential file none cannot be read"]);
        assert!(folder.all_files().is_empty());
    }

    #[test]
    fn an_invalid_credential_is_rejected_and_not_printed() {
        let folder = Folder::new();
        folder.write("two-lines", "hunter2-0123\nhunter2-4567\n");
        folder.write("empty", "");
        for (variables, arguments, said) in [
            (
                &[("DEEPSEEK_API_KEY", "hunter2 0123")][..],
                &["run", "deepseek"][..],
                "DEEPSEEK_API_KEY contains a space",
            ),
            (
                &[],
                &["run", "deepseek", "--api-key-file", "two-lines"],
                "the file two-lines contains a space, a line break",
            ),
            (&[], &["run", "deepseek", "--api-key-file", "empty"], "the file empty is empty"),
            // The credential itself where a name belongs.
            (&[], &["run", "deepseek", "--api-key-env", "sk-hunter2-0123"], "needs the name of a variable"),
            (&[], &["run", "deepseek", "--api-key", "sk-hunter2-0123"], "unexpected argument '--api-key'"),
            (&[], &["run", "deepseek", "--api-key=sk-hunter2-0123"], "unexpected argument '--api-key'"),
        ] {
            let finished =
                folder.run_with_env(variables, arguments).assert_exit_code(2).assert_stderr_contains(&[said]);
            assert!(!finished.stderr.contains("hunter2"), "{}", finished.stderr);
        }
    }

    #[test]
    fn folders_that_cannot_be_written_are_rejected_before_a_request() {
        let server = TestServer::start(|_, _| Ok(()));
        let url = server.url();
        let folder = Folder::new();
        folder.write("file", "x");
        for (out, said) in [
            ("file", "cannot write into file: it is not a folder"),
            ("file/below", "cannot write into file/below"),
            ("/proc/fieldtest", "cannot write into /proc/fieldtest"),
        ] {
            let run = ["run", "--base-url", &url, "--model", "m"];
            folder.run(run.iter().chain(&["--out", out])).assert_exit_code(2).assert_stderr_contains(&[said]);
            folder
                .run(run.iter().chain(&["--record", out, "--out", "out"]))
                .assert_exit_code(2)
                .assert_stderr_contains(&[said]);
        }
        assert!(server.received_requests().is_empty());
    }

    #[test]
    fn results_that_cannot_be_written_are_still_printed() {
        let folder = Folder::new();
        let out = folder.path().join("out");
        let faithful = FaithfulServer::start();
        let server = TestServer::start(move |request, stream| {
            // Somebody tidies up while the run is under way, and has a file of that name.
            if fs::remove_dir_all(&out).is_ok() {
                fs::write(&out, "mine")?;
            }
            std::io::Write::write_all(stream, &faithful.respond(request)?)
        });
        let url = server.url();
        let arguments = ["run", "--base-url", &url, "--model", "m", "--select", STOP, "--out", "out", "--retries", "0"];
        let arguments = [&arguments[..], &["--api-key-env", "KEY"]].concat();
        let finished = folder.run_with_env(&[("KEY", "fieldtest-simulator")], &arguments).assert_exit_code(2);
        let finished = finished.assert_stderr_contains(&["cannot write out/"]);
        assert!(
            finished.stdout.contains("stop_sequences") && finished.stdout.contains("supported"),
            "{}",
            finished.stdout
        );
        assert_eq!(folder.read("out"), "mine");
    }

    #[test]
    fn files_of_another_kind_are_rejected() {
        let folder = folder_with_results();
        folder
            .run(["judge", "out/results-deepseek.json", "--out", "x"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["is not the header of a recording"]);
        folder.run(["judge", "out", "--out", "x"]).assert_exit_code(2).assert_stderr_contains(&["cannot read"]);
        let recording = "out/recording-deepseek.jsonl";
        folder
            .run(["report", recording, "-o", "x"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["`fieldtest judge` makes results from it"]);
        folder
            .run(["report", "out/matrix.md", "-o", "x"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["out/matrix.md:1:", "not JSON"]);
    }

    #[test]
    fn a_port_in_use_is_rejected() {
        let folder = Folder::new();
        let simulator = Simulator::start(&folder, &["deepseek"]);
        let port = simulator.url.rsplit(':').next().unwrap();
        let said = &["cannot listen on 127.0.0.1:", "Choose another port with --port"];
        folder.run(["simulate", "deepseek", "--port", port]).assert_exit_code(2).assert_stderr_contains(said);
    }
}

/// What unreachable, refusing and broken endpoints lead to is held in `hostile.rs`.
mod exit_3 {
    use super::*;

    #[test]
    fn an_exhausted_budget_leaves_partial_results() {
        let folder = Folder::new();
        let needed = {
            run_simulated(&folder, &["--select", STOP]).assert_exit_code(0);
            folder.results("out")["totals"]["requests"].as_u64().unwrap()
        };
        for (option, value) in [("--max-requests", (needed - 1).to_string()), ("--max-tokens", "20".to_owned())] {
            let arguments = ["--select", STOP, option, &value];
            let finished = run_simulated(&folder, &arguments)
                .assert_exit_code(3)
                .assert_stderr_contains(&["partial results: the budget was used up"]);
            assert!(finished.stdout.contains("PARTIAL RUN"), "{}", finished.stdout);
            let results = folder.results("out");
            let partial = results["partial"].as_str().unwrap();
            assert!(partial.starts_with("the budget was used up: "), "{partial}");
            assert!(partial.contains("not finished"), "{partial}");
            assert!(results["totals"]["requests"].as_u64().unwrap() < needed, "{results}");
            assert_eq!(results["rows"][0]["outcome"], "undetermined");
            assert!(folder.read("out/matrix.md").contains("the budget was used up"));
            // Spending all of it counts as not tested however strict one is.
            run_simulated(&folder, &[&arguments[..], &["--strict"]].concat()).assert_exit_code(3);
        }
        // A run that needs exactly what it may spend is whole.
        run_simulated(&folder, &["--select", STOP, "--max-requests", &needed.to_string()]).assert_exit_code(0);
        assert_eq!(folder.results("out")["partial"], Value::Null);
    }

    #[test]
    fn a_model_that_never_obeys_decides_nothing() {
        let folder = Folder::new();
        let arguments = ["--select", "field.system", "--default-max-tokens", "1"];
        run_simulated(&folder, &arguments)
            .assert_exit_code(3)
            .assert_stderr_contains(&["no row is decided: field.system: "]);
        assert_eq!(folder.results("out")["summary"]["decided"], 0);
    }
}

mod secrets {
    use super::*;

    const SECRET: &str = "sk-hunter2-0123456789abcdef";

    fn assert_no_secret(folder: &Folder, finished: &FinishedRun, but: &str) {
        assert!(!finished.stdout.contains("hunter2") && !finished.stderr.contains("hunter2"), "{finished:?}");
        let files = folder.all_files();
        assert!(files.len() > 3, "{files:?}");
        for (path, content) in files.iter().filter(|(path, _)| !path.ends_with(but)) {
            assert!(!String::from_utf8_lossy(content).contains("hunter2"), "{}", path.display());
        }
    }

    /// The rows about credentials send the right one, a wrong one and none, in both headers.
    #[test]
    fn the_credential_is_sent_and_never_written() {
        let faithful = FaithfulServer::start();
        let server = TestServer::start(move |request, stream| {
            let head = request.head.replace(SECRET, "fieldtest-simulator");
            std::io::Write::write_all(stream, &faithful.respond(&server::ReceivedRequest { head, ..request.clone() })?)
        });
        let folder = Folder::new();
        folder.write("key", SECRET);
        let url = server.url();
        let run =
            ["run", "--base-url", &url, "--model", "m", "--select", "header.*", "--out", "out", "--claims", "deepseek"];
        for credential in [["--api-key-env", "KEY"], ["--api-key-file", "key"]] {
            let before = server.received_requests().len();
            let finished = folder.run_with_env(&[("KEY", SECRET)], &[&run[..], &credential].concat());
            assert!(matches!(finished.code, Some(0 | 1)), "{finished:?}");
            assert_no_secret(&folder, &finished, "key");
            let requests = server.received_requests();
            assert!(requests[before..].iter().filter(|request| request.head.contains(SECRET)).count() > 5);
            assert!(requests.iter().all(|request| !request.body.contains("hunter2")));
        }
        let again =
            folder.run(["judge", &format!("out/{}", folder.file_names("out", "recording-")[0]), "--out", "again"]);
        assert_no_secret(&folder, &again, "key");
    }

    #[test]
    fn the_credential_of_a_target_is_not_sent_to_another_host() {
        let server = TestServer::start(|_, _| Ok(()));
        let folder = Folder::new();
        let url = server.url();
        let arguments = ["run", "deepseek", "--base-url", &url, "--select", STOP, "--retries", "0", "--out", "out"];
        folder.run_with_env(&[("DEEPSEEK_API_KEY", SECRET)], &arguments).assert_exit_code(3);
        assert!(!server.received_requests().is_empty());
        assert!(
            server.received_requests().iter().all(|request| !request.head.contains("hunter2")),
            "{:?}",
            server.received_requests()
        );
    }
}

mod output {
    use super::*;

    #[test]
    fn only_a_terminal_gets_escape_codes() {
        let folder = folder_with_results();
        for variables in [&[][..], &[("NO_COLOR", "1")], &[("TERM", "xterm-256color")], &[("TERM", "dumb")]] {
            for arguments in [
                &["run", "deepseek", "--simulate", "--select", STOP, "--out", "out"][..],
                &["report", "out/results-deepseek.json", "-o", "again"],
                &["plan", "deepseek", "--select", STOP],
                &["rows", "--select", STOP],
                &["run", "nobody"],
                &["run", "--help"],
            ] {
                let finished = folder.run_with_env(variables, arguments);
                assert!(!finished.stdout.is_empty() || !finished.stderr.is_empty());
                assert!(!finished.stdout.contains('\x1b') && !finished.stderr.contains('\x1b'), "{finished:?}");
            }
        }
    }

    #[test]
    fn only_the_requested_formats_are_written() {
        let folder = Folder::new();
        let shown = run_simulated(&folder, &["--select", STOP, "--format", "terminal"]).assert_exit_code(0);
        assert!(shown.stdout.contains("stop_sequences"));
        assert_eq!(folder.file_names("out", ""), ["recording-deepseek.jsonl"]);
        let silent = run_simulated(&folder, &["--select", STOP, "--format", "json"]).assert_exit_code(0);
        assert_eq!(silent.stdout, "");
        assert_eq!(folder.file_names("out", ""), ["recording-deepseek.jsonl", "results-deepseek.json"]);
    }

    #[test]
    fn recordings_are_written_to_the_record_folder() {
        let folder = Folder::new();
        run_simulated(&folder, &["--select", STOP, "--record", "kept/here"]).assert_exit_code(0);
        assert_eq!(folder.file_names("kept/here", ""), ["recording-deepseek.jsonl"]);
        assert_eq!(folder.file_names("out", ""), ["matrix.md", "results-deepseek.json"]);
    }

    #[test]
    fn equal_seeds_send_equal_requests_and_get_equal_results() {
        let folder = Folder::new();
        let run = |seed: &str| {
            run_simulated(&folder, &["--select", STOP, "--select", "field.system", "--seed", seed]).assert_exit_code(0);
            let mut results = folder.results("out");
            for of in ["started_at", "finished_at"] {
                results[of] = Value::Null;
            }
            results["totals"]["wall_ms"] = Value::Null;
            results
        };
        assert_eq!(run("7"), run("7"));
        assert_ne!(run("7"), run("8"));
    }

    #[test]
    fn a_reader_that_closes_the_pipe_causes_no_panic() {
        let folder = folder_with_results();
        for arguments in [
            &["rows"][..],
            &["plan"],
            &["--help"],
            &["report", "out/results-deepseek.json", "-o", "again"],
            &["rows", "--format", "json"],
        ] {
            let mut child = folder.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            drop(child.stdout.take());
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            let status = child.wait().unwrap();
            assert!(!said.contains("panicked"), "{arguments:?}: {said}");
            assert_eq!(status.code(), Some(0), "{arguments:?}: {said}");
        }
    }

    #[test]
    fn plans_send_nothing_and_need_no_key() {
        let server = TestServer::start(|_, _| Ok(()));
        let folder = Folder::new();
        let plan = folder.run(["plan"]).assert_exit_code(0);
        assert!(plan.stdout.contains("deepseek") && plan.stdout.contains("sends no requests"), "{}", plan.stdout);
        let url = server.url();
        let arguments = ["plan", "--base-url", &url, "--model", "m", "--select", STOP, "--format", "json"];
        let plan: Value = serde_json::from_str(&folder.run(arguments).assert_exit_code(0).stdout).unwrap();
        assert_eq!(plan["targets"][0]["rows"][0]["id"], STOP);
        assert!(plan["planned"]["requests"]["min"].as_u64() <= plan["planned"]["requests"]["max"].as_u64());
        assert!(server.received_requests().is_empty());
        assert!(folder.all_files().is_empty());
    }

    /// The plan is a promise: a run stays within it.
    #[test]
    fn a_run_stays_within_its_plan() {
        let folder = Folder::new();
        let select = ["--select", "field.{system,stop_sequences,metadata}", "--select", "tools.*"];
        let plan = folder.run(["plan", "deepseek", "--format", "json"].iter().chain(&select)).assert_exit_code(0);
        let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
        run_simulated(&folder, &select).assert_exit_code(0);
        let requests = folder.results("out")["totals"]["requests"].as_u64().unwrap();
        let (least, most) = (
            plan["planned"]["requests"]["min"].as_u64().unwrap(),
            plan["planned"]["requests"]["max"].as_u64().unwrap(),
        );
        assert!((least..=most).contains(&requests), "{least} <= {requests} <= {most}");
    }

    #[test]
    fn rows_are_listed_with_the_claims_of_every_target() {
        let folder = Folder::new();
        let all = folder.run(["rows"]).assert_exit_code(0).stdout;
        assert!(all.contains("field.top_k") && all.contains("tool_choice.string_form"), "{all}");
        let rows = folder
            .run(["rows", "--format", "json", "--select", "field.top_k", "--select", "header.*"])
            .assert_exit_code(0);
        let rows: Value = serde_json::from_str(&rows.stdout).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 6);
        let top_k = rows.as_array().unwrap().iter().find(|row| row["id"] == "field.top_k").unwrap();
        assert_eq!(
            top_k["claims"],
            serde_json::json!({
                "anthropic": "supported", "deepseek": "ignored", "tencent-lkeap": "ignored",
            })
        );
    }
}

mod files {
    use super::*;

    #[test]
    fn results_are_rendered_side_by_side() {
        let folder = Folder::new();
        folder.run(["run", "--select", STOP, "--out", "out"]).assert_exit_code(0);
        let arguments = ["report", "out/results-tencent-lkeap.json", "out/results-deepseek.json", "-o", "side"];
        let finished = folder.run(arguments).assert_exit_code(0);
        assert!(finished.stdout.find("tencent-lkeap") < finished.stdout.find("deepseek"), "{}", finished.stdout);
        let matrix = folder.read("side/matrix.md");
        assert!(matrix.contains("tencent-lkeap") && matrix.contains("deepseek"), "{matrix}");
    }

    #[test]
    fn two_results_of_one_target_are_both_written() {
        let folder = Folder::new();
        folder.run(["run", "deepseek", "--simulate", "--select", STOP, "--out", "old"]).assert_exit_code(0);
        let flip = ["--flip", "field.stop_sequences=ignored", "--out", "new"];
        folder.run(["run", "deepseek", "--simulate", "--select", STOP].iter().chain(&flip)).assert_exit_code(1);
        let (old, new) = (folder.read("old/results-deepseek.json"), folder.read("new/results-deepseek.json"));
        let both = ["old/results-deepseek.json", "new/results-deepseek.json"];
        folder.run(["report", both[0], both[1], "-o", "side"]).assert_exit_code(0);
        assert_eq!(folder.file_names("side", "results-"), ["results-deepseek-2.json", "results-deepseek.json"]);
        // Not even into the folder of one of them.
        folder.run(["report", both[0], both[1], "-o", "new"]).assert_exit_code(0);
        assert_eq!(folder.read(both[1]), new);
        assert_eq!(folder.read("new/results-deepseek-2.json"), old);
    }

    #[test]
    fn edited_or_truncated_results_are_rejected() {
        let folder = folder_with_results();
        let text = folder.read("out/results-deepseek.json");
        for (content, said) in [
            (text.replace(r#""outcome": "conforms""#, r#""outcome": "contradicts""#), "row field.stop_sequences"),
            (text.replace("fieldtest-results/1", "fieldtest-results/9"), "This version of fieldtest reads"),
            (text.replace(r#""rows": ["#, r#""lines": ["#), "rows"),
            (text[..text.len() / 2].to_owned(), "the file is incomplete"),
            (String::new(), "the file is incomplete"),
        ] {
            folder.write("edited.json", content);
            folder
                .run(["report", "edited.json", "-o", "x"])
                .assert_exit_code(2)
                .assert_stderr_contains(&["edited.json", said]);
        }
        folder.write("edited.json", b"\xff\xfe");
        folder.run(["report", "edited.json", "-o", "x"]).assert_exit_code(2).assert_stderr_contains(&["edited.json"]);
        assert!(!folder.exists("x"));
    }

    #[test]
    fn edited_recordings_are_rejected_with_the_line() {
        let folder = folder_with_results();
        let text = folder.read("out/recording-deepseek.jsonl");
        let lines: Vec<&str> = text.lines().collect();
        let without = |n: usize| {
            let mut lines = lines.clone();
            lines.remove(n);
            lines.join("\n") + "\n"
        };
        for (content, said) in [
            (String::new(), "is not the header of a recording"),
            (without(0), "is not the header of a recording"),
            (without(1), "which is not in the file"),
            (
                without(lines.iter().position(|line| line.starts_with(r#"{"trial""#)).unwrap()),
                "It was edited; record it again",
            ),
            (text.replace("fieldtest-recording/1", "fieldtest-recording/9"), "this version reads"),
            (text.replacen("\n{\"exchange\"", "\n{\"exchanged\"", 1), "line 2 of the recording: column"),
            (
                text.replacen(r#""confidence":0.99"#, r#""confidence":0.0"#, 1),
                "line 1 of the recording: the confidence is 0",
            ),
            (format!("{text}{text}"), "a second header"),
            (format!("{text}{}\n", lines[1]), "something follows the footer"),
            (text.replace(r#""row":"field.stop_sequences""#, r#""row":"field.stop_sequences","arm":"none""#), "line "),
            (
                text.replace(r#""rows":["field.stop_sequences"]"#, r#""rows":["field.none"]"#),
                "Use the case files of the run",
            ),
        ] {
            folder.write("edited.jsonl", content);
            folder
                .run(["judge", "edited.jsonl", "--out", "x"])
                .assert_exit_code(2)
                .assert_stderr_contains(&["edited.jsonl", said]);
        }
    }

    #[test]
    fn an_endless_line_is_rejected_within_bounds() {
        let folder = folder_with_results();
        let path = folder.write("endless.jsonl", folder.read("out/recording-deepseek.jsonl"));
        // A hole of a gigabyte: it costs no disk, and reads as zeros.
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
        let finished = folder
            .run(["judge", "endless.jsonl", "--out", "x"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["endless.jsonl", "longer than 256 MiB"]);
        assert!(finished.peak_kib < 600 * 1024, "{} KiB", finished.peak_kib);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever happens to a recording, judging it is no panic, and what comes of it can be rendered and read back.
        #[test]
        fn damaged_recordings_cause_no_panic(
            at in any::<prop::sample::Index>(),
            length in 0..12_usize,
            with in "[0-9a-z\"{}\\[\\],:\n. -]{0,6}",
        ) {
            let (catalog, text) = recorded_run();
            let mut bytes = text.clone();
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, with.bytes());
            if let Ok(recording) = reader::read_recording(&bytes[..])
                && let Ok(results) = fieldtest::engine::judge(catalog, &recording)
            {
                let text = fieldtest::results::json::render(&results);
                prop_assert!(fieldtest::results::json::parse("x", &text).is_ok());
            }
        }
    }

    /// The bundled cases and a recording of two rows, made once.
    fn recorded_run() -> &'static (fieldtest::catalog::Catalog, Vec<u8>) {
        static RECORDED: std::sync::OnceLock<(fieldtest::catalog::Catalog, Vec<u8>)> = std::sync::OnceLock::new();
        RECORDED.get_or_init(|| {
            let folder = Folder::new();
            run_simulated(&folder, &["--select", STOP, "--select", "field.metadata"]).assert_exit_code(0);
            let text = folder.read("out/recording-deepseek.jsonl").into_bytes();
            (fieldtest::catalog::Catalog::load_bundled().unwrap(), text)
        })
    }
}

#[cfg(unix)]
#[test]
fn the_simulator_ends_after_a_signal() {
    let folder = Folder::new();
    // It has printed its address.
    let mut simulator = Simulator::start(&folder, &["deepseek"]);
    std::process::Command::new("kill").args(["-INT", &simulator.child.id().to_string()]).status().unwrap();
    assert_eq!(simulator.child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn the_second_signal_ends_a_run_in_any_state() {
    let folder = Folder::new();
    let simulator = Simulator::start(&folder, &["anthropic"]);
    let mut command =
        folder.command(["run", "--base-url", &simulator.url, "--model", "claude-sonnet-4-5", "--name", "x"]);
    command.args([
        "--claims",
        "anthropic",
        "--api-key-env",
        "KEY",
        "--format",
        "ndjson",
        "--no-progress",
        "--out",
        "out",
    ]);
    // Nobody reads the events, and a pipe does not hold all of them: at some point the run waits to get rid of one.
    let mut child = command
        .env("KEY", &simulator.key)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let size = || fs::metadata(folder.path().join("out/recording-x.jsonl")).map_or(0, |file| file.len());
    let mut before = 0;
    loop {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let now = size();
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    let mut signals = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(signals < 300, "two signals did not end it");
        signals += 1;
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    assert_eq!(status.code(), Some(3));
}
