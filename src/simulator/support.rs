//! The statuses of the rows, as the stages of the pipeline ask for them.

use std::collections::BTreeMap;

use crate::catalog::ClaimStatus;
use crate::simulator::fields::row::SupportRow;

/// How the simulated server treats each row.
#[derive(Debug)]
pub(super) struct SupportTable {
    /// By the row's place in the enum.
    treatments: Vec<RowTreatment>,
}

/// What a row's status comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowTreatment {
    Support,
    /// Checked for its shape, and then another value is used.
    Substitute,
    Ignore,
    Reject,
}

impl SupportTable {
    pub fn new(statuses: &BTreeMap<String, ClaimStatus>) -> Self {
        let treatment = |row: &SupportRow| match statuses.get(row.id()) {
            None | Some(ClaimStatus::Supported) => RowTreatment::Support,
            Some(ClaimStatus::Ignored) => RowTreatment::Ignore,
            Some(ClaimStatus::Unsupported) => RowTreatment::Reject,
            Some(ClaimStatus::Substituted) if *row == SupportRow::Model => RowTreatment::Substitute,
            // No other field has a value of the server's own to put in its place.
            Some(ClaimStatus::Substituted) => RowTreatment::Ignore,
        };
        Self { treatments: SupportRow::ALL.iter().map(treatment).collect() }
    }

    fn treatment(&self, row: SupportRow) -> RowTreatment {
        self.treatments[row as usize]
    }

    /// The row's value has its effect.
    pub fn supports(&self, row: SupportRow) -> bool {
        self.treatment(row) == RowTreatment::Support
    }

    /// The row's value is looked at, so a wrong one is refused.
    pub fn validates(&self, row: SupportRow) -> bool {
        matches!(self.treatment(row), RowTreatment::Support | RowTreatment::Substitute)
    }

    /// The row's value is accepted and never seen again.
    pub fn ignores(&self, row: SupportRow) -> bool {
        self.treatment(row) == RowTreatment::Ignore
    }

    /// A request that carries the row is refused.
    pub fn rejects(&self, row: SupportRow) -> bool {
        self.treatment(row) == RowTreatment::Reject
    }
}
