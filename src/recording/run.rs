//! The recording: every exchange of a run, and which trial it served; a file of JSON lines.
//!
//! The first line is the header, the last the footer; a file without its footer is a run that was cut, and is told as
//! such. Judging needs nothing else, so a run can be judged again without a request.
//!
//! A run that did not come to its end can be gone on with in the same file: a line says so, and behind it an exchange
//! stands in the place of an earlier one of the same id, a trial in that of one of the same name, and a footer in that
//! of the earlier one.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};

use crate::catalog::Target;
use crate::recording::request_settings::{RequestSettings, TextForm};
use crate::recording::scope::RunScope;
pub use crate::recording::upsert::RecordingPositions;
use crate::recording::upsert::upsert;
use crate::results::json;
use crate::results::model::Results;
use crate::wire::exchange::Exchange;

/// The value of `schema` in every recording of this version.
pub const SCHEMA: &str = "fieldtest-recording/1";

/// Starts the ids of the requests that test whether the endpoint still responds.
pub const LIVENESS_ID_PREFIX: &str = "probe.there/";

/// A whole recording, in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// What was run, and how.
    pub header: RunHeader,
    /// Every exchange, in the order in which they ended.
    pub exchanges: Vec<Exchange>,
    /// Every trial, in the order in which they ended.
    pub trials: Vec<TrialRecord>,
    /// How the run ended; `None` when the file was cut.
    pub footer: Option<RunFooter>,
}

/// What was run, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Always `fieldtest-recording/1`.
    pub schema: String,
    /// The target's name in the results.
    pub name: String,
    /// The base URL that was tested.
    pub base_url: String,
    /// True when the built-in simulator answered.
    pub simulated: bool,
    /// Whose claims were held against the verdicts, whole, so that the recording can be judged by itself.
    pub claims: Option<Target>,
    /// What requests took from the target and the options.
    pub settings: RequestSettings,
    /// The rows that were selected, in order.
    pub rows: Vec<String>,
    /// The confidence that a statistical verdict had to reach.
    pub confidence: f64,
    /// The seed of every draw.
    pub seed: u64,
    /// When the run began, RFC 3339, UTC.
    pub started_at: String,
    /// What it covers.
    #[serde(flatten)]
    pub scope: RunScope,
}

/// One trial of one arm: which exchanges it is made of, and what was drawn for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// What was tried.
    #[serde(flatten)]
    pub key: TrialKey,
    /// The exchanges, in order, by id.
    pub exchanges: Vec<String>,
    /// The short drawn values, which tests of answers need.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
}

impl TrialRecord {
    /// The trial without its random values, which requests and responses contain.
    pub fn without_values(&self) -> Self {
        Self { values: BTreeMap::new(), ..self.clone() }
    }
}

/// Names a trial.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrialKey {
    /// The row, or the name of a probe that serves the whole run.
    pub row: String,
    /// The variant, for rows that have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The arm.
    pub arm: ArmKind,
    /// Counts the trials of this arm, from 1.
    pub trial: u32,
}

impl fmt::Display for TrialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.row)?;
        if let Some(variant) = &self.variant {
            write!(f, "{variant}/")?;
        }
        write!(f, "{}/{}", self.arm, self.trial)
    }
}

/// The arms of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArmKind {
    /// Without the field.
    Negative,
    /// With the field.
    Treatment,
    /// Without the field, after all others and for this row alone: is the endpoint still there?
    After,
    /// With the field, and pressed to show it.
    Insist,
    /// The same information through a channel that is known to work.
    Positive,
    /// The fields of several rows at once, at valid values.
    Screen,
    /// The fields of several rows at once, at impossible values.
    ScreenChallenge,
    /// The endpoint's own block, handed back.
    Genuine,
    /// The field at an impossible value; the number counts the row's challenges from 0.
    Challenge(u8),
    /// A sample of answers under the narrowing value.
    Narrow,
    /// A sample of answers with variety added.
    Wide,
    /// A sample of answers under the narrowing value, with variety added to the rest.
    NarrowWide,
}

impl fmt::Display for ArmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative => f.write_str("negative"),
            Self::Treatment => f.write_str("treatment"),
            Self::After => f.write_str("after"),
            Self::Insist => f.write_str("insist"),
            Self::Positive => f.write_str("positive"),
            Self::Screen => f.write_str("screen"),
            Self::ScreenChallenge => f.write_str("screen-challenge"),
            Self::Genuine => f.write_str("genuine"),
            Self::Challenge(0) => f.write_str("challenge"),
            Self::Challenge(n) => write!(f, "challenge-{}", n + 1),
            Self::Narrow => f.write_str("narrow"),
            Self::Wide => f.write_str("wide"),
            Self::NarrowWide => f.write_str("narrow-wide"),
        }
    }
}

