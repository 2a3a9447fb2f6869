//! From case files to a checked catalog: user files are layered over the bundled ones, and each row and target is checked.
//!
//! Pure: files come in as names and bytes. Every error names its place; all of them are collected, so that an author
//! sees them at once. How bytes are read is `read`'s, where something stands `place`'s, and what files say of each
//! other `references`'.

mod locate;
mod parse;
mod references;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::de::IgnoredAny;
use serde_yaml::Spanned;

use crate::catalog::arm::Screen;
use crate::catalog::bundled::FILES;
use crate::catalog::error::{CaseError, CaseErrors, Place};
use crate::catalog::experiment::{Experiment, ExperimentFile};
use crate::catalog::field_location::Field;
use crate::catalog::gateway_row::{GatewayFile, GatewayRow};
use crate::catalog::load::locate::{TargetPlaces, place_of_row, place_of_text};
pub use crate::catalog::load::parse::{MAX_FILE_BYTES, read_yaml};
use crate::catalog::load::parse::{Parsed, kind_of};
use crate::catalog::target::Target;
use crate::catalog::validate::Problem;
use crate::catalog::{validate, validate_gateway};

/// All experiments and targets of a run.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The rows, in the order of the tables.
    pub rows: Vec<CatalogRow>,
    /// The targets, by name.
    pub targets: BTreeMap<String, Target>,
    /// The rows about gateways, in order.
    pub gateway: Vec<GatewayCatalogRow>,
}

/// A row about gateways and the section it stands in.
#[derive(Debug, Clone)]
pub struct GatewayCatalogRow {
    /// The section's title.
    pub section: String,
    /// What is sent and answered, and where it should come out.
    pub row: GatewayRow,
}

/// A row and the section it stands in.
#[derive(Debug, Clone)]
pub struct CatalogRow {
    /// The section's title.
    pub section: String,
    /// The experiment that decides it.
    pub experiment: Experiment,
}

/// A case file: what it is called, and what is in it.
#[derive(Debug, Clone)]
pub struct CaseFile {
    /// The name shown in errors.
    pub name: String,
    /// The kind, from the folder that it stands in.
    pub kind: FileKind,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The kinds of case file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A section of experiments.
    Experiments,
    /// A section of rows about gateways.
    Gateway,
    /// A target with its claims.
    Target,
}

impl Catalog {
    /// The bundled case files. They are checked by the tests of this module.
    ///
    /// # Errors
    /// None that the tests would not have found.
    pub fn bundled() -> Result<Self, CaseErrors> {
        Self::with(&[])
    }

    /// The bundled case files, with rows and targets of `extra` added, or put in the place of those of the same name.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn with(extra: &[CaseFile]) -> Result<Self, CaseErrors> {
        let mut errors = Vec::new();
        let mut loader = Loader { trusts: true, ..Loader::default() };
        for file in FILES {
            let parsed = Parsed::bundled(file).map(|parsed| (file.yaml, parsed));
            loader.add(&format!("cases/{}", file.path), kind_of(file.path), parsed, &mut errors);
        }
        loader.layer();
        loader.load(extra, errors)
    }

    /// These files alone.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn of(files: &[CaseFile]) -> Result<Self, CaseErrors> {
        Loader::default().load(files, Vec::new())
    }

    /// The experiment of a row.
    pub fn experiment(&self, row: &str) -> Option<&Experiment> {
        self.rows.iter().map(|r| &r.experiment).find(|e| e.id() == row)
    }

    /// The rows that say where their field stands, with that place.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.rows.iter().filter_map(|r| Some((r.experiment.id(), r.experiment.field.as_ref()?)))
    }
}

/// Where the parts of a catalog came from.
#[derive(Default)]
struct Loader {
    catalog: Catalog,
    texts: HashMap<String, String>,
    row_files: HashMap<String, String>,
    target_files: HashMap<String, String>,
    screens: BTreeMap<String, Screen>,
    /// Rows and targets seen in this layer: doubles within a layer are errors, over layers they override.
    seen: HashSet<String>,
    /// An experiment file could not be read: who refers to its rows is not at fault.
    rows_missing: bool,
    /// The files of this layer were checked by the tests of this module.
    trusts: bool,
}

impl Loader {
    /// Adds the last files; the catalog, if nothing is wrong with these or with those before.
    fn load(mut self, files: &[CaseFile], mut errors: Vec<CaseError>) -> Result<Catalog, CaseErrors> {
        for file in files {
            self.add(&file.name, file.kind, Parsed::of(file), &mut errors);
        }
        if !self.rows_missing {
            self.finish(&mut errors);
        }
        if errors.is_empty() { Ok(self.catalog) } else { Err(CaseErrors(errors)) }
    }

    fn layer(&mut self) {
        // Who brings a screen of the same name later changes nothing for these rows.
        self.find_screens();
        self.seen.clear();
        self.trusts = false;
    }

