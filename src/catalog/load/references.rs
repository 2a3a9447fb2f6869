//! What case files say of each other: claims name rows, and rows name rows and screens.
//!
//! It must not change what the files say, and looks only once all of them are read.

use std::collections::HashSet;

use crate::catalog::error::CaseError;
use crate::catalog::experiment::Experiment;
use crate::catalog::load::CatalogLoader;
use crate::catalog::load::locate::{locate_claim, locate_row};

impl CatalogLoader {
    fn depends_on_itself(&self, experiment: &Experiment) -> bool {
        let mut seen = HashSet::new();
        let mut next: Vec<&str> = experiment.depends_on.iter().map(String::as_str).collect();
        while let Some(row) = next.pop() {
            if row == experiment.id() {
                return true;
            }
            if seen.insert(row) {
                let through = self.catalog.experiment(row).into_iter().flat_map(|other| &other.depends_on);
                next.extend(through.map(String::as_str));
            }
        }
        false
    }

    /// The references between files: claims name rows, rows name rows.
    pub(super) fn resolve(&mut self, errors: &mut Vec<CaseError>) {
        self.assign_screens();
        for row in &self.catalog.rows {
            let Some(name) = &row.experiment.screen else { continue };
            if row.experiment.screen_arms.is_none() {
                let file = &self.row_files[row.experiment.id()];
                let place = locate_row(&self.file_texts[file], &row.experiment.row);
                let what = format!("row `{}` names the screen `{name}`, which no file has", row.experiment.id());
                errors.push(CaseError::new_at_location(file, place, what));
            }
        }
        let known: HashSet<&str> = self.catalog.rows.iter().map(|r| r.experiment.id()).collect();
        let is_of_gateways = |row: &str| self.catalog.gateway_rows.iter().any(|r| r.row.id() == row);
        let is_known = |row: &str| known.contains(row) || is_of_gateways(row);
        for target in self.catalog.targets.values() {
            let file = &self.target_files[&target.name];
            for row in target.claims.keys().filter(|row| !is_known(row)) {
                let place = locate_claim(&self.file_texts[file], row);
                errors.push(
                    CaseError::new_at_location(
                        file,
                        place,
                        format!("a claim for row `{row}`, which no experiment decides"),
                    )
                    .with_help("`fieldtest rows` lists the rows; a new one needs an experiment"),
                );
            }
        }
        for row in &self.catalog.rows {
            let experiment = &row.experiment;
            for other in experiment.depends_on.iter().filter(|other| !known.contains(other.as_str())) {
                let file = &self.row_files[experiment.id()];
                let place = locate_row(&self.file_texts[file], &experiment.row);
                errors.push(CaseError::new_at_location(
                    file,
                    place,
                    format!("row `{}` works through row `{other}`, which no experiment decides", experiment.id()),
                ));
            }
            if self.depends_on_itself(experiment) {
                let file = &self.row_files[experiment.id()];
                let place = locate_row(&self.file_texts[file], &experiment.row);
                let what = format!("row `{}` works through rows that work through it", experiment.id());
                errors.push(
                    CaseError::new_at_location(file, place, what)
                        .with_help("neither could be decided before the other"),
                );
            }
            let other = experiment.field.as_ref().and_then(|field| field.at.row());
            // One step leads to the field: a row that itself refers to another is none to refer to.
            let stands = |other: &&str| {
                self.catalog.experiment(other).is_some_and(|e| e.field.as_ref().is_none_or(|f| f.at.row().is_none()))
            };
            if let Some(other) = other.filter(|other| !stands(other)) {
                let file = &self.row_files[experiment.id()];
                let place = locate_row(&self.file_texts[file], &experiment.row);
                let what =
                    format!("row `{}` is about the field of row `{other}`, which has none of its own", experiment.id());
                errors.push(CaseError::new_at_location(file, place, what));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::load::{CaseFile, Catalog, FileKind};

    #[test]
    fn a_row_cannot_work_through_itself() {
        let row = |row: &str, through: &str| {
            format!(
                "  - row: {row}\n    title: t\n    ask: Hello\n    depends_on: [{through}]\n    treatment: {{ body: {{ top_k: 1 }} }}\n    effect: {{ text: {{ contains: [a] }} }}\n    by_chance: never\n"
            )
        };
        let file = |rows: &[String]| CaseFile {
            name: "x.yaml".to_owned(),
            kind: FileKind::Experiments,
            bytes: format!("section: Mine\nrows:\n{}", rows.concat()).into_bytes(),
        };
        let around = [row("my.a", "my.b"), row("my.b", "my.c"), row("my.c", "my.a"), row("my.d", "my.a")];
        let error = Catalog::load_with_extra(&[file(&around)]).unwrap_err().to_string();
        let said = |row: &str| error.contains(&format!("row `{row}` works through rows that work through it"));
        assert!(["my.a", "my.b", "my.c"].into_iter().all(said) && !said("my.d"), "{error}");
        assert!(Catalog::load_with_extra(&[file(&[row("my.a", "my.b"), row("my.b", "field.top_k")])]).is_ok());
    }
}
