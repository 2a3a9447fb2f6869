//! Runs `fieldtest gateway` as users do, with small gateways: a faithful one for each API, and one for each fault.
//!
//! Each fault must change the verdicts of the right rows, and of no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use binary::{FinishedRun, Folder, RunningCommand};
use sandwich::quirk::GatewayQuirk;
use sandwich::{Gateway, Shape};
use serde_json::Value;

use crate::common::binary;
use crate::sandwich;

/// The credential of the client.
const CLIENT_KEY: &str = "sk-client-very-secret";

/// A finished run against a gateway.
struct GatewayRun {
    folder: Folder,
    finished: FinishedRun,
}

fn command(folder: &Folder, gateway: &Gateway, shape: Shape, more: &[&str]) -> std::process::Command {
    let port = gateway.upstream_port.to_string();
    let shape = if shape == Shape::Anthropic { "anthropic" } else { "openai" };
    let mut arguments = vec!["gateway", "--via", &gateway.url, "--upstream-port", &port, "--shape", shape];
    arguments.extend(["--model", "m", "--name", "g", "--out", "out", "--api-key-env", "KEY"]);
    for (option, value) in [("--timeout", "4"), ("--seed", "1")] {
        if !more.contains(&option) {
            arguments.extend([option, value]);
        }
    }
    arguments.extend(more);
    let mut command = folder.command(arguments);
    command.env("KEY", CLIENT_KEY);
    command
}

impl GatewayRun {
    fn start(shape: Shape, quirk: GatewayQuirk, more: &[&str]) -> Self {
        let gateway = Gateway::start(shape, quirk);
        let folder = Folder::new();
        let finished = RunningCommand::start(command(&folder, &gateway, shape, more)).wait_for_end();
        Self { folder, finished }
    }

    fn results(&self) -> Value {
        self.folder.results("out")
    }

    /// The gateway verdict of each row, with the code of an undetermined verdict.
    fn outcomes(&self) -> BTreeMap<String, String> {
        let results = self.results();
        let rows = results["rows"].as_array().unwrap().iter();
        rows.map(|row| {
            let outcome = row["fate"]["kind"].as_str().unwrap();
            let code = row["verdict"]["code"].as_str().map_or(String::new(), |code| format!(" {code}"));
            let kind = row["verdict"]["because"]["kind"].as_str().unwrap();
            assert_ne!(kind, "other", "the reason is not data: {row}");
            (row["id"].as_str().unwrap().to_owned(), format!("{outcome}{code}"))
        })
        .collect()
    }

    fn row(&self, id: &str) -> Value {
        let results = self.results();
        results["rows"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("{id}")).clone()
    }
}

/// The gateway verdicts of a faithful gateway in front of the Messages API.
static FAITHFUL: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| GatewayRun::start(Shape::Anthropic, GatewayQuirk::None, &[]).outcomes());

/// The rows with another verdict than behind a faithful gateway.
fn differing_rows(shape: Shape, quirk: GatewayQuirk, more: &[&str]) -> (GatewayRun, Vec<(String, String)>) {
    let faithful = match (shape, more) {
        (Shape::Anthropic, []) => FAITHFUL.clone(),
        _ => GatewayRun::start(shape, GatewayQuirk::None, more).outcomes(),
    };
    let run = GatewayRun::start(shape, quirk, more);
    let outcomes = run.outcomes();
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), faithful.keys().collect::<Vec<_>>());
    let differing_rows = outcomes.into_iter().filter(|(row, outcome)| faithful[row] != *outcome).collect();
    (run, differing_rows)
}

fn strings(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(row, outcome)| ((*row).to_owned(), (*outcome).to_owned())).collect()
}

