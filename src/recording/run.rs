//! [`Recording`]: every exchange of a run and the trial that it belongs to, as JSON lines.
//!
//! Judging needs only the recording, so a run can be judged again without a request.
//!
//! An exchange replaces an earlier one with the same id, because a request may be sent again. A
//! trial replaces an earlier one with the same key.
//!
//! An interrupted run can be resumed in the same file. A `resumed` line marks the place. After it, a
//! footer replaces the earlier footer.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::Target;
use crate::recording::request_settings::{RequestSettings, TextForm};
use crate::recording::scope::RunScope;
use crate::results::model::Results;
use crate::wire::exchange::Exchange;

/// The value of `schema` in every recording of this version.
pub const SCHEMA: &str = "fieldtest-recording/1";

/// The prefix of the ids of requests that belong to no row.
pub const PROBE_PREFIX: &str = "probe.";

/// The prefix of the ids of requests that test whether the endpoint still responds.
pub const LIVENESS_ID_PREFIX: &str = "probe.there/";

/// A recording in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The properties of the run.
    pub header: RunHeader,
    /// The exchanges, in the order in which they ended.
    pub exchanges: Vec<Exchange>,
    /// The trials, in the order in which they ended.
    pub trials: Vec<TrialRecord>,
    /// How the run ended. `None` if the process was killed.
    pub footer: Option<RunFooter>,
}

/// The properties of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Always `fieldtest-recording/1`.
    pub schema: String,
    /// The target's name in the results.
    pub name: String,
    /// The tested base URL.
    pub base_url: String,
    /// True if the endpoint was the built-in simulator.
    pub simulated: bool,
    /// The target with the claims that the verdicts are compared with, so that the recording can be
    /// judged without other files.
    pub claims: Option<Target>,
    /// The settings of the target and the command line that requests use.
    pub settings: RequestSettings,
    /// The rows that were run, in order.
    pub rows: Vec<String>,
    /// The confidence that statistical verdicts must reach.
    pub confidence: f64,
    /// The seed of all random values.
    pub seed: u64,
    /// The start of the run: RFC 3339, UTC.
    pub started_at: String,
    /// What the recording covers.
    #[serde(flatten)]
    pub scope: RunScope,
}

/// One trial of one arm, with its exchanges and random values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// The name of the trial.
    #[serde(flatten)]
    pub key: TrialKey,
    /// The ids of the exchanges, in order.
    pub exchanges: Vec<String>,
    /// The short random values, which the tests of responses need.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
}

impl TrialRecord {
    /// The trial without its random values, which requests and responses contain.
    pub fn without_values(&self) -> Self {
        Self { values: BTreeMap::new(), ..self.clone() }
    }
}

/// The name of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrialKey {
    /// The row, or the name of a probe.
    pub row: String,
    /// The variant, for rows with variants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The arm.
    pub arm: ArmKind,
    /// The number of the trial in its arm, from 1.
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

/// The kinds of arms of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArmKind {
    /// Without the field.
    Negative,
    /// With the field.
    Treatment,
    /// Without the field, after all others and for this row only: tests whether the endpoint still
    /// responds.
    After,
    /// With the field and a stronger instruction to show its effect.
    Insist,
    /// The field in a request that decides even if the endpoint follows no instruction.
    Canned,
    /// The same information in a way that is known to work.
    Positive,
    /// The fields of several rows in one request, with valid values.
    Screen,
    /// The fields of several rows in one request, with invalid values.
    ScreenChallenge,
    /// A block that the endpoint produced, sent back.
    Genuine,
    /// The field with an invalid value. The number counts the row's challenges, from 0.
    Challenge(u8),
    /// A sample of responses with the value that reduces variation.
    Narrow,
    /// A sample of responses with added variation.
    Wide,
    /// A sample of responses with the value that reduces variation, and variation added elsewhere.
    NarrowWide,
}

impl fmt::Display for ArmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative => f.write_str("negative"),
            Self::Treatment => f.write_str("treatment"),
            Self::After => f.write_str("after"),
            Self::Insist => f.write_str("insist"),
            Self::Canned => f.write_str("canned"),
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
    /// The end of the run: RFC 3339, UTC.
    pub finished_at: String,
    /// Milliseconds from the first request to the last response.
    pub wall_ms: u64,
    /// The form of texts in messages.
    pub channel: TextForm,
    /// Why the run ended.
    pub ended: RunEnd,
    /// The numbers of exchanges and trials in the file, which reveal removed lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<LineCounts>,
}

/// The number of lines of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineCounts {
    /// Exchanges.
    pub exchanges: usize,
    /// Trials.
    pub trials: usize,
}

impl LineCounts {
    /// Counts the lines of a recording.
    pub fn from_recording(recording: &Recording) -> Self {
        Self { exchanges: recording.exchanges.len(), trials: recording.trials.len() }
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// Every row was run completely.
    Complete,
    /// The user or the system stopped it.
    Interrupted,
    /// The budget of requests, tokens or money was used up.
    Budget,
    /// The endpoint stopped responding.
    Lost,
    /// The account, the network or the service was in trouble, so that plain requests failed too.
    Trouble,
    /// The first simple request got no message.
    Untestable,
    /// Only in a replay: the recording lacks requests that the rows need.
    Unrecorded,
}

/// Marks where an interrupted run was resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeMarker {
    /// The time: RFC 3339, UTC.
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
    /// The results, in a recording without texts.
    Results(Box<Results>),
    /// An interrupted run is resumed below.
    Resumed(ResumeMarker),
    /// Trials that do not count: their responses are void, or a resumed run did not need them,
    /// because repeated requests got other responses.
    Withdrawn(Vec<TrialKey>),
    /// The last line.
    Footer(RunFooter),
}

impl Recording {
    /// A recording with only its header.
    pub fn new(header: RunHeader) -> Self {
        Self { header, exchanges: Vec::new(), trials: Vec::new(), footer: None }
    }
}

/// A line that is written during the run. It borrows its contents, because bodies may be long.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineRef<'a> {
    /// An exchange.
    Exchange(&'a Exchange),
    /// A trial.
    Trial(&'a TrialRecord),
}

/// True if every row was run completely, so that the run cannot be resumed.
pub fn is_complete(recording: &Recording) -> bool {
    recording.footer.as_ref().is_some_and(|footer| footer.ended == RunEnd::Complete)
}
