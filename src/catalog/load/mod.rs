//! From case files to a validated [`Catalog`]: user files are layered over the bundled ones.
//!
//! Pure: files come in as names and bytes. Every error has its location, and all errors are collected,
//! so that an author sees them at once. `parse` reads one file, `locate` finds locations, and
//! `references` validates what files say about each other.

mod locate;
mod parse;
mod references;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::de::IgnoredAny;
use serde_yaml::Spanned;

use crate::catalog::arm::ScreenArms;
use crate::catalog::bundled::BUNDLED_FILES;
use crate::catalog::error::{CaseError, CaseErrors, SourceLocation};
use crate::catalog::experiment::{Experiment, ExperimentFile};
use crate::catalog::field_location::FieldSpec;
use crate::catalog::gateway_row::{GatewayFile, GatewayRow};
use crate::catalog::load::locate::{TargetLocations, locate_claim, locate_row, locate_text};
pub use crate::catalog::load::parse::{MAX_FILE_BYTES, read_yaml};
use crate::catalog::load::parse::{ParsedCaseFile, kind_from_path};
use crate::catalog::status::ClaimStatus;
use crate::catalog::target::Target;
use crate::catalog::target_revision::{TargetFile, TargetRevision};
use crate::catalog::validate::ValidationError;
use crate::catalog::{validate, validate_gateway};

/// All experiments and targets of a run.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The rows, in the order of the published tables.
    pub rows: Vec<CatalogRow>,
    /// The targets, by name.
    pub targets: BTreeMap<String, Target>,
    /// The gateway rows, in order.
    pub gateway_rows: Vec<GatewayCatalogRow>,
}

/// A gateway row and its section.
#[derive(Debug, Clone)]
pub struct GatewayCatalogRow {
    /// The section's title.
    pub section: String,
    /// What is sent and what is expected on the other side.
    pub row: GatewayRow,
}

/// A row and its section.
#[derive(Debug, Clone)]
pub struct CatalogRow {
    /// The section's title.
    pub section: String,
    /// The experiment that decides it.
    pub experiment: Experiment,
}

/// A case file: its name and its content.
#[derive(Debug, Clone)]
pub struct CaseFile {
    /// The name shown in errors.
    pub name: String,
    /// The kind, known from the folder.
    pub kind: FileKind,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The kinds of case file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A section of experiments.
    Experiments,
    /// A section of gateway rows.
    Gateway,
    /// A target with its claims.
    Target,
}

impl Catalog {
    /// Loads the bundled case files. The tests of this module validate them.
    ///
    /// # Errors
    /// Only errors that the tests would have found.
    pub fn load_bundled() -> Result<Self, CaseErrors> {
        Self::load_with_extra(&[])
    }

    /// Loads the bundled case files and `extra`. Rows and targets of `extra` replace those with the same
    /// name.
    ///
    /// # Errors
    /// All problems in the files.
    pub fn load_with_extra(extra: &[CaseFile]) -> Result<Self, CaseErrors> {
        let mut errors = Vec::new();
        let mut loader = CatalogLoader { skip_validation: true, ..CatalogLoader::default() };
        for file in BUNDLED_FILES {
            let parsed = ParsedCaseFile::from_bundled(file).map(|parsed| (file.yaml, parsed));
            loader.add_file(&format!("cases/{}", file.path), kind_from_path(file.path), parsed, &mut errors);
        }
        loader.start_layer(&mut errors);
        loader.load(extra, errors)
    }

    /// Loads these files alone.
    ///
    /// # Errors
    /// All problems in the files.
    pub fn from_files(files: &[CaseFile]) -> Result<Self, CaseErrors> {
        CatalogLoader::default().load(files, Vec::new())
    }

    /// The target of this name. A name without a revision means the newest.
    pub fn target(&self, name: &str) -> Option<&Target> {
        find_target(&self.targets, name)
    }

    /// The names of all targets, without and with their revisions.
    pub fn target_names(&self) -> BTreeSet<&str> {
        let names = || self.targets.keys().map(String::as_str);
        names().chain(names().filter_map(|name| Some(name.split_once('@')?.0))).collect()
    }