#[test]
fn a_faithful_gateway_forwards_everything() {
    let run = GatewayRun::start(
        Shape::Anthropic,
        GatewayQuirk::None,
        &["--format", "terminal,markdown,json,junit,github,html"],
    );
    let finished = &run.finished;
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.stdout, finished.stderr);
    let outcomes = run.outcomes();
    assert!(outcomes.len() > 200, "{}", outcomes.len());
    let others: Vec<_> = outcomes.iter().filter(|(_, outcome)| *outcome != "forwarded").collect();
    assert_eq!(others, [] as [(&String, &String); 0]);
    let results = run.results();
    assert_eq!(results["summary"]["contradicts"], 0);
    assert_eq!(results["findings"], serde_json::json!([]), "the scripted responses pass every check");
    assert_eq!(results["gateway"]["shape"], "anthropic");
    assert!(finished.stderr.contains("upstream (anthropic) listening on http://127.0.0.1:"), "{}", finished.stderr);
    let markdown = run.folder.read("out/matrix.md");
    assert!(
        markdown.contains("| forwarded | the value arrived on the other side"),
        "the legend explains the words of the matrix"
    );
    assert!(!markdown.contains("Unknown keys") && !finished.stdout.contains("unknown keys"));
    assert!(run.folder.read("out/matrix.html").contains("forwarded"));
    assert!(run.folder.read("out/junit.xml").contains("field.stop_sequences"));
}

#[test]
fn a_faithful_translation_forwards_every_field_with_an_equivalent() {
    let run = GatewayRun::start(Shape::Openai, GatewayQuirk::None, &[]);
    let finished = &run.finished;
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.stdout, finished.stderr);
    let outcomes = run.outcomes();
    assert!(outcomes.values().filter(|outcome| *outcome == "forwarded").count() > 70, "{outcomes:?}");
    assert_eq!(outcomes["field.top_k"], "dropped");
    assert_eq!(outcomes["field.stop_sequences"], "forwarded");
    assert_eq!(run.row("field.max_tokens")["fate"]["place"], "/max_completion_tokens");
    let undetermined: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.starts_with("undetermined")).collect();
    assert_eq!(undetermined, [(&"models".to_owned(), &"undetermined not_asked".to_owned())]);
}

#[test]
fn each_fault_changes_only_the_verdicts_of_its_rows() {
    let quirks: [(GatewayQuirk, &[(&str, &str)]); 16] = [
        (GatewayQuirk::DropsTopK, &[("field.top_k", "dropped")]),
        (GatewayQuirk::RenamesStop, &[("field.stop_sequences", "changed")]),
        (GatewayQuirk::ClampsMaxTokens, &[("field.max_tokens", "changed")]),
        (GatewayQuirk::AddsDefaults, &[("field.temperature", "dropped"), ("field.temperature.zero", "dropped")]),
        (GatewayQuirk::LeaksKey, &[("conduct.secret", "changed")]),
        (GatewayQuirk::HealthChecks, &[("conduct.own_requests", "changed")]),
        (GatewayQuirk::AsksTwice, &[("conduct.calls", "changed"), ("conduct.retries", "changed")]),
        (
            GatewayQuirk::AsksTwiceDifferently,
            &[
                ("conduct.calls", "changed"),
                ("conduct.retries", "changed"),
                ("field.top_p", "undetermined asked_twice_differently"),
            ],
        ),
        (GatewayQuirk::Retries, &[("conduct.retries", "changed")]),
        (GatewayQuirk::GzipToClient, &[("conduct.compression", "changed")]),
        (GatewayQuirk::GzipToUpstream, &[]),
        (GatewayQuirk::Buffers, &[("stream.pace", "changed")]),
        (GatewayQuirk::SplitsPieces, &[("stream.pieces", "changed")]),
        (GatewayQuirk::MergesPieces, &[("stream.pace", "changed"), ("stream.pieces", "changed")]),
        (GatewayQuirk::HidesBreaks, &[("stream.cut", "changed")]),
        (
            GatewayQuirk::StripsHeaders,
            &[
                ("answer.header.anthropic-ratelimit-input-tokens-remaining", "dropped"),
                ("answer.header.anthropic-ratelimit-output-tokens-remaining", "dropped"),
                ("answer.header.anthropic-ratelimit-requests-limit", "dropped"),
                ("answer.header.anthropic-ratelimit-requests-remaining", "dropped"),
                ("answer.header.anthropic-ratelimit-tokens-remaining", "dropped"),
                ("answer.header.request-id", "dropped"),
                ("answer.header.retry-after", "dropped"),
                ("answer.header.x-should-retry", "dropped"),
                ("header.anthropic-beta", "dropped"),
                ("header.anthropic-beta.several", "dropped"),
                ("header.anthropic-beta.unknown", "dropped"),
                ("header.anthropic-version", "dropped"),
                ("header.unknown", "dropped"),
            ],
        ),
    ];
    let check_quirk = |(quirk, rows): &(GatewayQuirk, &[(&str, &str)])| {
        let (_, found) = differing_rows(Shape::Anthropic, *quirk, &[]);
        assert_eq!(found, strings(rows), "{quirk:?}");
    };
    // Each run mostly waits, so several run at the same time.
    for some in quirks.chunks(4) {
        std::thread::scope(|scope| some.iter().for_each(|one| drop(scope.spawn(|| check_quirk(one)))));
    }
}

