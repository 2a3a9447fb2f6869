//! The recording of both sides of a gateway: every request of the client with its answer, and every call that reached
//! the upstream; a file of JSON lines.
//!
//! The first line is the header, the last the footer; a file without its footer is a run that was cut. Judging needs
//! nothing else. No credential stands in it: of each call it says only whether one came, and whether it was the client's.

use std::collections::{BTreeMap, HashSet};
use std::io::BufRead;

use serde::{Deserialize, Serialize};

use crate::catalog::{ApiDialect, Target};
use crate::recording::jsonl::{RecordingError, RecordingLine, read_lines, verify_count};
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

impl RecordingLine for GatewayLine {
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
}

/// Reads a recording of a gateway.
///
/// # Errors
/// The first problem, with its line.
pub fn read(reader: impl BufRead) -> Result<GatewayRecording, RecordingError> {
    let mut recording: Option<GatewayRecording> = None;
    read_lines(reader, |_, line: GatewayLine| {
        match (line, &mut recording) {
            (GatewayLine::Header(header), _) => {
                recording =
                    Some(GatewayRecording { header: *header, trials: Vec::new(), calls: Vec::new(), footer: None });
            }
            (_, None) => return Err(RecordingError::NoHeader(SCHEMA)),
            (GatewayLine::Trial(trial), Some(recording)) => recording.trials.push(*trial),
            (GatewayLine::Call(call), Some(recording)) => recording.calls.push(*call),
            (GatewayLine::Footer(footer), Some(recording)) => recording.footer = Some(footer),
        }
        Ok(())
    })?;
    let mut recording = recording.ok_or(RecordingError::NoHeader(SCHEMA))?;
    verify_recording(&recording)?;
    recording.calls.sort_by_key(|call| call.number);
    Ok(recording)
}

fn verify_recording(recording: &GatewayRecording) -> Result<(), RecordingError> {
    if let Some(footer) = &recording.footer {
        verify_count("trial", footer.trials, recording.trials.len())?;
        verify_count("call", footer.calls, recording.calls.len())?;
    }
    let mut trials = HashSet::new();
    for GatewayTrial { row, arm, trial, values, exchange } in &recording.trials {
        let label = values.get("label").map_or("", String::as_str);
        let request = &exchange.request;
        let has_label = !label.is_empty() && (request.body.to_string().contains(label) || request.path.contains(label));
        let name = format!("{row}, {} {trial}", arm.as_str());
        if !has_label {
            return Err(RecordingError::MissingLabel(name));
        }
        if !trials.insert(name.clone()) {
            return Err(RecordingError::DuplicateTrial(name));
        }
    }
    Ok(())
}
