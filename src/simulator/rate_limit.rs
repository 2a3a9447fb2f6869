//! Limits as providers have them: so many requests and so many tokens of prompts in a while, told of in headers, and
//! refused with the time to wait where they are used up.
//!
//! Each limit is a bucket that is full at first and fills up evenly. Time comes in as an argument.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};

use crate::simulator::api_error::{Kind, Refusal};
use crate::simulator::config::Knobs;

/// The limits of a server, and what is left of them.
#[derive(Debug)]
pub(super) struct Quota {
    buckets: Mutex<Vec<Bucket>>,
    /// The time in which an empty bucket is filled.
    window: Duration,
    counts: Mutex<Turned>,
}

/// How many requests came, and how many of them were turned away for a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turned {
    /// All requests.
    pub came: u64,
    /// Those that were refused because a limit was used up.
    pub away: u64,
}

#[derive(Debug)]
struct Bucket {
    /// `requests` or `tokens`, as headers have it.
    kind: &'static str,
    limit: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, now: Instant, window: Duration) {
        let gone = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + self.limit * gone / window.as_secs_f64()).min(self.limit);
        self.at = now;
    }

    /// The time until so much is there.
    fn until(&self, wanted: f64, window: Duration) -> Duration {
        window.mul_f64((wanted - self.left).max(0.0) / self.limit)
    }
}

/// What is told of the limits with an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told(Vec<(String, String)>);

impl Told {
    pub fn tell(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
    }
}

impl Quota {
    pub fn new(knobs: &Knobs, now: Instant) -> Self {
        let kinds = [("requests", knobs.limit_requests), ("tokens", knobs.limit_tokens)];
        let bucket = |(kind, limit): (&'static str, Option<u32>)| {
            let limit = f64::from(limit?.max(1));
            Some(Bucket { kind, limit, left: limit, at: now })
        };
        let buckets = Mutex::new(kinds.into_iter().filter_map(bucket).collect());
        Self { buckets, window: knobs.limit_window.max(Duration::from_millis(1)), counts: Mutex::default() }
    }

    /// How many came, and how many were turned away.
    pub fn turned(&self) -> Turned {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request with a body of so many bytes: what is left then, and the refusal where a limit is used up.
    pub fn take(&self, bytes: usize, now: Instant, date: Timestamp) -> (Told, Result<(), Refusal>) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.iter_mut().for_each(|bucket| bucket.fill(now, self.window));
        // What is larger than the whole limit takes all of it.
        let cost = |bucket: &Bucket| if bucket.kind == "tokens" { bytes as f64 / 4.0 } else { 1.0 }.min(bucket.limit);
        let short = buckets.iter().map(|bucket| bucket.until(cost(bucket), self.window)).max().unwrap_or_default();
        let refused = !short.is_zero();
        if !refused {
            buckets.iter_mut().for_each(|bucket| bucket.left -= cost(bucket));
        }
        let mut told: Vec<(String, String)> = Vec::new();
        for bucket in buckets.iter() {
            let full = SignedDuration::try_from(bucket.until(bucket.limit, self.window)).unwrap_or_default();
            let facts = [
                ("limit", bucket.limit.to_string()),
                ("remaining", bucket.left.floor().to_string()),
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
        counts.came += 1;
        counts.away += u64::from(refused);
        let refusal = || Refusal::new(Kind::RateLimit, "this request would exceed your account's rate limit");
        (Told(told), if refused { Err(refusal()) } else { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(requests: Option<u32>, tokens: Option<u32>, now: Instant) -> Quota {
        let limit_window = Duration::from_secs(60);
        Quota::new(&Knobs { limit_requests: requests, limit_tokens: tokens, limit_window, ..Knobs::default() }, now)
    }

    fn header(told: &Told, name: &str) -> Option<String> {
        told.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_bucket_empties_refuses_with_the_wait_and_fills_up_evenly() {
        let (now, date) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let quota = quota(Some(3), None, now);
        for left in ["2", "1", "0"] {
            let (told, taken) = quota.take(10, now, date);
            assert!(taken.is_ok());
            assert_eq!(header(&told, "anthropic-ratelimit-requests-remaining").as_deref(), Some(left));
        }
        let (told, taken) = quota.take(10, now, date);
        assert_eq!(taken.unwrap_err().kind, Kind::RateLimit);
        assert_eq!(header(&told, "retry-after").as_deref(), Some("20"));
        assert_eq!(header(&told, "retry-after-ms").as_deref(), Some("20000"));
        assert_eq!(header(&told, "anthropic-ratelimit-requests-reset").as_deref(), Some("1970-01-01T00:01:00Z"));
        assert!(quota.take(10, now + Duration::from_secs(21), date).1.is_ok());
        assert!(quota.take(10, now + Duration::from_secs(22), date).1.is_err());
        assert_eq!(quota.turned(), Turned { came: 6, away: 2 });
    }

    #[test]
    fn tokens_are_those_of_the_prompt_and_one_that_is_too_long_takes_all() {
        let (now, date) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let quota = quota(None, Some(100), now);
        assert!(quota.take(4 * 60, now, date).1.is_ok());
        assert!(quota.take(4 * 60, now, date).1.is_err());
        assert!(quota.take(4 * 1000, now + Duration::from_secs(60), date).1.is_ok());
    }

    #[test]
    fn without_limits_nothing_is_told_or_refused() {
        let (told, taken) = quota(None, None, Instant::now()).take(10, Instant::now(), Timestamp::UNIX_EPOCH);
        assert!(taken.is_ok() && told == Told::default());
    }
}