#[test]
fn a_dropped_value_that_is_elsewhere_too_is_not_moved() {
    let select = ["--select", "content.*"];
    let (_, found) = differing_rows(Shape::Anthropic, GatewayQuirk::LosesToolUseId, &select);
    assert_eq!(found, strings(&[("content.tool_result.tool_use_id", "dropped")]));
    let (_, found) = differing_rows(Shape::Anthropic, GatewayQuirk::EditsTexts, &["--select", "content.text.text"]);
    assert_eq!(found, strings(&[("content.text.text", "changed")]));
}

#[test]
fn a_copy_to_another_path_is_reported() {
    let run = GatewayRun::start(
        Shape::Anthropic,
        GatewayQuirk::Moderates,
        &["--select", "conduct.calls", "--select", "field.top_*"],
    );
    let calls = run.row("conduct.calls");
    assert_eq!(calls["fate"]["kind"], "changed");
    assert!(calls["fate"]["to"].as_str().unwrap().contains("POST /v1/moderations"), "{calls}");
    assert_eq!(run.row("field.top_k")["fate"]["kind"], "forwarded");
}

#[test]
fn an_echoed_upstream_credential_is_reported_and_redacted() {
    let run =
        GatewayRun::start(Shape::Anthropic, GatewayQuirk::TellsKey, &["--format", "terminal,markdown,json,junit,html"]);
    let secret = run.row("conduct.secret");
    assert_eq!(secret["fate"]["kind"], "changed");
    assert!(secret["fate"]["to"].as_str().unwrap().starts_with("the upstream's credential is in"), "{secret}");
    for (path, content) in run.folder.all_files() {
        assert!(!String::from_utf8_lossy(&content).contains(sandwich::UPSTREAM_KEY), "{}", path.display());
    }
    assert!(
        !run.finished.stdout.contains(sandwich::UPSTREAM_KEY) && !run.finished.stderr.contains(sandwich::UPSTREAM_KEY)
    );
}

#[test]
fn a_gateway_that_always_fails_makes_response_rows_undetermined() {
    let run = GatewayRun::start(
        Shape::Anthropic,
        GatewayQuirk::FailsAll,
        &["--select", "answer.[bsu]*", "--select", "field.top_k"],
    );
    let outcomes = run.outcomes();
    let wrong: Vec<_> =
        outcomes.iter().filter(|(_, outcome)| ["dropped", "changed", "refused"].contains(&outcome.as_str())).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(outcomes["answer.block.text"], "undetermined gateway_failed");
    assert_eq!(run.row("answer.block.text")["cause"], "plain-response");
    // The upstream got the field.
    assert_eq!(outcomes["field.top_k"], "forwarded");
}

#[test]
fn a_json_response_instead_of_a_stream_is_changed() {
    let run = GatewayRun::start(
        Shape::Anthropic,
        GatewayQuirk::WholeForStream,
        &["--select", "stream.delta.*", "--select", "stream.order"],
    );
    for (row, outcome) in run.outcomes() {
        assert_eq!(outcome, "changed", "{row}");
    }
}

