//! [`TargetRun`]: the run of a target. It is made once, when its first test needs the results.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::catalog::Catalog;
use crate::cli::CliError;
use crate::cli::args::baseline::LoadedBaseline;
use crate::cli::args::send::SendArgs;
use crate::cli::args::simulator::SimulatorOptions;
use crate::cli::clock::current_timestamp;
use crate::cli::runtime::{multi_thread_runtime, run_to_end};
use crate::cli::session::connection::EndpointConnection;
use crate::cli::session::preflight::PreflightResult;
use crate::cli::session::shared::SharedState;
use crate::cli::target::model::ResolvedTarget;
use crate::engine;
use crate::engine::{RowSelection, judge};
use crate::recording::run::{RunHeader, SCHEMA};
use crate::recording::scope::RunScope;
use crate::redact::ContentPolicy;
use crate::results::model::Results;
use crate::results::redact::redact_content;

/// What the runs of all targets of the command have in common.
#[derive(Debug)]
pub struct TestSession {
    /// The case files.
    pub catalog: Arc<Catalog>,
    /// How requests are sent.
    pub sending: SendArgs,
    /// The budget and the accounts.
    pub shared: SharedState,
    /// The options of simulated targets.
    pub simulator: SimulatorOptions,
    /// The source of the seed of live targets.
    pub entropy: u64,
    /// The transport and the credentials.
    pub preflight: PreflightResult,
    /// What the results are compared with.
    pub baseline: Option<LoadedBaseline>,
    /// True if silent rows, undetermined rows and findings also fail.
    pub strict: bool,
}

/// The run of a target.
#[derive(Debug)]
pub struct TargetRun {
    session: Arc<TestSession>,
    target: ResolvedTarget,
    row_ids: HashSet<String>,
    results: OnceLock<Result<Results, String>>,
}

impl TargetRun {
    /// A run of these rows, not made yet.
    pub fn new(session: Arc<TestSession>, target: ResolvedTarget, row_ids: &[String]) -> Self {
        Self { session, target, row_ids: row_ids.iter().cloned().collect(), results: OnceLock::new() }
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
        run_to_end(multi_thread_runtime()?, self.run_async())
    }

    async fn run_async(&self) -> Result<Results, CliError> {
        let Self { session, target, .. } = self;
        let TestSession { catalog, sending, shared, simulator, entropy, preflight, baseline, strict } = &**session;
        let connection =
            EndpointConnection::new(target, sending, shared, simulator, catalog, preflight, Instant::now()).await?;
        let options =
            shared.run_options(sending, target, sending.seed.unwrap_or_else(|| connection.default_seed(*entropy)));
        let testable = || target.testable_rows(catalog);
        let selection = RowSelection::new(testable().collect(), testable(), |row| self.row_ids.contains(row));
        let header = RunHeader {
            schema: SCHEMA.to_owned(),
            name: self.target.name.clone(),
            base_url: connection.base_url.clone(),
            simulated: connection.is_simulated(),
            claims: self.target.claims.clone(),
            settings: self.target.settings.clone(),
            rows: selection.all_rows().iter().map(|row| row.experiment.id().to_owned()).collect(),
            confidence: options.confidence,
            seed: options.seed,
            started_at: current_timestamp(),
            scope: RunScope { beside: selection.dependency_ids(), ..RunScope::default() },
        };
        let recording = engine::run_selection_in_memory(&connection.client, &selection, &options, header).await;
        let mut results = judge(catalog, &recording)?;
        if sending.redact == ContentPolicy::RemoveContent {
            results = redact_content(results);
        }
        if let Some(baseline) = baseline {
            baseline.compare(&mut results, catalog, *strict);
        }
        Ok(results)
    }
}
