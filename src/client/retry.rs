//! Whether and when a request is sent again.
//!
//! Only what is not the request's fault is tried again. A time-out is not: it has already cost the longest time that
//! the user allows. This module decides; it neither sleeps nor sends.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;

use crate::wire::exchange::{AttemptResult, FailureKind, Response};

/// No wait between two attempts that we choose ourselves is longer.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// A server that asks for a longer wait has said that it will not answer now; the attempt stands as it is.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

/// How often a connection that could not be made is tried again: a server that is down is told soon.
const MAX_CONNECT_RETRIES: u32 = 2;

/// The retries of one request.
pub(super) struct RetryPolicy {
    backoff: ExponentialBackoff,
    used_retries: u32,
}

impl RetryPolicy {
    /// At most `retries` of them, waiting `first_wait` before the first and twice as long before each later one, with
    /// up to as much again at random, so that requests that failed together do not come back together.
    pub(super) fn new(retries: u32, first_wait: Duration) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(first_wait.min(MAX_BACKOFF))
            .with_max_delay(MAX_BACKOFF)
            .with_max_times(retries as usize)
            .with_jitter()
            .build();
        Self { backoff: waits, used_retries: 0 }
    }

    /// How long to wait before the next attempt, after one that brought `result` at `now`. `None` when it stands.
    pub(super) fn next_wait(&mut self, result: &AttemptResult, now: Timestamp) -> Option<Duration> {
        let asked = match result {
            AttemptResult::Response(response) => min_retry_delay(response, now)?,
            AttemptResult::Failure(failure) if should_retry(failure.kind, self.used_retries) => Duration::ZERO,
            AttemptResult::Failure(_) => return None,
        };
        if asked > MAX_RETRY_AFTER {
            return None;
        }
        self.used_retries += 1;
        // Longer than asked is polite, and keeps a `retry-after: 0` from using up all retries at once.
        self.backoff.next().map(|wait| wait.min(MAX_BACKOFF).max(asked))
    }
}

/// True where an attempt may cost tokens though its answer is of no use: it broke after it was begun. What is refused,
/// and what never arrived, is not charged.
pub(super) fn may_be_charged(result: &AttemptResult) -> bool {
    match result {
        AttemptResult::Response(response) => response.status < 400,
        AttemptResult::Failure(failure) => match failure.kind {
            FailureKind::Connect | FailureKind::Tls | FailureKind::NotRecorded => false,
            FailureKind::Stopped => true,
            FailureKind::Reset | FailureKind::Timeout | FailureKind::Protocol | FailureKind::TooLarge => true,
        },
    }
}

fn should_retry(kind: FailureKind, used: u32) -> bool {
    match kind {
        FailureKind::Reset => true,
        FailureKind::Connect => used < MAX_CONNECT_RETRIES,
        FailureKind::Tls
        | FailureKind::Timeout
        | FailureKind::Protocol
        | FailureKind::TooLarge
        | FailureKind::Stopped
        | FailureKind::NotRecorded => false,
    }
}

/// The least wait before a response's request is sent again: what the server asks for, or nothing. `None` when the
/// response is an answer that stands.
pub(super) fn min_retry_delay(response: &Response, now: Timestamp) -> Option<Duration> {
    let broken = response.cut.as_ref().is_some_and(|cut| cut.kind == FailureKind::Reset);
    match response.status {
        429 | 500 | 502 | 503 | 504 | 529 => {}
        200..=299 if broken => return Some(Duration::ZERO),
        _ => return None,
    }
    // Some servers say outright that another try is useless; official SDKs obey it.
    if response.header("x-should-retry") == Some("false") {
        return None;
    }
    let milliseconds = response.header("retry-after-ms").and_then(|ms| parse_duration(ms, 0.001));
    Some(milliseconds.or_else(|| parse_retry_after(response.header("retry-after")?, now)).unwrap_or(Duration::ZERO))
}

/// `retry-after` as seconds or as an HTTP date. Anything else is as good as absent.
fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    parse_duration(value, 1.0).or_else(|| {
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
        Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO))
    })
}

/// A number of units that last `unit` seconds. One that is too long for a [`Duration`] is the longest there is.
fn parse_duration(number: &str, unit: f64) -> Option<Duration> {
    let number: f64 = number.trim().parse().ok()?;
    (number >= 0.0).then(|| Duration::try_from_secs_f64(number * unit).unwrap_or(Duration::MAX))
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
    fn only_what_is_not_the_requests_fault_is_tried_again() {
        for status in [429, 500, 502, 503, 504, 529] {
            assert!(first_retry_delay(&response_result(status, &[])).is_some(), "{status}");
        }
        for status in [200, 301, 307, 400, 401, 403, 404, 408, 409, 413, 422, 501, 505] {
            assert!(first_retry_delay(&response_result(status, &[])).is_none(), "{status}");
        }
        for (kind, again) in [
            (FailureKind::Connect, true),
            (FailureKind::Reset, true),
            (FailureKind::Timeout, false),
            (FailureKind::Tls, false),
            (FailureKind::TooLarge, false),
            (FailureKind::Protocol, false),
        ] {
            assert_eq!(first_retry_delay(&failure_result(kind)).is_some(), again, "{kind:?}");
            assert_eq!(
                first_retry_delay(&truncated_result(200, kind)).is_some(),
                kind == FailureKind::Reset,
                "{kind:?} in a body"
            );
            assert!(first_retry_delay(&truncated_result(400, kind)).is_none(), "a refusal is a refusal, {kind:?}");
        }
        assert!(first_retry_delay(&response_result(529, &[("x-should-retry", "false")])).is_none());
    }

    #[test]
    fn the_servers_wait_is_kept() {
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
    fn a_wait_that_says_nothing_leaves_the_backoff() {
        for value in ["0", "-5", "NaN", "soon", "Fri, 06 Nov 2026 08:49:07 GMT", ""] {
            let wait = first_retry_delay(&response_result(503, &[("retry-after", value)])).unwrap();
            assert!(wait >= Duration::from_millis(1) && wait <= Duration::from_millis(2), "{value}: {wait:?}");
        }
    }

    #[test]
    fn too_long_a_wait_ends_the_retrying() {
        for value in ["121", "1e300", "inf", "99999999999999999999", "Fri, 06 Nov 2026 09:49:37 GMT"] {
            assert!(first_retry_delay(&response_result(429, &[("retry-after", value)])).is_none(), "{value}");
        }
    }

    #[test]
    fn waits_grow_stay_bounded_and_end() {
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
    fn a_connection_that_cannot_be_made_is_given_up_sooner() {
        let mut retries = RetryPolicy::new(9, Duration::from_millis(1));
        let tries =
            std::iter::from_fn(|| retries.next_wait(&failure_result(FailureKind::Connect), fixed_now())).count();
        assert_eq!(tries, MAX_CONNECT_RETRIES as usize);
    }

    #[test]
    fn no_retries_are_no_retries() {
        assert!(
            RetryPolicy::new(0, Duration::from_millis(1)).next_wait(&response_result(529, &[]), fixed_now()).is_none()
        );
    }
}
