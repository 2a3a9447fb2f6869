//! Rate limits like those of providers: [`SimulatedRateLimits`] limits requests and prompt tokens,
//! reports them in headers, and rejects requests over a limit with the time to wait.
//!
//! Each limit is a bucket that starts full and refills evenly. The current time is an argument.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};

use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::SimulatorImpairments;

/// The limits of a server, and their remaining amounts.
#[derive(Debug)]
pub(super) struct SimulatedRateLimits {
    buckets: Mutex<Vec<QuotaBucket>>,
    /// The time in which an empty bucket fills up.
    window: Duration,
    counts: Mutex<RequestCounts>,
}

/// The number of requests, and of requests over a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// All requests.
    pub total: u64,
    /// Requests that were rejected because a limit was used up.
    pub throttled: u64,
}

#[derive(Debug)]
struct QuotaBucket {
    /// `requests` or `tokens`, as in header names.
    kind: &'static str,
    limit: f64,
    remaining: f64,
    updated_at: Instant,
}

impl QuotaBucket {
    fn refill(&mut self, now: Instant, window: Duration) {
        let elapsed = now.saturating_duration_since(self.updated_at).as_secs_f64();
        self.remaining = (self.remaining + self.limit * elapsed / window.as_secs_f64()).min(self.limit);
        self.updated_at = now;
    }

    /// The time until the bucket has this amount.
    fn time_until(&self, wanted: f64, window: Duration) -> Duration {
        window.mul_f64((wanted - self.remaining).max(0.0) / self.limit)
    }
}

/// The headers that report the limits with a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RateLimitHeaders(Vec<(String, String)>);

impl RateLimitHeaders {
    pub fn insert_into(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
    }
}

impl SimulatedRateLimits {
    pub fn new(impairments: &SimulatorImpairments, now: Instant) -> Self {
        let kinds = [("requests", impairments.limit_requests), ("tokens", impairments.limit_tokens)];
        let bucket = |(kind, limit): (&'static str, Option<u32>)| {
            let limit = f64::from(limit?.max(1));
            Some(QuotaBucket { kind, limit, remaining: limit, updated_at: now })
        };
        let buckets = Mutex::new(kinds.into_iter().filter_map(bucket).collect());
        Self { buckets, window: impairments.limit_window.max(Duration::from_millis(1)), counts: Mutex::default() }
    }

    /// The number of requests, and of requests over a limit.
    pub fn counts(&self) -> RequestCounts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request with a body of `bytes`: the headers for its response, and an error if a
    /// limit is used up.
    pub fn admit_request(
        &self,
        bytes: usize,
        now: Instant,
        date: Timestamp,
    ) -> (RateLimitHeaders, Result<(), ApiError>) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.iter_mut().for_each(|bucket| bucket.refill(now, self.window));
        // A request that is larger than the whole limit takes all of it.
        let cost =
            |bucket: &QuotaBucket| if bucket.kind == "tokens" { bytes as f64 / 4.0 } else { 1.0 }.min(bucket.limit);
        let delay = buckets.iter().map(|bucket| bucket.time_until(cost(bucket), self.window)).max().unwrap_or_default();
        let is_throttled = !delay.is_zero();
        if !is_throttled {
            buckets.iter_mut().for_each(|bucket| bucket.remaining -= cost(bucket));
        }
        let mut reported: Vec<(String, String)> = Vec::new();
        for bucket in buckets.iter() {
            let until_full = SignedDuration::try_from(bucket.time_until(bucket.limit, self.window)).unwrap_or_default();
            let values = [
                ("limit", bucket.limit.to_string()),
                ("remaining", bucket.remaining.floor().to_string()),
                ("reset", date.saturating_add(until_full).unwrap_or(date).to_string()),
            ];
            reported.extend(values.map(|(name, value)| (format!("anthropic-ratelimit-{}-{name}", bucket.kind), value)));
        }
        if is_throttled {
            reported.push(("retry-after".to_owned(), delay.as_secs_f64().ceil().to_string()));
            reported.push(("retry-after-ms".to_owned(), (delay.as_secs_f64() * 1e3).ceil().to_string()));
        }
        drop(buckets);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total += 1;
        counts.throttled += u64::from(is_throttled);
        let error = || ApiError::new(ApiErrorKind::RateLimit, "this request would exceed your account's rate limit");
        (RateLimitHeaders(reported), if is_throttled { Err(error()) } else { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_limits(requests: Option<u32>, tokens: Option<u32>, now: Instant) -> SimulatedRateLimits {
        let limit_window = Duration::from_secs(60);
        SimulatedRateLimits::new(
            &SimulatorImpairments {
                limit_requests: requests,
                limit_tokens: tokens,
                limit_window,
                ..SimulatorImpairments::default()
            },
            now,
        )
    }

    fn header_value(headers: &RateLimitHeaders, name: &str) -> Option<String> {
        headers.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn an_empty_bucket_rejects_with_the_wait_and_refills_evenly() {
        let (now, date) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let limits = new_limits(Some(3), None, now);
        for remaining in ["2", "1", "0"] {
            let (headers, admitted) = limits.admit_request(10, now, date);
            assert!(admitted.is_ok());
            assert_eq!(header_value(&headers, "anthropic-ratelimit-requests-remaining").as_deref(), Some(remaining));
        }
        let (headers, admitted) = limits.admit_request(10, now, date);
        assert_eq!(admitted.unwrap_err().kind, ApiErrorKind::RateLimit);
        assert_eq!(header_value(&headers, "retry-after").as_deref(), Some("20"));
        assert_eq!(header_value(&headers, "retry-after-ms").as_deref(), Some("20000"));
        assert_eq!(
            header_value(&headers, "anthropic-ratelimit-requests-reset").as_deref(),
            Some("1970-01-01T00:01:00Z")
        );
        assert!(limits.admit_request(10, now + Duration::from_secs(21), date).1.is_ok());
        assert!(limits.admit_request(10, now + Duration::from_secs(22), date).1.is_err());
        assert_eq!(limits.counts(), RequestCounts { total: 6, throttled: 2 });
    }

    #[test]
    fn prompt_tokens_are_limited_and_a_prompt_over_the_limit_takes_all() {
        let (now, date) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let limits = new_limits(None, Some(100), now);
        assert!(limits.admit_request(4 * 60, now, date).1.is_ok());
        assert!(limits.admit_request(4 * 60, now, date).1.is_err());
        assert!(limits.admit_request(4 * 1000, now + Duration::from_secs(60), date).1.is_ok());
    }

    #[test]
    fn without_limits_there_are_no_headers_and_no_rejections() {
        let (headers, admitted) =
            new_limits(None, None, Instant::now()).admit_request(10, Instant::now(), Timestamp::UNIX_EPOCH);
        assert!(admitted.is_ok() && headers == RateLimitHeaders::default());
    }
}
