//! [`RetryPolicy`]: whether and when a request is retried.
//!
//! Only failures that the request did not cause are retried. A timeout is not retried, because it
//! already took the longest time that the user allows. This module must not sleep or send.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;

use crate::wire::exchange::{AttemptResult, FailureKind, Response};

/// The longest wait that the client chooses by itself.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The longest `retry-after` that the client follows. After a longer one it gives up.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

/// The number of retries after a failed connection, so that a server that is down is reported soon.
const MAX_CONNECT_RETRIES: u32 = 2;

/// The retries of one request.
pub(super) struct RetryPolicy {
    backoff: ExponentialBackoff,
    used_retries: u32,
}

impl RetryPolicy {
    /// At most `retries` retries. The wait doubles from `initial_backoff`, plus random jitter of up
    /// to 100 %, so that requests that failed together are not retried together.
    pub(super) fn new(retries: u32, initial_backoff: Duration) -> Self {
        let backoff = ExponentialBuilder::new()
            .with_min_delay(initial_backoff.min(MAX_BACKOFF))
            .with_max_delay(MAX_BACKOFF)
            .with_max_times(retries as usize)
            .with_jitter()
            .build();
        Self { backoff, used_retries: 0 }
    }

    /// The wait before the next attempt, after an attempt that ended with `result` at `now`. `None`
    /// if the result is final.
    pub(super) fn next_wait(&mut self, result: &AttemptResult, now: Timestamp) -> Option<Duration> {
        let min_wait = match result {
            AttemptResult::Response(response) => min_retry_delay(response, now)?,
            AttemptResult::Failure(failure) if should_retry(failure.kind, self.used_retries) => Duration::ZERO,
            AttemptResult::Failure(_) => return None,
        };
        if min_wait > MAX_RETRY_AFTER {
            return None;
        }
        self.used_retries += 1;
        // The backoff applies too: otherwise `retry-after: 0` would use up all retries at once.
        self.backoff.next().map(|wait| wait.min(MAX_BACKOFF).max(min_wait))
    }
}

/// True if the provider may charge tokens for the attempt, although its response is not usable.
/// Rejected requests, and requests that never arrived, are not charged.
pub(super) fn may_be_charged(result: &AttemptResult) -> bool {
    match result {
        AttemptResult::Response(response) => response.status < 400,
        AttemptResult::Failure(failure) => match failure.kind {
            FailureKind::Connect | FailureKind::Tls | FailureKind::Void | FailureKind::NotRecorded => false,
            FailureKind::Stopped
            | FailureKind::Reset
            | FailureKind::Stale
            | FailureKind::Timeout
            | FailureKind::Protocol
            | FailureKind::TooLarge => true,
        },
    }
}

fn should_retry(kind: FailureKind, used_retries: u32) -> bool {
    match kind {
        FailureKind::Reset => true,
        FailureKind::Connect => used_retries < MAX_CONNECT_RETRIES,
        FailureKind::Tls
        | FailureKind::Stale
        | FailureKind::Timeout
        | FailureKind::Protocol
        | FailureKind::TooLarge
        | FailureKind::Stopped
        | FailureKind::Void
        | FailureKind::NotRecorded => false,
    }
}

/// The shortest wait before a retry: the one that the server requests, or zero. `None` if the
/// response is final.
pub(super) fn min_retry_delay(response: &Response, now: Timestamp) -> Option<Duration> {
    let is_reset = response.cut.as_ref().is_some_and(|cut| cut.kind == FailureKind::Reset);
    match response.status {
        429 | 500 | 502 | 503 | 504 | 529 => {}
        200..=299 if is_reset => return Some(Duration::ZERO),
        _ => return None,
    }
    // With this header, servers say that a retry is useless. The official SDKs follow it.
    if response.header("x-should-retry") == Some("false") {
        return None;
    }
    let milliseconds = response.header("retry-after-ms").and_then(|ms| parse_duration(ms, 0.001));
    Some(milliseconds.or_else(|| parse_retry_after(response.header("retry-after")?, now)).unwrap_or(Duration::ZERO))
}

/// Parses `retry-after`: seconds or an HTTP date. Any other value counts as absent.
fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    parse_duration(value, 1.0).or_else(|| {
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
        Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO))
    })
}

