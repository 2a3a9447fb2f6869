//! What was planned before a run: a part of the results, and of plans. Numbers only; it must not know how they come about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::common::format;
use crate::results::model::RunTotals;

/// What requests may cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanEstimate {
    /// Requests, without retries.
    pub requests: RequestRange,
    /// Input tokens.
    pub input_tokens: TokenRange,
    /// Output tokens.
    pub output_tokens: TokenRange,
    /// US dollars; absent where no prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<AmountRange>,
    /// Seconds, at the rate limits and an assumed time for each answer.
    pub seconds: AmountRange,
}

/// A number of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestRange {
    /// The fewest that a run can send which is not given up.
    pub min: u64,
    /// What a simulation of the claims takes; absent where none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// The most that a run can send, whatever is answered.
    pub max: u64,
}

/// A number of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenRange {
    /// What a simulation of the claims takes; absent where none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// The most that can be, whatever is answered.
    pub max: u64,
}

/// An amount of money or time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AmountRange {
    /// For what is expected; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// For the most that can be.
    pub max: f64,
}

/// Two numbers, where both are known.
fn add_known<T: std::ops::Add<Output = T>>(a: Option<T>, b: Option<T>) -> Option<T> {
    Some(a? + b?)
}

impl PlanEstimate {
    /// What two plans amount to. Their times are those of the longer one where all goes as expected, since they go side
    /// by side, and one after the other at most.
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

    /// What two plans amount to, one after the other.
    pub fn add_sequential(&self, other: &Self) -> Self {
        let expected = add_known(self.seconds.expected, other.seconds.expected);
        let sum = self.add_parallel(other);
        Self { seconds: AmountRange { expected, ..sum.seconds }, ..sum }
    }

    /// What so many of these amount to, one after the other.
    pub fn repeat(&self, n: u64) -> Self {
        let factor = n as f64;
        let amount = |a: AmountRange| AmountRange { expected: a.expected.map(|e| e * factor), max: a.max * factor };
        let count = |c: u64| c.saturating_mul(n);
        let tokens = |c: TokenRange| TokenRange { expected: c.expected.map(count), max: count(c.max) };
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

    /// In words, without the time.
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

    fn describe_with(self, word: impl Fn(f64) -> String) -> String {
        match self.expected {
            Some(n) => format!("about {} (at most {})", word(n), word(self.max)),
            None => format!("at most {}", word(self.max)),
        }
    }
}

/// What was planned, beside what came of it.
pub(crate) fn compare_with_actual(totals: &RunTotals) -> Option<String> {
    let told = compare_with_actual_except_time(totals)?;
    Some(format!("{told}, {}", format::duration(totals.wall_ms)))
}

/// The same where the time that it took stands by itself.
pub(crate) fn compare_with_actual_except_time(totals: &RunTotals) -> Option<String> {
    let planned = totals.planned.as_ref()?;
    let mut actual = vec![
        format::plural(totals.requests, "request", "requests"),
        format!("{} tokens in", format::with_thousands(totals.input_tokens)),
        format!("{} tokens out", format::with_thousands(totals.output_tokens)),
    ];
    actual.extend(totals.cost_usd.map(format::dollars));
    Some(format!(
        "planned {}, {} / actual {}",
        planned.describe(),
        planned.seconds.describe_duration(),
        actual.join(", ")
    ))
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
    fn what_was_planned_stands_beside_what_came_of_it() {
        let mut totals =
            RunTotals { requests: 431, input_tokens: 9, cost_usd: Some(0.04), wall_ms: 2000, ..RunTotals::default() };
        assert_eq!(compare_with_actual(&totals), None);
        totals.planned = Some(make_estimate(Some(420)));
        assert_eq!(
            compare_with_actual(&totals).as_deref(),
            Some(
                "planned about 420 requests (98 to 2,310), about 420 tokens (at most 2,000,000) in, about 420 tokens (at \
                 most 5,000) out, about $0.0500 (at most $1.20), about 2 min 5 s (at most 1 h 2 min) / actual 431 \
                 requests, 9 tokens in, 0 tokens out, $0.0400, 2.0 s"
            )
        );
        totals.planned = Some(make_estimate(None));
        assert!(
            compare_with_actual(&totals)
                .unwrap()
                .starts_with("planned 98 to 2,310 requests, at most 2,000,000 tokens in")
        );
    }

    #[test]
    fn plans_add_up_and_what_one_does_not_know_neither_does_the_sum() {
        let sum = make_estimate(Some(1)).add_parallel(&make_estimate(Some(2)));
        assert_eq!(sum.requests, RequestRange { min: 196, expected: Some(3), max: 4620 });
        assert_eq!(sum.seconds, AmountRange { expected: Some(125.0), max: 7440.0 });
        let sum = make_estimate(Some(1)).add_parallel(&PlanEstimate { cost_usd: None, ..make_estimate(None) });
        assert_eq!((sum.requests.expected, sum.cost_usd), (None, None));
    }
}
