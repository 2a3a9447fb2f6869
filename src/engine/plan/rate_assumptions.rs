//! [`RateAssumptions`]: how long a number of requests takes.

use std::time::Duration;

use crate::client::PerMinuteLimits;

/// How fast requests are sent and responses arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RateAssumptions {
    /// The rate limits.
    pub rates: PerMinuteLimits,
    /// The number of requests in flight.
    pub concurrency: usize,
    /// The time until a response is complete.
    pub response_time: Duration,
    /// True if requests that rows probably need are sent early.
    pub eager: bool,
}

impl RateAssumptions {
    /// The seconds that `requests` requests with `tokens` tokens take, if the longest chain of
    /// requests that must follow each other has the length `chain`.
    pub fn estimate_seconds(self, requests: u64, tokens: u64, chain: u64) -> f64 {
        let at_rate =
            |n: u64, per_minute: Option<u32>| per_minute.map_or(0.0, |rate| n as f64 * 60.0 / f64::from(rate.max(1)));
        let response_seconds = self.response_time.as_secs_f64();
        [
            at_rate(requests, self.rates.requests),
            at_rate(tokens, self.rates.tokens),
            requests as f64 * response_seconds / self.concurrency.max(1) as f64,
            chain as f64 * response_seconds,
        ]
        .into_iter()
        .fold(0.0, f64::max)
    }
}
