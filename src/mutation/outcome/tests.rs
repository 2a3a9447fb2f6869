use VerdictStatus::{Ignored, Inconclusive, Rejected, Supported};

use crate::mutation::fixtures::{FakeRun, bundled_catalog};
use crate::mutation::outcome::*;

fn mutant(row: &str, status: VerdictStatus) -> RowMutant {
    RowMutant { row: row.to_owned(), status, fault: None }
}

fn evaluate_outcomes(before: &FakeRun, after: &FakeRun, mutants: &[RowMutant]) -> (Vec<MutantOutcome>, Vec<String>) {
    let tried = BatchResult::evaluate(&bundled_catalog(), &before.observation(), &after.observation(), mutants);
    (tried.results.iter().map(|m| m.outcome).collect(), tried.unexpected_changes.into_iter().map(|s| s.row).collect())
}

const TOP_K: &str = "field.top_k";
const TOP_P: &str = "field.top_p";

fn unmutated_run() -> FakeRun {
    FakeRun::from_statuses(&[(TOP_K, Supported), (TOP_P, Supported), ("field.temperature.range", Supported)])
}

#[test]
fn a_mutant_is_killed_where_its_own_row_is_named_with_the_expected_verdict() {
    let after = unmutated_run().with_status(TOP_K, Ignored).with_activity(TOP_K, TOP_K, ArmKind::Treatment);
    assert_eq!(
        evaluate_outcomes(&unmutated_run(), &after, &[mutant(TOP_K, Ignored)]),
        (vec![MutantOutcome::Killed], vec![])
    );
}

#[test]
fn another_verdict_is_no_kill() {
    for reached in [Supported, Rejected, Inconclusive] {
        let after = unmutated_run().with_status(TOP_K, reached).with_activity(TOP_K, TOP_K, ArmKind::Treatment);
        assert_eq!(evaluate_outcomes(&unmutated_run(), &after, &[mutant(TOP_K, Ignored)]).0, [MutantOutcome::Survived]);
    }
}

#[test]
fn that_another_row_is_named_is_no_kill() {
    let after = unmutated_run().with_status(TOP_P, Ignored).with_activity(TOP_K, TOP_K, ArmKind::Treatment);
    assert_eq!(
        evaluate_outcomes(&unmutated_run(), &after, &[mutant(TOP_K, Ignored)]),
        (vec![MutantOutcome::Survived], vec![TOP_P.to_owned()])
    );
}

#[test]
fn a_row_that_changes_along_without_a_reason_undoes_the_kill() {
    let after = unmutated_run().with_status(TOP_K, Ignored).with_status(TOP_P, Ignored).with_activity(
        TOP_K,
        TOP_K,
        ArmKind::Treatment,
    );
    assert_eq!(
        evaluate_outcomes(&unmutated_run(), &after, &[mutant(TOP_K, Ignored)]),
        (vec![MutantOutcome::Spread], vec![TOP_P.to_owned()])
    );
}

#[test]
fn a_mutant_that_the_server_did_not_meet_in_the_rows_own_requests_is_void() {
    let alone = unmutated_run().with_status(TOP_K, Ignored);
    assert_eq!(evaluate_outcomes(&unmutated_run(), &alone, &[mutant(TOP_K, Ignored)]).0, [MutantOutcome::Void]);
    let elsewhere = unmutated_run().with_status(TOP_K, Ignored).with_activity(TOP_K, TOP_P, ArmKind::Treatment);
    assert_eq!(evaluate_outcomes(&unmutated_run(), &elsewhere, &[mutant(TOP_K, Ignored)]).0, [MutantOutcome::Void]);
}

#[test]
fn a_run_that_was_cut_kills_nothing() {
    let mut after = unmutated_run().with_status(TOP_K, Ignored).with_activity(TOP_K, TOP_K, ArmKind::Treatment);
    after.partial = Some("cut".to_owned());
    assert_eq!(evaluate_outcomes(&unmutated_run(), &after, &[mutant(TOP_K, Ignored)]).0, [MutantOutcome::Survived]);
}

#[test]
fn a_row_may_become_undecided_with_one_that_it_works_through_and_never_decided() {
    let acting = |scene: FakeRun| scene.with_activity("field.temperature", "field.temperature", ArmKind::Narrow);
    let before = unmutated_run().with_status("field.temperature", Supported);
    let ignored = before.clone().with_status("field.temperature", Ignored);
    let mutants = [mutant("field.temperature", Ignored)];
    let after = acting(ignored.clone().with_status("field.temperature.range", Inconclusive));
    assert_eq!(evaluate_outcomes(&before, &after, &mutants), (vec![MutantOutcome::Killed], vec![]));
    let after = acting(ignored.with_status("field.temperature.range", Ignored));
    assert_eq!(evaluate_outcomes(&before, &after, &mutants).0, [MutantOutcome::Spread]);
}

#[test]
fn a_row_may_lose_its_ground_only_where_its_own_negative_arm_was_refused_for_the_mutant() {
    let refused = |arm| {
        let mut after = unmutated_run().with_status(TOP_K, Rejected).with_status(TOP_P, Inconclusive);
        after.set_code(TOP_P, InconclusiveReason::NegativeRejected.as_str());
        after.with_activity(TOP_K, TOP_K, ArmKind::Treatment).with_activity(TOP_K, TOP_P, arm)
    };
    let mutants = [mutant(TOP_K, Rejected)];
    assert_eq!(evaluate_outcomes(&unmutated_run(), &refused(ArmKind::Negative), &mutants).0, [MutantOutcome::Killed]);
    assert_eq!(evaluate_outcomes(&unmutated_run(), &refused(ArmKind::Treatment), &mutants).0, [MutantOutcome::Spread]);
}

#[test]
fn what_is_wrong_together_is_tried_apart() {
    let both = [mutant(TOP_K, Ignored), mutant(TOP_P, Ignored)];
    let acting = |scene: FakeRun| {
        scene.with_activity(TOP_K, TOP_K, ArmKind::Treatment).with_activity(TOP_P, TOP_P, ArmKind::Treatment)
    };
    let weigh = |after: FakeRun| {
        BatchResult::evaluate(&bundled_catalog(), &unmutated_run().observation(), &acting(after).observation(), &both)
    };
    assert!(weigh(unmutated_run().with_status(TOP_K, Ignored).with_status(TOP_P, Ignored)).bisect().is_none());
    let [missed, seen] = weigh(unmutated_run().with_status(TOP_K, Ignored)).bisect().unwrap();
    assert_eq!((missed, seen), (vec![both[1].clone()], vec![both[0].clone()]));
    let stray = unmutated_run()
        .with_status(TOP_K, Ignored)
        .with_status(TOP_P, Ignored)
        .with_status("field.temperature.range", Rejected);
    assert_eq!(weigh(stray).bisect().unwrap().map(|part| part.len()), [1, 1]);
}
