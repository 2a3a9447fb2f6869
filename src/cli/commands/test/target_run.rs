//! [`TargetRun`]: the run of a target. It is made once, when its first test needs the results.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::catalog::Catalog;
use crate::cli::args::baseline::LoadedBaseline;
use crate::cli::args::send::SendArgs;
use crate::cli::args::simulator::SimulatorOptions;
use crate::cli::clock::current_timestamp;
use crate::cli::commands::test::TestArgs;
use crate::cli::runtime::multi_thread_runtime;
use crate::cli::session::connection::EndpointConnection;
use crate::cli::session::preflight::PreflightResult;
use crate::cli::session::shared::SharedState;
use crate::cli::target::model::ResolvedTarget;
use crate::cli::{CliError, ProcessEnvironment};
use crate::engine;
use crate::engine::{RowSelection, judge};
use crate::recording::run::{RunHeader, SCHEMA};
use crate::recording::scope::RunScope;
use crate::redact::ContentPolicy;
use crate::results::model::Results;
use crate::results::redact::redact_content;

/// The run of a target.
#[derive(Debug)]
pub struct TargetRun {
    catalog: Arc<Catalog>,
    target: ResolvedTarget,
    row_ids: HashSet<String>,
    sending: SendArgs,
    shared: Arc<SharedState>,
    simulator: SimulatorOptions,
    entropy: u64,
    preflight: Arc<PreflightResult>,
    baseline: Option<Arc<LoadedBaseline>>,
    strict: bool,
    results: OnceLock<Result<Results, String>>,
}

impl TargetRun {
    /// A run of these rows, not made yet.
    pub fn new(
        args: &TestArgs,
        environment: &ProcessEnvironment,
        catalog: Arc<Catalog>,
        target: ResolvedTarget,
        shared: Arc<SharedState>,
        simulator: SimulatorOptions,
        row_ids: &[String],
        baseline: Option<Arc<LoadedBaseline>>,
        preflight: Arc<PreflightResult>,
    ) -> Self {
        Self {
            baseline,
            strict: args.strict,
            row_ids: row_ids.iter().cloned().collect(),
            preflight,
            catalog,
            target,
            shared,
            sending: args.sending.clone(),
            simulator,
            entropy: environment.entropy,
            results: OnceLock::new(),
        }
    }

    /// The target.
    pub fn target(&self) -> &ResolvedTarget {
        &self.target
    }

    /// The results. Makes the run if necessary.
    pub fn results(&self) -> Result<&Results, &str> {
        let results = self.results.get_or_init(|| self.run().map_err(|error| error.to_string()));
        results.as_ref().map_err(String::as_str)
    }

    fn run(&self) -> Result<Results, CliError> {
        multi_thread_runtime()?.block_on(self.run_async())
    }

    async fn run_async(&self) -> Result<Results, CliError> {
        let Self { target, sending, shared, catalog, .. } = self;
        let connection =
            EndpointConnection::new(target, sending, shared, &self.simulator, catalog, &self.preflight, Instant::now())
                .await?;
        let options =
            shared.run_options(sending, target, sending.seed.unwrap_or_else(|| connection.default_seed(self.entropy)));
        let RowSelection { run: rows, dependencies: beside, .. } =
            RowSelection::new(self.catalog.rows.iter().collect(), |row| self.row_ids.contains(row));
        let header = RunHeader {
            schema: SCHEMA.to_owned(),
            name: self.target.name.clone(),
            base_url: connection.base_url.clone(),
            simulated: connection.is_simulated(),
            claims: self.target.claims.clone(),
            settings: self.target.settings.clone(),
            rows: rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
            confidence: options.confidence,
            seed: options.seed,
            started_at: current_timestamp(),
            scope: RunScope { beside, ..RunScope::default() },
        };
        let recording = engine::run_in_memory(&connection.client, &rows, &options, header).await;
        let mut results = judge(&self.catalog, &recording)?;
        if self.sending.redact == ContentPolicy::RemoveContent {
            results = redact_content(results);
        }
        if let Some(baseline) = &self.baseline {
            baseline.compare(&mut results, &self.catalog, self.strict);
        }
        Ok(results)
    }
}