#[test]
fn a_value_that_is_there_without_the_field_is_not_forwarded() {
    let run = GatewayRun::start(Shape::Anthropic, GatewayQuirk::AddsDefaults, &["--select", "field.temperature*"]);
    let row = run.row("field.temperature");
    assert_eq!(
        row["verdict"]["because"],
        serde_json::json!({
            "kind": "request-lacks-value",
            "note": { "kind": "own-value", "place": "/temperature", "value": "1.0" },
        })
    );
    assert_eq!(row["fate"]["way"], "request");
    assert_eq!(
        row["verdict"]["reason"],
        "the request arrived without it: `/temperature` is 1.0, with and without the field"
    );
    let run = GatewayRun::start(Shape::Anthropic, GatewayQuirk::AlwaysStreams, &["--select", "field.s*"]);
    assert_eq!(run.outcomes()["field.stream"], "undetermined already_there");
    assert_eq!(run.outcomes()["field.stop_sequences"], "forwarded");
}

#[test]
fn a_move_and_a_change_show_both_values() {
    let run = GatewayRun::start(Shape::Anthropic, GatewayQuirk::RenamesStop, &["--select", "field.stop_sequences"]);
    run.finished.assert_exit_code(1);
    let (_, found) = differing_rows(Shape::Openai, GatewayQuirk::WrongTranslation, &["--select", "field.*"]);
    let expected = [
        ("field.stop_sequences", "dropped"),
        ("field.temperature", "changed"),
        ("field.temperature.zero", "dropped"),
        ("field.top_p", "changed"),
    ];
    assert_eq!(found, strings(&expected));
    let run = GatewayRun::start(Shape::Openai, GatewayQuirk::WrongTranslation, &["--select", "field.*"]);
    let outcome = |row: &str| run.row(row)["fate"].clone();
    assert_eq!(
        (&outcome("field.temperature")["place"], &outcome("field.temperature")["to"]),
        (&"/temp".into(), &"{{fraction}}".into())
    );
    assert_eq!(
        (&outcome("field.top_p")["from"], &outcome("field.top_p")["to"]),
        (&"{{fraction}}".into(), &"1.0".into())
    );
    assert!(outcome("field.top_p")["upstream"].as_str().unwrap().contains("/v1/chat/completions"));
}

#[test]
fn a_rejection_counts_only_if_the_request_without_the_field_passes() {
    let (run, found) = differing_rows(Shape::Anthropic, GatewayQuirk::RefusesThinking, &[]);
    let of_base = |row: &str| (row.to_owned(), "undetermined base_refused".to_owned());
    let mut expected: Vec<(String, String)> = [
        "answer.block.redacted_thinking",
        "answer.block.thinking",
        "answer.block.thinking.signature",
        "content.redacted_thinking",
        "content.thinking",
        "content.thinking.signature",
        "stream.delta.signature",
        "stream.delta.thinking",
    ]
    .map(of_base)
    .to_vec();
    let own = ["field.thinking", "field.thinking.adaptive", "field.thinking.budget_tokens", "field.thinking.disabled"];
    expected.extend(own.map(|row| (row.to_owned(), "refused".to_owned())));
    expected.sort();
    assert_eq!(found, expected);
    let row = run.row("field.thinking");
    assert!(row["verdict"]["reason"].as_str().unwrap().contains("HTTP 400: thinking: not here"), "{row}");
    assert_eq!(row["outcome"], "contradicts");
    run.finished.assert_exit_code(1);
}

#[test]
fn a_flattened_upstream_error_changes_every_row_about_it() {
    let (_, found) = differing_rows(Shape::Anthropic, GatewayQuirk::FlattensErrors, &[]);
    let kept = ["answer.error.500", "answer.error.500.type", "answer.error.in_success", "answer.error.no_answer"];
    let faithful = GatewayRun::start(Shape::Anthropic, GatewayQuirk::None, &["--select", "answer.error.*"]).outcomes();
    let mut expected: Vec<String> = faithful.into_keys().filter(|row| !kept.contains(&row.as_str())).collect();
    expected.extend(["answer.header.retry-after".to_owned(), "answer.header.x-should-retry".to_owned()]);
    expected.sort();
    assert_eq!(found.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>(), expected);
    assert!(found.contains(&("answer.error.429".to_owned(), "changed".to_owned())), "{found:?}");
    assert!(found.contains(&("answer.error.request_id".to_owned(), "dropped".to_owned())), "{found:?}");
}

