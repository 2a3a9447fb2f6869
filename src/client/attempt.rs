//! [`send_once`]: sends a prepared request and reads the response, within a time and a size limit.
//!
//! This module must not know retries or rate limits. Whatever the server does, the result is data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio::time::timeout_at;

use crate::client::transport_error::{AttemptPhase, ErrorContext};
use crate::redact::SecretRedactor;
use crate::wire::exchange::{AttemptFailure, AttemptResult, BodyBytes, FailureKind, Response};

/// The maximum number of recorded chunks of a body. The last entry covers all later chunks, so that
/// an endless trickle of single bytes cannot fill the memory.
const MAX_CHUNK_ARRIVALS: usize = 65_536;

/// The maximum size of all headers of a response. Common servers and clients accept less.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// The maximum size of the body of an error. An error is a short text, and each retry keeps one.
const MAX_ERROR_BODY_BYTES: usize = 256 * 1024;

/// The redaction of a body up to this size takes a few milliseconds.
const MAX_SHORT_BODY_BYTES: usize = 64 * 1024;

/// A request that can be sent any number of times.
pub(super) struct PreparedRequest {
    pub method: reqwest::Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The estimate for the limit of tokens per minute.
    pub estimated_tokens: u32,
}

/// The limits of an attempt, and what its results need.
pub(super) struct AttemptLimits {
    pub timeout: Duration,
    pub max_body_bytes: usize,
    pub error_context: ErrorContext,
    pub redactor: Arc<SecretRedactor>,
}

/// Sends the request once. The time limit starts with the call.
pub(super) async fn send_once(
    http: &reqwest::Client,
    prepared: &PreparedRequest,
    limits: &AttemptLimits,
) -> AttemptResult {
    let started = Instant::now();
    let deadline = (started + limits.timeout).into();
    let mut request = reqwest::Request::new(prepared.method.clone(), prepared.url.clone());
    *request.headers_mut() = prepared.headers.clone();
    if !prepared.body.is_empty() {
        *request.body_mut() = Some(prepared.body.clone().into());
    }
    let phase = AttemptPhase::Sending;
    let response = match timeout_at(deadline, http.execute(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let failure = limits.error_context.classify_http_error(&error, phase);
            return AttemptResult::Failure(limits.redact_failure(failure));
        }
        Err(_) => return AttemptResult::Failure(limits.error_context.timeout_failure(limits.timeout, phase)),
    };
    let status = response.status().as_u16();
    let headers = limits.read_headers(response.headers());
    let encodings: Vec<&str> =
        response.headers().get_all(CONTENT_ENCODING).iter().map(|e| e.to_str().unwrap_or("unreadable")).collect();
    let encodings = encodings.join(",");
    let ReceivedBody { body, mut chunk_arrivals, truncation } = match headers.is_truncated {
        // Dropping the response closes the connection.
        true => ReceivedBody {
            truncation: Some(limits.error_context.too_large_failure("headers", MAX_HEADER_BYTES)),
            ..ReceivedBody::default()
        },
        false => read_body(response, started, deadline, limits).await,
    };
    let body_len = body.len();
    let redactor = limits.redactor.clone();
    let is_truncated = truncation.is_some();
    let redact = move || {
        let body = redactor.redact_compressed(&encodings, body, &mut chunk_arrivals);
        let body = redactor.redact_body(body, &mut chunk_arrivals, is_truncated);
        (body, chunk_arrivals)
    };
    let Ok((body, chunk_arrivals)) = run_redaction(body_len, redact).await else {
        return invalid_response("its secrets could not be removed");
    };
    AttemptResult::Response(Response {
        status,
        headers: headers.kept,
        body: BodyBytes(body),
        arrivals: chunk_arrivals,
        cut: truncation.map(|failure| limits.redact_failure(failure)),
    })
}

/// The headers of a response, or the part of them that is kept.
#[derive(Default)]
struct ReceivedHeaders {
    kept: Vec<(String, String)>,
    is_truncated: bool,
}

