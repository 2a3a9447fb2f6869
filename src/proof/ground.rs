//! A ground: the simulation of one target, and runs against it with whatever is changed in it.
//!
//! Runs go through the client and the engine as those of the command line do. Nothing is judged here but whether the
//! unmutated server is seen as what it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fate::told;
use super::mutant::deserved;
use super::run::ProofError;
use super::shown::Shown;
use crate::case::{Catalog, CatalogRow, ClaimStatus, Requirement, Target};
use crate::client::{Client, ClientConfig, Scheme};
use crate::engine::build::Settings;
use crate::engine::recording::{Header, SCHEMA};
use crate::engine::{Budget, Options, Undecided, judge, record};
use crate::report::proof::Change;
use crate::simulator::{self, Behaviour};

/// The seed of every draw, on either side, unless told.
pub(super) const SEED: u64 = 1;
/// A moment for results whose dates nobody looks at.
const MOMENT: &str = "2026-01-01T00:00:00Z";
/// The confidence of statistical verdicts: the default of a run.
const CONFIDENCE: f64 = 0.99;
/// `max_tokens` of requests that do not set it: the default of a run.
const ANSWER_TOKENS: u32 = 1024;
/// How many requests of a run are under way at once.
const CONCURRENCY: usize = 4;

/// A target whose simulation is mutated.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub catalog: Arc<Catalog>,
    pub target: Arc<Target>,
}

/// What is changed in a simulated server.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    pub statuses: Vec<(String, ClaimStatus)>,
    pub seed: u64,
}

impl Ground {
    /// The rows that the target can be tested for.
    pub fn rows(&self) -> Vec<&CatalogRow> {
        let can = |row: &&CatalogRow| match row.experiment.requires {
            Some(Requirement::MaxOutputTokens) => self.target.limits.max_output_tokens.is_some(),
            None => true,
        };
        self.catalog.rows.iter().filter(can).collect()
    }

    /// The server before anything is changed.
    pub fn behaviour(&self) -> Behaviour {
        let mut behaviour = Behaviour::of(&self.target);
        behaviour.know(&self.target, self.catalog.fields());
        behaviour.seed = SEED;
        behaviour
    }

    /// The rows, of those asked for, whose verdict is not what the unmutated server deserves.
    pub fn misjudged(&self, shown: &Shown, asked: impl Fn(&str) -> bool) -> Vec<Change> {
        let behaviour = self.behaviour();
        let mut wrong = Vec::new();
        for row in self.rows().into_iter().filter(|row| asked(row.experiment.id())) {
            let id = row.experiment.id();
            let (Some(result), Some(status)) = (shown.rows.get(id), behaviour.status(id)) else { continue };
            let (expected, reached) = (deserved(status), result.verdict.status);
            let statuses = &row.experiment.statuses;
            // A claim of what the row cannot have is the document's affair; any verdict that it can have will do.
            let holds = if statuses.contains(&expected) { reached == expected } else { statuses.contains(&reached) };
            // On a ground where what it works through is not honoured, the row has nothing to stand on, and says so.
            let rests = result.verdict.code.as_deref() == Some(Undecided::RestsOn.word());
            if !holds && !rests {
                wrong.push(Change { row: id.to_owned(), expected, reached, reason: told(&result.verdict) });
            }
        }
        wrong
    }

    /// Runs every row against the server with these changes.
    pub async fn show(&self, changes: &Changes) -> Result<Shown, ProofError> {
        let started = Instant::now();
        let mut behaviour = self.behaviour();
        behaviour.seed = changes.seed;
        for (row, status) in &changes.statuses {
            behaviour.flip(row, *status)?;
        }
        let credential = behaviour.right_credential().to_owned();
        let running = simulator::start(behaviour).await.map_err(ProofError::Start)?;
        let mut config = ClientConfig::new(running.base_url(), Scheme::XApiKey);
        config.credential = Some(credential.into());
        config.timeout = Duration::from_secs(60);
        config.first_wait = Duration::from_millis(5);
        config.proxies = false;
        config.run_started = started;
        let client = Client::new(config).map_err(|e| ProofError::Client(e.to_string()))?;
        let rows = self.rows();
        let options = Options {
            settings: Settings::of(&self.target, ANSWER_TOKENS),
            seed: SEED,
            confidence: CONFIDENCE,
            concurrency: CONCURRENCY,
            budget: Budget::default(),
        };
        let header = Header {
            schema: SCHEMA.to_owned(),
            name: self.target.name.clone(),
            base_url: "http://simulator".to_owned(),
            simulated: true,
            claims: Some((*self.target).clone()),
            settings: options.settings.clone(),
            rows: rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
            confidence: CONFIDENCE,
            seed: SEED,
            started_at: MOMENT.to_owned(),
        };
        let recording = record(&client, &rows, &options, header).await;
        let results = judge(&self.catalog, &recording)?;
        Ok(Shown::new(&recording, results, running.acted()))
    }
}
