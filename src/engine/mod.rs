//! Deciding rows: which requests an experiment needs, and what their answers prove.
//!
//! Pure but for `run`, which talks to an `Endpoint`. Knows cases, the wire and the client; of reports it knows the
//! results model alone, which it fills. It must not know what it talks to.

mod answer_rule;
mod arms;
pub mod build;
mod compare;
pub mod decide;
mod dialogue;
mod draw;
mod effect;
mod effect_rule;
pub mod expected;
mod findings;
mod judge;
mod kept;
mod known;
mod media;
mod memory;
mod meter;
mod places;
mod plan;
mod probes;
pub mod recording;
mod replay;
mod run;
pub mod scope;
mod sequential;
mod shard;
mod spread;
mod stored;
pub mod texts;
mod trial;
mod turns;
mod undecided;
mod validation;

pub use crate::client::{Bounds, Budget};
pub use crate::wire::curl::VARIABLE as CURL_VARIABLE;
pub use judge::{JudgeError, judge};
pub use known::Known;
pub use memory::{Memory, record};
pub use plan::{Basis, Pace, Plan, plan};
pub use replay::{ReplayError, replay};
pub use run::{Event, Finished, Listener, Options, Stop, book, resume, run, run_named};
pub use shard::Part;
pub use undecided::Undecided;
