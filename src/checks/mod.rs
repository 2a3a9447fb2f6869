//! Passive checks: [`check_exchange`] tests an exchange against the rules of the protocol.
//!
//! Pure: it takes an exchange and returns findings. [`check_across`] compares the responses of one
//! run with each other. A check looks at every attempt, sends no request, and never decides a row.
//! It must not know experiments or targets. Additions (unknown keys, events, blocks) are only
//! notes, because clients must ignore them.

mod catalog;
mod collector;
mod cross_response;
mod error;
mod error_leak;
mod event_sequence;
mod exchange;
mod http;
mod input_schema;
mod message;
mod sse;
#[cfg(test)]
mod tests;
mod timing;
mod tool;
mod usage;

pub use crate::checks::catalog::{CheckDescription, CheckSeverity, ProtocolCheck, SpecDocument};
pub use crate::checks::collector::Finding;
pub use crate::checks::cross_response::{CheckedResponse, check_across};
pub use crate::checks::exchange::{CheckedExchange, check_exchange};
