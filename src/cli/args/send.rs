//! How requests are sent and when a run ends: the options that everything which talks to endpoints shares.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use secrecy::SecretString;

use crate::catalog::{AuthScheme, Catalog, CredentialSource};
use crate::cli::args::budget::{BudgetArgs, RateArgs, token_prices};
use crate::cli::args::common::parse_confidence;
use crate::cli::args::transport::TransportArgs;
use crate::cli::target::resolve::ResolvedTarget;
use crate::cli::{CliError, ProcessEnvironment};
use crate::client::{AccountRegistry, Budget, ClientConfig, CredentialHeader, transport};
use crate::engine;
use crate::engine::RunOptions;
use crate::recording::run::Recording;
use crate::redact::{ContentPolicy, SECRET_VARIABLES};

/// How requests are sent, and when a run ends.
#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    /// The confidence that statistical verdicts must reach.
    #[arg(long, value_name = "P", default_value_t = SendArgs::DEFAULT_CONFIDENCE, value_parser = parse_confidence)]
    pub confidence: f64,
    #[command(flatten)]
    pub pace: RateArgs,
    /// Seconds until a request is given up.
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// How often a request is sent again after 429, 5xx or a broken connection; 4 unless told (8 to simulations).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=20))]
    pub retries: Option<u32>,
    /// The seed of every random draw; the same seed asks the same questions. Simulations use 1 unless told.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// What to leave out of recordings and results. Secrets never get into them; `content` leaves out as well what was
    /// asked and answered: lengths, structure, times and verdicts stay.
    #[arg(long, value_name = "WHAT", default_value = "secrets")]
    pub redact: ContentPolicy,
    /// Show no progress bar.
    #[arg(long)]
    pub no_progress: bool,
    #[command(flatten)]
    pub money: BudgetArgs,
    #[command(flatten)]
    pub transport: TransportArgs,
    /// What all targets of the command have in common.
    #[arg(skip)]
    pub common: Arc<SharedState>,
}

/// What all targets of a command have in common, made when it is first asked for.
#[derive(Debug, Default)]
pub struct SharedState {
    budget: OnceLock<Budget>,
    accounts: AccountRegistry,
}

impl ValueEnum for ContentPolicy {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::KeepContent, Self::RemoveContent]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::KeepContent => PossibleValue::new("secrets").help("Credentials, and text that looks like one"),
            Self::RemoveContent => {
                PossibleValue::new("content").help("Secrets, and the texts of requests and responses")
            }
        })
    }
}

impl SendArgs {
    /// The confidence, unless told.
    pub const DEFAULT_CONFIDENCE: f64 = 0.99;

    /// The same options with nothing in common with others.
    pub fn with_own_state(&self) -> Self {
        Self { common: Arc::default(), ..self.clone() }
    }

    /// A target's part in the budget, which all targets of the command share.
    fn budget(&self, tested: &ResolvedTarget) -> Budget {
        let shared = self.common.budget.get_or_init(|| Budget::new(self.money.limits()));
        shared.with_prices(self.money.prices(tested).map(token_prices))
    }

    /// How a client sends to this target.
    pub fn client_config(
        &self,
        tested: &ResolvedTarget,
        base_url: &str,
        credential: Option<SecretString>,
        simulated: bool,
        started: Instant,
    ) -> Result<ClientConfig, CliError> {
        let scheme = match tested.auth_scheme {
            AuthScheme::XApiKey => CredentialHeader::XApiKey,
            AuthScheme::Bearer => CredentialHeader::Bearer,
        };
        let mut config = ClientConfig::new(base_url, scheme);
        config.credential = credential;
        config.timeout = Duration::from_secs(self.timeout);
        config.retries = self.retries.unwrap_or(if simulated { 8 } else { 4 });
        config.concurrency = self.pace.concurrency(tested);
        config.use_proxies = !simulated;
        config.run_started = started;
        if simulated {
            // Nothing is gained by being polite to ourselves.
            config.initial_backoff = Duration::from_millis(5);
        } else {
            let (name, gap) = (tested.account.as_deref(), Some(config.initial_backoff / 5));
            let rates = self.pace.rate_limits(tested);
            let account = self.common.accounts.get_or_create(name, base_url, config.credential.as_ref(), rates, gap);
            config.account = Some(account.map_err(|e| CliError::Usage(e.to_string()))?);
        }
        Ok(config)
    }

    /// Refuses limits of a target that would let nothing through.
    pub fn validate_limits(&self, tested: &ResolvedTarget) -> Result<(), CliError> {
        let rates = self.pace.rate_limits(tested);
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
    pub fn charge_recording(&self, tested: &ResolvedTarget, recording: &Recording) {
        engine::charge_recording(recording, &self.budget(tested));
    }

    /// What a run of this target is told.
    pub fn run_options(&self, tested: &ResolvedTarget, seed: u64) -> RunOptions {
        RunOptions {
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
pub fn environment_secrets(catalog: &Catalog, environment: &ProcessEnvironment) -> Vec<SecretString> {
    let of_targets = catalog.targets.values().flat_map(|target| {
        let own = match &target.credential {
            Some(CredentialSource::Env(names)) => names.as_slice(),
            _ => &[],
        };
        target.auth.env.iter().chain(own).map(String::as_str)
    });
    let names: BTreeSet<&str> = of_targets.collect();
    let mut secrets = well_known_secrets(environment);
    secrets.extend(read_secret_variables(names, environment));
    secrets
}

/// The secrets that people are known to keep in the environment: keys, and the passwords of proxies.
pub fn well_known_secrets(environment: &ProcessEnvironment) -> Vec<SecretString> {
    let mut secrets = read_secret_variables(SECRET_VARIABLES, environment);
    let proxies =
        transport::PROXY_VARIABLES.into_iter().filter_map(|name| (environment.variable)(name)?.into_string().ok());
    secrets.extend(proxies.flat_map(|proxy| transport::extract_url_secrets(&proxy)));
    secrets
}

/// What shorter ones say is said elsewhere, too: `not-needed` is no secret.
const MIN_SECRET_BYTES: usize = 12;

fn read_secret_variables<'a>(
    names: impl IntoIterator<Item = &'a str>,
    environment: &ProcessEnvironment,
) -> Vec<SecretString> {
    let values = names.into_iter().filter_map(|name| (environment.variable)(name)?.into_string().ok());
    values.filter(|value| value.len() >= MIN_SECRET_BYTES).map(SecretString::from).collect()
}
