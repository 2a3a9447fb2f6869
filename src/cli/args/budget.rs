//! What a run may spend and how fast: the options that `run` and `plan` have in common.
//!
//! Reads arguments and targets; plans nothing and sends nothing.

use clap::Args;

use crate::catalog::TargetPrices;
use crate::cli::CliError;
use crate::cli::args::common::{parse_dollars, parse_price};
use crate::cli::target::resolve::ResolvedTarget;
use crate::client::{BudgetLimits, PerMinuteLimits, TokenPrices};

/// What may be spent, by all targets of a command together.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Budget")]
pub struct BudgetArgs {
    /// Stop after this many requests, retries included; of all targets together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_requests: Option<u64>,
    /// Stop after this many input and output tokens, of all targets together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_tokens: Option<u64>,
    /// Stop after this many US dollars, of all targets together; needs prices, in the targets' files or as options.
    #[arg(long, value_name = "USD", value_parser = parse_dollars, allow_negative_numbers = true)]
    pub max_cost: Option<f64>,
    /// US dollars for a million input tokens, instead of what the target's file states.
    #[arg(long, value_name = "USD", value_parser = parse_price, requires = "price_output", allow_negative_numbers = true)]
    pub price_input: Option<f64>,
    /// US dollars for a million output tokens, instead of what the target's file states.
    #[arg(long, value_name = "USD", value_parser = parse_price, requires = "price_input", allow_negative_numbers = true)]
    pub price_output: Option<f64>,
}

impl BudgetArgs {
    /// True where they bound anything.
    pub fn is_bounded(&self) -> bool {
        self.limits() != BudgetLimits::default()
    }

    /// The bounds that they set.
    pub fn limits(&self) -> BudgetLimits {
        BudgetLimits { requests: self.max_requests, tokens: self.max_tokens, dollars: self.max_cost }
    }

    /// What a target's tokens cost, as far as it is known.
    pub fn prices(&self, tested: &ResolvedTarget) -> Option<TargetPrices> {
        let given = self.price_input.zip(self.price_output).map(|(input, output)| TargetPrices { input, output });
        given.or(tested.prices)
    }

    /// Refuses a bound on the cost where something may cost nobody knows what.
    pub fn require_prices<'a>(&self, mut targets: impl Iterator<Item = &'a ResolvedTarget>) -> Result<(), CliError> {
        match targets.find(|tested| self.prices(tested).is_none()) {
            Some(tested) if self.max_cost.is_some() => Err(CliError::Usage(format!(
                "--max-cost needs the prices of every target, and those of {} are not known: state them in its file under \
                 `prices`, or give --price-input and --price-output, in US dollars for a million tokens",
                tested.name
            ))),
            _ => Ok(()),
        }
    }
}

/// Prices as the client takes them.
pub fn token_prices(prices: TargetPrices) -> TokenPrices {
    TokenPrices { input: prices.input, output: prices.output }
}

/// How fast requests are sent.
#[derive(Debug, Clone, Args)]
pub struct RateArgs {
    /// How many requests are under way at once; what the target's file states unless told, else 4.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: Option<u16>,
    /// Requests a minute at most; the target's own limit unless told.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rpm: Option<u32>,
    /// Tokens a minute at most; the target's own limit unless told.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub tpm: Option<u32>,
}

/// Requests under way at once where nobody says how many.
const DEFAULT_CONCURRENCY: u16 = 4;

impl RateArgs {
    /// How many requests to this target are under way at once.
    pub fn concurrency(&self, tested: &ResolvedTarget) -> usize {
        usize::from(self.concurrency.or(tested.limits.concurrency).unwrap_or(DEFAULT_CONCURRENCY))
    }

    /// The same, whatever the target.
    pub fn default_concurrency(&self) -> usize {
        usize::from(self.concurrency.unwrap_or(DEFAULT_CONCURRENCY))
    }

    /// How much may be sent to this target in a minute.
    pub fn rate_limits(&self, tested: &ResolvedTarget) -> PerMinuteLimits {
        PerMinuteLimits {
            requests: self.rpm.or(tested.limits.requests_per_minute),
            tokens: self.tpm.or(tested.limits.tokens_per_minute),
        }
    }
}
