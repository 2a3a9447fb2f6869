//! Decides rows: which requests an experiment needs, and what their responses prove.
//!
//! `request` builds requests, `rules` reaches verdicts, `dependencies` finds the rows that block others, `run` sends
//! requests to an endpoint, `plan` estimates a run, and `judge` makes results from a recording. Everything except `run` is pure.
//! The engine must not know which endpoint it talks to.

mod dependencies;
#[cfg(test)]
mod fixtures;
mod inconclusive;
pub(crate) mod instructions;
pub mod judge;
pub mod plan;
mod predicate;
pub(crate) mod probes;
mod rejection;
mod request;
mod response_sign;
mod rules;
pub mod run;
pub mod selection;
mod shard;
mod trial;
mod trouble;
pub mod unconfirmed;

pub use crate::engine::dependencies::RowDependencies;
pub use crate::engine::inconclusive::InconclusiveReason;
pub use crate::engine::judge::{JudgeError, judge};
pub use crate::engine::plan::{PlanInput, RateAssumptions, RunPlan, note_remaining_work, plan_run};
pub use crate::engine::request::places::carried_rows;
pub use crate::engine::run::in_memory::{run_in_memory, run_selection_in_memory};
pub use crate::engine::run::replay::{ReplayError, replay};
pub use crate::engine::run::{FinishedRun, RunOptions, StopSignal, charge_recording, resume, run, run_selection};
pub use crate::engine::selection::RowSelection;
pub use crate::engine::shard::ShardSpec;
