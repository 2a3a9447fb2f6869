//! What is mutated: one row of a simulated server, from the status that it has to another that the row can have; or,
//! where a row is about conduct and not about a field, the server's conduct.
//!
//! Pure. Which mutants there are follows from the experiments and the unmutated run.

use std::collections::HashSet;

use crate::catalog::{Catalog, CatalogRow, ClaimStatus, Experiment, VerdictStatus};
use crate::simulator::{SimulatorConfig, SimulatorFault};

/// The only row with a value of the server's own to put in its place.
const SUBSTITUTABLE_ROW: &str = "field.model";

/// A row, and the status that the simulated server is given there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowMutant {
    /// The row.
    pub row: String,
    /// The verdict that such a server deserves.
    pub status: VerdictStatus,
    /// The fault that makes the server so, where no status of a field does.
    pub fault: Option<SimulatorFault>,
}

/// Why no simulated server can be so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImpossibleMutant {
    /// It does not know the field.
    #[error(
        "the simulator has no row of this name: say under the row's `field` where it stands in a request, so that a \
         server can be simulated that honours, ignores or refuses it"
    )]
    UnknownRow,
    /// The status is one that only the model's name can have.
    #[error(
        "the simulator has no value of its own to put in this field's place: only {SUBSTITUTABLE_ROW} can be substituted"
    )]
    Substituted,
    /// No fault is named that makes a server so.
    #[error(
        "no fault makes a server so: name one under the row's `faults`; `fieldtest simulate --list-faults` lists them"
    )]
    NoFault,
    /// The named fault does not exist.
    #[error("the row names a fault that the simulator does not have: {0}")]
    UnknownFault(String),
    /// A server cannot be told to leave things undecided.
    #[error("no server can be told to be so: `statuses` lists decided verdicts")]
    Inconclusive,
}

impl RowMutant {
    /// What the simulated server is told.
    pub fn claim_status(&self) -> Result<ClaimStatus, ImpossibleMutant> {
        match self.status {
            VerdictStatus::Supported => Ok(ClaimStatus::Supported),
            VerdictStatus::Ignored => Ok(ClaimStatus::Ignored),
            VerdictStatus::Rejected => Ok(ClaimStatus::Unsupported),
            VerdictStatus::Substituted if self.row == SUBSTITUTABLE_ROW => Ok(ClaimStatus::Substituted),
            VerdictStatus::Substituted => Err(ImpossibleMutant::Substituted),
            VerdictStatus::Inconclusive | VerdictStatus::Skipped => Err(ImpossibleMutant::Inconclusive),
        }
    }
}

/// The verdict that a server with this status deserves.
pub(super) fn expected_verdict(status: ClaimStatus) -> VerdictStatus {
    match status {
        ClaimStatus::Supported => VerdictStatus::Supported,
        ClaimStatus::Ignored => VerdictStatus::Ignored,
        ClaimStatus::Unsupported => VerdictStatus::Rejected,
        ClaimStatus::Substituted => VerdictStatus::Substituted,
    }
}

/// The mutants of a row on a ground, and those that no server can be.
pub(super) struct MutantSet {
    pub possible: Vec<RowMutant>,
    pub impossible: Vec<(RowMutant, ImpossibleMutant)>,
}

/// Every status that the row can have but the one that it was seen to have. Where a row that it works through is not
/// honoured on this ground, "ignored" could not be proved of it, so it is none of the mutants there.
pub(super) fn generate_mutants(
    row: &CatalogRow,
    behaviour: &SimulatorConfig,
    before: VerdictStatus,
    is_honoured: impl Fn(&str) -> bool,
) -> MutantSet {
    let experiment = &row.experiment;
    if !experiment.is_field_row() {
        return generate_behaviour_mutants(experiment, before);
    }
    let known = behaviour.status(experiment.id()).is_some();
    let unfounded = experiment.depends_on.iter().any(|other| !is_honoured(other));
    let mut seen = HashSet::new();
    let mut mutants = MutantSet { possible: Vec::new(), impossible: Vec::new() };
    for status in experiment.statuses.iter().copied().filter(|status| seen.insert(*status)) {
        let mutant = RowMutant { row: experiment.id().to_owned(), status, fault: None };
        match mutant.claim_status() {
            // What an unknown field does proves nothing, even where the verdict happens to be the expected one.
            _ if !known => mutants.impossible.push((mutant, ImpossibleMutant::UnknownRow)),
            _ if status == before => {}
            Err(why) => mutants.impossible.push((mutant, why)),
            Ok(_) if status == VerdictStatus::Ignored && unfounded => {}
            Ok(_) => mutants.possible.push(mutant),
        }
    }
    mutants
}

