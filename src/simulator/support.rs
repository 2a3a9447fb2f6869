//! The statuses of the rows, as the stages of the pipeline ask for them.

use std::collections::BTreeMap;

use crate::catalog::ClaimStatus;
use crate::simulator::fields::row::Row;

/// How the simulated server treats each row.
#[derive(Debug)]
pub(super) struct Filter {
    /// By the row's place in the enum.
    treatments: Vec<Treatment>,
}

/// What a row's status comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Treatment {
    Honour,
    /// Checked for its shape, and then another value is used.
    Replace,
    Ignore,
    Refuse,
}

impl Filter {
    pub fn new(statuses: &BTreeMap<String, ClaimStatus>) -> Self {
        let treatment = |row: &Row| match statuses.get(row.id()) {
            None | Some(ClaimStatus::Supported) => Treatment::Honour,
            Some(ClaimStatus::Ignored) => Treatment::Ignore,
            Some(ClaimStatus::Unsupported) => Treatment::Refuse,
            Some(ClaimStatus::Substituted) if *row == Row::Model => Treatment::Replace,
            // No other field has a value of the server's own to put in its place.
            Some(ClaimStatus::Substituted) => Treatment::Ignore,
        };
        Self { treatments: Row::ALL.iter().map(treatment).collect() }
    }

    fn treatment(&self, row: Row) -> Treatment {
        self.treatments[row as usize]
    }

    /// The row's value has its effect.
    pub fn honours(&self, row: Row) -> bool {
        self.treatment(row) == Treatment::Honour
    }

    /// The row's value is looked at, so a wrong one is refused.
    pub fn checks(&self, row: Row) -> bool {
        matches!(self.treatment(row), Treatment::Honour | Treatment::Replace)
    }

    /// The row's value is accepted and never seen again.
    pub fn ignores(&self, row: Row) -> bool {
        self.treatment(row) == Treatment::Ignore
    }

    /// A request that carries the row is refused.
    pub fn refuses(&self, row: Row) -> bool {
        self.treatment(row) == Treatment::Refuse
    }
}
