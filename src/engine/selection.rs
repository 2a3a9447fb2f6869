//! [`RowSelection`]: the rows of a plan, and which of them are run.
//!
//! A row may be run only because the verdict of another row depends on it. It is then decided and not
//! reported.

use crate::catalog::{Catalog, CatalogRow};
use crate::engine::dependencies::RowDependencies;
use crate::variables::hash;

/// The rows of a plan, and which of them are run.
#[derive(Debug, Clone, Default)]
pub struct RowSelection<'a> {
    /// All rows of the plan, in the order of the tables. Requests that rows share are named after
    /// the first row of the plan that sends them, in every part of the plan.
    pub plan: Vec<&'a CatalogRow>,
    /// The rows to run and report, in the same order.
    pub run: Vec<&'a CatalogRow>,
    /// Further rows on which these rows can depend. They are run only if a verdict depends on them,
    /// and are not reported.
    pub dependencies: Vec<&'a CatalogRow>,
}

impl<'a> RowSelection<'a> {
    /// Selects all rows of the plan, and no others.
    pub fn all(plan: Vec<&'a CatalogRow>) -> Self {
        Self { run: plan.clone(), plan, dependencies: Vec::new() }
    }

    /// Selects the rows of the plan that are wanted. Of the available rows, those on which they can
    /// depend are run if a verdict depends on them, so that each row gets the verdict that it has
    /// among all rows.
    pub fn new(
        plan: Vec<&'a CatalogRow>,
        available: impl IntoIterator<Item = &'a CatalogRow>,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Self {
        let run: Vec<&CatalogRow> = plan.iter().copied().filter(|row| is_wanted(row.experiment.id())).collect();
        let is_run = |row: &&CatalogRow| run.iter().any(|other| other.experiment.id() == row.experiment.id());
        let others: Vec<&CatalogRow> = available.into_iter().filter(|row| !is_run(row)).collect();
        if others.is_empty() {
            return Self { plan, run, dependencies: Vec::new() };
        }
        let dependencies = RowDependencies::new(&[run.as_slice(), others.as_slice()].concat());
        let is_needed = |row: &&CatalogRow| {
            run.iter().any(|wanted| dependencies.depends_on(wanted.experiment.id(), row.experiment.id()))
        };
        let dependencies = others.into_iter().filter(is_needed).collect();
        Self { plan, run, dependencies }
    }

    /// The rows to run and the rows on which they can depend.
    pub fn all_rows(&self) -> Vec<&'a CatalogRow> {
        self.run.iter().chain(&self.dependencies).copied().collect()
    }

    /// The ids of the rows that are run only if a verdict depends on them.
    pub fn dependency_ids(&self) -> Vec<String> {
        self.dependencies.iter().map(|row| row.experiment.id().to_owned()).collect()
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