    /// The experiment of a row.
    pub fn experiment(&self, row: &str) -> Option<&Experiment> {
        self.rows.iter().map(|r| &r.experiment).find(|e| e.id() == row)
    }

    /// The field rows with a field specification.
    pub fn field_specs(&self) -> impl Iterator<Item = (&str, &FieldSpec)> {
        let rows = self.rows.iter().map(|row| &row.experiment).filter(|experiment| experiment.is_field_row());
        rows.filter_map(|experiment| Some((experiment.id(), experiment.field.as_ref()?)))
    }
}

/// The target of this name. A name without a revision means the newest.
pub fn find_target<'a>(targets: &'a BTreeMap<String, Target>, name: &str) -> Option<&'a Target> {
    let is_revision =
        |target: &&Target| target.revision.as_ref().is_some_and(|revision| target.name == format!("{name}@{revision}"));
    targets.get(name).or_else(|| targets.values().filter(is_revision).max_by(|a, b| a.revision.cmp(&b.revision)))
}

/// A catalog while it is loaded, with the file of each part.
#[derive(Default)]
struct CatalogLoader {
    catalog: Catalog,
    file_texts: HashMap<String, String>,
    row_files: HashMap<String, String>,
    target_files: HashMap<String, String>,
    screens: BTreeMap<String, ScreenArms>,
    /// The revisions of this layer whose base is not added yet, with their files.
    waiting: Vec<(String, TargetRevision)>,
    /// Rows and targets of this layer. A duplicate within a layer is an error; over layers it overrides.
    layer_names: HashSet<String>,
    /// An experiment file could not be read, so references to missing rows are not reported.
    rows_missing: bool,
    /// The files of this layer are validated by the tests of this module.
    skip_validation: bool,
}

impl CatalogLoader {
    /// Adds the last files and returns the catalog if no file has a problem.
    fn load(mut self, files: &[CaseFile], mut errors: Vec<CaseError>) -> Result<Catalog, CaseErrors> {
        for file in files {
            self.add_file(&file.name, file.kind, ParsedCaseFile::from_case_file(file), &mut errors);
        }
        self.add_revisions(&mut errors);
        if !self.rows_missing {
            self.resolve(&mut errors);
        }
        if errors.is_empty() { Ok(self.catalog) } else { Err(CaseErrors(errors)) }
    }

    fn start_layer(&mut self, errors: &mut Vec<CaseError>) {
        // A screen with the same name in a later layer must not change these rows.
        self.assign_screens();
        self.add_revisions(errors);
        self.layer_names.clear();
        self.skip_validation = false;
    }

    fn add_file(
        &mut self,
        name: &str,
        kind: FileKind,
        parsed: Result<(&str, ParsedCaseFile), CaseError>,
        errors: &mut Vec<CaseError>,
    ) {
        let added = parsed.and_then(|(text, parsed)| {
            self.file_texts.insert(name.to_owned(), text.to_owned());
            match parsed {
                ParsedCaseFile::Experiments(parsed) => self.add_experiments(name, text, *parsed, errors),
                ParsedCaseFile::Gateway(parsed) => self.add_gateway(name, text, *parsed, errors),
                ParsedCaseFile::Target(file) => match *file {
                    TargetFile::Complete(target) => return self.add_target(name, text, target, errors),
                    TargetFile::Revision(revision) => self.waiting.push((name.to_owned(), revision)),
                },
            }
            Ok(())
        });
        if let Err(error) = added {
            self.rows_missing |= kind != FileKind::Target;
            errors.push(error);
        }
    }

