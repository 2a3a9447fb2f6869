//! Mutants: a [`RowMutant`] sets one row of a simulated server to another status. For a behaviour
//! row, it gives the server a fault.
//!
//! A row must detect the statuses that it can have. Its field is also ignored and rejected where the
//! row cannot have this verdict, because other rows send the field too, and must not be accused.
//!
//! Pure. The mutants follow from the experiments and the unmutated run.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::catalog::{Catalog, CatalogRow, ClaimStatus, Experiment, VerdictStatus};
use crate::engine::RowDependencies;
use crate::mutation::observation::RunObservation;
use crate::results::model::{DependencyRole, Verdict};
use crate::simulator::{SimulatorConfig, SimulatorFault};

/// The only row that the simulator can substitute.
const SUBSTITUTABLE_ROW: &str = "field.model";

/// A row, and the status that it has on the mutated server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowMutant {
    /// The row.
    pub row: String,
    /// The status, as a verdict.
    pub status: VerdictStatus,
    /// The fault that causes it, for behaviour rows.
    pub fault: Option<SimulatorFault>,
    /// Whether the row must get this verdict. If not, only the other rows are tested.
    pub must_be_detected: bool,
}

/// Why no simulated server can have this mutation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImpossibleMutant {
    /// The simulator does not know the field.
    #[error(
        "the simulator does not know this row. Add `field` (where the field is in a request), so that it can be simulated"
    )]
    UnknownRow,
    /// Only the model can be substituted.
    #[error(
        "the simulator cannot substitute this field. Only {SUBSTITUTABLE_ROW} can be substituted: remove `substituted` from `statuses`"
    )]
    Substituted,
    /// No fault leads to this verdict.
    #[error(
        "no fault leads to this verdict. Add one to `faults` of the row; `fieldtest simulate --list-faults` lists them"
    )]
    NoFault,
    /// The named fault does not exist.
    #[error("the simulator does not have the fault `{0}`. `fieldtest simulate --list-faults` lists the faults")]
    UnknownFault(String),
    /// A server cannot be undecided.
    #[error("no server is undecided. List only decided verdicts in `statuses`")]
    Inconclusive,
}

impl RowMutant {
    /// The status of the row in the simulated server.
    pub fn claim_status(&self) -> Result<ClaimStatus, ImpossibleMutant> {
        match self.status {
            VerdictStatus::Supported | VerdictStatus::Validated | VerdictStatus::Accepted => Ok(ClaimStatus::Supported),
            VerdictStatus::Ignored => Ok(ClaimStatus::Ignored),
            VerdictStatus::Rejected => Ok(ClaimStatus::Unsupported),
            VerdictStatus::Substituted if self.row == SUBSTITUTABLE_ROW => Ok(ClaimStatus::Substituted),
            VerdictStatus::Substituted => Err(ImpossibleMutant::Substituted),
            VerdictStatus::Inconclusive | VerdictStatus::Skipped => Err(ImpossibleMutant::Inconclusive),
        }
    }
}

/// The verdict that a server with this status must get.
pub(super) fn expected_verdict(status: ClaimStatus) -> VerdictStatus {
    match status {
        ClaimStatus::Supported | ClaimStatus::Partial => VerdictStatus::Supported,
        ClaimStatus::Ignored | ClaimStatus::Accepted => VerdictStatus::Ignored,
        ClaimStatus::Unsupported => VerdictStatus::Rejected,
        ClaimStatus::Substituted => VerdictStatus::Substituted,
    }
}

/// The mutants of a row, and those that no server can have.
pub(super) struct MutantSet {
    pub possible: Vec<RowMutant>,
    pub impossible: Vec<(RowMutant, ImpossibleMutant)>,
}

