//! The subject of mutation: [`MutationSubject`] is the simulation of one target. It runs rows
//! against the simulation with any [`SimulatorMutation`].
//!
//! Runs use the client and the engine like the command line. The only judgement here is whether the
//! unmutated server gets the expected verdicts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::{Catalog, CatalogRow, ClaimStatus, Target};
use crate::client::{Budget, Client, ClientConfig};
use crate::engine::{InconclusiveReason, RowDependencies, RowSelection, RunOptions, judge, run_selection_in_memory};
use crate::mutation::error::MutationError;
use crate::mutation::mutant::{describe_verdict, expected_verdict, is_expected};
use crate::mutation::observation::RunObservation;
use crate::recording::request_settings::RequestSettings;
use crate::recording::run::{RunHeader, SCHEMA};
use crate::recording::scope::RunScope;
use crate::results::mutation::VerdictChange;
use crate::simulator;
use crate::simulator::{RunningSimulator, SimulatorConfig, SimulatorFault};
use crate::wire::exchange::AuthScheme;

/// The default seed of the random values of the run and of the server.
pub(super) const DEFAULT_SEED: u64 = 1;
/// The start of every run. Nobody reads it.
const FIXED_TIME: &str = "2026-01-01T00:00:00Z";
/// The confidence of statistical verdicts: the default of a run.
const DEFAULT_CONFIDENCE: f64 = 0.99;
/// `max_tokens` of requests that do not set it: the default of a run.
const DEFAULT_MAX_TOKENS: u32 = 1024;
/// The number of parallel requests in a run.
const MAX_CONCURRENT_REQUESTS: usize = 4;

/// A target whose simulation is mutated.
#[derive(Debug, Clone)]
pub(super) struct MutationSubject {
    pub catalog: Arc<Catalog>,
    pub target: Arc<Target>,
    /// The dependencies of its rows.
    pub dependencies: Arc<RowDependencies>,
}

/// The changes of a simulated server.
#[derive(Debug, Clone)]
pub(super) struct SimulatorMutation {
    pub statuses: Vec<(String, ClaimStatus)>,
    pub faults: Vec<SimulatorFault>,
    pub seed: u64,
}

impl MutationSubject {
    pub fn new(catalog: &Arc<Catalog>, target: &Target) -> Self {
        let is_testable =
            |row: &&CatalogRow| row.experiment.requires.is_none_or(|needed| target.limits.satisfies(needed));
        let dependencies = RowDependencies::new(&catalog.rows.iter().filter(is_testable).collect::<Vec<_>>());
        Self { catalog: catalog.clone(), target: Arc::new(target.clone()), dependencies: Arc::new(dependencies) }
    }

    /// Whether the target's table has claims about behaviour rows.
    pub fn claims_behaviour(&self) -> bool {
        self.testable_rows()
            .iter()
            .any(|r| !r.experiment.is_field_row() && self.target.claims.contains_key(r.experiment.id()))
    }

    /// The rows that the target can be tested for.
    pub fn testable_rows(&self) -> Vec<&CatalogRow> {
        let is_testable =
            |row: &&CatalogRow| row.experiment.requires.is_none_or(|needed| self.target.limits.satisfies(needed));
        self.catalog.rows.iter().filter(is_testable).collect()
    }

    /// The configuration of the unmutated server.
    pub fn simulator_config(&self) -> SimulatorConfig {
        let mut config = SimulatorConfig::from_target(&self.target);
        config.add_fields(&self.target, self.catalog.field_specs());
        config.seed = DEFAULT_SEED;
        config
    }

