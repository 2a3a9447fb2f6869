//! [`EndpointConnection`]: the client of a target, and its simulator if the target is simulated.

use std::time::Instant;

use crate::catalog::Catalog;
use crate::cli::CliError;
use crate::cli::args::send::SendArgs;
use crate::cli::args::simulator::SimulatorOptions;
use crate::cli::session::preflight::PreflightResult;
use crate::cli::session::shared::SharedState;
use crate::cli::target::credential::LazyCredential;
use crate::cli::target::model::{EndpointKind, ResolvedTarget};
use crate::client::Client;
use crate::redact::SecretRedactor;
use crate::simulator;

/// An endpoint that is ready for requests.
pub struct EndpointConnection {
    /// The client.
    pub client: Client,
    /// Its base URL, as results show it.
    pub base_url: String,
    /// The simulator, which runs as long as this value lives.
    simulation: Option<simulator::RunningSimulator>,
}

impl EndpointConnection {
    /// Makes the client of a target, and starts its simulator. Sends nothing.
    pub async fn new(
        target: &ResolvedTarget,
        sending: &SendArgs,
        shared: &SharedState,
        simulator: &SimulatorOptions,
        catalog: &Catalog,
        preflight: &PreflightResult,
        started: Instant,
    ) -> Result<Self, CliError> {
        let (base_url, credential, simulation) = match &target.endpoint {
            EndpointKind::Live { base_url, credential, .. } => {
                (base_url.clone(), credential.as_ref().map(LazyCredential::resolve).transpose()?, None)
            }
            EndpointKind::Simulated(simulated) => {
                let config = simulator.simulator_config(simulated, catalog, sending.seed.unwrap_or(SIMULATION_SEED))?;
                let running = simulator::start(config).await.map_err(CliError::Simulator)?;
                (running.base_url(), Some(running.credential().to_owned().into()), Some(running))
            }
        };
        let mut config = shared.client_config(sending, target, &base_url, credential, simulation.is_some(), started)?;
        config.secrets.clone_from(&preflight.secrets);
        if simulation.is_none() {
            config.transport = preflight.transport.clone();
        }
        // A path may contain a key. The port of a simulator is random, so results do not show it.
        let redacted_url = SecretRedactor::new(config.credential.as_ref(), &config.secrets).redact_text(base_url);
        let base_url = if simulation.is_some() { "http://simulator".to_owned() } else { redacted_url };
        let client =
            Client::new(config).map_err(|source| CliError::TargetClient { target: target.name.clone(), source })?;
        Ok(Self { client, base_url, simulation })
    }

    /// True if the built-in simulator responds.
    pub fn is_simulated(&self) -> bool {
        self.simulation.is_some()
    }

    /// The default seed of a run: fixed for simulations, random for live endpoints.
    pub fn default_seed(&self, entropy: u64) -> u64 {
        if self.is_simulated() { SIMULATION_SEED } else { entropy }
    }
}

/// The default seed of simulators and of runs against them.
const SIMULATION_SEED: u64 = 1;
