//! A difference as data: what `fieldtest diff --format json` prints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{ClaimStatus, Outcome, VerdictStatus};
use crate::checks::CheckSeverity;
use crate::results::gateway::GatewayVerdictKind;
use crate::string_enum::string_enum;

/// The value of `schema` in every difference of this version.
pub const SCHEMA: &str = "fieldtest-diff/1";

/// What differs between two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultsDiff {
    /// Always `fieldtest-diff/1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The run that was compared with.
    pub old: DiffSide,
    /// The run that was compared.
    pub new: DiffSide,
    /// What a reader must know before comparing: another model, another contract, rows that are missing.
    pub notes: Vec<String>,
    /// True where rows that are no longer decided or no longer there, changed rows and warnings count as regressions.
    pub strict: bool,
    /// How many of the changes are regressions.
    pub regressions: u64,
    /// The rows that differ: what was lost first, and in the order of the tables within a kind.
    pub rows: Vec<RowChange>,
    /// The findings that differ.
    pub findings: Vec<FindingChange>,
}

impl ResultsDiff {
    /// True where nothing differs.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.findings.is_empty()
    }

    /// True where the runs are of two targets.
    pub fn is_cross_target(&self) -> bool {
        self.old.target != self.new.target
    }
}

/// One of the two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffSide {
    /// The target's name.
    pub target: String,
    /// The model that was asked for.
    pub model: String,
    /// When the run began.
    pub started_at: String,
    /// How many rows it has.
    pub rows: u64,
    /// How many findings it has.
    pub findings: u64,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowChange {
    /// The row's id.
    pub row: String,
    /// What became of it.
    pub kind: RowKind,
    /// How it was; `null` where the old run has no such row.
    pub before: Option<RowState>,
    /// How it is; `null` where the new run has no such row.
    pub after: Option<RowState>,
    /// The reason of the new verdict; of the old one, where the row is gone.
    pub why: String,
    /// True where it counts as a regression.
    pub regression: bool,
}

string_enum! {
    /// What became of a row.
    pub enum RowKind {
        /// Honoured before and not now, or accepted before and refused now.
        Lost = "lost",
        /// Decided before, and not now.
        Undetermined = "undetermined",
        /// Another verdict, neither better nor worse; or the same with other qualifiers.
        Changed = "changed",
        /// Honoured now and not before, or refused before and accepted now.
        Gained = "gained",
        /// Decided now, and not before.
        Decided = "decided",
        /// The same verdict, held against another claim.
        Outcome = "outcome",
        /// The new run has no such row.
        Gone = "gone",
        /// The old run has no such row.
        Come = "come",
    }
}

/// A row in one of the runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowState {
    /// What was observed.
    pub verdict: VerdictStatus,
    /// What became of it on its way through a gateway; absent in every other run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<GatewayVerdictKind>,
    /// What it became there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What the verdict alone does not say.
    pub qualifiers: Vec<String>,
    /// What the document says; `null` when it says nothing.
    pub claim: Option<ClaimStatus>,
    /// The claim held against the verdict.
    pub outcome: Outcome,
}

/// A finding that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindingChange {
    /// The check's id.
    pub check: String,
    /// What became of it.
    pub kind: FindingKind,
    /// How it was; `null` where it was not seen.
    pub before: Option<FindingState>,
    /// How it is; `null` where it is not seen.
    pub after: Option<FindingState>,
    /// An example, of the new run where there is one.
    pub why: String,
    /// True where it counts as a regression.
    pub regression: bool,
}

string_enum! {
    /// What became of a finding.
    pub enum FindingKind {
        /// Seen now, and not before.
        Came = "came",
        /// Seen far more often, or far less; or of another severity.
        Changed = "changed",
        /// Seen before, and not now.
        Went = "went",
    }
}

/// A finding in one of the runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindingState {
    /// How bad it is.
    pub severity: CheckSeverity,
    /// How often it was seen.
    pub count: u64,
    /// How often that is, in a word.
    pub class: CountClass,
}

string_enum! {
    /// How often a finding was seen. Counts themselves differ from run to run.
    pub enum CountClass {
        /// Once.
        Once = "once",
        /// Two to nine times.
        Several = "several",
        /// Ten to ninety-nine times.
        Many = "many",
        /// A hundred times or more.
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
