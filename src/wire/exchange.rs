//! One HTTP request with its responses: [`Exchange`], the unit of a recording.
//!
//! Plain data. A request names its credential and must not know its value, so no secret can reach a
//! recording. Responses are kept byte for byte; other modules parse them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::string_enum::string_enum;

/// Replaces a secret in a response, except the run's own credential. Secrets are removed before
/// anything is kept.
pub const SECRET_PLACEHOLDER: &str = "<secret>";

/// A request of the engine. The client adds the base URL, the credential and the transport headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The HTTP method.
    #[serde(default, skip_serializing_if = "HttpMethod::is_post")]
    pub method: HttpMethod,
    /// The path below the base URL, with the query: `/v1/messages`.
    pub path: String,
    /// Header names (lower case) and values, without the credential.
    pub headers: BTreeMap<String, String>,
    /// The credential to send.
    pub credential: RequestCredential,
    /// The JSON body, or `null`.
    pub body: Value,
    /// A body that is sent instead of the JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

impl Request {
    /// Returns the path without the query.
    pub fn path_without_query(&self) -> &str {
        self.path.split_once('?').map_or(self.path.as_str(), |(path, _)| path)
    }
}

string_enum! {
    /// The HTTP method of a request.
    #[derive(Default)]
    pub enum HttpMethod {
        /// A request with a body.
        #[default]
        Post = "POST",
        /// A request without a body.
        Get = "GET",
        /// A request without a body, whose response has none either.
        Head = "HEAD",
    }
}

impl HttpMethod {
    fn is_post(&self) -> bool {
        *self == Self::Post
    }
}

string_enum! {
    /// The header that carries the credential of a target.
    #[derive(Default)]
    pub enum AuthScheme {
        /// `x-api-key: KEY`
        #[default]
        XApiKey = "x-api-key",
        /// `authorization: Bearer KEY`
        Bearer = "bearer",
        /// `api-key: KEY`
        ApiKey = "api-key",
    }
}

/// The credential of a request and its header. Only the client knows the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RequestCredential {
    /// The credential of the target, in the header that the target uses.
    Target,
    /// The credential of the target in `x-api-key`.
    XApiKey,
    /// The credential of the target in `authorization: Bearer`.
    Bearer,
    /// An invalid credential in `x-api-key`.
    WrongXApiKey,
    /// An invalid credential in `authorization: Bearer`.
    WrongBearer,
    /// The credential of the target in both headers.
    Both,
    /// No credential header.
    Missing,
}

/// A request and all attempts to get a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// The name that trials refer to. It is unique in a recording.
    pub id: String,
    /// The request.
    pub request: Request,
    /// The attempts in order. Only the last one counts.
    pub attempts: Vec<ExchangeAttempt>,
}

impl Exchange {
    /// Returns the last attempt, the one that counts. `None` if nothing was sent.
    pub fn last_attempt(&self) -> Option<&ExchangeAttempt> {
        self.attempts.last()
    }

    /// Returns the number of attempts that were sent.
    pub fn sent_count(&self) -> u64 {
        let is_void =
            |a: &&ExchangeAttempt| matches!(&a.result, AttemptResult::Failure(f) if f.kind == FailureKind::Void);
        self.attempts.iter().filter(|attempt| !is_void(attempt)).count() as u64
    }

    /// Returns true if the response is void and the request was not sent again.
    pub fn is_void(&self) -> bool {
        self.last_failure() == Some(FailureKind::Void)
    }

    /// Returns true if the exchange was replayed from a recording that does not have it.
    pub fn is_not_recorded(&self) -> bool {
        self.last_failure() == Some(FailureKind::NotRecorded)
    }

    /// Returns true if the request was in flight when the run was stopped.
    pub fn is_stopped(&self) -> bool {
        self.last_failure() == Some(FailureKind::Stopped)
    }

    fn last_failure(&self) -> Option<FailureKind> {
        match &self.last_attempt()?.result {
            AttemptResult::Failure(failure) => Some(failure.kind),
            AttemptResult::Response(_) => None,
        }
    }
}

