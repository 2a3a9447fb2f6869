//! Both sides of a gateway at once: the client in front of it, and the upstream behind it.
//!
//! What the one side sends is seen on the other, so a field's fate is not inferred from answers but seen: forwarded,
//! changed, dropped, refused. No model is needed; answers are scripted. Knows cases, the wire, the client and the results
//! model; nobody below the command line knows it.
//!
//! `request` makes requests of rows; `script` and `stream` make answers; `board` is what both sides
//! share, `upstream` the socket; `run` asks. `recording` keeps both sides, and everything after it is pure: `came` and
//! `place` read, `hold` compares, `arrival` and `returned` look at one trial in either direction, `fate` decides over
//! several, `conduct` over all, and `judge` makes results of it.

mod client_response;
mod correlation;
mod default_claims;
mod findings;
mod json_search;
pub mod judge;
mod outcome;
mod request;
mod run;
mod trial_index;
mod upstream;

pub use crate::gateway::default_claims::default_claims;
pub use crate::gateway::judge::{GatewayJudgeError, judge};
pub use crate::gateway::outcome::undetermined::UndeterminedReason;
pub use crate::gateway::run::{
    GatewayEvent, GatewayEventListener, GatewayRunOptions, GatewayRunOutput, MAX_CONCURRENT_REQUESTS, run,
};