/// The name of an arm in results and plans, with its variant: `treatment:blocks`.
pub fn arm_name(arm: ArmKind, variant: Option<&str>) -> String {
    variant.map_or_else(|| arm.to_string(), |variant| format!("{arm}:{variant}"))
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFooter {
    /// When the run ended, RFC 3339, UTC.
    pub finished_at: String,
    /// Milliseconds from the first request to the last answer.
    pub wall_ms: u64,
    /// The form in which texts were put into messages.
    pub channel: TextForm,
    /// Whether the run came to its end.
    pub ended: RunEnd,
    /// How many exchanges and trials stand before it, so that a line that was taken out is noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<LineCounts>,
}

/// How many lines of each kind a recording has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineCounts {
    /// Exchanges.
    pub exchanges: usize,
    /// Trials.
    pub trials: usize,
}

impl LineCounts {
    /// Those of a recording.
    pub fn from_recording(recording: &Recording) -> Self {
        Self { exchanges: recording.exchanges.len(), trials: recording.trials.len() }
    }
}

/// Whether a run came to its end, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// Every row was tried to the end.
    Complete,
    /// Somebody stopped it.
    Interrupted,
    /// The budget of requests, tokens or money was spent.
    Budget,
    /// The endpoint stopped answering.
    Lost,
    /// The plainest request of all brought no message.
    Untestable,
    /// It was replayed, and the recording lacks requests that these rows need. No run ends so.
    Unrecorded,
}

/// A run that was cut goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeMarker {
    /// When, RFC 3339, UTC.
    pub at: String,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunLine {
    /// The first line.
    Header(Box<RunHeader>),
    /// An exchange.
    Exchange(Box<Exchange>),
    /// A trial.
    Trial(TrialRecord),
    /// What the run found, where the texts that led to it were taken out.
    Results(Box<Results>),
    /// What stands above did not come to its end, and goes on below.
    Resumed(ResumeMarker),
    /// Trials that do not stand any more: what came before them was asked again, was answered otherwise, and they were
    /// not needed after that.
    Withdrawn(Vec<TrialKey>),
    /// The last line.
    Footer(RunFooter),
}

impl Recording {
    /// A recording in which nothing stands yet.
    pub fn new(header: RunHeader) -> Self {
        Self { header, exchanges: Vec::new(), trials: Vec::new(), footer: None }
    }
}

/// A line that is written while the run goes on: what it says is borrowed, since bodies may be long.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineRef<'a> {
    /// An exchange.
    Exchange(&'a Exchange),
    /// A trial.
    Trial(&'a TrialRecord),
}

/// A line as it stands in the file, with its newline.
///
/// # Errors
/// None: whatever stands in a line can be written as one.
pub fn to_json_line(line: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

/// What is wrong with a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file could not be read.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
    /// A line is not what it should be.
    #[error("line {line} of the recording: {problem}")]
    InvalidLine {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no header.
    #[error("its first line is no header of a recording (`{SCHEMA}`); what a run wrote as recording-*.jsonl has one")]
    NoHeader,
    /// Lines are missing, or there are too many.
    #[error(
        "its last line counts {} exchanges and {} trials, and it has {} and {}: were lines taken out?",
        expected.exchanges, expected.trials, actual.exchanges, actual.trials
    )]
    CountMismatch {
        /// As the footer has it.
        expected: LineCounts,
        /// As they are counted.
        actual: LineCounts,
    },
    /// A trial is made of an exchange that is not there.
    #[error(
        "line {line} of the recording: trial {trial} refers to exchange `{exchange}`, which is not in the file: was a \
         line taken out?"
    )]
    MissingExchange {
        /// The trial's line, from 1.
        line: usize,
        /// The trial.
        trial: TrialKey,
        /// The exchange.
        exchange: String,
    },
}

/// The longest line that is read: more than an exchange with all its retries ever takes.
const MAX_LINE_BYTES: u64 = 256 * 1024 * 1024;

/// The next line with its newline, empty at the end of the file.
fn read_next_line(reader: &mut impl BufRead, line: usize) -> Result<Vec<u8>, RecordingError> {
    let mut bytes = Vec::new();
    reader.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut bytes)?;
    if bytes.len() as u64 > MAX_LINE_BYTES {
        let what = format!("it is longer than {} MiB, which no line of a recording is", MAX_LINE_BYTES >> 20);
        return Err(RecordingError::InvalidLine { line, problem: what });
    }
    Ok(bytes)
}

/// In which lines of the file exchanges stand, from 1, in their order.
pub type LineNumbers = Vec<usize>;

/// Reads a recording.
///
/// # Errors
/// As [`read_lines`].
pub fn read_recording(reader: impl BufRead) -> Result<Recording, RecordingError> {
    read_recording_with_lines(reader).map(|(recording, _)| recording)
}

