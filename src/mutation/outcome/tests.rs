use VerdictStatus::{Ignored, Inconclusive, Rejected, Supported};

use crate::mutation::fixtures::{FakeRun, bundled_catalog, bundled_dependencies};
use crate::mutation::outcome::*;

fn mutant(row: &str, status: VerdictStatus) -> RowMutant {
    RowMutant { row: row.to_owned(), status, fault: None }
}

fn evaluate_outcomes(before: &FakeRun, after: &FakeRun, mutants: &[RowMutant]) -> (Vec<MutantOutcome>, Vec<String>) {
    let batch = BatchResult::evaluate(
        &bundled_catalog(),
        &bundled_dependencies(),
        &before.observation(),
        &after.observation(),
        mutants,
    );
    let changed = batch.unexpected_changes.into_iter().map(|change| change.row).collect();
    (batch.results.iter().map(|result| result.outcome).collect(), changed)
}

const TOP_K: &str = "field.top_k";
const TOP_P: &str = "field.top_p";

fn unmutated_run() -> FakeRun {
    FakeRun::from_statuses(&[(TOP_K, Supported), (TOP_P, Supported), ("field.temperature.range", Supported)])
}

#[test]
fn a_mutant_is_killed_if_its_row_gets_the_expected_verdict() {
    let after = unmutated_run().with_status(TOP_K, Ignored).with_activity(TOP_K, TOP_K, ArmKind::Treatment);
    assert_eq!(
        evaluate_outcomes(&unmutated_run(), &after, &[mutant(TOP_K, Ignored)]),
        (vec![MutantOutcome::Killed], vec![])
    );
}

#[test]
fn another_verdict_is_not_a_kill() {
    for reached in [Supported, Rejected, Inconclusive] {
        let after = unmutated_run().with_status(TOP_K, reached).with_activity(TOP_K, TOP_K, ArmKind::Treatment);
        assert_eq!(evaluate_outcomes(&unmutated_run(), &after, &[mutant(TOP_K, Ignored)]).0, [MutantOutcome::Survived]);
    }
}

#[test]
fn a_change_of_another_row_is_not_a_kill() {
    let after = unmutated_run().with_status(TOP_P, Ignored).with_activity(TOP_K, TOP_K, ArmKind::Treatment);
    assert_eq!(
        evaluate_outcomes(&unmutated_run(), &after, &[mutant(TOP_K, Ignored)]),
        (vec![MutantOutcome::Survived], vec![TOP_P.to_owned()])
    );
}

#[test]
fn an_unexpected_change_of_another_row_cancels_the_kill() {
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
fn a_mutant_that_no_request_of_its_row_met_is_void() {
    let alone = unmutated_run().with_status(TOP_K, Ignored);
    assert_eq!(evaluate_outcomes(&unmutated_run(), &alone, &[mutant(TOP_K, Ignored)]).0, [MutantOutcome::Void]);
    let elsewhere = unmutated_run().with_status(TOP_K, Ignored).with_activity(TOP_K, TOP_P, ArmKind::Treatment);
    assert_eq!(evaluate_outcomes(&unmutated_run(), &elsewhere, &[mutant(TOP_K, Ignored)]).0, [MutantOutcome::Void]);
}

#[test]
fn a_partial_run_kills_nothing() {
    let mut after = unmutated_run().with_status(TOP_K, Ignored).with_activity(TOP_K, TOP_K, ArmKind::Treatment);
    after.partial = Some("interrupted".to_owned());
    assert_eq!(evaluate_outcomes(&unmutated_run(), &after, &[mutant(TOP_K, Ignored)]).0, [MutantOutcome::Survived]);
}

#[test]
fn a_row_may_become_undecided_with_a_row_that_it_depends_on_but_not_decided() {
    let acting = |run: FakeRun| run.with_activity("field.stream", "field.stream", ArmKind::Treatment);
    let before = unmutated_run().with_status("field.stream", Supported).with_status("stream.twin", Supported);
    let ignored = before.clone().with_status("field.stream", Ignored);
    let mutants = [mutant("field.stream", Ignored)];
    let after = acting(ignored.clone().with_status("stream.twin", Inconclusive));
    assert_eq!(evaluate_outcomes(&before, &after, &mutants), (vec![MutantOutcome::Killed], vec![]));
    let after = acting(ignored.with_status("stream.twin", Ignored));
    assert_eq!(evaluate_outcomes(&before, &after, &mutants).0, [MutantOutcome::Spread]);
}

#[test]
fn a_part_of_an_ignored_field_may_be_ignored_too() {
    let (whole, part) = ("tool_choice.object_form", "tool_choice.any");
    let before = unmutated_run().with_status(whole, Supported).with_status(part, Supported);
    let after = before.clone().with_status(whole, Ignored).with_status(part, Ignored);
    let after = after.with_activity(whole, whole, ArmKind::Treatment);
    assert_eq!(evaluate_outcomes(&before, &after, &[mutant(whole, Ignored)]), (vec![MutantOutcome::Killed], vec![]));
    let after = before.with_status(whole, Ignored).with_status(part, Ignored);
    let after = after.with_activity(part, part, ArmKind::Treatment);
    assert_eq!(evaluate_outcomes(&unmutated_run(), &after, &[mutant(part, Ignored)]).0, [MutantOutcome::Killed]);
}

#[test]
fn a_row_may_become_undecided_only_if_the_mutant_rejects_its_negative_arm() {
    let rejected = |arm| {
        let mut after = unmutated_run().with_status(TOP_K, Rejected).with_status(TOP_P, Inconclusive);
        after.set_code(TOP_P, InconclusiveReason::NegativeRejected.as_str());
        after.with_activity(TOP_K, TOP_K, ArmKind::Treatment).with_activity(TOP_K, TOP_P, arm)
    };
    let mutants = [mutant(TOP_K, Rejected)];
    assert_eq!(evaluate_outcomes(&unmutated_run(), &rejected(ArmKind::Negative), &mutants).0, [MutantOutcome::Killed]);
    assert_eq!(evaluate_outcomes(&unmutated_run(), &rejected(ArmKind::Treatment), &mutants).0, [MutantOutcome::Spread]);
}

#[test]
fn a_batch_with_a_problem_is_split() {
    let both = [mutant(TOP_K, Ignored), mutant(TOP_P, Ignored)];
    let acting = |run: FakeRun| {
        run.with_activity(TOP_K, TOP_K, ArmKind::Treatment).with_activity(TOP_P, TOP_P, ArmKind::Treatment)
    };
    let evaluate = |after: FakeRun| {
        BatchResult::evaluate(
            &bundled_catalog(),
            &bundled_dependencies(),
            &unmutated_run().observation(),
            &acting(after).observation(),
            &both,
        )
    };
    assert!(evaluate(unmutated_run().with_status(TOP_K, Ignored).with_status(TOP_P, Ignored)).bisect().is_none());
    let [missed, killed] = evaluate(unmutated_run().with_status(TOP_K, Ignored)).bisect().unwrap();
    assert_eq!((missed, killed), (vec![both[1].clone()], vec![both[0].clone()]));
    let unexpected = unmutated_run()
        .with_status(TOP_K, Ignored)
        .with_status(TOP_P, Ignored)
        .with_status("field.temperature.range", Rejected);
    assert_eq!(evaluate(unexpected).bisect().unwrap().map(|part| part.len()), [1, 1]);
}
