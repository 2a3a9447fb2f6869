//! From what is to be tested to something that can be asked: a client, and the simulation behind it where it is one.

use std::time::Instant;

use crate::catalog::Catalog;
use crate::cli::CliError;
use crate::cli::args::send::SendArgs;
use crate::cli::args::simulator::SimulatorOptions;
use crate::cli::session::preflight::PreflightResult;
use crate::cli::target::credential::LazyCredential;
use crate::cli::target::resolve::{EndpointKind, ResolvedTarget};
use crate::client::Client;
use crate::redact::SecretRedactor;
use crate::simulator;
use crate::wire::exchange::{AttemptResult, Exchange, HttpMethod};

/// An endpoint that can be asked.
pub struct EndpointConnection {
    /// What sends to it.
    pub client: Client,
    /// Its base URL, as results show it.
    pub base_url: String,
    /// The simulation, which lives as long as this.
    simulation: Option<simulator::RunningSimulator>,
}

impl EndpointConnection {
    /// Makes a client for what is tested, and starts its simulation where it has one. Sends nothing.
    pub async fn new(
        tested: &ResolvedTarget,
        sending: &SendArgs,
        simulator: &SimulatorOptions,
        catalog: &Catalog,
        ready: &PreflightResult,
        started: Instant,
    ) -> Result<Self, CliError> {
        let (base_url, credential, simulation) = match &tested.endpoint {
            EndpointKind::Live { base_url, credential, .. } => {
                (base_url.clone(), credential.as_ref().map(LazyCredential::resolve).transpose()?, None)
            }
            EndpointKind::Simulated(target) => {
                let config = simulator.simulator_config(target, catalog, sending.seed.unwrap_or(SIMULATION_SEED))?;
                let running = simulator::start(config)
                    .await
                    .map_err(|e| CliError::Internal(format!("cannot start the simulator: {e}")))?;
                (running.base_url(), Some(running.credential().to_owned().into()), Some(running))
            }
        };
        let mut config = sending.client_config(tested, &base_url, credential, simulation.is_some(), started)?;
        config.secrets.clone_from(&ready.secrets);
        if simulation.is_none() {
            config.transport = ready.transport.clone();
        }
        // A path may hold a key, too; a simulation's port differs from run to run and means nothing to anyone.
        let shown = SecretRedactor::new(config.credential.as_ref(), &config.secrets).redact_text(base_url);
        let base_url = if simulation.is_some() { "http://simulator".to_owned() } else { shown };
        let client = Client::new(config).map_err(|e| CliError::Usage(format!("{}: {e}", tested.name)))?;
        Ok(Self { client, base_url, simulation })
    }

    /// Takes a simulation to where it was when these exchanges had come.
    pub fn fast_forward_simulator(&self, exchanges: &[Exchange]) {
        let Some(simulation) = &self.simulation else { return };
        for exchange in exchanges {
            let request = &exchange.request;
            let body = match (&request.raw, request.method) {
                (Some(raw), _) => raw.clone(),
                (None, HttpMethod::Post) => request.body.to_string(),
                (None, HttpMethod::Get | HttpMethod::Head) => String::new(),
            };
            for attempt in &exchange.attempts {
                let was_answered = matches!(&attempt.result, AttemptResult::Response(r) if r.status == 200);
                simulation.fast_forward(request.path_without_query(), body.as_bytes(), was_answered);
            }
        }
    }

    /// True where the built-in simulator answers.
    pub fn is_simulated(&self) -> bool {
        self.simulation.is_some()
    }

    /// The seed of a run's draws, unless told: a simulation is asked the same every time, an endpoint never.
    pub fn default_seed(&self, entropy: u64) -> u64 {
        if self.is_simulated() { SIMULATION_SEED } else { entropy }
    }
}

/// The seed of simulations, and of what they are asked, unless told.
const SIMULATION_SEED: u64 = 1;
