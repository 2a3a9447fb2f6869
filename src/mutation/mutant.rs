//! Mutants: a [`RowMutant`] sets one row of a simulated server to another status that the row can
//! have. For a behaviour row, it gives the server a fault.
//!
//! Pure. The mutants follow from the experiments and the unmutated run.

use std::collections::HashSet;

use crate::catalog::{Catalog, CatalogRow, ClaimStatus, Experiment, VerdictStatus};
use crate::engine::RowDependencies;
use crate::results::model::DependencyRole;
use crate::simulator::{SimulatorConfig, SimulatorFault};

/// The only row that the simulator can substitute.
const SUBSTITUTABLE_ROW: &str = "field.model";

/// A row, and the verdict that its mutated server must get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowMutant {
    /// The row.
    pub row: String,
    /// The verdict that the server must get.
    pub status: VerdictStatus,
    /// The fault that causes it, for behaviour rows.
    pub fault: Option<SimulatorFault>,
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

/// Makes a mutant for every status that the row can have, except its present one. If the row
/// depends on a row that is not supported by this subject, "ignored" cannot be proved and is left
/// out.
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
    for status in experiment.statuses.iter().copied().filter(|status| seen.insert(*status)) {
        let mutant = RowMutant { row: experiment.id().to_owned(), status, fault: None };
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
    mutants
}

/// Makes a mutant for each fault of a behaviour row. Statuses that no fault leads to are
/// impossible.
fn generate_behaviour_mutants(experiment: &Experiment, before: VerdictStatus) -> MutantSet {
    let mut mutants = MutantSet { possible: Vec::new(), impossible: Vec::new() };
    let mutant = |status, fault| RowMutant { row: experiment.id().to_owned(), status, fault };
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

/// Groups mutants into batches of unrelated rows. Neighbours in the tables go into different
/// batches, because they are often related. Faults affect many rows, so each has its own batch.
pub(super) fn plan_batches(
    catalog: &Catalog,
    dependencies: &RowDependencies,
    mutants: &[RowMutant],
    batch_size: usize,
) -> Vec<Vec<RowMutant>> {
    let (faults, mutants): (Vec<RowMutant>, Vec<RowMutant>) = mutants.iter().cloned().partition(|m| m.fault.is_some());
    let mut batches = batch_field_mutants(catalog, dependencies, &mutants, batch_size);
    batches.extend(faults.into_iter().map(|mutant| vec![mutant]));
    batches
}

fn batch_field_mutants(
    catalog: &Catalog,
    dependencies: &RowDependencies,
    mutants: &[RowMutant],
    batch_size: usize,
) -> Vec<Vec<RowMutant>> {
    let mut batches: Vec<Vec<RowMutant>> = vec![Vec::new(); mutants.len().div_ceil(batch_size.max(1))];
    for (i, mutant) in mutants.iter().enumerate() {
        let is_related = |other: &RowMutant| {
            resolve_field_row(catalog, &other.row) == resolve_field_row(catalog, &mutant.row)
                || dependencies.depends_on(&other.row, &mutant.row)
                || dependencies.depends_on(&mutant.row, &other.row)
        };
        let count = batches.len();
        let free = (i..i + count)
            .map(|index| index % count)
            .find(|index| batches[*index].len() < batch_size && !batches[*index].iter().any(is_related));
        match free {
            Some(index) => batches[index].push(mutant.clone()),
            None => batches.push(vec![mutant.clone()]),
        }
    }
    batches
}
