//! From case files to a checked catalog: parsing, overriding, and the cross-references between the two kinds of file.
//!
//! Pure: files come in as names and bytes. Every error names its place; all of them are collected, so that an author
//! sees them at once.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_yaml::Spanned;

use super::arm::Screen;
use super::check::{self, Problem};
use super::embedded::{BundledFile, FILES};
use super::error::{CaseError, CaseErrors, Place};
use super::experiment::{Experiment, ExperimentFile};
use super::field::Field;
use super::gateway::{GatewayFile, GatewayRow};
use super::gateway_check;
use super::target::Target;

/// The largest case file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

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

/// A target file, read again for the places of what is in it alone: only where something is wrong with it.
#[derive(Default, Deserialize)]
struct TargetPlaces {
    name: Option<Spanned<IgnoredAny>>,
    sources: Option<Spanned<IgnoredAny>>,
    credential: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    claims: BTreeMap<String, Spanned<IgnoredAny>>,
}

impl TargetPlaces {
    fn of(text: &str) -> Self {
        serde_yaml::from_str_with_options(text, options()).unwrap_or_default()
    }
}

/// A case file as it was read.
enum Parsed {
    Experiments(Box<ExperimentFile>),
    Gateway(Box<GatewayFile>),
    Target(Box<Target>),
}

impl Parsed {
    /// Reads a file; with its text.
    fn of(file: &CaseFile) -> Result<(&str, Self), CaseError> {
        let name = &file.name;
        let text = text_of(name, &file.bytes)?;
        let parsed = match file.kind {
            FileKind::Experiments => Self::Experiments(Box::new(parse(name, text)?)),
            FileKind::Gateway => Self::Gateway(Box::new(parse(name, text)?)),
            FileKind::Target => Self::Target(Box::new(parse(name, text)?)),
        };
        Ok((text, parsed))
    }

    /// Reads a bundled file, without the places of what is in it.
    fn bundled(file: &BundledFile) -> Result<Self, CaseError> {
        let read = match kind_of(file.path) {
            FileKind::Experiments => serde_json::from_str(file.json).map(|read| Self::Experiments(Box::new(read))),
            FileKind::Gateway => serde_json::from_str(file.json).map(|read| Self::Gateway(Box::new(read))),
            FileKind::Target => serde_json::from_str(file.json).map(|read| Self::Target(Box::new(read))),
        };
        read.map_err(|error| CaseError::file(file.path, error.to_string()))
    }
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
            for Problem { what, quote } in self.unless_trusted(|| check::screen_problems(&screen)) {
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
            for Problem { what, quote } in self.unless_trusted(|| check::problems(&experiment)) {
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
            for Problem { what, quote } in self.unless_trusted(|| gateway_check::problems(&row)) {
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

    fn works_through_itself(&self, experiment: &Experiment) -> bool {
        let mut seen = HashSet::new();
        let mut next: Vec<&str> = experiment.through.iter().map(String::as_str).collect();
        while let Some(row) = next.pop() {
            if row == experiment.id() {
                return true;
            }
            if seen.insert(row) {
                let through = self.catalog.experiment(row).into_iter().flat_map(|other| &other.through);
                next.extend(through.map(String::as_str));
            }
        }
        false
    }

    /// The references between files: claims name rows, rows name rows.
    fn finish(&mut self, errors: &mut Vec<CaseError>) {
        self.find_screens();
        for row in &self.catalog.rows {
            let Some(name) = &row.experiment.screen else { continue };
            if row.experiment.screen_arms.is_none() {
                let file = &self.row_files[row.experiment.id()];
                let place = place_of_row(&self.texts[file], &row.experiment.row);
                let what = format!("row `{}` names the screen `{name}`, which no file has", row.experiment.id());
                errors.push(CaseError::at(file, place, what));
            }
        }
        let known: HashSet<&str> = self.catalog.rows.iter().map(|r| r.experiment.id()).collect();
        let is_of_gateways = |row: &str| self.catalog.gateway.iter().any(|r| r.row.id() == row);
        let is_known = |row: &str| known.contains(row) || is_of_gateways(row);
        for target in self.catalog.targets.values() {
            let file = &self.target_files[&target.name];
            for row in target.claims.keys().filter(|row| !is_known(row)) {
                let place = place_of_claim(&self.texts[file], row);
                errors.push(
                    CaseError::at(file, place, format!("a claim for row `{row}`, which no experiment decides"))
                        .help("`fieldtest rows` lists the rows; a new one needs an experiment"),
                );
            }
        }
        for row in &self.catalog.rows {
            let experiment = &row.experiment;
            for other in experiment.through.iter().filter(|other| !known.contains(other.as_str())) {
                let file = &self.row_files[experiment.id()];
                let place = place_of_row(&self.texts[file], &experiment.row);
                errors.push(CaseError::at(
                    file,
                    place,
                    format!("row `{}` works through row `{other}`, which no experiment decides", experiment.id()),
                ));
            }
            if self.works_through_itself(experiment) {
                let file = &self.row_files[experiment.id()];
                let place = place_of_row(&self.texts[file], &experiment.row);
                let what = format!("row `{}` works through rows that work through it", experiment.id());
                errors.push(CaseError::at(file, place, what).help("neither could be decided before the other"));
            }
            let other = experiment.field.as_ref().and_then(|field| field.at.row());
            // One step leads to the field: a row that itself refers to another is none to refer to.
            let stands = |other: &&str| {
                self.catalog.experiment(other).is_some_and(|e| e.field.as_ref().is_none_or(|f| f.at.row().is_none()))
            };
            if let Some(other) = other.filter(|other| !stands(other)) {
                let file = &self.row_files[experiment.id()];
                let place = place_of_row(&self.texts[file], &experiment.row);
                let what =
                    format!("row `{}` is about the field of row `{other}`, which has none of its own", experiment.id());
                errors.push(CaseError::at(file, place, what));
            }
        }
    }
}

/// Reads a YAML file of any kind, within the bounds of case files, with errors that name their place.
///
/// # Errors
/// A file that is too large, empty, no YAML or of another shape.
pub fn read_yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, CaseError> {
    parse(file, text_of(file, text.as_bytes())?)
}

fn text_of<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, CaseError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let what = format!("the file goes on past {} KiB, which no case file needs", MAX_FILE_BYTES / 1024);
        return Err(CaseError::at(file, end_of(&bytes[..MAX_FILE_BYTES as usize]), what));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        CaseError::at(file, end_of(&bytes[..e.valid_up_to()]), "the file is not UTF-8 from here on")
            .help("save it as UTF-8")
    })?;
    if text.trim().is_empty() {
        return Err(CaseError::at(file, Place::of(text, 1, 1), "the file is empty"));
    }
    Ok(text)
}

