//! The model of a plan, in the shape of `fieldtest plan --format json`: what a run would send, and what that may cost.
//!
//! Names are a contract with other tools: fields may be added, none renamed. This module must not know how numbers come
//! about.

use schemars::JsonSchema;
use serde::Serialize;

use crate::catalog::TargetPrices;
use crate::results::plan_estimate::{AmountRange, PlanEstimate, RequestRange, TokenRange};

/// The value of `schema` in every plan of this version.
pub const SCHEMA: &str = "fieldtest-plan/1";

/// The plan of a command, with all its targets.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlanReport {
    /// Always `fieldtest-plan/1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// What is assumed where nothing is known.
    pub assumed: PlanAssumptions,
    /// One entry per target.
    pub targets: Vec<TargetPlan>,
    /// How often each target would be run.
    pub runs: u64,
    /// What all runs of all targets come to. Times: of the longest where all goes as expected, since targets are tested side by side;
    /// of all, one after the other, at most.
    pub planned: PlanEstimate,
    /// Whether the whole fits the bounds that were given, one entry each.
    pub fits: Vec<BudgetFit>,
}

/// What is assumed where nothing is known.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlanAssumptions {
    /// Seconds until an answer is there.
    pub seconds_an_answer: f64,
    /// Tokens that the model thinks unasked before each answer.
    pub thinking_tokens: u64,
}

/// The plan of one target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TargetPlan {
    /// The target's name.
    pub name: String,
    /// The model that would be asked for.
    pub model: String,
    /// What a live run would lack of a credential: which variables are not set, for instance. Absent where nothing is
    /// missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_credential: Option<String>,
    /// Requests under way at once.
    pub concurrency: u64,
    /// Requests a minute; absent where nothing limits them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute; absent where nothing limits them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u32>,
    /// US dollars for a million tokens; absent where they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<TargetPrices>,
    /// What every run asks before any row, and whether the endpoint is still there where answers fail to come.
    pub first: PlanEstimate,
    /// The rows, in order.
    pub rows: Vec<PlannedRow>,
    /// What one run comes to.
    pub planned: PlanEstimate,
    /// The number of rows without an estimate, for example rows of other case files. The plan
    /// expects their minimum.
    pub rows_without_estimate: u64,
}

/// What a row would send. A request that several rows need stands with the first of them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlannedRow {
    /// The row's id.
    pub id: String,
    /// Its section.
    pub section: String,
    /// Requests.
    pub requests: RequestRange,
    /// Input tokens.
    pub input_tokens: TokenRange,
    /// Output tokens.
    pub output_tokens: TokenRange,
    /// US dollars; absent where no prices are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<AmountRange>,
    /// Its arms.
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

/// What an arm would send.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlannedArm {
    /// The arm, with its variant.
    pub name: String,
    /// The arm of another row whose requests serve this one too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_with: Option<String>,
    /// The most requests; those that are shared are counted where they are sent.
    pub requests: u64,
    /// The most input tokens of one request.
    pub input_tokens: u64,
    /// The most output tokens of one request.
    pub output_tokens: u64,
}

/// Whether a run fits a bound.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BudgetFit {
    /// The option that sets the bound.
    pub bound: String,
    /// The bound.
    pub limit: f64,
    /// How a run fares with it.
    pub fits: FitStatus,
}

/// How a run fares with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FitStatus {
    /// It fits whatever is answered, retries apart.
    Always,
    /// It fits where all goes as expected.
    Expected,
    /// It would stop before the end.
    No,
    /// Not known: no simulation was made.
    Unknown,
}

impl FitStatus {
    /// Holds numbers against a bound.
    pub fn from_estimate(limit: f64, expected: Option<f64>, max: f64) -> Self {
        match expected {
            _ if max <= limit => Self::Always,
            None => Self::Unknown,
            Some(expected) if expected <= limit => Self::Expected,
            Some(_) => Self::No,
        }
    }
}

/// The JSON Schema of plans.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(PlanReport).to_value()
}

/// As JSON.
///
/// # Errors
///
/// Where a number is none that JSON has.
pub fn to_json(plan: &PlanReport) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(plan)
}

pub use crate::report::terminal::plan::render as terminal;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_kept_always_as_expected_or_not() {
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
