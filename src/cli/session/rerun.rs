//! `--rerun`: [`RerunSource`] has earlier results and selects the rows that are run again.

use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, CatalogRow};
use crate::cli::error::CliError;
use crate::cli::io::files;
use crate::engine::{RowSelection, judge};
use crate::recording::run::{Recording, RunHeader};
use crate::results::merge;
use crate::results::merge::rows_to_rerun;
use crate::results::model::Results;

const OPTION: &str = "--rerun";

/// Results of an earlier run. Rows that failed or are undetermined in them are run again.
#[derive(Debug, Clone)]
pub struct RerunSource {
    path: PathBuf,
    previous: Results,
}

impl RerunSource {
    /// Reads the results.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        Ok(Self { path: path.to_owned(), previous: files::read_results(path)? })
    }

    /// Selects the rows to run again among the selected rows. There may be none. As in the earlier
    /// run, they may depend on any available row.
    pub fn plan_rows<'a>(
        &self,
        catalog: &'a Catalog,
        selected: &[&'a CatalogRow],
        available: impl IntoIterator<Item = &'a CatalogRow>,
    ) -> Result<RowSelection<'a>, CliError> {
        if let Some(row) = self.previous.rows.iter().find(|row| catalog.experiment(&row.id).is_none()) {
            let row = &row.id;
            let problem = format!("no experiment for row `{row}`. Use the case files of the run with --cases");
            return Err(CliError::earlier_run(OPTION, &self.path, problem));
        }
        let rerun_ids = rows_to_rerun(&self.previous);
        let is_wanted = |row: &str| {
            rerun_ids.iter().any(|id| id == row) && selected.iter().any(|selected| selected.experiment.id() == row)
        };
        let planned = self.previous.shard.as_ref().map(|shard| &shard.rows);
        let is_in_plan = |row: &&CatalogRow| {
            let id = row.experiment.id();
            match planned {
                Some(rows) => rows.iter().any(|row| row == id),
                None => self.previous.rows.iter().any(|row| row.id == id),
            }
        };
        let plan: Vec<&CatalogRow> = catalog.rows.iter().filter(is_in_plan).collect();
        Ok(RowSelection::new(plan, available, is_wanted))
    }

    /// Compares the settings of the rerun, from its header, with the settings of the earlier run.
    pub fn verify_compatible(&self, header: &RunHeader, catalog: &Catalog) -> Result<(), CliError> {
        let mut header = header.clone();
        header.rows = self.previous.rows.iter().map(|row| row.id.clone()).collect();
        header.scope.beside.clear();
        let new = judge(catalog, &Recording::new(header))?;
        merge::verify_compatible(&self.previous, &new).map_err(|e| CliError::earlier_run(OPTION, &self.path, e))
    }

    /// The earlier results with the new verdicts.
    pub fn merge(&self, new: Results) -> Results {
        merge::merge_rerun(self.previous.clone(), new)
    }

    /// The earlier results, without their comparison with a baseline: this run has its own.
    pub fn unchanged(&self) -> Results {
        Results { baseline: None, ..self.previous.clone() }
    }
}
