//! The estimate made before a run, as part of results and of plans: [`PlanEstimate`].
//!
//! Numbers and their wording only. This module must not know how the numbers are computed.

use serde::{Deserialize, Serialize};

use crate::results::format;

/// How many requests and tokens a run needs, what they cost and how long they take.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlanEstimate {
    /// Requests, without retries.
    pub requests: RequestRange,
    /// Input tokens.
    pub input_tokens: TokenRange,
    /// Output tokens.
    pub output_tokens: TokenRange,
    /// Cost in US dollars; absent if the prices are unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<AmountRange>,
    /// Seconds, at the rate limits and with an assumed time for each response.
    pub seconds: AmountRange,
}

/// A number of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RequestRange {
    /// The minimum for a run that completes.
    pub min: u64,
    /// The expected number; absent if there is no estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// The maximum for any responses.
    pub max: u64,
}

/// A number of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TokenRange {
    /// The expected number; absent if there is no estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// The maximum for any responses.
    pub max: u64,
}

/// An amount of money or time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AmountRange {
    /// The expected amount; absent if there is no estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// The maximum amount.
    pub max: f64,
}

/// The sum, if both numbers are known.
fn add_known<T: std::ops::Add<Output = T>>(a: Option<T>, b: Option<T>) -> Option<T> {
    Some(a? + b?)
}

impl PlanEstimate {
    /// The sum of two plans that run in parallel. The expected time is the longer one; the maximum
    /// time is the sum, since they may have to run one after the other.
    pub fn add_parallel(&self, other: &Self) -> Self {
        let tokens = |a: TokenRange, b: TokenRange| TokenRange {
            expected: add_known(a.expected, b.expected),
            max: a.max.saturating_add(b.max),
        };
        let (a, b) = (self, other);
        Self {
            requests: RequestRange {
                min: a.requests.min.saturating_add(b.requests.min),
                expected: add_known(a.requests.expected, b.requests.expected),
                max: a.requests.max.saturating_add(b.requests.max),
            },
            input_tokens: tokens(a.input_tokens, b.input_tokens),
            output_tokens: tokens(a.output_tokens, b.output_tokens),
            cost_usd: a
                .cost_usd
                .zip(b.cost_usd)
                .map(|(a, b)| AmountRange { expected: add_known(a.expected, b.expected), max: a.max + b.max }),
            seconds: AmountRange {
                expected: a.seconds.expected.zip(b.seconds.expected).map(|(a, b)| a.max(b)),
                max: a.seconds.max + b.seconds.max,
            },
        }
    }

    /// The sum of two plans that run one after the other.
    pub fn add_sequential(&self, other: &Self) -> Self {
        let expected = add_known(self.seconds.expected, other.seconds.expected);
        let sum = self.add_parallel(other);
        Self { seconds: AmountRange { expected, ..sum.seconds }, ..sum }
    }

    /// The sum of `n` runs of this plan, one after the other.
    pub fn repeat(&self, n: u64) -> Self {
        let factor = n as f64;
        let amount =
            |range: AmountRange| AmountRange { expected: range.expected.map(|n| n * factor), max: range.max * factor };
        let count = |count: u64| count.saturating_mul(n);
        let tokens = |range: TokenRange| TokenRange { expected: range.expected.map(count), max: count(range.max) };
        let requests = self.requests;
        Self {
            requests: RequestRange {
                min: count(requests.min),
                expected: requests.expected.map(count),
                max: count(requests.max),
            },
            input_tokens: tokens(self.input_tokens),
            output_tokens: tokens(self.output_tokens),
            cost_usd: self.cost_usd.map(amount),
            seconds: amount(self.seconds),
        }
    }

    /// The estimate in words, without the time.
    pub fn describe(&self) -> String {
        let mut parts = vec![
            self.requests.describe(),
            format!("{} in", self.input_tokens.describe()),
            format!("{} out", self.output_tokens.describe()),
        ];
        parts.extend(self.cost_usd.map(AmountRange::describe_dollars));
        parts.join(", ")
    }
}

impl RequestRange {
    /// `about 420 requests (98 to 2,310)`
    pub fn describe(self) -> String {
        let (min, max) = (format::with_thousands(self.min), format::with_thousands(self.max));
        match self.expected {
            Some(n) => format!("about {} ({min} to {max})", format::plural(n, "request", "requests")),
            None => format!("{min} to {max} requests"),
        }
    }
}

impl TokenRange {
    /// `about 120,000 tokens (at most 2,000,000)`
    pub fn describe(self) -> String {
        let max = format::with_thousands(self.max);
        match self.expected {
            Some(n) => format!("about {} tokens (at most {max})", format::with_thousands(n)),
            None => format!("at most {max} tokens"),
        }
    }
}

impl AmountRange {
    /// `about $0.0500 (at most $1.20)`
    pub fn describe_dollars(self) -> String {
        self.describe_with(format::dollars)
    }

    /// `about 2 min 5 s (at most 1 h 2 min)`
    pub fn describe_duration(self) -> String {
        self.describe_with(|seconds| format::duration((seconds * 1e3) as u64))
    }

    fn describe_with(self, format_amount: impl Fn(f64) -> String) -> String {
        match self.expected {
            Some(n) => format!("about {} (at most {})", format_amount(n), format_amount(self.max)),
            None => format!("at most {}", format_amount(self.max)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make_estimate(expected: Option<u64>) -> PlanEstimate {
        PlanEstimate {
            requests: RequestRange { min: 98, expected, max: 2310 },
            input_tokens: TokenRange { expected, max: 2_000_000 },
            output_tokens: TokenRange { expected, max: 5000 },
            cost_usd: Some(AmountRange { expected: expected.map(|_| 0.05), max: 1.2 }),
            seconds: AmountRange { expected: expected.map(|_| 125.0), max: 3720.0 },
        }
    }

    #[test]
    fn a_sum_is_unknown_if_one_part_is_unknown() {
        let sum = make_estimate(Some(1)).add_parallel(&make_estimate(Some(2)));
        assert_eq!(sum.requests, RequestRange { min: 196, expected: Some(3), max: 4620 });
        assert_eq!(sum.seconds, AmountRange { expected: Some(125.0), max: 7440.0 });
        let sum = make_estimate(Some(1)).add_parallel(&PlanEstimate { cost_usd: None, ..make_estimate(None) });
        assert_eq!((sum.requests.expected, sum.cost_usd), (None, None));
    }
}