/// Makes a mutant for every status that the row can have, except its present one, and for an ignored
/// and a rejected field. The row need not detect a status that it cannot have, or "ignored" if it
/// depends on a row that is not supported by this subject.
pub(super) fn generate_mutants(
    row: &CatalogRow,
    config: &SimulatorConfig,
    dependencies: &RowDependencies,
    before: VerdictStatus,
    is_supported: impl Fn(&str) -> bool,
) -> MutantSet {
    let experiment = &row.experiment;
    if !experiment.is_field_row() {
        return generate_behaviour_mutants(experiment, before);
    }
    let is_known = config.status(experiment.id()).is_some();
    let blocks = |(other, role): (&str, DependencyRole)| role <= DependencyRole::Reads && !is_supported(other);
    let is_blocked = dependencies.direct(experiment.id()).any(blocks);
    let mut seen = HashSet::new();
    let mut mutants = MutantSet { possible: Vec::new(), impossible: Vec::new() };
    let mutant =
        |status, must_be_detected| RowMutant { row: experiment.id().to_owned(), status, fault: None, must_be_detected };
    for status in experiment.statuses.iter().copied().filter(|status| seen.insert(*status)) {
        let mutant = mutant(status, true);
        match mutant.claim_status() {
            // The response to an unknown field proves nothing, even if the verdict is the expected
            // one.
            _ if !is_known => mutants.impossible.push((mutant, ImpossibleMutant::UnknownRow)),
            _ if status.is_same_kind(before) => {}
            Err(reason) => mutants.impossible.push((mutant, reason)),
            Ok(_) if status == VerdictStatus::Ignored && is_blocked => {}
            Ok(_) => mutants.possible.push(mutant),
        }
    }
    // A second row of a field has no field of its own.
    if is_known && config.field_id(experiment.id()) == Some(experiment.id()) {
        let present = config.status(experiment.id()).map(expected_verdict);
        for status in [VerdictStatus::Ignored, VerdictStatus::Rejected] {
            if present != Some(status) && !mutants.possible.iter().any(|mutant| mutant.status == status) {
                mutants.possible.push(mutant(status, false));
            }
        }
    }
    mutants
}

/// Makes a mutant for each fault of a behaviour row. Statuses that no fault leads to are
/// impossible.
fn generate_behaviour_mutants(experiment: &Experiment, before: VerdictStatus) -> MutantSet {
    let mut mutants = MutantSet { possible: Vec::new(), impossible: Vec::new() };
    let mutant = |status, fault| RowMutant { row: experiment.id().to_owned(), status, fault, must_be_detected: true };
    for (name, status) in experiment.faults.iter().filter(|(_, status)| !status.is_same_kind(before)) {
        match name.parse::<SimulatorFault>() {
            Ok(fault) => mutants.possible.push(mutant(*status, Some(fault))),
            Err(_) => mutants.impossible.push((mutant(*status, None), ImpossibleMutant::UnknownFault(name.clone()))),
        }
    }
    let is_covered = |status: &VerdictStatus| {
        status.is_same_kind(before) || experiment.faults.values().any(|v| v.is_same_kind(*status))
    };
    let missing = experiment.statuses.iter().filter(|status| !is_covered(status));
    mutants.impossible.extend(missing.map(|status| (mutant(*status, None), ImpossibleMutant::NoFault)));
    mutants
}

/// The row under which the simulator knows a row's field: the row itself, or the row that it refers
/// to.
pub(super) fn resolve_field_row<'a>(catalog: &'a Catalog, row: &'a str) -> &'a str {
    let field = catalog.experiment(row).and_then(|e| e.field.as_ref());
    field.and_then(|field| field.at.row()).unwrap_or(row)
}

/// Groups mutants into batches. The fields of a batch have no row in common that sends them, so no
/// mutant can hide what another one does to a row. Faults affect many rows, so each has its own
/// batch.
pub(super) fn plan_batches(
    catalog: &Catalog,
    before: &RunObservation,
    mutants: &[RowMutant],
    one_by_one: bool,
) -> Vec<Vec<RowMutant>> {
    let (faults, mutants): (Vec<&RowMutant>, Vec<&RowMutant>) = mutants.iter().partition(|m| m.fault.is_some());
    let mut rows_with_field: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut batches: Vec<(Vec<RowMutant>, BTreeSet<&str>)> = Vec::new();
    for mutant in mutants {
        let field = resolve_field_row(catalog, &mutant.row);
        let rows = rows_with_field.entry(field).or_insert_with(|| {
            let mut rows = before.rows_with_field(field);
            rows.insert(field);
            rows
        });
        rows.insert(&mutant.row);
        let is_free = |(_, taken): &&mut (Vec<RowMutant>, BTreeSet<&str>)| taken.is_disjoint(rows);
        match batches.iter_mut().filter(|_| !one_by_one).find(is_free) {
            Some((batch, taken)) => {
                batch.push(mutant.clone());
                taken.extend(rows.iter());
            }
            None => batches.push((vec![mutant.clone()], rows.clone())),
        }
    }
    let batches = batches.into_iter().map(|(batch, _)| batch);
    batches.chain(faults.into_iter().map(|fault| vec![fault.clone()])).collect()
}

/// The reason of a verdict, after its code if it is undecided.
pub(super) fn describe_verdict(verdict: &Verdict) -> String {
    let code = verdict.code.as_ref().map_or(String::new(), |code| format!("{code}: "));
    format!("{code}{}", verdict.reason)
}

/// True if a verdict is the expected one. A positive verdict must be the strongest that the row can
/// reach.
pub(super) fn is_expected(expected: VerdictStatus, verdict: &Verdict) -> bool {
    expected == verdict.status || (expected.is_positive() && verdict.is_strongest())
}
