//! The run of a target: made once, when the first test asks for it, of the rows that are tested and those they work
//! through.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::catalog::Catalog;
use crate::cli::args::baseline::LoadedBaseline;
use crate::cli::args::send::SendArgs;
use crate::cli::args::simulator::SimulatorOptions;
use crate::cli::commands::test::TestArgs;
use crate::cli::session::connection::EndpointConnection;
use crate::cli::session::preflight::PreflightResult;
use crate::cli::session::run::{current_timestamp, multi_thread_runtime};
use crate::cli::target::resolve::ResolvedTarget;
use crate::cli::{CliError, ProcessEnvironment};
use crate::engine;
use crate::engine::{RowSelection, judge};
use crate::recording::run::{RunHeader, SCHEMA};
use crate::recording::scope::RunScope;
use crate::redact::ContentPolicy;
use crate::results::model::Results;
use crate::results::redact::redact_content;

/// A target that is tested.
#[derive(Debug)]
pub struct TargetRun {
    catalog: Arc<Catalog>,
    target: ResolvedTarget,
    row_ids: HashSet<String>,
    sending: SendArgs,
    simulator: SimulatorOptions,
    entropy: u64,
    preflight: Arc<PreflightResult>,
    baseline: Option<Arc<LoadedBaseline>>,
    strict: bool,
    results: OnceLock<Result<Results, String>>,
}

impl TargetRun {
    /// A run of these rows, not yet made.
    pub fn new(
        args: &TestArgs,
        environment: &ProcessEnvironment,
        catalog: Arc<Catalog>,
        tested: ResolvedTarget,
        simulator: SimulatorOptions,
        wanted: &[String],
        baseline: Option<Arc<LoadedBaseline>>,
        ready: Arc<PreflightResult>,
    ) -> Self {
        Self {
            baseline,
            strict: args.strict,
            row_ids: wanted.iter().cloned().collect(),
            preflight: ready,
            catalog,
            target: tested,
            sending: args.sending.clone(),
            simulator,
            entropy: environment.entropy,
            results: OnceLock::new(),
        }
    }

    /// What is tested.
    pub fn target(&self) -> &ResolvedTarget {
        &self.target
    }

    /// The results; the run is made where it was not yet.
    pub fn results(&self) -> Result<&Results, &str> {
        let made = self.results.get_or_init(|| self.run().map_err(|error| error.to_string()));
        made.as_ref().map_err(String::as_str)
    }

    fn run(&self) -> Result<Results, CliError> {
        multi_thread_runtime()?.block_on(self.run_async())
    }

    async fn run_async(&self) -> Result<Results, CliError> {
        let Self { target: tested, sending, catalog, .. } = self;
        let connected =
            EndpointConnection::new(tested, sending, &self.simulator, catalog, &self.preflight, Instant::now()).await?;
        let options = sending.run_options(tested, sending.seed.unwrap_or_else(|| connected.default_seed(self.entropy)));
        let RowSelection { run: rows, dependencies: beside, .. } =
            RowSelection::new(self.catalog.rows.iter().collect(), |row| self.row_ids.contains(row));
        let header = RunHeader {
            schema: SCHEMA.to_owned(),
            name: self.target.name.clone(),
            base_url: connected.base_url.clone(),
            simulated: connected.is_simulated(),
            claims: self.target.claims.clone(),
            settings: self.target.settings.clone(),
            rows: rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
            confidence: options.confidence,
            seed: options.seed,
            started_at: current_timestamp(),
            scope: RunScope { beside, ..RunScope::default() },
        };
        let recording = engine::run_in_memory(&connected.client, &rows, &options, header).await;
        let mut results = judge(&self.catalog, &recording).map_err(|e| CliError::Internal(e.to_string()))?;
        if self.sending.redact == ContentPolicy::RemoveContent {
            results = redact_content(results);
        }
        if let Some(baseline) = &self.baseline {
            baseline.compare(&mut results, &self.catalog, self.strict);
        }
        Ok(results)
    }
}
