//! `results-<target>.json`: written, read back, and described by a JSON Schema.
//!
//! What is read back is judged by nothing here but its own consistency: a file that was cut short or edited is refused,
//! since a report made from it would look like evidence. This module must not touch the file system.

use serde::Deserialize;
use serde_json::error::Category;
use thiserror::Error;

use crate::catalog::{Outcome, is_silent};
use crate::results::baseline;
use crate::results::model::{Results, ResultsSummary, RowResult, SCHEMA};

/// The text of a results file. Equal results are equal text.
#[expect(clippy::expect_used, reason = "strings as keys and no type that can refuse: there is nothing that could fail")]
pub fn render(results: &Results) -> String {
    let mut text = serde_json::to_string_pretty(results).expect("results are plain data");
    text.push('\n');
    text
}

/// Why a text is not a results file. `name` is the file's, for the message.
#[derive(Debug, Error)]
pub enum ParseError {
    /// The text ends before the JSON does.
    #[error("{name}:{line}:{column}: the file ends too early; it was cut short")]
    Truncated {
        /// The file.
        name: String,
        /// Line of the end, from 1.
        line: usize,
        /// Column of the end, from 1.
        column: usize,
    },
    /// The text is not JSON.
    #[error("{name}:{line}:{column}: this is not JSON: {message}")]
    Syntax {
        /// The file.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// The JSON is something else than results of this version.
    #[error("{name}: {}; this version of fieldtest reads \"{SCHEMA}\"", match found {
        Some(found) => format!("\"schema\" is \"{found}\""),
        None => "there is no \"schema\", so this is no results file".to_owned(),
    })]
    Version {
        /// The file.
        name: String,
        /// What stands in `schema`.
        found: Option<String>,
    },
    /// A field is missing or has the wrong shape.
    #[error("{name}:{line}:{column}: {message}")]
    Shape {
        /// The file.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was expected.
        message: String,
    },
    /// A row says something that does not follow from the rest of it.
    #[error("{name}: row {row}: {message}; the file was edited, or written by something else")]
    Row {
        /// The file.
        name: String,
        /// The row's id.
        row: String,
        /// What does not fit.
        message: String,
    },
    /// The comparison with a baseline does not follow from the rows and findings.
    #[error("{name}: \"baseline\": {message}; the file was edited, or written by something else")]
    Baseline {
        /// The file.
        name: String,
        /// What does not fit.
        message: String,
    },
    /// The summary does not count the rows.
    #[error(
        "{name}: \"summary\" says {field} is {said}, the rows make it {counted}; the file was edited, or lost rows"
    )]
    Summary {
        /// The file.
        name: String,
        /// The count that is wrong.
        field: &'static str,
        /// As the file has it.
        said: u64,
        /// As the rows have it.
        counted: u64,
    },
}

/// Reads a results file. `name` is used in messages only.
pub fn parse(name: &str, text: &str) -> Result<Results, ParseError> {
    // Asked first, so that a file of another version is told as that and not as a missing field.
    let version: SchemaProbe = serde_json::from_str(text).map_err(|error| to_parse_error(name, &error))?;
    if version.schema.as_deref() != Some(SCHEMA) {
        return Err(ParseError::Version { name: name.to_owned(), found: version.schema });
    }
    let results: Results = serde_json::from_str(text).map_err(|error| to_parse_error(name, &error))?;
    validate_results(name, &results)?;
    Ok(results)
}

/// Holds results that did not come from a file of their own to their own consistency.
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
    let wrong = results.baseline.as_ref().and_then(|held| baseline::find_inconsistency(results, held));
    if let Some(message) = wrong {
        return Err(ParseError::Baseline { name: name.to_owned(), message });
    }
    Ok(())
}

/// The JSON Schema of results files.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Results).to_value()
}

#[derive(Deserialize)]
struct SchemaProbe {
    #[serde(default)]
    schema: Option<String>,
}

fn to_parse_error(name: &str, error: &serde_json::Error) -> ParseError {
    let (name, line, column) = (name.to_owned(), error.line(), error.column());
    let text = error.to_string();
    // serde_json puts the place behind the message; here it stands before.
    let message = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text).to_owned();
    match error.classify() {
        Category::Eof => ParseError::Truncated { name, line, column },
        Category::Syntax | Category::Io => ParseError::Syntax { name, line, column, message },
        Category::Data => ParseError::Shape { name, line, column, message },
    }
}

fn validate_row(row: &RowResult, before: &[RowResult]) -> Result<(), String> {
    if before.iter().any(|other| other.id == row.id) {
        return Err("it stands in the file twice".to_owned());
    }
    let claim = row.claim.as_ref().map(|claim| claim.status);
    let status = row.verdict.status;
    let held = claim.map_or("no claim".to_owned(), |claim| format!("claimed {claim}"));
    let outcome = Outcome::compare(claim, status);
    if row.outcome != outcome {
        return Err(format!("{held} and observed {status} is {outcome}, and not {}", row.outcome));
    }
    let silent = is_silent(claim, status);
    if row.silent != silent {
        return Err(format!("\"silent\" is {silent} where {held} and observed {status}"));
    }
    Ok(())
}

