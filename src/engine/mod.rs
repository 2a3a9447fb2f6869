//! Deciding rows: which requests an experiment needs, and what their answers prove.
//!
//! Pure but for `run`, which talks to an `Endpoint`. Knows cases, the wire and the client; of reports it knows the
//! results model alone, which it fills. It must not know what it talks to.

mod inconclusive;
pub mod judge;
pub mod plan;
mod predicate;
pub mod request;
pub mod rules;
pub mod run;
mod shard;
mod trial;

pub use crate::client::{Budget, BudgetLimits};
pub use crate::engine::inconclusive::InconclusiveReason;
pub use crate::engine::judge::{JudgeError, judge};
pub use crate::engine::plan::{PlanInput, RateAssumptions, RunPlan, plan_run};
pub use crate::engine::run::replay::{ReplayError, replay};
pub use crate::engine::run::{
    FinishedRun, RunEvent, RunListener, RunOptions, StopSignal, charge_recording, resume, run, run_subset,
};
pub use crate::engine::shard::ShardSpec;
pub use crate::recording::answered::AnsweredExchanges;
pub use crate::recording::in_memory::{RecordingListener, run_in_memory};
pub use crate::wire::curl::API_KEY_VARIABLE as CURL_VARIABLE;
