//! [`RunScope`]: what a recording covers, and the larger plan that it is a part of.
//!
//! A row may be run only because another row depends on it. It is then decided and not reported.
//! This module must not decide anything.

use serde::{Deserialize, Serialize};

use crate::catalog::TargetPrices;
use crate::results::model::{Results, ShardMetadata};
use crate::results::plan_estimate::PlanEstimate;

/// What a recording covers. The default is a plain run: all its rows are reported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunScope {
    /// A digest of the experiments of its rows. It distinguishes other case files from an edited
    /// recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<String>,
    /// The version of fieldtest that wrote the recording. Another version may send other requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A digest of the simulator's options, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<String>,
    /// True for a run of `--rerun`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rerun: bool,
    /// True for a run of `--repeat`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    /// True for one side of a comparison.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub comparison: bool,
    /// Rows that were run only because others depend on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// The shard, if the run was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardMetadata>,
    /// True if the recording was written without its texts. It then contains the results.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub texts_removed: bool,
    /// The plan of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreseen: Option<Box<RunForecast>>,
    /// The results of a recording without texts. The file has a separate line for them.
    #[serde(skip)]
    pub results: Option<Box<Results>>,
}

impl RunScope {
    /// Why the run cannot be resumed, and what to do instead. `None` if it can.
    pub fn resume_obstacle(&self) -> Option<&'static str> {
        if self.texts_removed {
            Some("the recording has no texts (--redact content), so it cannot be resumed. Start a new run")
        } else if self.repeat {
            Some(
                "the recording is one of several runs (--repeat), which cannot be resumed. Start the runs again, or use \
                 `fieldtest judge` with this file",
            )
        } else if self.rerun {
            Some("the recording is of a rerun. Start a new one with --rerun RESULTS")
        } else if self.comparison {
            Some(
                "the recording is one side of a comparison, whose sides run in lockstep, so it cannot be resumed. Start a \
                 new `fieldtest compare`, or use `fieldtest judge` with this file",
            )
        } else {
            None
        }
    }
}

/// The plan of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunForecast {
    /// The sum of all rows and probes.
    pub planned: PlanEstimate,
    /// The prices of tokens, if they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<TargetPrices>,
}
