//! [`ResultsSummary`]: the number of rows with each outcome and each kind of verdict.

use serde::{Deserialize, Serialize};

use crate::catalog::{Outcome, VerdictStatus};
use crate::results::model::row::RowResult;

/// The number of rows with each outcome and each kind of verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ResultsSummary {
    /// All rows of the run.
    pub rows: u64,
    /// Decided rows: all but the inconclusive and the skipped ones.
    pub decided: u64,
    /// Inconclusive rows: the evidence does not decide.
    pub inconclusive: u64,
    /// Skipped rows: not run, or not completely.
    pub skipped: u64,
    /// Rows whose verdict matches the claim.
    pub conforms: u64,
    /// Conforming rows that are claimed unsupported and ignored without an error.
    pub silent: u64,
    /// Rows where the endpoint does more than claimed.
    pub exceeds: u64,
    /// Rows where the endpoint does not do what is claimed.
    pub contradicts: u64,
    /// Rows with a claim and without a decision.
    pub undetermined: u64,
    /// Rows without a claim.
    pub unclaimed: u64,
    /// Inconclusive rows that other rows block.
    #[serde(default)]
    pub blocked: u64,
    /// Inconclusive rows that need a model, at an endpoint that follows no instruction.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub needs_model: u64,
    /// The number of decided rows with each verdict.
    #[serde(default)]
    pub verdicts: VerdictTally,
    /// The claims of `supported` that conform, by the verdict that meets them.
    #[serde(default)]
    pub met_by: ClaimTally,
}

/// The number of decided rows with each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VerdictTally {
    /// Supported rows.
    pub supported: u64,
    /// Validated rows.
    pub validated: u64,
    /// Accepted rows.
    pub accepted: u64,
    /// Ignored rows.
    pub ignored: u64,
    /// Rejected rows.
    pub rejected: u64,
    /// Substituted rows.
    pub substituted: u64,
}

/// The claims of `supported` that conform, by the verdict that meets them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClaimTally {
    /// Claims whose effect was observed: the claim is proven.
    pub supported: u64,
    /// Claims of which only the validation was observed.
    pub validated: u64,
    /// Claims of which only the acceptance was observed.
    pub accepted: u64,
}

impl ResultsSummary {
    /// Counts the rows.
    pub fn from_rows(rows: &[RowResult]) -> Self {
        let mut summary = Self { rows: rows.len() as u64, ..Self::default() };
        for row in rows {
            let (verdicts, met_by) = (&mut summary.verdicts, &mut summary.met_by);
            match row.verdict.status {
                VerdictStatus::Supported => verdicts.supported += 1,
                VerdictStatus::Validated => verdicts.validated += 1,
                VerdictStatus::Accepted => verdicts.accepted += 1,
                VerdictStatus::Ignored => verdicts.ignored += 1,
                VerdictStatus::Rejected => verdicts.rejected += 1,
                VerdictStatus::Substituted => verdicts.substituted += 1,
                VerdictStatus::Inconclusive => summary.inconclusive += 1,
                VerdictStatus::Skipped => summary.skipped += 1,
            }
            summary.decided += u64::from(row.verdict.status.is_decided());
            summary.blocked += u64::from(row.verdict.code.as_deref() == Some("blocked"));
            summary.needs_model += u64::from(row.verdict.code.as_deref() == Some("needs-a-model"));
            match row.met_by() {
                Some(VerdictStatus::Supported) => met_by.supported += 1,
                Some(VerdictStatus::Validated) => met_by.validated += 1,
                Some(_) => met_by.accepted += 1,
                None => {}
            }
            match row.outcome {
                Outcome::Conforms => summary.conforms += 1,
                Outcome::Exceeds => summary.exceeds += 1,
                Outcome::Contradicts => summary.contradicts += 1,
                Outcome::Undetermined => summary.undetermined += 1,
                Outcome::Unclaimed => summary.unclaimed += 1,
            }
            summary.silent += u64::from(row.silent);
        }
        summary
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}
