//! A baseline from a file's text, whichever of the two kinds it is of: the text itself tells.

use serde::Deserialize;
use thiserror::Error;

use crate::catalog::{CaseError, CaseErrors, SourceLocation};
use crate::results::baseline::expectations::BaselineSource;
use crate::results::baseline::file;
use crate::results::baseline::file::{CatalogNames, did_you_mean};
use crate::results::json;
use crate::results::json::ParseError;
use crate::results::model::Results;

/// Why a text is no baseline.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A file of expectations with something wrong in it, or a results file of rows that nobody knows.
    #[error("{0}")]
    Entries(#[from] CaseErrors),
    /// A results file that cannot be read.
    #[error("{0}")]
    Results(#[from] ParseError),
}

/// Reads a baseline. `name` is used in messages only.
///
/// # Errors
/// What is wrong with the file: every entry that names nothing, or a results file that was cut, edited, or is of
/// another version.
pub fn read_baseline(name: &str, text: &str, known: &CatalogNames) -> Result<BaselineSource, ReadError> {
    if is_expectations(text) {
        return Ok(BaselineSource::Expectations(file::read_expectations(name, text, known)?.expectations));
    }
    let earlier = json::parse(name, text)?;
    let errors = find_unknown_names(name, text, &earlier, known);
    if errors.is_empty() { Ok(BaselineSource::EarlierRun(Box::new(earlier))) } else { Err(CaseErrors(errors).into()) }
}

/// Which kind of file a text is. JSON is YAML: a list may be written in it, and then says what it is.
pub fn is_expectations(text: &str) -> bool {
    #[derive(Deserialize)]
    struct BaselineSchemaProbe {
        schema: String,
    }
    let head: Option<BaselineSchemaProbe> = serde_json::from_str(text).ok();
    !text.trim_start().starts_with('{') || head.is_some_and(|head| head.schema.starts_with("fieldtest-baseline/"))
}

/// Names in an earlier run that nobody knows here: it is of other case files, or of another version.
fn find_unknown_names(name: &str, text: &str, earlier: &Results, known: &CatalogNames) -> Vec<CaseError> {
    let missing = |what: &str, key: &str, id: &str, known: &[String]| {
        if known.iter().any(|other| other == id) {
            return None;
        }
        let message = format!("there is no {what} `{id}`");
        let error = match locate_value(text, key, id) {
            Some(place) => CaseError::new_at_location(name, place, message),
            None => CaseError::new(name, message),
        };
        let near = did_you_mean(id, known.iter().map(String::as_str)).map_or(String::new(), |near| format!("{near} "));
        Some(
            error.with_help(format!(
                "{near}the file is of other case files (--cases), or of another version of fieldtest"
            )),
        )
    };
    let rows = earlier.rows.iter().filter_map(|row| missing("row", "id", &row.id, &known.rows));
    let findings = earlier.findings.iter();
    let checks = findings.filter_map(|finding| missing("check", "check", &finding.check, &known.checks));
    rows.chain(checks).collect()
}

/// Where a key with this value stands in a text that was written by `json::render`.
fn locate_value(text: &str, key: &str, value: &str) -> Option<SourceLocation> {
    let pair = format!("\"{key}\": {}", serde_json::Value::from(value));
    let (index, line) = text.lines().enumerate().find(|(_, line)| line.contains(&pair))?;
    let column = line[..line.find(&pair)?].chars().count() + 1;
    Some(SourceLocation { line: index + 1, column, text: line.to_owned() })
}
