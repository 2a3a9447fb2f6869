//! One run of one endpoint, from the first request to the results: recorded, shown as it goes, stopped by a signal.
//!
//! Knows nothing of reports, nor of which command asked.

use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;

use crate::catalog::{Catalog, CatalogRow};
use crate::cli::args::send::{Redact, SendArgs};
use crate::cli::io::stdout;
use crate::cli::progress::{Begun, Watch};
use crate::cli::session::forecast::foreseen;
use crate::cli::session::resume::Resumption;
use crate::cli::target::resolve::Tested;
use crate::cli::{CliError, Exit};
use crate::client::Endpoint;
use crate::engine::request::build::Channel;
use crate::engine::{Finished, Listener, Part, Stop, judge, resume};
use crate::recording::answered::Known;
use crate::recording::durable_file::Recorder;
use crate::recording::run::{Counts, Ended, Footer, Header, Line, Recording, SCHEMA};
use crate::recording::scope::{Extent, Scope, digest};
use crate::recording::writer::Keeper;
use crate::results::model::Results;
use crate::results::redact::without_texts;

/// A run that is to be made.
pub struct Job<'a> {
    /// What is tested.
    pub tested: &'a Tested,
    /// The base URL, as results show it.
    pub base_url: String,
    /// True where the built-in simulator answers.
    pub simulated: bool,
    /// The rows to run.
    pub extent: Extent<'a>,
    /// All rows of the plan that these are a part of, in order.
    pub plan: Vec<&'a CatalogRow>,
    /// The part, where the plan is shared out.
    pub shard: Option<Part>,
    /// The seed of every draw.
    pub seed: u64,
    /// Where the recording goes.
    pub recording: PathBuf,
    /// What watches it.
    pub watch: &'a Watch,
    /// When it began, or was gone on with.
    pub started: Instant,
    /// What its recording says of it, beside what follows from the rest.
    pub scope: Scope,
    /// Which of several runs of the same plan, from 1.
    pub run: Option<u64>,
    /// What is gone on with, where it was begun before.
    pub resumption: Option<Resumption>,
}

impl Job<'_> {
    /// What its recording begins with.
    pub fn header(&self, sending: &SendArgs) -> Header {
        let tested = self.tested;
        let part = |part: Part| {
            part.of_plan(&self.plan, &tested.settings, tested.claims.as_ref(), sending.confidence, &self.base_url)
        };
        Header {
            schema: SCHEMA.to_owned(),
            name: tested.name.clone(),
            base_url: self.base_url.clone(),
            simulated: self.simulated,
            claims: tested.claims.clone(),
            settings: tested.settings.clone(),
            rows: self.extent.rows.iter().map(|r| r.experiment.id().to_owned()).collect(),
            confidence: sending.confidence,
            seed: self.seed,
            started_at: now(),
            scope: Scope {
                cases: Some(digest(&self.extent.rows)),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                beside: self.extent.beside.clone(),
                shard: self.shard.map(part),
                texts_removed: sending.redact == Redact::Texts,
                ..self.scope.clone()
            },
        }
    }

    /// What keeps it, from its beginning or from where it was cut.
    fn keeper(&mut self, sending: &SendArgs) -> Result<Keeper, CliError> {
        if let Some(resumption) = self.resumption.take() {
            return resumption.keeper();
        }
        let file = Recorder::create(&self.recording)?;
        let header = self.header(sending);
        let mut keeper = Keeper::new(Recording::new(header.clone()), file, sending.redact);
        keeper.line(&Line::Header(Box::new(header)));
        Ok(keeper)
    }
}

