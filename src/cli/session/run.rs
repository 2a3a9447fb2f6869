//! One run of one target: [`run_target`] sends the requests, records them, shows progress and
//! judges the recording.
//!
//! Must not know reports, or which command runs.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::catalog::Catalog;
use crate::cli::CliError;
use crate::cli::args::send::SendArgs;
use crate::cli::clock::current_timestamp;
use crate::cli::io::{files, stderr};
use crate::cli::progress::{ProgressReporter, RunInfo};
use crate::cli::session::forecast::forecast;
use crate::cli::session::resume::ResumedRun;
use crate::cli::session::shared::SharedState;
use crate::cli::target::model::ResolvedTarget;
use crate::client::MessagesEndpoint;
use crate::engine::selection::digest_rows;
use crate::engine::unconfirmed::find_answered_exchanges;
use crate::engine::{FinishedRun, RowSelection, ShardSpec, StopSignal, judge, note_remaining_work, resume};
use crate::recording::event::RunListener;
use crate::recording::request_settings::TextForm;
use crate::recording::run::{LineCounts, Recording, RunEnd, RunFooter, RunHeader, RunLine, SCHEMA};
use crate::recording::scope::RunScope;
use crate::recording::writer::RecordingWriter;
use crate::redact::ContentPolicy;
use crate::results::model::Results;
use crate::results::redact::redact_content;

/// One run of one target.
pub struct RunJob<'a> {
    /// The target.
    pub target: &'a ResolvedTarget,
    /// The base URL, as results show it.
    pub base_url: String,
    /// True if the built-in simulator responds.
    pub simulated: bool,
    /// The rows to run.
    pub selection: RowSelection<'a>,
    /// The shard, if the plan is split.
    pub shard: Option<ShardSpec>,
    /// The random seed.
    pub seed: u64,
    /// The file of the recording.
    pub recording: PathBuf,
    /// Shows the progress.
    pub progress: &'a ProgressReporter,
    /// The time when it was started or resumed.
    pub started: Instant,
    /// The facts in its recording that the other fields do not determine.
    pub scope: RunScope,
    /// The number of the run among repeated runs, from 1.
    pub run_number: Option<u64>,
    /// The interrupted run that it resumes.
    pub resumed: Option<ResumedRun>,
}

impl RunJob<'_> {
    /// Builds the header of its recording.
    pub fn build_header(&self, sending: &SendArgs) -> RunHeader {
        let target = self.target;
        let confidence = sending.confidence.confidence;
        let shard_info = |shard: ShardSpec| {
            shard.shard_info(&self.selection.plan, &target.settings, target.claims.as_ref(), confidence, &self.base_url)
        };
        RunHeader {
            schema: SCHEMA.to_owned(),
            name: target.name.clone(),
            base_url: self.base_url.clone(),
            simulated: self.simulated,
            claims: target.claims.clone(),
            settings: target.settings.clone(),
            rows: self.selection.all_rows().iter().map(|r| r.experiment.id().to_owned()).collect(),
            confidence,
            seed: self.seed,
            started_at: current_timestamp(),
            scope: RunScope {
                cases: Some(digest_rows(&self.selection.all_rows())),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                beside: self.selection.dependency_ids(),
                shard: self.shard.map(shard_info),
                texts_removed: sending.redact == ContentPolicy::RemoveContent,
                ..self.scope.clone()
            },
        }
    }

    /// Opens a new recording, or continues the recording of the interrupted run.
    fn open_writer(&mut self, sending: &SendArgs) -> Result<RecordingWriter, CliError> {
        if let Some(resumed) = self.resumed.take() {
            return resumed.into_writer();
        }
        let file = files::create_durable_file(&self.recording)?;
        let header = self.build_header(sending);
        let mut writer = RecordingWriter::new(Recording::new(header.clone()), file, sending.redact);
        writer.write_line(&RunLine::Header(Box::new(header)));
        Ok(writer)
    }
}

/// Makes a run, and judges it.
pub async fn run_target<E: MessagesEndpoint>(
    endpoint: &E,
    mut job: RunJob<'_>,
    sending: &SendArgs,
    shared: &SharedState,
    catalog: &Catalog,
    stop: &StopSignal,
) -> Result<(Results, RunEnd), CliError> {
    let earlier_ms = job.resumed.as_ref().map_or(0, ResumedRun::elapsed_ms);
    // The recording of an interrupted run has a forecast.
    if job.resumed.is_none() {
        job.scope.foreseen = Some(Box::new(forecast(job.target, &job.selection.run, sending)));
    }
    let mut writer = job.open_writer(sending)?;
    let answered = find_answered_exchanges(&writer.recording);
    let RunJob { target, selection, .. } = &job;
    let options = shared.run_options(sending, target, job.seed);
    let mut progress = job.progress.start_run(&RunInfo {
        name: &target.name,
        base_url: &job.base_url,
        model: &target.settings.model,
        simulated: job.simulated,
        rows: selection.run.len() as u64,
        seed: job.seed,
        recording: job.recording.display().to_string(),
        prices: sending.budget.prices(target),
        run_number: job.run_number,
    });
    let finished = {
        let listeners: Vec<&mut dyn RunListener> = vec![&mut writer, &mut progress];
        match selection.run.is_empty() {
            // A shard without rows sends no probes either.
            true => FinishedRun { end: RunEnd::Complete, text_form: TextForm::default() },
            false => resume(endpoint, selection, &options, &answered, listeners, stop).await,
        }
    };
    if finished.end == RunEnd::Complete {
        writer.discard_unused_trials();
    }
    let footer = RunFooter {
        finished_at: current_timestamp(),
        wall_ms: earlier_ms + job.started.elapsed().as_millis() as u64,
        channel: finished.text_form,
        ended: finished.end,
        counts: Some(LineCounts::from_recording(&writer.recording)),
    };
    writer.recording.footer = Some(footer.clone());
    // The recording in memory has its texts, so it can be judged.
    writer.recording.header.scope.texts_removed = false;
    let mut results = judge(catalog, &writer.recording)?;
    note_remaining_work(&mut results, catalog, &writer.recording);
    if sending.redact == ContentPolicy::RemoveContent {
        results = redact_content(results);
        writer.write_line(&RunLine::Results(Box::new(results.clone())));
    }
    writer.write_line(&RunLine::Footer(footer));
    // Writing to the disk may take long, and other runs continue meanwhile.
    let stored = tokio::task::spawn_blocking(|| writer.finish()).await;
    let stored = stored.map_err(|_| CliError::Unreachable("the recording could not be finished"))?;
    report_recording(&job.recording, stored, finished.end == RunEnd::Interrupted);
    progress.finish(&results);
    Ok((results, finished.end))
}

/// Reports an incomplete recording, or an interrupted run.
pub fn report_recording(path: &Path, stored: Result<(), String>, interrupted: bool) {
    let path = path.display();
    if let Err(problem) = stored {
        stderr::warn(format!("the recording {path} is incomplete: {problem}. The results are complete"));
    }
    if interrupted {
        stderr::warn(format!("interrupted; partial results are in {path}"));
    }
}
