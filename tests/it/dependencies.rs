//! Which rows can be the cause of another row's verdict, and what this does to verdicts and selections.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use binary::Folder;
use fieldtest::catalog::{ClaimStatus, VerdictStatus};
use fieldtest::engine::carried_rows;
use fieldtest::results::model::{DependencyRole, Verdict};
use fieldtest::simulator::{self, ROW_IDS};
use fieldtest::wire::exchange::AttemptResult;
use insta::assert_snapshot;

use crate::common::{
    CATALOG, DEPENDENCIES, EndpointUnderTest, SHORT_BACKOFF, SimulationSetup, TARGETS, binary, bundled_target,
    judge_recording, needs, record_endpoint, record_simulation,
};

/// The verdicts of rows at the reference with flipped rows.
async fn verdicts(flips: &[(&str, ClaimStatus)], rows: &[&str]) -> BTreeMap<String, Verdict> {
    let rows = rows.iter().map(|row| (*row).to_owned()).collect();
    let setup = SimulationSetup { rows, ..SimulationSetup::new(bundled_target("anthropic"), flips) };
    let results = judge_recording(&record_simulation(setup).await);
    results.rows.into_iter().map(|row| (row.id, row.verdict)).collect()
}

#[test]
fn all_dependencies_are_known() {
    let mut table = String::new();
    for row in &CATALOG.rows {
        let id = row.experiment.id();
        let direct: Vec<(&str, DependencyRole)> = DEPENDENCIES.direct(id).collect();
        for role in DependencyRole::ALL {
            let others: Vec<&str> = direct.iter().filter(|(_, r)| *r == role).map(|(other, _)| *other).collect();
            if !others.is_empty() {
                writeln!(table, "{id} {role}: {}", others.join(" ")).unwrap();
            }
        }
    }
    assert_snapshot!(table);
}

#[test]
fn dependencies_that_requests_do_not_show_are_written_by_hand() {
    let declared = CATALOG.rows.iter().filter(|row| !row.experiment.depends_on.is_empty());
    let declared: Vec<&str> = declared.map(|row| row.experiment.id()).collect();
    let known = [
        // They read what another field causes.
        "answer.stop_reason.max_tokens",
        "answer.stop_reason.stop_sequence",
        // It has no effect of its own, and needs the form.
        "tool_choice.auto",
        "error.forced_tool_with_thinking",
        "turns.thinking_stripped",
        // Its breakpoint is in the system prompt, which is no text block of a message.
        "cache_control.billing_header",
        // It counts the tokens of a description that both of its requests have.
        "tools.defer_loading",
    ];
    assert_eq!(declared, known);
}

