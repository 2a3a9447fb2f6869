//! `fieldtest run`: tests endpoints.

use std::path::Path;

use crate::catalog::Catalog;
use crate::cli::args::output::ReportFormat;
use crate::cli::args::run::RunArgs;
use crate::cli::error::CliError;
use crate::cli::io::{files, report_files, stderr};
use crate::cli::progress::{ProgressOptions, ProgressReporter};
use crate::cli::runtime::{
    ignore_file_size_signal, multi_thread_runtime, run_to_end, single_thread_runtime, stop_on_signal,
};
use crate::cli::session::batch::{BatchOutcome, RunBatch};
use crate::cli::session::jobs::TargetJob;
use crate::cli::session::preflight::preflight;
use crate::cli::session::rerun::RerunSource;
use crate::cli::session::shared::SharedState;
use crate::cli::session::{replay, resume};
use crate::cli::target::model::EndpointKind;
use crate::cli::{ExitStatus, ProcessEnvironment};
use crate::engine::StopSignal;

/// Runs the command.
pub fn main(args: &RunArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let ndjson = args.output.format.contains(&ReportFormat::Ndjson);
    let prints = |format: &ReportFormat| matches!(format, ReportFormat::Terminal | ReportFormat::Github);
    if ndjson && args.output.format.iter().any(prints) {
        return Err(CliError::Options(
            "--format ndjson cannot be combined with terminal or github. Use `--format ndjson,json,markdown`",
        ));
    }
    let catalog = args.cases.load()?;
    if let Some(place) = &args.replay {
        return replay(args, place, &catalog, environment);
    }
    let rerun = args.rerun.as_deref().map(RerunSource::read).transpose()?;
    let simulator = args.simulation.load()?;
    let jobs = TargetJob::plan_jobs(args, &simulator, &catalog, environment, rerun.as_ref())?;
    let targets = || jobs.iter().map(|job| &job.target);
    let names: Vec<&str> = targets().map(|target| target.name.as_str()).collect();
    let baseline = args.output.baseline.load(&catalog, &names, [], environment.today)?;
    let folder = match &args.resume {
        Some(place) => resume::recording_folder(place),
        None => args.record.as_ref().unwrap_or(&args.output.out).clone(),
    };
    let _lock = files::lock_folder(&args.output.out)?;
    files::ensure_writable(&folder)?;
    let preflight =
        preflight(targets().map(|target| &target.endpoint), &args.sending.transport, &catalog, environment)?;
    let shared = SharedState::new(&args.sending);
    for TargetJob { target, resumed, .. } in &jobs {
        let Some(resumed) = resumed else { continue };
        resumed.verify_base_url(&target.endpoint, &preflight.secrets)?;
        // All targets share the budget, so earlier requests of each count before any target sends.
        shared.charge_recording(&args.sending, target, &resumed.recording);
    }
    for target in targets() {
        args.sending.rate.validate_limits(target)?;
    }
    let simulates = targets().any(|target| matches!(target.endpoint, EndpointKind::Simulated(_)));
    let runtime = if simulates { multi_thread_runtime() } else { single_thread_runtime() }?;
    jobs.iter().for_each(|job| job.announce(args, rerun.is_some()));
    let repeats = args.repeat.unwrap_or(1) as usize;
    let progress = ProgressOptions {
        no_progress: args.sending.progress.no_progress,
        ndjson,
        run_count: jobs.len().saturating_mul(repeats),
    };
    let batch = RunBatch {
        args,
        environment,
        simulator,
        catalog: &catalog,
        preflight,
        shared,
        recording_folder: folder,
        rerun,
        baseline,
        stop: StopSignal::default(),
        progress: ProgressReporter::new(environment, progress),
    };
    stop_on_signal(batch.stop.clone());
    let outcome = run_to_end(runtime, async {
        let _ignored = ignore_file_size_signal();
        tokio::select! {
            outcome = batch.run(jobs, usize::from(args.jobs)) => outcome,
            // The heartbeat never ends.
            () = batch.progress.heartbeat() => BatchOutcome { results: Vec::new(), errors: Vec::new() },
        }
    });
    let finished = report_files::finish(&args.output, &outcome.results, environment);
    // The first error determines the exit code. The others are printed.
    let mut errors = outcome.errors.into_iter();
    let first = errors.next();
    errors.for_each(|error| stderr::warn(format!("error: {error}")));
    let exit = first.map_or(finished, Err);
    batch.progress.emit_exit(&exit);
    exit
}

/// Replays recordings instead of sending requests.
fn replay(
    args: &RunArgs,
    place: &Path,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<ExitStatus, CliError> {
    args.output.reject_ndjson()?;
    if args.simulation.is_set() {
        return Err(CliError::Options("simulator options do not apply to --replay. Remove them"));
    }
    let _lock = files::lock_folder(&args.output.out)?;
    let all = replay::replay_recordings(place, &args.endpoint, &args.select, catalog)?;
    report_files::finish_offline(&args.output, all, catalog, environment)
}
