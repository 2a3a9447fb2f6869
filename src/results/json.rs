//! Writes results and other models as JSON ([`render`]), and reads results files ([`parse`]).
//!
//! A results file that was truncated or edited is rejected, since a report made from it would look like
//! evidence. This module must not touch the file system.

use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use thiserror::Error;

use crate::catalog::is_silent;
use crate::results::baseline;
use crate::results::migrate::{SCHEMA_V1, migrate_from_v1};
use crate::results::model::{Results, ResultsSummary, RowResult, SCHEMA, VerdictTally};

/// The JSON text of a model, with a line end. Equal models have equal text.
#[expect(clippy::expect_used, reason = "the models have strings as keys and only types that serialize")]
pub fn render<T: Serialize>(model: &T) -> String {
    let mut text = serde_json::to_string_pretty(model).expect("a model is plain data");
    text.push('\n');
    text
}

/// Why a text is not a valid results file. `name` is the name of the file.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages show what the fields are")]
pub enum ParseError {
    /// The text ends inside the JSON.
    #[error("{name}:{line}:{column}: the file is incomplete. Write it again")]
    Truncated { name: String, line: usize, column: usize },
    /// The text is not JSON.
    #[error("{name}:{line}:{column}: not JSON: {message}")]
    Syntax { name: String, line: usize, column: usize, message: String },
    /// The JSON has another schema.
    #[error("{name}: {}. This version of fieldtest reads \"{SCHEMA}\" and \"{SCHEMA_V1}\"", match found {
        Some(found) => format!("\"schema\" is \"{found}\""),
        None => "not a results file: no \"schema\"".to_owned(),
    })]
    Version { name: String, found: Option<String> },
    /// A field is missing or has the wrong type.
    #[error("{name}:{line}:{column}: {message}")]
    Shape { name: String, line: usize, column: usize, message: String },
    /// A row contradicts itself.
    #[error("{name}: row {row}: {message}. The file was edited, or written by another program")]
    Row { name: String, row: String, message: String },
    /// The comparison with a baseline contradicts the rows or findings.
    #[error("{name}: \"baseline\": {message}. The file was edited, or written by another program")]
    Baseline { name: String, message: String },
    /// The summary has wrong counts.
    #[error(
        "{name}: \"summary\" has {said} for {field}, but the rows give {counted}. The file was edited, or rows are missing"
    )]
    Summary { name: String, field: &'static str, said: u64, counted: u64 },
}

/// Reads a results file. `name` is used in messages only.
pub fn parse(name: &str, text: &str) -> Result<Results, ParseError> {
    // Checked first, so that a file of another version is not reported as a missing field.
    let version: SchemaProbe = serde_json::from_str(text).map_err(|error| to_parse_error(name, &error))?;
    let is_v1 = version.schema.as_deref() == Some(SCHEMA_V1);
    if version.schema.as_deref() != Some(SCHEMA) && !is_v1 {
        return Err(ParseError::Version { name: name.to_owned(), found: version.schema });
    }
    let mut results: Results = serde_json::from_str(text).map_err(|error| to_parse_error(name, &error))?;
    validate_results(name, &results)?;
    if is_v1 {
        migrate_from_v1(&mut results);
    }
    Ok(results)
}

/// Checks that results that were not read from their own file are consistent.
///
/// # Errors
/// As [`parse`].
pub fn validate(results: &Results) -> Result<(), ParseError> {
    validate_results("results", results)
}

fn validate_results(name: &str, results: &Results) -> Result<(), ParseError> {
    for (nth, row) in results.rows.iter().enumerate() {
        validate_row(row, &results.rows[..nth]).map_err(|message| ParseError::Row {
            name: name.to_owned(),
            row: row.id.clone(),
            message,
        })?;
    }
    validate_summary(name, results)?;
    let inconsistency =
        results.baseline.as_ref().and_then(|comparison| baseline::find_inconsistency(results, comparison));
    if let Some(message) = inconsistency {
        return Err(ParseError::Baseline { name: name.to_owned(), message });
    }
    Ok(())
}

#[derive(Deserialize)]
struct SchemaProbe {
    #[serde(default)]
    schema: Option<String>,
}

