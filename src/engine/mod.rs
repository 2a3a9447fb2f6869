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

pub use crate::client::{Bounds, Budget};
pub use crate::engine::inconclusive::Undecided;
pub use crate::engine::judge::{JudgeError, judge};
pub use crate::engine::plan::{Basis, Pace, Plan, plan};
pub use crate::engine::run::replay::{ReplayError, replay};
pub use crate::engine::run::{Event, Finished, Listener, Options, Stop, book, resume, run, run_named};
pub use crate::engine::shard::Part;
pub use crate::recording::answered::Known;
pub use crate::recording::in_memory::{Memory, record};
pub use crate::wire::curl::VARIABLE as CURL_VARIABLE;
