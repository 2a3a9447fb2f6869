//! [`RowDependencies`]: the rows on which rows can depend, by their case files alone.
//!
//! A run needs them before anything is sent: rows that are not selected are run only if the verdict of
//! a selected row depends on them.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::CatalogRow;
use crate::engine::dependencies::edges::{RequestTemplates, find_possible_edges};
use crate::recording::request_settings::{RequestSettings, TextForm};
use crate::results::model::DependencyRole;

/// The rows on which each row can depend.
#[derive(Debug, Clone, Default)]
pub struct RowDependencies {
    direct: BTreeMap<String, BTreeMap<String, DependencyRole>>,
    reached: BTreeMap<String, BTreeSet<String>>,
}

impl RowDependencies {
    /// Computes the dependencies among these rows.
    pub fn new(rows: &[&CatalogRow]) -> Self {
        let settings = RequestSettings::neutral();
        let templates = RequestTemplates { settings: &settings, text_form: TextForm::String };
        let known: BTreeSet<&str> = rows.iter().map(|row| row.experiment.id()).collect();
        let direct: BTreeMap<String, BTreeMap<String, DependencyRole>> = rows
            .iter()
            .map(|row| {
                let mut edges = find_possible_edges(&row.experiment, &templates);
                edges.retain(|other, _| known.contains(other.as_str()));
                (row.experiment.id().to_owned(), edges)
            })
            .collect();
        let reached = direct.keys().map(|row| (row.clone(), find_reached(row, &direct))).collect();
        Self { direct, reached }
    }

    /// The rows on which a row can depend directly, with their roles.
    pub fn direct(&self, row: &str) -> impl Iterator<Item = (&str, DependencyRole)> {
        self.direct.get(row).into_iter().flatten().map(|(other, role)| (other.as_str(), *role))
    }

    /// True if a row can depend on the other row, directly or indirectly.
    pub fn depends_on(&self, row: &str, other: &str) -> bool {
        self.reached.get(row).is_some_and(|reached| reached.contains(other))
    }
}

/// Everything that a row reaches, without the row itself.
fn find_reached(row: &str, direct: &BTreeMap<String, BTreeMap<String, DependencyRole>>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![row];
    while let Some(next) = waiting.pop() {
        let others = direct.get(next).into_iter().flat_map(BTreeMap::keys);
        waiting.extend(others.filter(|other| reached.insert((*other).clone())).map(String::as_str));
    }
    reached.remove(row);
    reached
}
