//! Mutation testing from start to end: [`prove`] runs each subject without mutants, then the two
//! controls, then all mutants.
//!
//! Several unrelated mutants share a run, to save time. If such a run shows an unexpected change,
//! its mutants are run again in smaller batches, down to one mutant each. Only the result of a
//! mutant alone counts against it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};

use crate::catalog::{Catalog, CatalogRow, Experiment, VerdictStatus};
use crate::mutation::error::MutationError;
use crate::mutation::mutant::RowMutant;
use crate::mutation::observation::RunObservation;
use crate::mutation::outcome::BatchResult;
use crate::mutation::report_builder::ReportBuilder;
use crate::mutation::subject::{DEFAULT_SEED, MutationSubject, SimulatorMutation, SubjectRows};
use crate::mutation::{controls, mutant};
use crate::results::mutation::{MutantOutcome, MutationReport, SubjectReport};

/// The number of mutants that share a run.
const BATCH_SIZE: usize = 10;

/// What a mutation test covers.
#[derive(Debug, Clone)]
pub struct MutationOptions {
    /// The targets whose simulations are mutated, in order.
    pub targets: Vec<String>,
    /// The mutated rows. All rows run each time, because no other row may change.
    pub rows: Vec<String>,
    /// Run each mutant alone from the start.
    pub one_by_one: bool,
    /// The number of parallel runs.
    pub jobs: usize,
}

/// The progress of a mutation test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MutationEvent<'a> {
    /// A subject starts.
    SubjectStarted(&'a str),
    /// The number of its mutants is known.
    MutantsPlanned(u64),
    /// This number of mutants is done.
    MutantsDone(u64),
}

/// Runs the mutation test.
///
/// # Errors
/// The reason why it could not run.
pub async fn prove(
    catalog: &Arc<Catalog>,
    options: &MutationOptions,
    on_event: &mut (dyn FnMut(MutationEvent<'_>) + Send),
) -> Result<MutationReport, MutationError> {
    // Behaviour rows run on the subjects that claim something about behaviour. On others, the
    // fields of their requests may be ignored, and so the rows too.
    let to_subject = |name: &String| catalog.target(name).map(|target| MutationSubject::new(catalog, target));
    let has_behaviour = options.targets.iter().filter_map(to_subject).any(|subject| subject.claims_behaviour());
    let can_run = |row: &&String| has_behaviour || catalog.experiment(row).is_none_or(Experiment::is_field_row);
    let options = &MutationOptions { rows: options.rows.iter().filter(can_run).cloned().collect(), ..options.clone() };
    let mut report = ReportBuilder::new(catalog, &options.rows);
    let mut subjects = Vec::new();
    for name in &options.targets {
        let target = catalog.target(name).ok_or_else(|| MutationError::UnknownTarget(name.clone()))?;
        let subject = MutationSubject::new(catalog, target);
        on_event(MutationEvent::SubjectStarted(name));
        subjects.push(prove_subject(&subject, options, &mut report, on_event).await?);
    }
    Ok(MutationReport::new(subjects, report.finish()))
}

async fn prove_subject(
    subject: &MutationSubject,
    options: &MutationOptions,
    report: &mut ReportBuilder,
    on_event: &mut (dyn FnMut(MutationEvent<'_>) + Send),
) -> Result<SubjectReport, MutationError> {
    let name = subject.target.name.clone();
    let unchanged = SimulatorMutation { statuses: Vec::new(), faults: Vec::new(), seed: DEFAULT_SEED };
    let before = Arc::new(subject.run_all(&unchanged).await?);
    let is_selected = |row: &str| options.rows.iter().any(|selected| selected == row);
    let unmutated = subject.unexpected_verdicts(&before, is_selected);
    let passes = unmutated.is_empty();
    let mut mutants = Vec::new();
    let config = subject.simulator_config();
    let is_supported = |row: &str| before.rows.get(row).is_some_and(|r| r.verdict.status.is_positive());
    let claims_behaviour = subject.claims_behaviour();
    let is_mutated =
        |row: &&CatalogRow| is_selected(row.experiment.id()) && (claims_behaviour || row.experiment.is_field_row());
    for row in subject.testable_rows().into_iter().filter(is_mutated) {
        let id = row.experiment.id();
        let Some(status) = before.rows.get(id).map(|row| row.verdict.status) else { continue };
        let is_known = config.status(id).is_some() || !row.experiment.is_field_row();
        if is_known && !unmutated.iter().any(|wrong| wrong.row == id) {
            report.add_status(id, status, &name);
        }
        let of_row = mutant::generate_mutants(row, &config, &subject.dependencies, status, is_supported);
        for (mutant, reason) in of_row.impossible {
            report.add_failure(&name, &mutant, MutantOutcome::Unproved, &reason.to_string());
        }
        mutants.extend(of_row.possible);
    }
    let mut subject_report =
        SubjectReport { target: name.clone(), rows: before.rows.len() as u64, unmutated, control: None, canary: None };
    if !passes {
        for mutant in &mutants {
            report.add_failure(&name, mutant, MutantOutcome::Untried, "the run without mutants failed");
        }
        return Ok(subject_report);
    }
    let after = subject.run_all(&controls::control_mutation(subject)).await?;
    subject_report.control = Some(controls::evaluate_control(&before, &after, is_selected));
    on_event(MutationEvent::MutantsPlanned(mutants.len() as u64));
    let mut killed_if_ignored = BTreeSet::new();
    let mut waiting = mutant::plan_batches(
        &subject.catalog,
        &subject.dependencies,
        &mutants,
        if options.one_by_one { 1 } else { BATCH_SIZE },
    );
    while !waiting.is_empty() {
        let runs = stream::iter(std::mem::take(&mut waiting))
            .map(|batch| tokio::spawn(run_batch(subject.clone(), before.clone(), batch)))
            .buffered(options.jobs.max(1));
        futures_util::pin_mut!(runs);
        while let Some(joined) = runs.next().await {
            let batch = joined??;
            if let Some(parts) = batch.bisect() {
                waiting.extend(parts);
                continue;
            }
            on_event(MutationEvent::MutantsDone(batch.results.len() as u64));
            for result in &batch.results {
                if result.outcome == MutantOutcome::Killed && result.mutant.status == VerdictStatus::Ignored {
                    killed_if_ignored.insert(result.mutant.row.clone());
                }
                report.add_mutant(&name, result, &batch);
            }
        }
    }
    let after = subject.run(SubjectRows::Fields, &controls::canary_mutation(subject, &before)).await?;
    subject_report.canary =
        Some(controls::evaluate_canary(subject, &before, &after, |row| killed_if_ignored.contains(row)));
    Ok(subject_report)
}

async fn run_batch(
    subject: MutationSubject,
    before: Arc<RunObservation>,
    mutants: Vec<RowMutant>,
) -> Result<BatchResult, MutationError> {
    // Mutants that no server can have were removed before.
    let statuses = mutants.iter().filter_map(|mutant| Some((mutant.row.clone(), mutant.claim_status().ok()?)));
    let faults: Vec<_> = mutants.iter().filter_map(|mutant| mutant.fault).collect();
    let selection = match mutants.as_slice() {
        [single] if single.fault.is_some() => SubjectRows::Single(&single.row),
        _ => SubjectRows::Fields,
    };
    let statuses = if faults.is_empty() { statuses.collect() } else { Vec::new() };
    let after = subject.run(selection, &SimulatorMutation { statuses, faults, seed: DEFAULT_SEED }).await?;
    Ok(BatchResult::evaluate(&subject.catalog, &subject.dependencies, &before, &after, &mutants))
}