    fn add_experiments(&mut self, file: &str, text: &str, parsed: ExperimentFile, errors: &mut Vec<CaseError>) {
        let mut end_of_section = self.catalog.rows.iter().rposition(|r| r.section == parsed.section).map(|i| i + 1);
        for (name, screen) in parsed.screens {
            if !self.layer_names.insert(format!("screen {name}")) {
                let at = locate_text(text, &format!("{name}:"), 1).unwrap_or_else(|| SourceLocation::new(text, 1, 1));
                let what = format!("the screen `{name}` is in another file too, so rows cannot refer to it");
                errors.push(CaseError::new_at_location(file, at, what).with_help("rename one of them"));
            }
            for ValidationError { message: what, quote } in self.run_validation(|| validate::validate_screen(&screen)) {
                let named = locate_text(text, &quote.unwrap_or_else(|| format!("{name}:")), 1);
                let at = named.unwrap_or_else(|| SourceLocation::new(text, 1, 1));
                errors.push(CaseError::new_at_location(file, at, format!("screen `{name}`: {what}")));
            }
            self.screens.insert(name, screen);
        }
        for experiment in parsed.rows {
            let id = experiment.id().to_owned();
            let at = || locate_row(text, &experiment.row);
            if !self.layer_names.insert(format!("row {id}")) {
                let other = self.row_files.get(&id).map_or(file, String::as_str);
                let first = self
                    .catalog
                    .experiment(&id)
                    .map_or(0, |first| locate_row(&self.file_texts[other], &first.row).line);
                errors.push(
                    CaseError::new_at_location(file, at(), format!("duplicate row `{id}`"))
                        .with_help(format!("the other experiment is in {other}:{first}; a row has one experiment")),
                );
                continue;
            }
            for ValidationError { message: what, quote } in
                self.run_validation(|| validate::validate_experiment(&experiment))
            {
                let quoted = quote.and_then(|quote| locate_text(text, &quote, at().line));
                errors.push(CaseError::new_at_location(file, quoted.unwrap_or_else(at), format!("row `{id}`: {what}")));
            }
            self.row_files.insert(id.clone(), file.to_owned());
            let section = parsed.section.clone();
            let row = CatalogRow { section, experiment };
            insert_row(&mut self.catalog.rows, row, |row| row.experiment.id(), &mut end_of_section);
        }
    }

    fn add_gateway(&mut self, file: &str, text: &str, parsed: GatewayFile, errors: &mut Vec<CaseError>) {
        let rows = &self.catalog.gateway_rows;
        let mut end_of_section = rows.iter().rposition(|r| r.section == parsed.section).map(|i| i + 1);
        for row in parsed.rows {
            let at = || locate_row(text, &row.row);
            if !self.layer_names.insert(format!("gateway {}", row.id())) {
                errors.push(CaseError::new_at_location(file, at(), format!("duplicate row `{}`", row.id())));
                continue;
            }
            for ValidationError { message: what, quote } in
                self.run_validation(|| validate_gateway::validate_gateway_row(&row))
            {
                let quoted = quote.and_then(|quote| locate_text(text, &quote, at().line));
                errors.push(CaseError::new_at_location(
                    file,
                    quoted.unwrap_or_else(at),
                    format!("row `{}`: {what}", row.id()),
                ));
            }
            let section = parsed.section.clone();
            let row = GatewayCatalogRow { section, row };
            insert_row(&mut self.catalog.gateway_rows, row, |row| row.row.id(), &mut end_of_section);
        }
    }

    /// Resolves the screens of rows: from the same layer, otherwise from an earlier one.
    fn assign_screens(&mut self) {
        for row in self.catalog.rows.iter_mut().filter(|row| row.experiment.screen_arms.is_none()) {
            let named = row.experiment.screen.as_ref();
            row.experiment.screen_arms = named.and_then(|name| self.screens.get(name)).cloned();
        }
    }

    /// Runs a validation, unless this layer is already validated.
    fn run_validation(&self, check: impl FnOnce() -> Vec<ValidationError>) -> Vec<ValidationError> {
        if self.skip_validation { Vec::new() } else { check() }
    }

