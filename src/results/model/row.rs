//! [`RowResult`]: one row of the matrix, with its claim, verdict, cost and example.

use serde::{Deserialize, Serialize};

use crate::catalog::{Claim, ClaimStatus, ClaimedRange, Outcome, SourceSureness, VerdictStatus, is_silent};
use crate::results::cause::VerdictCause;
use crate::results::gateway::GatewayVerdict;
use crate::results::model::arm::ArmResult;
use crate::results::model::several_runs::{EarlierVerdict, VerdictStability};
use crate::results::model::verdict::Verdict;

/// One row of the matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RowResult {
    /// The stable id of the row, such as `field.top_k`.
    pub id: String,
    /// The section of the tables that has the row.
    pub section: String,
    /// The title of the row in the tables.
    pub title: String,
    /// The claim; `null` if the documents say nothing about the row.
    pub claim: Option<ClaimResult>,
    /// What the endpoint did.
    pub verdict: Verdict,
    /// What the gateway did with the field; only in results of `fieldtest gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<GatewayVerdict>,
    /// The one cause behind this verdict and those of other rows; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<VerdictCause>,
    /// The verdict compared with the claim.
    pub outcome: Outcome,
    /// True if the field is claimed unsupported and ignored without an error.
    pub silent: bool,
    /// The cost of this row. A request that several rows share counts for the first of them.
    pub cost: RowCost,
    /// The arms that were sent, with counts of their trials.
    pub arms: Vec<ArmResult>,
    /// The ids of the checks that found protocol faults in the exchanges of this row.
    pub findings: Vec<String>,
    /// The smallest request that shows the verdict, with its response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<RowExample>,
    /// The verdicts of earlier runs of this row, oldest first; only if the row was rerun.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierVerdict>,
    /// The verdicts in repeated runs; only with `--repeat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<VerdictStability>,
}

impl RowResult {
    /// The word for the verdict: the gateway verdict if there is one.
    pub fn verdict_label(&self) -> &'static str {
        self.fate.as_ref().map_or(self.verdict.status.as_str(), |fate| fate.kind.as_str())
    }

    /// The verdict that meets a claim of `supported`; `None` if there is no such claim, or if it is
    /// not met.
    pub fn met_by(&self) -> Option<VerdictStatus> {
        let is_met = self.claim.as_ref().is_some_and(|claim| claim.status == ClaimStatus::Supported)
            && self.outcome == Outcome::Conforms;
        is_met.then_some(self.verdict.status)
    }

    /// True if a claim of `supported` is met by a verdict without an effect.
    pub fn lacks_effect(&self) -> bool {
        self.met_by().is_some_and(|status| status != VerdictStatus::Supported)
    }

    /// The qualifier of a field that is supported, but not as documented.
    pub(crate) fn alteration(&self) -> Option<&str> {
        self.verdict.qualifiers.iter().map(String::as_str).find(|qualifier| qualifier.starts_with("altered"))
    }
}

impl RowResult {
    /// The result of a row without arms, findings and example.
    pub fn new(id: &str, section: &str, title: &str, claim: Option<&Claim>, verdict: Verdict) -> Self {
        let status = claim.map(|claim| claim.status);
        Self {
            id: id.to_owned(),
            section: section.to_owned(),
            title: title.to_owned(),
            claim: claim.map(ClaimResult::from),
            outcome: verdict.compare_with(status),
            fate: None,
            cause: None,
            silent: is_silent(status, verdict.status),
            verdict,
            cost: RowCost::default(),
            arms: Vec::new(),
            findings: Vec::new(),
            example: None,
            earlier: Vec::new(),
            stability: None,
        }
    }
}

/// A claim about one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClaimResult {
    /// The claim status.
    pub status: ClaimStatus,
    /// The wording of the document, if it says more than the status.
    pub note: Option<String>,
    /// What is missing or different, for a claim of `partial`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// The claimed range, for fields with a numeric value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ClaimedRange>,
    /// The allowed values, if the document lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The title of the document, if it is not the first one of the claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How well the claim is known, if not as well as its document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sureness: Option<SourceSureness>,
}

impl ClaimResult {
    /// A claim with a status and nothing else.
    pub fn new(status: ClaimStatus) -> Self {
        Self::from(&Claim::new(status))
    }
}

impl From<&Claim> for ClaimResult {
    fn from(claim: &Claim) -> Self {
        Self {
            status: claim.status,
            note: claim.note.clone(),
            missing: claim.missing.clone(),
            range: claim.range,
            values: claim.values.clone(),
            source: claim.source.clone(),
            sureness: claim.sureness,
        }
    }
}

/// The cost of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RowCost {
    /// Requests, without retries.
    pub requests: u64,
    /// Input tokens, including cached tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
}

/// A request as a command, with its response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RowExample {
    /// The arm that the request belongs to.
    pub arm: String,
    /// A curl command. It reads the credential from an environment variable.
    pub curl: String,
    /// The HTTP status, or the failure if there is no response.
    pub status: String,
    /// The beginning of the response body.
    pub answer: String,
}