/// One attempt to get a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExchangeAttempt {
    /// Milliseconds from the start of the run.
    pub started_ms: u64,
    /// Milliseconds until the response was complete or the attempt ended.
    pub duration_ms: u64,
    /// The result.
    #[serde(flatten)]
    pub result: AttemptResult,
}

impl ExchangeAttempt {
    /// An attempt that was in flight when the run was stopped.
    pub fn stopped() -> Self {
        let message = "aborted: the run was stopped before the response was complete".to_owned();
        let result = AttemptResult::Failure(AttemptFailure { kind: FailureKind::Stopped, message });
        Self { started_ms: 0, duration_ms: 0, result }
    }
}

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptResult {
    /// A status line and headers, perhaps with a body.
    Response(Response),
    /// No response.
    Failure(AttemptFailure),
}

impl AttemptResult {
    /// The bytes of the headers, the body and its arrival times.
    pub(crate) fn content_bytes(&self) -> usize {
        match self {
            Self::Response(response) => {
                let headers = response.headers.iter();
                let headers: usize = headers.map(|header| header.0.len() + header.1.len() + size_of_val(header)).sum();
                headers + response.body.0.len() + size_of_val(response.arrivals.as_slice())
            }
            Self::Failure(_) => 0,
        }
    }
}

/// An HTTP response. The client limits the size of its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Header names (lower case) and values, in the order of the response. Secrets are removed.
    pub headers: Vec<(String, String)>,
    /// The bytes of the body.
    pub body: BodyBytes,
    /// The arrival of the chunks of the body: milliseconds from the start of the attempt, and the
    /// size of the chunk in bytes. The client limits the number of entries; the last entry then
    /// contains all remaining chunks, with the time of the last one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<(u64, u64)>,
    /// The reason why the body is incomplete. If the client stopped at its size limit, the message
    /// gives the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<AttemptFailure>,
}

impl Response {
    /// Returns the first header with this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Returns true for a status from 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the body as text, with bytes that are not UTF-8 replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body.0)
    }

    /// Returns true if the content type of the body is an event stream.
    pub fn is_event_stream(&self) -> bool {
        self.header("content-type")
            .is_some_and(|t| t.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
    }
}

/// The reason why there is no response, or only a part of its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFailure {
    /// The kind.
    pub kind: FailureKind,
    /// The problem and the next step, in a sentence without secrets.
    pub message: String,
}

string_enum! {
    /// The kinds of transport failure.
    pub enum FailureKind {
        /// The host name cannot be resolved, or the host does not accept the connection.
        Connect = "connect",
        /// The TLS handshake failed.
        Tls = "tls",
        /// The request timed out.
        Timeout = "timeout",
        /// The connection broke.
        Reset = "reset",
        /// A kept connection was closed by the server at the moment of sending, so the request was
        /// sent again on a new one.
        Stale = "stale",
        /// The response is not HTTP.
        Protocol = "protocol",
        /// The body is larger than the size limit. The rest was not read.
        TooLarge = "too_large",
        /// The run was stopped before the response.
        Stopped = "stopped",
        /// The response before it is void: the endpoint was in trouble that has nothing to do with
        /// the request.
        Void = "void",
        /// Nothing was sent: a replayed recording does not have this request.
        NotRecorded = "not_recorded",
    }
}

/// The bytes of a body. A recording stores them as text if they are UTF-8, otherwise as base64, so
/// it stays readable and loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BodyBytes(pub Vec<u8>);

/// The stored form. Texts are borrowed because a body may have megabytes.
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
    fn a_body_is_the_same_after_storing_and_loading() {
        for bytes in [b"plain".to_vec(), vec![0xff, 0x00, 0xfe], Vec::new()] {
            let json = serde_json::to_string(&BodyBytes(bytes.clone())).unwrap();
            assert_eq!(serde_json::from_str::<BodyBytes>(&json).unwrap().0, bytes);
        }
    }
}
