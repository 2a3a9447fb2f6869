//! The proof from beginning to end: ground by ground, first without a mutant, then the two sentinels, then all mutants.
//!
//! To be quick, several unrelated mutants share a run. Where such a run shows anything that is not allowed, its mutants
//! are tried again in parts, down to each by itself, and only what is wrong with a mutant by itself counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};

use crate::catalog::{Catalog, CatalogRow, Experiment, VerdictStatus};
use crate::engine::JudgeError;
use crate::mutation::mutant::Mutant;
use crate::mutation::observation::Shown;
use crate::mutation::outcome::Tried;
use crate::mutation::report_builder::Book;
use crate::mutation::subject::{Changes, Ground, Rows, SEED};
use crate::mutation::{controls, mutant};
use crate::results::mutation::{Fate, GroundProof, Proof};
use crate::simulator::UnknownRow;

/// How many mutants share a run.
const TOGETHER: usize = 10;

/// What is to be proved.
#[derive(Debug, Clone)]
pub struct Options {
    /// The targets whose simulations are mutated, in order.
    pub targets: Vec<String>,
    /// The rows that are mutated. All rows are run each time, since none may change along.
    pub rows: Vec<String>,
    /// Give each mutant a run of its own from the start.
    pub alone: bool,
    /// How many runs are under way at once.
    pub side_by_side: usize,
}

/// What is told while a proof goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told<'a> {
    /// A ground is begun.
    Ground(&'a str),
    /// So many mutants are to be tried on it.
    Mutants(u64),
    /// So many of them are done.
    Done(u64),
}

/// What kept a proof from being made: none of it says anything about a row.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// There is no such target.
    #[error("there is no target `{0}`")]
    Target(String),
    /// The simulator did not start.
    #[error("cannot start the simulator: {0}")]
    Start(std::io::Error),
    /// The client did not start.
    #[error("cannot start the client: {0}")]
    Client(String),
    /// A row was to be changed that the simulator does not know.
    #[error(transparent)]
    Row(#[from] UnknownRow),
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
    options: &Options,
    told: &mut (dyn FnMut(Told<'_>) + Send),
) -> Result<Proof, ProofError> {
    // Rows about conduct are tried on servers that are said to conduct themselves in some way: elsewhere, what their
    // requests carry may be ignored, and the row with it.
    let grounds_of = |name: &String| catalog.targets.get(name).map(|target| Ground::new(catalog, target));
    let any = options.targets.iter().filter_map(grounds_of).any(|ground| ground.claims_conduct());
    let can = |row: &&String| any || catalog.experiment(row).is_none_or(Experiment::is_of_field);
    let options = &Options { rows: options.rows.iter().filter(can).cloned().collect(), ..options.clone() };
    let mut book = Book::new(catalog, &options.rows);
    let mut grounds = Vec::new();
    for name in &options.targets {
        let target = catalog.targets.get(name).ok_or_else(|| ProofError::Target(name.clone()))?;
        let ground = Ground::new(catalog, target);
        told(Told::Ground(name));
        grounds.push(on_ground(&ground, options, &mut book, told).await?);
    }
    Ok(Proof::of(grounds, book.finish()))
}

async fn on_ground(
    ground: &Ground,
    options: &Options,
    book: &mut Book,
    told: &mut (dyn FnMut(Told<'_>) + Send),
) -> Result<GroundProof, ProofError> {
    let name = ground.target.name.clone();
    let unchanged = Changes { statuses: Vec::new(), faults: Vec::new(), seed: SEED };
    let mut before = ground.show(Rows::Fields, &unchanged).await?;
    before.join(ground.show(Rows::Conduct, &unchanged).await?);
    let before = Arc::new(before);
    let asked = |row: &str| options.rows.iter().any(|asked| asked == row);
    let unmutated = ground.misjudged(&before, asked);
    let passes = unmutated.is_empty();
    let mut mutants = Vec::new();
    let behaviour = ground.behaviour();
    let honoured = |row: &str| before.rows.get(row).is_some_and(|r| r.verdict.status == VerdictStatus::Supported);
    let of_conduct = ground.claims_conduct();
    let meant = |row: &&CatalogRow| asked(row.experiment.id()) && (of_conduct || row.experiment.is_of_field());
    for row in ground.rows().into_iter().filter(meant) {
        let id = row.experiment.id();
        let Some(seen) = before.rows.get(id).map(|row| row.verdict.status) else { continue };
        let is_known = behaviour.status(id).is_some() || !row.experiment.is_of_field();
        if is_known && !unmutated.iter().any(|wrong| wrong.row == id) {
            book.reached(id, seen, &name);
        }
        let of_row = mutant::of_row(row, &behaviour, seen, honoured);
        for (mutant, why) in of_row.impossible {
            book.failed(&name, &mutant, Fate::Unproved, &why.to_string());
        }
        mutants.extend(of_row.possible);
    }
    let mut proof =
        GroundProof { target: name.clone(), rows: before.rows.len() as u64, unmutated, control: None, canary: None };
    if !passes {
        for mutant in &mutants {
            book.failed(&name, mutant, Fate::Untried, "the run without any mutant does not pass");
        }
        return Ok(proof);
    }
    let mut shown = ground.show(Rows::Fields, &controls::control(ground)).await?;
    shown.join(ground.show(Rows::Conduct, &controls::control(ground)).await?);
    proof.control = Some(controls::weigh_control(&before, &shown, asked));
    told(Told::Mutants(mutants.len() as u64));
    let mut deaf_to = BTreeSet::new();
    let mut waiting = mutant::batches(&ground.catalog, &mutants, if options.alone { 1 } else { TOGETHER });
    while !waiting.is_empty() {
        let runs = stream::iter(std::mem::take(&mut waiting))
            .map(|batch| tokio::spawn(attempt(ground.clone(), before.clone(), batch)))
            .buffered(options.side_by_side.max(1));
        futures_util::pin_mut!(runs);
        while let Some(joined) = runs.next().await {
            let tried = joined??;
            if let Some(parts) = tried.parts() {
                waiting.extend(parts);
                continue;
            }
            told(Told::Done(tried.mutants.len() as u64));
            for one in tried.mutants.iter() {
                if one.fate == Fate::Killed && one.mutant.status == VerdictStatus::Ignored {
                    deaf_to.insert(one.mutant.row.clone());
                }
                book.weighed(&name, one, &tried);
            }
        }
    }
    let shown = ground.show(Rows::Fields, &controls::canary(ground, &before)).await?;
    proof.canary = Some(controls::weigh_canary(ground, &before, &shown, |row| deaf_to.contains(row)));
    Ok(proof)
}

async fn attempt(ground: Ground, before: Arc<Shown>, mutants: Vec<Mutant>) -> Result<Tried, ProofError> {
    // What cannot be told to a server was sorted out before.
    let statuses = mutants.iter().filter_map(|mutant| Some((mutant.row.clone(), mutant.claim().ok()?)));
    let faults: Vec<_> = mutants.iter().filter_map(|mutant| mutant.fault).collect();
    let which = match mutants.as_slice() {
        [one] if one.fault.is_some() => Rows::One(&one.row),
        _ => Rows::Fields,
    };
    let statuses = if faults.is_empty() { statuses.collect() } else { Vec::new() };
    let after = ground.show(which, &Changes { statuses, faults, seed: SEED }).await?;
    Ok(Tried::weigh(&ground.catalog, &before, &after, &mutants))
}
