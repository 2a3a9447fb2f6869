//! [`RowSelection`]: the rows of a plan, and which of them are run.
//!
//! A row may be run only because another row depends on it. It is then decided and not reported.

use crate::catalog::{Catalog, CatalogRow};
use crate::variables::hash;

/// The rows of a plan, and which of them are run.
#[derive(Debug, Clone, Default)]
pub struct RowSelection<'a> {
    /// All rows of the plan, in the order of the tables. Requests that rows share are named after
    /// the first row of the plan that sends them, in every part of the plan.
    pub plan: Vec<&'a CatalogRow>,
    /// The rows to run, in the same order.
    pub run: Vec<&'a CatalogRow>,
    /// The ids of rows that are run only because others depend on them.
    pub dependencies: Vec<String>,
}

impl<'a> RowSelection<'a> {
    /// Selects all rows of the plan.
    pub fn all(plan: Vec<&'a CatalogRow>) -> Self {
        Self { run: plan.clone(), plan, dependencies: Vec::new() }
    }

    /// Selects the rows of the plan that are wanted, and the rows of the plan that they depend on,
    /// so that each row gets the verdict that it has among all rows.
    pub fn new(plan: Vec<&'a CatalogRow>, is_wanted: impl Fn(&str) -> bool) -> Self {
        let is_wanted = |row: &&CatalogRow| is_wanted(row.experiment.id());
        let is_needed = |other: &&CatalogRow| {
            let id = other.experiment.id();
            let mut wanted = plan.iter().copied().filter(is_wanted);
            wanted.any(|row| row.experiment.needed_rows().any(|needed| needed == id))
        };
        let run: Vec<&CatalogRow> = plan.iter().copied().filter(|row| is_wanted(row) || is_needed(row)).collect();
        let dependencies = run.iter().filter(|row| !is_wanted(row)).map(|row| row.experiment.id().to_owned()).collect();
        Self { plan, run, dependencies }
    }

    /// The number of rows that are reported.
    pub fn reported_count(&self) -> usize {
        self.run.len() - self.dependencies.len()
    }
}

/// Returns the rows of the catalog with these ids, in the order of the catalog.
pub fn find_rows<'a>(catalog: &'a Catalog, ids: &[String]) -> Vec<&'a CatalogRow> {
    catalog.rows.iter().filter(|row| ids.iter().any(|id| id == row.experiment.id())).collect()
}

/// A digest of the experiments of rows. It finds mistakes and does not protect against forgery
/// (FNV-1a).
pub fn digest_rows(rows: &[&CatalogRow]) -> String {
    digest_text(&format!("{rows:?}"))
}

/// A digest of a text.
pub fn digest_text(text: &str) -> String {
    format!("{:016x}", hash(text))
}
