//! Plans that are shared out over several runs, and runs whose rerunning, with the real binary.

use std::collections::BTreeSet;

use binary::{Ended, Folder};
use serde_json::{Value, json};

use crate::common::binary;

/// Rows that share requests, and rows that work through others.
const SELECT: [&str; 6] = ["--select", "field.*", "--select", "tool*", "--select", "content.*"];

fn simulated(folder: &Folder, target: &str, out: &str, more: &[&str]) -> Ended {
    folder.run(["run", target, "--simulate", "--out", out, "--format", "json"].iter().chain(more))
}

fn shard(folder: &Folder, target: &str, part: &str, more: &[&str]) -> Ended {
    let out = format!("shard-{}", part.replace('/', "-"));
    simulated(folder, target, &out, &[&["--shard", part], more].concat())
}

fn read(folder: &Folder, path: &str) -> Value {
    serde_json::from_str(&folder.read(path)).unwrap()
}

fn ids(results: &Value) -> Vec<String> {
    results["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// What is left of results when their costs are taken out, which depend on who sent a shared request.
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
    fn merged_shards_are_the_whole_run_up_to_its_cost() {
        for (target, parts, fault) in [("deepseek", 3, "message.id-missing"), ("anthropic", 2, "sse.ping-missing")] {
            let folder = Folder::new();
            let more = [&SELECT[..], &["--flip", "field.stop_sequences=ignored"]].concat();
            let more = [&more[..], &folder.simulator(&format!("faults: [{fault}]\n"))].concat();
            simulated(&folder, target, "whole", &more);
            let whole = folder.results("whole");
            let mut files = Vec::new();
            let mut requests = 0;
            for index in 1..=parts {
                let part = format!("{index}/{parts}");
                shard(&folder, target, &part, &more);
                let file = format!("shard-{index}-{parts}/results-{target}.json");
                let of_shard = read(&folder, &file);
                assert_eq!(of_shard["shard"]["index"], index);
                requests += of_shard["totals"]["requests"].as_u64().unwrap();
                files.push(file);
            }
            // In any order.
            files.reverse();
            let ended = folder.run(["merge", "-o", "merged"].iter().map(|s| (*s).to_owned()).chain(files));
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            let merged = folder.results("merged");
            assert_eq!(merged["totals"]["requests"], requests);
            let (merged, whole) = (without_cost(merged), without_cost(whole));
            for (a, b) in merged["rows"].as_array().unwrap().iter().zip(whole["rows"].as_array().unwrap()) {
                assert_eq!(a, b);
            }
            assert_eq!(merged, whole);
            assert!(folder.exists("merged/matrix.md"));
        }
    }

    /// The three shards of a small plan, each in its folder.
    fn three() -> Folder {
        let folder = Folder::new();
        for index in 1..=3 {
            shard(&folder, "deepseek", &format!("{index}/3"), &["--select", "field.*"]).exits(0);
        }
        folder
    }

    const ONE: &str = "shard-1-3/results-deepseek.json";
    const TWO: &str = "shard-2-3/results-deepseek.json";
    const THREE: &str = "shard-3-3/results-deepseek.json";

    #[test]
    fn what_does_not_make_one_whole_plan_is_refused_with_what_is_wrong() {
        let folder = three();
        let merge = |files: &[&str]| folder.run(["merge", "-o", "merged"].iter().chain(files));
        merge(&[ONE, TWO, THREE]).exits(0);
        merge(&[ONE, THREE]).exits(2).says(&["shard 2 of 3 is missing", "--shard 2/3"]);
        merge(&[TWO]).exits(2).says(&["shards 1, 3 of 3 are missing", "--shard 1/3 and --shard 3/3"]);
        merge(&[ONE, TWO, THREE, TWO]).exits(2).says(&["shard 2 of 3 is given twice", TWO]);
        for (more, what) in [
            (vec!["--select", "field.*", "--model", "other"], "the model is"),
            (vec!["--select", "field.*", "--claims", "anthropic"], "the claims come from"),
            (vec!["--select", "field.*", "--confidence", "0.9"], "the confidence is"),
            (vec!["--select", "field.*", "--default-max-tokens", "900"], "--default-max-tokens is"),
            (vec!["--select", "tools.*"], "is only in the first"),
        ] {
            let arguments = [&["--shard", "2/3"], &more[..]].concat();
            simulated(&folder, "deepseek", "other", &arguments);
            merge(&[ONE, "other/results-deepseek.json", THREE]).exits(2).says(&["different plans", what]);
        }
        simulated(&folder, "deepseek", "other", &["--shard", "2/4", "--select", "field.*"]);
        merge(&[ONE, "other/results-deepseek.json"]).exits(2).says(&["number of shards is 3 and 4"]);
        simulated(&folder, "deepseek", "other", &["--select", "field.*"]);
        merge(&[ONE, "other/results-deepseek.json"]).exits(2).says(&["is not a shard"]);
        // A row taken out by hand.
        let text = folder.read(TWO);
        folder.write("cut.json", &text[..text.len() / 2]);
        merge(&[ONE, "cut.json", THREE]).exits(2).says(&["the file is incomplete"]);
        let mut edited: Value = serde_json::from_str(&text).unwrap();
        edited["shard"]["index"] = json!(3);
        folder.write("edited.json", edited.to_string());
        merge(&[ONE, TWO, "edited.json"]).exits(2).says(&["is in two shards"]);
    }

    #[test]
    fn a_partial_shard_makes_the_whole_partial() {
        let folder = three();
        shard(&folder, "deepseek", "2/3", &["--select", "field.*", "--max-requests", "9"]).exits(3);
        folder.run(["merge", ONE, TWO, THREE, "-o", "merged"]).exits(3).says(&["shard 2 of 3: the budget was used up"]);
        assert_eq!(
            ids(&folder.results("merged")).len(),
            ids(&read(&folder, ONE)).len() + ids(&read(&folder, TWO)).len() + ids(&read(&folder, THREE)).len()
        );
    }

    #[test]
    fn several_targets_are_merged_in_one_call() {
        let folder = Folder::new();
        let mut files = Vec::new();
        for index in 1..=2 {
            let out = format!("s{index}");
            let part = format!("{index}/2");
            folder.run(["run", "--out", &out, "--shard", &part, "--select", "field.*"]).exits(0);
            files.extend(["deepseek", "tencent-lkeap"].map(|target| format!("{out}/results-{target}.json")));
        }
        folder.run(["merge".to_owned()].into_iter().chain(files)).exits(0);
        assert_eq!(folder.names("reports", "results-").len(), 2);
    }

    #[test]
    fn a_shard_without_rows_is_no_error_and_is_needed_all_the_same() {
        let folder = Folder::new();
        let mut files = Vec::new();
        let mut empty = 0;
        for index in 1..=4 {
            let ended = shard(&folder, "deepseek", &format!("{index}/4"), &["--select", "field.top_k"]).exits(0);
            let file = format!("shard-{index}-4/results-deepseek.json");
            let results = read(&folder, &file);
            if ids(&results).is_empty() {
                empty += 1;
                assert!(ended.stderr.contains("none of 1 rows"), "{}", ended.stderr);
                assert_eq!(results["totals"]["requests"], 0);
            }
            files.push(file);
        }
        assert_eq!(empty, 3);
        folder.run(["merge".to_owned()].into_iter().chain(files)).exits(0);
        assert_eq!(ids(&folder.results("reports")), ["field.top_k"]);
    }

    #[test]
    fn rows_and_plans_are_shared_out_alike() {
        let folder = Folder::new();
        let all: Value = serde_json::from_str(&folder.run(["rows", "--format", "json"]).stdout).unwrap();
        let count = all.as_array().unwrap().len();
        let mut seen = BTreeSet::new();
        for index in 1..=5 {
            let part = format!("{index}/5");
            let rows = folder.run(["rows", "--format", "json", "--shard", &part]).exits(0).stdout;
            let rows: Value = serde_json::from_str(&rows).unwrap();
            let plan = folder.run(["plan", "anthropic", "--format", "json", "--shard", &part]).exits(0).stdout;
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
        folder.run(["rows", "--shard", "6/5"]).exits(2).says(&["expected I/N"]);
    }
}

mod rerunning {
    use super::*;

    fn row<'a>(results: &'a Value, id: &str) -> &'a Value {
        results["rows"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap()
    }

    #[test]
    fn a_row_that_was_flaky_fails_a_strict_build_in_every_format() {
        let folder = failed();
        rerun(&folder, &[]).exits(0);
        let report = ["report", "again/results-deepseek.json", "--format", "junit,badge,github", "--out", "strict"];
        let ended = folder.run(report.iter().chain(&["--strict"])).exits(1);
        assert!(ended.stdout.contains("::error title=deepseek%3A field.stop_sequences flaky"), "{}", ended.stdout);
        assert!(folder.read("strict/junit.xml").contains("failures=\"1\""));
        assert!(folder.read("strict/badge-deepseek.json").contains("yellow"));
    }

    fn rerun(folder: &Folder, more: &[&str]) -> Ended {
        simulated(folder, "deepseek", "again", &[&["--rerun", "out/results-deepseek.json"], more].concat())
    }

    /// A run in which one row contradicts its claim.
    fn failed() -> Folder {
        let folder = Folder::new();
        simulated(&folder, "deepseek", "out", &["--select", "field.*", "--flip", "field.stop_sequences=ignored"])
            .exits(1);
        folder
    }

    #[test]
    fn a_contradiction_that_is_not_seen_again_is_flaky_and_stays_told() {
        let folder = failed();
        let old = folder.results("out");
        rerun(&folder, &[]).exits(0).says(&["rerunning 1 of 23 rows"]);
        let new = folder.results("again");
        assert_eq!(ids(&new), ids(&old), "all rows are there");
        let again = row(&new, "field.stop_sequences");
        assert_eq!((&again["verdict"]["status"], &again["outcome"]), (&json!("supported"), &json!("conforms")));
        assert_eq!(again["earlier"][0]["outcome"], "contradicts");
        assert_eq!(again["earlier"][0]["started_at"], old["started_at"]);
        assert!(
            again["verdict"]["qualifiers"].to_string().contains("was ignored and so contradicts; flaky"),
            "{again}"
        );
        let added = new["totals"]["requests"].as_u64().unwrap() - old["totals"]["requests"].as_u64().unwrap();
        assert!((4..40).contains(&added), "{added}");
        assert_ne!(new["reruns"][0]["seed"], old["seed"], "the questions are new ones");
        assert_eq!(new["reruns"][0]["rows"], json!(["field.stop_sequences"]));
        // Every other row is as it was.
        for id in ids(&old).iter().filter(|id| *id != "field.stop_sequences") {
            assert_eq!(row(&old, id), row(&new, id));
        }
        assert!(folder.exists("again/recording-deepseek-rerun.jsonl"));
        // It is no conformity where everything counts.
        folder.run(["report", "again/results-deepseek.json", "--strict", "-o", "x"]).exits(1);
    }

    #[test]
    fn a_contradiction_that_is_seen_again_stands() {
        let folder = failed();
        rerun(&folder, &["--flip", "field.stop_sequences=ignored"]).exits(1);
        let new = folder.results("again");
        let again = row(&new, "field.stop_sequences");
        assert_eq!(again["outcome"], "contradicts");
        assert!(!again["verdict"]["qualifiers"].to_string().contains("flaky"), "{again}");
        // And a second rerun tells of both.
        folder
            .run(["run", "deepseek", "--simulate", "--rerun", "again/results-deepseek.json", "--out", "third"])
            .exits(0);
        let third = folder.results("third");
        assert_eq!(row(&third, "field.stop_sequences")["earlier"].as_array().unwrap().len(), 2);
        assert_eq!(third["reruns"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn undecided_rows_are_asked_again_with_what_they_work_through() {
        let folder = Folder::new();
        let select = ["--select", "tool_choice.*", "--select", "tools.*"];
        simulated(&folder, "deepseek", "out", &[&select[..], &["--max-requests", "12"]].concat()).exits(3);
        let undecided = folder.results("out")["summary"]["skipped"].as_u64().unwrap();
        assert!(undecided > 3);
        rerun(&folder, &[]).exits(0).says(&["rerunning"]);
        let new = folder.results("again");
        assert_eq!(new["summary"]["skipped"], 0);
        assert_eq!(new.get("partial"), None);
        simulated(&folder, "deepseek", "whole", &select).exits(0);
        let whole = folder.results("whole");
        for id in ids(&whole) {
            assert_eq!(row(&whole, &id)["verdict"]["status"], row(&new, &id)["verdict"]["status"], "{id}");
        }
    }

    #[test]
    fn where_nothing_is_to_be_asked_again_the_results_stay_as_they_are() {
        let folder = Folder::new();
        simulated(&folder, "deepseek", "out", &["--select", "field.top_k"]).exits(0);
        rerun(&folder, &[]).exits(0).says(&["nothing to rerun"]);
        assert_eq!(folder.results("out"), folder.results("again"));
    }

    #[test]
    fn a_file_of_another_run_is_refused_with_what_differs() {
        let folder = failed();
        rerun(&folder, &["--model", "other"]).exits(2).says(&["the model is deepseek-", "and other here"]);
        rerun(&folder, &["--claims", "anthropic"]).exits(2).says(&["whose claims"]);
        rerun(&folder, &["--name", "other"]).exits(2).says(&["the target is deepseek there"]);
        rerun(&folder, &["--shard", "1/2"]).exits(2).says(&["cannot be used with"]);
        let file = ["--rerun", "out/results-deepseek.json"];
        folder.run(["run"].iter().chain(&file)).exits(2).says(&["--rerun needs one target"]);
        folder.run(["run", "deepseek", "--simulate", "--rerun", "out/recording-deepseek.jsonl"]).exits(2);
        folder.run(["run", "deepseek", "--simulate", "--rerun", "nowhere"]).exits(2).says(&["cannot read nowhere"]);
    }
}