#[test]
fn blocks_that_a_gateway_removes_from_responses_are_dropped() {
    let (_, found) = differing_rows(Shape::Anthropic, GatewayQuirk::DropsUnknownBlocks, &[]);
    assert!(found.len() > 15, "{found:?}");
    for (row, outcome) in &found {
        assert!(row.starts_with("answer.block.") && !row.starts_with("answer.block.text"), "{row}");
        assert_eq!(outcome, "dropped", "{row}");
    }
}

#[test]
fn a_gateway_that_does_not_call_the_upstream_cannot_be_tested() {
    let run = GatewayRun::start(Shape::Anthropic, GatewayQuirk::NeverAsks, &[]);
    let finished = run.finished.assert_exit_code(3).assert_stderr_contains(&[
        "a plain request returned HTTP 200",
        "the upstream received no request. Set http://127.0.0.1:",
        "check that the gateway serves the model `m`",
    ]);
    assert!(finished.stdout.contains("PARTIAL RUN"), "{}", finished.stdout);
    let run = GatewayRun::start(Shape::Anthropic, GatewayQuirk::RewritesQuestion, &[]);
    assert!(run.outcomes().values().all(|outcome| outcome == "skipped not_finished"));
    run.finished
        .assert_exit_code(3)
        .assert_stderr_contains(&["no test request reached the upstream (it received POST /v1/messages)"]);
}

#[test]
fn a_gateway_configured_for_the_other_api_is_reported() {
    let gateway = Gateway::start(Shape::Anthropic, GatewayQuirk::None);
    let folder = Folder::new();
    let finished = RunningCommand::start(command(&folder, &gateway, Shape::Openai, &[])).wait_for_end();
    finished.assert_exit_code(3).assert_stderr_contains(&[
        "the gateway called POST /v1/messages, which the upstream's API does not have (--shape openai)",
    ]);
}

#[test]
fn a_response_before_the_upstream_call_makes_response_rows_undetermined() {
    let select = ["--select", "field.t*", "--select", "answer.block.*", "--select", "answer.stop_reason.*"];
    let run = GatewayRun::start(Shape::Anthropic, GatewayQuirk::AnswersFirst, &select);
    for (row, outcome) in run.outcomes() {
        let expected = if row.starts_with("field.") { "forwarded" } else { "undetermined not_asked" };
        assert_eq!(outcome, expected, "{row}");
    }
}

#[test]
fn swapped_responses_change_only_the_row_about_isolation() {
    let (_, found) = differing_rows(Shape::Anthropic, GatewayQuirk::Swaps, &["--concurrency", "1"]);
    assert_eq!(found, strings(&[("conduct.isolation", "changed")]));
    // Concurrent rows get swapped responses, too. No row may be decided by another row's response.
    let run =
        GatewayRun::start(Shape::Anthropic, GatewayQuirk::Swaps, &["--select", "answer.[bsu]*", "--concurrency", "8"]);
    let outcomes = run.outcomes();
    let wrong: Vec<_> = outcomes
        .iter()
        .filter(|(_, outcome)| {
            !["forwarded", "undetermined crossed", "undetermined unsteady"].contains(&outcome.as_str())
        })
        .collect();
    assert_eq!(wrong, [] as [(&String, &String); 0]);
    assert!(outcomes.values().any(|outcome| outcome == "undetermined crossed"), "{outcomes:?}");
}

#[test]
fn aborted_streams_make_stream_rows_undetermined() {
    let (_, found) = differing_rows(Shape::Anthropic, GatewayQuirk::BreaksStreams, &[]);
    for (row, outcome) in &found {
        assert!(row.starts_with("stream."), "{row}");
        assert_eq!(outcome, "undetermined gateway_failed", "{row}");
    }
    let undamaged = ["stream.cut", "stream.dies"];
    assert!(found.len() > 20 && found.iter().all(|(row, _)| !undamaged.contains(&row.as_str())), "{found:?}");
}