/// Reads a recording, and tells where each exchange stands. A last line that was cut in the middle is passed over: the run was killed while writing it.
///
/// # Errors
/// Anything else that is wrong, with its line.
pub fn read_recording_with_lines(mut reader: impl BufRead) -> Result<(Recording, LineNumbers), RecordingError> {
    let (mut lines, mut trial_lines) = (LineNumbers::new(), LineNumbers::new());
    let mut recording: Option<Recording> = None;
    // Once the run was gone on with, what comes again takes the place of what was there.
    let mut places: Option<RecordingPositions> = None;
    for line in 1.. {
        let text = read_next_line(&mut reader, line)?;
        if text.is_empty() {
            break;
        }
        let wrong = |what: String| RecordingError::InvalidLine { line, problem: what };
        let parsed = match serde_json::from_slice::<RunLine>(&text) {
            Ok(parsed) => parsed,
            Err(_) if recording.is_none() => return Err(RecordingError::NoHeader),
            // Every line is written with its newline, so this one was cut while it was written.
            Err(_) if text.last() != Some(&b'\n') => break,
            Err(e) => {
                let what = e.to_string();
                // Each line is a text of its own to the parser, so its own count of lines says nothing.
                let what = what.rsplit_once(" at line 1 column").map_or(what.as_str(), |(what, _)| what);
                return Err(wrong(format!("column {}: {what}", e.column())));
            }
        };
        match (parsed, &mut recording) {
            (RunLine::Header(header), None) if !(0.5..1.0).contains(&header.confidence) => {
                return Err(wrong(format!("the confidence is {}, and no run has one like that", header.confidence)));
            }
            (RunLine::Header(header), None) if header.schema == SCHEMA => {
                recording = Some(Recording::new(*header));
            }
            (RunLine::Header(header), None) => {
                return Err(wrong(format!("the schema is `{}`, this version reads `{SCHEMA}`", header.schema)));
            }
            (_, None) => return Err(RecordingError::NoHeader),
            (RunLine::Header(_), Some(_)) => {
                return Err(wrong("a second header: are these two recordings?".to_owned()));
            }
            (RunLine::Resumed(_), Some(r)) if !is_complete(r) => {
                verify_counts(r)?;
                r.footer = None;
                places.get_or_insert_with(|| RecordingPositions::new(r));
            }
            (RunLine::Resumed(_), Some(_)) => {
                return Err(wrong("it goes on, and stands behind the footer of a run that was at its end".to_owned()));
            }
            (_, Some(r)) if r.footer.is_some() => return Err(wrong("something follows the footer".to_owned())),
            (RunLine::Exchange(exchange), Some(r)) => match &mut places {
                Some(places) => {
                    let at = places.upsert_exchange(r, *exchange);
                    upsert(&mut lines, at, line);
                }
                None => {
                    lines.push(line);
                    r.exchanges.push(*exchange);
                }
            },
            (RunLine::Trial(trial), Some(r)) => match &mut places {
                Some(places) => {
                    let at = places.upsert_trial(r, trial);
                    upsert(&mut trial_lines, at, line);
                }
                None => {
                    trial_lines.push(line);
                    r.trials.push(trial);
                }
            },
            (RunLine::Withdrawn(gone), Some(r)) if places.is_some() => {
                let stand: Vec<bool> = r.trials.iter().map(|trial| !gone.contains(&trial.key)).collect();
                let (mut of_trials, mut of_lines) = (stand.iter(), stand.iter());
                r.trials.retain(|_| of_trials.next().copied().unwrap_or(true));
                trial_lines.retain(|_| of_lines.next().copied().unwrap_or(true));
                places = Some(RecordingPositions::new(r));
            }
            (RunLine::Withdrawn(_), Some(_)) => {
                return Err(wrong("trials are withdrawn, and the run was never gone on with".to_owned()));
            }
            (RunLine::Results(results), Some(r)) if r.header.scope.texts_removed => {
                json::validate(&results).map_err(|e| wrong(format!("its results: {e}")))?;
                r.header.scope.results = Some(results);
            }
            (RunLine::Results(_), Some(_)) => {
                return Err(wrong("results, and only a recording without its texts carries any".to_owned()));
            }
            (RunLine::Footer(footer), Some(r)) => r.footer = Some(footer),
        }
    }
    let recording = recording.ok_or(RecordingError::NoHeader)?;
    let known: std::collections::HashSet<&str> = recording.exchanges.iter().map(|e| e.id.as_str()).collect();
    for (trial, line) in recording.trials.iter().zip(trial_lines) {
        if let Some(missing) = trial.exchanges.iter().find(|id| !known.contains(id.as_str())) {
            return Err(RecordingError::MissingExchange { line, trial: trial.key.clone(), exchange: missing.clone() });
        }
    }
    verify_counts(&recording)?;
    Ok((recording, lines))
}

/// Holds what a footer counts against what stands before it.
fn verify_counts(recording: &Recording) -> Result<(), RecordingError> {
    let there = LineCounts::from_recording(recording);
    match recording.footer.as_ref().and_then(|footer| footer.counts).filter(|said| *said != there) {
        Some(said) => Err(RecordingError::CountMismatch { expected: said, actual: there }),
        None => Ok(()),
    }
}

/// True of a run that came to its end: nothing can follow.
pub fn is_complete(recording: &Recording) -> bool {
    recording.footer.as_ref().is_some_and(|footer| footer.ended == RunEnd::Complete)
}
