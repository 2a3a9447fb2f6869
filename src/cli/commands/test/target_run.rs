//! The run of a target: made once, when the first test asks for it, of the rows that are tested and those they work
//! through.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::catalog::Catalog;
use crate::cli::args::baseline::Loaded;
use crate::cli::args::common::SimulatorArgs;
use crate::cli::args::send::{Redact, SendArgs};
use crate::cli::commands::test::TestArgs;
use crate::cli::session::connection::Connection;
use crate::cli::session::preflight::Ready;
use crate::cli::session::run::{now, runtime};
use crate::cli::target::resolve::Tested;
use crate::cli::{CliError, Environment};
use crate::engine;
use crate::engine::judge;
use crate::recording::run::{Header, SCHEMA};
use crate::recording::scope::{Extent, Scope};
use crate::results::model::Results;
use crate::results::redact::without_texts;

/// A target that is tested.
#[derive(Debug)]
pub struct Run {
    catalog: Arc<Catalog>,
    tested: Tested,
    wanted: HashSet<String>,
    sending: SendArgs,
    simulator: SimulatorArgs,
    entropy: u64,
    ready: Arc<Ready>,
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
        ready: Arc<Ready>,
    ) -> Self {
        Self {
            baseline,
            strict: args.strict,
            wanted: wanted.iter().cloned().collect(),
            ready,
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
        let Self { tested, sending, catalog, .. } = self;
        let connected = Connection::new(tested, sending, &self.simulator, catalog, &self.ready, Instant::now()).await?;
        let options = sending.options(tested, sending.seed.unwrap_or_else(|| connected.seed(self.entropy)));
        let Extent { rows, beside } = Extent::of(&self.catalog, |row| self.wanted.contains(row), |_| true);
        let header = Header {
            schema: SCHEMA.to_owned(),
            name: self.tested.name.clone(),
            base_url: connected.base_url.clone(),
            simulated: connected.is_simulated(),
            claims: self.tested.claims.clone(),
            settings: self.tested.settings.clone(),
            rows: rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
            confidence: options.confidence,
            seed: options.seed,
            started_at: now(),
            scope: Scope { beside, ..Scope::default() },
        };
        let recording = engine::record(&connected.client, &rows, &options, header).await;
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
