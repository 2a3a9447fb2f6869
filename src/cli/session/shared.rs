//! The state that all targets of a command share: [`SharedState`].

use std::time::{Duration, Instant};

use secrecy::SecretString;

use crate::cli::args::budget::token_prices;
use crate::cli::args::send::SendArgs;
use crate::cli::error::CliError;
use crate::cli::target::model::ResolvedTarget;
use crate::client::{AccountRegistry, Budget, ClientConfig};
use crate::engine;
use crate::engine::RunOptions;
use crate::recording::run::Recording;

/// The budget and the rate limits of a command.
#[derive(Debug)]
pub struct SharedState {
    budget: Budget,
    accounts: AccountRegistry,
}

impl SharedState {
    /// The state at the start of a command.
    pub fn new(sending: &SendArgs) -> Self {
        Self { budget: Budget::new(sending.budget.limits()), accounts: AccountRegistry::default() }
    }

    /// The configuration of a client for this target.
    pub fn client_config(
        &self,
        sending: &SendArgs,
        target: &ResolvedTarget,
        base_url: &str,
        credential: Option<SecretString>,
        simulated: bool,
        started: Instant,
    ) -> Result<ClientConfig, CliError> {
        let mut config = ClientConfig::new(base_url, target.auth_scheme);
        config.credential = credential;
        config.timeout = Duration::from_secs(sending.timeout);
        config.max_wait = Duration::from_secs(sending.max_wait);
        config.retries = sending.retries.unwrap_or(if simulated { 8 } else { 4 });
        config.concurrency = sending.rate.concurrency(target);
        config.use_proxies = !simulated;
        config.run_started = started;
        if simulated {
            // A simulator in this process does not need long waits.
            config.initial_backoff = Duration::from_millis(5);
        } else {
            let (name, interval) = (target.account.as_deref(), Some(config.initial_backoff / 5));
            let rates = sending.rate.rate_limits(target);
            let account = self.accounts.get_or_create(name, base_url, config.credential.as_ref(), rates, interval)?;
            config.account = Some(account);
        }
        Ok(config)
    }

    /// Charges the budget with the requests of an earlier recording of this target.
    pub fn charge_recording(&self, sending: &SendArgs, target: &ResolvedTarget, recording: &Recording) {
        engine::charge_recording(recording, &self.target_budget(sending, target));
    }

    /// The options of a run of this target.
    pub fn run_options(&self, sending: &SendArgs, target: &ResolvedTarget, seed: u64) -> RunOptions {
        RunOptions {
            settings: target.settings.clone(),
            seed,
            confidence: sending.confidence.confidence,
            concurrency: sending.rate.concurrency(target),
            budget: self.target_budget(sending, target),
            eager: sending.rate.eager,
        }
    }

    /// The shared budget, with the prices of this target.
    fn target_budget(&self, sending: &SendArgs, target: &ResolvedTarget) -> Budget {
        self.budget.with_prices(sending.budget.prices(target).map(token_prices))
    }
}
