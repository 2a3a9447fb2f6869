//! Which rows of a plan are run: all, one shard of them, or those that a rerun is for.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::catalog::{Catalog, CatalogRow};
use crate::cli::CliError;
use crate::cli::io::files;
use crate::engine::{RowSelection, ShardSpec, judge};
use crate::recording::run::{Recording, RunHeader};
use crate::results::merge::rows_to_rerun;
use crate::results::model::Results;
use crate::results::{json, merge};

/// Which part of a plan is meant.
#[derive(Debug, Clone, Args)]
pub struct ShardArgs {
    /// One of N parts of the rows: they are shared out by a hash of their ids. `fieldtest merge` joins the results.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<ShardSpec>,
}

impl ShardArgs {
    /// Selects the rows of this shard and the rows that they depend on.
    pub fn select_rows<'a>(&self, plan: Vec<&'a CatalogRow>) -> RowSelection<'a> {
        match self.shard {
            None => RowSelection::all(plan),
            Some(shard) => RowSelection::new(plan, |row| shard.contains(row)),
        }
    }

    /// The rows that this part reports.
    pub fn reported_rows<'a>(&self, plan: &[&'a CatalogRow]) -> Vec<&'a CatalogRow> {
        plan.iter().copied().filter(|row| self.shard.is_none_or(|part| part.contains(row.experiment.id()))).collect()
    }
}

fn contains_row(plan: &[&CatalogRow], row: &str) -> bool {
    plan.iter().any(|planned| planned.experiment.id() == row)
}

/// The results that a rerun begins from.
#[derive(Debug, Clone)]
pub struct RerunSource {
    path: PathBuf,
    previous: Results,
}

impl RerunSource {
    /// Reads them.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let text = files::read_text(path)?;
        let old = json::parse(&path.display().to_string(), &text).map_err(|e| CliError::Usage(e.to_string()))?;
        Ok(Self { path: path.to_owned(), previous: old })
    }

    /// The rows that are asked again, of those that are selected; none where nothing is to be asked again.
    pub fn plan_rows<'a>(
        &self,
        catalog: &'a Catalog,
        selected: &[&'a CatalogRow],
    ) -> Result<RowSelection<'a>, CliError> {
        let known = |row: &str| self.previous.rows.iter().any(|r| r.id == row);
        if let Some(row) = self.previous.rows.iter().find(|row| catalog.experiment(&row.id).is_none()) {
            return Err(self.usage_error(format!(
                "it has row `{}`, which no experiment decides: give the case files of the run with --cases",
                row.id
            )));
        }
        let due = rows_to_rerun(&self.previous);
        let wanted = |row: &str| due.iter().any(|id| id == row) && contains_row(selected, row);
        let planned = self.previous.shard.as_ref().map(|shard| &shard.rows);
        let in_plan = |row: &&CatalogRow| {
            let id = row.experiment.id();
            planned.map_or_else(|| known(id), |rows| rows.iter().any(|row| row == id))
        };
        let plan: Vec<&CatalogRow> = catalog.rows.iter().filter(in_plan).collect();
        Ok(RowSelection::new(plan, wanted))
    }

    /// Holds what the rerun is of against what its file is of. `header` is the rerun's.
    pub fn verify_compatible(&self, header: &RunHeader, catalog: &Catalog) -> Result<(), CliError> {
        let mut header = header.clone();
        header.rows = self.previous.rows.iter().map(|row| row.id.clone()).collect();
        header.scope.beside.clear();
        let of_this_run = judge(catalog, &Recording::new(header)).map_err(|e| CliError::Internal(e.to_string()))?;
        merge::verify_compatible(&self.previous, &of_this_run).map_err(|e| self.usage_error(e.to_string()))
    }

    /// The old results with what was asked again.
    pub fn merge(&self, new: Results) -> Results {
        merge::merge_rerun(self.previous.clone(), new)
    }

    /// The old results as they are.
    pub fn unchanged(&self) -> Results {
        // What they were held against is for this run's options to say.
        Results { baseline: None, ..self.previous.clone() }
    }

    fn usage_error(&self, what: String) -> CliError {
        CliError::Usage(format!("--rerun {}: {what}", self.path.display()))
    }
}