#[test]
fn a_connection_that_stays_open_changes_only_its_row() {
    let select = ["--select", "stream.*", "--select", "conduct.ending", "--timeout", "1", "--concurrency", "16"];
    let (run, found) = differing_rows(Shape::Anthropic, GatewayQuirk::KeepsOpen, &select);
    assert_eq!(found, strings(&[("conduct.ending", "changed")]));
    run.finished.assert_exit_code(1);
}

#[test]
fn a_gateway_that_dies_or_hangs_during_the_run_leaves_partial_results() {
    for (quirk, timeout) in [(GatewayQuirk::DiesAfter(60), "4"), (GatewayQuirk::HangsAfter(60), "1")] {
        let run = GatewayRun::start(Shape::Anthropic, quirk, &["--timeout", timeout]);
        let outcomes = run.outcomes();
        assert!(outcomes.values().any(|outcome| outcome == "forwarded"), "{quirk:?}");
        for (row, outcome) in &outcomes {
            let known = ["forwarded", "undetermined gateway_failed", "skipped not_finished"];
            assert!(known.contains(&outcome.as_str()), "{quirk:?} {row}: {outcome}");
        }
        assert_eq!(run.results()["partial"], "the gateway stopped responding", "{quirk:?}");
        run.finished.assert_exit_code(3);
    }
}

#[test]
fn a_recording_is_judged_with_equal_results_and_has_no_secret() {
    let run = GatewayRun::start(Shape::Anthropic, GatewayQuirk::LeaksKey, &[]);
    let recording = run.folder.read("out/gateway-g.jsonl");
    run.folder.run(["judge", "out/gateway-g.jsonl", "--out", "again"]).assert_exit_code(0);
    assert_eq!(run.folder.read("out/results-g.json"), run.folder.read("again/results-g.json"));
    for (path, content) in run.folder.all_files() {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains(CLIENT_KEY) && !text.contains(sandwich::UPSTREAM_KEY), "{}", path.display());
    }
    run.folder.run(["judge", "out/gateway-g.jsonl", "--claims", "none", "--out", "none"]).assert_exit_code(0);
    assert_eq!(run.folder.results("none")["summary"]["unclaimed"], run.folder.results("none")["summary"]["rows"]);

    let lines: Vec<&str> = recording.lines().collect();
    let without: Vec<&str> = lines.iter().enumerate().filter(|(n, _)| *n != 5).map(|(_, line)| *line).collect();
    let cut = recording[..recording.len() / 2].to_owned();
    let label = "Ticket lb";
    let trial = lines.iter().find(|line| line.starts_with("{\"trial\"") && line.contains(label)).unwrap();
    let edited = recording.replacen(trial, &trial.replacen(label, "Ticket xx", 1), 1);
    let other = recording.replacen("gateway-recording/1", "gateway-recording/9", 1);
    for (name, text, code, says) in [
        ("without", without.join("\n") + "\n", 2, "It was edited; record it again"),
        ("edited", edited, 2, "The file was edited"),
        ("other", other, 2, "this version reads `fieldtest-gateway-recording/1`"),
        ("cut", cut, 3, "the recording has no footer: the run was killed"),
    ] {
        run.folder.write(&format!("{name}.jsonl"), text);
        run.folder
            .run(["judge", &format!("{name}.jsonl"), "--out", name])
            .assert_exit_code(code)
            .assert_stderr_contains(&[says]);
    }
}

