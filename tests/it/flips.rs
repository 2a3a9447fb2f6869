//! Proves on the bundled rows what `fieldtest check` proves: no row's verdict is a constant. Whichever verdict a row can
//! have, the server that deserves it gets it, on the ground of every target, and no other row follows along unless it
//! says that it must.
//!
//! Several unrelated mutants share a run; `FIELDTEST_ALL_FLIPS=1` gives each a run of its own.

use std::collections::HashSet;
use std::sync::Arc;

use common::{CATALOG, TARGETS, fields_of, target};
use fieldtest::catalog::VerdictStatus;
use fieldtest::mutation::{MutationOptions, prove};
use fieldtest::results::mutation;
use fieldtest::results::mutation::MutationReport;

use crate::common;

/// How many runs are under way at once.
const SIDE_BY_SIDE: usize = 2;

#[test]
fn every_row_has_at_least_two_statuses_that_it_can_have() {
    for row in &CATALOG.rows {
        let statuses: HashSet<VerdictStatus> = row.experiment.statuses.iter().copied().collect();
        assert!(statuses.len() >= 2, "{}: {statuses:?}: what cannot differ need not be tested", row.experiment.id());
        assert!(statuses.iter().all(|status| status.is_decided()), "{}: {statuses:?}", row.experiment.id());
    }
}

#[test]
fn there_is_a_proof_for_every_target() {
    let targets: Vec<&str> = CATALOG.targets.keys().map(String::as_str).collect();
    assert_eq!(targets, TARGETS);
}

#[test]
fn every_mutant_of_every_bundled_row_is_killed() {
    let proof = proved();
    assert!(proof.passed, "{}", mutation::terminal(&proof, 120));
    assert_eq!(proof.killed, proof.mutants);
    // Nearly every row has another status on every ground: a proof of little would pass as well.
    let rows: usize = TARGETS.iter().map(|name| fields_of(target(name)).len()).sum();
    assert!(proof.mutants as usize > rows * 3 / 2, "{} mutants of {rows} rows", proof.mutants);
    for row in &proof.rows {
        assert!(row.statuses.iter().all(|reached| !reached.on.is_empty()), "{row:?}");
        let others = row.followers.iter().map(|follower| follower.row.as_str());
        assert!(others.clone().all(|other| other != row.id), "{row:?}");
    }
    assert_eq!(proof.grounds.len(), TARGETS.len());
    for ground in &proof.grounds {
        let (control, canary) = (ground.control.as_ref().unwrap(), ground.canary.as_ref().unwrap());
        let of_fields = fields_of(target(&ground.target)).len();
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
