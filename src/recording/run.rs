//! The recording: every exchange of a run, and which trial it served; a file of JSON lines.
//!
//! The first line is the header, the last the footer; a file without its footer is a run that was cut, and is told as
//! such. Judging needs nothing else, so a run can be judged again without a request.
//!
//! A run that did not come to its end can be gone on with in the same file: a line says so, and behind it an exchange
//! stands in the place of an earlier one of the same id, a trial in that of one of the same name, and a footer in that
//! of the earlier one.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::BufRead;

use serde::{Deserialize, Serialize};

use crate::catalog::Target;
use crate::recording::jsonl::{RecordingError, RecordingLine, read_lines, verify_count};
use crate::recording::positions::{RecordingPositions, upsert};
use crate::recording::request_settings::{RequestSettings, TextForm};
use crate::recording::scope::RunScope;
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

impl RecordingLine for RunLine {
    const SCHEMA: &'static str = SCHEMA;

    fn header_schema(&self) -> Option<&str> {
        match self {
            Self::Header(header) => Some(&header.schema),
            _ => None,
        }
    }

    fn is_footer(&self) -> bool {
        matches!(self, Self::Footer(_))
    }

    fn may_follow_footer(&self) -> bool {
        matches!(self, Self::Resumed(_))
    }
}

/// The line of each exchange, from 1, in the order of [`Recording::exchanges`].
pub type LineNumbers = Vec<usize>;

/// Reads a recording.
///
/// # Errors
/// The first problem, with its line.
pub fn read_recording(reader: impl BufRead) -> Result<Recording, RecordingError> {
    read_recording_with_lines(reader).map(|(recording, _)| recording)
}

/// Reads a recording, and the line of each exchange.
///
/// # Errors
/// The first problem, with its line.
pub fn read_recording_with_lines(reader: impl BufRead) -> Result<(Recording, LineNumbers), RecordingError> {
    let mut builder: Option<RecordingBuilder> = None;
    read_lines(reader, |line, parsed: RunLine| match (parsed, &mut builder) {
        (RunLine::Header(header), _) if !(0.5..1.0).contains(&header.confidence) => {
            let problem = format!("the confidence is {}. It must be from 0.5 to 1", header.confidence);
            Err(RecordingError::InvalidLine { line, problem })
        }
        (RunLine::Header(header), _) => {
            builder = Some(RecordingBuilder::new(*header));
            Ok(())
        }
        (parsed, Some(builder)) => builder.add_line(line, parsed),
        (_, None) => Err(RecordingError::NoHeader(SCHEMA)),
    })?;
    builder.ok_or(RecordingError::NoHeader(SCHEMA))?.finish()
}

/// A recording that is being read.
struct RecordingBuilder {
    recording: Recording,
    exchange_lines: LineNumbers,
    trial_lines: LineNumbers,
    /// Set once the run was resumed: from then on, exchanges and trials replace earlier ones.
    positions: Option<RecordingPositions>,
}

impl RecordingBuilder {
    fn new(header: RunHeader) -> Self {
        let recording = Recording::new(header);
        Self { recording, exchange_lines: Vec::new(), trial_lines: Vec::new(), positions: None }
    }

    fn add_line(&mut self, line: usize, parsed: RunLine) -> Result<(), RecordingError> {
        let invalid = |problem: &str| Err(RecordingError::InvalidLine { line, problem: problem.to_owned() });
        let recording = &mut self.recording;
        match parsed {
            // The caller handles headers.
            RunLine::Header(_) => {}
            RunLine::Exchange(exchange) => {
                let at = match &mut self.positions {
                    Some(positions) => positions.upsert_exchange(recording, *exchange),
                    None => {
                        recording.exchanges.push(*exchange);
                        self.exchange_lines.len()
                    }
                };
                upsert(&mut self.exchange_lines, at, line);
            }
            RunLine::Trial(trial) => {
                let at = match &mut self.positions {
                    Some(positions) => positions.upsert_trial(recording, trial),
                    None => {
                        recording.trials.push(trial);
                        self.trial_lines.len()
                    }
                };
                upsert(&mut self.trial_lines, at, line);
            }
            RunLine::Resumed(_) if is_complete(recording) => {
                return invalid("a resumed run follows the footer of a complete run");
            }
            RunLine::Resumed(_) => {
                verify_counts(recording)?;
                recording.footer = None;
                self.positions.get_or_insert_with(|| RecordingPositions::new(recording));
            }
            RunLine::Withdrawn(_) if self.positions.is_none() => {
                return invalid("trials are withdrawn, but the run was not resumed");
            }
            RunLine::Withdrawn(withdrawn) => {
                let is_kept: Vec<bool> = recording.trials.iter().map(|trial| !withdrawn.contains(&trial.key)).collect();
                let (mut kept_trials, mut kept_lines) = (is_kept.iter(), is_kept.iter());
                recording.trials.retain(|_| kept_trials.next().copied().unwrap_or(true));
                self.trial_lines.retain(|_| kept_lines.next().copied().unwrap_or(true));
                self.positions = Some(RecordingPositions::new(recording));
            }
            RunLine::Results(_) if !recording.header.scope.texts_removed => {
                return invalid("results in a recording that has its texts");
            }
            RunLine::Results(results) => {
                if let Err(problem) = json::validate(&results) {
                    return invalid(&format!("the results: {problem}"));
                }
                recording.header.scope.results = Some(results);
            }
            RunLine::Footer(footer) => recording.footer = Some(footer),
        }
        Ok(())
    }

    fn finish(self) -> Result<(Recording, LineNumbers), RecordingError> {
        let ids: HashSet<&str> = self.recording.exchanges.iter().map(|exchange| exchange.id.as_str()).collect();
        for (trial, line) in self.recording.trials.iter().zip(self.trial_lines) {
            if let Some(missing) = trial.exchanges.iter().find(|id| !ids.contains(id.as_str())) {
                let (trial, exchange) = (trial.key.clone(), missing.clone());
                return Err(RecordingError::MissingExchange { line, trial, exchange });
            }
        }
        verify_counts(&self.recording)?;
        Ok((self.recording, self.exchange_lines))
    }
}

/// Compares the counts of the footer with the lines before it.
fn verify_counts(recording: &Recording) -> Result<(), RecordingError> {
    let Some(counts) = recording.footer.as_ref().and_then(|footer| footer.counts) else { return Ok(()) };
    verify_count("exchange", counts.exchanges, recording.exchanges.len())?;
    verify_count("trial", counts.trials, recording.trials.len())
}

/// True if the run reached its end: nothing can follow.
pub fn is_complete(recording: &Recording) -> bool {
    recording.footer.as_ref().is_some_and(|footer| footer.ended == RunEnd::Complete)
}
