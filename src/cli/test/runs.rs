//! The run of a target: made once, when the first test asks for it, of the rows that are tested and those they work
//! through.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use secrecy::SecretString;

use super::TestArgs;
use crate::case::Catalog;
use crate::cli::args::SimulatorArgs;
use crate::cli::conduct::{now, runtime};
use crate::cli::endpoint::{Place, Tested};
use crate::cli::held::Loaded;
use crate::cli::sending::{Redact, SendArgs, secrets};
use crate::cli::{CliError, Environment};
use crate::client::{Client, Mask};
use crate::engine::recording::{Header, SCHEMA};
use crate::engine::scope::{Extent, Scope};
use crate::engine::{self, judge};
use crate::report::results::Results;
use crate::report::without_texts;
use crate::simulator;

/// A target that is tested.
#[derive(Debug)]
pub struct Run {
    catalog: Arc<Catalog>,
    tested: Tested,
    wanted: HashSet<String>,
    sending: SendArgs,
    simulator: SimulatorArgs,
    entropy: u64,
    secrets: Vec<SecretString>,
    baseline: Option<Arc<Loaded>>,
    strict: bool,
    results: OnceLock<Result<Results, String>>,
}

impl Run {
    /// A run of these rows, not yet made.
    pub fn new(
        args: &TestArgs,
        environment: &Environment,
        catalog: Arc<Catalog>,
        tested: Tested,
        wanted: &[String],
        baseline: Option<Arc<Loaded>>,
    ) -> Self {
        Self {
            baseline,
            strict: args.strict,
            wanted: wanted.iter().cloned().collect(),
            secrets: secrets(&catalog, environment),
            catalog,
            tested,
            sending: args.sending.clone(),
            simulator: args.simulator.clone(),
            entropy: environment.entropy,
            results: OnceLock::new(),
        }
    }

    /// What is tested.
    pub fn tested(&self) -> &Tested {
        &self.tested
    }

    /// The results; the run is made where it was not yet.
    pub fn results(&self) -> Result<&Results, &str> {
        let made = self.results.get_or_init(|| self.make().map_err(|error| error.to_string()));
        made.as_ref().map_err(String::as_str)
    }

    fn make(&self) -> Result<Results, CliError> {
        runtime()?.block_on(self.send())
    }

    async fn send(&self) -> Result<Results, CliError> {
        let seed = self.sending.seed;
        // The simulation lives as long as this function.
        let (base_url, credential, simulation) = match &self.tested.place {
            Place::Live { base_url, credential } => (base_url.clone(), credential.clone(), None),
            Place::Simulated(target) => {
                let behaviour = self.simulator.behaviour(target, &self.catalog, seed.unwrap_or(1))?;
                let key = behaviour.right_credential().to_owned();
                let running = simulator::start(behaviour)
                    .await
                    .map_err(|e| CliError::Fault(format!("cannot start the simulator: {e}")))?;
                (running.base_url(), Some(key.into()), Some(running))
            }
        };
        let simulated = simulation.is_some();
        let mut config = self.sending.config(&self.tested, &base_url, credential, simulated, Instant::now())?;
        config.secrets.clone_from(&self.secrets);
        // A path may hold a key, too.
        let base_url = Mask::new(config.credential.as_ref(), &config.secrets).text(base_url);
        let client = Client::new(config).map_err(|e| CliError::Usage(e.to_string()))?;
        let options = self.sending.options(&self.tested, seed.unwrap_or(if simulated { 1 } else { self.entropy }));
        let Extent { rows, beside } = Extent::of(&self.catalog, |row| self.wanted.contains(row), |_| true);
        let header = Header {
            schema: SCHEMA.to_owned(),
            name: self.tested.name.clone(),
            // A simulation's port differs from run to run and means nothing to anyone.
            base_url: if simulated { "http://simulator".to_owned() } else { base_url },
            simulated,
            claims: self.tested.claims.clone(),
            settings: self.tested.settings.clone(),
            rows: rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
            confidence: options.confidence,
            seed: options.seed,
            started_at: now(),
            scope: Scope { beside, ..Scope::default() },
        };
        let recording = engine::record(&client, &rows, &options, header).await;
        let mut results = judge(&self.catalog, &recording).map_err(|e| CliError::Fault(e.to_string()))?;
        if self.sending.redact == Redact::Texts {
            results = without_texts(results);
        }
        if let Some(baseline) = &self.baseline {
            baseline.hold(&mut results, &self.catalog, self.strict);
        }
        Ok(results)
    }
}
