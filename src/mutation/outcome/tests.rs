use std::collections::BTreeMap;

use VerdictStatus::{Accepted, Ignored, Inconclusive, Rejected, Supported};

use crate::catalog::ClaimStatus;
use crate::mutation::fixtures::{FakeRun, bundled_catalog};
use crate::mutation::outcome::*;
use crate::mutation::stripped_responses::StrippedResponses;
use crate::recording::run::ArmKind;
use crate::simulator::SimulatorConfig;

const TOP_K: &str = "field.top_k";
const TOP_P: &str = "field.top_p";
const STREAM: &str = "field.stream";
const TWIN: &str = "stream.twin";

fn mutant(row: &str, status: VerdictStatus) -> RowMutant {
    RowMutant { row: row.to_owned(), status, fault: None, must_be_detected: true }
}

fn unmutated_run() -> FakeRun {
    let rows = [TOP_K, TOP_P, "field.temperature.range", STREAM, TWIN, "tool_choice.object_form", "tool_choice.any"];
    FakeRun::from_statuses(&rows.map(|row| (row, Supported)))
}

/// The run with each mutated field in the treatment of its own row.
fn with_own_fields(run: FakeRun, mutants: &[RowMutant]) -> FakeRun {
    mutants.iter().fold(run, |run, mutant| run.with_activity(&mutant.row, &mutant.row, ArmKind::Treatment))
}

fn evaluate_with(after: FakeRun, mutants: &[RowMutant], stripped: &BTreeMap<String, StrippedResponses>) -> BatchResult {
    let (catalog, config) = (bundled_catalog(), SimulatorConfig::default());
    let (before, after) = (unmutated_run().observation(), after.observation());
    let (catalog, config) = (&*catalog, &config);
    BatchResult::evaluate(&RowExpectations { catalog, before: &before, after: &after, config, stripped, mutants })
}

fn evaluate(after: FakeRun, mutants: &[RowMutant]) -> BatchResult {
    evaluate_with(with_own_fields(after, mutants), mutants, &BTreeMap::new())
}

fn outcomes(batch: &BatchResult) -> Vec<MutantOutcome> {
    batch.results.iter().map(|result| result.outcome).collect()
}

fn wrong_rows(batch: &BatchResult) -> Vec<(&str, MutantOutcome)> {
    batch.misjudged.iter().map(|row| (row.change.row.as_str(), row.fate)).collect()
}

#[test]
fn a_mutant_is_killed_if_its_row_gets_the_expected_verdict() {
    let batch = evaluate(unmutated_run().with_status(TOP_K, Ignored), &[mutant(TOP_K, Ignored)]);
    assert_eq!((outcomes(&batch), wrong_rows(&batch)), (vec![MutantOutcome::Killed], vec![]));
    assert_eq!(batch.compared, 6);
}

#[test]
fn another_verdict_is_not_a_kill() {
    for reached in [Supported, Rejected, Inconclusive] {
        let batch = evaluate(unmutated_run().with_status(TOP_K, reached), &[mutant(TOP_K, Ignored)]);
        assert_eq!(outcomes(&batch), [MutantOutcome::Survived]);
    }
}

#[test]
fn a_mutant_that_no_request_of_its_row_met_is_void() {
    let after = unmutated_run().with_status(TOP_K, Ignored);
    let elsewhere = after.clone().with_activity(TOP_K, TOP_P, ArmKind::Treatment);
    for run in [after, elsewhere] {
        let batch = evaluate_with(run, &[mutant(TOP_K, Ignored)], &BTreeMap::new());
        assert_eq!(outcomes(&batch), [MutantOutcome::Void]);
    }
}

#[test]
fn a_partial_run_kills_nothing() {
    let mut after = unmutated_run().with_status(TOP_K, Ignored);
    after.partial = Some("interrupted".to_owned());
    assert_eq!(outcomes(&evaluate(after, &[mutant(TOP_K, Ignored)])), [MutantOutcome::Survived]);
}

#[test]
fn an_accused_row_cancels_the_kill() {
    for sends in [false, true] {
        let mut after = unmutated_run().with_status(TOP_K, Ignored).with_status(TOP_P, Ignored);
        if sends {
            after = after.with_activity(TOP_K, TOP_P, ArmKind::Treatment);
        }
        let batch = evaluate(after, &[mutant(TOP_K, Ignored)]);
        assert_eq!(outcomes(&batch), [MutantOutcome::Accused]);
        assert_eq!(wrong_rows(&batch), [(TOP_P, MutantOutcome::Accused)]);
    }
}

#[test]
fn a_change_that_the_row_need_not_detect_can_accuse_others_too() {
    let carried = RowMutant { must_be_detected: false, ..mutant(TOP_K, Rejected) };
    let batch = evaluate(unmutated_run(), std::slice::from_ref(&carried));
    assert_eq!(outcomes(&batch), [MutantOutcome::Harmless]);
    let batch = evaluate(unmutated_run().with_status(TOP_P, Rejected), &[carried]);
    assert_eq!(outcomes(&batch), [MutantOutcome::Accused]);
}

