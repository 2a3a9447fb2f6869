use VerdictStatus::{Ignored, Inconclusive, Rejected, Supported};

use crate::mutation::fixtures::{Scene, catalog};
use crate::mutation::outcome::*;

fn mutant(row: &str, status: VerdictStatus) -> Mutant {
    Mutant { row: row.to_owned(), status, fault: None }
}

fn fates(before: &Scene, after: &Scene, mutants: &[Mutant]) -> (Vec<Fate>, Vec<String>) {
    let tried = Tried::weigh(&catalog(), &before.shown(), &after.shown(), mutants);
    (tried.mutants.iter().map(|m| m.fate).collect(), tried.strays.into_iter().map(|s| s.row).collect())
}

const TOP_K: &str = "field.top_k";
const TOP_P: &str = "field.top_p";

fn before() -> Scene {
    Scene::of(&[(TOP_K, Supported), (TOP_P, Supported), ("field.temperature.range", Supported)])
}

#[test]
fn a_mutant_is_killed_where_its_own_row_is_named_with_the_expected_verdict() {
    let after = before().with(TOP_K, Ignored).acting(TOP_K, TOP_K, ArmKind::Treatment);
    assert_eq!(fates(&before(), &after, &[mutant(TOP_K, Ignored)]), (vec![Fate::Killed], vec![]));
}

#[test]
fn another_verdict_is_no_kill() {
    for reached in [Supported, Rejected, Inconclusive] {
        let after = before().with(TOP_K, reached).acting(TOP_K, TOP_K, ArmKind::Treatment);
        assert_eq!(fates(&before(), &after, &[mutant(TOP_K, Ignored)]).0, [Fate::Survived]);
    }
}

#[test]
fn that_another_row_is_named_is_no_kill() {
    let after = before().with(TOP_P, Ignored).acting(TOP_K, TOP_K, ArmKind::Treatment);
    assert_eq!(fates(&before(), &after, &[mutant(TOP_K, Ignored)]), (vec![Fate::Survived], vec![TOP_P.to_owned()]));
}

#[test]
fn a_row_that_changes_along_without_a_reason_undoes_the_kill() {
    let after = before().with(TOP_K, Ignored).with(TOP_P, Ignored).acting(TOP_K, TOP_K, ArmKind::Treatment);
    assert_eq!(fates(&before(), &after, &[mutant(TOP_K, Ignored)]), (vec![Fate::Spread], vec![TOP_P.to_owned()]));
}

#[test]
fn a_mutant_that_the_server_did_not_meet_in_the_rows_own_requests_is_void() {
    let alone = before().with(TOP_K, Ignored);
    assert_eq!(fates(&before(), &alone, &[mutant(TOP_K, Ignored)]).0, [Fate::Void]);
    let elsewhere = before().with(TOP_K, Ignored).acting(TOP_K, TOP_P, ArmKind::Treatment);
    assert_eq!(fates(&before(), &elsewhere, &[mutant(TOP_K, Ignored)]).0, [Fate::Void]);
}

#[test]
fn a_run_that_was_cut_kills_nothing() {
    let mut after = before().with(TOP_K, Ignored).acting(TOP_K, TOP_K, ArmKind::Treatment);
    after.partial = Some("cut".to_owned());
    assert_eq!(fates(&before(), &after, &[mutant(TOP_K, Ignored)]).0, [Fate::Survived]);
}

#[test]
fn a_row_may_become_undecided_with_one_that_it_works_through_and_never_decided() {
    let acting = |scene: Scene| scene.acting("field.temperature", "field.temperature", ArmKind::Narrow);
    let before = before().with("field.temperature", Supported);
    let ignored = before.clone().with("field.temperature", Ignored);
    let mutants = [mutant("field.temperature", Ignored)];
    let after = acting(ignored.clone().with("field.temperature.range", Inconclusive));
    assert_eq!(fates(&before, &after, &mutants), (vec![Fate::Killed], vec![]));
    let after = acting(ignored.with("field.temperature.range", Ignored));
    assert_eq!(fates(&before, &after, &mutants).0, [Fate::Spread]);
}

#[test]
fn a_row_may_lose_its_ground_only_where_its_own_negative_arm_was_refused_for_the_mutant() {
    let refused = |arm| {
        let mut after = before().with(TOP_K, Rejected).with(TOP_P, Inconclusive);
        after.code(TOP_P, Undecided::NegativeRefused.word());
        after.acting(TOP_K, TOP_K, ArmKind::Treatment).acting(TOP_K, TOP_P, arm)
    };
    let mutants = [mutant(TOP_K, Rejected)];
    assert_eq!(fates(&before(), &refused(ArmKind::Negative), &mutants).0, [Fate::Killed]);
    assert_eq!(fates(&before(), &refused(ArmKind::Treatment), &mutants).0, [Fate::Spread]);
}

#[test]
fn what_is_wrong_together_is_tried_apart() {
    let both = [mutant(TOP_K, Ignored), mutant(TOP_P, Ignored)];
    let acting = |scene: Scene| scene.acting(TOP_K, TOP_K, ArmKind::Treatment).acting(TOP_P, TOP_P, ArmKind::Treatment);
    let weigh = |after: Scene| Tried::weigh(&catalog(), &before().shown(), &acting(after).shown(), &both);
    assert!(weigh(before().with(TOP_K, Ignored).with(TOP_P, Ignored)).parts().is_none());
    let [missed, seen] = weigh(before().with(TOP_K, Ignored)).parts().unwrap();
    assert_eq!((missed, seen), (vec![both[1].clone()], vec![both[0].clone()]));
    let stray = before().with(TOP_K, Ignored).with(TOP_P, Ignored).with("field.temperature.range", Rejected);
    assert_eq!(weigh(stray).parts().unwrap().map(|part| part.len()), [1, 1]);
}
