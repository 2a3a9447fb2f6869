//! [`Results`]: the results of one run.

use serde::{Deserialize, Serialize};

use crate::results::baseline::BaselineComparison;
use crate::results::gateway::TestedGateway;
use crate::results::model::finding::FindingSummary;
use crate::results::model::row::RowResult;
use crate::results::model::several_runs::{RepeatSummary, RerunRecord, ShardMetadata};
use crate::results::model::strictness::EndpointStrictness;
use crate::results::model::summary::ResultsSummary;
use crate::results::model::target::TestedTarget;
use crate::results::model::totals::{CostPerVerdict, RunTotals};
use crate::results::model::unfollowed::UnfollowedInstructions;
use crate::results::shared_causes::settle_causes;

/// The value of `schema` in every results file of this version.
pub const SCHEMA: &str = "fieldtest-results/2";

/// The results of one run: one endpoint, one model, one point in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Results {
    /// Always `fieldtest-results/2`.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: String,
    /// The version of fieldtest that judged the run; absent in files of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_version: Option<String>,
    /// What was tested.
    pub target: TestedTarget,
    /// The gateway and its scripted upstream; only in results of `fieldtest gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<TestedGateway>,
    /// When the run started, RFC 3339, UTC.
    pub started_at: String,
    /// When the run ended, RFC 3339, UTC.
    pub finished_at: String,
    /// Why the run ended early; absent if it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
    /// The confidence that a statistical verdict must reach.
    pub confidence: f64,
    /// The seed of all random values of the run.
    pub seed: u64,
    /// Requests, tokens, cost and time of the run.
    pub totals: RunTotals,
    /// The average cost of a decided row; absent if no row is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_verdict: Option<CostPerVerdict>,
    /// The shard of the plan that these results cover (`--shard`); absent if they cover the whole plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardMetadata>,
    /// The reruns of selected rows, oldest first. Totals and findings include them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reruns: Vec<RerunRecord>,
    /// The repeated runs of the plan (`--repeat`). Totals include all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<RepeatSummary>,
    /// What the endpoint does with unknown keys.
    pub strictness: EndpointStrictness,
    /// True if the endpoint treats equal requests differently. Each verdict then uses more trials.
    #[serde(default)]
    pub unsteady: bool,
    /// The instructions of the start of the run, if the endpoint followed none of them; absent if it
    /// followed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfollowed: Option<UnfollowedInstructions>,
    /// What happened to the whole run: requests that were rejected for reasons that have nothing to
    /// do with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The number of rows with each outcome and each kind of verdict.
    pub summary: ResultsSummary,
    /// The comparison with a baseline; absent if there is no baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineComparison>,
    /// One entry per row, in the order of the tables.
    pub rows: Vec<RowResult>,
    /// Protocol faults in the exchanges of the run, one entry per check.
    pub findings: Vec<FindingSummary>,
}

impl Results {
    /// The row with this id.
    pub fn find_row(&self, id: &str) -> Option<&RowResult> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// The finding of this check.
    pub fn find_finding(&self, check: &str) -> Option<&FindingSummary> {
        self.findings.iter().find(|finding| finding.check == check)
    }
}

impl Results {
    /// Results without rows.
    pub fn new(target: TestedTarget, started_at: &str, confidence: f64, seed: u64) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            tool_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            target,
            gateway: None,
            started_at: started_at.to_owned(),
            finished_at: started_at.to_owned(),
            partial: None,
            confidence,
            seed,
            totals: RunTotals::default(),
            per_verdict: None,
            shard: None,
            reruns: Vec::new(),
            repeats: None,
            strictness: EndpointStrictness::default(),
            unsteady: false,
            unfollowed: None,
            notes: Vec::new(),
            summary: ResultsSummary::default(),
            baseline: None,
            rows: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Sets the rows and the figures that follow from them.
    pub fn set_rows(&mut self, mut rows: Vec<RowResult>) {
        settle_causes(&mut rows);
        self.summary = ResultsSummary::from_rows(&rows);
        self.per_verdict = CostPerVerdict::from_totals(&self.totals, self.summary.decided);
        self.rows = rows;
    }
}
