//! Validates references between case files: claims refer to rows, and rows refer to rows and screens.
//!
//! Runs after all files are read.

use std::collections::HashSet;

use crate::catalog::error::CaseError;
use crate::catalog::experiment::Experiment;
use crate::catalog::load::CatalogLoader;
use crate::catalog::load::locate::{locate_claim, locate_row};

impl CatalogLoader {
    fn depends_on_itself(&self, experiment: &Experiment) -> bool {
        let mut seen = HashSet::new();
        let mut next: Vec<&str> = experiment.needed_rows().collect();
        while let Some(row) = next.pop() {
            if row == experiment.id() {
                return true;
            }
            if seen.insert(row) {
                next.extend(self.catalog.experiment(row).into_iter().flat_map(Experiment::needed_rows));
            }
        }
        false
    }

    /// Resolves screens and validates all references.
    pub(super) fn resolve(&mut self, errors: &mut Vec<CaseError>) {
        self.assign_screens();
        self.catalog.rows.iter_mut().for_each(|row| row.experiment.resolve_statuses());
        let row_error = |experiment: &Experiment, what: &str| {
            let file = &self.row_files[experiment.id()];
            let place = locate_row(&self.file_texts[file], &experiment.row);
            CaseError::new_at_location(file, place, format!("row `{}` {what}", experiment.id()))
        };
        for experiment in self.catalog.rows.iter().map(|row| &row.experiment) {
            if let (Some(name), None) = (&experiment.screen, &experiment.screen_arms) {
                let what = format!("refers to the screen `{name}`, which does not exist");
                errors.push(row_error(experiment, &what));
            }
        }
        let known: HashSet<&str> = self.catalog.rows.iter().map(|r| r.experiment.id()).collect();
        let is_gateway_row = |row: &str| self.catalog.gateway_rows.iter().any(|r| r.row.id() == row);
        let is_known = |row: &str| known.contains(row) || is_gateway_row(row);
        for target in self.catalog.targets.values() {
            let file = &self.target_files[&target.name];
            for row in target.claims.keys().filter(|row| !is_known(row)) {
                let place = locate_claim(&self.file_texts[file], row);
                errors.push(
                    CaseError::new_at_location(file, place, format!("claim for row `{row}`, which does not exist"))
                        .with_help("`fieldtest rows` lists all rows. A new row needs an experiment"),
                );
            }
        }
        for experiment in self.catalog.rows.iter().map(|row| &row.experiment) {
            for other in experiment.needed_rows().filter(|other| !known.contains(other)) {
                errors.push(row_error(experiment, &format!("depends on `{other}`, which does not exist")));
            }
            if self.depends_on_itself(experiment) {
                let error = row_error(experiment, "depends on itself through other rows");
                errors.push(error.with_help("no row of such a circle could be decided first"));
            }
            let others = experiment.field.iter().flat_map(|field| field.at.rows());
            // A reference must lead to the field in one step, so a row that refers to another row is not allowed.
            let has_own_field = |other: &&String| {
                self.catalog.experiment(other).is_some_and(|e| e.field.as_ref().is_none_or(|f| f.at.row().is_none()))
            };
            for other in others.filter(|other| !has_own_field(other)) {
                let what = format!("refers to the field of row `{other}`, which has no field of its own");
                errors.push(row_error(experiment, &what));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::load::{CaseFile, Catalog, FileKind};

    #[test]
    fn a_row_cannot_depend_on_itself() {
        let row = |row: &str, depends_on: &str| {
            format!(
                "  - row: {row}\n    title: t\n    ask: Hello\n    depends_on: [{depends_on}]\n    treatment: {{ body: {{ top_k: 1 }} }}\n    effect: {{ text: {{ contains: [a] }} }}\n    by_chance: never\n"
            )
        };
        let file = |rows: &[String]| CaseFile {
            name: "x.yaml".to_owned(),
            kind: FileKind::Experiments,
            bytes: format!("section: Mine\nrows:\n{}", rows.concat()).into_bytes(),
        };
        let circle = [row("my.a", "my.b"), row("my.b", "my.c"), row("my.c", "my.a"), row("my.d", "my.a")];
        let error = Catalog::load_with_extra(&[file(&circle)]).unwrap_err().to_string();
        let reported = |row: &str| error.contains(&format!("row `{row}` depends on itself through other rows"));
        assert!(["my.a", "my.b", "my.c"].into_iter().all(reported) && !reported("my.d"), "{error}");
        assert!(Catalog::load_with_extra(&[file(&[row("my.a", "my.b"), row("my.b", "field.top_k")])]).is_ok());
    }
}
