//! A Messages API on loopback that behaves as a target's claims say: [`start`] and [`serve`].
//!
//! It is a reference server that supports everything, with a support table in front: `unsupported`
//! fields get a 400 that names their place, and `ignored` fields are removed before the model sees
//! the request. The model is a small reader that answers from the prompt. [`SimulatorImpairments`]
//! add the errors, delays and limits of real servers.
//!
//! It must not know the experiments, the engine, clients or reports: it reads requests as any
//! server does. It knows the claims of targets (`catalog`).
//!
//! A request passes through `server` (sockets, bodies) and `route`, then through the stages of
//! `pipeline`: `custom_field` (fields that only the caller knows), `headers` (credential, API
//! version), `fields::find` (unsupported rows), `validate` (invalid values), `fields::remove`
//! (ignored rows), `prompt` (what remains for the model), `model`, `response`, and `sse` with its
//! `stream_timing`. `models` is the model list. `fault` breaks rules on request, and `activity_log`
//! records the rows that the server acted on.

mod activity_log;
mod api_error;
mod config;
mod content_block;
mod context_edits;
mod custom_field;
mod error_path;
mod fault;
mod fields;
mod hash;
mod headers;
mod media;
mod model;
mod models;
mod outgoing;
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
mod trouble;
mod validate;

pub use crate::simulator::activity_log::FieldActivity;
pub use crate::simulator::config::{
    DEFAULT_CREDENTIAL, DisobedienceDrift, SimulatedTrouble, SimulatedTroubleKind, SimulatorConfig,
    SimulatorImpairments, UnknownRow,
};
pub use crate::simulator::fault::{SimulatorFault, UnknownFault};
pub use crate::simulator::fields::row::ROW_IDS;
pub use crate::simulator::rate_limit::RequestCounts;
pub use crate::simulator::server::{RunningSimulator, serve, start};
