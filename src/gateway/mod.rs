//! Tests a gateway from both sides: as its client, and as its upstream.
//!
//! What one side sends is compared with what arrives on the other side. The result for a field is
//! therefore observed and not inferred. No model is needed: the responses are scripted. This module
//! may know cases, the wire, the client and the results model. Only the command line knows it.
//!
//! `request` builds the requests of rows, and `upstream` the responses. Both sides share the state
//! in `correlation`. [`run()`] sends the requests. Everything after the recording is pure:
//! `client_response` and `json_search` read, `trial_index` arranges, `outcome` decides, and
//! [`judge()`] builds the results.

mod client_response;
mod concurrent_batch;
mod correlation;
mod default_claims;
mod findings;
mod json_search;
mod judge;
mod outcome;
mod request;
mod run;
mod trial_index;
mod upstream;
mod verdict;

pub use crate::gateway::default_claims::default_claims;
pub use crate::gateway::judge::{GatewayJudgeError, judge};
pub use crate::gateway::outcome::undetermined::UndeterminedReason;
pub use crate::gateway::run::{
    GatewayEvent, GatewayEventListener, GatewayRunOptions, GatewayRunOutput, MAX_CONCURRENT_REQUESTS, run,
};
