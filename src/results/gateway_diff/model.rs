//! The comparison of a gateway with its upstream, in the shape of `comparison.json`: [`GatewayComparison`].
//!
//! Names are a contract with other tools: fields may be added, but not renamed.

use serde::{Deserialize, Serialize};

use crate::catalog::VerdictStatus;
use crate::checks::CheckSeverity;
use crate::string_enum::string_enum;

/// The value of `schema` in every comparison of this version.
pub const SCHEMA: &str = "fieldtest-comparison/2";

/// The results of one plan at an upstream and through a gateway in front of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GatewayComparison {
    /// Always `fieldtest-comparison/2`.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: String,
    /// When the first run started, RFC 3339, UTC.
    pub started_at: String,
    /// When the last run ended, RFC 3339, UTC.
    pub finished_at: String,
    /// The upstream.
    pub direct: SideSummary,
    /// The gateway.
    pub via: SideSummary,
    /// The number of rows with each attribution.
    pub summary: AttributionCounts,
    /// One entry per row, in the order of the tables.
    pub rows: Vec<ComparedRow>,
    /// Protocol faults, by check.
    pub findings: Vec<ComparedFinding>,
}

/// One side of the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SideSummary {
    /// Its base URL.
    pub base_url: String,
    /// The requested model.
    pub model: String,
    /// The number of requests, without retries.
    pub requests: u64,
    /// The number of decided rows.
    pub decided: u64,
    /// Why the run of this side ended early; absent if it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
}

string_enum! {
    /// What the gateway does to a row or finding of its upstream.
    pub enum GatewayAttribution {
        /// Worse through the gateway: the gateway causes it.
        Introduced = "introduced",
        /// Better through the gateway.
        Repaired = "repaired",
        /// Different, and neither side is better.
        Changed = "changed",
        /// The same on both sides.
        PassedThrough = "passed_through",
        /// Undecided on one side, or not reproducible.
        Undetermined = "undetermined",
    }
}

impl GatewayAttribution {
    /// The words shown for it.
    pub fn label(self) -> &'static str {
        if self == Self::PassedThrough { "passed through" } else { self.as_str() }
    }

    /// A mark that is one column wide.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Introduced => "✗",
            Self::Repaired => "▲",
            Self::Changed => "≠",
            Self::PassedThrough => "✓",
            Self::Undetermined => "?",
        }
    }
}

/// The number of rows with each attribution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AttributionCounts {
    /// All rows.
    pub rows: u64,
    /// Worse through the gateway.
    pub introduced: u64,
    /// Better through the gateway.
    pub repaired: u64,
    /// Different through the gateway.
    pub changed: u64,
    /// The same through the gateway.
    pub passed_through: u64,
    /// Undecided on one side, or not reproducible.
    pub undetermined: u64,
}

impl AttributionCounts {
    /// The number of rows with this attribution.
    pub fn get(&self, fate: GatewayAttribution) -> u64 {
        match fate {
            GatewayAttribution::Introduced => self.introduced,
            GatewayAttribution::Repaired => self.repaired,
            GatewayAttribution::Changed => self.changed,
            GatewayAttribution::PassedThrough => self.passed_through,
            GatewayAttribution::Undetermined => self.undetermined,
        }
    }

    pub(super) fn from_rows(rows: &[ComparedRow]) -> Self {
        let of = |fate| rows.iter().filter(|row| row.fate == fate).count() as u64;
        Self {
            rows: rows.len() as u64,
            introduced: of(GatewayAttribution::Introduced),
            repaired: of(GatewayAttribution::Repaired),
            changed: of(GatewayAttribution::Changed),
            passed_through: of(GatewayAttribution::PassedThrough),
            undetermined: of(GatewayAttribution::Undetermined),
        }
    }
}

/// The verdicts of one row on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ComparedRow {
    /// The row's id.
    pub id: String,
    /// The section of the tables that has the row.
    pub section: String,
    /// The title of the row in the tables.
    pub title: String,
    /// What the gateway does to it.
    pub fate: GatewayAttribution,
    /// The verdict at the upstream.
    pub direct: SideVerdict,
    /// The verdict through the gateway.
    pub via: SideVerdict,
    /// The verdicts with new random values; only if the sides differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<ConfirmationResult>,
    /// The reason, in one sentence.
    pub why: String,
}

/// The verdict of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SideVerdict {
    /// The status.
    pub status: VerdictStatus,
    /// True if the field is supported, but not as documented.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub altered: bool,
    /// The reason, in one sentence.
    pub reason: String,
}

impl SideVerdict {
    /// The verdict in a few words.
    pub fn describe(&self) -> String {
        format!("{}{}", self.status, if self.altered { " (altered)" } else { "" })
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.status == other.status && self.altered == other.altered
    }
}

/// The verdicts of both sides when the row was repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ConfirmationResult {
    /// At the upstream.
    pub direct: SideVerdict,
    /// Through the gateway.
    pub via: SideVerdict,
}

/// A finding on both sides, over the rows that both sides ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ComparedFinding {
    /// The check's id.
    pub check: String,
    /// How severe the fault is for a client that follows the documents.
    pub severity: CheckSeverity,
    /// What the gateway does to it: introduced findings appear only through the gateway.
    pub fate: GatewayAttribution,
    /// The number of responses with the fault at the upstream.
    pub direct: u64,
    /// The number of responses with the fault through the gateway.
    pub via: u64,
    /// The ids of the rows that use these responses.
    pub rows: Vec<String>,
    /// A short example, from the gateway if possible.
    pub example: String,
    /// The reason, in one sentence.
    pub why: String,
}