/// The mutants of a row about conduct: one for each fault that it names, and one for each status that none leads to.
fn generate_behaviour_mutants(experiment: &Experiment, before: VerdictStatus) -> MutantSet {
    let mut mutants = MutantSet { possible: Vec::new(), impossible: Vec::new() };
    let mutant = |status, fault| RowMutant { row: experiment.id().to_owned(), status, fault };
    for (name, status) in experiment.faults.iter().filter(|(_, status)| **status != before) {
        match name.parse::<SimulatorFault>() {
            Ok(fault) => mutants.possible.push(mutant(*status, Some(fault))),
            Err(_) => mutants.impossible.push((mutant(*status, None), ImpossibleMutant::UnknownFault(name.clone()))),
        }
    }
    let led_to = |status: &VerdictStatus| *status == before || experiment.faults.values().any(|v| v == status);
    let missing = experiment.statuses.iter().filter(|status| !led_to(status));
    mutants.impossible.extend(missing.map(|status| (mutant(*status, None), ImpossibleMutant::NoFault)));
    mutants
}

/// Whether an experiment works through a row, directly or by way of others.
pub(super) fn depends_on(catalog: &Catalog, row: &str, other: &str) -> bool {
    let (mut waiting, mut seen) = (vec![row], HashSet::new());
    while let Some(row) = waiting.pop() {
        let through = catalog.experiment(row).map(|e| e.depends_on.as_slice()).unwrap_or_default();
        if through.iter().any(|next| next == other) {
            return true;
        }
        // Two rows of a user's may say that they work through each other.
        waiting.extend(through.iter().map(String::as_str).filter(|next| seen.insert(*next)));
    }
    false
}

/// The row under which a row's field is known: its own, or the one that it refers to.
pub(super) fn resolve_field_row<'a>(catalog: &'a Catalog, row: &'a str) -> &'a str {
    let field = catalog.experiment(row).and_then(|e| e.field.as_ref());
    field.and_then(|field| field.at.row()).unwrap_or(row)
}

/// Puts mutants together that do not work through one another, and lie far apart in the tables: neighbours meet often.
/// Faults reach far, so each stays by itself.
pub(super) fn plan_batches(catalog: &Catalog, mutants: &[RowMutant], most: usize) -> Vec<Vec<RowMutant>> {
    let (faults, mutants): (Vec<RowMutant>, Vec<RowMutant>) = mutants.iter().cloned().partition(|m| m.fault.is_some());
    let mut batches = batch_field_mutants(catalog, &mutants, most);
    batches.extend(faults.into_iter().map(|mutant| vec![mutant]));
    batches
}

fn batch_field_mutants(catalog: &Catalog, mutants: &[RowMutant], most: usize) -> Vec<Vec<RowMutant>> {
    let mut batches: Vec<Vec<RowMutant>> = vec![Vec::new(); mutants.len().div_ceil(most.max(1))];
    for (nth, mutant) in mutants.iter().enumerate() {
        let related = |other: &RowMutant| {
            resolve_field_row(catalog, &other.row) == resolve_field_row(catalog, &mutant.row)
                || depends_on(catalog, &other.row, &mutant.row)
                || depends_on(catalog, &mutant.row, &other.row)
        };
        let count = batches.len();
        let place = (nth..nth + count)
            .map(|place| place % count)
            .find(|place| batches[*place].len() < most && !batches[*place].iter().any(related));
        match place {
            Some(place) => batches[place].push(mutant.clone()),
            None => batches.push(vec![mutant.clone()]),
        }
    }
    batches
}
