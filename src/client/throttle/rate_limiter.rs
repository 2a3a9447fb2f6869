//! [`PerMinuteLimits`]: the configured limits of requests and tokens per minute.
//!
//! Requests are spread evenly over the minute. A limiter that starts with the budget of a full
//! minute would send up to twice the limit in its first minute, and providers reject that with 429.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::client::error::ClientError;

/// Longer than any response of an experiment.
const MAX_ESTIMATED_RESPONSE_TOKENS: u64 = 8192;

const MINUTE: Duration = Duration::from_secs(60);

/// Tokens pass in portions of at most this fraction of the limit per minute.
const PORTIONS_PER_MINUTE: u32 = 12;

/// The limits of a provider per minute. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerMinuteLimits {
    /// Attempts.
    pub requests: Option<u32>,
    /// Input and output tokens, as estimated before sending.
    pub tokens: Option<u32>,
}

/// The limiters of one account.
pub(crate) struct AccountRateLimiter {
    requests: Option<EvenLimiter>,
    tokens: Option<TokenRateLimiter>,
}

struct TokenRateLimiter {
    limiter: EvenLimiter,
    per_minute: u32,
    max_portion: NonZeroU32,
}

impl TokenRateLimiter {
    /// Divides the tokens into portions. A request above the limit per minute counts as one minute,
    /// because a longer wait does not help, and an absurd `max_tokens` must not block the run.
    fn portions(&self, tokens: u32) -> impl Iterator<Item = NonZeroU32> {
        let mut rest = tokens.min(self.per_minute);
        std::iter::from_fn(move || {
            let portion = NonZeroU32::new(rest.min(self.max_portion.get()))?;
            rest -= portion.get();
            Some(portion)
        })
    }
}

impl AccountRateLimiter {
    pub(crate) fn new(limits: PerMinuteLimits) -> Result<Self, ClientError> {
        let requests = require_positive(limits.requests, "the limit of requests per minute")?
            .map(|n| EvenLimiter::new(n, MIN_BURST));
        let tokens = require_positive(limits.tokens, "the limit of tokens per minute")?.map(|n| {
            let portion = NonZeroU32::new(n.get() / PORTIONS_PER_MINUTE).unwrap_or(MIN_BURST);
            TokenRateLimiter { limiter: EvenLimiter::new(n, portion), per_minute: n.get(), max_portion: portion }
        });
        Ok(Self { requests, tokens })
    }

    /// Waits until the limits allow one more attempt of about this many tokens.
    pub(crate) async fn acquire(&self, tokens: u32) {
        if let Some(tokens_limiter) = &self.tokens {
            for portion in tokens_limiter.portions(tokens) {
                tokens_limiter.limiter.acquire(portion).await;
            }
        }
        if let Some(limiter) = &self.requests {
            limiter.acquire(NonZeroU32::MIN).await;
        }
    }
}

const MIN_BURST: NonZeroU32 = NonZeroU32::MIN;

/// Lets cells pass at equal intervals, after a first burst. This is the generic cell rate algorithm.
struct EvenLimiter {
    interval: Duration,
    burst: u32,
    /// When the limiter has let everything pass that it has promised.
    next_free: Mutex<Option<Instant>>,
}

impl EvenLimiter {
    fn new(per_minute: NonZeroU32, burst: NonZeroU32) -> Self {
        Self { interval: MINUTE / per_minute.get(), burst: burst.get(), next_free: Mutex::new(None) }
    }

    /// Waits until these cells may pass. Callers pass in the order of their calls.
    async fn acquire(&self, cells: NonZeroU32) {
        let allowed_at = self.reserve(cells, Instant::now());
        sleep_until(allowed_at).await;
    }

    /// Returns when these cells may pass.
    fn reserve(&self, cells: NonZeroU32, now: Instant) -> Instant {
        let mut next_free = self.next_free.lock().unwrap_or_else(PoisonError::into_inner);
        let free_at = next_free.map_or(now, |at| at.max(now)) + self.interval * cells.get();
        *next_free = Some(free_at);
        free_at.checked_sub(self.interval * self.burst).map_or(now, |at| at.max(now))
    }
}

