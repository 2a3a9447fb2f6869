//! Tests every row of every simulated target against its claim and its snapshot.
//!
//! Each row must get a verdict, and the verdict must conform to the claim. The evidence, the trials
//! and the cost must match the reviewed snapshot `snapshots/rows/<target>/<row>.snap`.
//!
//! There is one test per row and target, so that a failure names the row. After an intended change,
//! review with `cargo insta review`, or accept all snapshots with
//! `INSTA_UPDATE=always cargo test --test rows`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

#[path = "it/common/mod.rs"]
mod common;

use std::fs;
use std::process::ExitCode;
use std::sync::OnceLock;

use common::{TARGETS, bundled_target, repository_path, test_target, testable_rows};
use fieldtest::catalog::Outcome;
use fieldtest::results::model::{Results, RowResult};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for name in TARGETS {
        for row in testable_rows(bundled_target(name)) {
            let id = row.experiment.id();
            trials.push(Trial::test(format!("{name}::{id}"), move || check_row(name, id)));
        }
        trials.push(Trial::test(format!("{name}::every-snapshot-has-its-row"), move || check_orphans(name)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn check_row(name: &str, id: &str) -> Result<(), Failed> {
    let row = results(name).rows.iter().find(|row| row.id == id).ok_or("the results do not contain the row")?;
    // An unclaimed row may be undecided if the target does not support other fields of its
    // requests.
    if !row.verdict.status.is_decided() && (row.claim.is_some() || name == "anthropic") {
        return Err(format!("{}: {}", row.verdict.status, row.verdict.reason).into());
    }
    let expected = if row.claim.is_some() { Outcome::Conforms } else { Outcome::Unclaimed };
    if row.outcome != expected {
        let claim = row.claim.as_ref().map_or("nothing", |claim| claim.status.as_str());
        return Err(format!(
            "{}: claimed {claim}, observed {}: {}",
            row.outcome, row.verdict.status, row.verdict.reason
        )
        .into());
    }
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(snapshot_folder(name));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_json_snapshot!(id, snapshot_value(row)));
    Ok(())
}

/// The part of a row that must not change without a review. Texts with random ids are left out,
/// since the simulator assigns the ids in the order in which requests arrive.
fn snapshot_value(row: &RowResult) -> Value {
    let arms: Vec<Value> = row
        .arms
        .iter()
        .map(|arm| {
            let mut arm = serde_json::to_value(arm).expect("plain data");
            // The counts are enough: requests contain random ids.
            for key in ["exchanges", "adds", "results"] {
                arm.as_object_mut().expect("an object").remove(key);
            }
            arm
        })
        .collect();
    let mut value = json!({
        "claim": row.claim,
        "verdict": without_times(serde_json::to_value(&row.verdict).expect("plain data")),
        "outcome": row.outcome,
        "silent": row.silent,
        "cost": row.cost,
        "arms": arms,
        "findings": row.findings,
        "example": row.example.as_ref().map(|example| format!("{}: {}", example.arm, example.status)),
    });
    common::remove_measured_times(&mut value);
    value
}

/// Replaces the durations in the reason, which differ between runs.
fn without_times(mut verdict: Value) -> Value {
    let reason = verdict["reason"].as_str().unwrap_or_default();
    let words: Vec<&str> = reason.split(' ').collect();
    let times = words.iter().enumerate().map(|(i, word)| {
        let is_time = words.get(i + 1).is_some_and(|unit| unit.starts_with("ms")) && word.parse::<u64>().is_ok();
        if is_time { "N" } else { word }
    });
    let reason = times.collect::<Vec<_>>().join(" ");
    verdict["reason"] = reason.into();
    verdict
}

fn check_orphans(name: &str) -> Result<(), Failed> {
    let known: Vec<String> =
        testable_rows(bundled_target(name)).iter().map(|row| format!("{}.snap", row.experiment.id())).collect();
    let mut files = Vec::new();
    for entry in fs::read_dir(snapshot_folder(name))? {
        files.push(entry?.file_name().to_string_lossy().into_owned());
    }
    let orphans: Vec<&String> = files.iter().filter(|f| f.ends_with(".snap") && !known.contains(f)).collect();
    if orphans.is_empty() { Ok(()) } else { Err(format!("these snapshots have no row: {orphans:?}").into()) }
}

fn snapshot_folder(name: &str) -> std::path::PathBuf {
    repository_path("snapshots/rows").join(name)
}

/// Returns the results of a target. The first call runs the rows, or loads the results of another
/// process.
fn results(name: &str) -> &'static Results {
    static ALL: [OnceLock<Results>; TARGETS.len()] = [const { OnceLock::new() }; TARGETS.len()];
    let index = TARGETS.iter().position(|target| *target == name).expect("a known target");
    ALL[index].get_or_init(|| load_shared_results(name).unwrap_or_else(|| run(name)))
}

fn run(name: &str) -> Results {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let results = runtime.block_on(test_target(bundled_target(name), &[]));
    store_shared_results(name, &results);
    results
}

// nextest runs each test in its own process and sets an id for all of them. The first process that
// runs a target stores the results for the other processes. Without the id, nothing is stored.

fn shared_results_path(name: &str) -> Option<std::path::PathBuf> {
    let run = std::env::var("NEXTEST_RUN_ID").ok()?;
    Some(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rows-{name}-{run}.json")))
}

fn load_shared_results(name: &str) -> Option<Results> {
    let path = shared_results_path(name)?;
    let text = fs::read_to_string(&path).ok()?;
    Some(fieldtest::results::json::parse(name, &text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn store_shared_results(name: &str, results: &Results) {
    let Some(path) = shared_results_path(name) else { return };
    let run =
        path.file_name().map(|file| file.to_string_lossy().trim_end_matches(".json").to_owned()).unwrap_or_default();
    for old in fs::read_dir(env!("CARGO_TARGET_TMPDIR")).into_iter().flatten().flatten() {
        let file = old.file_name().to_string_lossy().into_owned();
        if file.starts_with(&format!("rows-{name}-")) && !file.starts_with(&run) {
            let _ = fs::remove_file(old.path());
        }
    }
    // Rename a complete file into place, since another process may be reading. After an error, the
    // other processes run the rows themselves.
    let partial = path.with_extension(std::process::id().to_string());
    let _ = fs::write(&partial, fieldtest::results::json::render(results)).and_then(|()| fs::rename(&partial, &path));
}