/// Parses a number of units of `unit_seconds` each. A value above the range becomes
/// [`Duration::MAX`].
fn parse_duration(number: &str, unit_seconds: f64) -> Option<Duration> {
    let number: f64 = number.trim().parse().ok()?;
    (number >= 0.0).then(|| Duration::try_from_secs_f64(number * unit_seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exchange::{AttemptFailure, BodyBytes};

    fn response_result(status: u16, headers: &[(&str, &str)]) -> AttemptResult {
        AttemptResult::Response(Response {
            status,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: BodyBytes::default(),
            arrivals: Vec::new(),
            cut: None,
        })
    }

    fn failure_result(kind: FailureKind) -> AttemptResult {
        AttemptResult::Failure(AttemptFailure { kind, message: String::new() })
    }

    fn truncated_result(status: u16, kind: FailureKind) -> AttemptResult {
        let AttemptResult::Response(mut response) = response_result(status, &[]) else { unreachable!() };
        response.cut = Some(AttemptFailure { kind, message: String::new() });
        AttemptResult::Response(response)
    }

    fn fixed_now() -> Timestamp {
        "2026-11-06T08:49:37Z".parse().unwrap()
    }

    fn first_retry_delay(result: &AttemptResult) -> Option<Duration> {
        RetryPolicy::new(4, Duration::from_millis(1)).next_wait(result, fixed_now())
    }

    #[test]
    fn only_failures_that_the_request_did_not_cause_are_retried() {
        for status in [429, 500, 502, 503, 504, 529] {
            assert!(first_retry_delay(&response_result(status, &[])).is_some(), "{status}");
        }
        for status in [200, 301, 307, 400, 401, 403, 404, 408, 409, 413, 422, 501, 505] {
            assert!(first_retry_delay(&response_result(status, &[])).is_none(), "{status}");
        }
        for (kind, is_retried) in [
            (FailureKind::Connect, true),
            (FailureKind::Reset, true),
            (FailureKind::Timeout, false),
            (FailureKind::Tls, false),
            (FailureKind::TooLarge, false),
            (FailureKind::Protocol, false),
        ] {
            assert_eq!(first_retry_delay(&failure_result(kind)).is_some(), is_retried, "{kind:?}");
            assert_eq!(
                first_retry_delay(&truncated_result(200, kind)).is_some(),
                kind == FailureKind::Reset,
                "{kind:?} in a body"
            );
            assert!(first_retry_delay(&truncated_result(400, kind)).is_none(), "an HTTP 400 is final, {kind:?}");
        }
        assert!(first_retry_delay(&response_result(529, &[("x-should-retry", "false")])).is_none());
    }

    #[test]
    fn the_wait_that_the_server_requests_is_kept() {
        for (headers, seconds) in [
            (vec![("retry-after", "7")], 7.0),
            (vec![("retry-after", " 1.5 ")], 1.5),
            (vec![("retry-after", "120")], 120.0),
            (vec![("retry-after-ms", "2500"), ("retry-after", "9")], 2.5),
            (vec![("retry-after-ms", "soon"), ("retry-after", "9")], 9.0),
            (vec![("retry-after", "Fri, 06 Nov 2026 08:50:07 GMT")], 30.0),
        ] {
            assert_eq!(
                first_retry_delay(&response_result(429, &headers)),
                Some(Duration::from_secs_f64(seconds)),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn an_unusable_retry_after_leaves_the_backoff() {
        for value in ["0", "-5", "NaN", "soon", "Fri, 06 Nov 2026 08:49:07 GMT", ""] {
            let wait = first_retry_delay(&response_result(503, &[("retry-after", value)])).unwrap();
            assert!(wait >= Duration::from_millis(1) && wait <= Duration::from_millis(2), "{value}: {wait:?}");
        }
    }

    #[test]
    fn a_retry_after_above_the_limit_ends_the_retries() {
        for value in ["121", "1e300", "inf", "99999999999999999999", "Fri, 06 Nov 2026 09:49:37 GMT"] {
            assert!(first_retry_delay(&response_result(429, &[("retry-after", value)])).is_none(), "{value}");
        }
    }

    #[test]
    fn waits_double_up_to_the_maximum_and_end() {
        let mut retries = RetryPolicy::new(9, Duration::from_millis(500));
        let waits: Vec<Duration> =
            std::iter::from_fn(|| retries.next_wait(&response_result(529, &[]), fixed_now())).collect();
        assert_eq!(waits.len(), 9);
        for (n, wait) in waits.iter().enumerate() {
            let least = Duration::from_millis(500 << n).min(MAX_BACKOFF);
            assert!(*wait >= least && *wait <= (2 * least).min(MAX_BACKOFF), "{n}: {wait:?}");
        }
    }

    #[test]
    fn a_failed_connection_gets_fewer_retries() {
        let mut retries = RetryPolicy::new(9, Duration::from_millis(1));
        let retry_count =
            std::iter::from_fn(|| retries.next_wait(&failure_result(FailureKind::Connect), fixed_now())).count();
        assert_eq!(retry_count, MAX_CONNECT_RETRIES as usize);
    }

    #[test]
    fn zero_retries_means_no_retry() {
        assert!(
            RetryPolicy::new(0, Duration::from_millis(1)).next_wait(&response_result(529, &[]), fixed_now()).is_none()
        );
    }
}
