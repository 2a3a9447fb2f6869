//! What a recording covers: which of its rows it is about, and of which larger plan it is a part.
//!
//! A row may be run for the sake of another one that works through it, and is then decided but not reported. This
//! module must not decide anything.

use serde::{Deserialize, Serialize};

use crate::catalog::TargetPrices;
use crate::results::model::{Results, ShardMetadata};
use crate::results::plan_estimate::PlanEstimate;

/// What a recording covers; of a plain run, everything that it has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunScope {
    /// A digest of the experiments of its rows, so that other case files are not taken for an edited recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<String>,
    /// The version of fieldtest that wrote it: another one might ask otherwise under the same names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A digest of how the simulation was told to behave, where it was told anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<String>,
    /// True of a run that asked some rows of earlier results again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rerun: bool,
    /// True of one of several runs of the same plan.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    /// Rows that were run only because others work through them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// The part of a plan that it is, where the plan was shared out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardMetadata>,
    /// True where the texts were taken out when it was written: it then carries the results that they led to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub texts_removed: bool,
    /// What was planned of it, where anybody planned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreseen: Option<Box<RunForecast>>,
    /// Those results. They stand in the file on a line of their own, at the end.
    #[serde(skip)]
    pub results: Option<Box<Results>>,
}

/// What was planned of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunForecast {
    /// What all of it comes to.
    pub planned: PlanEstimate,
    /// What tokens cost, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<TargetPrices>,
}