fn to_parse_error(name: &str, error: &serde_json::Error) -> ParseError {
    let (name, line, column) = (name.to_owned(), error.line(), error.column());
    let text = error.to_string();
    // serde_json puts the position after the message; here it comes first.
    let message = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text).to_owned();
    match error.classify() {
        Category::Eof => ParseError::Truncated { name, line, column },
        Category::Syntax | Category::Io => ParseError::Syntax { name, line, column, message },
        Category::Data => ParseError::Shape { name, line, column, message },
    }
}

fn validate_row(row: &RowResult, before: &[RowResult]) -> Result<(), String> {
    if before.iter().any(|other| other.id == row.id) {
        return Err("duplicate row".to_owned());
    }
    let claim = row.claim.as_ref().map(|claim| claim.status);
    let status = row.verdict.status;
    let claimed = claim.map_or("no claim".to_owned(), |claim| format!("claimed {claim}"));
    let outcome = row.verdict.compare_with(claim);
    if row.outcome != outcome {
        return Err(format!("{claimed} with verdict {status} is {outcome}, not {}", row.outcome));
    }
    let silent = is_silent(claim, status);
    if row.silent != silent {
        return Err(format!("\"silent\" must be {silent} for {claimed} with verdict {status}"));
    }
    Ok(())
}

fn validate_summary(name: &str, results: &Results) -> Result<(), ParseError> {
    let counted = summary_counts(&ResultsSummary::from_rows(&results.rows));
    // Version 1 has fewer counts.
    let compared = if results.schema == SCHEMA_V1 { COUNTS_OF_V1 } else { counted.len() };
    for ((field, said), (_, counted)) in summary_counts(&results.summary).into_iter().zip(counted).take(compared) {
        if said != counted {
            return Err(ParseError::Summary { name: name.to_owned(), field, said, counted });
        }
    }
    Ok(())
}

/// The number of counts in files of version 1, which come first.
const COUNTS_OF_V1: usize = 10;

