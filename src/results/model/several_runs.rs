//! What results keep of several runs of one plan: shards, reruns ([`RerunRecord`]), repeated runs
//! ([`RepeatSummary`]) and the earlier verdicts of a row.

use serde::{Deserialize, Serialize};

use crate::catalog::{Outcome, VerdictStatus};

/// One shard of a plan that is spread over several runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ShardMetadata {
    /// The number of the shard, from 1.
    pub index: u32,
    /// The number of shards.
    pub of: u32,
    /// `max_tokens` of requests that do not set it.
    pub answer_tokens: u32,
    /// A digest of the case files that decide the rows of the plan.
    pub cases: String,
    /// A digest of the whole plan: rows, case files, claims, endpoint, model and confidence, without the seed.
    pub plan: String,
    /// The ids of all rows of the plan, in the order of the tables.
    pub rows: Vec<String>,
}

/// A rerun of selected rows, with new random values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RerunRecord {
    /// When it started, RFC 3339, UTC.
    pub started_at: String,
    /// When it ended, RFC 3339, UTC.
    pub finished_at: String,
    /// The seed of its random values.
    pub seed: u64,
    /// The ids of the rows that it ran again, in the order of the tables.
    pub rows: Vec<String>,
}

/// The verdict of an earlier run of a row that was rerun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EarlierVerdict {
    /// When that run started, RFC 3339, UTC.
    pub started_at: String,
    /// Its verdict.
    pub status: VerdictStatus,
    /// That verdict compared with the claim.
    pub outcome: Outcome,
    /// The reason, in one sentence.
    pub reason: String,
}

/// The repeated runs of one plan that these results combine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RepeatSummary {
    /// The requested number of runs.
    pub asked: u64,
    /// The number of completed runs.
    pub runs: u64,
    /// The number of rows with the same verdict in every run.
    pub stable: u64,
    /// The seeds of the runs, in order.
    pub seeds: Vec<u64>,
}

/// The verdicts of one row in repeated runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VerdictStability {
    /// The number of runs that have the row.
    pub runs: u64,
    /// How many of these runs reached each verdict, in the order of the verdicts.
    pub seen: Vec<VerdictCount>,
}

/// How many runs reached a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VerdictCount {
    /// The verdict.
    pub status: VerdictStatus,
    /// The number of runs that reached it.
    pub runs: u64,
}

impl VerdictStability {
    /// The verdict of a single run.
    pub fn from_status(status: VerdictStatus) -> Self {
        Self { runs: 1, seen: vec![VerdictCount { status, runs: 1 }] }
    }

    /// Adds the verdict of another run.
    pub fn record(&mut self, status: VerdictStatus) {
        self.runs += 1;
        match self.seen.binary_search_by_key(&status, |seen| seen.status) {
            Ok(at) => self.seen[at].runs += 1,
            Err(at) => self.seen.insert(at, VerdictCount { status, runs: 1 }),
        }
    }

    /// True if every run decided the row and reached the same verdict.
    pub fn is_stable(&self) -> bool {
        matches!(self.seen.as_slice(), [only] if only.status.is_decided())
    }

    /// The counts in words: `supported in 2 of 3 runs, ignored in 1`.
    pub fn describe(&self) -> String {
        let each = self.seen.iter().enumerate().map(|(n, seen)| match n {
            0 => format!("{} in {} of {} runs", seen.status, seen.runs, self.runs),
            _ => format!("{} in {}", seen.status, seen.runs),
        });
        each.collect::<Vec<_>>().join(", ")
    }
}
