//! Under which conditions runs are measured: how noisy the simulated server is, and how sure verdicts must be.

use std::time::Duration;

use fieldtest::simulator::{DisobedienceDrift, SimulatorImpairments};
use serde::Serialize;

/// A condition. The closed set of those in the tables of `docs/trust.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum NoiseCondition {
    /// A model that always does as told: what the others are compared with.
    Calm,
    /// One answer in twenty is beside the point.
    Five,
    /// One in ten.
    Ten,
    /// One in five.
    Twenty,
    /// Two in five.
    Forty,
    /// One in ten, and answers arrive in any order.
    Jitter,
    /// One in ten, and one attempt in seven fails: 5 % each of 429, 529 and broken connections.
    Faults,
    /// From one in twenty to two in five, slowly, in the middle half of the run.
    Worsening,
    /// From two in five to one in twenty, at once, in the middle of the run.
    Improving,
    /// One in ten, at a lower confidence than usual.
    Lax,
    /// One in ten, at a higher one.
    Strict,
    /// Two in five, at next to no confidence: here wrong verdicts must be seen, or the measurement sees none.
    Canary,
}

impl NoiseCondition {
    /// All of them, in the order of the tables.
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

    /// The words in the tables.
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

    /// How bad the server's day is. `length` is about how many answers a run takes: a drift is to begin in its middle.
    pub fn impairments(self, length: u64) -> SimulatorImpairments {
        let disobedience = match self {
            Self::Calm => 0.0,
            Self::Five | Self::Worsening => 0.05,
            Self::Ten | Self::Jitter | Self::Faults | Self::Lax | Self::Strict => 0.1,
            Self::Twenty => 0.2,
            Self::Forty | Self::Improving | Self::Canary => 0.4,
        };
        let knobs = SimulatorImpairments { disobedience, ..SimulatorImpairments::default() };
        match self {
            Self::Jitter => SimulatorImpairments { jitter: Duration::from_millis(4), ..knobs },
            Self::Faults => SimulatorImpairments { rate_429: 0.05, rate_529: 0.05, rate_reset: 0.05, ..knobs },
            Self::Worsening => SimulatorImpairments {
                drift: Some(DisobedienceDrift {
                    final_probability: 0.4,
                    delay_responses: length / 4,
                    duration_responses: length / 2,
                }),
                ..knobs
            },
            Self::Improving => SimulatorImpairments {
                drift: Some(DisobedienceDrift {
                    final_probability: 0.05,
                    delay_responses: length / 2,
                    duration_responses: 0,
                }),
                ..knobs
            },
            Self::Calm
            | Self::Five
            | Self::Ten
            | Self::Twenty
            | Self::Forty
            | Self::Lax
            | Self::Strict
            | Self::Canary => knobs,
        }
    }

    /// The confidence that is asked for.
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

    /// How many rows run side by side. One, so that a run can be repeated to the letter; many where order is the point,
    /// so that a drift finds many rows half done.
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
