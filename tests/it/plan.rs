//! `fieldtest plan`: its bounds hold for whatever answers, what it expects is what simulations take, and it needs neither
//! network nor credential.

use std::collections::BTreeMap;

use binary::Folder;
use common::{CATALOG, Setup, TARGETS, judged, record_run, rows_of, target};
use fieldtest::catalog::{CatalogRow, ClaimStatus};
use fieldtest::engine::plan::estimate::{RunEstimate, TokenUse};
use fieldtest::engine::{PlanInput, RateAssumptions, plan_run};
use fieldtest::recording::request_settings::RequestSettings;
use fieldtest::recording::run::Recording;
use fieldtest::results::plan::schema;
use fieldtest::simulator::{SimulatorConfig, SimulatorImpairments};
use serde_json::Value;

use crate::common;
use crate::common::binary;

const SELECT: [&str; 4] = ["--select", "field.{system,stop_sequences,metadata,top_k}", "--select", "tools.*"];

fn told(folder: &Folder, arguments: &[&str]) -> Value {
    let arguments = [&["plan", "--format", "json"], arguments].concat();
    serde_json::from_str(&folder.run(arguments).exits(0).stdout).unwrap()
}

/// Holds a recording against the plan of its rows.
fn within(recording: &Recording, rows: &[&CatalogRow], what: &str) -> RunEstimate {
    let settings = &recording.header.settings;
    let plan = plan_run(
        rows,
        PlanInput { settings, prices: None, rate_assumptions: RateAssumptions::default(), estimate: None },
    );
    let took = RunEstimate::from_recording(recording, 0);
    let all = took.rows.values().fold(took.first, |sum, row| sum.merge(*row));
    let (requests, whole) = (plan.total.requests, recording.footer.as_ref().unwrap());
    assert!(all.requests <= requests.max, "{what}: {} of at most {}", all.requests, requests.max);
    assert!(
        all.requests >= requests.min || whole.ended != fieldtest::recording::run::RunEnd::Complete,
        "{what}: {} of at least {}",
        all.requests,
        requests.min
    );
    assert!(all.input <= plan.total.input_tokens.max, "{what}: {} tokens in", all.input);
    assert!(all.output <= plan.total.output_tokens.max, "{what}: {} tokens out", all.output);
    let mut left: BTreeMap<&str, TokenUse> = took.rows.iter().map(|(row, used)| (row.as_str(), *used)).collect();
    for row in &plan.rows {
        let used = left.remove(row.id.as_str()).unwrap_or_default();
        assert!(used.requests <= row.requests.max, "{what}: {} of {}: {}", used.requests, row.requests.max, row.id);
        assert!(used.input <= row.input_tokens.max, "{what}: {} tokens in: {}", used.input, row.id);
        assert!(used.output <= row.output_tokens.max, "{what}: {} tokens out: {}", used.output, row.id);
    }
    assert!(left.is_empty(), "{what}: {left:?}");
    took
}