fn summary_counts(summary: &ResultsSummary) -> [(&'static str, u64); 21] {
    // Destructured, so that the compiler reports a new count that is missing here.
    let ResultsSummary {
        rows,
        decided,
        inconclusive,
        skipped,
        conforms,
        silent,
        exceeds,
        contradicts,
        undetermined,
        unclaimed,
        blocked,
        needs_model,
        verdicts,
        met_by,
    } = *summary;
    let VerdictTally { supported, validated, accepted, ignored, rejected, substituted } = verdicts;
    [
        ("rows", rows),
        ("decided", decided),
        ("inconclusive", inconclusive),
        ("skipped", skipped),
        ("conforms", conforms),
        ("silent", silent),
        ("exceeds", exceeds),
        ("contradicts", contradicts),
        ("undetermined", undetermined),
        ("unclaimed", unclaimed),
        ("blocked", blocked),
        ("needs_model", needs_model),
        ("supported", supported),
        ("validated", validated),
        ("accepted", accepted),
        ("ignored", ignored),
        ("rejected", rejected),
        ("substituted", substituted),
        ("claims met by supported", met_by.supported),
        ("claims met by validated", met_by.validated),
        ("claims met by accepted", met_by.accepted),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::catalog::Outcome;
    use crate::published_schemas;
    use crate::results::fixtures;

    static SCHEMA_VALIDATOR: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| published_schemas::validator_for("results"));

    fn parse_failure(text: &str) -> String {
        parse("results-x.json", text).expect_err("this must be rejected").to_string()
    }

    #[test]
    fn the_format_of_results_files_is_stable() {
        fixtures::snapshot_settings()
            .bind(|| insta::assert_snapshot!("results.json", render(&fixtures::every_outcome())));
    }

    #[test]
    fn the_schema_rejects_other_documents() {
        let good = serde_json::to_value(fixtures::every_outcome()).expect("plain data");
        assert!(SCHEMA_VALIDATOR.is_valid(&good));
        let mut other_version = good.clone();
        other_version["schema"] = "fieldtest-results/3".into();
        assert!(!SCHEMA_VALIDATOR.is_valid(&other_version));
        let mut other_status = good.clone();
        other_status["rows"][0]["verdict"]["status"] = "works".into();
        assert!(!SCHEMA_VALIDATOR.is_valid(&other_status));
        let mut no_model = good;
        no_model["target"].as_object_mut().expect("an object").remove("model");
        assert!(!SCHEMA_VALIDATOR.is_valid(&no_model));
    }

    #[test]
    fn every_truncated_file_is_reported_as_incomplete() {
        let text = render(&fixtures::every_outcome());
        let json = text.trim_end();
        for end in (1..json.len()).step_by(97).filter(|end| json.is_char_boundary(*end)) {
            let message = parse_failure(&json[..end]);
            assert!(message.ends_with("the file is incomplete. Write it again"), "cut at {end}: {message}");
        }
    }

    #[test]
    fn errors_name_their_position() {
        let text = render(&fixtures::every_outcome());
        let edited = |from: &str, to: &str| {
            assert!(text.contains(from), "the fixture has no {from}");
            parse_failure(&text.replacen(from, to, 1))
        };
        assert_eq!(parse_failure("{]"), "results-x.json:1:2: not JSON: key must be a string");
        assert_eq!(
            parse_failure("{\"rows\": []}"),
            "results-x.json: not a results file: no \"schema\". \
             This version of fieldtest reads \"fieldtest-results/2\" and \"fieldtest-results/1\""
        );
        assert_eq!(
            edited("fieldtest-results/2", "fieldtest-results/9"),
            "results-x.json: \"schema\" is \"fieldtest-results/9\". \
             This version of fieldtest reads \"fieldtest-results/2\" and \"fieldtest-results/1\""
        );
        assert!(edited("\"simulated\": false", "\"simulated\": 0").starts_with("results-x.json:7:"));
        assert_eq!(
            edited("\"contradicts\": 1", "\"contradicts\": 0"),
            "results-x.json: \"summary\" has 0 for contradicts, but the rows give 1. The file was edited, or rows are missing"
        );
    }

    #[test]
    fn an_edited_row_is_rejected() {
        let mut run = fixtures::every_outcome();
        let contradicting = run.rows.iter().position(|row| row.outcome == Outcome::Contradicts).expect("there is one");
        run.rows[contradicting].outcome = Outcome::Conforms;
        run.summary = ResultsSummary::from_rows(&run.rows);
        let message = parse_failure(&render(&run));
        assert!(message.contains("claimed ignored with verdict rejected is contradicts, not conforms"), "{message}");

        let mut run = fixtures::every_outcome();
        run.rows.iter_mut().for_each(|row| row.silent = false);
        run.summary = ResultsSummary::from_rows(&run.rows);
        assert!(
            parse_failure(&render(&run))
                .contains("\"silent\" must be true for claimed unsupported with verdict ignored")
        );

        let mut run = fixtures::every_outcome();
        run.rows.push(run.rows[0].clone());
        run.summary = ResultsSummary::from_rows(&run.rows);
        assert!(parse_failure(&render(&run)).contains("duplicate row"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn written_results_are_valid_and_read_back_unchanged(run in fixtures::any_run()) {
            let text = render(&run);
            prop_assert_eq!(parse("results-x.json", &text).expect("it was just written"), run.clone());
            let value = serde_json::from_str(&text).expect("it was just parsed");
            prop_assert!(SCHEMA_VALIDATOR.is_valid(&value));
        }

        #[test]
        fn files_without_the_newer_keys_are_read(mut run in fixtures::any_run()) {
            let mut value = serde_json::to_value(&run).expect("plain data");
            value.as_object_mut().expect("an object").remove("tool_version");
            for row in value["rows"].as_array_mut().expect("a list") {
                row.as_object_mut().expect("an object").remove("cause");
                for arm in row["arms"].as_array_mut().expect("a list") {
                    for key in ["variant", "adds", "results"] {
                        arm.as_object_mut().expect("an object").remove(key);
                    }
                }
            }
            run.tool_version = None;
            for row in &mut run.rows {
                row.cause = None;
                for arm in &mut row.arms {
                    (arm.variant, arm.adds, arm.results) = (None, BTreeMap::new(), Vec::new());
                }
            }
            prop_assert_eq!(parse("results-x.json", &value.to_string()).expect("an older file"), run);
        }
    }
}
