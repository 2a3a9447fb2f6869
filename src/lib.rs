//! `fieldtest` tests whether an endpoint implements the Anthropic Messages API as its support table claims.

pub mod catalog;
pub mod checks;
pub mod cli;
pub mod client;
pub mod engine;
pub mod gateway;
mod loopback;
pub mod mutation;
#[cfg(test)]
mod published_schemas;
pub mod recording;
pub mod redact;
pub mod report;
pub mod results;
pub mod simulator;
mod string_enum;
mod variables;
pub mod wire;
