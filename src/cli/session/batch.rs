//! The runs of one command: [`RunBatch`] runs several targets in parallel, and repeats of one
//! target in sequence.
//!
//! If the run of one target fails, the others continue and keep their results.

use std::path::PathBuf;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};

use crate::catalog::Catalog;
use crate::cli::args::baseline::LoadedBaseline;
use crate::cli::args::run::RunArgs;
use crate::cli::args::send::SendArgs;
use crate::cli::args::simulator::SimulatorOptions;
use crate::cli::io::{files, report_files, stderr};
use crate::cli::progress::ProgressReporter;
use crate::cli::session::connection::EndpointConnection;
use crate::cli::session::jobs::TargetJob;
use crate::cli::session::preflight::PreflightResult;
use crate::cli::session::rerun::RerunSource;
use crate::cli::session::resume::ResumedRun;
use crate::cli::session::run::{RunJob, run_target};
use crate::cli::session::shared::SharedState;
use crate::cli::{CliError, ProcessEnvironment};
use crate::engine::unconfirmed::find_answered_exchanges;
use crate::engine::{StopSignal, judge};
use crate::recording::run::RunEnd;
use crate::recording::scope::RunScope;
use crate::redact::ContentPolicy;
use crate::results::file_names::slugify;
use crate::results::merge::RepeatMerger;
use crate::results::model::Results;
use crate::results::redact::redact_content;

/// The state that all runs of a command share.
pub struct RunBatch<'a> {
    /// The options of the command.
    pub args: &'a RunArgs,
    /// The environment of the process.
    pub environment: &'a ProcessEnvironment,
    /// How simulators deviate from the claims of their targets.
    pub simulator: SimulatorOptions,
    /// The case files.
    pub catalog: &'a Catalog,
    /// The secrets and the connection options of all clients.
    pub preflight: PreflightResult,
    /// The budget and the rate limits.
    pub shared: SharedState,
    /// The folder for recordings.
    pub recording_folder: PathBuf,
    /// The results to rerun.
    pub rerun: Option<RerunSource>,
    /// The known failures.
    pub baseline: Option<LoadedBaseline>,
    /// Stops all runs.
    pub stop: StopSignal,
    /// Shows the progress.
    pub progress: ProgressReporter,
}

/// The result of all runs of a command.
pub struct BatchOutcome {
    /// The results, in the order of the targets.
    pub results: Vec<Results>,
    /// The errors, in the same order.
    pub errors: Vec<CliError>,
}

