//! `fieldtest` tells, by black-box experiment, how faithfully an endpoint implements the Anthropic Messages API.

pub mod case;
pub mod cli;
pub mod client;
pub mod engine;
pub mod gateway;
mod line;
pub mod proof;
pub mod report;
pub mod simulator;
pub mod wire;
