//! [`RunTotals`]: what a run cost.

use serde::{Deserialize, Serialize};

use crate::results::plan_estimate::PlanEstimate;

/// What a run cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunTotals {
    /// Requests, without retries.
    pub requests: u64,
    /// Retries of failed requests.
    pub retries: u64,
    /// Input tokens including cached tokens, as reported in `usage`.
    pub input_tokens: u64,
    /// Output tokens, as reported in `usage`.
    pub output_tokens: u64,
    /// Cost in US dollars; `null` if the prices of the target are unknown.
    pub cost_usd: Option<f64>,
    /// Milliseconds from the first request to the last response.
    pub wall_ms: u64,
    /// The estimate made before the run; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<PlanEstimate>,
}

/// The average cost of a decided row, including the probes of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CostPerVerdict {
    /// Requests, without retries.
    pub requests: f64,
    /// Input tokens.
    pub input_tokens: f64,
}

impl CostPerVerdict {
    /// Divides the totals of a run by the number of decided rows, rounded to two decimals.
    pub fn from_totals(totals: &RunTotals, decided: u64) -> Option<Self> {
        let each = |n: u64| (n as f64 / decided as f64 * 100.0).round() / 100.0;
        (decided > 0).then(|| Self { requests: each(totals.requests), input_tokens: each(totals.input_tokens) })
    }
}
