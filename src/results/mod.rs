//! Results of runs as data: the model, its files, and comparisons of several results.
//!
//! [`model`] has the shape of `results-<target>.json`; every other part adds to it or compares it.
//! Everything here is pure. This folder must not know how verdicts are reached, nor how they are
//! rendered.

pub mod additions;
pub mod baseline;
pub mod cause;
mod comparability;
pub(crate) mod compare;
pub mod diff;
pub mod events;
pub mod file_names;
pub mod findings;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod format;
pub mod gateway;
pub mod gateway_diff;
pub mod json;
pub mod merge;
mod migrate;
pub mod model;
pub mod mutation;
pub mod plan;
pub mod plan_estimate;
pub mod progress;
pub mod reason;
mod reason_parameters;
pub mod redact;
pub(crate) mod shared_causes;
