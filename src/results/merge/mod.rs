//! Merges several results into one: the shards of a plan ([`merge_shards`]), a run and its rerun
//! ([`merge_rerun`]), or repeated runs ([`RepeatMerger`]).
//!
//! Pure. Verdicts stay as they are and counts are added. Results that do not belong together are rejected
//! with the difference.

mod repeats;
mod rerun;
mod shards;
#[cfg(test)]
mod tests;
mod totals;

pub use crate::results::merge::repeats::RepeatMerger;
pub use crate::results::merge::rerun::{RunMismatch, is_flaky, merge_rerun, rows_to_rerun, verify_compatible};
pub use crate::results::merge::shards::{MergeError, MergedShards, merge_shards};
pub(super) use crate::results::merge::totals::merge_findings;
