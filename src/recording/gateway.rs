//! The recording of both sides of a gateway: every request of the client with its answer, and every call that reached
//! the upstream; a file of JSON lines.
//!
//! The first line is the header, the last the footer; a file without its footer is a run that was cut. Judging needs
//! nothing else. No credential stands in it: of each call it says only whether one came, and whether it was the client's.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};

use crate::catalog::{ApiDialect, Target};
use crate::string_enum::string_enum;
use crate::wire::exchange::{BodyBytes, Exchange};

/// The value of `schema` in every recording of this version.
pub const SCHEMA: &str = "fieldtest-gateway-recording/1";

/// What every recording of a gateway begins with.
pub const HEADER_PREFIX: &str = r#"{"header":{"schema":"fieldtest-gateway-recording/"#;

/// A whole recording, in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayRecording {
    /// What was run, and how.
    pub header: GatewayHeader,
    /// Every request of the client, in the order in which they ended.
    pub trials: Vec<GatewayTrial>,
    /// Every call of the upstream, in the order in which they came.
    pub calls: Vec<UpstreamCall>,
    /// How the run ended; `None` when the file was cut.
    pub footer: Option<GatewayFooter>,
}

/// What was run, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayHeader {
    /// Always `fieldtest-gateway-recording/1`.
    pub schema: String,
    /// The gateway's name in the results.
    pub name: String,
    /// The base URL of the gateway.
    pub via: String,
    /// The address of the upstream.
    pub upstream: String,
    /// The API that the upstream speaks.
    pub shape: ApiDialect,
    /// The model that was asked for.
    pub model: String,
    /// True where the client's credential goes into `authorization`.
    pub bearer: bool,
    /// What the fates are held against, whole; `null` for nothing.
    pub claims: Option<Target>,
    /// The rows that were selected, in order.
    pub rows: Vec<String>,
    /// The seed of every draw.
    pub seed: u64,
    /// When the run began, RFC 3339, UTC.
    pub started_at: String,
}

/// One request of the client, and what came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayTrial {
    /// The row that it was sent for; of a control, the first row that it serves.
    pub row: String,
    /// What it was sent for.
    pub arm: TrialKind,
    /// Counts the trials of this arm, from 1.
    pub trial: u32,
    /// The values that were drawn for it.
    pub values: BTreeMap<String, String>,
    /// What was sent, and what came back.
    pub exchange: Exchange,
}

string_enum! {
    /// What a request was sent for.
    pub enum TrialKind {
        /// The first question of all.
        First = "first",
        /// Without the field.
        Control = "control",
        /// Without the field, after everything else.
        After = "after",
        /// With the field, or with the answer that the row is about.
        Treatment = "treatment",
        /// One of many at once.
        Crowd = "crowd",
    }
}

/// One call that reached the upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpstreamCall {
    /// Counts the calls from 1, in the order in which they came.
    pub number: u64,
    /// Milliseconds from the start of the run.
    pub at_ms: u64,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header names (lower case) and values, in the order they came, credentials masked.
    pub headers: Vec<(String, String)>,
    /// The body, unpacked.
    pub body: BodyBytes,
    /// How the body was packed, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<String>,
    /// The labels that stand in it.
    pub labels: Vec<String>,
    /// The headers, or `body`, in which the client's own credential stood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<String>,
    /// True where the call carried a credential.
    pub has_credential: bool,
    /// What was answered.
    pub answered: ServedResponse,
}

/// What the upstream answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedResponse {
    /// The HTTP status; 0 where the connection was broken instead.
    pub status: u16,
    /// True for an event stream.
    pub is_stream: bool,
    /// When each piece of the body was handed to the connection, in milliseconds from the start of the run.
    pub pieces_ms: Vec<u64>,
    /// How it ended.
    pub ended: ServedResponseEnd,
}

/// How an answer of the upstream ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServedResponseEnd {
    /// All of it was handed over.
    Whole,
    /// It was broken off on purpose.
    Cut,
    /// The gateway went away before its end.
    Abandoned,
    /// It was not over when the run was.
    #[default]
    Open,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayFooter {
    /// When the run ended, RFC 3339, UTC.
    pub finished_at: String,
    /// Milliseconds from the first request to the last answer.
    pub wall_ms: u64,
    /// Whether the run came to its end.
    pub ended: GatewayRunEnd,
    /// How many trials stand above.
    pub trials: usize,
    /// How many calls stand above.
    pub calls: usize,
}

/// Whether a run came to its end, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayRunEnd {
    /// Every row was tried to the end.
    Complete,
    /// Somebody stopped it.
    Interrupted,
    /// The gateway stopped answering.
    Lost,
    /// The first question never reached the upstream.
    Untestable,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayLine {
    /// The first line.
    Header(Box<GatewayHeader>),
    /// A request of the client.
    Trial(Box<GatewayTrial>),
    /// A call of the upstream.
    Call(Box<UpstreamCall>),
    /// The last line.
    Footer(GatewayFooter),
}

