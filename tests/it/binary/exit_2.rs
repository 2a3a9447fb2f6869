//! Calls that end with 2: wrong usage, or invalid files.

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
    let known = "deepseek, fireworks, huawei-maas, kimi";
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
    let target = &["run", "deepseek@2025-12", "--simulate"][..];
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
        ("--flip", "field.top_k=maybe", "unknown status `maybe`. Use supported, ignored, unsupported or substituted"),
    ] {
        assert_rejected(&[target, &[option, value]].concat(), &[said]);
    }
    for (option, value, said) in [
        ("--disobedience", "2", "a number from 0 to 1"),
        ("--drift-to", "1.5", "a number from 0 to 1"),
        ("--drift-after", "5", "--drift-to <P>"),
    ] {
        assert_rejected(&["simulate", "deepseek@2025-12", option, value], &[said]);
    }
}

#[test]
fn options_that_exclude_each_other_are_rejected() {
    let url = "http://127.0.0.1:9";
    assert_rejected(&["run", "--base-url", url, "--simulate"], &["--simulate and --base-url cannot be combined"]);
    assert_rejected(&["run", "deepseek@2025-12", "anthropic", "--base-url", url], &["--base-url accepts one target"]);
    assert_rejected(
        &["run", "deepseek@2025-12", "deepseek@2025-12", "--simulate"],
        &["target `deepseek@2025-12` is named twice"],
    );
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
        "To run without a key: `fieldtest run deepseek@2025-12 --simulate`",
    ];
    assert_rejected(&["run", "deepseek@2025-12"], said);
    let folder = Folder::new();
    // CI systems set a secret that they do not have to nothing.
    folder
        .run_with_env(&[("DEEPSEEK_API_KEY", "")], &["run", "deepseek@2025-12"])
        .assert_exit_code(2)
        .assert_stderr_contains(said);
    // That of another target is not his.
    folder
        .run_with_env(&[("ANTHROPIC_API_KEY", "sk-ant-0123456789")], &["run", "deepseek@2025-12"])
        .assert_exit_code(2)
        .assert_stderr_contains(said);
    assert_rejected(&["run", "deepseek@2025-12", "--api-key-env", "MY_KEY"], &["no credential: set MY_KEY"]);
    assert_rejected(
        &["run", "deepseek@2025-12", "--api-key-file", "none"],
        &["the credential file none cannot be read"],
    );
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
            &["run", "deepseek@2025-12"][..],
            "DEEPSEEK_API_KEY contains a space",
        ),
        (
            &[],
            &["run", "deepseek@2025-12", "--api-key-file", "two-lines"],
            "the file two-lines contains a space, a line break",
        ),
        (&[], &["run", "deepseek@2025-12", "--api-key-file", "empty"], "the file empty is empty"),
        // The credential itself where a name belongs.
        (&[], &["run", "deepseek@2025-12", "--api-key-env", "sk-hunter2-0123"], "needs the name of a variable"),
        (&[], &["run", "deepseek@2025-12", "--api-key", "sk-hunter2-0123"], "unexpected argument '--api-key'"),
        (&[], &["run", "deepseek@2025-12", "--api-key=sk-hunter2-0123"], "unexpected argument '--api-key'"),
    ] {
        let finished = folder.run_with_env(variables, arguments).assert_exit_code(2).assert_stderr_contains(&[said]);
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
    assert!(finished.stdout.contains("stop_sequences") && finished.stdout.contains("supported"), "{}", finished.stdout);
    assert_eq!(folder.read("out"), "mine");
}

#[test]
fn files_of_another_kind_are_rejected() {
    let folder = folder_with_results();
    folder
        .run(["judge", "out/results-deepseek-2025-12.json", "--out", "x"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["is not the header of a recording"]);
    folder.run(["judge", "out", "--out", "x"]).assert_exit_code(2).assert_stderr_contains(&["cannot read"]);
    let recording = "out/recording-deepseek-2025-12.jsonl";
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
    let simulator = SimulatorProcess::start(&folder, &["deepseek@2025-12"]);
    let port = simulator.url.rsplit(':').next().unwrap();
    let said = &["cannot listen on 127.0.0.1:", "Choose another port with --port"];
    folder.run(["simulate", "deepseek@2025-12", "--port", port]).assert_exit_code(2).assert_stderr_contains(said);
}