fn all_of(expected: &RunEstimate) -> u64 {
    expected.rows.values().fold(expected.first, |sum, row| sum.merge(*row)).requests
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_stay_within_their_plan_and_near_what_is_expected() {
    for (name, disobedience) in TARGETS.into_iter().zip([0.0, 0.1, 0.2]).chain([("anthropic", 0.2)]) {
        let (target, mut took) = (target(name), Vec::new());
        for seed in 1..=5 {
            let mut setup = Setup::of(target, &[]);
            (setup.seed, setup.behaviour.seed, setup.behaviour.impairments.disobedience) = (seed, seed, disobedience);
            let recording = record_run(setup).await;
            let what = format!("{name}, disobedience {disobedience}, seed {seed}");
            took.push(all_of(&within(&recording, &rows_of(target), &what)) as f64);
        }
        // A plan expects the one in the middle. A model that obeys now and then only may look like two endpoints, and is
        // then asked much more: most runs must be near, and all where the model obeys.
        took.sort_by(f64::total_cmp);
        let (near, least) = if disobedience == 0.0 { (0.1, 5) } else { (0.2, 3) };
        let close = took.iter().filter(|n| (*n / took[2] - 1.0).abs() <= near).count();
        assert!(close >= least, "{name}, disobedience {disobedience}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_stay_within_their_plan_whatever_answers() {
    let target = target("deepseek");
    let rows = rows_of(target);
    let bad = |knobs: SimulatorImpairments| SimulatorConfig {
        impairments: knobs,
        seed: 3,
        ..SimulatorConfig::from_target(target)
    };
    let everything = |status: ClaimStatus| {
        let mut behaviour = SimulatorConfig::from_target(target);
        for row in rows.iter().filter(|row| !row.experiment.id().starts_with("header.")) {
            // What the simulator does not know as a field cannot be turned.
            let _ = behaviour.set_status(row.experiment.id(), status);
        }
        behaviour
    };
    let servers = [
        (
            "429, 529 and broken connections",
            bad(SimulatorImpairments {
                rate_429: 0.1,
                rate_529: 0.1,
                rate_reset: 0.1,
                ..SimulatorImpairments::default()
            }),
        ),
        ("nothing but refusals", bad(SimulatorImpairments { rate_529: 1.0, ..SimulatorImpairments::default() })),
        (
            "half the connections break",
            bad(SimulatorImpairments { rate_reset: 0.5, ..SimulatorImpairments::default() }),
        ),
        (
            "a model that never obeys",
            bad(SimulatorImpairments { disobedience: 1.0, ..SimulatorImpairments::default() }),
        ),
        (
            "a model that obeys half the time",
            bad(SimulatorImpairments { disobedience: 0.5, ..SimulatorImpairments::default() }),
        ),
        ("everything is passed over", everything(ClaimStatus::Ignored)),
        ("everything is refused", everything(ClaimStatus::Unsupported)),
    ];
    for (what, behaviour) in servers {
        let recording = record_run(Setup { behaviour, ..Setup::of(target, &[]) }).await;
        within(&recording, &rows, what);
        judged(&recording);
    }
}

#[test]
fn a_plan_needs_no_credential_and_says_what_a_run_would_lack() {
    let folder = Folder::new();
    let plan = told(&folder, &[&["deepseek"], &SELECT[..]].concat());
    let target = &plan["targets"][0];
    assert!(target["missing_credential"].as_str().unwrap().contains("DEEPSEEK_API_KEY"), "{target}");
    let arguments = [&["plan", "deepseek"], &SELECT[..]].concat();
    let plain = folder.run(&arguments).exits(0).stdout;
    assert!(plain.contains("credential   missing") && plain.contains("DEEPSEEK_API_KEY"), "{plain}");
    // Where it is there, nobody sees it.
    let with = folder.run_with(&[("DEEPSEEK_API_KEY", "sk-canary-0123456789abcdef")], &arguments).exits(0);
    assert!(!with.stdout.contains("credential   missing"), "{}", with.stdout);
    assert!(!format!("{}{}", with.stdout, with.stderr).contains("canary"));
    assert!(folder.everything().is_empty(), "a plan leaves nothing behind");
    for simulated in [&["plan"][..], &["plan", "deepseek", "--simulate"]] {
        let told = folder.run([simulated, &SELECT[..]].concat()).exits(0).stdout;
        assert!(!told.contains("credential   missing"), "{told}");
    }
}

#[test]
fn prices_bounds_rates_and_several_targets() {
    let folder = Folder::new();
    let priced = ["--price-input", "1", "--price-output", "10"];
    let plan = told(&folder, &[&["deepseek", "anthropic"], &SELECT[..], &priced].concat());
    let (one, other, all) = (&plan["targets"][0]["planned"], &plan["targets"][1]["planned"], &plan["planned"]);
    for bound in ["min", "expected", "max"] {
        let of = |plan: &Value| plan["requests"][bound].as_u64().unwrap();
        assert_eq!(of(one) + of(other), of(all), "{bound}");
    }
    let tokens = |what: &str, bound: &str| one[what][bound].as_f64().unwrap();
    for bound in ["expected", "max"] {
        let cost = (tokens("input_tokens", bound) + 10.0 * tokens("output_tokens", bound)) / 1e6;
        assert!((one["cost_usd"][bound].as_f64().unwrap() - cost).abs() < 1e-9, "{bound}: {one}");
    }
    // Whether a run fits.
    let expected = all["requests"]["expected"].as_u64().unwrap();
    for (bound, fits) in [(1, "no"), (expected, "expected"), (1_000_000, "always")] {
        let bound = bound.to_string();
        let plan = told(&folder, &[&["deepseek", "anthropic", "--max-requests", &bound], &SELECT[..]].concat());
        assert_eq!(plan["fits"][0]["fits"], fits, "{plan}");
    }
    let arguments = [&["plan", "deepseek", "--max-cost", "0.000001"], &SELECT[..], &priced].concat();
    let told = folder.run(arguments).exits(0).stdout;
    assert!(told.contains("--max-cost 0.000001: the run does not fit"), "{told}");
    folder
        .run(["plan", "deepseek", "--max-cost", "1"])
        .exits(2)
        .says(&["those of deepseek are not known", "--price-input"]);
    folder.run(["plan", "deepseek", "--price-input", "1"]).exits(2).says(&["--price-output"]);
}

#[test]
fn several_runs_cost_several_times_as_much() {
    let folder = Folder::new();
    let plan = told(&folder, &[&["deepseek", "--repeat", "3"], &SELECT[..]].concat());
    let (one, all) = (&plan["targets"][0]["planned"], &plan["planned"]);
    assert_eq!(plan["runs"], 3);
    for path in ["/requests/min", "/requests/max", "/requests/expected", "/output_tokens/max", "/seconds/max"] {
        let of = |plan: &Value| plan.pointer(path).and_then(Value::as_f64).unwrap();
        assert!((3.0 * of(one) - of(all)).abs() < 1e-6, "{path}: {plan}");
    }
    let said = folder.run([&["plan", "deepseek", "--repeat", "3"], &SELECT[..]].concat()).exits(0).stdout;
    assert!(said.contains("all 3 runs, one after the other"), "{said}");
}

#[test]
fn times_are_those_of_the_rate_limits_or_of_the_answers() {
    let folder = Folder::new();
    let plan = |more: &[&str]| told(&folder, &[&["deepseek"], &SELECT[..], more].concat())["targets"][0].clone();
    let seconds = |plan: &Value| plan["planned"]["seconds"]["expected"].as_f64().unwrap();
    let requests = |plan: &Value| plan["planned"]["requests"]["expected"].as_f64().unwrap();
    let limited = plan(&["--rpm", "60"]);
    assert!((seconds(&limited) - requests(&limited)).abs() < 1e-6, "one a second");
    let one_by_one = plan(&["--concurrency", "1", "--answer-seconds", "3"]);
    assert!((seconds(&one_by_one) - 3.0 * requests(&one_by_one)).abs() < 1e-6);
    assert!(seconds(&plan(&["--tpm", "100"])) > seconds(&plan(&["--tpm", "100000"])));
    // The longest chain bounds what more requests at once can win.
    let wide = plan(&["--concurrency", "256", "--answer-seconds", "3"]);
    assert!(seconds(&wide) > 3.0 * requests(&wide) / 256.0 * 2.0);
}

#[test]
fn plans_obey_their_published_schema() {
    let folder = Folder::new();
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for more in [&["deepseek"][..], &["--base-url", "http://127.0.0.1:9", "--model", "m", "--max-tokens", "5"]] {
        let plan = told(&folder, &[more, &SELECT[..]].concat());
        let errors: Vec<String> = validator.iter_errors(&plan).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    let settings = RequestSettings::from_target(target("anthropic"), 1024);
    let rows: Vec<&CatalogRow> = CATALOG.rows.iter().collect();
    let whole = plan_run(
        &rows,
        PlanInput { settings: &settings, prices: None, rate_assumptions: RateAssumptions::default(), estimate: None },
    );
    assert_eq!(whole.rows.len(), rows.len());
}

#[test]
fn thinking_costs_tokens_and_disobedience_requests() {
    let folder = Folder::new();
    let plan = |more: &[&str]| told(&folder, &[&["anthropic"], &SELECT[..], more].concat())["planned"].clone();
    let (plain, thinks, unruly) = (plan(&[]), plan(&["--thinking-tokens", "100"]), plan(&["--disobedience", "0.3"]));
    let output = |plan: &Value| plan["output_tokens"]["expected"].as_u64().unwrap();
    let requests = |plan: &Value| plan["requests"]["expected"].as_u64().unwrap();
    assert!(output(&thinks) >= output(&plain) + 50 * requests(&plain), "{plain} {thinks}");
    assert!(output(&thinks) <= thinks["output_tokens"]["max"].as_u64().unwrap());
    assert!(requests(&unruly) > requests(&plain));
    assert_eq!(plain["requests"]["max"], unruly["requests"]["max"], "a bound holds for every model");
}

#[test]
fn results_say_what_was_planned_beside_what_came_of_it() {
    let folder = Folder::new();
    let formats = ["--format", "terminal,markdown,html,json"];
    let run = [&["run", "deepseek", "--simulate", "--out", "out"], &SELECT[..], &formats].concat();
    let ended = folder.run(run).exits(0);
    let totals = &folder.results("out")["totals"];
    let (sent, planned) = (totals["requests"].as_u64().unwrap(), &totals["planned"]["requests"]);
    assert!((planned["min"].as_u64().unwrap()..=planned["max"].as_u64().unwrap()).contains(&sent), "{totals}");
    assert!(ended.stdout.contains("/ actual"), "{}", ended.stdout);
    assert!(folder.read("out/matrix.md").contains("| planned / actual |"));
    // A slash is escaped there.
    assert!(folder.read("out/matrix.html").contains("planned &#x2f; actual"));
    // The plan stands in the recording: judged again, it is still there.
    folder.run(["judge", "out/recording-deepseek.jsonl", "-o", "again"]).exits(0);
    assert_eq!(folder.results("again")["totals"]["planned"], totals["planned"]);
}
