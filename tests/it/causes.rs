//! Rows with one defect behind them have one cause, and every arm says what it adds and what its trials
//! show.

use std::collections::BTreeSet;

use binary::Folder;
use common::{binary, bundled_target, test_target};
use fieldtest::catalog::ClaimStatus;
use fieldtest::results::cause::VerdictCause;
use fieldtest::results::model::{ArmResult, Results, TrialSignal};

use crate::common;

fn rows_with_cause<'a>(results: &'a Results, cause: &str) -> BTreeSet<&'a str> {
    let has_cause = |found: &Option<VerdictCause>| found.as_ref().is_some_and(|found| found.to_string() == cause);
    results.rows.iter().filter(|row| has_cause(&row.cause)).map(|row| row.id.as_str()).collect()
}

fn causes(results: &Results) -> BTreeSet<String> {
    results.rows.iter().filter_map(|row| Some(row.cause.as_ref()?.to_string())).collect()
}

#[tokio::test]
async fn an_endpoint_that_never_streams_has_one_cause_in_every_run() {
    let target = bundled_target("anthropic");
    let results = test_target(target, &[("field.stream", ClaimStatus::Ignored)]).await;
    let rows = rows_with_cause(&results, "row:field.stream");
    for row in ["field.stream", "stream.twin", "stream.ping", "stream.text"] {
        assert!(rows.contains(row), "{row} is not in {rows:?}");
    }
    assert_eq!(causes(&results), BTreeSet::from(["row:field.stream".to_owned()]));
    let again = test_target(target, &[("field.stream", ClaimStatus::Ignored)]).await;
    assert_eq!(rows_with_cause(&again, "row:field.stream"), rows);
}

#[tokio::test]
async fn rejected_tools_are_the_cause_of_rows_with_tools() {
    // The simulator rejects each tool, since a tool must have a schema.
    let results = test_target(bundled_target("anthropic"), &[("tools.input_schema", ClaimStatus::Unsupported)]).await;
    let rows = rows_with_cause(&results, "row:tools");
    for row in ["tools", "tools.description", "tool_choice.any", "tools.no_arguments", "tools.long_name"] {
        assert!(rows.contains(row), "{row} is not in {rows:?}");
    }
    assert!(rows.len() > 15, "{rows:?}");
}

#[tokio::test]
async fn a_part_and_a_row_about_the_same_field_share_the_cause_of_the_field() {
    let target = bundled_target("anthropic");
    let results = test_target(target, &[("tool_choice.object_form", ClaimStatus::Ignored)]).await;
    let rows = rows_with_cause(&results, "row:tool_choice.object_form");
    for row in ["tool_choice.object_form", "tool_choice.any", "tool_choice.auto.disable_parallel_tool_use"] {
        assert!(rows.contains(row), "{row} is not in {rows:?}");
    }
    let results = test_target(target, &[("field.model", ClaimStatus::Substituted)]).await;
    let expected = BTreeSet::from(["error.unknown_model", "field.model"]);
    assert_eq!(rows_with_cause(&results, "row:field.model"), expected);
}

#[tokio::test]
async fn a_credential_that_nobody_checks_is_one_cause_of_four_rows() {
    let flips = [("header.x-api-key", ClaimStatus::Ignored), ("header.authorization", ClaimStatus::Ignored)];
    let results = test_target(bundled_target("anthropic"), &flips).await;
    let expected = ["error.no_key", "error.wrong_key", "header.authorization", "header.x-api-key"];
    assert_eq!(rows_with_cause(&results, "credentials"), BTreeSet::from(expected));
    assert_eq!(causes(&results), BTreeSet::from(["credentials".to_owned()]));
}

#[tokio::test]
async fn a_healthy_endpoint_has_no_cause_and_a_single_defect_has_none_either() {
    let target = bundled_target("anthropic");
    assert_eq!(causes(&test_target(target, &[]).await), BTreeSet::new());
    let results = test_target(target, &[("field.top_k", ClaimStatus::Ignored)]).await;
    assert_eq!(causes(&results), BTreeSet::new());
}

fn find_arm<'a>(results: &'a Results, row: &str, arm: &str) -> &'a ArmResult {
    let row = results.find_row(row).expect("the row was run");
    row.arms.iter().find(|found| found.name == arm).unwrap_or_else(|| panic!("{} has no arm {arm}", row.id))
}

/// What an arm adds, place by place.
fn additions(arm: &ArmResult) -> Vec<(&str, &str)> {
    arm.adds.iter().map(|(at, text)| (at.as_str(), text.as_str())).collect()
}

#[tokio::test]
async fn every_arm_says_what_it_adds_and_what_its_trials_show() {
    let results = test_target(bundled_target("anthropic"), &[]).await;
    for row in &results.rows {
        for arm in &row.arms {
            let count = |shows: TrialSignal| arm.results.iter().filter(|trial| trial.shows == shows).count() as u64;
            if arm.results.is_empty() {
                assert_eq!((arm.exchanges.len() as u64, arm.void), (arm.trials, 0), "{} {}", row.id, arm.name);
                continue;
            }
            let void = count(TrialSignal::Void);
            assert_eq!(arm.results.len() as u64 - void, arm.trials, "{} {}", row.id, arm.name);
            let counted = (count(TrialSignal::Effect), count(TrialSignal::Rejected), void);
            assert_eq!(counted, (arm.effects, arm.refused, arm.void), "{} {}", row.id, arm.name);
            let exchanges: u64 = arm.results.iter().map(|trial| trial.exchanges).sum();
            assert_eq!(exchanges, arm.exchanges.len() as u64, "{} {}", row.id, arm.name);
            for trial in &arm.results {
                assert_eq!(trial.because.is_some(), trial.shows == TrialSignal::Void, "{} {}", row.id, arm.name);
            }
        }
    }
    assert_eq!(additions(find_arm(&results, "field.top_k", "narrow")), [("/top_k", "1")]);
    let system = find_arm(&results, "field.system", "treatment:string");
    assert_eq!(system.variant.as_deref(), Some("string"));
    assert!(system.adds["/system"].contains("{{label}}"), "{:?}", system.adds);
    assert_eq!(additions(find_arm(&results, "error.no_key", "treatment")), [("credential", r#""missing""#)]);
}

#[test]
fn reports_list_a_cause_once_with_its_rows() {
    let folder = Folder::new();
    let options = [
        "run",
        "anthropic",
        "--simulate",
        "--flip",
        "header.x-api-key=ignored",
        "--flip",
        "header.authorization=ignored",
        "--select",
        "header.*",
        "--select",
        "error.*_key",
        "--format",
        "terminal,markdown,json,html",
        "--out",
        "out",
    ];
    let ended = folder.run(options).assert_exit_code(1);
    let text = "the endpoint checks no credential: 4 rows";
    assert_eq!(ended.stdout.matches(text).count(), 1, "{}", ended.stdout);
    for file in ["out/matrix.md", "out/matrix.html"] {
        assert_eq!(folder.read(file).matches(text).count(), 1, "{file}");
    }
    let results = folder.results("out");
    let rows = results["rows"].as_array().unwrap();
    let count = |cause: &str| rows.iter().filter(|row| row["cause"] == cause).count();
    assert_eq!(count("credentials"), 4);
}
