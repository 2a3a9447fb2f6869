//! One run of one endpoint, from the first request to the results: recorded, shown as it goes, stopped by a signal.
//!
//! Knows nothing of reports, nor of which command asked.

use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;

use crate::catalog::Catalog;
use crate::cli::args::send::SendArgs;
use crate::cli::io::{files, stdout};
use crate::cli::progress::{ProgressReporter, RunInfo};
use crate::cli::session::forecast::forecast;
use crate::cli::session::resume::ResumedRun;
use crate::cli::target::resolve::ResolvedTarget;
use crate::cli::{CliError, ExitStatus};
use crate::client::MessagesEndpoint;
use crate::engine::selection::digest_rows;
use crate::engine::{FinishedRun, RowSelection, ShardSpec, StopSignal, judge, note_remaining_work, resume};
use crate::recording::answered::AnsweredExchanges;
use crate::recording::event::RunListener;
use crate::recording::request_settings::TextForm;
use crate::recording::run::{LineCounts, Recording, RunEnd, RunFooter, RunHeader, RunLine, SCHEMA};
use crate::recording::scope::RunScope;
use crate::recording::writer::RecordingWriter;
use crate::redact::ContentPolicy;
use crate::results::model::Results;
use crate::results::redact::redact_content;

/// A run that is to be made.
pub struct RunJob<'a> {
    /// What is tested.
    pub target: &'a ResolvedTarget,
    /// The base URL, as results show it.
    pub base_url: String,
    /// True where the built-in simulator answers.
    pub simulated: bool,
    /// The rows to run.
    pub selection: RowSelection<'a>,
    /// The part, where the plan is shared out.
    pub shard: Option<ShardSpec>,
    /// The seed of every draw.
    pub seed: u64,
    /// Where the recording goes.
    pub recording: PathBuf,
    /// What watches it.
    pub progress: &'a ProgressReporter,
    /// When it began, or was gone on with.
    pub started: Instant,
    /// What its recording says of it, beside what follows from the rest.
    pub scope: RunScope,
    /// Which of several runs of the same plan, from 1.
    pub run_number: Option<u64>,
    /// What is gone on with, where it was begun before.
    pub resumed: Option<ResumedRun>,
}

impl RunJob<'_> {
    /// What its recording begins with.
    pub fn build_header(&self, sending: &SendArgs) -> RunHeader {
        let tested = self.target;
        let part = |part: ShardSpec| {
            part.shard_info(
                &self.selection.plan,
                &tested.settings,
                tested.claims.as_ref(),
                sending.confidence,
                &self.base_url,
            )
        };
        RunHeader {
            schema: SCHEMA.to_owned(),
            name: tested.name.clone(),
            base_url: self.base_url.clone(),
            simulated: self.simulated,
            claims: tested.claims.clone(),
            settings: tested.settings.clone(),
            rows: self.selection.run.iter().map(|r| r.experiment.id().to_owned()).collect(),
            confidence: sending.confidence,
            seed: self.seed,
            started_at: current_timestamp(),
            scope: RunScope {
                cases: Some(digest_rows(&self.selection.run)),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                beside: self.selection.dependencies.clone(),
                shard: self.shard.map(part),
                texts_removed: sending.redact == ContentPolicy::RemoveContent,
                ..self.scope.clone()
            },
        }
    }

    /// What keeps it, from its beginning or from where it was cut.
    fn open_writer(&mut self, sending: &SendArgs) -> Result<RecordingWriter, CliError> {
        if let Some(resumption) = self.resumed.take() {
            return resumption.into_writer();
        }
        let file = files::create_durable_file(&self.recording)?;
        let header = self.build_header(sending);
        let mut keeper = RecordingWriter::new(Recording::new(header.clone()), file, sending.redact);
        keeper.write_line(&RunLine::Header(Box::new(header)));
        Ok(keeper)
    }
}

