//! The file format of recordings: JSON lines. [`read_lines`] reads both kinds of recordings.
//!
//! The first line is the header, the last line is the footer. A file without a footer belongs to an
//! interrupted run.

use std::io::{self, BufRead, Read as _};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::recording::run::TrialKey;

/// The longest line that is read. An exchange with all its retries is shorter.
const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// The problem with a recording.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages show what the fields are")]
pub enum RecordingError {
    /// The file could not be read.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
    /// A line is invalid.
    #[error("line {line} of the recording: {problem}")]
    InvalidLine { line: usize, problem: String },
    /// There is no header.
    #[error("the first line is not the header of a recording (`{0}`). Use a recording-*.jsonl file that a run wrote")]
    NoHeader(&'static str),
    /// The footer and the file have different numbers of lines.
    #[error("the footer counts {expected} {kind} {}, the file has {actual}. It was edited; record it again",
        if *expected == 1 { "line" } else { "lines" })]
    CountMismatch { kind: &'static str, expected: usize, actual: usize },
    /// A trial refers to an exchange that is not in the file.
    #[error(
        "line {line} of the recording: trial {trial} refers to exchange `{exchange}`, which is not in the file. It was \
         edited; record it again"
    )]
    MissingExchange { line: usize, trial: TrialKey, exchange: String },
    /// The request of a gateway's trial does not contain its code word.
    #[error("the request of `{0}` does not contain its code word. The file was edited; record it again")]
    MissingLabel(String),
    /// A gateway's recording has the same trial twice.
    #[error("`{0}` is in the file twice. The file was edited; record it again")]
    DuplicateTrial(String),
}

/// One line of a recording.
pub(super) trait RecordingLine: DeserializeOwned {
    /// The value of `schema` in the header.
    const SCHEMA: &'static str;

    /// The value of `schema`, if the line is a header.
    fn header_schema(&self) -> Option<&str>;

    /// True for a footer.
    fn is_footer(&self) -> bool;

    /// True for a line that may follow a footer.
    fn may_follow_footer(&self) -> bool {
        false
    }
}

/// Reads the lines of a recording, and calls `on_line` with each line and its number, from 1. The
/// first line is a header. Ignores a last line without a newline that is not complete: the process
/// was killed while it wrote the line.
pub(super) fn read_lines<L: RecordingLine>(
    mut reader: impl BufRead,
    mut on_line: impl FnMut(usize, L) -> Result<(), RecordingError>,
) -> Result<(), RecordingError> {
    let mut has_ended = false;
    for line in 1.. {
        let invalid = |problem: String| RecordingError::InvalidLine { line, problem };
        let mut text = Vec::new();
        reader.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut text)?;
        if text.len() as u64 > MAX_LINE_BYTES {
            return Err(invalid(format!("longer than {} MiB. This is not a recording", MAX_LINE_BYTES >> 20)));
        }
        let parsed = match serde_json::from_slice::<L>(&text) {
            _ if text.is_empty() && line > 1 => return Ok(()),
            Ok(parsed) => parsed,
            Err(_) if line == 1 => return Err(RecordingError::NoHeader(L::SCHEMA)),
            Err(_) if text.last() != Some(&b'\n') => return Ok(()),
            Err(error) => {
                let problem = error.to_string();
                let problem = problem.rsplit_once(" at line 1 column").map_or(problem.as_str(), |(problem, _)| problem);
                return Err(invalid(format!("column {}: {problem}", error.column())));
            }
        };
        match parsed.header_schema() {
            None if line == 1 => return Err(RecordingError::NoHeader(L::SCHEMA)),
            Some(_) if line > 1 => return Err(invalid("a second header: the file contains two recordings".to_owned())),
            Some(schema) if schema != L::SCHEMA => {
                return Err(invalid(format!("the schema is `{schema}`, this version reads `{}`", L::SCHEMA)));
            }
            Some(_) | None => {}
        }
        if has_ended && !parsed.may_follow_footer() {
            return Err(invalid("something follows the footer".to_owned()));
        }
        has_ended = parsed.is_footer();
        on_line(line, parsed)?;
    }
    Ok(())
}

/// Compares the numbers of lines in a footer with those in the file.
pub(super) fn verify_count(kind: &'static str, expected: usize, actual: usize) -> Result<(), RecordingError> {
    if expected == actual { Ok(()) } else { Err(RecordingError::CountMismatch { kind, expected, actual }) }
}

/// A line of the file, with its newline.
///
/// # Errors
/// Never for the lines of recordings: their values are valid JSON.
pub fn to_json_line(line: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}
