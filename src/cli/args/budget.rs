//! How much a command may spend, and how fast: [`BudgetArgs`] and [`RateArgs`].

use clap::Args;

use crate::catalog::TargetPrices;
use crate::cli::args::parse::{parse_dollars, parse_price};
use crate::cli::error::CliError;
use crate::cli::target::model::ResolvedTarget;
use crate::client::{BudgetLimits, PerMinuteLimits, TokenPrices};

/// Limits for all targets of a command together.
#[derive(Debug, Clone, Args)]
pub struct BudgetArgs {
    /// Stop after N requests, including retries
    #[arg(long, value_name = "N", help_heading = BUDGET, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_requests: Option<u64>,
    /// Stop after N input and output tokens
    #[arg(long, value_name = "N", help_heading = BUDGET, hide_short_help = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_tokens: Option<u64>,
    /// Stop after this cost; needs prices
    #[arg(long, value_name = "USD", help_heading = BUDGET, value_parser = parse_dollars, allow_negative_numbers = true)]
    pub max_cost: Option<f64>,
    /// Price of one million input tokens
    #[arg(long, help_heading = BUDGET, hide_short_help = true, value_name = "USD", value_parser = parse_price, requires = "price_output", allow_negative_numbers = true)]
    pub price_input: Option<f64>,
    /// Price of one million output tokens
    #[arg(long, help_heading = BUDGET, hide_short_help = true, value_name = "USD", value_parser = parse_price, requires = "price_input", allow_negative_numbers = true)]
    pub price_output: Option<f64>,
}

const BUDGET: &str = "Budget (all targets together)";

impl BudgetArgs {
    /// True if there is any limit.
    pub fn is_limited(&self) -> bool {
        self.limits() != BudgetLimits::default()
    }

    /// The limits.
    pub fn limits(&self) -> BudgetLimits {
        BudgetLimits { requests: self.max_requests, tokens: self.max_tokens, dollars: self.max_cost }
    }

    /// The prices of a target, if they are known.
    pub fn prices(&self, target: &ResolvedTarget) -> Option<TargetPrices> {
        let given = self.price_input.zip(self.price_output).map(|(input, output)| TargetPrices { input, output });
        given.or(target.prices)
    }

    /// Rejects `--max-cost` if the prices of a target are unknown.
    pub fn require_prices<'a>(&self, mut targets: impl Iterator<Item = &'a ResolvedTarget>) -> Result<(), CliError> {
        match targets.find(|target| self.prices(target).is_none()) {
            Some(target) if self.max_cost.is_some() => Err(CliError::Target(format!(
                "--max-cost needs prices for {}. Add `prices` to the target file, or use --price-input and \
                 --price-output (US dollars per million tokens)",
                target.name
            ))),
            _ => Ok(()),
        }
    }
}

/// The same prices for the client.
pub fn token_prices(prices: TargetPrices) -> TokenPrices {
    TokenPrices { input: prices.input, output: prices.output }
}

/// The speed of requests.
#[derive(Debug, Clone, Args)]
pub struct RateArgs {
    /// Requests in flight [default: the target's, or 4]
    #[arg(long, help_heading = "Requests", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: Option<u16>,
    /// Requests per minute [default: the target's]
    #[arg(long, help_heading = "Requests", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rpm: Option<u32>,
    /// Tokens per minute [default: the target's]
    #[arg(long, help_heading = "Requests", hide_short_help = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub tpm: Option<u32>,
    /// Send likely requests early: faster, a few more
    #[arg(long, help_heading = "Requests", hide_short_help = true)]
    pub eager: bool,
}

/// Requests in flight if neither an option nor the target sets a limit.
const DEFAULT_CONCURRENCY: u16 = 4;

impl RateArgs {
    /// Requests in flight to this target.
    pub fn concurrency(&self, target: &ResolvedTarget) -> usize {
        usize::from(self.concurrency.or(target.limits.concurrency).unwrap_or(DEFAULT_CONCURRENCY))
    }

    /// Requests in flight to a target without limits.
    pub fn default_concurrency(&self) -> usize {
        usize::from(self.concurrency.unwrap_or(DEFAULT_CONCURRENCY))
    }

    /// The limits per minute of this target.
    pub fn rate_limits(&self, target: &ResolvedTarget) -> PerMinuteLimits {
        PerMinuteLimits {
            requests: self.rpm.or(target.limits.requests_per_minute),
            tokens: self.tpm.or(target.limits.tokens_per_minute),
        }
    }

    /// Rejects limits of a target that would let no request through.
    pub fn validate_limits(&self, target: &ResolvedTarget) -> Result<(), CliError> {
        let rates = self.rate_limits(target);
        match rates.requests == Some(0) || rates.tokens == Some(0) || self.concurrency(target) == 0 {
            true => Err(CliError::Target(format!(
                "{}: a limit of its file or entry is 0, so nothing could be sent. Set it above 0 under `limits`, or \
                 remove it",
                target.name
            ))),
            false => Ok(()),
        }
    }
}
