//! The [`NoiseCondition`]s of the measured runs: the noise of the simulated server, and the
//! confidence of the verdicts.

use std::time::Duration;

use fieldtest::simulator::{DisobedienceDrift, SimulatorImpairments};
use serde::Serialize;

/// A condition in the tables of `docs/trust.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum NoiseCondition {
    /// A model that always obeys. The other conditions are compared with it.
    Calm,
    /// 5 % disobedience.
    Five,
    /// 10 % disobedience.
    Ten,
    /// 20 % disobedience.
    Twenty,
    /// 40 % disobedience.
    Forty,
    /// 10 % disobedience, and responses arrive in any order.
    Jitter,
    /// 10 % disobedience, and one attempt in seven fails: 5 % each of 429, 529 and broken
    /// connections.
    Faults,
    /// Disobedience rises from 5 % to 40 % during the middle half of the run.
    Worsening,
    /// Disobedience drops from 40 % to 5 % in the middle of the run.
    Improving,
    /// 10 % disobedience, with a lower confidence than the default.
    Lax,
    /// 10 % disobedience, with a higher confidence.
    Strict,
    /// 40 % disobedience, with a very low confidence. If the measurement shows no wrong verdict
    /// here, it cannot detect wrong verdicts.
    Canary,
}

impl NoiseCondition {
    /// All conditions, in the order of the tables.
    pub const ALL: [Self; 12] = [
        Self::Calm,
        Self::Five,
        Self::Ten,
        Self::Twenty,
        Self::Forty,
        Self::Jitter,
        Self::Faults,
        Self::Worsening,
        Self::Improving,
        Self::Lax,
        Self::Strict,
        Self::Canary,
    ];

    /// Returns the title in the tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Calm => "no noise",
            Self::Five => "5 % disobedience",
            Self::Ten => "10 % disobedience",
            Self::Twenty => "20 % disobedience",
            Self::Forty => "40 % disobedience",
            Self::Jitter => "10 %, jitter",
            Self::Faults => "10 %, 5 % each of 429, 529, resets",
            Self::Worsening => "drift, 5 % to 40 %, slowly",
            Self::Improving => "drift, 40 % to 5 %, at once",
            Self::Lax => "10 %, confidence 0.95",
            Self::Strict => "10 %, confidence 0.999",
            Self::Canary => "canary: 40 %, confidence 0.6",
        }
    }

    /// Returns the noise of the server. `length` is the approximate number of responses in a run;
    /// drifts start relative to it.
    pub fn impairments(self, length: u64) -> SimulatorImpairments {
        let disobedience = match self {
            Self::Calm => 0.0,
            Self::Five | Self::Worsening => 0.05,
            Self::Ten | Self::Jitter | Self::Faults | Self::Lax | Self::Strict => 0.1,
            Self::Twenty => 0.2,
            Self::Forty | Self::Improving | Self::Canary => 0.4,
        };
        let impairments = SimulatorImpairments { disobedience, ..SimulatorImpairments::default() };
        match self {
            Self::Jitter => SimulatorImpairments { jitter: Duration::from_millis(4), ..impairments },
            Self::Faults => SimulatorImpairments { rate_429: 0.05, rate_529: 0.05, rate_reset: 0.05, ..impairments },
            Self::Worsening => SimulatorImpairments {
                drift: Some(DisobedienceDrift {
                    final_probability: 0.4,
                    delay_responses: length / 4,
                    duration_responses: length / 2,
                }),
                ..impairments
            },
            Self::Improving => SimulatorImpairments {
                drift: Some(DisobedienceDrift {
                    final_probability: 0.05,
                    delay_responses: length / 2,
                    duration_responses: 0,
                }),
                ..impairments
            },
            Self::Calm
            | Self::Five
            | Self::Ten
            | Self::Twenty
            | Self::Forty
            | Self::Lax
            | Self::Strict
            | Self::Canary => impairments,
        }
    }

    /// Returns the confidence that verdicts must reach.
    pub fn confidence(self) -> f64 {
        match self {
            Self::Lax => 0.95,
            Self::Strict => 0.999,
            Self::Canary => 0.6,
            Self::Calm
            | Self::Five
            | Self::Ten
            | Self::Twenty
            | Self::Forty
            | Self::Jitter
            | Self::Faults
            | Self::Worsening
            | Self::Improving => 0.99,
        }
    }

    /// Returns the number of rows that run at the same time: one, so that a run is reproducible, or
    /// many if the order of responses matters or a drift must affect many unfinished rows.
    pub fn concurrency(self) -> usize {
        match self {
            Self::Jitter | Self::Worsening | Self::Improving => 8,
            Self::Calm
            | Self::Five
            | Self::Ten
            | Self::Twenty
            | Self::Forty
            | Self::Faults
            | Self::Lax
            | Self::Strict
            | Self::Canary => 1,
        }
    }
}