/// Makes the run.
pub async fn run_target<E: MessagesEndpoint>(
    endpoint: &E,
    mut job: RunJob<'_>,
    sending: &SendArgs,
    catalog: &Catalog,
    stop: &StopSignal,
) -> Result<(Results, RunEnd), CliError> {
    let earlier_ms = job.resumed.as_ref().map_or(0, ResumedRun::elapsed_ms);
    // What was begun before has its forecast.
    if job.resumed.is_none() {
        job.scope.foreseen = Some(Box::new(forecast(job.target, &job.selection.run, sending)));
    }
    let mut keeper = job.open_writer(sending)?;
    let known = AnsweredExchanges::from_recording(&keeper.recording);
    let RunJob { target: tested, selection, .. } = &job;
    let options = sending.run_options(tested, job.seed);
    let mut watched = job.progress.start_run(&RunInfo {
        name: &tested.name,
        base_url: &job.base_url,
        model: &tested.settings.model,
        simulated: job.simulated,
        rows: selection.run.len() as u64,
        seed: job.seed,
        recording: job.recording.display().to_string(),
        prices: sending.money.prices(tested),
        run_number: job.run_number,
    });
    let finished = {
        let listeners: Vec<&mut dyn RunListener> = vec![&mut keeper, &mut watched];
        match selection.run.is_empty() {
            // A shard without rows asks nothing, not even what runs ask first.
            true => FinishedRun { end: RunEnd::Complete, text_form: TextForm::default() },
            false => resume(endpoint, selection, &options, &known, listeners, stop).await,
        }
    };
    if finished.end == RunEnd::Complete {
        keeper.discard_unused_trials();
    }
    let footer = RunFooter {
        finished_at: current_timestamp(),
        wall_ms: earlier_ms + job.started.elapsed().as_millis() as u64,
        channel: finished.text_form,
        ended: finished.end,
        counts: Some(LineCounts::from_recording(&keeper.recording)),
    };
    keeper.recording.footer = Some(footer.clone());
    // In memory the texts are all there: this is what they amount to.
    keeper.recording.header.scope.texts_removed = false;
    let mut results = judge(catalog, &keeper.recording).map_err(|e| CliError::Internal(e.to_string()))?;
    note_remaining_work(&mut results, catalog, &keeper.recording);
    if sending.redact == ContentPolicy::RemoveContent {
        results = redact_content(results);
        keeper.write_line(&RunLine::Results(Box::new(results.clone())));
    }
    keeper.write_line(&RunLine::Footer(footer));
    // The disk takes its time, and other runs go on meanwhile.
    let ended = tokio::task::spawn_blocking(|| keeper.finish()).await;
    let path = &job.recording;
    let stored = ended.map_err(|e| CliError::Internal(format!("cannot end the recording: {e}")))?;
    files::warn_if_incomplete(path, stored);
    if finished.end == RunEnd::Interrupted {
        stdout::warn(format!("interrupted; partial results are in {}", path.display()));
    }
    watched.finish(&results);
    Ok((results, finished.end))
}

/// The runtime that runs live on, where simulations answer in this process beside them.
pub fn multi_thread_runtime() -> Result<tokio::runtime::Runtime, CliError> {
    build_runtime(tokio::runtime::Builder::new_multi_thread())
}

/// The runtime of runs that wait for endpoints elsewhere: one thread does that best, since nothing is handed from one to
/// another.
pub fn single_thread_runtime() -> Result<tokio::runtime::Runtime, CliError> {
    build_runtime(tokio::runtime::Builder::new_current_thread())
}

fn build_runtime(mut builder: tokio::runtime::Builder) -> Result<tokio::runtime::Runtime, CliError> {
    builder.enable_all().build().map_err(|e| CliError::Internal(format!("cannot start the runtime: {e}")))
}

/// From now on the first signal ends the run with what it has; the second ends the process, whatever it does then. So they
/// are heard on a thread of their own, to the end of the process.
pub fn stop_on_signal(stop: StopSignal) {
    let heard = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| runtime.block_on(handle_signals(stop)))
    };
    // Without the thread, a signal ends the process at once.
    drop(std::thread::Builder::new().name("signals".to_owned()).spawn(heard));
}

async fn handle_signals(stop: StopSignal) {
    if wait_for_signal().await.is_ok() {
        stop.stop();
        stdout::warn("\nstopping: results so far will be written (press again to quit at once)");
    }
    if wait_for_signal().await.is_ok() {
        std::process::exit(i32::from(ExitStatus::Untested.code()));
    }
}

/// A file that must not grow any more is an error of its writing, and not the end of the process: the signal for it is
/// heard and passed over, as long as what this gives is held.
#[cfg(unix)]
pub fn ignore_file_size_signal() -> Option<tokio::signal::unix::Signal> {
    const SIGXFSZ: i32 = 25;
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ)).ok()
}

/// Systems without that signal have nothing to pass over.
#[cfg(not(unix))]
pub fn file_size_signal() -> Option<()> {
    None
}

/// Ctrl-C, or the word to end that CI systems and containers send.
#[cfg(unix)]
async fn wait_for_signal() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// The time of day, as results have it.
pub fn current_timestamp() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