#[test]
fn claims_and_baselines_work_for_gateways() {
    let gateway = Gateway::start(Shape::Anthropic, GatewayQuirk::DropsTopK);
    let folder = Folder::new();
    let target = "name: mine\ntitle: Mine\nauth: { scheme: x-api-key }\nmodel: m\nsources: [{ title: README, revision: '1', read_on: '2026-11-22' }]\nclaims:\n  field.top_k: { status: ignored, note: not yet }\n  field.top_p: { status: supported }\n";
    folder.write("mine.yaml", target);
    let select = ["--select", "field.top_*"];
    let run = |more: &[&str]| {
        let more: Vec<&str> = select.iter().chain(more).copied().collect();
        RunningCommand::start(command(&folder, &gateway, Shape::Anthropic, &more)).wait_for_end()
    };
    run(&[]).assert_exit_code(1);
    run(&["--claims", "mine.yaml"]).assert_exit_code(0);
    assert_eq!(folder.results("out")["target"]["claims"]["target"], "mine");
    run(&["--claims", "none"]).assert_exit_code(0);
    std::fs::rename(folder.path().join("out/results-g.json"), folder.path().join("before.json")).unwrap();
    run(&["--claims", "none", "--baseline", "before.json"]).assert_exit_code(0);
    run(&["--claims", "nobody"]).assert_exit_code(2).assert_stderr_contains(&["unknown target `nobody`"]);
    folder.write("bad.yaml", target.replace("field.top_k", "field.top_kk"));
    run(&["--claims", "bad.yaml"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["bad.yaml:7:3", "claim for row `field.top_kk`"]);
}

#[test]
fn two_runs_that_differ_have_a_diff_in_the_words_of_gateways() {
    let select = ["--select", "field.*", "--seed", "7"];
    let old = GatewayRun::start(Shape::Anthropic, GatewayQuirk::None, &select);
    let new = GatewayRun::start(Shape::Anthropic, GatewayQuirk::DropsTopK, &select);
    old.folder.write("new.json", new.folder.read("out/results-g.json"));
    let finished = old.folder.run(["diff", "out/results-g.json", "new.json"]).assert_exit_code(1);
    assert!(finished.stdout.contains("forwarded") && finished.stdout.contains("dropped"), "{}", finished.stdout);
    assert!(!finished.stdout.contains("field.top_p"), "{}", finished.stdout);
}

#[test]
fn user_rows_work_and_mistakes_in_them_are_reported_with_their_place() {
    let gateway = Gateway::start(Shape::Anthropic, GatewayQuirk::None);
    let folder = Folder::new();
    let file = |rows: &str| format!("section: Mine\nrows:\n{rows}");
    let good = "  - row: my.field\n    title: mine\n    request: { body: { mine: \"{{word}}\" } }\n    expect_upstream: { openai: { at: mine } }\n";
    folder.write("cases/gateway/mine.yaml", file(good));
    let run = || {
        let more = ["--cases", "cases", "--select", "my.*"];
        RunningCommand::start(command(&folder, &gateway, Shape::Anthropic, &more)).wait_for_end()
    };
    run().assert_exit_code(0);
    assert_eq!(folder.results("out")["rows"][0]["fate"]["place"], "/mine");
    for (rows, says) in [
        (good.replace("{{word}}", "{{wrod}}"), "there is no variable `wrod`"),
        (good.replace("at: mine", "at: 'a[x]'"), "is not a path into a body"),
        (good.replace("at: mine", "ta: mine"), "unknown key `ta`"),
        (good.replace("    expect_upstream: { openai: { at: mine } }\n", ""), "add `expect_upstream: { openai: … }`"),
        (good.replace("mine: \"", "other: 1, mine: \""), "Add `at` with the place of the field"),
        ("  - row: my.answer\n    title: a\n    upstream_response: { anthropic: { message: { content: [] } } }\n    expect_client: { at: id, as: x }\n".to_owned(), "`{{reply}}`"),
    ] {
        folder.write("cases/gateway/mine.yaml", file(&rows));
        run().assert_exit_code(2).assert_stderr_contains(&["cases/gateway/mine.yaml:", says]);
    }
}

#[test]
fn wrong_usage_is_reported() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| folder.run(arguments.iter().copied());
    let base =
        ["gateway", "--via", "http://127.0.0.1:9", "--upstream-port", "0", "--shape", "anthropic", "--model", "m"];
    let with = |more: &[&str]| run(&base.iter().chain(more).copied().collect::<Vec<_>>());
    run(&["gateway", "--help"]).assert_exit_code(0);
    run(&["gateway", "--via", "http://h"]).assert_exit_code(2).assert_stderr_contains(&["--upstream-port", "--shape"]);
    with(&["--select", "nothing.*"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["selects no row", "fieldtest rows --gateway"]);
    with(&["--ready-timeout", "0"])
        .assert_exit_code(3)
        .assert_stderr_contains(&["the gateway at http://127.0.0.1:9 does not respond"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut arguments = base.to_vec();
    arguments[4] = &port;
    run(&arguments)
        .assert_exit_code(2)
        .assert_stderr_contains(&["cannot listen on 127.0.0.1:", "Choose another port with --upstream-port"]);
    arguments[2] = "ftp://h";
    run(&arguments).assert_exit_code(2).assert_stderr_contains(&["--via: invalid base URL `ftp://h`"]);
    let rows = run(&["rows", "--gateway"]).assert_exit_code(0);
    assert!(rows.stdout.contains("field.top_k") && rows.stdout.contains("ignored"), "{}", rows.stdout);
}

/// The requests that are in flight when the run is stopped are recorded, and decide nothing.
#[test]
fn an_interrupted_run_keeps_its_results() {
    let gateway = Gateway::start(Shape::Anthropic, GatewayQuirk::HangsAfter(30));
    let folder = Folder::new();
    let more = ["--timeout", "3600", "--concurrency", "4", "--select", "field.*"];
    let mut running = RunningCommand::start(command(&folder, &gateway, Shape::Anthropic, &more));
    // All requests in flight have arrived.
    running.wait_until(|| gateway.request_count() == 34);
    running.send_signal("INT");
    running.wait_for_end().assert_exit_code(3).assert_stderr_contains(&["the run was interrupted"]);
    let results = folder.results("out");
    assert_eq!(results["partial"], "the run was interrupted");
    assert_eq!(results["totals"]["requests"], gateway.request_count());
    for row in results["rows"].as_array().unwrap() {
        let kind = row["fate"]["kind"].as_str().unwrap();
        assert!(["forwarded", "skipped"].contains(&kind), "{row}");
    }
    folder.run(["judge", "out/gateway-g.jsonl", "--out", "judged"]).assert_exit_code(3);
    assert_eq!(folder.results("judged"), results);
}

/// A killed run leaves a recording that ends after any line. It must not show a request without its
/// calls.
#[test]
fn a_truncated_recording_loses_and_changes_nothing() {
    let run = GatewayRun::start(Shape::Anthropic, GatewayQuirk::RefusesThinking, &[]);
    let (folder, complete) = (&run.folder, run.outcomes());
    let text = folder.read("out/gateway-g.jsonl");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let parsed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let calls_of = |label: &str, lines: &[Value]| {
        let of_label = |line: &&Value| line["call"]["labels"].as_array().is_some_and(|l| l.iter().any(|l| l == label));
        lines.iter().filter(of_label).map(|line| line["call"]["number"].as_u64().unwrap()).collect::<BTreeSet<_>>()
    };
    let mut with_calls = 0;
    for (at, line) in parsed.iter().enumerate().filter(|(_, line)| line["trial"].is_object()) {
        let label = line["trial"]["values"]["label"].as_str().unwrap();
        let all = calls_of(label, &parsed);
        assert_eq!(calls_of(label, &parsed[..at]), all, "{}", line["trial"]["row"]);
        with_calls += usize::from(!all.is_empty());
    }
    assert!(with_calls > 200, "{with_calls}");
    for count in [2, lines.len() / 7, lines.len() / 3, lines.len() / 2, lines.len() * 9 / 10, lines.len() - 1] {
        folder.write("truncated.jsonl", lines[..count].concat());
        let judged = folder.run(["judge", "truncated.jsonl", "--out", "judged"]);
        assert!(matches!(judged.code, Some(1 | 3)), "{count} lines: {}", judged.stderr);
        let results = folder.results("judged");
        let trials = parsed[..count].iter().filter(|line| line["trial"].is_object()).count();
        let numbers = parsed[..count].iter().filter_map(|line| line["call"]["number"].as_u64());
        assert_eq!(results["totals"]["requests"], trials, "{count} lines");
        assert_eq!(results["gateway"]["upstream_calls"], numbers.collect::<BTreeSet<_>>().len(), "{count} lines");
        for row in results["rows"].as_array().unwrap() {
            let (id, kind) = (row["id"].as_str().unwrap(), row["fate"]["kind"].as_str().unwrap());
            let is_open = ["skipped", "undetermined"].contains(&kind);
            assert!(is_open || complete[id] == kind, "{count} lines: {row}");
        }
    }
}