    /// Adds the revisions whose base exists, until none is left. A base may be a revision itself.
    fn add_revisions(&mut self, errors: &mut Vec<CaseError>) {
        while !self.waiting.is_empty() {
            let (ready, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
                .into_iter()
                .partition(|(_, revision)| self.catalog.targets.contains_key(&revision.extends));
            self.waiting = waiting;
            if ready.is_empty() {
                for (file, revision) in std::mem::take(&mut self.waiting) {
                    let text = &self.file_texts[&file];
                    let at = locate_text(text, "extends:", 1).unwrap_or_else(|| SourceLocation::new(text, 1, 1));
                    let known = self.catalog.targets.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                    errors.push(
                        CaseError::new_at_location(&file, at, format!("there is no target `{}`", revision.extends))
                            .with_help(format!("`extends` names a target with its revision. Known: {known}")),
                    );
                }
            }
            for (file, revision) in ready {
                let target = revision.clone().apply(&self.catalog.targets[&revision.extends]);
                let text = self.file_texts[&file].clone();
                if let Err(error) = self.add_target(&file, &text, target, errors) {
                    errors.push(error);
                }
            }
        }
    }

    fn add_target(
        &mut self,
        file: &str,
        text: &str,
        mut target: Target,
        errors: &mut Vec<CaseError>,
    ) -> Result<(), CaseError> {
        type LocationSelector = fn(TargetLocations) -> Option<Spanned<IgnoredAny>>;
        let error = |of: LocationSelector, what: String| match of(TargetLocations::from_text(text)) {
            Some(value) => {
                let (line, column) = (value.defined.line() as usize, value.defined.column() as usize);
                CaseError::new_at_location(file, SourceLocation::new(text, line, column), what)
            }
            None => CaseError::new(file, what),
        };
        let is_word =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        for (key, value) in [("name", Some(&target.name)), ("revision", target.revision.as_ref())] {
            if let Some(value) = value.filter(|value| !is_word(value)) {
                let what = format!("invalid target {key} `{value}`. Use letters, digits, `-`, `_` and `.`");
                errors.push(error(|places| places.name, what));
            }
        }
        if let Some(revision) = &target.revision {
            target.name = format!("{}@{revision}", target.name);
        }
        if !self.layer_names.insert(format!("target {}", target.name)) {
            let other = self.target_files.get(&target.name).map_or("this file", String::as_str);
            let what = format!("duplicate target `{}`", target.name);
            return Err(error(|places| places.name, what).with_help(format!("the other one is in {other}")));
        }
        if target.sources.is_empty() {
            let what = "`sources` is empty. Each target needs at least one source";
            errors.push(error(|places| places.sources, what.to_owned()));
        }
        for (row, claim) in &target.claims {
            let is_partial = claim.status == ClaimStatus::Partial;
            if claim.missing.is_some() != is_partial {
                let what = match is_partial {
                    true => format!("the claim for `{row}` is `partial`, so `missing` must say what is missing"),
                    false => format!("the claim for `{row}` has `missing`, which only a claim of `partial` can have"),
                };
                errors.push(CaseError::new_at_location(file, locate_claim(text, row), what));
            }
            let titles = || target.sources.iter().map(|source| source.title.as_str());
            if let Some(source) = claim.source.as_deref().filter(|source| !titles().any(|title| title == *source)) {
                let what = format!("the claim for `{row}` names the source `{source}`, which is not in `sources`");
                let known = titles().collect::<Vec<_>>().join(", ");
                errors.push(
                    CaseError::new_at_location(file, locate_claim(text, row), what)
                        .with_help(format!("sources: {known}")),
                );
            }
        }
        if let Some(what) = target.credential.as_ref().and_then(|c| c.validation_message()) {
            errors.push(error(|places| places.credential, what.to_owned()));
        }
        self.target_files.insert(target.name.clone(), file.to_owned());
        self.catalog.targets.insert(target.name.clone(), target);
        Ok(())
    }
}

/// Replaces the row with the same id, or adds the row at the end of its section.
fn insert_row<R>(rows: &mut Vec<R>, row: R, id: impl Fn(&R) -> &str, end_of_section: &mut Option<usize>) {
    match rows.iter().position(|other| id(other) == id(&row)) {
        Some(i) => rows[i] = row,
        None => {
            let i = end_of_section.unwrap_or(rows.len());
            rows.insert(i, row);
            *end_of_section = Some(i + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::bundled::BundledFile;

    /// The bundled files as YAML.
    fn bundled_case_files() -> Vec<CaseFile> {
        let file = |file: &BundledFile| CaseFile {
            name: format!("cases/{}", file.path),
            kind: kind_from_path(file.path),
            bytes: file.yaml.as_bytes().to_vec(),
        };
        BUNDLED_FILES.iter().map(file).collect()
    }

    #[test]
    fn the_bundled_files_are_valid() {
        match Catalog::from_files(&bundled_case_files()) {
            Ok(catalog) => {
                let fields = catalog.rows.iter().filter(|row| row.experiment.is_field_row()).count();
                let listed = |target: &str| catalog.targets[target].claims.len();
                assert!(fields >= listed("deepseek@2025-12") && fields >= listed("tencent-lkeap@2025-12"), "{fields}");
                let sections: Vec<&str> = catalog.rows.iter().map(|row| row.section.as_str()).collect();
                assert!(["Streaming", "Errors", "Turns", "Side endpoints"].iter().all(|s| sections.contains(s)));
                assert!(catalog.target_names().is_superset(&["anthropic", "deepseek", "kimi", "tencent-lkeap"].into()));
                assert_eq!(catalog.target("deepseek").unwrap().name, "deepseek@2026-11", "the newest revision");
                assert!(catalog.gateway_rows.len() > 200, "{}", catalog.gateway_rows.len());
            }
            Err(errors) => panic!("{errors}"),
        }
    }

    #[test]
    fn the_bundled_json_equals_the_yaml() {
        let (mut read, bundled) =
            (Catalog::from_files(&bundled_case_files()).unwrap(), Catalog::load_bundled().unwrap());
        // Only the YAML has locations.
        let rows = read.rows.iter_mut().map(|row| &mut row.experiment.row);
        for row in rows.chain(read.gateway_rows.iter_mut().map(|row| &mut row.row.row)) {
            *row = Spanned::new(row.value.clone(), serde_yaml::Location::UNKNOWN, serde_yaml::Location::UNKNOWN);
        }
        assert_eq!(format!("{read:#?}"), format!("{bundled:#?}"));
    }

    #[test]
    fn a_bundled_row_is_located_in_its_file() {
        let (read, bundled) = (Catalog::from_files(&bundled_case_files()).unwrap(), Catalog::load_bundled().unwrap());
        for (read, bundled) in read.rows.iter().zip(&bundled.rows) {
            let (read, bundled) = (&read.experiment.row, &bundled.experiment.row);
            let text = BUNDLED_FILES
                .iter()
                .map(|file| file.yaml)
                .find(|yaml| yaml.contains(&format!("row: {}\n", read.value)));
            let line = |row| locate_row(text.unwrap(), row).line;
            assert_eq!(line(bundled), line(read), "{}", read.value);
        }
    }

    #[test]
    fn a_screen_of_a_user_file_does_not_change_bundled_rows() {
        let file = |name: &str, row: &str| {
            CaseFile {
            name: name.to_owned(),
            kind: FileKind::Experiments,
            bytes: format!(
                "section: Mine\nscreens:\n  fields:\n    treatment: {{ body: {{ metadata: {{ user_id: a }} }}, ask: Hello }}\n    \
                 challenge: {{ body: {{ metadata: {{ user_id: b }} }}, ask: Hello }}\nrows:\n  - row: {row}\n    title: mine\n    \
                 ask: Hello\n    screen: fields\n    treatment: {{ body: {{ metadata: {{ user_id: a }} }} }}\n    \
                 challenge: [{{ body: {{ metadata: {{ user_id: b }} }} }}]\n"
            )
            .into_bytes(),
        }
        };
        let catalog = Catalog::load_with_extra(&[file("x.yaml", "my.row")]).unwrap();
        let screen = |catalog: &Catalog, row: &str| format!("{:?}", catalog.experiment(row).unwrap().screen_arms);
        let bundled = screen(&Catalog::load_bundled().unwrap(), "field.metadata");
        assert_eq!(screen(&catalog, "field.metadata"), bundled);
        assert_ne!(screen(&catalog, "my.row"), bundled);
        assert!(bundled.starts_with("Some"));
        let error =
            Catalog::load_with_extra(&[file("x.yaml", "my.row"), file("y.yaml", "my.other")]).unwrap_err().to_string();
        assert!(error.contains("y.yaml:3:") && error.contains("the screen `fields` is in another file"), "{error}");
    }
}
