//! What was planned before a run: a part of the results, and of plans. Numbers only; it must not know how they come about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::common::format;
use crate::results::model::Totals;

/// What requests may cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    /// Requests, without retries.
    pub requests: Span,
    /// Input tokens.
    pub input_tokens: Ceiling,
    /// Output tokens.
    pub output_tokens: Ceiling,
    /// US dollars; absent where no prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Amount>,
    /// Seconds, at the rate limits and an assumed time for each answer.
    pub seconds: Amount,
}

/// A number of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
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
pub struct Ceiling {
    /// What a simulation of the claims takes; absent where none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// The most that can be, whatever is answered.
    pub max: u64,
}

/// An amount of money or time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Amount {
    /// For what is expected; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// For the most that can be.
    pub max: f64,
}

/// Two numbers, where both are known.
fn both<T: std::ops::Add<Output = T>>(a: Option<T>, b: Option<T>) -> Option<T> {
    Some(a? + b?)
}

impl Planned {
    /// What two plans amount to. Their times are those of the longer one where all goes as expected, since they go side
    /// by side, and one after the other at most.
    pub fn and(&self, other: &Self) -> Self {
        let tokens = |a: Ceiling, b: Ceiling| Ceiling {
            expected: both(a.expected, b.expected),
            max: a.max.saturating_add(b.max),
        };
        let (a, b) = (self, other);
        Self {
            requests: Span {
                min: a.requests.min.saturating_add(b.requests.min),
                expected: both(a.requests.expected, b.requests.expected),
                max: a.requests.max.saturating_add(b.requests.max),
            },
            input_tokens: tokens(a.input_tokens, b.input_tokens),
            output_tokens: tokens(a.output_tokens, b.output_tokens),
            cost_usd: a
                .cost_usd
                .zip(b.cost_usd)
                .map(|(a, b)| Amount { expected: both(a.expected, b.expected), max: a.max + b.max }),
            seconds: Amount {
                expected: a.seconds.expected.zip(b.seconds.expected).map(|(a, b)| a.max(b)),
                max: a.seconds.max + b.seconds.max,
            },
        }
    }

    /// What two plans amount to, one after the other.
    pub fn then(&self, other: &Self) -> Self {
        let expected = both(self.seconds.expected, other.seconds.expected);
        let sum = self.and(other);
        Self { seconds: Amount { expected, ..sum.seconds }, ..sum }
    }

    /// What so many of these amount to, one after the other.
    pub fn times(&self, n: u64) -> Self {
        let factor = n as f64;
        let amount = |a: Amount| Amount { expected: a.expected.map(|e| e * factor), max: a.max * factor };
        let count = |c: u64| c.saturating_mul(n);
        let tokens = |c: Ceiling| Ceiling { expected: c.expected.map(count), max: count(c.max) };
        let requests = self.requests;
        Self {
            requests: Span {
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
    pub fn words(&self) -> String {
        let mut parts = vec![
            self.requests.words(),
            format!("{} in", self.input_tokens.words()),
            format!("{} out", self.output_tokens.words()),
        ];
        parts.extend(self.cost_usd.map(Amount::dollars));
        parts.join(", ")
    }
}

impl Span {
    /// `about 420 requests (98 to 2,310)`
    pub fn words(self) -> String {
        let (min, max) = (format::count(self.min), format::count(self.max));
        match self.expected {
            Some(n) => format!("about {} ({min} to {max})", format::counted(n, "request", "requests")),
            None => format!("{min} to {max} requests"),
        }
    }
}

impl Ceiling {
    /// `about 120,000 tokens (at most 2,000,000)`
    pub fn words(self) -> String {
        let max = format::count(self.max);
        match self.expected {
            Some(n) => format!("about {} tokens (at most {max})", format::count(n)),
            None => format!("at most {max} tokens"),
        }
    }
}

impl Amount {
    /// `about $0.0500 (at most $1.20)`
    pub fn dollars(self) -> String {
        self.words(format::dollars)
    }

    /// `about 2 min 5 s (at most 1 h 2 min)`
    pub fn time(self) -> String {
        self.words(|seconds| format::duration((seconds * 1e3) as u64))
    }

    fn words(self, word: impl Fn(f64) -> String) -> String {
        match self.expected {
            Some(n) => format!("about {} (at most {})", word(n), word(self.max)),
            None => format!("at most {}", word(self.max)),
        }
    }
}

/// What was planned, beside what came of it.
pub(crate) fn beside(totals: &Totals) -> Option<String> {
    let told = beside_but_time(totals)?;
    Some(format!("{told}, {}", format::duration(totals.wall_ms)))
}

/// The same where the time that it took stands by itself.
pub(crate) fn beside_but_time(totals: &Totals) -> Option<String> {
    let planned = totals.planned.as_ref()?;
    let mut actual = vec![
        format::counted(totals.requests, "request", "requests"),
        format!("{} tokens in", format::count(totals.input_tokens)),
        format!("{} tokens out", format::count(totals.output_tokens)),
    ];
    actual.extend(totals.cost_usd.map(format::dollars));
    Some(format!("planned {}, {} / actual {}", planned.words(), planned.seconds.time(), actual.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(expected: Option<u64>) -> Planned {
        Planned {
            requests: Span { min: 98, expected, max: 2310 },
            input_tokens: Ceiling { expected, max: 2_000_000 },
            output_tokens: Ceiling { expected, max: 5000 },
            cost_usd: Some(Amount { expected: expected.map(|_| 0.05), max: 1.2 }),
            seconds: Amount { expected: expected.map(|_| 125.0), max: 3720.0 },
        }
    }

    #[test]
    fn what_was_planned_stands_beside_what_came_of_it() {
        let mut totals =
            Totals { requests: 431, input_tokens: 9, cost_usd: Some(0.04), wall_ms: 2000, ..Totals::default() };
        assert_eq!(beside(&totals), None);
        totals.planned = Some(planned(Some(420)));
        assert_eq!(
            beside(&totals).as_deref(),
            Some(
                "planned about 420 requests (98 to 2,310), about 420 tokens (at most 2,000,000) in, about 420 tokens (at \
                 most 5,000) out, about $0.0500 (at most $1.20), about 2 min 5 s (at most 1 h 2 min) / actual 431 \
                 requests, 9 tokens in, 0 tokens out, $0.0400, 2.0 s"
            )
        );
        totals.planned = Some(planned(None));
        assert!(beside(&totals).unwrap().starts_with("planned 98 to 2,310 requests, at most 2,000,000 tokens in"));
    }

    #[test]
    fn plans_add_up_and_what_one_does_not_know_neither_does_the_sum() {
        let sum = planned(Some(1)).and(&planned(Some(2)));
        assert_eq!(sum.requests, Span { min: 196, expected: Some(3), max: 4620 });
        assert_eq!(sum.seconds, Amount { expected: Some(125.0), max: 7440.0 });
        let sum = planned(Some(1)).and(&Planned { cost_usd: None, ..planned(None) });
        assert_eq!((sum.requests.expected, sum.cost_usd), (None, None));
    }
}
