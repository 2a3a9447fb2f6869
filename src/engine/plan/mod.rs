//! [`plan_run`]: estimates the requests and tokens of a run before anything is sent.
//!
//! The minimum and the maximum are bounds that hold for any responses. The expected figures come
//! from `cases/estimates.json`. This folder must not send anything, and must not know how rows are
//! run.

mod arm_cost;
pub(crate) mod cost;
pub mod estimate;
mod rate_assumptions;
mod remaining;
mod run_plan;
#[cfg(test)]
mod tests;

pub use crate::engine::plan::rate_assumptions::RateAssumptions;
pub use crate::engine::plan::remaining::note_remaining_work;
pub use crate::engine::plan::run_plan::{PlanInput, RunPlan, plan_run};
