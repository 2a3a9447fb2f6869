//! The differences between two runs ([`diff`]): rows and findings that were lost, gained or changed, or
//! are no longer decided.
//!
//! The runs are of one target at two times, or of two targets. Pure. This module must not know baselines:
//! it reports changes, whether they were known or not.

mod compute;
mod model;
#[cfg(test)]
mod tests;

pub use crate::results::diff::compute::diff;
pub use crate::results::diff::model::{
    CountClass, DiffSide, FindingChange, FindingKind, FindingState, ResultsDiff, RowChange, RowKind, RowState, SCHEMA,
};
