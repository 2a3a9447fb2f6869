//! A Messages API on loopback that behaves as a target's claims say.
//!
//! A fully supporting reference server with a filter in front of it: what is `unsupported` is refused with a 400 that
//! names the place, what is `ignored` is taken out before the model sees the request. The model is a small reader
//! that answers from what it can see. Knobs make the server as bad as reality.
//!
//! It must not know the experiments: it reads requests, as a server does. It knows targets' claims (`case`) and
//! nothing of engines, clients or reports.
//!
//! A request passes through `server` (sockets, bodies, faults) and `route`, then the stages that `service` puts in order:
//! `gate` (credentials, headers), `added` (fields that only the caller knows), `presence` (what is unsupported), `check`
//! (what is invalid), `strip` (what is ignored), `view` (what is left to see), `reader` (the model), `answer` and `stream`
//! (what goes back, at the `pace` of a model). `models` is the catalogue. `fault` spoils what is to break the protocol;
//! faults of conduct act where the thing happens, and `blind` and `twist` hold those that keep something from the model
//! or change its answer. `ledger` keeps what the filter acted on, for whoever must know that it did.

mod activity_log;
mod api_error;
mod config;
mod content_block;
mod custom_field;
mod error_path;
mod fault;
mod fields;
mod hash;
mod headers;
mod media;
mod model;
mod models;
mod pipeline;
mod prompt;
mod prompt_cache;
mod rate_limit;
mod response;
mod rng;
mod route;
mod server;
mod sse;
mod stream_timing;
mod support;
mod thinking_signature;
mod tokenizer;
mod validate;

pub use crate::simulator::activity_log::FieldActivity;
pub use crate::simulator::config::{
    DEFAULT_CREDENTIAL, DisobedienceDrift, SimulatorConfig, SimulatorImpairments, UnknownRow,
};
pub use crate::simulator::fault::{SimulatorFault, UnknownFault};
pub use crate::simulator::fields::row::ROW_IDS;
pub use crate::simulator::rate_limit::RequestCounts;
pub use crate::simulator::server::{RunningSimulator, serve, start};
