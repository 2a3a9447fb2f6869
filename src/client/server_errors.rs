//! [`ServerErrorLog`]: whether the server errors of an endpoint come every time or pass.
//!
//! A server that cannot handle a field fails each time, so sending the request again only takes
//! time. A server error that passes is retried like any other failure. This module must not know
//! which request fails.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::wire::exchange::{AttemptResult, ExchangeAttempt, Response};
use crate::wire::message::{is_server_fault, mask_variable_words};

/// After this number of different errors that came twice, the first resend does not wait.
const MIN_STEADY_ERRORS: usize = 2;

/// The maximum number of bytes of an error that are compared.
const MAX_COMPARED_BYTES: usize = 2048;

/// What the server errors of an endpoint have shown so far.
#[derive(Debug, Default)]
pub(super) struct ServerErrorLog(Mutex<ServerErrorHistory>);

#[derive(Debug, Default)]
struct ServerErrorHistory {
    /// True once a request was answered. Before that, the server may only be starting.
    is_answering: bool,
    /// True once a request was answered after a server error.
    has_recovered: bool,
    /// The errors that came twice in a row, apart from ids and numbers.
    steady: HashSet<String>,
}

/// Whether a request is sent again after its last attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerErrorResend {
    /// As the retry policy says.
    ByPolicy,
    /// If the retry policy allows it, without its wait.
    AtOnce,
    /// Not again.
    Never,
}

impl ServerErrorLog {
    /// Records the last of these attempts of one request.
    pub(super) fn record_attempts(&self, attempts: &[ExchangeAttempt]) -> ServerErrorResend {
        let mut history = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recent = attempts.iter().rev();
        let Some(AttemptResult::Response(last)) = recent.next().map(|attempt| &attempt.result) else {
            return ServerErrorResend::ByPolicy;
        };
        let previous = recent.next().and_then(|attempt| fault_key(&attempt.result));
        if last.is_success() {
            history.is_answering = true;
            history.has_recovered |= previous.is_some();
        }
        let Some(key) = response_key(last) else { return ServerErrorResend::ByPolicy };
        if history.has_recovered || !history.is_answering {
            return ServerErrorResend::ByPolicy;
        }
        if previous.as_ref() == Some(&key) {
            history.steady.insert(key.clone());
        }
        if history.steady.contains(&key) {
            ServerErrorResend::Never
        } else if history.steady.len() >= MIN_STEADY_ERRORS {
            ServerErrorResend::AtOnce
        } else {
            ServerErrorResend::ByPolicy
        }
    }
}

fn fault_key(result: &AttemptResult) -> Option<String> {
    match result {
        AttemptResult::Response(response) => response_key(response),
        AttemptResult::Failure(_) => None,
    }
}

/// The status and the text of a server error. `None` for any other response.
fn response_key(response: &Response) -> Option<String> {
    is_server_fault(response.status).then(|| {
        let body = &response.body.0[..response.body.0.len().min(MAX_COMPARED_BYTES)];
        format!("{} {}", response.status, mask_variable_words(&String::from_utf8_lossy(body)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exchange::BodyBytes;

    fn attempt(status: u16, body: &str) -> ExchangeAttempt {
        let body = BodyBytes(body.as_bytes().to_vec());
        let response = Response { status, headers: Vec::new(), body, arrivals: Vec::new(), cut: None };
        ExchangeAttempt { started_ms: 0, duration_ms: 0, result: AttemptResult::Response(response) }
    }

    fn answering_log() -> ServerErrorLog {
        let log = ServerErrorLog::default();
        assert_eq!(log.record_attempts(&[attempt(200, "")]), ServerErrorResend::ByPolicy);
        log
    }

    #[test]
    fn the_second_equal_server_error_ends_the_retries() {
        let log = answering_log();
        let failed = [attempt(500, "request a1 failed"), attempt(500, "request b2 failed")];
        assert_eq!(log.record_attempts(&failed[..1]), ServerErrorResend::ByPolicy);
        assert_eq!(log.record_attempts(&failed), ServerErrorResend::Never);
        assert_eq!(log.record_attempts(&[attempt(500, "request c3 failed")]), ServerErrorResend::Never);
        let other = [attempt(502, "bad gateway"), attempt(502, "bad gateway")];
        assert_eq!(log.record_attempts(&other[..1]), ServerErrorResend::ByPolicy);
        assert_eq!(log.record_attempts(&other), ServerErrorResend::Never);
        assert_eq!(log.record_attempts(&[attempt(500, "division by zero")]), ServerErrorResend::AtOnce);
    }

    #[test]
    fn server_errors_that_pass_are_retried() {
        let log = answering_log();
        assert_eq!(log.record_attempts(&[attempt(500, ""), attempt(200, "")]), ServerErrorResend::ByPolicy);
        assert_eq!(log.record_attempts(&[attempt(500, ""), attempt(500, "")]), ServerErrorResend::ByPolicy);
    }

    #[test]
    fn overload_and_a_server_that_starts_are_retried() {
        let log = answering_log();
        assert_eq!(log.record_attempts(&[attempt(503, ""), attempt(503, "")]), ServerErrorResend::ByPolicy);
        let starting = ServerErrorLog::default();
        assert_eq!(starting.record_attempts(&[attempt(500, ""), attempt(500, "")]), ServerErrorResend::ByPolicy);
    }
}