#[test]
fn a_row_may_become_undecided_if_it_sends_the_field_or_names_it() {
    let ignored = unmutated_run().with_status(STREAM, Ignored).with_status(TWIN, Inconclusive);
    let mutants = [mutant(STREAM, Ignored)];
    assert_eq!(wrong_rows(&evaluate(ignored.clone(), &mutants)), [(TWIN, MutantOutcome::Changed)]);
    let sends = ignored.clone().with_activity(STREAM, TWIN, ArmKind::Treatment);
    assert_eq!(outcomes(&evaluate(sends, &mutants)), [MutantOutcome::Killed]);
    let batch = evaluate(ignored.clone().with_cause(TWIN, STREAM, Ignored), &mutants);
    assert_eq!(outcomes(&batch), [MutantOutcome::Killed]);
    assert_eq!(batch.results[0].followers, [(TWIN.to_owned(), FollowReason::WorksThrough)]);
    let other = ignored.with_activity(STREAM, TWIN, ArmKind::Treatment).with_cause(TWIN, TOP_K, Ignored);
    assert_eq!(wrong_rows(&evaluate(other, &mutants)), [(TWIN, MutantOutcome::Unnamed)]);
}

#[test]
fn a_row_that_loses_nothing_without_the_field_must_not_become_undecided() {
    let after = unmutated_run().with_status(STREAM, Ignored).with_status(TWIN, Inconclusive);
    let after = with_own_fields(after, &[mutant(STREAM, Ignored)]).with_activity(STREAM, TWIN, ArmKind::Treatment);
    let stripped = BTreeMap::from([(STREAM.to_owned(), StrippedResponses::default())]);
    let batch = evaluate_with(after, &[mutant(STREAM, Ignored)], &stripped);
    assert_eq!(wrong_rows(&batch), [(TWIN, MutantOutcome::Changed)]);
}

#[test]
fn a_positive_verdict_on_lost_responses_is_kept_wrongly() {
    let mutants = [mutant(STREAM, Ignored)];
    let after = unmutated_run().with_status(STREAM, Ignored).with_activity(STREAM, TWIN, ArmKind::Treatment);
    let rows = || [TWIN.to_owned()].into();
    let lost = StrippedResponses { changed: rows(), without_form: rows(), without_content: rows() };
    let stripped = BTreeMap::from([(STREAM.to_owned(), lost)]);
    let batch = evaluate_with(with_own_fields(after, &mutants), &mutants, &stripped);
    assert_eq!(wrong_rows(&batch), [(TWIN, MutantOutcome::Kept)]);
    assert_eq!(outcomes(&batch), [MutantOutcome::Kept]);
}

#[test]
fn a_part_of_an_ignored_field_may_be_ignored_too() {
    let (whole, part) = ("tool_choice.object_form", "tool_choice.any");
    let both = || unmutated_run().with_status(whole, Ignored).with_status(part, Ignored);
    let sent = both().with_activity(whole, part, ArmKind::Treatment);
    assert_eq!(outcomes(&evaluate(sent, &[mutant(whole, Ignored)])), [MutantOutcome::Killed]);
    // The form does not follow from one kind of choice.
    let sent = both().with_activity(part, whole, ArmKind::Treatment);
    assert_eq!(outcomes(&evaluate(sent, &[mutant(part, Ignored)])), [MutantOutcome::Accused]);
}

#[test]
fn a_right_verdict_can_follow_from_the_end_of_what_prevented_it() {
    let mut config = SimulatorConfig::default();
    config.set_status(TOP_P, ClaimStatus::Ignored).unwrap();
    let catalog = bundled_catalog();
    let mutants = [mutant(TOP_K, Ignored)];
    let before = unmutated_run().with_status(TOP_P, Inconclusive).observation();
    let after = unmutated_run().with_status(TOP_K, Ignored).with_activity(TOP_K, TOP_P, ArmKind::Treatment);
    let evaluate = |after: FakeRun| {
        let (after, stripped) = (with_own_fields(after, &mutants).observation(), BTreeMap::new());
        let (catalog, before, after) = (&*catalog, &before, &after);
        let expectations =
            RowExpectations { catalog, before, after, config: &config, stripped: &stripped, mutants: &mutants };
        BatchResult::evaluate(&expectations).misjudged
    };
    assert_eq!(evaluate(after.clone().with_status(TOP_P, Ignored)), []);
    assert_eq!(evaluate(after.clone().with_status(TOP_P, Rejected))[0].fate, MutantOutcome::Accused);
    assert_eq!(evaluate(after.with_status(TOP_P, Accepted))[0].fate, MutantOutcome::Kept);
}

#[test]
fn forged_verdicts_are_noticed() {
    let mutants = [mutant(STREAM, Ignored)];
    let after = unmutated_run().with_status(STREAM, Ignored).with_status(TWIN, Inconclusive);
    let after = after.with_cause(TWIN, STREAM, Ignored).with_activity(STREAM, TWIN, ArmKind::Treatment);
    let rows = || [TWIN.to_owned()].into();
    let lost = StrippedResponses { changed: rows(), without_form: rows(), without_content: rows() };
    let stripped = BTreeMap::from([(STREAM.to_owned(), lost)]);
    let batch = evaluate_with(with_own_fields(after, &mutants), &mutants, &stripped);
    assert_eq!(outcomes(&batch), [MutantOutcome::Killed]);
    assert_eq!(batch.sentinels, SentinelCounts { forged: 2, noticed: 2 });
}

#[test]
fn a_batch_with_a_problem_is_split() {
    let both = [mutant(TOP_K, Ignored), mutant(TOP_P, Ignored)];
    let ignored = unmutated_run().with_status(TOP_K, Ignored);
    assert!(evaluate(ignored.clone().with_status(TOP_P, Ignored), &both).bisect().is_none());
    let [missed, killed] = evaluate(ignored.clone(), &both).bisect().unwrap();
    assert_eq!((missed, killed), (vec![both[1].clone()], vec![both[0].clone()]));
    let accused = ignored.with_status(TOP_P, Ignored).with_status("field.temperature.range", Rejected);
    assert_eq!(evaluate(accused, &both).bisect().unwrap().map(|part| part.len()), [1, 1]);
}
