//! Tests that every case file and the results of complete runs match the published JSON schemas.

use std::fs;
use std::path::PathBuf;

use common::{TARGETS, bundled_target, repository_path, schema_validator, test_target};
use jsonschema::Validator;
use serde_json::Value;

use crate::common;

/// The violations of a schema, each with its location.
fn errors(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The case files of a folder: path, first line and contents.
fn case_files(folder: &str) -> Vec<(PathBuf, String, Value)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(repository_path("cases").join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, text.lines().next().unwrap_or_default().to_owned(), value)
        })
        .collect()
}

#[test]
fn the_schema_of_baselines_rejects_what_the_reader_rejects() {
    let validator = schema_validator("baseline");
    let valid =
        |entry: Value| validator.is_valid(&serde_json::json!({ "schema": "fieldtest-baseline/1", "expect": [entry] }));
    let row = serde_json::json!({ "row": "field.top_k", "verdict": "ignored", "reason": "r" });
    let with = |key: &str, value: Value| {
        let mut entry = row.clone();
        entry[key] = value;
        valid(entry)
    };
    assert!(valid(row.clone()));
    assert!(valid(serde_json::json!({ "check": "sse.done-record", "reason": "r" })));
    assert!(with("until", "2027-01-31".into()) && with("link", "https://x.example".into()));
    assert!(!with("verdict", "inconclusive".into()), "`inconclusive` is not a verdict that a baseline can expect");
    assert!(!with("check", "sse.done-record".into()), "a row and a check");
    assert!(!with("reason", "".into()), "a blank reason");
    assert!(!with("link", "wiki".into()), "a link that is not a URL");
    assert!(!with("untill", "2027-01-31".into()), "an unknown key");
    assert!(!valid(serde_json::json!({ "row": "field.top_k", "reason": "r" })), "a row without a verdict");
    assert!(!valid(serde_json::json!({ "check": "c", "verdict": "ignored", "reason": "r" })), "a check with a verdict");
    assert!(!valid(serde_json::json!({ "row": "field.top_k", "verdict": "ignored" })), "no reason");
}

#[test]
fn every_case_file_matches_its_schema_and_names_it() {
    for (folder, name) in [("experiments", "experiments"), ("gateway", "gateway"), ("targets", "target")] {
        let validator = schema_validator(name);
        let files = case_files(folder);
        assert!(!files.is_empty(), "cases/{folder} is empty");
        for (path, first_line, value) in files {
            let errors = errors(&validator, &value);
            assert!(errors.is_empty(), "{}:\n{}", path.display(), errors.join("\n"));
            let (_, named) = first_line
                .split_once("# yaml-language-server: $schema=")
                .unwrap_or_else(|| panic!("{}: the first line does not name a schema", path.display()));
            assert_eq!(named, format!("../../schemas/{name}.schema.json"), "{}", path.display());
        }
    }
}

#[test]
fn the_schema_of_experiments_rejects_what_the_loader_rejects() {
    let validator = schema_validator("experiments");
    let (_, _, valid_file) = case_files("experiments").swap_remove(1);
    let accepts_row = |change: &dyn Fn(&mut Value)| {
        let mut file = valid_file.clone();
        change(&mut file["rows"][0]);
        validator.is_valid(&file)
    };
    assert!(accepts_row(&|_| {}));
    assert!(!accepts_row(&|row| row["tretment"] = serde_json::json!({})), "an unknown key");
    assert!(!accepts_row(&|row| row["title"] = 7.into()), "a title that is not a string");
    assert!(!accepts_row(&|row| row["combine"] = "most".into()), "an unknown word");
    assert!(!accepts_row(&|row| row["repeat"] = "twice".into()), "a number as a word");
    assert!(!accepts_row(&|row| drop(row.as_object_mut().unwrap().remove("row"))), "a row without an id");
}

#[test]
fn the_schema_of_targets_rejects_what_the_loader_rejects() {
    let validator = schema_validator("target");
    let (_, _, valid_file) = case_files("targets").swap_remove(0);
    let accepts_file = |change: &dyn Fn(&mut Value)| {
        let mut file = valid_file.clone();
        change(&mut file);
        validator.is_valid(&file)
    };
    assert!(accepts_file(&|_| {}));
    assert!(!accepts_file(&|file| file["claim"] = serde_json::json!({})), "an unknown key");
    assert!(!accepts_file(&|file| file["claims"]["field.top_k"]["status"] = "works".into()), "an unknown status");
    assert!(!accepts_file(&|file| file["auth"]["scheme"] = "cookie".into()), "an unknown scheme");
    assert!(!accepts_file(&|file| drop(file.as_object_mut().unwrap().remove("sources"))), "claims without a source");
}

#[tokio::test]
async fn the_results_of_simulated_runs_match_the_schema() {
    let validator = schema_validator("results");
    for name in TARGETS {
        let results = test_target(bundled_target(name), &[]).await;
        // Validate the rendered text, since users read the file.
        let value: Value = serde_json::from_str(&fieldtest::results::json::render(&results)).unwrap();
        let errors = errors(&validator, &value);
        assert!(errors.is_empty(), "{name}:\n{}", errors.join("\n"));
    }
}
