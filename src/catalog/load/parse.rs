//! Reading one case file: from bytes to what it says, within bounds that a hostile file cannot pass.
//!
//! It must not know of other files, nor judge what a file says beyond its shape.

use serde::de::DeserializeOwned;

use crate::catalog::bundled::BundledFile;
use crate::catalog::error::{CaseError, Place};
use crate::catalog::experiment::ExperimentFile;
use crate::catalog::gateway_row::GatewayFile;
use crate::catalog::load::{CaseFile, FileKind};
use crate::catalog::target::Target;
use crate::catalog::{credential_source, yaml_errors};

/// The largest case file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A case file as it was read.
pub(super) enum Parsed {
    Experiments(Box<ExperimentFile>),
    Gateway(Box<GatewayFile>),
    Target(Box<Target>),
}

impl Parsed {
    /// Reads a file; with its text.
    pub(super) fn of(file: &CaseFile) -> Result<(&str, Self), CaseError> {
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
    pub(super) fn bundled(file: &BundledFile) -> Result<Self, CaseError> {
        let read = match kind_of(file.path) {
            FileKind::Experiments => serde_json::from_str(file.json).map(|read| Self::Experiments(Box::new(read))),
            FileKind::Gateway => serde_json::from_str(file.json).map(|read| Self::Gateway(Box::new(read))),
            FileKind::Target => serde_json::from_str(file.json).map(|read| Self::Target(Box::new(read))),
        };
        read.map_err(|error| CaseError::file(file.path, error.to_string()))
    }
}

/// Reads a YAML file of any kind, within the bounds of case files, with errors that name their place.
///
/// # Errors
/// A file that is too large, empty, no YAML or of another shape.
pub fn read_yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, CaseError> {
    parse(file, text_of(file, text.as_bytes())?)
}

pub(super) fn text_of<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, CaseError> {
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
pub(super) fn end_of(bytes: &[u8]) -> Place {
    let line = bytes.iter().filter(|b| **b == b'\n').count() + 1;
    let last = bytes.rsplit(|b| *b == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(last).into_owned();
    Place { line, column: text.chars().count() + 1, text }
}

pub(super) fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, CaseError> {
    serde_yaml::from_str_with_options(text, options()).map_err(|e| {
        let message = credential_source::without_value(yaml_errors::message(&e));
        match e.location() {
            Some(at) => CaseError::at(file, Place::of(text, at.line() as usize, at.column() as usize), message),
            None => CaseError::file(file, message),
        }
    })
}

/// Bounds for hostile files: far above what case files need, far below what would hurt.
pub(super) fn options() -> serde_yaml::Options {
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

/// The kind of a file, from its path below a folder of case files.
pub(super) fn kind_of(path: &str) -> FileKind {
    match path.split_once('/') {
        Some(("targets", _)) => FileKind::Target,
        Some(("gateway", _)) => FileKind::Gateway,
        _ => FileKind::Experiments,
    }
}
