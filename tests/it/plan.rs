//! Tests `fieldtest plan`: its bounds hold for any responses, and it needs no network and no
//! credential.
//!
//! One test compares `cases/estimates.json` with new measurements. `scripts/estimates` writes the
//! file.

use std::collections::BTreeMap;

use binary::Folder;
use common::{
    CATALOG, SimulationSetup, TARGETS, bundled_target, judge_recording, record_simulation, schema_validator,
    testable_rows,
};
use fieldtest::catalog::{CatalogRow, ClaimStatus};
use fieldtest::engine::plan::estimate::{RowEstimates, TokenUse};
use fieldtest::engine::{PlanInput, RateAssumptions, plan_run};
use fieldtest::recording::request_settings::RequestSettings;
use fieldtest::recording::run::Recording;
use fieldtest::simulator::{SimulatorConfig, SimulatorImpairments};
use serde_json::Value;

use crate::common;
use crate::common::binary;

const SELECT: [&str; 4] = ["--select", "field.{system,stop_sequences,metadata,top_k}", "--select", "tools.*"];

fn plan_as_json(folder: &Folder, arguments: &[&str]) -> Value {
    let arguments = [&["plan", "--format", "json"], arguments].concat();
    serde_json::from_str(&folder.run(arguments).assert_exit_code(0).stdout).unwrap()
}

/// The token use of a recording before the first row, and per row. A shared request counts for the
/// row that sent it.
fn used_by_row(recording: &Recording) -> (TokenUse, BTreeMap<String, TokenUse>) {
    let (mut probes, mut rows) = (TokenUse::default(), BTreeMap::<String, TokenUse>::new());
    for exchange in &recording.exchanges {
        let row = exchange.id.split('/').next().unwrap();
        let used = match recording.header.rows.iter().any(|known| known == row) {
            true => rows.entry(row.to_owned()).or_default(),
            false => &mut probes,
        };
        *used = used.merge(TokenUse::from_exchange(exchange));
    }
    (probes, rows)
}

/// Asserts that a recording stays within the plan of its rows. Returns the number of requests, and
/// the number that the plan expects.
fn assert_within_plan(recording: &Recording, rows: &[&CatalogRow], what: &str) -> (u64, u64) {
    let plan = plan_run(rows, plan_input(&recording.header.settings));
    let (probes, mut by_row) = used_by_row(recording);
    let all = by_row.values().copied().sum::<TokenUse>().merge(probes);
    let (requests, footer) = (plan.total.requests, recording.footer.as_ref().unwrap());
    assert!(all.requests <= requests.max, "{what}: {} of at most {}", all.requests, requests.max);
    assert!(
        all.requests >= requests.min || footer.ended != fieldtest::recording::run::RunEnd::Complete,
        "{what}: {} of at least {}",
        all.requests,
        requests.min
    );
    assert!(all.input <= plan.total.input_tokens.max, "{what}: {} tokens in", all.input);
    assert!(all.output <= plan.total.output_tokens.max, "{what}: {} tokens out", all.output);
    for row in &plan.rows {
        let used = by_row.remove(&row.id).unwrap_or_default();
        assert!(used.requests <= row.requests.max, "{what}: {} of {}: {}", used.requests, row.requests.max, row.id);
        assert!(used.input <= row.input_tokens.max, "{what}: {} tokens in: {}", used.input, row.id);
        assert!(used.output <= row.output_tokens.max, "{what}: {} tokens out: {}", used.output, row.id);
    }
    assert!(by_row.is_empty(), "{what}: {by_row:?}");
    (all.requests, requests.expected.unwrap())
}

fn plan_input(settings: &RequestSettings) -> PlanInput<'_> {
    PlanInput { settings, prices: None, rate_assumptions: RateAssumptions::default(), thinking_tokens: 0 }
}

