//! A ground: the simulation of one target, and runs against it with whatever is changed in it.
//!
//! Runs go through the client and the engine as those of the command line do. Nothing is judged here but whether the
//! unmutated server is seen as what it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::{Catalog, CatalogRow, ClaimStatus, Target};
use crate::client::{Budget, Client, ClientConfig, CredentialHeader};
use crate::engine::{InconclusiveReason, RunOptions, judge, run_in_memory};
use crate::mutation::mutant::{depends_on, expected_verdict};
use crate::mutation::observation::RunObservation;
use crate::mutation::outcome::describe;
use crate::mutation::run::MutationError;
use crate::recording::request_settings::RequestSettings;
use crate::recording::run::{RunHeader, SCHEMA};
use crate::results::mutation::VerdictChange;
use crate::simulator;
use crate::simulator::{SimulatorConfig, SimulatorFault};

/// The seed of every draw, on either side, unless told.
pub(super) const DEFAULT_SEED: u64 = 1;
/// A moment for results whose dates nobody looks at.
const FIXED_TIME: &str = "2026-01-01T00:00:00Z";
/// The confidence of statistical verdicts: the default of a run.
const DEFAULT_CONFIDENCE: f64 = 0.99;
/// `max_tokens` of requests that do not set it: the default of a run.
const DEFAULT_MAX_TOKENS: u32 = 1024;
/// How many requests of a run are under way at once.
const MAX_CONCURRENT_REQUESTS: usize = 4;

/// A target whose simulation is mutated.
#[derive(Debug, Clone)]
pub(super) struct MutationSubject {
    pub catalog: Arc<Catalog>,
    pub target: Arc<Target>,
}

/// What is changed in a simulated server.
#[derive(Debug, Clone)]
pub(super) struct SimulatorMutation {
    pub statuses: Vec<(String, ClaimStatus)>,
    pub faults: Vec<SimulatorFault>,
    pub seed: u64,
}

/// The rows that a run is made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum SubjectRows<'a> {
    /// Those that stand for a field.
    Fields,
    /// Those about conduct, and those that they work through. What changes in a field changes many of them, so they are no witnesses of it.
    Behaviour,
    /// One, and those that it works through.
    Single(&'a str),
}

impl MutationSubject {
    pub fn new(catalog: &Arc<Catalog>, target: &Target) -> Self {
        Self { catalog: catalog.clone(), target: Arc::new(target.clone()) }
    }

    /// True where the target's document says anything of rows about conduct.
    pub fn claims_behaviour(&self) -> bool {
        self.testable_rows()
            .iter()
            .any(|r| !r.experiment.is_field_row() && self.target.claims.contains_key(r.experiment.id()))
    }

    /// The rows that the target can be tested for.
    pub fn testable_rows(&self) -> Vec<&CatalogRow> {
        let can = |row: &&CatalogRow| row.experiment.requires.is_none_or(|needed| self.target.limits.satisfies(needed));
        self.catalog.rows.iter().filter(can).collect()
    }

    /// The server before anything is changed.
    pub fn simulator_config(&self) -> SimulatorConfig {
        let mut behaviour = SimulatorConfig::from_target(&self.target);
        behaviour.add_fields(&self.target, self.catalog.field_specs());
        behaviour.seed = DEFAULT_SEED;
        behaviour
    }

    /// The rows, of those asked for, whose verdict is not what the unmutated server deserves.
    pub fn misjudged(&self, shown: &RunObservation, asked: impl Fn(&str) -> bool) -> Vec<VerdictChange> {
        let behaviour = self.simulator_config();
        let mut wrong = Vec::new();
        for row in self.testable_rows().into_iter().filter(|row| asked(row.experiment.id())) {
            let id = row.experiment.id();
            // Rows about conduct have a claim at most; what is not claimed of it, the simulated server does right.
            let claimed = || self.target.claims.get(id).map(|claim| claim.status);
            let status = behaviour.status(id).or_else(|| (!row.experiment.is_field_row()).then(claimed)?);
            let (Some(result), Some(status)) = (shown.rows.get(id), status) else { continue };
            let (expected, reached) = (expected_verdict(status), result.verdict.status);
            let statuses = &row.experiment.statuses;
            // A claim of what the row cannot have is the document's affair; any verdict that it can have will do.
            let holds = if statuses.contains(&expected) { reached == expected } else { statuses.contains(&reached) };
            // On a ground where what it works through is not honoured, the row has nothing to stand on, and says so.
            let rests = result.verdict.code.as_deref() == Some(InconclusiveReason::DependsOn.as_str());
            if !holds && !rests {
                wrong.push(VerdictChange { row: id.to_owned(), expected, reached, reason: describe(&result.verdict) });
            }
        }
        wrong
    }

    fn select_rows(&self, which: SubjectRows<'_>) -> Vec<&CatalogRow> {
        let is_meant = |row: &&CatalogRow| match which {
            SubjectRows::Fields => row.experiment.is_field_row(),
            SubjectRows::Behaviour => {
                let id = row.experiment.id();
                let carries = |other: &CatalogRow| depends_on(&self.catalog, other.experiment.id(), id);
                !row.experiment.is_field_row()
                    || self.testable_rows().into_iter().any(|other| !other.experiment.is_field_row() && carries(other))
            }
            SubjectRows::Single(id) => row.experiment.id() == id || depends_on(&self.catalog, id, row.experiment.id()),
        };
        self.testable_rows().into_iter().filter(is_meant).collect()
    }

    /// Runs rows against the server with these changes.
    pub async fn run(
        &self,
        which: SubjectRows<'_>,
        changes: &SimulatorMutation,
    ) -> Result<RunObservation, MutationError> {
        let started = Instant::now();
        let mut behaviour = self.simulator_config();
        behaviour.seed = changes.seed;
        behaviour.faults.clone_from(&changes.faults);
        for (row, status) in &changes.statuses {
            behaviour.set_status(row, *status)?;
        }
        let credential = behaviour.expected_credential().to_owned();
        let running = simulator::start(behaviour).await.map_err(MutationError::Start)?;
        let mut config = ClientConfig::new(running.base_url(), CredentialHeader::XApiKey);
        config.credential = Some(credential.into());
        config.timeout = Duration::from_secs(60);
        config.initial_backoff = Duration::from_millis(5);
        config.use_proxies = false;
        config.run_started = started;
        let client = Client::new(config).map_err(|e| MutationError::Client(e.to_string()))?;
        let rows = self.select_rows(which);
        let options = RunOptions {
            settings: RequestSettings::from_target(&self.target, DEFAULT_MAX_TOKENS),
            seed: DEFAULT_SEED,
            confidence: DEFAULT_CONFIDENCE,
            concurrency: MAX_CONCURRENT_REQUESTS,
            budget: Budget::default(),
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
            scope: crate::recording::scope::RunScope::default(),
        };
        let recording = run_in_memory(&client, &rows, &options, header).await;
        let results = judge(&self.catalog, &recording)?;
        Ok(RunObservation::new(&recording, results, running.field_activity()))
    }
}
