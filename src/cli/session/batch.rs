//! The runs of one command: several targets side by side, the repeats of each one after the other.
//!
//! What one target's run comes to is nothing to another's: where one fails, the others keep what they have.

use std::path::PathBuf;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};

use crate::catalog::Catalog;
use crate::cli::args::baseline::LoadedBaseline;
use crate::cli::args::send::SendArgs;
use crate::cli::args::shard::RerunSource;
use crate::cli::args::simulator::SimulatorOptions;
use crate::cli::commands::run::RunArgs;
use crate::cli::io::{files, stdout};
use crate::cli::progress::ProgressReporter;
use crate::cli::session::connection::EndpointConnection;
use crate::cli::session::jobs::TargetJob;
use crate::cli::session::preflight::PreflightResult;
use crate::cli::session::resume::ResumedRun;
use crate::cli::session::run::{RunJob, run_target};
use crate::cli::{CliError, ProcessEnvironment};
use crate::engine::{StopSignal, judge};
use crate::recording::answered::AnsweredExchanges;
use crate::recording::run::RunEnd;
use crate::recording::scope::RunScope;
use crate::redact::ContentPolicy;
use crate::results::file_names::slugify;
use crate::results::merge::RepeatMerger;
use crate::results::model::Results;
use crate::results::redact::redact_content;

/// What all runs of a command have in common.
pub struct RunBatch<'a> {
    /// The command's arguments.
    pub args: &'a RunArgs,
    /// What the process finds around itself.
    pub environment: &'a ProcessEnvironment,
    /// How simulators deviate from the claims of their targets.
    pub simulator: SimulatorOptions,
    /// The case files.
    pub catalog: &'a Catalog,
    /// What all requests have in common.
    pub preflight: PreflightResult,
    /// Where recordings go.
    pub recording_folder: PathBuf,
    /// The results that a rerun begins from.
    pub rerun: Option<RerunSource>,
    /// What results are held against.
    pub baseline: Option<LoadedBaseline>,
    /// Ends all runs.
    pub stop: StopSignal,
    /// What watches them.
    pub progress: ProgressReporter,
}

/// What came of a command's runs.
pub struct BatchOutcome {
    /// The results, in the order of the targets.
    pub results: Vec<Results>,
    /// What went wrong beside them, in that order.
    pub errors: Vec<CliError>,
}

