//! Tests `--shard`, `merge` and `--rerun` with the binary.

use std::collections::BTreeSet;

use binary::{FinishedRun, Folder};
use serde_json::{Value, json};

use crate::common::binary;

/// Rows that share requests, and rows that depend on other rows.
const SELECT: [&str; 6] = ["--select", "field.*", "--select", "tool*", "--select", "content.*"];

fn run_simulated(folder: &Folder, target: &str, out: &str, more: &[&str]) -> FinishedRun {
    folder.run(["run", target, "--simulate", "--out", out, "--format", "json"].iter().chain(more))
}

fn run_shard(folder: &Folder, target: &str, part: &str, more: &[&str]) -> FinishedRun {
    let out = format!("shard-{}", part.replace('/', "-"));
    run_simulated(folder, target, &out, &[&["--shard", part], more].concat())
}

fn read_json(folder: &Folder, path: &str) -> Value {
    serde_json::from_str(&folder.read(path)).unwrap()
}

fn row_ids(results: &Value) -> Vec<String> {
    results["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Removes the costs from results. They depend on the shard that sends a shared request.
fn without_cost(mut results: Value) -> Value {
    for key in ["totals", "per_verdict", "started_at", "finished_at"] {
        results.as_object_mut().unwrap().remove(key);
    }
    for row in results["rows"].as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("cost");
    }
    for finding in results["findings"].as_array_mut().unwrap() {
        finding["count"] = json!(0);
    }
    results
}

mod merging {
    use super::*;

    #[test]
    fn merged_shards_equal_the_complete_run_except_its_cost() {
        for (target, parts, fault) in
            [("deepseek@2025-12", 3, "message.id-missing"), ("anthropic", 2, "sse.ping-missing")]
        {
            let folder = Folder::new();
            let more = [&SELECT[..], &["--flip", "field.stop_sequences=ignored"]].concat();
            let more = [&more[..], &folder.write_simulator_file(&format!("faults: [{fault}]\n"))].concat();
            run_simulated(&folder, target, "whole", &more);
            let complete = folder.results("whole");
            let mut files = Vec::new();
            let mut requests = 0;
            for index in 1..=parts {
                let part = format!("{index}/{parts}");
                run_shard(&folder, target, &part, &more);
                let file = format!("shard-{index}-{parts}/results-{}.json", target.replace('@', "-"));
                let shard_results = read_json(&folder, &file);
                assert_eq!(shard_results["shard"]["index"], index);
                requests += shard_results["totals"]["requests"].as_u64().unwrap();
                files.push(file);
            }
            // The order of the files does not matter.
            files.reverse();
            let ended = folder.run(["merge", "-o", "merged"].iter().map(|s| (*s).to_owned()).chain(files));
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            let merged = folder.results("merged");
            assert_eq!(merged["totals"]["requests"], requests);
            let (merged, complete) = (without_cost(merged), without_cost(complete));
            for (a, b) in merged["rows"].as_array().unwrap().iter().zip(complete["rows"].as_array().unwrap()) {
                assert_eq!(a, b);
            }
            assert_eq!(merged, complete);
            assert!(folder.exists("merged/matrix.md"));
        }
    }

    /// Runs the three shards of a small plan, each in its own folder.
    fn run_three_shards() -> Folder {
        let folder = Folder::new();
        for index in 1..=3 {
            run_shard(&folder, "deepseek@2025-12", &format!("{index}/3"), &["--select", "field.*"]).assert_exit_code(0);
        }
        folder
    }

    const SHARD_1: &str = "shard-1-3/results-deepseek-2025-12.json";
    const SHARD_2: &str = "shard-2-3/results-deepseek-2025-12.json";
    const SHARD_3: &str = "shard-3-3/results-deepseek-2025-12.json";

    #[test]
    fn shards_that_do_not_form_one_plan_are_rejected_with_the_reason() {
        let folder = run_three_shards();
        let merge = |files: &[&str]| folder.run(["merge", "-o", "merged"].iter().chain(files));
        merge(&[SHARD_1, SHARD_2, SHARD_3]).assert_exit_code(0);
        merge(&[SHARD_1, SHARD_3])
            .assert_exit_code(2)
            .assert_stderr_contains(&["shard 2 of 3 is missing", "--shard 2/3"]);
        merge(&[SHARD_2])
            .assert_exit_code(2)
            .assert_stderr_contains(&["shards 1, 3 of 3 are missing", "--shard 1/3 and --shard 3/3"]);
        merge(&[SHARD_1, SHARD_2, SHARD_3, SHARD_2])
            .assert_exit_code(2)
            .assert_stderr_contains(&["shard 2 of 3 is given twice", SHARD_2]);
        for (more, what) in [
            (vec!["--select", "field.*", "--model", "other"], "the model is"),
            (vec!["--select", "field.*", "--claims", "anthropic"], "the claims come from"),
            (vec!["--select", "field.*", "--confidence", "0.9"], "the confidence is"),
            (vec!["--select", "field.*", "--default-max-tokens", "900"], "--default-max-tokens is"),
            (vec!["--select", "tools.*"], "is only in the first"),
        ] {
            let arguments = [&["--shard", "2/3"], &more[..]].concat();
            run_simulated(&folder, "deepseek@2025-12", "other", &arguments);
            merge(&[SHARD_1, "other/results-deepseek-2025-12.json", SHARD_3])
                .assert_exit_code(2)
                .assert_stderr_contains(&["different plans", what]);
        }
        run_simulated(&folder, "deepseek@2025-12", "other", &["--shard", "2/4", "--select", "field.*"]);
        merge(&[SHARD_1, "other/results-deepseek-2025-12.json"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["number of shards is 3 and 4"]);
        run_simulated(&folder, "deepseek@2025-12", "other", &["--select", "field.*"]);
        merge(&[SHARD_1, "other/results-deepseek-2025-12.json"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["is not a shard"]);
        // An incomplete file.
        let text = folder.read(SHARD_2);
        folder.write("cut.json", &text[..text.len() / 2]);
        merge(&[SHARD_1, "cut.json", SHARD_3]).assert_exit_code(2).assert_stderr_contains(&["the file is incomplete"]);
        let mut edited: Value = serde_json::from_str(&text).unwrap();
        edited["shard"]["index"] = json!(3);
        folder.write("edited.json", edited.to_string());
        merge(&[SHARD_1, SHARD_2, "edited.json"]).assert_exit_code(2).assert_stderr_contains(&["is in two shards"]);
    }

    #[test]
    fn a_partial_shard_makes_the_merged_results_partial() {
        let folder = run_three_shards();
        run_shard(&folder, "deepseek@2025-12", "2/3", &["--select", "field.*", "--max-requests", "9"])
            .assert_exit_code(3);
        folder
            .run(["merge", SHARD_1, SHARD_2, SHARD_3, "-o", "merged"])
            .assert_exit_code(3)
            .assert_stderr_contains(&["shard 2 of 3: the budget was used up"]);
        assert_eq!(
            row_ids(&folder.results("merged")).len(),
            row_ids(&read_json(&folder, SHARD_1)).len()
                + row_ids(&read_json(&folder, SHARD_2)).len()
                + row_ids(&read_json(&folder, SHARD_3)).len()
        );
    }

    #[test]
    fn one_command_merges_several_targets() {
        let folder = Folder::new();
        let mut files = Vec::new();
        for index in 1..=2 {
            let out = format!("s{index}");
            let part = format!("{index}/2");
            folder.run(["run", "--out", &out, "--shard", &part, "--select", "field.*"]).assert_exit_code(0);
            files.extend(
                ["deepseek-2025-12", "tencent-lkeap-2025-12"].map(|target| format!("{out}/results-{target}.json")),
            );
        }
        folder.run(["merge".to_owned()].into_iter().chain(files)).assert_exit_code(0);
        assert_eq!(folder.file_names("reports", "results-").len(), 2);
    }

    #[test]
    fn a_shard_without_rows_is_valid_and_required() {
        let folder = Folder::new();
        let mut files = Vec::new();
        let mut empty = 0;
        for index in 1..=4 {
            let ended = run_shard(&folder, "deepseek@2025-12", &format!("{index}/4"), &["--select", "field.top_k"])
                .assert_exit_code(0);
            let file = format!("shard-{index}-4/results-deepseek-2025-12.json");
            let results = read_json(&folder, &file);
            if row_ids(&results).is_empty() {
                empty += 1;
                assert!(ended.stderr.contains("none of 1 rows"), "{}", ended.stderr);
                assert_eq!(results["totals"]["requests"], 0);
            }
            files.push(file);
        }
        assert_eq!(empty, 3);
        folder.run(["merge".to_owned()].into_iter().chain(files)).assert_exit_code(0);
        assert_eq!(row_ids(&folder.results("reports")), ["field.top_k"]);
    }

    #[test]
    fn rows_and_plans_have_the_same_shards() {
        let folder = Folder::new();
        let all: Value = serde_json::from_str(&folder.run(["rows", "--format", "json"]).stdout).unwrap();
        let count = all.as_array().unwrap().len();
        let mut seen = BTreeSet::new();
        for index in 1..=5 {
            let part = format!("{index}/5");
            let rows = folder.run(["rows", "--format", "json", "--shard", &part]).assert_exit_code(0).stdout;
            let rows: Value = serde_json::from_str(&rows).unwrap();
            let plan =
                folder.run(["plan", "anthropic", "--format", "json", "--shard", &part]).assert_exit_code(0).stdout;
            let plan: Value = serde_json::from_str(&plan).unwrap();
            let planned: Vec<&Value> =
                plan["targets"][0]["rows"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
            for row in rows.as_array().unwrap() {
                assert!(seen.insert(row["id"].to_string()), "{row} is in two shards");
                if !row["id"].as_str().unwrap().starts_with("limit.") {
                    assert!(planned.contains(&&row["id"]), "{row} is not planned");
                }
            }
        }
        assert_eq!(seen.len(), count);
        folder.run(["rows", "--shard", "6/5"]).assert_exit_code(2).assert_stderr_contains(&["expected I/N"]);
    }
}

mod rerunning {
    use super::*;

    fn row<'a>(results: &'a Value, id: &str) -> &'a Value {
        results["rows"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap()
    }

    #[test]
    fn a_flaky_row_fails_a_strict_report_in_every_format() {
        let folder = run_with_contradiction();
        rerun(&folder, &[]).assert_exit_code(0);
        let report =
            ["report", "again/results-deepseek-2025-12.json", "--format", "junit,badge,github", "--out", "strict"];
        let ended = folder.run(report.iter().chain(&["--strict"])).assert_exit_code(1);
        assert!(
            ended.stdout.contains("::error title=deepseek@2025-12%3A field.stop_sequences flaky"),
            "{}",
            ended.stdout
        );
        assert!(folder.read("strict/junit.xml").contains("failures=\"1\""));
        assert!(folder.read("strict/badge-deepseek-2025-12.json").contains("yellow"));
    }

    fn rerun(folder: &Folder, more: &[&str]) -> FinishedRun {
        run_simulated(
            folder,
            "deepseek@2025-12",
            "again",
            &[&["--rerun", "out/results-deepseek-2025-12.json"], more].concat(),
        )
    }

    /// Runs rows of which one contradicts its claim.
    fn run_with_contradiction() -> Folder {
        let folder = Folder::new();
        run_simulated(
            &folder,
            "deepseek@2025-12",
            "out",
            &["--select", "field.*", "--flip", "field.stop_sequences=ignored"],
        )
        .assert_exit_code(1);
        folder
    }

    #[test]
    fn a_contradiction_that_the_rerun_does_not_confirm_is_flaky_and_stays_in_the_results() {
        let folder = run_with_contradiction();
        let old = folder.results("out");
        rerun(&folder, &[]).assert_exit_code(0).assert_stderr_contains(&["rerunning 1 of 27 rows"]);
        let new = folder.results("again");
        assert_eq!(row_ids(&new), row_ids(&old), "the results contain all rows");
        let again = row(&new, "field.stop_sequences");
        assert_eq!((&again["verdict"]["status"], &again["outcome"]), (&json!("supported"), &json!("conforms")));
        assert_eq!(again["earlier"][0]["outcome"], "contradicts");
        assert_eq!(again["earlier"][0]["started_at"], old["started_at"]);
        assert!(
            again["verdict"]["qualifiers"].to_string().contains("rerun; before: ignored (contradicts); flaky"),
            "{again}"
        );
        let added = new["totals"]["requests"].as_u64().unwrap() - old["totals"]["requests"].as_u64().unwrap();
        assert!((4..40).contains(&added), "{added}");
        assert_ne!(new["reruns"][0]["seed"], old["seed"], "the rerun has new random values");
        assert_eq!(new["reruns"][0]["rows"], json!(["field.stop_sequences"]));
        // The other rows do not change.
        for id in row_ids(&old).iter().filter(|id| *id != "field.stop_sequences") {
            assert_eq!(row(&old, id), row(&new, id));
        }
        assert!(folder.exists("again/recording-deepseek-2025-12-rerun.jsonl"));
        // A flaky row fails a strict report.
        folder.run(["report", "again/results-deepseek-2025-12.json", "--strict", "-o", "x"]).assert_exit_code(1);
    }

    #[test]
    fn a_contradiction_that_the_rerun_confirms_is_not_flaky() {
        let folder = run_with_contradiction();
        rerun(&folder, &["--flip", "field.stop_sequences=ignored"]).assert_exit_code(1);
        let new = folder.results("again");
        let again = row(&new, "field.stop_sequences");
        assert_eq!(again["outcome"], "contradicts");
        assert!(!again["verdict"]["qualifiers"].to_string().contains("flaky"), "{again}");
        // A second rerun lists both earlier verdicts.
        folder
            .run([
                "run",
                "deepseek@2025-12",
                "--simulate",
                "--rerun",
                "again/results-deepseek-2025-12.json",
                "--out",
                "third",
            ])
            .assert_exit_code(0);
        let third = folder.results("third");
        assert_eq!(row(&third, "field.stop_sequences")["earlier"].as_array().unwrap().len(), 2);
        assert_eq!(third["reruns"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn undecided_rows_are_rerun_with_the_rows_that_they_depend_on() {
        let folder = Folder::new();
        let select = ["--select", "tool_choice.*", "--select", "tools.*"];
        run_simulated(&folder, "deepseek@2025-12", "out", &[&select[..], &["--max-requests", "12"]].concat())
            .assert_exit_code(3);
        let undecided = folder.results("out")["summary"]["skipped"].as_u64().unwrap();
        assert!(undecided > 3);
        rerun(&folder, &[]).assert_exit_code(0).assert_stderr_contains(&["rerunning"]);
        let new = folder.results("again");
        assert_eq!(new["summary"]["skipped"], 0);
        assert_eq!(new.get("partial"), None);
        run_simulated(&folder, "deepseek@2025-12", "whole", &select).assert_exit_code(0);
        let complete = folder.results("whole");
        for id in row_ids(&complete) {
            assert_eq!(row(&complete, &id)["verdict"]["status"], row(&new, &id)["verdict"]["status"], "{id}");
        }
    }

    #[test]
    fn a_rerun_of_decided_rows_changes_nothing() {
        let folder = Folder::new();
        run_simulated(&folder, "deepseek@2025-12", "out", &["--select", "field.top_k"]).assert_exit_code(0);
        rerun(&folder, &[]).assert_exit_code(0).assert_stderr_contains(&["nothing to rerun"]);
        assert_eq!(folder.results("out"), folder.results("again"));
    }

    #[test]
    fn results_of_another_run_are_rejected_with_the_difference() {
        let folder = run_with_contradiction();
        rerun(&folder, &["--model", "other"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["the model is deepseek-", "and other in this run"]);
        rerun(&folder, &["--claims", "anthropic"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["the claiming target is"]);
        rerun(&folder, &["--name", "other"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["the target is deepseek@2025-12 in the results"]);
        rerun(&folder, &["--shard", "1/2"]).assert_exit_code(2).assert_stderr_contains(&["cannot be used with"]);
        let file = ["--rerun", "out/results-deepseek-2025-12.json"];
        folder
            .run(["run"].iter().chain(&file))
            .assert_exit_code(2)
            .assert_stderr_contains(&["--rerun needs one target"]);
        folder
            .run(["run", "deepseek@2025-12", "--simulate", "--rerun", "out/recording-deepseek-2025-12.jsonl"])
            .assert_exit_code(2);
        folder
            .run(["run", "deepseek@2025-12", "--simulate", "--rerun", "nowhere"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["cannot read nowhere"]);
    }
}
