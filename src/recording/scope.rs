//! What a recording covers: which of its rows it is about, and of which larger plan it is a part.
//!
//! A row may be run for the sake of another one that works through it, and is then decided but not reported. This
//! module must not decide anything.

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, CatalogRow, TargetPrices};
use crate::engine::plan::estimate::RunEstimate;
use crate::results::model::{Results, ShardMetadata};
use crate::results::plan_estimate::PlanEstimate;
use crate::variables::hash;

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
    /// What a simulation took, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<RunEstimate>,
}

/// A digest of what rows ask and how they are decided. FNV-1a: it tells mistakes from each other, not forgeries.
pub fn digest_rows(rows: &[&CatalogRow]) -> String {
    digest_text(&format!("{rows:?}"))
}

/// A digest of a text.
pub fn digest_text(text: &str) -> String {
    format!("{:016x}", hash(text))
}

/// Rows to run, and those of them that are run for the sake of others only.
#[derive(Debug, Clone, Default)]
pub struct RowSelection<'a> {
    /// All of them, in the order of the tables.
    pub rows: Vec<&'a CatalogRow>,
    /// Those that are decided and not reported, by id.
    pub dependency_rows: Vec<String>,
}

impl<'a> RowSelection<'a> {
    /// The rows that are wanted, with those of the `known` ones that they work through: so each is decided as it would
    /// be among all of them.
    pub fn new(catalog: &'a Catalog, wanted: impl Fn(&str) -> bool, known: impl Fn(&str) -> bool) -> Self {
        let id = |row: &'a CatalogRow| row.experiment.id();
        let rests = |other: &CatalogRow| {
            let mut others = catalog.rows.iter().filter(|row| wanted(id(row)) && known(id(row)));
            others.any(|row| row.experiment.depends_on.iter().any(|through| through == other.experiment.id()))
        };
        let (mut rows, mut beside) = (Vec::new(), Vec::new());
        for row in catalog.rows.iter().filter(|row| known(id(row))) {
            let is_wanted = wanted(id(row));
            if is_wanted || rests(row) {
                rows.push(row);
            }
            if !is_wanted && rests(row) {
                beside.push(id(row).to_owned());
            }
        }
        Self { rows, dependency_rows: beside }
    }

    /// How many rows are reported.
    pub fn reported_count(&self) -> usize {
        self.rows.len() - self.dependency_rows.len()
    }
}
