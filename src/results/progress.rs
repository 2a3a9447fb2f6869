//! The progress of a run, in numbers and in words: [`ProgressCounts`].
//!
//! Pure: the elapsed time is an argument.

use serde::{Deserialize, Serialize};

use crate::results::format;

/// With fewer decided rows, the remaining time cannot be estimated.
const MIN_DECIDED_ROWS: u64 = 5;

/// The progress of one run, or of several runs together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProgressCounts {
    /// The rows of the run.
    pub rows: u64,
    /// The rows that are decided or given up.
    pub decided: u64,
    /// Requests with a response or a final failure, without retries.
    pub requests: u64,
    /// Retries of failed requests.
    pub retries: u64,
    /// Input tokens, as reported in `usage`.
    pub input_tokens: u64,
    /// Output tokens, as reported in `usage`.
    pub output_tokens: u64,
    /// Cost in US dollars; `null` if the prices are unknown.
    pub cost_usd: Option<f64>,
}

/// The sum of two costs. An unknown cost adds nothing.
pub(super) fn add_costs(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.zip(b).map(|(a, b)| a + b).or(a).or(b)
}

impl ProgressCounts {
    /// The sum of two runs. A run without prices adds nothing to the cost.
    pub fn merge(self, other: Self) -> Self {
        Self {
            rows: self.rows.saturating_add(other.rows),
            decided: self.decided.saturating_add(other.decided),
            requests: self.requests.saturating_add(other.requests),
            retries: self.retries.saturating_add(other.retries),
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cost_usd: add_costs(self.cost_usd, other.cost_usd),
        }
    }

    /// Milliseconds until the end, if the remaining rows take as long as the decided ones. `None` while too
    /// few rows are decided.
    pub fn remaining_ms(&self, elapsed_ms: u64) -> Option<u64> {
        let left = self.rows.saturating_sub(self.decided);
        (self.decided >= MIN_DECIDED_ROWS).then(|| (elapsed_ms as f64 * left as f64 / self.decided as f64) as u64)
    }

    /// Requests per minute so far.
    pub fn requests_per_minute(&self, elapsed_ms: u64) -> u64 {
        (self.requests as f64 * 60_000.0 / elapsed_ms.max(1) as f64).round() as u64
    }

    /// The progress in words: `120 requests, 36,210 tokens, $0.02, about 1 min 20 s left, 190 a minute`.
    pub fn describe(&self, elapsed_ms: u64) -> String {
        let mut facts = vec![format::plural(self.requests, "request", "requests")];
        if self.retries > 0 {
            facts.push(format::plural(self.retries, "retry", "retries"));
        }
        facts.push(format::plural(self.input_tokens.saturating_add(self.output_tokens), "token", "tokens"));
        facts.extend(self.cost_usd.map(format::dollars));
        facts.extend(self.remaining_ms(elapsed_ms).map(|ms| format!("about {} left", format::duration(ms))));
        if elapsed_ms >= 1000 {
            facts.push(format!("{} a minute", format::with_thousands(self.requests_per_minute(elapsed_ms))));
        }
        facts.join(", ")
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
    fn the_remaining_time_follows_from_the_decided_rows() {
        assert_eq!(progress().remaining_ms(60_000), Some(90_000));
        assert_eq!(ProgressCounts { decided: 100, ..progress() }.remaining_ms(60_000), Some(0));
        assert_eq!(
            ProgressCounts { decided: MIN_DECIDED_ROWS - 1, ..progress() }.remaining_ms(60_000),
            None,
            "too few decided rows"
        );
        assert_eq!(
            ProgressCounts { decided: 150, ..progress() }.remaining_ms(60_000),
            Some(0),
            "repeated rows count again"
        );
    }

    #[test]
    fn the_description_has_only_known_facts() {
        assert_eq!(ProgressCounts::default().describe(0), "0 requests, 0 tokens");
        let described = "120 requests, 36,210 tokens, about 1 min 30 s left, 120 a minute";
        assert_eq!(progress().describe(60_000), described);
        let priced = ProgressCounts { cost_usd: Some(0.02), retries: 1, ..progress() };
        assert!(priced.describe(60_000).starts_with("120 requests, 1 retry, 36,210 tokens, $0.0200, "));
    }

    #[test]
    fn the_progress_of_runs_adds_up() {
        let both = progress().merge(ProgressCounts { cost_usd: Some(1.0), ..progress() });
        assert_eq!((both.rows, both.requests, both.cost_usd), (200, 240, Some(1.0)));
    }
}
