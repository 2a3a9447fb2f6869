//! Mutation testing of all bundled rows, on every target: each row reaches each of its verdicts,
//! and no unrelated row changes.
//!
//! Several unrelated mutants share a run. `FIELDTEST_ALL_FLIPS=1` gives each its own run.

use std::collections::HashSet;
use std::sync::Arc;

use common::{CATALOG, TARGETS, bundled_target, field_row_ids};
use fieldtest::catalog::VerdictStatus;
use fieldtest::mutation::{MutationOptions, prove};
use fieldtest::results::mutation::MutationReport;

use crate::common;

/// The number of parallel runs.
const SIDE_BY_SIDE: usize = 2;

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
fn every_mutant_of_every_bundled_row_is_killed() {
    let proof = proved();
    assert!(proof.passed, "{}", fieldtest::report::terminal::mutation::render(&proof, 120));
    assert_eq!(proof.killed, proof.mutants);
    // Nearly every row has another status on every target. Without this, a test of few rows would
    // pass.
    let rows: usize = TARGETS.iter().map(|name| field_row_ids(bundled_target(name)).len()).sum();
    assert!(proof.mutants as usize > rows * 3 / 2, "{} mutants of {rows} rows", proof.mutants);
    for row in &proof.rows {
        assert!(row.statuses.iter().all(|reached| !reached.on.is_empty()), "{row:?}");
        let others = row.followers.iter().map(|follower| follower.row.as_str());
        assert!(others.clone().all(|other| other != row.id), "{row:?}");
    }
    assert_eq!(proof.grounds.len(), TARGETS.len());
    for ground in &proof.grounds {
        let (control, canary) = (ground.control.as_ref().unwrap(), ground.canary.as_ref().unwrap());
        let of_fields = field_row_ids(bundled_target(&ground.target)).len();
        assert!(control.rows as usize >= of_fields, "{control:?}");
        assert!(canary.rows > 20 && canary.noticed == canary.rows, "{canary:?}");
    }
}

fn proved() -> MutationReport {
    let options = MutationOptions {
        targets: TARGETS.map(str::to_owned).to_vec(),
        rows: CATALOG.rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
        one_by_one: std::env::var_os("FIELDTEST_ALL_FLIPS").is_some_and(|value| value == "1"),
        jobs: SIDE_BY_SIDE,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(prove(&Arc::new(CATALOG.clone()), &options, &mut |_| {})).unwrap()
}