#[test]
fn the_rows_that_need_tools_are_known() {
    for row in ["tool_choice.any", "stream.parallel_tools", "turns.tool_loop", "tools.no_arguments"] {
        assert!(needs(row, "tools"), "{row}");
    }
    assert!(!needs("field.system", "tools"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_an_ignored_field_is_ignored_too() {
    let rows = ["tool_choice.object_form", "tool_choice.any", "tools"];
    let verdicts = verdicts(&[("tool_choice.object_form", ClaimStatus::Ignored)], &rows).await;
    assert_eq!(verdicts["tool_choice.object_form"].status, VerdictStatus::Ignored);
    assert_eq!(verdicts["tool_choice.any"].status, VerdictStatus::Ignored, "{:?}", verdicts["tool_choice.any"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tools_is_not_accused_of_each_use_of_tools() {
    let rows = [
        "tools",
        "tools.name",
        "tools.input_schema",
        "tools.description",
        "tool_choice.object_form",
        "tool_choice.auto",
        "tools.new_keys",
        "tools.schema",
        "turns.tool_loop",
        "content.text.text",
        "content.tool_use.id",
        "content.tool_use.input",
        "content.tool_use.name",
        "content.tool_result.tool_use_id",
        "content.tool_result.content",
    ];
    let verdicts = verdicts(&[("tools.name", ClaimStatus::Unsupported)], &rows).await;
    assert_eq!(verdicts["tools"].status, VerdictStatus::Rejected);
    // The error names the name of the tool, so the rows are blocked, or the rejection is elsewhere.
    for row in ["tool_choice.auto", "tools.new_keys", "tools.schema"] {
        let verdict = &verdicts[row];
        let is_elsewhere = verdict.code.as_deref() == Some("refusal-elsewhere");
        assert!(!verdict.status.is_decided(), "{row}: {verdict:?}");
        assert!(is_elsewhere || verdict.blocked_by.iter().any(|cause| cause.row == "tools"), "{row}: {verdict:?}");
    }
    assert!(!verdicts["turns.tool_loop"].status.is_decided(), "{:?}", verdicts["turns.tool_loop"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variant_that_another_row_blocks_does_not_reject_the_row() {
    let rows = ["content.image", "content.tool_result.content", "content.text.text"];
    let verdicts = verdicts(&[("content.tool_result.content", ClaimStatus::Unsupported)], &rows).await;
    let image = &verdicts["content.image"];
    assert!(!image.status.is_decided(), "{image:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_is_not_blamed_on_other_rows() {
    let rows =
        ["tools", "tools.description", "tools.no_arguments", "tools.long_name", "count_tokens.tools", "count_tokens"];
    let verdicts = verdicts(&[("tools.description", ClaimStatus::Unsupported)], &rows).await;
    assert_eq!(verdicts["tools.description"].status, VerdictStatus::Rejected);
    for row in ["tools.no_arguments", "tools.long_name", "count_tokens.tools"] {
        assert!(!verdicts[row].status.is_decided(), "{row}: {:?}", verdicts[row]);
    }
}

/// The rows of the results of a run of one selected row.
fn select(target: &str, row: &str, more: &[&str]) -> serde_json::Value {
    let folder = Folder::new();
    let arguments = ["run", target, "--simulate", "--select", row, "--out", "out"];
    folder.run(arguments.iter().chain(more));
    folder.results("out")["rows"].clone()
}

#[test]
fn a_selected_row_is_decided_without_the_rows_that_it_depends_on() {
    for row in ["stream.twin_tool", "tool_choice.auto.disable_parallel_tool_use"] {
        let rows = select("deepseek@2025-12", row, &[]);
        assert_eq!(rows.as_array().unwrap().len(), 1);
        assert_ne!(rows[0]["verdict"]["status"], "skipped", "{rows}");
    }
}

#[test]
fn a_selected_row_is_blocked_by_a_row_that_is_run_for_it() {
    let rows = select("anthropic", "tools.long_name", &["--flip", "tools.description=unsupported"]);
    assert_eq!(rows.as_array().unwrap().len(), 1, "the other row is not reported");
    assert_eq!(rows[0]["verdict"]["blocked_by"][0]["row"], "tools.description", "{rows}");
}

/// Requests for which the engine and the simulator do not name the same rows.
async fn compare_places() -> Vec<String> {
    // Every request has these, and the engine does not count what the simplest request shows.
    let everywhere = ["header.x-api-key", "header.authorization"];
    let bounds = ["field.temperature.range", "limit.max_output_tokens"];
    let target = bundled_target("anthropic");
    let running = simulator::start(SimulationSetup::new(target, &[]).behaviour).await.unwrap();
    let server = EndpointUnderTest {
        base_url: running.base_url(),
        credential: running.credential().to_owned(),
        model: target.model.clone(),
        concurrency: 4,
        initial_backoff: SHORT_BACKOFF,
        retries: 4,
        seed: 1,
        confidence: 0.99,
        rows: Vec::new(),
    };
    let recording = record_endpoint(&server, target).await;
    let activity = running.field_activity();
    let mut differences = Vec::new();
    for exchange in &recording.exchanges {
        let Some(AttemptResult::Response(response)) = exchange.last_attempt().map(|attempt| &attempt.result) else {
            continue;
        };
        let Some(id) = response.header("request-id") else { continue };
        let is_compared = |row: &str| ROW_IDS.contains(&row) && !everywhere.contains(&row) && !bounds.contains(&row);
        let seen: BTreeSet<&str> =
            activity.iter().filter(|(_, ids)| ids.contains(id)).map(|(row, _)| row.as_str()).collect();
        // An error before the body is read has no activity.
        if !seen.contains("field.model") {
            continue;
        }
        let carried = carried_rows(&exchange.request);
        let carried: BTreeSet<&str> = carried.iter().map(String::as_str).filter(|row| is_compared(row)).collect();
        let seen: BTreeSet<&str> = seen.into_iter().filter(|row| is_compared(row)).collect();
        if carried != seen {
            let (one, other): (Vec<_>, Vec<_>) =
                (carried.difference(&seen).collect(), seen.difference(&carried).collect());
            differences.push(format!("{}: only the engine: {one:?}, only the simulator: {other:?}", exchange.id));
        }
    }
    differences
}

#[test]
fn the_table_of_places_names_the_rows_that_the_simulator_sees() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let differences = runtime.block_on(compare_places());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(TARGETS.contains(&"anthropic"));
}
