//! What a run may spend and how fast: the options that `run` and `plan` have in common.
//!
//! Reads arguments and targets; plans nothing and sends nothing.

use clap::Args;

use crate::catalog::Prices;
use crate::cli::CliError;
use crate::cli::args::common::{parse_dollars, parse_price};
use crate::cli::target::resolve::Tested;
use crate::client::{Bounds, PerMillion, Rates};

/// What may be spent, by all targets of a command together.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Budget")]
pub struct MoneyArgs {
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

impl MoneyArgs {
    /// True where they bound anything.
    pub fn is_bounded(&self) -> bool {
        self.bounds() != Bounds::default()
    }

    /// The bounds that they set.
    pub fn bounds(&self) -> Bounds {
        Bounds { requests: self.max_requests, tokens: self.max_tokens, dollars: self.max_cost }
    }

    /// What a target's tokens cost, as far as it is known.
    pub fn prices(&self, tested: &Tested) -> Option<Prices> {
        let given = self.price_input.zip(self.price_output).map(|(input, output)| Prices { input, output });
        given.or(tested.prices)
    }

    /// Refuses a bound on the cost where something may cost nobody knows what.
    pub fn fit<'a>(&self, mut targets: impl Iterator<Item = &'a Tested>) -> Result<(), CliError> {
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
pub fn per_million(prices: Prices) -> PerMillion {
    PerMillion { input: prices.input, output: prices.output }
}

/// How fast requests are sent.
#[derive(Debug, Clone, Args)]
pub struct PaceArgs {
    /// How many requests are under way at once; what the target's file states unless told, else 4.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: Option<u16>,
    /// Requests a minute at most; the target's own limit unless told.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Tokens a minute at most; the target's own limit unless told.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub token_rate: Option<u32>,
}

/// Requests under way at once where nobody says how many.
const CONCURRENCY: u16 = 4;

impl PaceArgs {
    /// How many requests to this target are under way at once.
    pub fn concurrency(&self, tested: &Tested) -> usize {
        usize::from(self.concurrency.or(tested.limits.concurrency).unwrap_or(CONCURRENCY))
    }

    /// The same, whatever the target.
    pub fn concurrency_of_any(&self) -> usize {
        usize::from(self.concurrency.unwrap_or(CONCURRENCY))
    }

    /// How much may be sent to this target in a minute.
    pub fn rates(&self, tested: &Tested) -> Rates {
        Rates {
            requests: self.rate.or(tested.limits.requests_per_minute),
            tokens: self.token_rate.or(tested.limits.tokens_per_minute),
        }
    }
}