/// Measures the rows on the simulated reference target. Other targets measure the rows that the
/// reference target cannot run.
#[tokio::test(flavor = "multi_thread")]
async fn the_estimates_match_a_new_measurement() {
    let mut estimates = RowEstimates::default();
    for name in TARGETS {
        let target = bundled_target(name);
        let missing: Vec<String> = testable_rows(target)
            .iter()
            .map(|row| row.experiment.id().to_owned())
            .filter(|row| !estimates.rows.contains_key(row))
            .collect();
        if missing.is_empty() {
            continue;
        }
        let setup = SimulationSetup { concurrency: 1, rows: missing, ..SimulationSetup::new(target, &[]) };
        let measured = RowEstimates::from_recording(&record_simulation(setup).await);
        if estimates.rows.is_empty() {
            estimates.probes = measured.probes;
        }
        estimates.rows.extend(measured.rows);
    }
    let lines: Vec<String> = estimates
        .rows
        .iter()
        .map(|(row, arms)| format!("    {row:?}: {}", serde_json::to_string(arms).unwrap()))
        .collect();
    let probes = serde_json::to_string(&estimates.probes).unwrap();
    let text = format!("{{\n  \"probes\": {probes},\n  \"rows\": {{\n{}\n  }}\n}}\n", lines.join(",\n"));
    let path = common::repository_path("cases/estimates.json");
    if common::is_update_requested() {
        std::fs::write(&path, &text).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap();
    assert!(published == text, "cases/estimates.json is out of date. Run scripts/estimates");
    assert_eq!(&serde_json::from_str::<RowEstimates>(&published).unwrap(), &estimates);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_stay_within_their_plan_and_near_its_estimate() {
    for (name, disobedience) in TARGETS.into_iter().zip([0.0, 0.1, 0.2]).chain([("anthropic", 0.2)]) {
        let target = bundled_target(name);
        for seed in 1..=3 {
            let mut setup = SimulationSetup::new(target, &[]);
            (setup.seed, setup.behaviour.seed, setup.behaviour.impairments.disobedience) = (seed, seed, disobedience);
            let recording = record_simulation(setup).await;
            let what = format!("{name}, disobedience {disobedience}, seed {seed}");
            let (sent, expected) = assert_within_plan(&recording, &testable_rows(target), &what);
            // The estimates hold for a model that obeys and an endpoint that supports every row.
            let is_reference = name == "anthropic" && disobedience == 0.0;
            let is_near = (sent as f64 / expected as f64 - 1.0).abs() <= 0.1;
            assert!(is_near || !is_reference, "{what}: {sent}, expected {expected}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_stay_within_their_plan_whatever_the_server_does() {
    let target = bundled_target("deepseek@2025-12");
    let rows = testable_rows(target);
    let impaired = |impairments: SimulatorImpairments| SimulatorConfig {
        impairments,
        seed: 3,
        ..SimulatorConfig::from_target(target)
    };
    let every_row = |status: ClaimStatus| {
        let mut behaviour = SimulatorConfig::from_target(target);
        for row in rows.iter().filter(|row| !row.experiment.id().starts_with("header.")) {
            // The simulator cannot flip a row that is not a field.
            let _ = behaviour.set_status(row.experiment.id(), status);
        }
        behaviour
    };
    let servers = [
        (
            "429, 529 and broken connections",
            impaired(SimulatorImpairments {
                rate_429: 0.1,
                rate_529: 0.1,
                rate_reset: 0.1,
                ..SimulatorImpairments::default()
            }),
        ),
        ("every request gets 529", impaired(SimulatorImpairments { rate_529: 1.0, ..SimulatorImpairments::default() })),
        (
            "half the connections break",
            impaired(SimulatorImpairments { rate_reset: 0.5, ..SimulatorImpairments::default() }),
        ),
        (
            "a model that never obeys",
            impaired(SimulatorImpairments { disobedience: 1.0, ..SimulatorImpairments::default() }),
        ),
        (
            "a model that obeys half the time",
            impaired(SimulatorImpairments { disobedience: 0.5, ..SimulatorImpairments::default() }),
        ),
        ("every row is ignored", every_row(ClaimStatus::Ignored)),
        ("every row is unsupported", every_row(ClaimStatus::Unsupported)),
    ];
    for (what, behaviour) in servers {
        let recording = record_simulation(SimulationSetup { behaviour, ..SimulationSetup::new(target, &[]) }).await;
        assert_within_plan(&recording, &rows, what);
        judge_recording(&recording);
    }
}

#[test]
fn a_plan_needs_no_credential_and_reports_a_missing_one() {
    let folder = Folder::new();
    let plan = plan_as_json(&folder, &[&["deepseek@2025-12"], &SELECT[..]].concat());
    let target = &plan["targets"][0];
    assert!(target["missing_credential"].as_str().unwrap().contains("DEEPSEEK_API_KEY"), "{target}");
    let arguments = [&["plan", "deepseek@2025-12"], &SELECT[..]].concat();
    let plain = folder.run(&arguments).assert_exit_code(0).stdout;
    assert!(plain.contains("credential   missing") && plain.contains("DEEPSEEK_API_KEY"), "{plain}");
    // The plan does not print an existing credential.
    let with_credential =
        folder.run_with_env(&[("DEEPSEEK_API_KEY", "sk-canary-0123456789abcdef")], &arguments).assert_exit_code(0);
    assert!(!with_credential.stdout.contains("credential   missing"), "{}", with_credential.stdout);
    assert!(!format!("{}{}", with_credential.stdout, with_credential.stderr).contains("canary"));
    assert!(folder.all_files().is_empty(), "a plan writes no files");
    for simulated in [&["plan"][..], &["plan", "deepseek@2025-12", "--simulate"]] {
        let output = folder.run([simulated, &SELECT[..]].concat()).assert_exit_code(0).stdout;
        assert!(!output.contains("credential   missing"), "{output}");
    }
}

#[test]
fn a_plan_adds_up_targets_and_checks_prices_and_budgets() {
    let folder = Folder::new();
    let priced = ["--price-input", "1", "--price-output", "10"];
    let plan = plan_as_json(&folder, &[&["deepseek@2025-12", "anthropic"], &SELECT[..], &priced].concat());
    let (first, second, all) = (&plan["targets"][0]["planned"], &plan["targets"][1]["planned"], &plan["planned"]);
    for bound in ["min", "expected", "max"] {
        let requests = |plan: &Value| plan["requests"][bound].as_u64().unwrap();
        assert_eq!(requests(first) + requests(second), requests(all), "{bound}");
    }
    let tokens = |what: &str, bound: &str| first[what][bound].as_f64().unwrap();
    for bound in ["expected", "max"] {
        let cost = (tokens("input_tokens", bound) + 10.0 * tokens("output_tokens", bound)) / 1e6;
        assert!((first["cost_usd"][bound].as_f64().unwrap() - cost).abs() < 1e-9, "{bound}: {first}");
    }
    // The plan reports whether the run fits the budget.
    let expected = all["requests"]["expected"].as_u64().unwrap();
    for (bound, fits) in [(1, "no"), (expected, "expected"), (1_000_000, "always")] {
        let bound = bound.to_string();
        let plan = plan_as_json(
            &folder,
            &[&["deepseek@2025-12", "anthropic", "--max-requests", &bound], &SELECT[..]].concat(),
        );
        assert_eq!(plan["fits"][0]["fits"], fits, "{plan}");
    }
    let arguments = [&["plan", "deepseek@2025-12", "--max-cost", "0.000001"], &SELECT[..], &priced].concat();
    let output = folder.run(arguments).assert_exit_code(0).stdout;
    assert!(output.contains("--max-cost 0.000001: the run does not fit"), "{output}");
    folder
        .run(["plan", "deepseek@2025-12", "--max-cost", "1"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["--max-cost needs prices for deepseek@2025-12", "--price-input"]);
    folder
        .run(["plan", "deepseek@2025-12", "--price-input", "1"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["--price-output"]);
}

#[test]
fn repeats_multiply_the_plan() {
    let folder = Folder::new();
    let plan = plan_as_json(&folder, &[&["deepseek@2025-12", "--repeat", "3"], &SELECT[..]].concat());
    let (one, all) = (&plan["targets"][0]["planned"], &plan["planned"]);
    assert_eq!(plan["runs"], 3);
    for path in ["/requests/min", "/requests/max", "/requests/expected", "/output_tokens/max", "/seconds/max"] {
        let number = |plan: &Value| plan.pointer(path).and_then(Value::as_f64).unwrap();
        assert!((3.0 * number(one) - number(all)).abs() < 1e-6, "{path}: {plan}");
    }
    let output =
        folder.run([&["plan", "deepseek@2025-12", "--repeat", "3"], &SELECT[..]].concat()).assert_exit_code(0).stdout;
    assert!(output.contains("all 3 runs, one after the other"), "{output}");
}

#[test]
fn the_planned_time_follows_from_rate_limits_or_response_times() {
    let folder = Folder::new();
    let plan = |more: &[&str]| {
        plan_as_json(&folder, &[&["deepseek@2025-12"], &SELECT[..], more].concat())["targets"][0].clone()
    };
    let seconds = |plan: &Value| plan["planned"]["seconds"]["expected"].as_f64().unwrap();
    let requests = |plan: &Value| plan["planned"]["requests"]["expected"].as_f64().unwrap();
    let limited = plan(&["--rpm", "60"]);
    assert!((seconds(&limited) - requests(&limited)).abs() < 1e-6, "1 request per second");
    let one_by_one = plan(&["--concurrency", "1", "--answer-seconds", "3"]);
    assert!((seconds(&one_by_one) - 3.0 * requests(&one_by_one)).abs() < 1e-6);
    assert!(seconds(&plan(&["--tpm", "100"])) > seconds(&plan(&["--tpm", "100000"])));
    // The longest chain of requests limits the gain of more concurrency.
    let concurrent = plan(&["--concurrency", "256", "--answer-seconds", "3"]);
    assert!(seconds(&concurrent) > 3.0 * requests(&concurrent) / 256.0 * 2.0);
    let eager = plan(&["--concurrency", "256", "--answer-seconds", "3", "--eager"]);
    assert!(seconds(&eager) < seconds(&concurrent));
}

#[test]
fn plans_match_their_published_schema() {
    let folder = Folder::new();
    let validator = schema_validator("plan");
    for more in [&["deepseek@2025-12"][..], &["--base-url", "http://127.0.0.1:9", "--model", "m", "--max-tokens", "5"]]
    {
        let plan = plan_as_json(&folder, &[more, &SELECT[..]].concat());
        let errors: Vec<String> = validator.iter_errors(&plan).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    let settings = RequestSettings::from_target(bundled_target("anthropic"), 1024);
    let rows: Vec<&CatalogRow> = CATALOG.rows.iter().collect();
    let complete = plan_run(&rows, plan_input(&settings));
    assert_eq!(complete.rows.len(), rows.len());
}

#[test]
fn thinking_tokens_increase_the_expected_output() {
    let folder = Folder::new();
    let plan = |more: &[&str]| plan_as_json(&folder, &[&["anthropic"], &SELECT[..], more].concat())["planned"].clone();
    let (plain, thinking) = (plan(&[]), plan(&["--thinking-tokens", "100"]));
    let output = |plan: &Value| plan["output_tokens"]["expected"].as_u64().unwrap();
    let requests = |plan: &Value| plan["requests"]["expected"].as_u64().unwrap();
    assert!(output(&thinking) >= output(&plain) + 50 * requests(&plain), "{plain} {thinking}");
    assert!(output(&thinking) <= thinking["output_tokens"]["max"].as_u64().unwrap());
    assert_eq!(plain["requests"], thinking["requests"]);
}

/// The bundled estimates do not cover a row of another case file.
#[test]
fn a_row_without_an_estimate_is_expected_to_need_its_minimum() {
    let folder = Folder::new();
    let experiment = "section: S\nrows:\n  - row: field.fresh\n    title: Fresh\n    treatment: { body: { fresh: 7 } }\n    ask: hi\n    challenge: [{ body: { fresh: -1 } }]\n";
    folder.write("cases/experiments/mine.yaml", experiment);
    let arguments = ["anthropic", "--cases", "cases", "--select", "field.fresh"];
    let plan = folder.run([&["plan"][..], &arguments].concat()).assert_exit_code(0).stdout;
    assert!(plan.contains("none for 1 row: their minimum is expected"), "{plan}");
    let plan = plan_as_json(&folder, &arguments);
    assert_eq!(plan["targets"][0]["rows_without_estimate"], 1);
    let requests = &plan["targets"][0]["rows"][0]["requests"];
    assert_eq!(requests["expected"], requests["min"]);
}

#[test]
fn results_report_planned_and_actual_numbers() {
    let folder = Folder::new();
    let formats = ["--format", "terminal,markdown,html,json"];
    let run = [&["run", "deepseek@2025-12", "--simulate", "--out", "out"], &SELECT[..], &formats].concat();
    let ended = folder.run(run).assert_exit_code(0);
    let totals = &folder.results("out")["totals"];
    let (sent, planned) = (totals["requests"].as_u64().unwrap(), &totals["planned"]["requests"]);
    assert!((planned["min"].as_u64().unwrap()..=planned["max"].as_u64().unwrap()).contains(&sent), "{totals}");
    assert!(ended.stdout.contains("/ actual"), "{}", ended.stdout);
    assert!(folder.read("out/matrix.md").contains("| planned / actual |"));
    // HTML escapes the slash.
    assert!(folder.read("out/matrix.html").contains("planned &#x2f; actual"));
    // The recording contains the plan, so `judge` reports it too.
    folder.run(["judge", "out/recording-deepseek-2025-12.jsonl", "-o", "again"]).assert_exit_code(0);
    assert_eq!(folder.results("again")["totals"]["planned"], totals["planned"]);
}
