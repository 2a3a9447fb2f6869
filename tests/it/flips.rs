//! Mutation testing of all bundled rows: each row reaches each of its verdicts, and no other row
//! gets a wrong one.
//!
//! Other targets than the reference have a part of the rows. Mutants without a row in common share a
//! run. `FIELDTEST_ALL_FLIPS=1` takes all rows, and gives each mutant its own run.

use std::collections::HashSet;
use std::sync::Arc;

use common::{CATALOG, TARGETS, bundled_target, field_row_ids};
use fieldtest::catalog::VerdictStatus;
use fieldtest::mutation::{MutationOptions, prove};
use fieldtest::results::mutation::MutationReport;

use crate::common;

/// The number of parallel runs.
const SIDE_BY_SIDE: usize = 2;

/// The share of rows of other targets than the reference.
const EVERY_NTH_ROW: usize = 8;

#[test]
fn every_row_can_have_at_least_two_statuses() {
    for row in &CATALOG.rows {
        let statuses: HashSet<VerdictStatus> = row.experiment.statuses.iter().copied().collect();
        assert!(statuses.len() >= 2, "{}: {statuses:?}: a row with one status tests nothing", row.experiment.id());
        assert!(statuses.iter().all(|status| status.is_decided()), "{}: {statuses:?}", row.experiment.id());
    }
}

#[test]
fn every_target_is_tested() {
    assert!(TARGETS.iter().all(|name| CATALOG.targets.contains_key(*name)));
}

#[test]
fn every_mutant_of_every_bundled_row_is_killed_and_accuses_no_other() {
    let proof = prove_rows(&["anthropic"], 1);
    assert!(proof.passed, "{}", fieldtest::report::terminal::mutation::render(&proof, 120));
    assert_eq!(proof.killed, proof.mutants);
    // Nearly every row has another status. Without this, a test of few rows would pass.
    let rows = field_row_ids(bundled_target("anthropic")).len();
    assert!(proof.mutants as usize > rows * 3 / 2, "{} mutants of {rows} rows", proof.mutants);
    assert!(proof.compared > 10_000, "{} verdicts of other rows", proof.compared);
    for row in &proof.rows {
        assert!(row.statuses.iter().all(|reached| !reached.on.is_empty()), "{row:?}");
        let others = row.followers.iter().map(|follower| follower.row.as_str());
        assert!(others.clone().all(|other| other != row.id), "{row:?}");
    }
    let [ground] = proof.grounds.as_slice() else { panic!("{:?}", proof.grounds) };
    let (control, canary) = (ground.control.as_ref().unwrap(), ground.canary.as_ref().unwrap());
    assert!(control.rows as usize >= rows, "{control:?}");
    assert!(canary.rows > 20 && canary.noticed == canary.rows, "{canary:?}");
    assert!(ground.sentinels.forged > 50 && ground.sentinels.noticed == ground.sentinels.forged, "{ground:?}");
}

/// Other targets need fewer rows, because the simulator is the same: some of their rows are ignored
/// or rejected from the start.
#[test]
fn mutants_of_other_targets_accuse_no_row() {
    let others: Vec<&str> = TARGETS.into_iter().filter(|name| *name != "anthropic").collect();
    let proof = prove_rows(&others, EVERY_NTH_ROW);
    // Some rows cannot reach all their verdicts on these targets.
    assert_eq!(proof.mutants - proof.unproved, proof.killed, "{proof:#?}");
    assert_eq!([proof.accused, proof.kept, proof.unnamed, proof.changed], [0; 4], "{proof:#?}");
    assert!(proof.killed > 10 && proof.grounds.iter().all(|ground| ground.is_sound()), "{proof:#?}");
}

fn prove_rows(targets: &[&str], every: usize) -> MutationReport {
    let is_complete = std::env::var_os("FIELDTEST_ALL_FLIPS").is_some_and(|value| value == "1");
    let every = if is_complete { 1 } else { every };
    let options = MutationOptions {
        targets: targets.iter().map(|name| (*name).to_owned()).collect(),
        rows: CATALOG.rows.iter().step_by(every).map(|row| row.experiment.id().to_owned()).collect(),
        one_by_one: is_complete,
        jobs: SIDE_BY_SIDE,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(prove(&Arc::new(CATALOG.clone()), &options, &mut |_| {})).unwrap()
}
