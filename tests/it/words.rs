//! The words of verdicts: the strongest word of each bundled row, the words of the bundled tables when
//! they are simulated, results files of version 1, and `--require-effect`.

use std::collections::BTreeMap;
use std::fs;

use binary::Folder;
use common::{CATALOG, TARGETS, binary, bundled_target, repository_path, test_target};
use fieldtest::catalog::{Outcome, VerdictStatus};
use fieldtest::results::json;
use fieldtest::results::reason::ReasonData;

use crate::common;

/// The rows that can be validated at most.
const VALIDATED: [&str; 13] = [
    "header.anthropic-beta",
    "header.anthropic-version",
    "field.model",
    "field.container",
    "field.mcp_servers",
    "field.metadata",
    "field.service_tier",
    "field.context_management",
    "field.output_config.effort",
    "field.thinking.budget_tokens",
    "content.text.citations",
    "content.redacted_thinking",
    "content.container_upload",
];

/// The rows that can be accepted at most.
const ACCEPTED: [&str; 20] = [
    "turns.replay",
    "turns.tool_loop",
    "turns.tool_loop_thinking",
    "turns.thinking_cached",
    "turns.thinking_later",
    "turns.role_system_taken",
    "messages.beta_query",
    "header.both_credentials",
    "beta.claude_code",
    "field.metadata.user_id",
    "field.max_tokens.large",
    "field.output_config.effort.levels",
    "field.anthropic_beta",
    "cache_control.scope",
    "content.image.url",
    "content.search_history",
    "tools.new_keys",
    "tools.server_tools",
    "tools.schema",
    "tool_choice.auto",
];

/// The rows whose validation shows that the field is enforced.
const ENFORCING: [&str; 5] = [
    "header.x-api-key",
    "header.authorization",
    "field.temperature.range",
    "limit.max_output_tokens",
    "content.tool_use.id",
];

fn rows_with_word(word: VerdictStatus) -> Vec<&'static str> {
    let rows = CATALOG.rows.iter().map(|row| &row.experiment);
    rows.filter(|row| row.strongest_status() == word).map(|row| row.id()).collect()
}

