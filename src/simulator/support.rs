//! The treatment of each row by this server: [`SupportTable`].

use std::collections::BTreeMap;

use crate::catalog::ClaimStatus;
use crate::simulator::fields::row::SupportRow;

/// How the simulated server treats each row.
#[derive(Debug)]
pub(super) struct SupportTable {
    /// Indexed by [`SupportRow`].
    treatments: Vec<RowTreatment>,
}

/// What the server does with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowTreatment {
    Support,
    /// The value is validated, then another value is used.
    Substitute,
    Ignore,
    Reject,
}

impl SupportTable {
    pub fn new(statuses: &BTreeMap<String, ClaimStatus>) -> Self {
        let treatment = |row: &SupportRow| match statuses.get(row.as_str()) {
            None | Some(ClaimStatus::Supported | ClaimStatus::Partial) => RowTreatment::Support,
            Some(ClaimStatus::Ignored | ClaimStatus::Accepted) => RowTreatment::Ignore,
            Some(ClaimStatus::Unsupported) => RowTreatment::Reject,
            Some(ClaimStatus::Substituted) if *row == SupportRow::Model => RowTreatment::Substitute,
            // The server has no value of its own for other fields.
            Some(ClaimStatus::Substituted) => RowTreatment::Ignore,
        };
        Self { treatments: SupportRow::ALL.iter().map(treatment).collect() }
    }

    fn treatment(&self, row: SupportRow) -> RowTreatment {
        self.treatments[row as usize]
    }

    /// Whether the row's value has its effect.
    pub fn supports(&self, row: SupportRow) -> bool {
        self.treatment(row) == RowTreatment::Support
    }

    /// Whether the row's value is validated, so that an invalid value is rejected.
    pub fn validates(&self, row: SupportRow) -> bool {
        matches!(self.treatment(row), RowTreatment::Support | RowTreatment::Substitute)
    }

    /// Whether the row's value is accepted and then removed.
    pub fn ignores(&self, row: SupportRow) -> bool {
        self.treatment(row) == RowTreatment::Ignore
    }

    /// Whether a request with this row is rejected.
    pub fn rejects(&self, row: SupportRow) -> bool {
        self.treatment(row) == RowTreatment::Reject
    }
}
