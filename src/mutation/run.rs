//! The proof from beginning to end: ground by ground, first without a mutant, then the two sentinels, then all mutants.
//!
//! To be quick, several unrelated mutants share a run. Where such a run shows anything that is not allowed, its mutants
//! are tried again in parts, down to each by itself, and only what is wrong with a mutant by itself counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};

use crate::catalog::{Catalog, CatalogRow, Experiment, VerdictStatus};
use crate::engine::JudgeError;
use crate::mutation::mutant::RowMutant;
use crate::mutation::observation::RunObservation;
use crate::mutation::outcome::BatchResult;
use crate::mutation::report_builder::ReportBuilder;
use crate::mutation::subject::{DEFAULT_SEED, MutationSubject, SimulatorMutation, SubjectRows};
use crate::mutation::{controls, mutant};
use crate::results::mutation::{MutantOutcome, MutationReport, SubjectReport};
use crate::simulator::UnknownRow;

/// How many mutants share a run.
const BATCH_SIZE: usize = 10;

/// What is to be proved.
#[derive(Debug, Clone)]
pub struct MutationOptions {
    /// The targets whose simulations are mutated, in order.
    pub targets: Vec<String>,
    /// The rows that are mutated. All rows are run each time, since none may change along.
    pub rows: Vec<String>,
    /// Give each mutant a run of its own from the start.
    pub one_by_one: bool,
    /// How many runs are under way at once.
    pub jobs: usize,
}

/// What is told while a proof goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MutationEvent<'a> {
    /// A ground is begun.
    SubjectStarted(&'a str),
    /// So many mutants are to be tried on it.
    MutantsPlanned(u64),
    /// So many of them are done.
    MutantsDone(u64),
}