impl RunBatch<'_> {
    /// Runs the jobs, several in parallel. The results of a target are written when it ends.
    pub async fn run(&self, jobs: Vec<TargetJob<'_>>, parallel: usize) -> BatchOutcome {
        let targets = jobs.len();
        let mut finished: Vec<_> = stream::iter(jobs.into_iter().enumerate())
            .map(|(n, job)| async move { (n, self.run_job(job).await) })
            .buffer_unordered(parallel.max(1))
            .collect()
            .await;
        finished.sort_by_key(|(n, _)| *n);
        let not_started = finished.iter().filter(|(_, outcome)| matches!(outcome, (None, None))).count();
        let mut batch = BatchOutcome { results: Vec::new(), errors: Vec::new() };
        for (_, (results, error)) in finished {
            batch.results.extend(results);
            batch.errors.extend(error);
        }
        if not_started > 0 {
            stderr::warn(format!("{not_started} of {targets} targets were not started"));
        }
        batch
    }

    /// Makes all runs of a target. Returns neither results nor an error if it was not started.
    async fn run_job(&self, job: TargetJob<'_>) -> (Option<Results>, Option<CliError>) {
        if self.stop.is_stopped() {
            return (None, None);
        }
        let mut results = match self.run_repeats(job).await {
            Ok(results) => results,
            Err(error) => return (None, Some(error)),
        };
        if let Some(baseline) = &self.baseline {
            baseline.compare(&mut results, self.catalog, self.args.output.strict);
        }
        self.progress.emit_results(&results);
        // If the file cannot be written, the results are still shown.
        let written = report_files::write_results(&self.args.output, &results);
        (Some(results), written.err())
    }

    async fn run_repeats(&self, job: TargetJob<'_>) -> Result<Results, CliError> {
        let name = &job.target.name;
        if let Some(complete) = job.resumed.as_ref().filter(|resumed| resumed.is_complete()) {
            stderr::warn(format!("{name}: {} is complete; no requests sent", complete.path.display()));
            return Ok(judge(self.catalog, &complete.recording)?);
        }
        if let Some(resumed) = &job.resumed {
            stderr::warn(match find_answered_exchanges(&resumed.recording).answered_count() {
                _ if resumed.starts_over => format!(
                    "{name}: a simulation cannot be resumed, because the state of its server is gone. It starts over, with \
                     the rows and the seed of the recording"
                ),
                1 => format!("{name}: resuming; 1 answered request is not sent again"),
                n => format!("{name}: resuming; {n} answered requests are not sent again"),
            });
        }
        let started = job.resumed.as_ref().map_or_else(Instant::now, ResumedRun::started_at);
        let args = self.args;
        let sending = match &job.resumed {
            Some(resumed) => resumed.send_args(&args.sending),
            None => args.sending.clone(),
        };
        let connection = EndpointConnection::new(
            &job.target,
            &sending,
            &self.shared,
            &self.simulator,
            self.catalog,
            &self.preflight,
            started,
        )
        .await?;
        // A rerun has new random values, because equal requests might only get equal responses.
        let entropy = self.environment.entropy;
        let new_seed = || if self.rerun.is_some() { entropy } else { connection.default_seed(entropy) };
        let seed = sending.seed.unwrap_or_else(new_seed);
        let slug = slugify(name);
        let Some(repeats) = args.repeat.map(u64::from) else {
            let recording = match (&self.rerun, &job.resumed) {
                (_, Some(resumed)) => resumed.path.clone(),
                (Some(_), None) => {
                    files::unique_path(&self.recording_folder, &format!("recording-{slug}-rerun"), "jsonl")
                }
                (None, None) => self.recording_folder.join(format!("recording-{slug}.jsonl")),
            };
            let (results, _) = self.run_once(&connection, job, &sending, (seed, None), recording).await?;
            return Ok(results);
        };
        let digits = repeats.to_string().len();
        let mut merger: Option<RepeatMerger> = None;
        for n in 0..repeats {
            let recording = self.recording_folder.join(format!("recording-{slug}-run-{:0digits$}.jsonl", n + 1));
            // Each run has its own random values, so that cached responses do not look like stable
            // ones.
            let repeat = TargetJob { target: job.target.clone(), rows: job.rows.clone(), resumed: None };
            let (results, end) =
                self.run_once(&connection, repeat, &sending, (seed.wrapping_add(n), Some(n + 1)), recording).await?;
            match &mut merger {
                Some(merger) => merger.add_run(results),
                None => merger = Some(RepeatMerger::new(results, repeats)),
            }
            if matches!(end, RunEnd::Interrupted | RunEnd::Budget | RunEnd::Lost | RunEnd::Trouble | RunEnd::Untestable)
            {
                break;
            }
        }
        merger.map(RepeatMerger::into_results).ok_or(CliError::Unreachable("no run was made"))
    }

    /// Makes one run.
    async fn run_once(
        &self,
        connection: &EndpointConnection,
        TargetJob { target, rows, resumed }: TargetJob<'_>,
        sending: &SendArgs,
        (seed, run_number): (u64, Option<u64>),
        recording: PathBuf,
    ) -> Result<(Results, RunEnd), CliError> {
        let redact =
            |results| if sending.redact == ContentPolicy::RemoveContent { redact_content(results) } else { results };
        let job = RunJob {
            target: &target,
            base_url: connection.base_url.clone(),
            simulated: connection.is_simulated(),
            selection: rows,
            shard: self.args.shard.shard,
            seed,
            recording,
            progress: &self.progress,
            started: Instant::now(),
            scope: RunScope {
                simulation: self.simulator.digest(),
                rerun: self.rerun.is_some(),
                repeat: self.args.repeat.is_some(),
                ..RunScope::default()
            },
            run_number,
            resumed,
        };
        let Some(rerun) = &self.rerun else {
            let path = job.recording.clone();
            let outcome = run_target(&connection.client, job, sending, &self.shared, self.catalog, &self.stop).await;
            if let Ok((_, RunEnd::Interrupted | RunEnd::Budget | RunEnd::Lost | RunEnd::Trouble)) = &outcome
                && self.args.repeat.is_none()
                && sending.redact == ContentPolicy::KeepContent
            {
                let (verb, budget) = match (connection.is_simulated(), sending.budget.is_limited()) {
                    (true, _) => ("start over", ""),
                    (false, true) => ("resume", ". Requests already sent count toward its budget"),
                    (false, false) => ("resume", ""),
                };
                stderr::warn(format!(
                    "{}: to {verb}, run `fieldtest run --resume {} --out {}`{budget}",
                    target.name,
                    path.display(),
                    self.args.output.out.display()
                ));
            }
            return outcome;
        };
        rerun.verify_compatible(&job.build_header(sending), self.catalog)?;
        if job.selection.run.is_empty() {
            return Ok((redact(rerun.unchanged()), RunEnd::Complete));
        }
        let (results, end) =
            run_target(&connection.client, job, sending, &self.shared, self.catalog, &self.stop).await?;
        // The earlier results may contain texts.
        Ok((redact(rerun.merge(results)), end))
    }
}
