//! [`Verdict`]: what the endpoint did with a row, why, and the rows that prevent a decision.

use serde::{Deserialize, Serialize};

use crate::catalog::{ClaimStatus, Outcome, VerdictStatus};
use crate::results::reason::ReasonData;
use crate::string_enum::string_enum;

/// What the endpoint did with a row, and how certain that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verdict {
    /// The status.
    pub status: VerdictStatus,
    /// The strongest status that the row can reach, in the way in which it was decided. It meets a
    /// claim of `supported`.
    #[serde(default = "supported")]
    pub strongest: VerdictStatus,
    /// The reason, in one sentence. Tools should read `because`.
    pub reason: String,
    /// The reason as data: a kind with its parameters. Absent in results of version 1 and in results
    /// without content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<ReasonData>,
    /// Why the row is inconclusive or skipped: a code from a closed set; `null` for decided rows.
    pub code: Option<String>,
    /// The confidence of a statistical verdict; `null` for any other verdict.
    pub confidence: Option<f64>,
    /// The kind of evidence that decided the row; `null` for undecided rows.
    pub evidence: Option<EvidenceKind>,
    /// Details that the status does not express.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualifiers: Vec<String>,
    /// The rows that prevent a decision (code `blocked`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<BlockingRow>,
    /// The verdict of the row by itself, if other rows prevent a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_itself: Option<Box<OwnVerdict>>,
}

impl Verdict {
    /// A verdict without code, evidence and details.
    pub fn new(status: VerdictStatus, because: impl Into<ReasonData>) -> Self {
        let because = because.into();
        Self {
            status,
            strongest: VerdictStatus::Supported,
            reason: because.to_string(),
            because: Some(because),
            code: None,
            confidence: None,
            evidence: None,
            qualifiers: Vec::new(),
            blocked_by: Vec::new(),
            by_itself: None,
        }
    }

    /// The reason as data. For results of version 1, it is the sentence.
    pub fn because(&self) -> ReasonData {
        self.because.clone().unwrap_or_else(|| self.reason.as_str().into())
    }

    /// Sets the reason and its sentence.
    pub fn set_reason(&mut self, because: ReasonData) {
        self.reason = because.to_string();
        self.because = Some(because);
    }

    /// Compares this verdict with a claim.
    pub fn compare_with(&self, claim: Option<ClaimStatus>) -> Outcome {
        Outcome::compare(claim, self.status, self.strongest)
    }

    /// True if the row reached the strongest status that it can reach.
    pub fn is_strongest(&self) -> bool {
        self.status.is_positive() && self.status.strength() >= self.strongest.strength()
    }
}

fn supported() -> VerdictStatus {
    VerdictStatus::Supported
}

/// A row that prevents a decision about another row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlockingRow {
    /// The id of the row.
    pub row: String,
    /// Its status.
    pub status: VerdictStatus,
    /// How the blocked row uses its field.
    pub role: DependencyRole,
    /// The variant of the blocked row that uses the field; absent if all of them do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The row where the chain of blocked rows begins: the cause to repair.
    pub root: String,
}

string_enum! {
    /// How a row uses the field of another row.
    pub enum DependencyRole {
        /// Both rows are about the same field.
        Same = "same",
        /// The field of the row is a part of the other field.
        PartOf = "part_of",
        /// The row reads its evidence from a response that needs the other field.
        Reads = "reads",
        /// The request with the field of the row also has the other field, and its control does not.
        Beside = "beside",
        /// The request and its control both have the other field.
        Shared = "shared",
    }
}

/// The verdict that a blocked row would have by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnVerdict {
    /// The status.
    pub status: VerdictStatus,
    /// The reason, in one sentence.
    pub reason: String,
}

string_enum! {
    /// The kinds of evidence that decide a row.
    pub enum EvidenceKind {
        /// The effect of the field appeared, or did not appear although it could.
        Effect = "effect",
        /// The token counts of the endpoint changed, or did not change.
        UsageMeter = "usage_meter",
        /// An invalid value was rejected, or accepted like a valid one.
        Validated = "validated",
        /// The request was accepted, and nothing else was looked for.
        Accepted = "accepted",
        /// The request was rejected with the field and accepted without it.
        Refusal = "refusal",
        /// The request with the field causes the same server error every time, and the request without
        /// it does not.
        ServerError = "server_error",
        /// Two samples of responses differ, or do not differ.
        Distribution = "distribution",
        /// The response is, or is not, as documented for such a request.
        Reply = "reply",
        /// The responses to two requests agree or differ as expected.
        Comparison = "comparison",
        /// Both sides of a gateway were observed.
        Seen = "seen",
    }
}
