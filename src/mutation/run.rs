//! Mutation testing from start to end: [`prove`] runs each subject without mutants, then the two
//! controls, then all mutants.
//!
//! All rows run with each mutant. Mutants whose fields no row has in common share a run, to save
//! time. If such a run shows a wrong verdict, its mutants are run again in smaller batches, down to
//! one mutant each. Only the result of a mutant alone counts against it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::catalog::{Catalog, CatalogRow, ClaimStatus, Experiment, VerdictStatus};
use crate::mutation::error::MutationError;
use crate::mutation::expectation::RowExpectations;
use crate::mutation::mutant::{RowMutant, resolve_field_row};
use crate::mutation::observation::RunObservation;
use crate::mutation::outcome::BatchResult;
use crate::mutation::report_builder::ReportBuilder;
use crate::mutation::stripped_responses::StrippedResponses;
use crate::mutation::subject::{DEFAULT_SEED, MutationSubject, SimulatorMutation};
use crate::mutation::{controls, mutant};
use crate::results::mutation::{LeftOutRow, MutantOutcome, MutationReport, SentinelCounts, SubjectReport};

/// Why a row that measures time is left out of a run.
const LEFT_OUT_REASON: &str = "it waits for real time, and sends no mutated field";

/// What a mutation test covers.
#[derive(Debug, Clone)]
pub struct MutationOptions {
    /// The targets whose simulations are mutated, in order.
    pub targets: Vec<String>,
    /// The mutated rows. All rows run each time, because no other row may get a wrong verdict.
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

/// What the runs with mutants of a subject are compared with.
#[derive(Debug)]
struct MutationBaseline {
    subject: MutationSubject,
    before: RunObservation,
    /// What rows lose without a field, by the row of the field.
    stripped: BTreeMap<String, StrippedResponses>,
}

async fn prove_subject(
    subject: &MutationSubject,
    options: &MutationOptions,
    report: &mut ReportBuilder,
    on_event: &mut (dyn FnMut(MutationEvent<'_>) + Send),
) -> Result<SubjectReport, MutationError> {
    let name = subject.target.name.clone();
    let unchanged = SimulatorMutation { statuses: Vec::new(), faults: Vec::new(), seed: DEFAULT_SEED };
    let before = subject.run(&unchanged, &[]).await?;
    let is_selected = |row: &str| options.rows.iter().any(|selected| selected == row);
    let mut subject_report = SubjectReport {
        target: name.clone(),
        rows: before.rows.len() as u64,
        unmutated: subject.unexpected_verdicts(&before, is_selected),
        control: None,
        canary: None,
        sentinels: SentinelCounts::default(),
        compared: 0,
        runs: 0,
        left_out: Vec::new(),
    };
    let mutants = plan_mutants(subject, &before, &subject_report, &is_selected, report);
    if !subject_report.unmutated.is_empty() {
        for mutant in &mutants {
            report.add_failure(&name, mutant, MutantOutcome::Untried, "the run without mutants failed");
        }
        return Ok(subject_report);
    }
    let after = subject.run(&controls::control_mutation(subject), &[]).await?;
    subject_report.control = Some(controls::evaluate_control(&before, &after, is_selected));
    on_event(MutationEvent::MutantsPlanned(mutants.len() as u64));
    let stripped = strip_fields(subject, &before, &mutants, options.jobs).await?;
    let baseline = Arc::new(MutationBaseline { subject: subject.clone(), before, stripped });
    let mut killed_if_ignored = BTreeSet::new();
    let mut waiting = mutant::plan_batches(&subject.catalog, &baseline.before, &mutants, options.one_by_one);
    while !waiting.is_empty() {
        let runs = stream::iter(std::mem::take(&mut waiting))
            .map(|batch| tokio::spawn(run_batch(baseline.clone(), batch)))
            .buffered(options.jobs.max(1));
        futures_util::pin_mut!(runs);
        while let Some(joined) = runs.next().await {
            let batch = joined??;
            if let Some(parts) = batch.bisect() {
                waiting.extend(parts);
                continue;
            }
            on_event(MutationEvent::MutantsDone(batch.results.len() as u64));
            count_run(&mut subject_report, &batch);
            for result in &batch.results {
                if result.outcome == MutantOutcome::Killed && result.mutant.status == VerdictStatus::Ignored {
                    killed_if_ignored.insert(result.mutant.row.clone());
                }
                report.add_mutant(&name, result, &batch);
            }
        }
    }
    let after = subject.run(&controls::canary_mutation(subject, &baseline.before), &[]).await?;
    let is_killed = |row: &str| killed_if_ignored.contains(row);
    subject_report.canary = Some(controls::evaluate_canary(subject, &baseline.before, &after, is_killed));
    Ok(subject_report)
}

/// The mutants of the selected rows. Adds those that no server can have to the report.
fn plan_mutants(
    subject: &MutationSubject,
    before: &RunObservation,
    subject_report: &SubjectReport,
    is_selected: &impl Fn(&str) -> bool,
    report: &mut ReportBuilder,
) -> Vec<RowMutant> {
    let config = subject.simulator_config();
    let is_supported = |row: &str| before.rows.get(row).is_some_and(|r| r.verdict.status.is_positive());
    let claims_behaviour = subject.claims_behaviour();
    let is_mutated =
        |row: &&CatalogRow| is_selected(row.experiment.id()) && (claims_behaviour || row.experiment.is_field_row());
    let mut mutants = Vec::new();
    for row in subject.testable_rows().into_iter().filter(is_mutated) {
        let id = row.experiment.id();
        let Some(status) = before.rows.get(id).map(|row| row.verdict.status) else { continue };
        let is_known = config.status(id).is_some() || !row.experiment.is_field_row();
        if is_known && !subject_report.unmutated.iter().any(|wrong| wrong.row == id) {
            report.add_status(id, status, &subject_report.target);
        }
        let of_row = mutant::generate_mutants(row, &config, &subject.dependencies, status, is_supported);
        for (mutant, reason) in of_row.impossible {
            report.add_failure(&subject_report.target, &mutant, MutantOutcome::Unproved, &reason.to_string());
        }
        mutants.extend(of_row.possible);
    }
    mutants
}

/// Finds out what the rows lose without each field that a mutant ignores.
async fn strip_fields(
    subject: &MutationSubject,
    before: &RunObservation,
    mutants: &[RowMutant],
    jobs: usize,
) -> Result<BTreeMap<String, StrippedResponses>, MutationError> {
    let ignored = mutants.iter().filter(|mutant| mutant.fault.is_none() && mutant.status == VerdictStatus::Ignored);
    let fields: BTreeSet<&str> = ignored.map(|mutant| resolve_field_row(&subject.catalog, &mutant.row)).collect();
    let stripped = stream::iter(fields)
        .map(|field| async move {
            Ok::<_, MutationError>((field.to_owned(), StrippedResponses::collect(subject, before, field).await?))
        })
        .buffered(jobs.max(1));
    stripped.try_collect().await
}

fn count_run(subject_report: &mut SubjectReport, batch: &BatchResult) {
    subject_report.runs += 1;
    subject_report.compared += batch.compared;
    subject_report.sentinels.forged += batch.sentinels.forged;
    subject_report.sentinels.noticed += batch.sentinels.noticed;
    for row in &batch.left_out {
        match subject_report.left_out.iter_mut().find(|left_out| left_out.row == *row) {
            Some(left_out) => left_out.runs += 1,
            None => {
                let reason = LEFT_OUT_REASON.to_owned();
                subject_report.left_out.push(LeftOutRow { row: row.clone(), runs: 1, reason });
            }
        }
    }
}

/// The rows that measure time and that no mutant concerns.
fn leave_out_rows(baseline: &MutationBaseline, mutants: &[RowMutant]) -> Vec<String> {
    let catalog = &baseline.subject.catalog;
    let timed = baseline.subject.testable_rows().into_iter().filter(|row| row.experiment.measures_time());
    let left_out = timed.map(|row| &row.experiment).filter(|experiment| {
        !mutants.iter().any(|mutant| match mutant.fault {
            Some(fault) => experiment.faults.contains_key(&fault.to_string()),
            None => {
                let field = resolve_field_row(catalog, &mutant.row);
                mutant.row == experiment.id() || baseline.before.acted_on(field, experiment.id(), None)
            }
        })
    });
    left_out.map(|experiment| experiment.id().to_owned()).collect()
}

async fn run_batch(baseline: Arc<MutationBaseline>, mutants: Vec<RowMutant>) -> Result<BatchResult, MutationError> {
    let MutationBaseline { subject, before, stripped } = &*baseline;
    let faults: Vec<_> = mutants.iter().filter_map(|mutant| mutant.fault).collect();
    // Mutants that no server can have were removed before.
    let statuses: Vec<(String, ClaimStatus)> = match faults.is_empty() {
        true => mutants.iter().filter_map(|mutant| Some((mutant.row.clone(), mutant.claim_status().ok()?))).collect(),
        false => Vec::new(),
    };
    let mutation = SimulatorMutation { statuses, faults, seed: DEFAULT_SEED };
    let left_out = leave_out_rows(&baseline, &mutants);
    let after = subject.run(&mutation, &left_out).await?;
    let config = subject.mutated_config(&mutation)?;
    let expectations = RowExpectations {
        catalog: &subject.catalog,
        before,
        after: &after,
        config: &config,
        stripped,
        mutants: &mutants,
    };
    Ok(BatchResult { left_out, ..BatchResult::evaluate(&expectations) })
}