impl RunBatch<'_> {
    /// Makes the runs, so many targets at once. Each target's results are written as soon as they are there.
    pub async fn run(&self, work: Vec<TargetJob<'_>>, at_once: usize) -> BatchOutcome {
        let targets = work.len();
        let mut ended: Vec<_> = stream::iter(work.into_iter().enumerate())
            .map(|(n, work)| async move { (n, self.run_target_job(work).await) })
            .buffer_unordered(at_once.max(1))
            .collect()
            .await;
        ended.sort_by_key(|(n, _)| *n);
        let mut made = BatchOutcome { results: Vec::new(), errors: Vec::new() };
        for (_, (results, error)) in ended {
            made.results.extend(results);
            made.errors.extend(error);
        }
        let begun = made.results.len() + made.errors.len();
        if begun < targets {
            stdout::warn(format!("{} of {targets} targets were not begun", targets - begun));
        }
        made
    }

    /// All runs of a target; neither results nor an error where it was not begun.
    async fn run_target_job(&self, work: TargetJob<'_>) -> (Option<Results>, Option<CliError>) {
        if self.stop.is_stopped() {
            return (None, None);
        }
        let mut results = match self.run_repeats(work).await {
            Ok(results) => results,
            Err(error) => return (None, Some(error)),
        };
        if let Some(baseline) = &self.baseline {
            baseline.compare(&mut results, self.catalog, self.args.output.strict);
        }
        self.progress.emit_results(&results);
        // A file that cannot be written any more costs nobody the results: they are still shown.
        let written = stdout::write_results(&self.args.output, &results);
        (Some(results), written.err())
    }

    async fn run_repeats(&self, work: TargetJob<'_>) -> Result<Results, CliError> {
        let TargetJob { target: tested, rows: portion, resumed: resumption } = work;
        if let Some(over) = resumption.as_ref().filter(|resumption| resumption.is_complete()) {
            stdout::warn(format!("{}: {} is complete: nothing is sent", tested.name, over.path.display()));
            return judge(self.catalog, &over.recording).map_err(|e| CliError::Internal(e.to_string()));
        }
        if let Some(resumption) = &resumption {
            let answers = AnsweredExchanges::from_recording(&resumption.recording).answered_count();
            stdout::warn(format!("{}: goes on; {answers} requests were answered and are not sent again", tested.name));
        }
        let started = resumption.as_ref().map_or_else(Instant::now, ResumedRun::started_at);
        let args = self.args;
        let sending = resumption.as_ref().map_or_else(|| args.sending.clone(), |r| r.send_args(&args.sending));
        let connection =
            EndpointConnection::new(&tested, &sending, &self.simulator, self.catalog, &self.preflight, started).await?;
        if let Some(resumption) = &resumption {
            connection.fast_forward_simulator(&resumption.recording.exchanges);
        }
        // A rerun asks with fresh draws: the same questions might only bring the same answers.
        let entropy = self.environment.entropy;
        let fresh = || if self.rerun.is_some() { entropy } else { connection.default_seed(entropy) };
        let seed = sending.seed.unwrap_or_else(fresh);
        let slug = slugify(&tested.name);
        let Some(asked) = args.repeat.map(u64::from) else {
            let recording = match (&self.rerun, &resumption) {
                (_, Some(resumption)) => resumption.path.clone(),
                (Some(_), None) => {
                    files::unique_path(&self.recording_folder, &format!("recording-{slug}-rerun"), "jsonl")
                }
                (None, None) => self.recording_folder.join(format!("recording-{slug}.jsonl")),
            };
            let work = TargetJob { target: tested, rows: portion, resumed: resumption };
            return self
                .run_once(&connection, work, &sending, (seed, None), recording)
                .await
                .map(|(results, _)| results);
        };
        let digits = asked.to_string().len();
        let mut repeats: Option<RepeatMerger> = None;
        for n in 0..asked {
            let recording = self.recording_folder.join(format!("recording-{slug}-run-{:0digits$}.jsonl", n + 1));
            // Each asks with draws of its own: a cache of answers must not pass for stability.
            let work = TargetJob { target: tested.clone(), rows: portion.clone(), resumed: None };
            let (results, ended) =
                self.run_once(&connection, work, &sending, (seed.wrapping_add(n), Some(n + 1)), recording).await?;
            match &mut repeats {
                Some(repeats) => repeats.add_run(results),
                None => repeats = Some(RepeatMerger::new(results, asked)),
            }
            if matches!(ended, RunEnd::Interrupted | RunEnd::Budget | RunEnd::Lost | RunEnd::Untestable) {
                break;
            }
        }
        repeats.map(RepeatMerger::into_results).ok_or_else(|| CliError::Internal("no run was made".to_owned()))
    }

    /// One run.
    async fn run_once(
        &self,
        connection: &EndpointConnection,
        TargetJob { target: tested, rows: portion, resumed: resumption }: TargetJob<'_>,
        sending: &SendArgs,
        (seed, nth): (u64, Option<u64>),
        recording: PathBuf,
    ) -> Result<(Results, RunEnd), CliError> {
        let removed =
            |results| if sending.redact == ContentPolicy::RemoveContent { redact_content(results) } else { results };
        let job = RunJob {
            target: &tested,
            base_url: connection.base_url.clone(),
            simulated: connection.is_simulated(),
            selection: portion,
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
            run_number: nth,
            resumed: resumption,
        };
        let Some(rerun) = &self.rerun else {
            let path = job.recording.clone();
            let made = run_target(&connection.client, job, sending, self.catalog, &self.stop).await;
            if let Ok((_, RunEnd::Interrupted | RunEnd::Budget | RunEnd::Lost)) = &made
                && self.args.repeat.is_none()
                && sending.redact == ContentPolicy::KeepContent
            {
                let bound = match sending.money.is_bounded() {
                    true => "; what was spent counts towards the bound that it is given",
                    false => "",
                };
                stdout::warn(format!(
                    "{}: `fieldtest run --resume {} --out {}` goes on with it{bound}",
                    tested.name,
                    path.display(),
                    self.args.output.out.display()
                ));
            }
            return made;
        };
        rerun.verify_compatible(&job.build_header(sending), self.catalog)?;
        if job.selection.run.is_empty() {
            return Ok((removed(rerun.unchanged()), RunEnd::Complete));
        }
        let (results, ended) = run_target(&connection.client, job, sending, self.catalog, &self.stop).await?;
        // What a rerun keeps may have been written with its texts.
        Ok((removed(rerun.merge(results)), ended))
    }
}
