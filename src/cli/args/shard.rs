//! Which rows of a plan are run: all, one shard of them, or those that a rerun is for.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::catalog::{Catalog, CatalogRow};
use crate::cli::CliError;
use crate::cli::io::files;
use crate::engine::{Part, judge};
use crate::recording::run::{Header, Recording};
use crate::recording::scope::Extent;
use crate::results::merge::to_ask_again;
use crate::results::model::Results;
use crate::results::{json, merge};

/// Which part of a plan is meant.
#[derive(Debug, Clone, Args)]
pub struct ShardArgs {
    /// One of N parts of the rows: they are shared out by a hash of their ids. `fieldtest merge` joins the results.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Part>,
}

impl ShardArgs {
    /// The rows of this part, with those that they work through.
    pub fn extent<'a>(&self, catalog: &'a Catalog, plan: &[&'a CatalogRow]) -> Extent<'a> {
        match self.shard {
            None => Extent { rows: plan.to_vec(), beside: Vec::new() },
            Some(part) => Extent::of(catalog, |row| part.owns(row) && is_in(plan, row), |row| is_in(plan, row)),
        }
    }

    /// The rows that this part reports.
    pub fn own<'a>(&self, plan: &[&'a CatalogRow]) -> Vec<&'a CatalogRow> {
        plan.iter().copied().filter(|row| self.shard.is_none_or(|part| part.owns(row.experiment.id()))).collect()
    }
}

fn is_in(plan: &[&CatalogRow], row: &str) -> bool {
    plan.iter().any(|planned| planned.experiment.id() == row)
}

/// A run's part of a plan.
#[derive(Debug, Clone)]
pub struct Portion<'a> {
    /// All rows of the plan.
    pub plan: Vec<&'a CatalogRow>,
    /// Those that are run.
    pub extent: Extent<'a>,
}

/// The results that a rerun begins from.
#[derive(Debug, Clone)]
pub struct Rerun {
    path: PathBuf,
    old: Results,
}

impl Rerun {
    /// Reads them.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let text = files::read_text(path)?;
        let old = json::parse(&path.display().to_string(), &text).map_err(|e| CliError::Usage(e.to_string()))?;
        Ok(Self { path: path.to_owned(), old })
    }

    /// The rows that are asked again, of those that are selected; none where nothing is to be asked again.
    pub fn portion<'a>(&self, catalog: &'a Catalog, selected: &[&'a CatalogRow]) -> Result<Portion<'a>, CliError> {
        let known = |row: &str| self.old.rows.iter().any(|r| r.id == row);
        if let Some(row) = self.old.rows.iter().find(|row| catalog.experiment(&row.id).is_none()) {
            return Err(self.refused(format!(
                "it has row `{}`, which no experiment decides: give the case files of the run with --cases",
                row.id
            )));
        }
        let due = to_ask_again(&self.old);
        let wanted = |row: &str| due.iter().any(|id| id == row) && is_in(selected, row);
        let planned = self.old.shard.as_ref().map(|shard| &shard.rows);
        let in_plan = |row: &&CatalogRow| {
            let id = row.experiment.id();
            planned.map_or_else(|| known(id), |rows| rows.iter().any(|row| row == id))
        };
        let plan: Vec<&CatalogRow> = catalog.rows.iter().filter(in_plan).collect();
        let extent = Extent::of(catalog, wanted, |row| is_in(&plan, row));
        Ok(Portion { plan, extent })
    }

    /// Holds what the rerun is of against what its file is of. `header` is the rerun's.
    pub fn fits(&self, header: &Header, catalog: &Catalog) -> Result<(), CliError> {
        let mut header = header.clone();
        header.rows = self.old.rows.iter().map(|row| row.id.clone()).collect();
        header.scope.beside.clear();
        let nothing = Recording { header, exchanges: Vec::new(), trials: Vec::new(), footer: None };
        let of_this_run = judge(catalog, &nothing).map_err(|e| CliError::Fault(e.to_string()))?;
        merge::held_against(&self.old, &of_this_run).map_err(|e| self.refused(e.to_string()))
    }

    /// The old results with what was asked again.
    pub fn with(&self, new: Results) -> Results {
        merge::again(self.old.clone(), new)
    }

    /// The old results as they are.
    pub fn as_it_is(&self) -> Results {
        // What they were held against is for this run's options to say.
        Results { baseline: None, ..self.old.clone() }
    }

    fn refused(&self, what: String) -> CliError {
        CliError::Usage(format!("--rerun {}: {what}", self.path.display()))
    }
}
