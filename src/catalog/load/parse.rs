//! Parses one case file into a [`ParsedCaseFile`], within limits for hostile files.
//!
//! Must not know other files. Validates only the structure.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::catalog::bundled::BundledFile;
use crate::catalog::error::{CaseError, SourceLocation};
use crate::catalog::experiment::ExperimentFile;
use crate::catalog::gateway_row::GatewayFile;
use crate::catalog::load::{CaseFile, FileKind};
use crate::catalog::target_revision::TargetFile;
use crate::catalog::{credential_source, yaml_errors};

/// The largest case file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A parsed case file.
pub(super) enum ParsedCaseFile {
    Experiments(Box<ExperimentFile>),
    Gateway(Box<GatewayFile>),
    Target(Box<TargetFile>),
}

impl ParsedCaseFile {
    /// Parses a file. Also returns its text.
    pub(super) fn from_case_file(file: &CaseFile) -> Result<(&str, Self), CaseError> {
        let name = &file.name;
        let text = decode_text(name, &file.bytes)?;
        let parsed = match file.kind {
            FileKind::Experiments => Self::Experiments(Box::new(deserialize_yaml(name, text)?)),
            FileKind::Gateway => Self::Gateway(Box::new(deserialize_yaml(name, text)?)),
            FileKind::Target => Self::Target(Box::new(parse_target_file(name, text)?)),
        };
        Ok((text, parsed))
    }

    /// Parses a bundled file from its JSON, without locations.
    pub(super) fn from_bundled(file: &BundledFile) -> Result<Self, CaseError> {
        let read = match kind_from_path(file.path) {
            FileKind::Experiments => serde_json::from_str(file.json).map(|read| Self::Experiments(Box::new(read))),
            FileKind::Gateway => serde_json::from_str(file.json).map(|read| Self::Gateway(Box::new(read))),
            FileKind::Target => parse_bundled_target(file.json).map(|read| Self::Target(Box::new(read))),
        };
        read.map_err(|error| CaseError::new(file.path, error.to_string()))
    }
}

/// The key that distinguishes a revision from a complete target.
#[derive(Deserialize)]
struct ExtendsKey {
    #[serde(default)]
    extends: Option<IgnoredAny>,
}

/// Parses a target file as what it is, so that errors name its own keys.
fn parse_target_file(name: &str, text: &str) -> Result<TargetFile, CaseError> {
    let key: Result<ExtendsKey, CaseError> = deserialize_yaml(name, text);
    match key.is_ok_and(|key| key.extends.is_some()) {
        true => deserialize_yaml(name, text).map(TargetFile::Revision),
        false => deserialize_yaml(name, text).map(TargetFile::Complete),
    }
}

fn parse_bundled_target(json: &str) -> Result<TargetFile, serde_json::Error> {
    let key: ExtendsKey = serde_json::from_str(json)?;
    match key.extends {
        Some(_) => serde_json::from_str(json).map(TargetFile::Revision),
        None => serde_json::from_str(json).map(TargetFile::Complete),
    }
}

/// Parses a YAML file of any kind within the limits of case files.
///
/// # Errors
/// The file is too large, empty, not YAML, or has another structure. The error has the location.
pub fn read_yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, CaseError> {
    deserialize_yaml(file, decode_text(file, text.as_bytes())?)
}

pub(super) fn decode_text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, CaseError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let what = format!("the file is larger than {} KiB, the limit of case files", MAX_FILE_BYTES / 1024);
        return Err(CaseError::new_at_location(file, locate_end(&bytes[..MAX_FILE_BYTES as usize]), what));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        CaseError::new_at_location(file, locate_end(&bytes[..e.valid_up_to()]), "not UTF-8 from here on")
            .with_help("save it as UTF-8")
    })?;
    if text.trim().is_empty() {
        return Err(CaseError::new_at_location(file, SourceLocation::new(text, 1, 1), "the file is empty"));
    }
    Ok(text)
}

/// The location of the end of these bytes.
pub(super) fn locate_end(bytes: &[u8]) -> SourceLocation {
    let line = bytes.iter().filter(|b| **b == b'\n').count() + 1;
    let last = bytes.rsplit(|b| *b == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(last).into_owned();
    SourceLocation { line, column: text.chars().count() + 1, text }
}

pub(super) fn deserialize_yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, CaseError> {
    serde_yaml::from_str_with_options(text, yaml_options()).map_err(|e| {
        let message = credential_source::redact_credential_error(yaml_errors::explain(&e));
        match e.location() {
            Some(at) => CaseError::new_at_location(
                file,
                SourceLocation::new(text, at.line() as usize, at.column() as usize),
                message,
            ),
            None => CaseError::new(file, message),
        }
    })
}

/// Limits for hostile files: far more than case files need, far less than would do harm.
pub(super) fn yaml_options() -> serde_yaml::Options {
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
pub(super) fn kind_from_path(path: &str) -> FileKind {
    match path.split_once('/') {
        Some(("targets", _)) => FileKind::Target,
        Some(("gateway", _)) => FileKind::Gateway,
        _ => FileKind::Experiments,
    }
}
