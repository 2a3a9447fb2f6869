//! How requests are sent and when a run ends: the options that everything which talks to endpoints shares.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use secrecy::SecretString;

use crate::catalog::{AuthScheme, Catalog, CredentialSource};
use crate::cli::args::budget::{MoneyArgs, PaceArgs, per_million};
use crate::cli::args::common::parse_confidence;
use crate::cli::args::transport::TransportArgs;
use crate::cli::session::forecast::Forecasts;
use crate::cli::target::resolve::Tested;
use crate::cli::{CliError, Environment};
use crate::client::{Accounts, Budget, ClientConfig, PROXY_VARIABLES, Scheme, transport};
use crate::engine;
use crate::engine::Options;
use crate::recording::run::Recording;
use crate::redact::VARIABLES;

/// How requests are sent, and when a run ends.
#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    /// The confidence that statistical verdicts must reach.
    #[arg(long, value_name = "P", default_value_t = SendArgs::CONFIDENCE, value_parser = parse_confidence)]
    pub confidence: f64,
    #[command(flatten)]
    pub pace: PaceArgs,
    /// Seconds until a request is given up.
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// How often a request is sent again after 429, 5xx or a broken connection; 4 unless told (8 to simulations).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=20))]
    pub retries: Option<u32>,
    /// The seed of every random draw; the same seed asks the same questions. Simulations use 1 unless told.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// What to leave out of recordings and results. Secrets never get into them; `texts` leaves out as well what was
    /// asked and answered: lengths, structure, times and verdicts stay.
    #[arg(long, value_name = "WHAT", default_value = "secrets")]
    pub redact: Redact,
    /// Show no progress bar.
    #[arg(long)]
    pub no_progress: bool,
    #[command(flatten)]
    pub money: MoneyArgs,
    #[command(flatten)]
    pub transport: TransportArgs,
    /// What all targets of the command have in common.
    #[arg(skip)]
    pub common: Arc<Common>,
}

/// What all targets of a command have in common, made when it is first asked for.
#[derive(Debug, Default)]
pub struct Common {
    budget: OnceLock<Budget>,
    accounts: Accounts,
    /// What runs are expected to take.
    pub forecasts: Forecasts,
}

/// What is left out of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Redact {
    /// Credentials and what looks like one.
    Secrets,
    /// Secrets, and the texts of questions and answers.
    Texts,
}

impl SendArgs {
    /// The confidence, unless told.
    pub const CONFIDENCE: f64 = 0.99;

    /// The same options with nothing in common with others.
    pub fn alone(&self) -> Self {
        Self { common: Arc::default(), ..self.clone() }
    }

    /// A target's part in the budget, which all targets of the command share.
    fn budget(&self, tested: &Tested) -> Budget {
        let shared = self.common.budget.get_or_init(|| Budget::new(self.money.bounds()));
        shared.of(self.money.prices(tested).map(per_million))
    }

    /// How a client sends to this target.
    pub fn config(
        &self,
        tested: &Tested,
        base_url: &str,
        credential: Option<SecretString>,
        simulated: bool,
        started: Instant,
    ) -> Result<ClientConfig, CliError> {
        let scheme = match tested.scheme {
            AuthScheme::XApiKey => Scheme::XApiKey,
            AuthScheme::Bearer => Scheme::Bearer,
        };
        let mut config = ClientConfig::new(base_url, scheme);
        config.credential = credential;
        config.timeout = Duration::from_secs(self.timeout);
        config.retries = self.retries.unwrap_or(if simulated { 8 } else { 4 });
        config.concurrency = self.pace.concurrency(tested);
        config.proxies = !simulated;
        config.run_started = started;
        if simulated {
            // Nothing is gained by being polite to ourselves.
            config.first_wait = Duration::from_millis(5);
        } else {
            let (name, gap) = (tested.account.as_deref(), Some(config.first_wait / 5));
            let rates = self.pace.rates(tested);
            let account = self.common.accounts.of(name, base_url, config.credential.as_ref(), rates, gap);
            config.account = Some(account.map_err(|e| CliError::Usage(e.to_string()))?);
        }
        Ok(config)
    }

    /// Refuses limits of a target that would let nothing through.
    pub fn check(&self, tested: &Tested) -> Result<(), CliError> {
        let rates = self.pace.rates(tested);
        let zero = |n: Option<u32>| n == Some(0);
        if zero(rates.requests) || zero(rates.tokens) || self.pace.concurrency(tested) == 0 {
            return Err(CliError::Usage(format!(
                "{}: a limit of its file or entry is zero, and nothing would ever be sent: give a number above 0 under \
                 `limits`, or leave it out",
                tested.name
            )));
        }
        Ok(())
    }

    /// Books what stands in a recording of this target, before anything more is sent.
    pub fn book(&self, tested: &Tested, recording: &Recording) {
        engine::book(recording, &self.budget(tested));
    }

    /// What a run of this target is told.
    pub fn options(&self, tested: &Tested, seed: u64) -> Options {
        Options {
            settings: tested.settings.clone(),
            seed,
            confidence: self.confidence,
            concurrency: self.pace.concurrency(tested),
            budget: self.budget(tested),
        }
    }
}

/// The secrets in the environment that a server may know and tell: those that targets are tested with, and those that
/// people are known to keep there.
pub fn secrets(catalog: &Catalog, environment: &Environment) -> Vec<SecretString> {
    let of_targets = catalog.targets.values().flat_map(|target| {
        let own = match &target.credential {
            Some(CredentialSource::Env(names)) => names.as_slice(),
            _ => &[],
        };
        target.auth.env.iter().chain(own).map(String::as_str)
    });
    let names: BTreeSet<&str> = of_targets.collect();
    let mut secrets = of_environment(environment);
    secrets.extend(values(names, environment));
    secrets
}

/// The secrets that people are known to keep in the environment: keys, and the passwords of proxies.
pub fn of_environment(environment: &Environment) -> Vec<SecretString> {
    let mut secrets = values(VARIABLES, environment);
    let proxies = PROXY_VARIABLES.into_iter().filter_map(|name| (environment.variable)(name)?.into_string().ok());
    secrets.extend(proxies.flat_map(|proxy| transport::secrets_in_url(&proxy)));
    secrets
}

/// What shorter ones say is said elsewhere, too: `not-needed` is no secret.
const SHORTEST: usize = 12;

fn values<'a>(names: impl IntoIterator<Item = &'a str>, environment: &Environment) -> Vec<SecretString> {
    let values = names.into_iter().filter_map(|name| (environment.variable)(name)?.into_string().ok());
    values.filter(|value| value.len() >= SHORTEST).map(SecretString::from).collect()
}
