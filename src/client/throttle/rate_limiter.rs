//! [`PerMinuteLimits`]: the configured limits of requests and tokens per minute.
//!
//! Requests are spread evenly over the minute. A limiter that starts with the budget of a full
//! minute would send up to twice the limit in its first minute, and providers reject that with 429.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde_json::Value;

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
    requests: Option<DefaultDirectRateLimiter>,
    tokens: Option<TokenRateLimiter>,
}

struct TokenRateLimiter {
    limiter: DefaultDirectRateLimiter,
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
        let requests =
            require_positive(limits.requests, "the limit of requests per minute")?.map(|n| new_limiter(n, MIN_BURST));
        let tokens = require_positive(limits.tokens, "the limit of tokens per minute")?.map(|n| {
            let portion = NonZeroU32::new(n.get() / PORTIONS_PER_MINUTE).unwrap_or(MIN_BURST);
            TokenRateLimiter { limiter: new_limiter(n, portion), per_minute: n.get(), max_portion: portion }
        });
        Ok(Self { requests, tokens })
    }

    /// Waits until the limits allow one more attempt of about this many tokens.
    pub(crate) async fn acquire(&self, tokens: u32) {
        if let Some(tokens_limiter) = &self.tokens {
            for portion in tokens_limiter.portions(tokens) {
                // A portion is never larger than the burst of the limiter, so this cannot fail.
                let _ = tokens_limiter.limiter.until_n_ready(portion).await;
            }
        }
        if let Some(limiter) = &self.requests {
            limiter.until_ready().await;
        }
    }
}

const MIN_BURST: NonZeroU32 = NonZeroU32::MIN;

fn new_limiter(per_minute: NonZeroU32, burst: NonZeroU32) -> DefaultDirectRateLimiter {
    // A minute divided by a `u32` is at least 13 ns, so the period is never zero.
    let quota = Quota::with_period(MINUTE / per_minute.get()).unwrap_or_else(|| Quota::per_minute(per_minute));
    RateLimiter::direct(quota.allow_burst(burst))
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
    use std::time::Instant;

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

    #[tokio::test]
    async fn attempts_are_spread_over_the_minute() {
        let limits = AccountRateLimiter::new(PerMinuteLimits { requests: Some(1200), tokens: None }).unwrap();
        let started = Instant::now();
        for _ in 0..5 {
            limits.acquire(1).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(180), "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn tokens_after_the_first_portion_are_spread_over_the_minute() {
        let limits = AccountRateLimiter::new(PerMinuteLimits { requests: None, tokens: Some(60_000) }).unwrap();
        let started = Instant::now();
        limits.acquire(5_000).await;
        let first = started.elapsed();
        limits.acquire(200).await;
        let second = started.elapsed() - first;
        assert!(
            second >= Duration::from_millis(150),
            "the first portion passes immediately, then 1 token per ms: {first:?} {second:?}"
        );
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
