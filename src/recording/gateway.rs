//! [`GatewayRecording`]: both sides of a gateway as JSON lines. It has every client request with
//! its response, and every upstream call.
//!
//! A call replaces an earlier one with the same number, because its response may end later.
//!
//! Judging needs only the recording. It contains no credential: a call records only whether it had
//! a credential, and whether that was the credential of the client.

use std::collections::{BTreeMap, HashSet};
use std::io::BufRead;

use serde::{Deserialize, Deserializer, Serialize};

use crate::catalog::{ApiDialect, Target};
use crate::recording::jsonl::{RecordingError, RecordingLine, read_lines, verify_count};
use crate::string_enum::string_enum;
use crate::wire::exchange::{AuthScheme, BodyBytes, Exchange};

/// The value of `schema` in every recording of this version.
pub const SCHEMA: &str = "fieldtest-gateway-recording/1";

/// The first bytes of every recording of a gateway.
pub const HEADER_PREFIX: &str = r#"{"header":{"schema":"fieldtest-gateway-recording/"#;

/// A recording of a gateway in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayRecording {
    /// The properties of the run.
    pub header: GatewayHeader,
    /// The client requests, in the order in which they ended.
    pub trials: Vec<GatewayTrial>,
    /// The upstream calls, in the order in which they arrived.
    pub calls: Vec<UpstreamCall>,
    /// How the run ended. `None` if the process was killed.
    pub footer: Option<GatewayFooter>,
}

/// The properties of a run.
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
    /// The requested model.
    pub model: String,
    /// The header with the client's credential. Older recordings have `bearer: true` or `false`.
    #[serde(alias = "bearer", deserialize_with = "deserialize_auth")]
    pub auth: AuthScheme,
    /// The target with the claims that the verdicts are compared with.
    pub claims: Option<Target>,
    /// The rows that were run, in order.
    pub rows: Vec<String>,
    /// The seed of all random values.
    pub seed: u64,
    /// The start of the run: RFC 3339, UTC.
    pub started_at: String,
}

fn deserialize_auth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AuthScheme, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum StoredAuth {
        Scheme(AuthScheme),
        Bearer(bool),
    }
    Ok(match StoredAuth::deserialize(deserializer)? {
        StoredAuth::Scheme(scheme) => scheme,
        StoredAuth::Bearer(true) => AuthScheme::Bearer,
        StoredAuth::Bearer(false) => AuthScheme::XApiKey,
    })
}

/// One client request and its response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayTrial {
    /// The row. For a control, the first row that uses it.
    pub row: String,
    /// The kind of the trial.
    pub arm: TrialKind,
    /// The number of the trial in its arm, from 1.
    pub trial: u32,
    /// The random values.
    pub values: BTreeMap<String, String>,
    /// The request and the response.
    pub exchange: Exchange,
}

string_enum! {
    /// The purpose of a request.
    pub enum TrialKind {
        /// The first request of the run.
        First = "first",
        /// Without the field.
        Control = "control",
        /// Without the field, after everything else.
        After = "after",
        /// With the field, or with the upstream response that the row is about.
        Treatment = "treatment",
        /// One of many parallel requests.
        Crowd = "crowd",
    }
}

/// One upstream call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpstreamCall {
    /// The number of the call, from 1, in the order of arrival.
    pub number: u64,
    /// Milliseconds from the start of the run.
    pub at_ms: u64,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header names (lower case) and values, in order, with credentials masked.
    pub headers: Vec<(String, String)>,
    /// The decompressed body.
    pub body: BodyBytes,
    /// The content encoding, if the body was compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<String>,
    /// The code words in the call.
    pub labels: Vec<String>,
    /// The headers, or `body`, that contained the client's own credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<String>,
    /// True if the call had a credential.
    pub has_credential: bool,
    /// The response.
    pub answered: ServedResponse,
}

/// The response of the upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedResponse {
    /// The HTTP status. 0 if the upstream closed the connection instead.
    pub status: u16,
    /// True for an event stream.
    pub is_stream: bool,
    /// When each chunk of the body was sent, in milliseconds from the start of the run.
    pub pieces_ms: Vec<u64>,
    /// How the response ended.
    pub ended: ServedResponseEnd,
}

/// How a response of the upstream ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServedResponseEnd {
    /// The upstream sent it completely.
    Whole,
    /// The upstream broke it off on purpose.
    Cut,
    /// The gateway closed the connection before the end of the response.
    Abandoned,
    /// The response had not ended when the run ended.
    #[default]
    Open,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayFooter {
    /// The end of the run: RFC 3339, UTC.
    pub finished_at: String,
    /// Milliseconds from the first request to the last response.
    pub wall_ms: u64,
    /// Why the run ended.
    pub ended: GatewayRunEnd,
    /// The number of trials in the file.
    pub trials: usize,
    /// The number of calls in the file.
    pub calls: usize,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayRunEnd {
    /// Every row was run completely.
    Complete,
    /// The user or the system stopped it.
    Interrupted,
    /// The gateway stopped responding.
    Lost,
    /// The gateway sent more than a run records.
    Overloaded,
    /// The first request did not reach the upstream.
    Untestable,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayLine {
    /// The first line.
    Header(Box<GatewayHeader>),
    /// A client request.
    Trial(Box<GatewayTrial>),
    /// An upstream call.
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
    let mut calls = BTreeMap::new();
    read_lines(reader, |_, line: GatewayLine| {
        match (line, &mut recording) {
            (GatewayLine::Header(header), _) => {
                recording =
                    Some(GatewayRecording { header: *header, trials: Vec::new(), calls: Vec::new(), footer: None });
            }
            (_, None) => return Err(RecordingError::NoHeader(SCHEMA)),
            (GatewayLine::Trial(trial), Some(recording)) => recording.trials.push(*trial),
            (GatewayLine::Call(call), Some(_)) => drop(calls.insert(call.number, *call)),
            (GatewayLine::Footer(footer), Some(recording)) => recording.footer = Some(footer),
        }
        Ok(())
    })?;
    let mut recording = recording.ok_or(RecordingError::NoHeader(SCHEMA))?;
    recording.calls = calls.into_values().collect();
    verify_recording(&recording)?;
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
