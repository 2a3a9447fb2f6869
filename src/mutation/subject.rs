//! A ground: the simulation of one target, and runs against it with whatever is changed in it.
//!
//! Runs go through the client and the engine as those of the command line do. Nothing is judged here but whether the
//! unmutated server is seen as what it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::{Catalog, CatalogRow, ClaimStatus, Target};
use crate::client::{Budget, Client, ClientConfig, Scheme};
use crate::engine::request::build::Settings;
use crate::engine::{Options, Undecided, judge};
use crate::mutation::mutant::{deserved, works_through};
use crate::mutation::observation::Shown;
use crate::mutation::outcome::told;
use crate::mutation::run::ProofError;
use crate::recording::in_memory::record;
use crate::recording::run::{Header, SCHEMA};
use crate::results::mutation::Change;
use crate::simulator;
use crate::simulator::{Behaviour, Fault};

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
    pub faults: Vec<Fault>,
    pub seed: u64,
}

/// The rows that a run is made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'a> {
    /// Those that stand for a field.
    Fields,
    /// Those about conduct, and those that they work through. What changes in a field changes many of them, so they are no witnesses of it.
    Conduct,
    /// One, and those that it works through.
    One(&'a str),
}

impl Ground {
    pub fn new(catalog: &Arc<Catalog>, target: &Target) -> Self {
        Self { catalog: catalog.clone(), target: Arc::new(target.clone()) }
    }

    /// True where the target's document says anything of rows about conduct.
    pub fn claims_conduct(&self) -> bool {
        self.rows().iter().any(|r| !r.experiment.is_of_field() && self.target.claims.contains_key(r.experiment.id()))
    }

    /// The rows that the target can be tested for.
    pub fn rows(&self) -> Vec<&CatalogRow> {
        let can = |row: &&CatalogRow| row.experiment.requires.is_none_or(|needed| self.target.limits.state(needed));
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
            // Rows about conduct have a claim at most; what is not claimed of it, the simulated server does right.
            let claimed = || self.target.claims.get(id).map(|claim| claim.status);
            let status = behaviour.status(id).or_else(|| (!row.experiment.is_of_field()).then(claimed)?);
            let (Some(result), Some(status)) = (shown.rows.get(id), status) else { continue };
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

    fn rows_of(&self, which: Rows<'_>) -> Vec<&CatalogRow> {
        let is_meant = |row: &&CatalogRow| match which {
            Rows::Fields => row.experiment.is_of_field(),
            Rows::Conduct => {
                let id = row.experiment.id();
                let carries = |other: &CatalogRow| works_through(&self.catalog, other.experiment.id(), id);
                !row.experiment.is_of_field()
                    || self.rows().into_iter().any(|other| !other.experiment.is_of_field() && carries(other))
            }
            Rows::One(id) => row.experiment.id() == id || works_through(&self.catalog, id, row.experiment.id()),
        };
        self.rows().into_iter().filter(is_meant).collect()
    }

    /// Runs rows against the server with these changes.
    pub async fn show(&self, which: Rows<'_>, changes: &Changes) -> Result<Shown, ProofError> {
        let started = Instant::now();
        let mut behaviour = self.behaviour();
        behaviour.seed = changes.seed;
        behaviour.faults.clone_from(&changes.faults);
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
        let rows = self.rows_of(which);
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
            scope: crate::recording::scope::Scope::default(),
        };
        let recording = record(&client, &rows, &options, header).await;
        let results = judge(&self.catalog, &recording)?;
        Ok(Shown::new(&recording, results, running.acted()))
    }
}