/// What kept a proof from being made: none of it says anything about a row.
#[derive(Debug, thiserror::Error)]
pub enum MutationError {
    /// There is no such target.
    #[error("there is no target `{0}`")]
    UnknownTarget(String),
    /// The simulator did not start.
    #[error("cannot start the simulator: {0}")]
    Start(std::io::Error),
    /// The client did not start.
    #[error("cannot start the client: {0}")]
    Client(String),
    /// A row was to be changed that the simulator does not know.
    #[error(transparent)]
    UnknownRow(#[from] UnknownRow),
    /// The run could not be judged.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// A run ended in the midst.
    #[error("a run came to no end: {0}")]
    Run(#[from] tokio::task::JoinError),
}

/// Makes the proof.
///
/// # Errors
/// What kept it from being made.
pub async fn prove(
    catalog: &Arc<Catalog>,
    options: &MutationOptions,
    told: &mut (dyn FnMut(MutationEvent<'_>) + Send),
) -> Result<MutationReport, MutationError> {
    // Rows about conduct are tried on servers that are said to conduct themselves in some way: elsewhere, what their
    // requests carry may be ignored, and the row with it.
    let grounds_of = |name: &String| catalog.targets.get(name).map(|target| MutationSubject::new(catalog, target));
    let any = options.targets.iter().filter_map(grounds_of).any(|ground| ground.claims_behaviour());
    let can = |row: &&String| any || catalog.experiment(row).is_none_or(Experiment::is_field_row);
    let options = &MutationOptions { rows: options.rows.iter().filter(can).cloned().collect(), ..options.clone() };
    let mut book = ReportBuilder::new(catalog, &options.rows);
    let mut grounds = Vec::new();
    for name in &options.targets {
        let target = catalog.targets.get(name).ok_or_else(|| MutationError::UnknownTarget(name.clone()))?;
        let ground = MutationSubject::new(catalog, target);
        told(MutationEvent::SubjectStarted(name));
        grounds.push(prove_subject(&ground, options, &mut book, told).await?);
    }
    Ok(MutationReport::new(grounds, book.finish()))
}

async fn prove_subject(
    ground: &MutationSubject,
    options: &MutationOptions,
    book: &mut ReportBuilder,
    told: &mut (dyn FnMut(MutationEvent<'_>) + Send),
) -> Result<SubjectReport, MutationError> {
    let name = ground.target.name.clone();
    let unchanged = SimulatorMutation { statuses: Vec::new(), faults: Vec::new(), seed: DEFAULT_SEED };
    let mut before = ground.run(SubjectRows::Fields, &unchanged).await?;
    before.merge(ground.run(SubjectRows::Behaviour, &unchanged).await?);
    let before = Arc::new(before);
    let asked = |row: &str| options.rows.iter().any(|asked| asked == row);
    let unmutated = ground.misjudged(&before, asked);
    let passes = unmutated.is_empty();
    let mut mutants = Vec::new();
    let behaviour = ground.simulator_config();
    let honoured = |row: &str| before.rows.get(row).is_some_and(|r| r.verdict.status == VerdictStatus::Supported);
    let of_conduct = ground.claims_behaviour();
    let meant = |row: &&CatalogRow| asked(row.experiment.id()) && (of_conduct || row.experiment.is_field_row());
    for row in ground.testable_rows().into_iter().filter(meant) {
        let id = row.experiment.id();
        let Some(seen) = before.rows.get(id).map(|row| row.verdict.status) else { continue };
        let is_known = behaviour.status(id).is_some() || !row.experiment.is_field_row();
        if is_known && !unmutated.iter().any(|wrong| wrong.row == id) {
            book.add_status(id, seen, &name);
        }
        let of_row = mutant::generate_mutants(row, &behaviour, seen, honoured);
        for (mutant, why) in of_row.impossible {
            book.add_failure(&name, &mutant, MutantOutcome::Unproved, &why.to_string());
        }
        mutants.extend(of_row.possible);
    }
    let mut proof =
        SubjectReport { target: name.clone(), rows: before.rows.len() as u64, unmutated, control: None, canary: None };
    if !passes {
        for mutant in &mutants {
            book.add_failure(&name, mutant, MutantOutcome::Untried, "the run without any mutant does not pass");
        }
        return Ok(proof);
    }
    let mut shown = ground.run(SubjectRows::Fields, &controls::control_mutation(ground)).await?;
    shown.merge(ground.run(SubjectRows::Behaviour, &controls::control_mutation(ground)).await?);
    proof.control = Some(controls::evaluate_control(&before, &shown, asked));
    told(MutationEvent::MutantsPlanned(mutants.len() as u64));
    let mut deaf_to = BTreeSet::new();
    let mut waiting = mutant::plan_batches(&ground.catalog, &mutants, if options.one_by_one { 1 } else { BATCH_SIZE });
    while !waiting.is_empty() {
        let runs = stream::iter(std::mem::take(&mut waiting))
            .map(|batch| tokio::spawn(run_batch(ground.clone(), before.clone(), batch)))
            .buffered(options.jobs.max(1));
        futures_util::pin_mut!(runs);
        while let Some(joined) = runs.next().await {
            let tried = joined??;
            if let Some(parts) = tried.bisect() {
                waiting.extend(parts);
                continue;
            }
            told(MutationEvent::MutantsDone(tried.results.len() as u64));
            for one in tried.results.iter() {
                if one.outcome == MutantOutcome::Killed && one.mutant.status == VerdictStatus::Ignored {
                    deaf_to.insert(one.mutant.row.clone());
                }
                book.add_mutant(&name, one, &tried);
            }
        }
    }
    let shown = ground.run(SubjectRows::Fields, &controls::canary_mutation(ground, &before)).await?;
    proof.canary = Some(controls::evaluate_canary(ground, &before, &shown, |row| deaf_to.contains(row)));
    Ok(proof)
}

async fn run_batch(
    ground: MutationSubject,
    before: Arc<RunObservation>,
    mutants: Vec<RowMutant>,
) -> Result<BatchResult, MutationError> {
    // What cannot be told to a server was sorted out before.
    let statuses = mutants.iter().filter_map(|mutant| Some((mutant.row.clone(), mutant.claim_status().ok()?)));
    let faults: Vec<_> = mutants.iter().filter_map(|mutant| mutant.fault).collect();
    let which = match mutants.as_slice() {
        [one] if one.fault.is_some() => SubjectRows::Single(&one.row),
        _ => SubjectRows::Fields,
    };
    let statuses = if faults.is_empty() { statuses.collect() } else { Vec::new() };
    let after = ground.run(which, &SimulatorMutation { statuses, faults, seed: DEFAULT_SEED }).await?;
    Ok(BatchResult::evaluate(&ground.catalog, &before, &after, &mutants))
}
