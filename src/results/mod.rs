pub mod baseline;
mod comparability;
pub mod diff;
pub mod events;
pub mod file_names;
#[cfg(test)]
pub mod fixtures;
pub mod gateway;
pub mod gateway_diff;
pub mod json;
pub mod merge;
pub mod model;
pub mod mutation;
pub mod plan;
pub mod plan_estimate;
pub mod progress;
pub mod redact;