fn sorted(rows: &[&'static str]) -> Vec<&'static str> {
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    rows
}

#[test]
fn every_bundled_row_states_its_strongest_word() {
    assert_eq!(sorted(&rows_with_word(VerdictStatus::Validated)), sorted(&VALIDATED));
    assert_eq!(sorted(&rows_with_word(VerdictStatus::Accepted)), sorted(&ACCEPTED));
    let enforcing = CATALOG.rows.iter().map(|row| &row.experiment).filter(|row| row.enforces);
    assert_eq!(sorted(&enforcing.map(|row| row.id()).collect::<Vec<_>>()), sorted(&ENFORCING));
    let supported = rows_with_word(VerdictStatus::Supported);
    assert_eq!(supported.len() + VALIDATED.len() + ACCEPTED.len(), CATALOG.rows.len());
    for row in &CATALOG.rows {
        let (experiment, strongest) = (&row.experiment, row.experiment.strongest_status());
        let positive = experiment.statuses.iter().filter(|status| status.is_positive());
        assert!(
            positive.eq([&strongest]) || experiment.statuses.iter().all(|s| !s.is_positive()),
            "{}",
            row.experiment.id()
        );
    }
}

#[tokio::test]
async fn a_bare_200_is_never_supported() {
    for name in TARGETS {
        let results = test_target(bundled_target(name), &[]).await;
        assert_eq!(results.summary.contradicts, 0, "{name}");
        for row in &results.rows {
            assert!(
                row.verdict.status.strength() <= row.verdict.strongest.strength()
                    || row.id == "field.thinking.budget_tokens",
                "{}",
                row.id
            );
            if ACCEPTED.contains(&row.id.as_str()) {
                assert_ne!(row.verdict.status, VerdictStatus::Supported, "{name}: {}", row.id);
            }
            if let Some(claim) = &row.claim {
                assert!(
                    row.outcome != Outcome::Undetermined || !row.verdict.status.is_decided(),
                    "{name}: {}: {}",
                    row.id,
                    claim.status
                );
            }
        }
    }
}

fn fixture(name: &str) -> String {
    fs::read_to_string(repository_path("tests/fixtures/results-1").join(name)).unwrap()
}

#[test]
fn results_of_version_1_get_the_new_words() {
    for name in ["deepseek.json", "tencent-lkeap.json"] {
        let text = fixture(name);
        let old: serde_json::Value = serde_json::from_str(&text).unwrap();
        let results = json::parse(name, &text).unwrap();
        assert_eq!(results.schema, "fieldtest-results/2");
        let old_rows: BTreeMap<&str, &serde_json::Value> =
            old["rows"].as_array().unwrap().iter().map(|row| (row["id"].as_str().unwrap(), &row["verdict"])).collect();
        for row in &results.rows {
            let was = old_rows[row.id.as_str()];
            let (status, evidence) = (was["status"].as_str().unwrap(), was["evidence"].as_str());
            let expected = match (status, evidence) {
                ("supported", _) if ACCEPTED.contains(&row.id.as_str()) => "accepted",
                ("supported", _) if row.id == "thinking.unasked" && name.starts_with("tencent") => "accepted",
                ("supported", Some("validated")) if !ENFORCING.contains(&row.id.as_str()) => "validated",
                (status, _) => status,
            };
            assert_eq!(row.verdict.status.as_str(), expected, "{name}: {}", row.id);
            let is_blocked = was["code"] == "rests-on";
            assert_eq!(row.verdict.code.as_deref() == Some("blocked"), is_blocked, "{name}: {}", row.id);
        }
        assert_eq!(results.summary.contradicts, 0);
        assert!(results.summary.verdicts.accepted > 0 && results.summary.verdicts.validated > 0);
        // Written in the present version, it is valid and says the same.
        assert_eq!(json::parse(name, &json::render(&results)).unwrap(), results);
    }
}

#[test]
fn an_edited_file_of_version_1_is_rejected() {
    let text = fixture("deepseek.json").replacen("\"conforms\": 53", "\"conforms\": 54", 1);
    let error = json::parse("x.json", &text).unwrap_err().to_string();
    assert!(error.contains("\"summary\" has 54 for conforms"), "{error}");
}

#[test]
fn paler_words_fail_only_with_require_effect() {
    let folder = Folder::new();
    let run = |more: &[&str]| {
        let options = ["run", "deepseek@2025-12", "--simulate", "--select", "tool_choice.auto", "--out", "out"];
        folder.run([&options[..], more].concat())
    };
    let ended = run(&[]).assert_exit_code(0);
    assert!(ended.stdout.contains("accepted"), "{}", ended.stdout);
    run(&["--strict"]).assert_exit_code(0);
    run(&["--require-effect"]).assert_exit_code(1);
    let proven = ["run", "deepseek@2025-12", "--simulate", "--select", "field.stop_sequences", "--out", "out"];
    folder.run([&proven[..], &["--require-effect"]].concat()).assert_exit_code(0);
}

#[tokio::test]
async fn every_verdict_has_its_reason_as_data() {
    let results = test_target(bundled_target("deepseek@2025-12"), &[]).await;
    for row in &results.rows {
        let because = row.verdict.because.as_ref().unwrap_or_else(|| panic!("{} has no reason as data", row.id));
        assert!(!matches!(because, ReasonData::Other { .. }), "{}: {because}", row.id);
        // An undecided verdict also says what to do.
        assert!(row.verdict.reason.starts_with(because.to_string().trim_end_matches('.')), "{}: {because}", row.id);
    }
}

#[test]
fn a_lost_stop_reason_is_a_row_and_a_finding() {
    let folder = Folder::new();
    folder.write("lost.yaml", "faults: [message.stop-reason-lost]\n");
    let rows = [
        "field.max_tokens",
        "field.stop_sequences",
        "answer.stop_reason.max_tokens",
        "answer.stop_reason.stop_sequence",
    ];
    let mut options = vec!["run", "anthropic", "--simulate", "--simulator", "lost.yaml", "--out", "out"];
    options.extend(rows.iter().flat_map(|row| ["--select", row]));
    folder.run(options).assert_exit_code(1);
    let results = json::parse("x.json", &folder.read("out/results-anthropic.json")).unwrap();
    let statuses = rows.map(|row| results.find_row(row).unwrap().verdict.status);
    use VerdictStatus::{Ignored, Supported};
    assert_eq!(statuses, [Supported, Supported, Ignored, Ignored]);
    assert!(results.find_row(rows[0]).unwrap().verdict.qualifiers.is_empty());
    assert!(results.find_finding("message.stop-reason-lost").is_some());
}
