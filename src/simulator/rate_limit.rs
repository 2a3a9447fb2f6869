//! Limits as providers have them: so many requests and so many tokens of prompts in a while, told of in headers, and
//! refused with the time to wait where they are used up.
//!
//! Each limit is a bucket that is full at first and fills up evenly. Time comes in as an argument.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};

use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::SimulatorImpairments;

/// The limits of a server, and what is left of them.
#[derive(Debug)]
pub(super) struct SimulatedRateLimits {
    buckets: Mutex<Vec<QuotaBucket>>,
    /// The time in which an empty bucket is filled.
    window: Duration,
    counts: Mutex<RequestCounts>,
}

/// How many requests came, and how many of them were turned away for a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// All requests.
    pub total: u64,
    /// Those that were refused because a limit was used up.
    pub throttled: u64,
}

#[derive(Debug)]
struct QuotaBucket {
    /// `requests` or `tokens`, as headers have it.
    kind: &'static str,
    limit: f64,
    remaining: f64,
    updated_at: Instant,
}

impl QuotaBucket {
    fn refill(&mut self, now: Instant, window: Duration) {
        let gone = now.saturating_duration_since(self.updated_at).as_secs_f64();
        self.remaining = (self.remaining + self.limit * gone / window.as_secs_f64()).min(self.limit);
        self.updated_at = now;
    }

    /// The time until so much is there.
    fn time_until(&self, wanted: f64, window: Duration) -> Duration {
        window.mul_f64((wanted - self.remaining).max(0.0) / self.limit)
    }
}

/// What is told of the limits with an answer.
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
    pub fn new(knobs: &SimulatorImpairments, now: Instant) -> Self {
        let kinds = [("requests", knobs.limit_requests), ("tokens", knobs.limit_tokens)];
        let bucket = |(kind, limit): (&'static str, Option<u32>)| {
            let limit = f64::from(limit?.max(1));
            Some(QuotaBucket { kind, limit, remaining: limit, updated_at: now })
        };
        let buckets = Mutex::new(kinds.into_iter().filter_map(bucket).collect());
        Self { buckets, window: knobs.limit_window.max(Duration::from_millis(1)), counts: Mutex::default() }
    }

    /// How many came, and how many were turned away.
    pub fn counts(&self) -> RequestCounts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request with a body of so many bytes: what is left then, and the refusal where a limit is used up.
    pub fn admit_request(
        &self,
        bytes: usize,
        now: Instant,
        date: Timestamp,
    ) -> (RateLimitHeaders, Result<(), ApiError>) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.iter_mut().for_each(|bucket| bucket.refill(now, self.window));
        // What is larger than the whole limit takes all of it.
        let cost =
            |bucket: &QuotaBucket| if bucket.kind == "tokens" { bytes as f64 / 4.0 } else { 1.0 }.min(bucket.limit);
        let short = buckets.iter().map(|bucket| bucket.time_until(cost(bucket), self.window)).max().unwrap_or_default();
        let refused = !short.is_zero();
        if !refused {
            buckets.iter_mut().for_each(|bucket| bucket.remaining -= cost(bucket));
        }
        let mut told: Vec<(String, String)> = Vec::new();
        for bucket in buckets.iter() {
            let full = SignedDuration::try_from(bucket.time_until(bucket.limit, self.window)).unwrap_or_default();
            let facts = [
                ("limit", bucket.limit.to_string()),
                ("remaining", bucket.remaining.floor().to_string()),
                ("reset", date.saturating_add(full).unwrap_or(date).to_string()),
            ];
            told.extend(facts.map(|(what, value)| (format!("anthropic-ratelimit-{}-{what}", bucket.kind), value)));
        }
        if refused {
            told.push(("retry-after".to_owned(), short.as_secs_f64().ceil().to_string()));
            told.push(("retry-after-ms".to_owned(), (short.as_secs_f64() * 1e3).ceil().to_string()));
        }
        drop(buckets);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total += 1;
        counts.throttled += u64::from(refused);
        let refusal = || ApiError::new(ApiErrorKind::RateLimit, "this request would exceed your account's rate limit");
        (RateLimitHeaders(told), if refused { Err(refusal()) } else { Ok(()) })
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

    fn header_value(told: &RateLimitHeaders, name: &str) -> Option<String> {
        told.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_bucket_empties_refuses_with_the_wait_and_fills_up_evenly() {
        let (now, date) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let quota = new_limits(Some(3), None, now);
        for left in ["2", "1", "0"] {
            let (told, taken) = quota.admit_request(10, now, date);
            assert!(taken.is_ok());
            assert_eq!(header_value(&told, "anthropic-ratelimit-requests-remaining").as_deref(), Some(left));
        }
        let (told, taken) = quota.admit_request(10, now, date);
        assert_eq!(taken.unwrap_err().kind, ApiErrorKind::RateLimit);
        assert_eq!(header_value(&told, "retry-after").as_deref(), Some("20"));
        assert_eq!(header_value(&told, "retry-after-ms").as_deref(), Some("20000"));
        assert_eq!(header_value(&told, "anthropic-ratelimit-requests-reset").as_deref(), Some("1970-01-01T00:01:00Z"));
        assert!(quota.admit_request(10, now + Duration::from_secs(21), date).1.is_ok());
        assert!(quota.admit_request(10, now + Duration::from_secs(22), date).1.is_err());
        assert_eq!(quota.counts(), RequestCounts { total: 6, throttled: 2 });
    }

    #[test]
    fn tokens_are_those_of_the_prompt_and_one_that_is_too_long_takes_all() {
        let (now, date) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let quota = new_limits(None, Some(100), now);
        assert!(quota.admit_request(4 * 60, now, date).1.is_ok());
        assert!(quota.admit_request(4 * 60, now, date).1.is_err());
        assert!(quota.admit_request(4 * 1000, now + Duration::from_secs(60), date).1.is_ok());
    }

    #[test]
    fn without_limits_nothing_is_told_or_refused() {
        let (told, taken) =
            new_limits(None, None, Instant::now()).admit_request(10, Instant::now(), Timestamp::UNIX_EPOCH);
        assert!(taken.is_ok() && told == RateLimitHeaders::default());
    }
}
