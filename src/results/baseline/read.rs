//! Reads a baseline of either kind from the text of a file: [`read_baseline`].

use serde::Deserialize;
use thiserror::Error;

use crate::catalog::{CaseError, CaseErrors, SourceLocation};
use crate::results::baseline::expectations::BaselineSource;
use crate::results::baseline::file;
use crate::results::baseline::file::{CatalogNames, did_you_mean};
use crate::results::json;
use crate::results::json::ParseError;
use crate::results::model::Results;

/// Why a text is not a valid baseline.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A list with invalid entries, or a results file with unknown rows or checks.
    #[error("{0}")]
    Entries(#[from] CaseErrors),
    /// An invalid results file.
    #[error("{0}")]
    Results(#[from] ParseError),
}

/// Reads a baseline. `name` is used in messages only.
///
/// # Errors
/// All invalid entries of a list, or the first problem of a results file: it is incomplete, was edited, or
/// has another version.
pub fn read_baseline(name: &str, text: &str, known: &CatalogNames) -> Result<BaselineSource, ReadError> {
    if is_expectations(text) {
        return Ok(BaselineSource::Expectations(file::read_expectations(name, text, known)?.expectations));
    }
    let earlier = json::parse(name, text)?;
    let errors = find_unknown_names(name, text, &earlier, known);
    if errors.is_empty() { Ok(BaselineSource::EarlierRun(Box::new(earlier))) } else { Err(CaseErrors(errors).into()) }
}

/// True for a list of expected failures. A list may be JSON, since JSON is YAML; then its `schema` decides.
pub fn is_expectations(text: &str) -> bool {
    #[derive(Deserialize)]
    struct BaselineSchemaProbe {
        schema: String,
    }
    let head: Option<BaselineSchemaProbe> = serde_json::from_str(text).ok();
    !text.trim_start().starts_with('{') || head.is_some_and(|head| head.schema.starts_with("fieldtest-baseline/"))
}

/// Reports rows and checks of an earlier run that do not exist now.
fn find_unknown_names(name: &str, text: &str, earlier: &Results, known: &CatalogNames) -> Vec<CaseError> {
    let missing = |what: &str, key: &str, id: &str, known: &[String]| {
        if known.iter().any(|other| other == id) {
            return None;
        }
        let message = format!("unknown {what} `{id}`");
        let error = match locate_value(text, key, id) {
            Some(place) => CaseError::new_at_location(name, place, message),
            None => CaseError::new(name, message),
        };
        let near = did_you_mean(id, known.iter().map(String::as_str)).map_or(String::new(), |near| format!("{near} "));
        Some(error.with_help(format!(
            "{near}The file was made with other case files (--cases) or by another version of fieldtest"
        )))
    };
    let rows = earlier.rows.iter().filter_map(|row| missing("row", "id", &row.id, &known.rows));
    let findings = earlier.findings.iter();
    let checks = findings.filter_map(|finding| missing("check", "check", &finding.check, &known.checks));
    rows.chain(checks).collect()
}

/// The location of a key with this value, in a text written by [`json::render`].
fn locate_value(text: &str, key: &str, value: &str) -> Option<SourceLocation> {
    let pair = format!("\"{key}\": {}", serde_json::Value::from(value));
    let (index, line) = text.lines().enumerate().find(|(_, line)| line.contains(&pair))?;
    let column = line[..line.find(&pair)?].chars().count() + 1;
    Some(SourceLocation { line: index + 1, column, text: line.to_owned() })
}
