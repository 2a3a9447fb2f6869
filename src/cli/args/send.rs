//! How requests are sent: [`SendArgs`], shared by all commands that test endpoints.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::cli::args::budget::{BudgetArgs, RateArgs};
use crate::cli::args::output::ProgressArgs;
use crate::cli::args::parse::parse_confidence;
use crate::cli::args::transport::TransportArgs;
use crate::client::ClientConfig;
use crate::redact::ContentPolicy;

/// How requests are sent, and when a run ends.
#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    #[command(flatten)]
    pub confidence: ConfidenceArgs,
    #[command(flatten)]
    pub rate: RateArgs,
    /// Timeout per request, seconds
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400), help_heading = "Requests", hide_short_help = true)]
    pub timeout: u64,
    /// Longest wait for limits, seconds
    #[arg(long, value_name = "S", default_value_t = ClientConfig::DEFAULT_MAX_WAIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400), help_heading = "Requests", hide_short_help = true)]
    pub max_wait: u64,
    /// Retries after 429, 5xx, resets [4; simulated: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=20), help_heading = "Requests", hide_short_help = true)]
    pub retries: Option<u32>,
    /// Random seed; same seed, same requests [simulated: 1]
    #[arg(long, value_name = "N", help_heading = "Rows", hide_short_help = true)]
    pub seed: Option<u64>,
    /// Remove secrets, or content too
    #[arg(long, value_name = "WHAT", default_value = "secrets", help_heading = "Recordings", hide_short_help = true)]
    pub redact: ContentPolicy,
    #[command(flatten)]
    pub progress: ProgressArgs,
    #[command(flatten)]
    pub budget: BudgetArgs,
    #[command(flatten)]
    pub transport: TransportArgs,
}

/// `--confidence`.
#[derive(Debug, Clone, Copy, Args)]
pub struct ConfidenceArgs {
    /// Required confidence of a verdict
    #[arg(long, value_name = "P", default_value_t = ConfidenceArgs::DEFAULT, value_parser = parse_confidence, help_heading = "Rows", hide_short_help = true)]
    pub confidence: f64,
}

impl ConfidenceArgs {
    /// The confidence of statistical verdicts, by default.
    pub const DEFAULT: f64 = 0.99;
}

impl ValueEnum for ContentPolicy {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::KeepContent, Self::RemoveContent]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::KeepContent => "secrets",
            Self::RemoveContent => "content",
        }))
    }
}
