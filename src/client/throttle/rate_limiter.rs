//! The rates that a provider allows: attempts a minute and tokens a minute.
//!
//! Both are spread over the minute rather than let through at once: a limiter that starts with a full minute's budget
//! sends up to twice the allowance in its first minute, which is what providers answer with 429.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde_json::Value;

use crate::client::error::ClientError;

/// No answer of an experiment is longer than so many tokens.
const MAX_ESTIMATED_RESPONSE_TOKENS: u64 = 8192;

const MINUTE: Duration = Duration::from_secs(60);

/// Tokens are let through in portions of at most this part of a minute's allowance.
const PORTIONS_PER_MINUTE: u32 = 12;

/// What a provider allows in a minute; `None` bounds nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerMinuteLimits {
    /// Attempts, spread evenly.
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
    /// The tokens in portions that the limiter takes. A request that alone is more than a minute allows is one minute's
    /// worth: more would not make the provider accept it, and an absurd `max_tokens` must not stop the run.
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
    pub(crate) fn new(rates: PerMinuteLimits) -> Result<Self, ClientError> {
        let requests =
            require_positive(rates.requests, "the limit of requests a minute")?.map(|n| new_limiter(n, MIN_BURST));
        let tokens = require_positive(rates.tokens, "the limit of tokens a minute")?.map(|n| {
            let portion = NonZeroU32::new(n.get() / PORTIONS_PER_MINUTE).unwrap_or(MIN_BURST);
            TokenRateLimiter { limiter: new_limiter(n, portion), per_minute: n.get(), max_portion: portion }
        });
        Ok(Self { requests, tokens })
    }

    /// Waits until one more attempt with about this many tokens may be sent.
    pub(crate) async fn acquire(&self, tokens: u32) {
        if let Some(limit) = &self.tokens {
            for portion in limit.portions(tokens) {
                // A portion is never larger than the limiter's burst, so this cannot be refused.
                let _ = limit.limiter.until_n_ready(portion).await;
            }
        }
        if let Some(limiter) = &self.requests {
            limiter.until_ready().await;
        }
    }
}

const MIN_BURST: NonZeroU32 = NonZeroU32::MIN;

fn new_limiter(per_minute: NonZeroU32, burst: NonZeroU32) -> DefaultDirectRateLimiter {
    // A `u32` divides a minute into at least 13 ns, so the period is never zero.
    let quota = Quota::with_period(MINUTE / per_minute.get()).unwrap_or_else(|| Quota::per_minute(per_minute));
    RateLimiter::direct(quota.allow_burst(burst))
}

fn require_positive(limit: Option<u32>, name: &'static str) -> Result<Option<NonZeroU32>, ClientError> {
    limit.map(|n| NonZeroU32::new(n).ok_or(ClientError::ZeroLimit(name))).transpose()
}

/// About how many tokens a request costs: four bytes of it to a token, and an eighth of the answer it allows, since
/// most answers end long before their limit. A limit that is there to be refused is none.
pub fn estimate_tokens(body: &Value, body_bytes: usize) -> u32 {
    let answer = body.get("max_tokens").and_then(Value::as_u64).unwrap_or(0).min(MAX_ESTIMATED_RESPONSE_TOKENS) / 8;
    u32::try_from(body_bytes as u64 / 4 + answer).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_estimated_by_its_size_and_the_answer_it_allows() {
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
    fn a_limit_of_nothing_is_refused_by_name() {
        let error =
            |requests, tokens| AccountRateLimiter::new(PerMinuteLimits { requests, tokens }).err().unwrap().to_string();
        assert!(error(Some(0), None).contains("requests a minute must be more than zero"));
        assert!(error(None, Some(0)).contains("tokens a minute must be more than zero"));
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
    async fn tokens_are_spread_over_the_minute_beyond_the_first_portion() {
        let limits = AccountRateLimiter::new(PerMinuteLimits { requests: None, tokens: Some(60_000) }).unwrap();
        let started = Instant::now();
        limits.acquire(5_000).await;
        let first = started.elapsed();
        limits.acquire(200).await;
        let second = started.elapsed() - first;
        assert!(
            second >= Duration::from_millis(150),
            "a portion passes at once, then 1 token a ms: {first:?} {second:?}"
        );
    }

    #[test]
    fn a_request_is_taken_in_portions_and_never_as_more_than_a_minutes_worth() {
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
