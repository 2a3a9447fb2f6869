//! One HTTP request and everything that came back: what a recording is made of.
//!
//! Plain data. A request names the credential it is to carry without knowing it, so no secret can reach a recording.
//! Answers are kept as they came, byte for byte; reading them is `message`'s and `sse`'s work.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::string_enum::string_enum;

/// What stands in an answer where a secret stood that is not the run's own credential: it is taken out before anything is
/// kept.
pub const SECRET_PLACEHOLDER: &str = "<secret>";

/// A request as the engine asks for it. The client adds the base URL, the credential and the transport's own headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The method.
    #[serde(default, skip_serializing_if = "HttpMethod::is_post")]
    pub method: HttpMethod,
    /// Path below the base URL, with its query: `/v1/messages`.
    pub path: String,
    /// Header names (lower case) and values, without the credential.
    pub headers: BTreeMap<String, String>,
    /// The credential to send.
    pub credential: RequestCredential,
    /// The JSON body; `null` where there is none.
    pub body: Value,
    /// What goes out as the body in the place of JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

impl Request {
    /// The path without its query.
    pub fn path_without_query(&self) -> &str {
        self.path.split_once('?').map_or(self.path.as_str(), |(path, _)| path)
    }
}

string_enum! {
    /// The method of a request.
    #[derive(Default)]
    pub enum HttpMethod {
        /// With a body.
        #[default]
        Post = "POST",
        /// Without one.
        Get = "GET",
        /// Without one, and without one in the answer.
        Head = "HEAD",
    }
}

impl HttpMethod {
    fn is_post(&self) -> bool {
        *self == Self::Post
    }
}

/// Which credential a request carries, and in which header. The secret itself is known to the client alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestCredential {
    /// The right one, in the header that the target asks for.
    Target,
    /// The right one as `x-api-key`.
    XApiKey,
    /// The right one as `authorization: Bearer`.
    Bearer,
    /// A made-up one as `x-api-key`.
    WrongXApiKey,
    /// A made-up one as `authorization: Bearer`.
    WrongBearer,
    /// The right one in both headers.
    Both,
    /// No credential header at all.
    Missing,
}

/// A request and every attempt to get it answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// The name by which rows refer to it; unique in a recording.
    pub id: String,
    /// What was asked.
    pub request: Request,
    /// What was tried, in order; the last one counts.
    pub attempts: Vec<ExchangeAttempt>,
}

impl Exchange {
    /// The attempt that counts: the last. `None` when nothing was sent.
    pub fn last_attempt(&self) -> Option<&ExchangeAttempt> {
        self.attempts.last()
    }

    /// True where a recording was asked for it, and does not have it.
    pub fn is_not_recorded(&self) -> bool {
        matches!(self.last_attempt().map(|a| &a.result), Some(AttemptResult::Failure(f)) if f.kind == FailureKind::NotRecorded)
    }
}

/// One try at getting a request answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExchangeAttempt {
    /// Milliseconds from the start of the run.
    pub started_ms: u64,
    /// Milliseconds until the answer was whole, or the try was given up.
    pub duration_ms: u64,
    /// What came back.
    #[serde(flatten)]
    pub result: AttemptResult,
}

/// What an attempt brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptResult {
    /// A status line and headers came, and perhaps a body.
    Response(Response),
    /// Nothing came.
    Failure(AttemptFailure),
}

/// An HTTP response, kept whole up to the client's bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Header names (lower case) and values, in the order they came. A credential that a server echoes is masked.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: BodyBytes,
    /// When the body's pieces came: milliseconds from the start of the attempt, and the piece's size in bytes. Of more
    /// pieces than the client notes, the last entry has the rest, with the time at which the last of them came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<(u64, u64)>,
    /// Why the body is not whole, when it is not. Where the client's bound on kept bytes is why, it says that bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<AttemptFailure>,
}

impl Response {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// True when the server says that the body is an event stream.
    pub fn is_event_stream(&self) -> bool {
        self.header("content-type")
            .is_some_and(|t| t.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
    }
}

/// Why an attempt, or the rest of a body, did not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFailure {
    /// The kind, a closed set.
    pub kind: FailureKind,
    /// What happened and what to try, in a sentence, without secrets.
    pub message: String,
}

string_enum! {
    /// The ways in which a transport fails.
    pub enum FailureKind {
        /// The host's name could not be resolved, or nothing answered at its address.
        Connect = "connect",
        /// The connection was made and its TLS handshake failed.
        Tls = "tls",
        /// The time for the request ran out.
        Timeout = "timeout",
        /// The connection broke.
        Reset = "reset",
        /// The answer was not HTTP.
        Protocol = "protocol",
        /// The body passed the bound on kept bytes; the rest was not read.
        TooLarge = "too_large",
        /// The run was stopped before an answer came.
        Stopped = "stopped",
        /// Nothing was sent: a recording was asked, which does not have this request.
        NotRecorded = "not_recorded",
    }
}

/// A body: text where it is UTF-8, base64 where it is not, so that a recording stays readable and loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BodyBytes(pub Vec<u8>);

/// As it is written: texts are borrowed, since a body may have megabytes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EncodedBody<'a> {
    Text(Cow<'a, str>),
    Base64(String),
}

impl Serialize for BodyBytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        match std::str::from_utf8(&self.0) {
            Ok(text) => EncodedBody::Text(text.into()),
            Err(_) => EncodedBody::Base64(base64::engine::general_purpose::STANDARD.encode(&self.0)),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BodyBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        match EncodedBody::deserialize(deserializer)? {
            EncodedBody::Text(text) => Ok(Self(text.into_owned().into_bytes())),
            EncodedBody::Base64(text) => base64::engine::general_purpose::STANDARD
                .decode(text)
                .map(Self)
                .map_err(|e| serde::de::Error::custom(format!("body is not base64: {e}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_survives_the_recording_whether_text_or_not() {
        for bytes in [b"plain".to_vec(), vec![0xff, 0x00, 0xfe], Vec::new()] {
            let json = serde_json::to_string(&BodyBytes(bytes.clone())).unwrap();
            assert_eq!(serde_json::from_str::<BodyBytes>(&json).unwrap().0, bytes);
        }
    }
}
