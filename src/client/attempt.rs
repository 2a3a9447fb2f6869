//! One attempt: sending a prepared request and reading what comes, within a time and a number of bytes.
//!
//! Knows nothing of retries and limits. Whatever the server does, the result is data; nothing here panics on it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use tokio::time::timeout_at;

use crate::client::transport_error::{AttemptPhase, ErrorContext};
use crate::redact::SecretRedactor;
use crate::wire::exchange::{AttemptFailure, AttemptResult, BodyBytes, FailureKind, Response};

/// At most this many notes are made of a body's pieces: the last one takes in all that comes after it, so that a trickle
/// of single bytes, however long, cannot fill the memory with notes about it.
const MAX_CHUNK_ARRIVALS: usize = 65_536;

/// A request ready to be sent, as often as it takes.
pub(super) struct PreparedRequest {
    pub method: reqwest::Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The estimate for the limit of tokens a minute.
    pub estimated_tokens: u32,
}

/// What bounds an attempt, and how its failures are told.
#[derive(Debug)]
pub(super) struct AttemptLimits {
    pub timeout: Duration,
    pub max_body_bytes: usize,
    pub error_context: ErrorContext,
    pub redactor: SecretRedactor,
}

/// Sends the request once. Time runs from the call.
pub(super) async fn send_once(
    http: &reqwest::Client,
    request: &PreparedRequest,
    bounds: &AttemptLimits,
) -> AttemptResult {
    let started = Instant::now();
    let deadline = (started + bounds.timeout).into();
    let mut asking = reqwest::Request::new(request.method.clone(), request.url.clone());
    *asking.headers_mut() = request.headers.clone();
    if !request.body.is_empty() {
        *asking.body_mut() = Some(request.body.clone().into());
    }
    let response = match timeout_at(deadline, http.execute(asking)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            return AttemptResult::Failure(
                bounds.redact_failure(bounds.error_context.classify_http_error(&error, AttemptPhase::Sending)),
            );
        }
        Err(_) => {
            return AttemptResult::Failure(bounds.error_context.timeout_failure(bounds.timeout, AttemptPhase::Sending));
        }
    };
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .map(|header| bounds.redactor.redact_header(header))
        .collect();
    let encodings: Vec<&str> =
        response.headers().get_all(CONTENT_ENCODING).iter().map(|e| e.to_str().unwrap_or("unreadable")).collect();
    let encodings = encodings.join(",");
    let mut read = read_body(response, started, deadline, bounds).await;
    read.body = bounds.redactor.redact_compressed(&encodings, read.body, &mut read.chunk_arrivals);
    let body = bounds.redactor.redact_body(read.body, &mut read.chunk_arrivals, read.truncation.is_some());
    AttemptResult::Response(Response {
        status,
        headers,
        body: BodyBytes(body),
        arrivals: read.chunk_arrivals,
        cut: read.truncation.map(|cut| bounds.redact_failure(cut)),
    })
}

impl AttemptLimits {
    /// A failure whose sentence quotes what a server sent must not quote the credential with it.
    fn redact_failure(&self, failure: AttemptFailure) -> AttemptFailure {
        AttemptFailure { kind: failure.kind, message: self.redactor.redact_text(failure.message) }
    }
}

/// A body, or as much of it as came and is kept.
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
    bounds: &AttemptLimits,
) -> ReceivedBody {
    let mut read = ReceivedBody::default();
    loop {
        let phase = AttemptPhase::Reading(read.body.len());
        read.truncation = match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(piece))) => {
                let kept = piece.len().min(bounds.max_body_bytes - read.body.len());
                read.body.extend_from_slice(&piece[..kept]);
                read.record_arrival(started.elapsed(), kept);
                (kept < piece.len()).then(|| bounds.error_context.too_large_failure(bounds.max_body_bytes))
            }
            Ok(Ok(None)) => return read,
            Ok(Err(error)) => Some(bounds.error_context.classify_http_error(&error, phase)),
            Err(_) => Some(bounds.error_context.timeout_failure(bounds.timeout, phase)),
        };
        if read.truncation.is_some() {
            // Dropping the response closes its connection, so nothing more is read.
            return read;
        }
    }
}

impl ReceivedBody {
    fn record_arrival(&mut self, after: Duration, size: usize) {
        let (ms, size) = (after.as_millis() as u64, size as u64);
        let noted = self.chunk_arrivals.len();
        match self.chunk_arrivals.last_mut() {
            Some(last) if noted >= MAX_CHUNK_ARRIVALS => *last = (ms, last.1 + size),
            _ if size == 0 => {}
            _ => self.chunk_arrivals.push((ms, size)),
        }
    }
}

/// The failure of a request that cannot even be written as HTTP.
pub(super) fn invalid_request(problem: &str) -> AttemptResult {
    let message = format!("the request cannot be sent: {problem}");
    AttemptResult::Failure(AttemptFailure { kind: FailureKind::Protocol, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_of_single_bytes_cannot_fill_the_memory_with_notes() {
        let mut read = ReceivedBody::default();
        let pieces = 10 * MAX_CHUNK_ARRIVALS;
        for ms in 0..pieces {
            read.record_arrival(Duration::from_millis(ms as u64), 1);
        }
        assert_eq!(read.chunk_arrivals.len(), MAX_CHUNK_ARRIVALS);
        assert_eq!(read.chunk_arrivals.iter().map(|a| a.1).sum::<u64>(), pieces as u64);
        assert_eq!(
            read.chunk_arrivals.last().map(|a| a.0),
            Some(pieces as u64 - 1),
            "the end is when the last byte came"
        );
    }
}
