//! [`claim_changes`]: what a provider changed between two revisions of its support table.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::catalog::target::{Claim, Target};

/// A row whose claim differs between two targets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClaimChange {
    /// The row.
    pub row: String,
    /// The earlier claim. `None` if the row was not claimed.
    pub old: Option<Claim>,
    /// The later claim. `None` if the row is no longer claimed.
    pub new: Option<Claim>,
}

/// The rows whose status, missing part, range, values or models differ, in the order of their ids.
/// Notes and sources do not count.
pub fn claim_changes(old: &Target, new: &Target) -> Vec<ClaimChange> {
    let rows: BTreeSet<&String> = old.claims.keys().chain(new.claims.keys()).collect();
    let content =
        |claim: Option<&Claim>| claim.map(|claim| Claim { note: None, source: None, sureness: None, ..claim.clone() });
    rows.into_iter()
        .filter(|row| content(old.claims.get(*row)) != content(new.claims.get(*row)))
        .map(|row| ClaimChange {
            row: row.clone(),
            old: old.claims.get(row).cloned(),
            new: new.claims.get(row).cloned(),
        })
        .collect()
}