    fn add(
        &mut self,
        name: &str,
        kind: FileKind,
        parsed: Result<(&str, Parsed), CaseError>,
        errors: &mut Vec<CaseError>,
    ) {
        let added = parsed.and_then(|(text, parsed)| {
            self.texts.insert(name.to_owned(), text.to_owned());
            match parsed {
                Parsed::Experiments(parsed) => self.add_experiments(name, text, *parsed, errors),
                Parsed::Gateway(parsed) => self.add_gateway(name, text, *parsed, errors),
                Parsed::Target(target) => return self.add_target(name, text, *target, errors),
            }
            Ok(())
        });
        if let Err(error) = added {
            self.rows_missing |= kind != FileKind::Target;
            errors.push(error);
        }
    }

    fn add_experiments(&mut self, file: &str, text: &str, parsed: ExperimentFile, errors: &mut Vec<CaseError>) {
        let mut last_of_section = self.catalog.rows.iter().rposition(|r| r.section == parsed.section).map(|i| i + 1);
        for (name, screen) in parsed.screens {
            if !self.seen.insert(format!("screen {name}")) {
                let at = place_of_text(text, &format!("{name}:"), 1).unwrap_or_else(|| Place::of(text, 1, 1));
                let what =
                    format!("the screen `{name}` stands in another file as well: rows would not know which to use");
                errors.push(CaseError::at(file, at, what).help("give it a name of its own"));
            }
            for Problem { what, quote } in self.unless_trusted(|| validate::screen_problems(&screen)) {
                let named = place_of_text(text, &quote.unwrap_or_else(|| format!("{name}:")), 1);
                let at = named.unwrap_or_else(|| Place::of(text, 1, 1));
                errors.push(CaseError::at(file, at, format!("screen `{name}`: {what}")));
            }
            self.screens.insert(name, screen);
        }
        for experiment in parsed.rows {
            let id = experiment.id().to_owned();
            let at = || place_of_row(text, &experiment.row);
            if !self.seen.insert(format!("row {id}")) {
                let other = self.row_files.get(&id).map_or(file, String::as_str);
                let first =
                    self.catalog.experiment(&id).map_or(0, |first| place_of_row(&self.texts[other], &first.row).line);
                errors.push(
                    CaseError::at(file, at(), format!("row `{id}` is decided twice"))
                        .help(format!("the other experiment stands in {other}:{first}; a row has one")),
                );
                continue;
            }
            for Problem { what, quote } in self.unless_trusted(|| validate::problems(&experiment)) {
                let quoted = quote.and_then(|quote| place_of_text(text, &quote, at().line));
                errors.push(CaseError::at(file, quoted.unwrap_or_else(at), format!("row `{id}`: {what}")));
            }
            self.row_files.insert(id.clone(), file.to_owned());
            let row = CatalogRow { section: parsed.section.clone(), experiment };
            match self.catalog.rows.iter().position(|r| r.experiment.id() == id) {
                Some(i) => self.catalog.rows[i] = row,
                None => {
                    let i = last_of_section.unwrap_or(self.catalog.rows.len());
                    self.catalog.rows.insert(i, row);
                    last_of_section = Some(i + 1);
                }
            }
        }
    }

    fn add_gateway(&mut self, file: &str, text: &str, parsed: GatewayFile, errors: &mut Vec<CaseError>) {
        let mut last_of_section = self.catalog.gateway.iter().rposition(|r| r.section == parsed.section).map(|i| i + 1);
        for row in parsed.rows {
            let at = || place_of_row(text, &row.row);
            if !self.seen.insert(format!("gateway {}", row.id())) {
                errors.push(CaseError::at(
                    file,
                    at(),
                    format!("row `{}` stands here twice, or in two files", row.id()),
                ));
                continue;
            }
            for Problem { what, quote } in self.unless_trusted(|| validate_gateway::problems(&row)) {
                let quoted = quote.and_then(|quote| place_of_text(text, &quote, at().line));
                errors.push(CaseError::at(file, quoted.unwrap_or_else(at), format!("row `{}`: {what}", row.id())));
            }
            let row = GatewayCatalogRow { section: parsed.section.clone(), row };
            let rows = &mut self.catalog.gateway;
            match rows.iter().position(|r| r.row.id() == row.row.id()) {
                Some(i) => rows[i] = row,
                None => {
                    let i = last_of_section.unwrap_or(rows.len());
                    rows.insert(i, row);
                    last_of_section = Some(i + 1);
                }
            }
        }
    }

    /// Gives the rows their screens: those of their own layer, else of one before it.
    fn find_screens(&mut self) {
        for row in self.catalog.rows.iter_mut().filter(|row| row.experiment.screen_arms.is_none()) {
            let named = row.experiment.screen.as_ref();
            row.experiment.screen_arms = named.and_then(|name| self.screens.get(name)).cloned();
        }
    }

    /// What a check finds in what was not checked before.
    fn unless_trusted(&self, check: impl FnOnce() -> Vec<Problem>) -> Vec<Problem> {
        if self.trusts { Vec::new() } else { check() }
    }

