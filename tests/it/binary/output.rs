//! What runs print and write.

use super::*;

#[test]
fn only_a_terminal_gets_escape_codes() {
    let folder = folder_with_results();
    for variables in [&[][..], &[("NO_COLOR", "1")], &[("TERM", "xterm-256color")], &[("TERM", "dumb")]] {
        for arguments in [
            &["run", "deepseek@2025-12", "--simulate", "--select", STOP, "--out", "out"][..],
            &["report", "out/results-deepseek-2025-12.json", "-o", "again"],
            &["plan", "deepseek@2025-12", "--select", STOP],
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
    assert_eq!(folder.file_names("out", ""), ["recording-deepseek-2025-12.jsonl"]);
    let silent = run_simulated(&folder, &["--select", STOP, "--format", "json"]).assert_exit_code(0);
    assert_eq!(silent.stdout, "");
    assert_eq!(folder.file_names("out", ""), ["recording-deepseek-2025-12.jsonl", "results-deepseek-2025-12.json"]);
}

#[test]
fn recordings_are_written_to_the_record_folder() {
    let folder = Folder::new();
    run_simulated(&folder, &["--select", STOP, "--record", "kept/here"]).assert_exit_code(0);
    assert_eq!(folder.file_names("kept/here", ""), ["recording-deepseek-2025-12.jsonl"]);
    assert_eq!(folder.file_names("out", ""), ["matrix.md", "results-deepseek-2025-12.json"]);
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
        &["report", "out/results-deepseek-2025-12.json", "-o", "again"],
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
    assert!(plan.stdout.contains("deepseek@2025-12") && plan.stdout.contains("sends no requests"), "{}", plan.stdout);
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
    let plan = folder.run(["plan", "deepseek@2025-12", "--format", "json"].iter().chain(&select)).assert_exit_code(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    run_simulated(&folder, &select).assert_exit_code(0);
    let requests = folder.results("out")["totals"]["requests"].as_u64().unwrap();
    let (least, most) =
        (plan["planned"]["requests"]["min"].as_u64().unwrap(), plan["planned"]["requests"]["max"].as_u64().unwrap());
    assert!((least..=most).contains(&requests), "{least} <= {requests} <= {most}");
}

#[test]
fn rows_are_listed_with_the_claims_of_every_target() {
    let folder = Folder::new();
    let all = folder.run(["rows"]).assert_exit_code(0).stdout;
    assert!(all.contains("field.top_k") && all.contains("tool_choice.string_form"), "{all}");
    let rows =
        folder.run(["rows", "--format", "json", "--select", "field.top_k", "--select", "header.*"]).assert_exit_code(0);
    let rows: Value = serde_json::from_str(&rows.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 6);
    let top_k = rows.as_array().unwrap().iter().find(|row| row["id"] == "field.top_k").unwrap();
    for (target, claim) in [("anthropic", "supported"), ("deepseek@2025-12", "ignored"), ("kimi", "unsupported")] {
        assert_eq!(top_k["claims"][target], claim, "{target}");
    }
    assert!(top_k["claims"]["longcat"].is_null(), "a target without claims is listed");
    let shown = folder.run(["rows", "kimi", "--select", "field.top_k"]).assert_exit_code(0).stdout;
    assert!(shown.contains("kimi") && !shown.contains("anthropic"), "{shown}");
}
