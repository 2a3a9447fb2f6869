//! [`RowEstimates`]: the expected requests and tokens of rows, measured on the reference simulator.
//!
//! `scripts/estimates` measures and writes `cases/estimates.json`; a test compares the file with a
//! new measurement. This module only counts. It must not simulate, and must not know prices.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::catalog::CatalogRow;
use crate::client::estimate_tokens;
use crate::engine::plan::cost::request_bytes;
use crate::recording::run::{Recording, arm_name};
use crate::wire::exchange::Exchange;
use crate::wire::parsed_exchange::parse_exchange;

/// The requests and tokens of a set of exchanges. In JSON: an array of the four numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 4]", into = "[u64; 4]")]
pub struct TokenUse {
    /// Requests.
    pub requests: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Tokens that a rate limiter subtracts before it knows the response.
    pub limiter: u64,
}

impl From<[u64; 4]> for TokenUse {
    fn from([requests, input, output, limiter]: [u64; 4]) -> Self {
        Self { requests, input, output, limiter }
    }
}

impl From<TokenUse> for [u64; 4] {
    fn from(used: TokenUse) -> Self {
        [used.requests, used.input, used.output, used.limiter]
    }
}

impl std::iter::Sum for TokenUse {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::merge)
    }
}

impl TokenUse {
    /// Adds another use.
    pub fn merge(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            limiter: self.limiter.saturating_add(other.limiter),
        }
    }

    /// Counts one exchange. A response that is not a message has no tokens.
    pub fn from_exchange(exchange: &Exchange) -> Self {
        let (input, output) = parse_exchange(exchange).interpretation.token_counts();
        let request = &exchange.request;
        let limiter = u64::from(estimate_tokens(&request.body, request_bytes(request)));
        Self { requests: 1, input, output, limiter }
    }
}

/// The expected requests and tokens of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowEstimates {
    /// The requests before the first row.
    pub probes: TokenUse,
    /// By row and by arm (see [`arm_name`]). A request that several rows share counts for each of
    /// them; the plan subtracts the duplicates.
    pub rows: BTreeMap<String, BTreeMap<String, TokenUse>>,
}

impl RowEstimates {
    /// The contents of `cases/estimates.json`.
    pub fn bundled() -> &'static Self {
        static BUNDLED: LazyLock<RowEstimates> = LazyLock::new(|| {
            let text = include_str!("../../../cases/estimates.json");
            // A test parses the file, so this default is never used.
            serde_json::from_str(text).unwrap_or_default()
        });
        &BUNDLED
    }

    /// Counts a recording.
    pub fn from_recording(recording: &Recording) -> Self {
        let exchanges: HashMap<&str, &Exchange> =
            recording.exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange)).collect();
        let is_probe = |id: &str| id.starts_with("probe.");
        let mut estimates = Self {
            probes: recording.exchanges.iter().filter(|e| is_probe(&e.id)).map(TokenUse::from_exchange).sum(),
            rows: recording.header.rows.iter().map(|row| (row.clone(), BTreeMap::new())).collect(),
        };
        let mut counted = HashSet::new();
        for trial in &recording.trials {
            let Some(arms) = estimates.rows.get_mut(&trial.key.row) else { continue };
            let arm = arms.entry(arm_name(trial.key.arm, trial.key.variant.as_deref())).or_default();
            let ids = trial.exchanges.iter().map(String::as_str).filter(|id| !is_probe(id));
            for exchange in ids.filter_map(|id| exchanges.get(id)) {
                if counted.insert((trial.key.row.as_str(), exchange.id.as_str())) {
                    *arm = arm.merge(TokenUse::from_exchange(exchange));
                }
            }
        }
        estimates
    }

    /// The estimate of one arm of a row; `None` if the row has no estimate.
    pub fn find_arm(&self, row: &CatalogRow, arm: &str) -> Option<TokenUse> {
        let arms = self.rows.get(row.experiment.id())?;
        Some(arms.get(arm).copied().unwrap_or_default())
    }
}
