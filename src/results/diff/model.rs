//! The differences between two runs, in the shape of `fieldtest diff --format json`: [`ResultsDiff`].

use serde::{Deserialize, Serialize};

use crate::catalog::{ClaimStatus, Outcome, VerdictStatus};
use crate::checks::CheckSeverity;
use crate::results::gateway::GatewayVerdictKind;
use crate::results::reason::ReasonData;
use crate::string_enum::string_enum;

/// The value of `schema` in every diff of this version.
pub const SCHEMA: &str = "fieldtest-diff/2";

/// The differences between two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ResultsDiff {
    /// Always `fieldtest-diff/2`.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: String,
    /// The earlier run, or the run of the first target.
    pub old: DiffSide,
    /// The later run, or the run of the second target.
    pub new: DiffSide,
    /// Other differences between the runs, such as the model, the API version or missing rows.
    pub notes: Vec<String>,
    /// True if missing rows, changed rows, rows that are no longer decided, and warnings count as regressions.
    pub strict: bool,
    /// The number of changes that are regressions.
    pub regressions: u64,
    /// The rows that differ, by kind of change, then in the order of the tables.
    pub rows: Vec<RowChange>,
    /// The findings that differ.
    pub findings: Vec<FindingChange>,
}

impl ResultsDiff {
    /// True if nothing differs.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.findings.is_empty()
    }

    /// True if the runs are of two targets.
    pub fn is_cross_target(&self) -> bool {
        self.old.target != self.new.target
    }
}

/// One of the two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DiffSide {
    /// The target's name.
    pub target: String,
    /// The requested model.
    pub model: String,
    /// When the run started.
    pub started_at: String,
    /// The number of rows.
    pub rows: u64,
    /// The number of findings.
    pub findings: u64,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RowChange {
    /// The row's id.
    pub row: String,
    /// The kind of change.
    pub kind: RowKind,
    /// The row in the old run; `null` if the old run does not have it.
    pub before: Option<RowState>,
    /// The row in the new run; `null` if the new run does not have it.
    pub after: Option<RowState>,
    /// The reason of the new verdict, or of the old one if the row is gone.
    pub why: String,
    /// The same as data, if the results have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<ReasonData>,
    /// True if the change is a regression.
    pub regression: bool,
}

string_enum! {
    /// The kinds of change of a row.
    pub enum RowKind {
        /// Supported before and no longer, or accepted before and rejected now.
        Lost = "lost",
        /// Decided before and undecided now.
        Undetermined = "undetermined",
        /// Another verdict that is neither better nor worse, or the same verdict with other qualifiers.
        Changed = "changed",
        /// Supported now and not before, or rejected before and accepted now.
        Gained = "gained",
        /// Decided now and undecided before.
        Decided = "decided",
        /// The same verdict with another claim.
        Outcome = "outcome",
        /// The new run does not have the row.
        Removed = "gone",
        /// The old run does not have the row.
        Added = "come",
    }
}

/// A row in one of the runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RowState {
    /// The verdict.
    pub verdict: VerdictStatus,
    /// The strongest verdict that the row could reach.
    pub strongest: VerdictStatus,
    /// The gateway verdict; only in results of `fieldtest gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<GatewayVerdictKind>,
    /// The value that arrived instead of the expected value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Details that the verdict does not express.
    pub qualifiers: Vec<String>,
    /// The claim status; `null` if there is no claim.
    pub claim: Option<ClaimStatus>,
    /// The verdict compared with the claim.
    pub outcome: Outcome,
}

/// A finding that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FindingChange {
    /// The check's id.
    pub check: String,
    /// The kind of change.
    pub kind: FindingKind,
    /// The finding in the old run; `null` if the old run does not have it.
    pub before: Option<FindingState>,
    /// The finding in the new run; `null` if the new run does not have it.
    pub after: Option<FindingState>,
    /// An example, from the new run if possible.
    pub why: String,
    /// True if the change is a regression.
    pub regression: bool,
}

string_enum! {
    /// The kinds of change of a finding.
    pub enum FindingKind {
        /// New: only the new run has it.
        Added = "came",
        /// Much more or much less frequent, or of another severity.
        Changed = "changed",
        /// Fixed: only the old run has it.
        Removed = "went",
    }
}

/// A finding in one of the runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FindingState {
    /// The severity.
    pub severity: CheckSeverity,
    /// The number of responses with the fault.
    pub count: u64,
    /// The class of this number.
    pub class: CountClass,
}

string_enum! {
    /// Classes of counts, since the exact counts differ from run to run.
    pub enum CountClass {
        /// 1 response.
        Once = "once",
        /// 2 to 9 responses.
        Several = "several",
        /// 10 to 99 responses.
        Many = "many",
        /// 100 responses or more.
        Hundreds = "hundreds",
    }
}

impl CountClass {
    /// The class of a count.
    pub fn from_count(count: u64) -> Self {
        match count {
            0 | 1 => Self::Once,
            2..=9 => Self::Several,
            10..=99 => Self::Many,
            100.. => Self::Hundreds,
        }
    }
}