/// What is wrong with a recording.
#[derive(Debug, thiserror::Error)]
pub enum GatewayRecordingError {
    /// The file could not be read.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
    /// A line is not what it should be.
    #[error("line {line} of the recording: {what}")]
    InvalidLine {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// There is no header.
    #[error("its first line is no header of a gateway's recording (`{SCHEMA}`)")]
    NoHeader,
    /// The file does not hold what its footer counts.
    #[error(
        "its footer counts {expected} {what}, and the file has {found}: lines were taken out or put in; record it again"
    )]
    CountMismatch {
        /// What is counted.
        what: &'static str,
        /// As the footer has it.
        expected: usize,
        /// As the file has it.
        found: usize,
    },
    /// A trial's request does not hold its label.
    #[error("the request of `{row}`, {arm} {trial}, does not hold its label: the file was edited; record it again")]
    MissingLabel {
        /// The row.
        row: String,
        /// The arm.
        arm: &'static str,
        /// The trial.
        trial: u32,
    },
    /// A trial stands there twice.
    #[error("`{row}`, {arm} {trial}, stands in the file twice: the file was edited; record it again")]
    DuplicateTrial {
        /// The row.
        row: String,
        /// The arm.
        arm: &'static str,
        /// The trial.
        trial: u32,
    },
}

/// The longest line that is read.
const MAX_LINE_BYTES: u64 = 256 * 1024 * 1024;

/// Reads a recording. A last line that was cut in the middle is passed over: the run was killed while writing it.
///
/// # Errors
/// Anything else that is wrong, with its line.
pub fn read(mut reader: impl BufRead) -> Result<GatewayRecording, GatewayRecordingError> {
    let mut recording: Option<GatewayRecording> = None;
    for line in 1.. {
        let mut text = Vec::new();
        reader.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            break;
        }
        let wrong = |what: String| GatewayRecordingError::InvalidLine { line, what };
        if text.len() as u64 > MAX_LINE_BYTES {
            return Err(wrong(format!(
                "it is longer than {} MiB, which no line of a recording is",
                MAX_LINE_BYTES >> 20
            )));
        }
        let parsed = match serde_json::from_slice::<GatewayLine>(&text) {
            Ok(parsed) => parsed,
            Err(_) if recording.is_none() => return Err(GatewayRecordingError::NoHeader),
            Err(_) if text.last() != Some(&b'\n') => break,
            Err(e) => {
                let what = e.to_string();
                let what = what.rsplit_once(" at line 1 column").map_or(what.as_str(), |(what, _)| what);
                return Err(wrong(format!("column {}: {what}", e.column())));
            }
        };
        match (parsed, &mut recording) {
            (GatewayLine::Header(header), None) if header.schema == SCHEMA => {
                recording =
                    Some(GatewayRecording { header: *header, trials: Vec::new(), calls: Vec::new(), footer: None });
            }
            (GatewayLine::Header(header), None) => {
                return Err(wrong(format!("the schema is `{}`, this version reads `{SCHEMA}`", header.schema)));
            }
            (_, None) => return Err(GatewayRecordingError::NoHeader),
            (GatewayLine::Header(_), Some(_)) => {
                return Err(wrong("a second header: are these two recordings?".to_owned()));
            }
            (_, Some(r)) if r.footer.is_some() => return Err(wrong("something follows the footer".to_owned())),
            (GatewayLine::Trial(trial), Some(r)) => r.trials.push(*trial),
            (GatewayLine::Call(call), Some(r)) => r.calls.push(*call),
            (GatewayLine::Footer(footer), Some(r)) => r.footer = Some(footer),
        }
    }
    let mut recording = recording.ok_or(GatewayRecordingError::NoHeader)?;
    verify_recording(&recording)?;
    recording.calls.sort_by_key(|call| call.number);
    Ok(recording)
}

fn verify_recording(recording: &GatewayRecording) -> Result<(), GatewayRecordingError> {
    if let Some(footer) = &recording.footer {
        for (what, said, found) in
            [("trials", footer.trials, recording.trials.len()), ("calls", footer.calls, recording.calls.len())]
        {
            if said != found {
                return Err(GatewayRecordingError::CountMismatch { what, expected: said, found });
            }
        }
    }
    let mut seen = HashSet::new();
    for GatewayTrial { row, arm, trial, values, exchange } in &recording.trials {
        let label = values.get("label").map_or("", String::as_str);
        let request = &exchange.request;
        let holds = !label.is_empty() && (request.body.to_string().contains(label) || request.path.contains(label));
        let (row, arm, trial) = (row.clone(), arm.as_str(), *trial);
        if !holds {
            return Err(GatewayRecordingError::MissingLabel { row, arm, trial });
        }
        if !seen.insert((row.clone(), arm, trial)) {
            return Err(GatewayRecordingError::DuplicateTrial { row, arm, trial });
        }
    }
    Ok(())
}