fn require_positive(limit: Option<u32>, name: &'static str) -> Result<Option<NonZeroU32>, ClientError> {
    limit.map(|n| NonZeroU32::new(n).ok_or(ClientError::ZeroLimit(name))).transpose()
}

/// Estimates the tokens of a request: one token per four bytes of its body, plus an eighth of
/// `max_tokens`, because most responses are much shorter than that. An absurd `max_tokens`, which a
/// row sends to be rejected, is capped.
pub fn estimate_tokens(body: &Value, body_bytes: usize) -> u32 {
    let response = body.get("max_tokens").and_then(Value::as_u64).unwrap_or(0).min(MAX_ESTIMATED_RESPONSE_TOKENS) / 8;
    u32::try_from(body_bytes as u64 / 4 + response).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_estimate_depends_on_the_body_size_and_max_tokens() {
        for (body, bytes, tokens) in [
            (json!({ "max_tokens": 800 }), 400, 200),
            (json!({ "max_tokens": "many" }), 400, 100),
            (json!({}), 3, 1),
            (json!({ "max_tokens": u64::MAX }), 400, 1124),
            (json!([]), 400, 100),
        ] {
            assert_eq!(estimate_tokens(&body, bytes), tokens, "{body}");
        }
    }

    #[test]
    fn a_limit_of_zero_is_rejected_by_name() {
        let error =
            |requests, tokens| AccountRateLimiter::new(PerMinuteLimits { requests, tokens }).err().unwrap().to_string();
        assert!(error(Some(0), None).contains("requests per minute must be greater than 0"));
        assert!(error(None, Some(0)).contains("tokens per minute must be greater than 0"));
    }

    /// How many milliseconds after the first call each portion of these tokens may pass.
    fn reserve_portions(limiter: &TokenRateLimiter, tokens: u32, now: Instant) -> Vec<u128> {
        let portions = limiter.portions(tokens);
        portions.map(|portion| (limiter.limiter.reserve(portion, now) - now).as_millis()).collect()
    }

    #[test]
    fn attempts_are_spread_over_the_minute() {
        let limits = PerMinuteLimits { requests: Some(1200), tokens: None };
        let limiter = AccountRateLimiter::new(limits).unwrap().requests.unwrap();
        let start = Instant::now();
        let wait_ms = |now| (limiter.reserve(NonZeroU32::MIN, now) - now).as_millis();
        assert_eq!([0; 4].map(|ms| wait_ms(start + Duration::from_millis(ms))), [0, 50, 100, 150]);
        // An idle time is not saved up.
        let later = start + Duration::from_secs(60);
        assert_eq!([0, 0, 20].map(|ms| wait_ms(later + Duration::from_millis(ms))), [0, 50, 80]);
    }

    #[test]
    fn tokens_after_the_first_portion_are_spread_over_the_minute() {
        let limits = PerMinuteLimits { requests: None, tokens: Some(60_000) };
        let limiter = AccountRateLimiter::new(limits).unwrap().tokens.unwrap();
        let start = Instant::now();
        // The first portion of 5,000 tokens passes immediately, then 1 token per ms.
        assert_eq!(reserve_portions(&limiter, 5_000, start), [0]);
        assert_eq!(reserve_portions(&limiter, 200, start), [200]);
        assert_eq!(reserve_portions(&limiter, 12_000, start), [5_200, 10_200, 12_200]);
    }

    #[test]
    fn a_request_is_divided_into_portions_of_at_most_one_minute() {
        for (per_minute, tokens, sum) in [(120, 25, 25), (120, 120, 120), (120, u32::MAX, 120), (5, 9, 5), (120, 0, 0)]
        {
            let limits = AccountRateLimiter::new(PerMinuteLimits { requests: None, tokens: Some(per_minute) }).unwrap();
            let limit = limits.tokens.as_ref().unwrap();
            let portions: Vec<u32> = limit.portions(tokens).map(NonZeroU32::get).collect();
            assert_eq!(portions.iter().sum::<u32>(), sum, "{per_minute} {tokens}");
            assert!(portions.iter().all(|p| *p <= limit.max_portion.get()), "{per_minute} {tokens}: {portions:?}");
        }
    }
}
