//! How far a run is, in numbers and in words. Pure: how long it goes on already comes in as an argument.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::common::format;

/// Fewer decided rows than this foretell nothing.
const MIN_DECIDED_ROWS: u64 = 5;

/// How far one run is, or several together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProgressCounts {
    /// Rows of the run.
    pub rows: u64,
    /// Of them decided, or given up.
    pub decided: u64,
    /// Requests that were answered or given up, without retries.
    pub requests: u64,
    /// Further attempts at requests that failed.
    pub retries: u64,
    /// Input tokens, as the endpoint's `usage` gives them.
    pub input_tokens: u64,
    /// Output tokens, as the endpoint's `usage` gives them.
    pub output_tokens: u64,
    /// US dollars, where the prices are known.
    pub cost_usd: Option<f64>,
}

impl ProgressCounts {
    /// Two runs together. What is not priced has no part in the cost.
    pub fn merge(self, other: Self) -> Self {
        Self {
            rows: self.rows.saturating_add(other.rows),
            decided: self.decided.saturating_add(other.decided),
            requests: self.requests.saturating_add(other.requests),
            retries: self.retries.saturating_add(other.retries),
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cost_usd: match (self.cost_usd, other.cost_usd) {
                (Some(a), Some(b)) => Some(a + b),
                (one, other) => one.or(other),
            },
        }
    }

    /// Milliseconds until the end, if the rows that are left take as long as those before. `None` while too few are
    /// decided to say so.
    pub fn remaining_ms(&self, elapsed_ms: u64) -> Option<u64> {
        let left = self.rows.saturating_sub(self.decided);
        (self.decided >= MIN_DECIDED_ROWS).then(|| (elapsed_ms as f64 * left as f64 / self.decided as f64) as u64)
    }

    /// Requests a minute so far.
    pub fn requests_per_minute(&self, elapsed_ms: u64) -> u64 {
        (self.requests as f64 * 60_000.0 / elapsed_ms.max(1) as f64).round() as u64
    }

    /// What it took so far, in words: `120 requests, 36,210 tokens, $0.02, about 1 min 20 s left, 190 a minute`.
    pub fn describe(&self, elapsed_ms: u64) -> String {
        let mut told = vec![format::plural(self.requests, "request", "requests")];
        if self.retries > 0 {
            told.push(format::plural(self.retries, "retry", "retries"));
        }
        told.push(format::plural(self.input_tokens.saturating_add(self.output_tokens), "token", "tokens"));
        told.extend(self.cost_usd.map(format::dollars));
        told.extend(self.remaining_ms(elapsed_ms).map(|ms| format!("about {} left", format::duration(ms))));
        if elapsed_ms >= 1000 {
            told.push(format!("{} a minute", format::with_thousands(self.requests_per_minute(elapsed_ms))));
        }
        told.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> ProgressCounts {
        ProgressCounts {
            rows: 100,
            decided: 40,
            requests: 120,
            input_tokens: 36_000,
            output_tokens: 210,
            ..ProgressCounts::default()
        }
    }

    #[test]
    fn what_is_left_is_foretold_by_what_is_done() {
        assert_eq!(progress().remaining_ms(60_000), Some(90_000));
        assert_eq!(ProgressCounts { decided: 100, ..progress() }.remaining_ms(60_000), Some(0));
        assert_eq!(
            ProgressCounts { decided: MIN_DECIDED_ROWS - 1, ..progress() }.remaining_ms(60_000),
            None,
            "too early to say"
        );
        assert_eq!(
            ProgressCounts { decided: 150, ..progress() }.remaining_ms(60_000),
            Some(0),
            "asked again, and so more than all"
        );
    }

    #[test]
    fn words_say_what_there_is_to_say() {
        assert_eq!(ProgressCounts::default().describe(0), "0 requests, 0 tokens");
        let told = "120 requests, 36,210 tokens, about 1 min 30 s left, 120 a minute";
        assert_eq!(progress().describe(60_000), told);
        let priced = ProgressCounts { cost_usd: Some(0.02), retries: 1, ..progress() };
        assert!(priced.describe(60_000).starts_with("120 requests, 1 retry, 36,210 tokens, $0.0200, "));
    }

    #[test]
    fn runs_add_up() {
        let both = progress().merge(ProgressCounts { cost_usd: Some(1.0), ..progress() });
        assert_eq!((both.rows, both.requests, both.cost_usd), (200, 240, Some(1.0)));
    }
}
