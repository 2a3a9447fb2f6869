//! One attempt: sending a prepared request and reading what comes, within a time and a number of bytes.
//!
//! Knows nothing of retries and limits. Whatever the server does, the result is data; nothing here panics on it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use tokio::time::timeout_at;

use crate::client::transport_error::{Peer, Phase};
use crate::redact::Mask;
use crate::wire::exchange::{AttemptResult, Body, Failure, FailureKind, Response};

/// At most this many notes are made of a body's pieces: the last one takes in all that comes after it, so that a trickle
/// of single bytes, however long, cannot fill the memory with notes about it.
const MOST_ARRIVALS: usize = 65_536;

/// A request ready to be sent, as often as it takes.
pub(super) struct Prepared {
    pub method: reqwest::Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The estimate for the limit of tokens a minute.
    pub tokens: u32,
}

/// What bounds an attempt, and how its failures are told.
#[derive(Debug)]
pub(super) struct Bounds {
    pub timeout: Duration,
    pub kept_bytes: usize,
    pub peer: Peer,
    pub mask: Mask,
}

/// Sends the request once. Time runs from the call.
pub(super) async fn attempt(http: &reqwest::Client, request: &Prepared, bounds: &Bounds) -> AttemptResult {
    let started = Instant::now();
    let deadline = (started + bounds.timeout).into();
    let mut asking = reqwest::Request::new(request.method.clone(), request.url.clone());
    *asking.headers_mut() = request.headers.clone();
    if !request.body.is_empty() {
        *asking.body_mut() = Some(request.body.clone().into());
    }
    let response = match timeout_at(deadline, http.execute(asking)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return AttemptResult::Failure(bounds.masked(bounds.peer.transport(&error, Phase::Sending))),
        Err(_) => return AttemptResult::Failure(bounds.peer.timed_out(bounds.timeout, Phase::Sending)),
    };
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .map(|header| bounds.mask.header(header))
        .collect();
    let encodings: Vec<&str> =
        response.headers().get_all(CONTENT_ENCODING).iter().map(|e| e.to_str().unwrap_or("unreadable")).collect();
    let encodings = encodings.join(",");
    let mut read = read_body(response, started, deadline, bounds).await;
    read.body = bounds.mask.packed(&encodings, read.body, &mut read.arrivals);
    let body = bounds.mask.body(read.body, &mut read.arrivals, read.cut.is_some());
    AttemptResult::Response(Response {
        status,
        headers,
        body: Body(body),
        arrivals: read.arrivals,
        cut: read.cut.map(|cut| bounds.masked(cut)),
    })
}

impl Bounds {
    /// A failure whose sentence quotes what a server sent must not quote the credential with it.
    fn masked(&self, failure: Failure) -> Failure {
        Failure { kind: failure.kind, message: self.mask.text(failure.message) }
    }
}

/// A body, or as much of it as came and is kept.
#[derive(Default)]
struct Read {
    body: Vec<u8>,
    arrivals: Vec<(u64, u64)>,
    cut: Option<Failure>,
}

async fn read_body(
    mut response: reqwest::Response,
    started: Instant,
    deadline: tokio::time::Instant,
    bounds: &Bounds,
) -> Read {
    let mut read = Read::default();
    loop {
        let phase = Phase::Reading(read.body.len());
        read.cut = match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(piece))) => {
                let kept = piece.len().min(bounds.kept_bytes - read.body.len());
                read.body.extend_from_slice(&piece[..kept]);
                read.note_arrival(started.elapsed(), kept);
                (kept < piece.len()).then(|| bounds.peer.too_large(bounds.kept_bytes))
            }
            Ok(Ok(None)) => return read,
            Ok(Err(error)) => Some(bounds.peer.transport(&error, phase)),
            Err(_) => Some(bounds.peer.timed_out(bounds.timeout, phase)),
        };
        if read.cut.is_some() {
            // Dropping the response closes its connection, so nothing more is read.
            return read;
        }
    }
}

impl Read {
    fn note_arrival(&mut self, after: Duration, size: usize) {
        let (ms, size) = (after.as_millis() as u64, size as u64);
        let noted = self.arrivals.len();
        match self.arrivals.last_mut() {
            Some(last) if noted >= MOST_ARRIVALS => *last = (ms, last.1 + size),
            _ if size == 0 => {}
            _ => self.arrivals.push((ms, size)),
        }
    }
}

/// The failure of a request that cannot even be written as HTTP.
pub(super) fn unsendable(problem: &str) -> AttemptResult {
    let message = format!("the request cannot be sent: {problem}");
    AttemptResult::Failure(Failure { kind: FailureKind::Protocol, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_of_single_bytes_cannot_fill_the_memory_with_notes() {
        let mut read = Read::default();
        let pieces = 10 * MOST_ARRIVALS;
        for ms in 0..pieces {
            read.note_arrival(Duration::from_millis(ms as u64), 1);
        }
        assert_eq!(read.arrivals.len(), MOST_ARRIVALS);
        assert_eq!(read.arrivals.iter().map(|a| a.1).sum::<u64>(), pieces as u64);
        assert_eq!(read.arrivals.last().map(|a| a.0), Some(pieces as u64 - 1), "the end is when the last byte came");
    }
}