impl AttemptLimits {
    /// Reads headers up to their size limit, and removes secrets from them.
    fn read_headers(&self, headers: &HeaderMap) -> ReceivedHeaders {
        let mut received = ReceivedHeaders::default();
        let mut size = 0;
        for (name, value) in headers {
            size += name.as_str().len() + value.len();
            received.is_truncated = size > MAX_HEADER_BYTES;
            if received.is_truncated {
                break;
            }
            received.kept.push((name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        }
        received.kept = self.redactor.redact_headers(received.kept);
        received
    }

    /// Removes secrets from a failure, because its message may quote the server.
    fn redact_failure(&self, failure: AttemptFailure) -> AttemptFailure {
        AttemptFailure { kind: failure.kind, message: self.redactor.redact_text(failure.message) }
    }
}

/// A body, or the part of it that arrived and is kept.
#[derive(Default)]
struct ReceivedBody {
    body: Vec<u8>,
    chunk_arrivals: Vec<(u64, u64)>,
    truncation: Option<AttemptFailure>,
}

async fn read_body(
    mut response: reqwest::Response,
    started: Instant,
    deadline: tokio::time::Instant,
    limits: &AttemptLimits,
) -> ReceivedBody {
    let mut received = ReceivedBody::default();
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let max_body_bytes = limits.max_body_bytes.min(if is_error { MAX_ERROR_BODY_BYTES } else { usize::MAX });
    loop {
        let phase = AttemptPhase::Reading(received.body.len());
        received.truncation = match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let kept = chunk.len().min(max_body_bytes - received.body.len());
                received.body.extend_from_slice(&chunk[..kept]);
                received.record_arrival(started.elapsed(), kept);
                (kept < chunk.len()).then(|| limits.error_context.too_large_failure("body", max_body_bytes))
            }
            Ok(Ok(None)) => return received,
            Ok(Err(error)) => Some(limits.error_context.classify_http_error(&error, phase)),
            Err(_) => Some(limits.error_context.timeout_failure(limits.timeout, phase)),
        };
        if received.truncation.is_some() {
            // Dropping the response closes the connection, so nothing more is read.
            return received;
        }
    }
}

impl ReceivedBody {
    fn record_arrival(&mut self, after: Duration, size: usize) {
        let (ms, size) = (after.as_millis() as u64, size as u64);
        let count = self.chunk_arrivals.len();
        match self.chunk_arrivals.last_mut() {
            Some(last) if count >= MAX_CHUNK_ARRIVALS => *last = (ms, last.1 + size),
            _ if size == 0 => {}
            _ => self.chunk_arrivals.push((ms, size)),
        }
    }
}

/// Runs the redaction of a body. A long one takes a second, and memory of ten times its size. So it
/// runs on a thread of its own, where it delays nothing else, and only one at a time.
async fn run_redaction<T: Send + 'static>(
    body_len: usize,
    redact: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    static LONG_BODIES: Semaphore = Semaphore::const_new(1);
    if body_len <= MAX_SHORT_BODY_BYTES {
        return Ok(redact());
    }
    // The semaphore is never closed, so `acquire` does not fail.
    let _permit = LONG_BODIES.acquire().await;
    tokio::task::spawn_blocking(redact).await
}

/// The failure of a response that must not be kept.
fn invalid_response(problem: &str) -> AttemptResult {
    let message = format!("the response cannot be used: {problem}");
    AttemptResult::Failure(AttemptFailure { kind: FailureKind::Protocol, message })
}

/// The failure of a request that cannot be written as HTTP.
pub(super) fn invalid_request(problem: &str) -> AttemptResult {
    let message = format!("the request cannot be sent: {problem}");
    AttemptResult::Failure(AttemptFailure { kind: FailureKind::Protocol, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_recorded_chunks_is_limited() {
        let mut received = ReceivedBody::default();
        let chunks = 10 * MAX_CHUNK_ARRIVALS as u64;
        for ms in 0..chunks {
            received.record_arrival(Duration::from_millis(ms), 1);
        }
        assert_eq!(received.chunk_arrivals.len(), MAX_CHUNK_ARRIVALS);
        assert_eq!(received.chunk_arrivals.iter().map(|a| a.1).sum::<u64>(), chunks);
        assert_eq!(received.chunk_arrivals.last().map(|a| a.0), Some(chunks - 1), "the time of the last byte");
    }
}