fn validate_summary(name: &str, results: &Results) -> Result<(), ParseError> {
    let counted = summary_counts(&ResultsSummary::from_rows(&results.rows));
    for ((field, said), (_, counted)) in summary_counts(&results.summary).into_iter().zip(counted) {
        if said != counted {
            return Err(ParseError::Summary { name: name.to_owned(), field, said, counted });
        }
    }
    Ok(())
}

fn summary_counts(summary: &ResultsSummary) -> [(&'static str, u64); 10] {
    // Destructured, so that a new count cannot be forgotten here.
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
    } = *summary;
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
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::results::fixtures;

    static SCHEMA_VALIDATOR: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::validator_for(&schema()).expect("a valid schema"));

    fn parse_failure(text: &str) -> String {
        parse("results-x.json", text).expect_err("this must be refused").to_string()
    }

    #[test]
    fn a_results_file_looks_like_this() {
        fixtures::snapshot_settings()
            .bind(|| insta::assert_snapshot!("results.json", render(&fixtures::every_outcome())));
    }

    #[test]
    fn the_schema_is_published() {
        let schema = serde_json::to_string_pretty(&schema()).expect("a schema is JSON");
        fixtures::snapshot_settings().bind(|| insta::assert_snapshot!("results.schema.json", schema));
    }

    #[test]
    fn the_schema_refuses_what_it_does_not_describe() {
        let good = serde_json::to_value(fixtures::every_outcome()).expect("plain data");
        assert!(SCHEMA_VALIDATOR.is_valid(&good));
        let mut other_version = good.clone();
        other_version["schema"] = "fieldtest-results/2".into();
        assert!(!SCHEMA_VALIDATOR.is_valid(&other_version));
        let mut other_status = good.clone();
        other_status["rows"][0]["verdict"]["status"] = "works".into();
        assert!(!SCHEMA_VALIDATOR.is_valid(&other_status));
        let mut no_model = good;
        no_model["target"].as_object_mut().expect("an object").remove("model");
        assert!(!SCHEMA_VALIDATOR.is_valid(&no_model));
    }

    #[test]
    fn every_cut_is_told_as_a_cut() {
        let text = render(&fixtures::every_outcome());
        let whole = text.trim_end();
        for end in (1..whole.len()).step_by(97).filter(|end| whole.is_char_boundary(*end)) {
            let message = parse_failure(&whole[..end]);
            assert!(message.ends_with("the file ends too early; it was cut short"), "cut at {end}: {message}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let text = render(&fixtures::every_outcome());
        let edited = |from: &str, to: &str| {
            assert!(text.contains(from), "the fixture has no {from}");
            parse_failure(&text.replacen(from, to, 1))
        };
        assert_eq!(parse_failure("{]"), "results-x.json:1:2: this is not JSON: key must be a string");
        assert_eq!(
            parse_failure("{\"rows\": []}"),
            "results-x.json: there is no \"schema\", so this is no results file; \
             this version of fieldtest reads \"fieldtest-results/1\""
        );
        assert_eq!(
            edited("fieldtest-results/1", "fieldtest-results/9"),
            "results-x.json: \"schema\" is \"fieldtest-results/9\"; \
             this version of fieldtest reads \"fieldtest-results/1\""
        );
        assert!(edited("\"simulated\": false", "\"simulated\": 0").starts_with("results-x.json:7:"));
        assert_eq!(
            edited("\"contradicts\": 1", "\"contradicts\": 0"),
            "results-x.json: \"summary\" says contradicts is 0, the rows make it 1; the file was edited, or lost rows"
        );
    }

    #[test]
    fn an_edited_row_is_refused() {
        let mut run = fixtures::every_outcome();
        let contradicting = run.rows.iter().position(|row| row.outcome == Outcome::Contradicts).expect("there is one");
        run.rows[contradicting].outcome = Outcome::Conforms;
        run.summary = ResultsSummary::from_rows(&run.rows);
        let message = parse_failure(&render(&run));
        assert!(
            message.contains("claimed ignored and observed rejected is contradicts, and not conforms"),
            "{message}"
        );

        let mut run = fixtures::every_outcome();
        run.rows.iter_mut().for_each(|row| row.silent = false);
        run.summary = ResultsSummary::from_rows(&run.rows);
        assert!(
            parse_failure(&render(&run)).contains("\"silent\" is true where claimed unsupported and observed ignored")
        );

        let mut run = fixtures::every_outcome();
        run.rows.push(run.rows[0].clone());
        run.summary = ResultsSummary::from_rows(&run.rows);
        assert!(parse_failure(&render(&run)).contains("it stands in the file twice"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_written_is_read_back_and_valid(run in fixtures::any_run()) {
            let text = render(&run);
            prop_assert_eq!(parse("results-x.json", &text).expect("it was just written"), run.clone());
            let value = serde_json::from_str(&text).expect("it was just parsed");
            prop_assert!(SCHEMA_VALIDATOR.is_valid(&value));
        }
    }
}