    /// The selected rows whose verdict is not the one that the unmutated server must get.
    pub fn unexpected_verdicts(
        &self,
        observation: &RunObservation,
        is_selected: impl Fn(&str) -> bool,
    ) -> Vec<VerdictChange> {
        let config = self.simulator_config();
        let mut unexpected = Vec::new();
        for row in self.testable_rows().into_iter().filter(|row| is_selected(row.experiment.id())) {
            let id = row.experiment.id();
            // The status of a behaviour row is its claim. Without a claim, the simulator is not
            // expected to deviate.
            let claimed = || self.target.claims.get(id).map(|claim| claim.status);
            let status = config.status(id).or_else(|| (!row.experiment.is_field_row()).then(claimed)?);
            let (Some(result), Some(status)) = (observation.rows.get(id), status) else { continue };
            let (expected, reached) = (expected_verdict(status), result.verdict.status);
            let statuses = &row.experiment.statuses;
            // A claim that the row cannot have is a problem of the table: any possible verdict is
            // accepted.
            let is_expected = if statuses.iter().any(|status| status.is_same_kind(expected)) {
                is_expected(expected, &result.verdict)
            } else {
                row.experiment.can_reach(reached)
            };
            // A row that depends on an unsupported row is inconclusive, and its reason says so.
            let is_blocked = result.verdict.code.as_deref() == Some(InconclusiveReason::Blocked.as_str());
            if !is_expected && !is_blocked {
                unexpected.push(VerdictChange {
                    row: id.to_owned(),
                    expected,
                    reached,
                    reason: describe_verdict(&result.verdict),
                });
            }
        }
        unexpected
    }

    /// Starts the server with this mutation, and a client for it.
    pub async fn start_server(
        &self,
        mutation: &SimulatorMutation,
    ) -> Result<(RunningSimulator, Client), MutationError> {
        let run_started = Instant::now();
        let running = simulator::start(self.mutated_config(mutation)?).await.map_err(MutationError::Start)?;
        let mut config = ClientConfig::new(running.base_url(), AuthScheme::XApiKey);
        config.credential = Some(running.credential().to_owned().into());
        config.timeout = Duration::from_secs(60);
        config.initial_backoff = Duration::from_millis(5);
        config.use_proxies = false;
        config.run_started = run_started;
        let client = Client::new(config).map_err(|e| MutationError::Client(e.to_string()))?;
        Ok((running, client))
    }

    /// The configuration of the server with this mutation.
    pub fn mutated_config(&self, mutation: &SimulatorMutation) -> Result<SimulatorConfig, MutationError> {
        let mut config = self.simulator_config();
        config.seed = mutation.seed;
        config.faults.clone_from(&mutation.faults);
        for (row, status) in &mutation.statuses {
            config.set_status(row, *status)?;
        }
        Ok(config)
    }

    /// Runs all rows except `left_out` against the server with this mutation.
    pub async fn run(
        &self,
        mutation: &SimulatorMutation,
        left_out: &[String],
    ) -> Result<RunObservation, MutationError> {
        let (running, client) = self.start_server(mutation).await?;
        let mut rows = self.testable_rows();
        rows.retain(|row| !left_out.iter().any(|id| id == row.experiment.id()));
        let options = RunOptions {
            settings: RequestSettings::from_target(&self.target, DEFAULT_MAX_TOKENS),
            seed: DEFAULT_SEED,
            confidence: DEFAULT_CONFIDENCE,
            concurrency: MAX_CONCURRENT_REQUESTS,
            budget: Budget::default(),
            eager: false,
        };
        let header = RunHeader {
            schema: SCHEMA.to_owned(),
            name: self.target.name.clone(),
            base_url: "http://simulator".to_owned(),
            simulated: true,
            claims: Some((*self.target).clone()),
            settings: options.settings.clone(),
            rows: rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
            confidence: DEFAULT_CONFIDENCE,
            seed: DEFAULT_SEED,
            started_at: FIXED_TIME.to_owned(),
            scope: RunScope::default(),
        };
        let recording = run_selection_in_memory(&client, &RowSelection::all(rows), &options, header).await;
        let results = judge(&self.catalog, &recording)?;
        Ok(RunObservation::new(recording, results, running.field_activity()))
    }
}
