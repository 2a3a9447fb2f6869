//! The results of one run, in the shape of `results-<target>.json`: [`Results`].
//!
//! Names and order of the fields are a contract with other tools: fields may be added, but not renamed.
//! Equal results are written as equal text. This module must not know how verdicts are reached, nor how
//! they are rendered.

mod arm;
mod finding;
mod results;
mod row;
mod several_runs;
mod strictness;
mod summary;
mod target;
mod totals;
mod unfollowed;
mod verdict;

pub use crate::results::model::arm::{ArmResult, TrialResult, TrialSignal};
pub use crate::results::model::finding::FindingSummary;
pub use crate::results::model::results::{Results, SCHEMA};
pub use crate::results::model::row::{ClaimResult, RowCost, RowExample, RowResult};
pub use crate::results::model::several_runs::{
    EarlierVerdict, RepeatSummary, RerunRecord, ShardMetadata, VerdictCount, VerdictStability,
};
pub use crate::results::model::strictness::{EndpointStrictness, UnknownKeyReaction};
pub use crate::results::model::summary::{ClaimTally, ResultsSummary, VerdictTally};
pub use crate::results::model::target::{TestedClaims, TestedTarget};
pub use crate::results::model::totals::{CostPerVerdict, RunTotals};
pub use crate::results::model::unfollowed::{UnfollowedInstructions, UnfollowedKind};
pub use crate::results::model::verdict::{BlockingRow, DependencyRole, EvidenceKind, OwnVerdict, Verdict};