/// Makes the run.
pub async fn conduct<E: Endpoint>(
    endpoint: &E,
    mut job: Job<'_>,
    sending: &SendArgs,
    catalog: &Catalog,
    stop: &Stop,
) -> Result<(Results, Ended), CliError> {
    let earlier_ms = job.resumption.as_ref().map_or(0, Resumption::took_ms);
    // What was begun before has its forecast.
    if job.resumption.is_none() {
        let foreseen = foreseen(job.tested, catalog, &job.extent.rows, sending, job.simulated).await?;
        job.scope.foreseen = Some(Box::new(foreseen));
    }
    let mut keeper = job.keeper(sending)?;
    let known = Known::of(&keeper.recording);
    let Job { tested, extent, .. } = &job;
    let options = sending.options(tested, job.seed);
    let mut watched = job.watch.run(&Begun {
        name: &tested.name,
        base_url: &job.base_url,
        model: &tested.settings.model,
        simulated: job.simulated,
        rows: extent.rows.len() as u64,
        seed: job.seed,
        recording: job.recording.display().to_string(),
        prices: sending.money.prices(tested),
        run: job.run,
    });
    let finished = {
        let listeners: Vec<&mut dyn Listener> = vec![&mut keeper, &mut watched];
        match extent.rows.is_empty() {
            // A shard without rows asks nothing, not even what runs ask first.
            true => Finished { ended: Ended::Complete, channel: Channel::default() },
            false => resume(endpoint, &job.plan, &extent.rows, &options, &known, listeners, stop).await,
        }
    };
    if finished.ended == Ended::Complete {
        keeper.withdraw();
    }
    let footer = Footer {
        finished_at: now(),
        wall_ms: earlier_ms + job.started.elapsed().as_millis() as u64,
        channel: finished.channel,
        ended: finished.ended,
        counts: Some(Counts::of(&keeper.recording)),
    };
    keeper.recording.footer = Some(footer.clone());
    // In memory the texts are all there: this is what they amount to.
    keeper.recording.header.scope.texts_removed = false;
    let mut results = judge(catalog, &keeper.recording).map_err(|e| CliError::Fault(e.to_string()))?;
    if sending.redact == Redact::Texts {
        results = without_texts(results);
        keeper.line(&Line::Results(Box::new(results.clone())));
    }
    keeper.line(&Line::Footer(footer));
    // The disk takes its time, and other runs go on meanwhile.
    let ended = tokio::task::spawn_blocking(|| keeper.end()).await;
    let (path, wrong) = ended.map_err(|e| CliError::Fault(format!("cannot end the recording: {e}")))?;
    if let Some(wrong) = wrong {
        stdout::warn(format!("the recording {} is not whole: {wrong}; the results are", path.display()));
    }
    if finished.ended == Ended::Interrupted {
        stdout::warn(format!("interrupted; what was obtained so far is in {}", path.display()));
    }
    watched.ended(&results);
    Ok((results, finished.ended))
}

/// The runtime that runs live on, where simulations answer in this process beside them.
pub fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    made(tokio::runtime::Builder::new_multi_thread())
}

/// The runtime of runs that wait for endpoints elsewhere: one thread does that best, since nothing is handed from one to
/// another.
pub fn waiting_runtime() -> Result<tokio::runtime::Runtime, CliError> {
    made(tokio::runtime::Builder::new_current_thread())
}

fn made(mut builder: tokio::runtime::Builder) -> Result<tokio::runtime::Runtime, CliError> {
    builder.enable_all().build().map_err(|e| CliError::Fault(format!("cannot start the runtime: {e}")))
}

/// From now on the first signal ends the run with what it has; the second ends the process, whatever it does then. So they
/// are heard on a thread of their own, to the end of the process.
pub fn stop_on_signal(stop: Stop) {
    let heard = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| runtime.block_on(two_signals(stop)))
    };
    // Without the thread, a signal ends the process at once.
    drop(std::thread::Builder::new().name("signals".to_owned()).spawn(heard));
}

async fn two_signals(stop: Stop) {
    if signal().await.is_ok() {
        stop.stop();
        stdout::warn("\nstopping: results so far will be written (press again to quit at once)");
    }
    if signal().await.is_ok() {
        std::process::exit(i32::from(Exit::Untested.code()));
    }
}

/// A file that must not grow any more is an error of its writing, and not the end of the process: the signal for it is
/// heard and passed over, as long as what this gives is held.
#[cfg(unix)]
pub fn file_size_signal() -> Option<tokio::signal::unix::Signal> {
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
async fn signal() -> std::io::Result<()> {
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
pub fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
