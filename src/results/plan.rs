//! The plan of a run, in the shape of `fieldtest plan --format json`: [`PlanReport`].
//!
//! Names are a contract with other tools: fields may be added, but not renamed. This module must
//! not know how the numbers are computed.

use serde::Serialize;

use crate::catalog::TargetPrices;
use crate::results::plan_estimate::{AmountRange, PlanEstimate, RequestRange, TokenRange};
use crate::string_enum::string_enum;

/// The value of `schema` in every plan of this version.
pub const SCHEMA: &str = "fieldtest-plan/1";

/// The plan of a run with all its targets: requests, tokens, cost and time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlanReport {
    /// Always `fieldtest-plan/1`.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: String,
    /// The assumptions about the endpoint and the model.
    pub assumed: PlanAssumptions,
    /// One entry per target.
    pub targets: Vec<TargetPlan>,
    /// The number of runs of each target.
    pub runs: u64,
    /// The sum over all runs of all targets. The expected time is the time of the longest target,
    /// since targets run in parallel; the maximum time is the sum.
    pub planned: PlanEstimate,
    /// Whether the plan fits each given budget.
    pub fits: Vec<BudgetFit>,
}

/// The assumptions about the endpoint and the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlanAssumptions {
    /// Seconds until a response is complete.
    pub seconds_an_answer: f64,
    /// Thinking tokens before each response that the request does not ask for.
    pub thinking_tokens: u64,
}

/// The plan of one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TargetPlan {
    /// The target's name.
    pub name: String,
    /// The requested model.
    pub model: String,
    /// The missing credential of a live run, such as variables that are not set; absent if nothing
    /// is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_credential: Option<String>,
    /// The number of concurrent requests.
    pub concurrency: u64,
    /// The limit of requests per minute; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// The limit of tokens per minute; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u32>,
    /// Prices in US dollars per million tokens; absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<TargetPrices>,
    /// The probes before the first row, and the checks whether an endpoint that stops responding is
    /// alive.
    pub first: PlanEstimate,
    /// The rows, in order.
    pub rows: Vec<PlannedRow>,
    /// The sum over one run.
    pub planned: PlanEstimate,
    /// The number of rows without an estimate, for example rows of other case files. The plan
    /// expects their minimum.
    pub rows_without_estimate: u64,
}

/// The plan of one row. A request that several rows share counts for the first of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlannedRow {
    /// The row's id.
    pub id: String,
    /// The section of the tables that has the row.
    pub section: String,
    /// Requests.
    pub requests: RequestRange,
    /// Input tokens.
    pub input_tokens: TokenRange,
    /// Output tokens.
    pub output_tokens: TokenRange,
    /// Cost in US dollars; absent if the prices are unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<AmountRange>,
    /// The arms of the row.
    pub arms: Vec<PlannedArm>,
}

impl From<&PlannedRow> for PlanEstimate {
    /// The figures of the row, without a time.
    fn from(row: &PlannedRow) -> Self {
        Self {
            requests: row.requests,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cost_usd: row.cost_usd,
            seconds: AmountRange { expected: Some(0.0), max: 0.0 },
        }
    }
}

/// The plan of one arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlannedArm {
    /// The name of the arm, with the variant.
    pub name: String,
    /// The arm of another row whose requests this arm uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_with: Option<String>,
    /// The maximum number of requests. Shared requests count for the arm that sends them.
    pub requests: u64,
    /// The maximum number of input tokens of one request.
    pub input_tokens: u64,
    /// The maximum number of output tokens of one request.
    pub output_tokens: u64,
}

/// Whether the plan fits a budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BudgetFit {
    /// The option that sets the budget.
    pub bound: String,
    /// The budget.
    pub limit: f64,
    /// Whether the plan fits.
    pub fits: FitStatus,
}

string_enum! {
    /// Whether a plan fits a budget.
    pub enum FitStatus {
        /// The run fits for any responses, apart from retries.
        Always = "always",
        /// The run fits if it goes as expected.
        Expected = "expected",
        /// The run would stop before the end.
        No = "no",
        /// Unknown: there is no estimate.
        Unknown = "unknown",
    }
}

impl FitStatus {
    /// Compares an estimate with a budget.
    pub fn from_estimate(limit: f64, expected: Option<f64>, max: f64) -> Self {
        match expected {
            _ if max <= limit => Self::Always,
            None => Self::Unknown,
            Some(expected) if expected <= limit => Self::Expected,
            Some(_) => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_fits_always_or_as_expected_or_not() {
        for (limit, expected, fit) in [
            (100.0, Some(50.0), FitStatus::Always),
            (99.0, Some(50.0), FitStatus::Expected),
            (50.0, Some(50.0), FitStatus::Expected),
            (49.0, Some(50.0), FitStatus::No),
            (49.0, None, FitStatus::Unknown),
            (100.0, None, FitStatus::Always),
        ] {
            assert_eq!(FitStatus::from_estimate(limit, expected, 100.0), fit, "{limit}");
        }
    }
}