    fn add_target(
        &mut self,
        file: &str,
        text: &str,
        target: Target,
        errors: &mut Vec<CaseError>,
    ) -> Result<(), CaseError> {
        type Where = fn(TargetPlaces) -> Option<Spanned<IgnoredAny>>;
        let error = |of: Where, what: String| match of(TargetPlaces::of(text)) {
            Some(value) => {
                let (line, column) = (value.defined.line() as usize, value.defined.column() as usize);
                CaseError::at(file, Place::of(text, line, column), what)
            }
            None => CaseError::file(file, what),
        };
        if !self.seen.insert(format!("target {}", target.name)) {
            let other = self.target_files.get(&target.name).map_or("this file", String::as_str);
            let what = format!("there is already a target `{}`", target.name);
            return Err(error(|places| places.name, what).help(format!("it stands in {other}")));
        }
        if target.name.is_empty() || !target.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            let what = format!("`{}` cannot be a target's name: letters, digits, `-`, `_` and `.` can", target.name);
            errors.push(error(|places| places.name, what));
        }
        if target.sources.is_empty() {
            let what = "`sources` is empty: a claim without a source cannot be held against anyone";
            errors.push(error(|places| places.sources, what.to_owned()));
        }
        if let Some(what) = target.credential.as_ref().and_then(|c| c.missing()) {
            errors.push(error(|places| places.credential, what.to_owned()));
        }
        self.target_files.insert(target.name.clone(), file.to_owned());
        self.catalog.targets.insert(target.name.clone(), target);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::bundled::BundledFile;

    /// The bundled files as an author sees them.
    fn files() -> Vec<CaseFile> {
        let file = |file: &BundledFile| CaseFile {
            name: format!("cases/{}", file.path),
            kind: kind_of(file.path),
            bytes: file.yaml.as_bytes().to_vec(),
        };
        FILES.iter().map(file).collect()
    }

    #[test]
    fn the_bundled_files_are_sound() {
        match Catalog::of(&files()) {
            Ok(catalog) => {
                let fields = catalog.rows.iter().filter(|row| row.experiment.is_of_field()).count();
                let listed = |target: &str| catalog.targets[target].claims.len();
                assert!(fields >= listed("deepseek") && fields >= listed("tencent-lkeap"), "{fields}");
                let sections: Vec<&str> = catalog.rows.iter().map(|row| row.section.as_str()).collect();
                assert!(["Streaming", "Errors", "Turns", "Side endpoints"].iter().all(|s| sections.contains(s)));
                assert_eq!(catalog.targets.keys().collect::<Vec<_>>(), ["anthropic", "deepseek", "tencent-lkeap"]);
                assert!(catalog.gateway.len() > 200, "{}", catalog.gateway.len());
            }
            Err(errors) => panic!("{errors}"),
        }
    }

    #[test]
    fn the_bundle_says_what_the_files_say() {
        let (mut read, bundled) = (Catalog::of(&files()).unwrap(), Catalog::bundled().unwrap());
        // Places are the YAML's alone.
        let rows = read.rows.iter_mut().map(|row| &mut row.experiment.row);
        for row in rows.chain(read.gateway.iter_mut().map(|row| &mut row.row.row)) {
            *row = Spanned::new(row.value.clone(), serde_yaml::Location::UNKNOWN, serde_yaml::Location::UNKNOWN);
        }
        assert_eq!(format!("{read:#?}"), format!("{bundled:#?}"));
    }

    #[test]
    fn a_bundled_row_has_its_place_in_the_file() {
        let (read, bundled) = (Catalog::of(&files()).unwrap(), Catalog::bundled().unwrap());
        for (read, bundled) in read.rows.iter().zip(&bundled.rows) {
            let (read, bundled) = (&read.experiment.row, &bundled.experiment.row);
            let text = FILES.iter().map(|file| file.yaml).find(|yaml| yaml.contains(&format!("row: {}\n", read.value)));
            let line = |row| place_of_row(text.unwrap(), row).line;
            assert_eq!(line(bundled), line(read), "{}", read.value);
        }
    }

    #[test]
    fn a_screen_of_ones_own_is_for_ones_own_rows() {
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
        let catalog = Catalog::with(&[file("x.yaml", "my.row")]).unwrap();
        let screen = |catalog: &Catalog, row: &str| format!("{:?}", catalog.experiment(row).unwrap().screen_arms);
        let bundled = screen(&Catalog::bundled().unwrap(), "field.metadata");
        assert_eq!(screen(&catalog, "field.metadata"), bundled);
        assert_ne!(screen(&catalog, "my.row"), bundled);
        assert!(bundled.starts_with("Some"));
        let error = Catalog::with(&[file("x.yaml", "my.row"), file("y.yaml", "my.other")]).unwrap_err().to_string();
        assert!(error.contains("y.yaml:3:") && error.contains("the screen `fields` stands in another file"), "{error}");
    }
}
