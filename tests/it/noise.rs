//! Tests in seconds what `benches/noise.rs` measures in minutes: noise leaves rows undecided, but
//! does not cause wrong verdicts.
//!
//! The tests also prove that the measurement detects wrong verdicts.

use std::collections::BTreeSet;

use common::{CATALOG, TARGETS, bundled_target, is_long, testable_rows};
use fieldtest::catalog::{ClaimStatus, VerdictStatus};
use noise::condition::NoiseCondition;
use noise::designs::{self, DecisionDesign};
use noise::server::{FLIPS, MeasuredServer, ServerKind};
use noise::tally::{ObservedRun, VerdictTally};
use noise::{interval, measure, observe, servers};

use crate::common;
use crate::common::noise;

/// Runs of each target under each condition. Half of them test servers with flipped rows.
const RUNS: u64 = 4;
/// The same without `FIELDTEST_LONG=1`.
const REDUCED_RUNS: u64 = 2;
/// The seed of the first run.
const FIRST_SEED: u64 = 1;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

#[test]
fn verdicts_stay_correct_under_noise() {
    let runs = if is_long("2 of 4 runs per target and condition") { RUNS } else { REDUCED_RUNS };
    let servers = servers(FIRST_SEED, runs);
    let conditions = [NoiseCondition::Calm, NoiseCondition::Ten, NoiseCondition::Twenty, NoiseCondition::Canary];
    let tallies = block_on(measure(&servers, &conditions, |_| {}));
    let mut problems = Vec::new();
    for ((condition, kind), tally) in &tallies {
        let allowed = match condition {
            NoiseCondition::Calm => 0.0,
            noisy => (1.0 - noisy.confidence()) * tally.statistical as f64,
        };
        if tally.wrong.len() as f64 > allowed {
            problems.push(format!("{condition:?}, {kind:?}: {} wrong: {:?}", tally.wrong.len(), tally.wrong));
        }
        let undecided = tally.undetermined_by_noise as f64 / tally.rows as f64;
        if *condition == NoiseCondition::Ten && undecided >= 0.02 {
            problems.push(format!("{condition:?}, {kind:?}: {undecided} undecided: {:?}", tally.left_open));
        }
        // Without enough verdicts, the test could not find a wrong one.
        assert!(tally.verdicts * 10 >= tally.rows * 8, "{condition:?}, {kind:?}: {tally:?}");
    }
    assert_eq!(tallies.len(), 2 * conditions.len());
    let canary: Vec<&VerdictTally> =
        tallies.iter().filter(|((c, _), _)| *c == NoiseCondition::Canary).map(|(_, t)| t).collect();
    let wrong: usize = canary.iter().map(|tally| tally.wrong.len()).sum();
    assert!(wrong > 0, "no verdict of the canary is wrong: the measurement does not detect wrong verdicts");
    let expected_wrong: f64 = canary.iter().map(|tally| tally.expected_wrong).sum();
    // The standard deviation of a sum of rare events is about the square root of its expectation.
    let at_most = expected_wrong + 3.0 * expected_wrong.sqrt();
    assert!(wrong as f64 <= at_most, "{wrong} wrong, {expected_wrong} expected");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_wrong_verdict_is_counted() {
    let honest = MeasuredServer::new(bundled_target("deepseek@2025-12"), ServerKind::AsClaimed, 1);
    let seen = block_on(observe(honest.clone(), NoiseCondition::Calm, 0));
    // The same responses, compared with another truth.
    let mut mislabelled = honest.clone();
    mislabelled.override_status("field.top_k", ClaimStatus::Supported);
    let mut tally = VerdictTally::default();
    tally.add(&honest, &seen, &seen);
    assert_eq!((tally.wrong.len(), tally.runs_with_wrong), (0, 0));
    tally.add(&mislabelled, &seen, &seen);
    let wrong: Vec<_> = tally.wrong.iter().map(|w| (w.row.as_str(), w.truth, w.verdict)).collect();
    assert_eq!(wrong, [("field.top_k", VerdictStatus::Supported, VerdictStatus::Ignored)]);
    assert_eq!((tally.runs_with_wrong, tally.runs), (1, 2));
    let worst = tally.worst().unwrap();
    assert_eq!((worst.row.as_str(), worst.wrong, worst.tests), ("field.top_k", 1, 2));
    assert_eq!(tally.above(0.99).len(), 1);
    assert!(tally.proved_above(0.99).is_empty(), "one wrong verdict is not enough evidence against a row");
    for _ in 0..9 {
        tally.add(&mislabelled, &seen, &seen);
    }
    assert_eq!(tally.proved_above(0.99)[0].row, "field.top_k, supported");
}

#[test]
fn rows_that_noise_left_undecided_are_counted_apart_from_rows_that_are_never_decided() {
    let server = MeasuredServer::new(bundled_target("deepseek@2025-12"), ServerKind::AsClaimed, 1);
    let calm = block_on(observe(server.clone(), NoiseCondition::Calm, 0));
    let mut noisy = calm.clone();
    for row in &mut noisy.rows[..2] {
        row.status = VerdictStatus::Inconclusive;
    }
    let undecided_without_noise =
        ObservedRun { rows: noisy.rows[..1].iter().chain(&calm.rows[1..]).cloned().collect(), ..calm };
    let mut tally = VerdictTally::default();
    tally.add(&server, &noisy, &undecided_without_noise);
    assert_eq!((tally.undetermined, tally.undetermined_by_noise), (2, 1));
    assert_eq!(tally.verdicts + tally.undetermined, tally.rows);
}

#[test]
fn a_row_that_depends_on_a_rejected_row_is_rightly_rejected() {
    let mut server = MeasuredServer::new(bundled_target("anthropic"), ServerKind::AsClaimed, 1);
    server.override_status("tool_choice.object_form", ClaimStatus::Unsupported);
    assert!(server.is_correct("tool_choice.any", VerdictStatus::Rejected), "directly");
    assert!(
        server.is_correct("tool_choice.any.disable_parallel_tool_use", VerdictStatus::Rejected),
        "through another row"
    );
    assert!(!server.is_correct("tool_choice.any", VerdictStatus::Ignored));
    assert!(!server.is_correct("field.system", VerdictStatus::Rejected));
}

#[test]
fn flipped_servers_cover_every_row_in_every_status() {
    let mut covered = BTreeSet::new();
    let mut possible = BTreeSet::new();
    for name in TARGETS {
        for row in testable_rows(bundled_target(name)).into_iter().filter(|row| row.experiment.is_field_row()) {
            // A server supports a field. The word for what was observed depends on the row.
            let word = |status: &VerdictStatus| if status.is_positive() { VerdictStatus::Supported } else { *status };
            possible.extend(row.experiment.statuses.iter().map(|status| (row.experiment.id(), word(status))));
        }
    }
    for server in servers(1000, 200).into_iter().filter(|server| server.kind == ServerKind::Flipped) {
        assert_eq!(server.flips.len(), FLIPS);
        for row in testable_rows(server.target).into_iter().filter(|row| row.experiment.is_field_row()) {
            covered.insert((row.experiment.id(), server.true_status(row.experiment.id())));
        }
    }
    let missing: Vec<_> = possible.difference(&covered).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_same_seed_gives_the_same_server() {
    let flips = |seed| MeasuredServer::new(bundled_target("deepseek@2025-12"), ServerKind::Flipped, seed).flips;
    assert_eq!(flips(3), flips(3));
    assert_ne!(flips(3), flips(4));
    for (row, status) in flips(3) {
        let claimed =
            bundled_target("deepseek@2025-12").claims.get(row).map_or(ClaimStatus::Supported, |claim| claim.status);
        assert_ne!(claimed, status, "{row} is not flipped");
        assert!(CATALOG.experiment(row).is_some());
    }
}

#[test]
fn a_run_with_one_row_at_a_time_is_deterministic() {
    let run = || {
        let server = MeasuredServer::new(bundled_target("tencent-lkeap@2025-12"), ServerKind::Flipped, 5);
        let seen = block_on(observe(server, NoiseCondition::Faults, 0));
        (seen.attempts, seen.input_tokens, seen.rows.into_iter().map(|row| row.reason).collect::<Vec<_>>())
    };
    assert_eq!(run(), run());
}

#[test]
fn exact_bounds_match_the_textbooks() {
    let near = |a: f64, b: f64| assert!((a - b).abs() < 5e-5, "{a} is not {b}");
    // Without a hit, the bound is 1 - alpha^(1/n).
    near(interval::upper(0, 100, 0.05), 1.0 - 0.05_f64.powf(0.01));
    near(interval::lower(0, 100, 0.05), 0.0);
    near(interval::upper(100, 100, 0.05), 1.0);
    // Clopper-Pearson interval at 95 %, two-sided, for 10 of 100.
    near(interval::lower(10, 100, 0.025), 0.049_00);
    near(interval::upper(10, 100, 0.025), 0.176_22);
    // With this number of trials, the first terms underflow to 0.
    near(interval::upper(3000, 30_000, 0.05), 0.102_90);
}

#[test]
fn designs_differ_as_the_documentation_says() {
    let outcomes = designs::compare(4000, 1);
    let outcome_of = |design, disobedience: f64| {
        outcomes
            .iter()
            .find(|outcome| outcome.design == design && outcome.disobedience == disobedience)
            .unwrap()
            .clone()
    };
    for level in designs::LEVELS {
        let bayes = outcome_of(DecisionDesign::BayesFactor, level);
        let rate = interval::lower(bayes.wrong_supported, bayes.plays, 0.05);
        assert!(rate <= 0.01, "{bayes:?}");
        assert_eq!(bayes.wrong_ignored, 0, "a code word cannot be guessed");
    }
    // Wald's test assumes an obedience that the model does not have, and is often wrong.
    for (design, level) in [(DecisionDesign::Sprt, 0.2), (DecisionDesign::CautiousSprt, 0.8)] {
        let sprt = outcome_of(design, level);
        assert!(sprt.wrong_supported * 100 > 2 * sprt.plays, "{sprt:?}");
    }
    // Where the assumption is true, Wald's test needs fewer requests.
    assert!(
        outcome_of(DecisionDesign::CautiousSprt, 0.4).requests < outcome_of(DecisionDesign::BayesFactor, 0.4).requests
    );
    // A fixed sample that is large enough needs more requests in every case.
    assert!(
        outcome_of(DecisionDesign::FixedTwelve, 0.0).requests
            > 3 * outcome_of(DecisionDesign::BayesFactor, 0.0).requests
    );
}
