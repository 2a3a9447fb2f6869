//! From options and target files to the endpoints that a command tests.

pub mod build;
pub mod credential;
pub mod gateway_claims;
mod list;
pub mod model;
pub mod resolve;
