//! Compares a gateway with its upstream: [`compare`] makes a [`GatewayComparison`] of their results.
//!
//! Pure. A problem of the upstream is never attributed to the gateway, and only a difference that appears
//! twice is attributed at all. This module must not know how requests are sent.

mod compute;
mod model;
#[cfg(test)]
mod tests;

pub use crate::results::gateway_diff::compute::{ResultsPair, compare, rows_to_confirm};
pub use crate::results::gateway_diff::model::{
    AttributionCounts, ComparedFinding, ComparedRow, ConfirmationResult, GatewayAttribution, GatewayComparison, SCHEMA,
    SideSummary, SideVerdict,
};
