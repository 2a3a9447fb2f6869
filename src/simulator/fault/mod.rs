//! Faults on request: each fault of [`SimulatorFault`] makes every response that it can affect
//! break one rule.
//!
//! Protocol faults change finished responses, after the pipeline decided what to support: first the
//! message and its content type, then the events of a stream, then bytes and headers. Faults of
//! behaviour act where the behaviour is implemented; [`prompt`], [`response`] and `rejections` hold
//! the larger ones.
//!
//! This folder must not know the passive checks that find these faults.

mod apply;
mod bytes;
pub(super) mod catalog;
mod content_type;
pub(super) mod error;
mod headers;
mod message;
pub(super) mod prompt;
mod rejections;
pub(super) mod response;
mod stream;

pub(super) use crate::simulator::fault::apply::{
    apply_to_body, apply_to_error, apply_to_headers, apply_to_response, apply_to_stream, apply_to_stream_bytes,
};
pub(super) use crate::simulator::fault::catalog::BehaviourFault;
pub use crate::simulator::fault::catalog::{SimulatorFault, UnknownFault};