/// The place where these first bytes of a file end.
fn end_of(bytes: &[u8]) -> Place {
    let line = bytes.iter().filter(|b| **b == b'\n').count() + 1;
    let last = bytes.rsplit(|b| *b == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(last).into_owned();
    Place { line, column: text.chars().count() + 1, text }
}

fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, CaseError> {
    serde_yaml::from_str_with_options(text, options()).map_err(|e| {
        let message = super::credential::without_value(super::wording::message(&e));
        match e.location() {
            Some(at) => CaseError::at(file, Place::of(text, at.line() as usize, at.column() as usize), message),
            None => CaseError::file(file, message),
        }
    })
}

/// Bounds for hostile files: far above what case files need, far below what would hurt.
fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: 40,
            max_nodes: 50_000,
            max_events: 100_000,
            max_aliases: 500,
            max_anchors: 200,
            max_documents: 1,
        },
    }
}

/// The first place of a text, from a line on.
fn place_of_text(text: &str, quote: &str, from: usize) -> Option<Place> {
    let mut lines = text.lines().enumerate().skip(from - 1);
    lines.find_map(|(i, line)| {
        let column = line[..line.find(quote)?].chars().count() + 1;
        Some(Place { line: i + 1, column, text: line.to_owned() })
    })
}

/// The place of a row. Those that were read without places are looked for.
fn place_of_row(text: &str, row: &Spanned<String>) -> Place {
    let known = row.defined != serde_yaml::Location::UNKNOWN;
    let known = known.then(|| Place::of(text, row.defined.line() as usize, row.defined.column() as usize));
    let is_of_row = |line: &str| line.trim().trim_start_matches("- ") == format!("row: {}", row.value);
    let found = || text.lines().position(is_of_row).map(|n| Place::of(text, n + 1, 1));
    known.or_else(found).unwrap_or_else(|| Place::of(text, 1, 1))
}

/// The place of a claim's key: on the line of its value, or on the last one above that begins with it.
fn place_of_claim(text: &str, row: &str) -> Place {
    let places = TargetPlaces::of(text).claims;
    let of_value = places.get(row).map_or(1, |value| value.defined.line() as usize);
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &str| line.trim_start().trim_start_matches(['"', '\'']).starts_with(row);
    let line = (1..=of_value.min(lines.len())).rev().find(|n| begins(lines[n - 1])).unwrap_or(of_value);
    let column = lines.get(line - 1).map_or(1, |l| l.chars().take_while(|c| c.is_whitespace()).count() + 1);
    Place::of(text, line, column)
}

/// The kind of a file, from its path below a folder of case files.
fn kind_of(path: &str) -> FileKind {
    match path.split_once('/') {
        Some(("targets", _)) => FileKind::Target,
        Some(("gateway", _)) => FileKind::Gateway,
        _ => FileKind::Experiments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_row_cannot_work_through_itself() {
        let row = |row: &str, through: &str| {
            format!(
                "  - row: {row}\n    title: t\n    ask: Hello\n    through: [{through}]\n    treatment: {{ body: {{ top_k: 1 }} }}\n    effect: {{ text: {{ contains: [a] }} }}\n    by_chance: never\n"
            )
        };
        let file = |rows: &[String]| CaseFile {
            name: "x.yaml".to_owned(),
            kind: FileKind::Experiments,
            bytes: format!("section: Mine\nrows:\n{}", rows.concat()).into_bytes(),
        };
        let around = [row("my.a", "my.b"), row("my.b", "my.c"), row("my.c", "my.a"), row("my.d", "my.a")];
        let error = Catalog::with(&[file(&around)]).unwrap_err().to_string();
        let said = |row: &str| error.contains(&format!("row `{row}` works through rows that work through it"));
        assert!(["my.a", "my.b", "my.c"].into_iter().all(said) && !said("my.d"), "{error}");
        assert!(Catalog::with(&[file(&[row("my.a", "my.b"), row("my.b", "field.top_k")])]).is_ok());
    }
}
