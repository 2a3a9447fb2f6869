//! What a gateway makes of its upstream: the model, in the shape of `comparison.json`.
//!
//! Names are a contract with other tools: fields may be added, none renamed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::VerdictStatus;
use crate::checks::CheckSeverity;
use crate::string_enum::string_enum;

/// The value of `schema` in every comparison of this version.
pub const SCHEMA: &str = "fieldtest-comparison/1";

/// The same plan asked of an upstream and through a gateway in front of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayComparison {
    /// Always `fieldtest-comparison/1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// When the first run began, RFC 3339, UTC.
    pub started_at: String,
    /// When the last run ended, RFC 3339, UTC.
    pub finished_at: String,
    /// The upstream.
    pub direct: SideSummary,
    /// The gateway.
    pub via: SideSummary,
    /// How many rows have each fate.
    pub summary: AttributionCounts,
    /// One entry per row, in the order of the tables.
    pub rows: Vec<ComparedRow>,
    /// Protocol violations, by check.
    pub findings: Vec<ComparedFinding>,
}

/// One side, as it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SideSummary {
    /// Its base URL.
    pub base_url: String,
    /// The model that was asked for.
    pub model: String,
    /// Requests in all, without retries.
    pub requests: u64,
    /// Rows that were decided.
    pub decided: u64,
    /// Why the run of this side is not whole; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
}

string_enum! {
    /// What becomes of something on its way through the gateway.
    pub enum GatewayAttribution {
        /// The upstream does better than the gateway lets through: the gateway's doing.
        Introduced = "introduced",
        /// The gateway does better than its upstream.
        Repaired = "repaired",
        /// It comes out differently, and neither is better.
        Changed = "changed",
        /// It comes out the same.
        PassedThrough = "passed_through",
        /// It is not known on one of the sides, or did not come out the same twice.
        Undetermined = "undetermined",
    }
}

impl GatewayAttribution {
    /// The words shown for it.
    pub fn label(self) -> &'static str {
        if self == Self::PassedThrough { "passed through" } else { self.as_str() }
    }

    /// A sign of one column.
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

/// Counts of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Not known.
    pub undetermined: u64,
}

impl AttributionCounts {
    /// How many rows have this fate.
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

/// A row on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedRow {
    /// The row's id.
    pub id: String,
    /// The section of the tables that it stands in.
    pub section: String,
    /// The tables' own words for it.
    pub title: String,
    /// What becomes of it.
    pub fate: GatewayAttribution,
    /// What was observed at the upstream.
    pub direct: SideVerdict,
    /// What was observed through the gateway.
    pub via: SideVerdict,
    /// The same once more, with fresh draws, where the sides differed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<ConfirmationResult>,
    /// Why, in a sentence.
    pub why: String,
}

/// What one side did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SideVerdict {
    /// The verdict.
    pub status: VerdictStatus,
    /// Honoured, but not as the documents have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub altered: bool,
    /// Why, in a sentence.
    pub reason: String,
}

/// What both sides did when they were asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmationResult {
    /// At the upstream.
    pub direct: SideVerdict,
    /// Through the gateway.
    pub via: SideVerdict,
}

/// A check on both sides, over the rows that were run on both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedFinding {
    /// The check's id.
    pub check: String,
    /// How bad it is for a client that follows the documents.
    pub severity: CheckSeverity,
    /// What becomes of it: introduced is seen through the gateway alone.
    pub fate: GatewayAttribution,
    /// How often it was seen at the upstream.
    pub direct: u64,
    /// How often it was seen through the gateway.
    pub via: u64,
    /// The rows in whose exchanges it was seen.
    pub rows: Vec<String>,
    /// A short example, from the gateway where it was seen there.
    pub example: String,
    /// Why, in a sentence.
    pub why: String,
}
