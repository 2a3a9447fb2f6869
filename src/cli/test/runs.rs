//! The run of a target: made once, when the first test asks for it, of the rows that are tested and those they work
//! through.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::TestArgs;
use crate::case::{Catalog, CatalogRow};
use crate::cli::args::SimulatorArgs;
use crate::cli::endpoint::{Place, Tested};
use crate::cli::held::Loaded;
use crate::cli::sending::SendArgs;
use crate::cli::{CliError, Environment};
use crate::client::Client;
use crate::engine::recording::{Header, SCHEMA};
use crate::engine::{self, judge};
use crate::report::results::Results;
use crate::simulator;

/// A target that is tested.
#[derive(Debug)]
pub struct Run {
    catalog: Arc<Catalog>,
    tested: Tested,
    rows: HashSet<String>,
    sending: SendArgs,
    simulator: SimulatorArgs,
    entropy: u64,
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
            rows: with_those_worked_through(&catalog, wanted),
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
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|e| CliError::Fault(format!("cannot start the runtime: {e}")))?;
        runtime.block_on(self.send())
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
        let config = self.sending.config(&self.tested, &base_url, credential, simulated, Instant::now());
        let client = Client::new(config).map_err(|e| CliError::Usage(e.to_string()))?;
        let options = self.sending.options(&self.tested, seed.unwrap_or(if simulated { 1 } else { self.entropy }));
        let is_wanted = |row: &&CatalogRow| self.rows.contains(row.experiment.id());
        let rows: Vec<&CatalogRow> = self.catalog.rows.iter().filter(is_wanted).collect();
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
            started_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        };
        let recording = engine::record(&client, &rows, &options, header).await;
        let mut results = judge(&self.catalog, &recording).map_err(|e| CliError::Fault(e.to_string()))?;
        if let Some(baseline) = &self.baseline {
            baseline.hold(&mut results, &self.catalog, self.strict);
        }
        Ok(results)
    }
}

/// The rows, those they work through, those that these work through, and so on.
fn with_those_worked_through(catalog: &Catalog, wanted: &[String]) -> HashSet<String> {
    let mut all = HashSet::new();
    let mut open: Vec<&str> = wanted.iter().map(String::as_str).collect();
    while let Some(id) = open.pop() {
        if all.insert(id.to_owned()) {
            let through = catalog.experiment(id).map(|experiment| &experiment.through);
            open.extend(through.into_iter().flatten().map(String::as_str));
        }
    }
    all
}
