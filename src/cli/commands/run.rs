//! `fieldtest run`: tests endpoints.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::catalog::Catalog;
use crate::cli::args::common::{CaseArgs, EndpointArgs, Format, OutputArgs, SelectArgs};
use crate::cli::args::send::SendArgs;
use crate::cli::args::shard::{RerunSource, ShardArgs};
use crate::cli::args::simulator::SimulationArgs;
use crate::cli::io::{files, stdout};
use crate::cli::progress::{ProgressOptions, ProgressReporter};
use crate::cli::session::batch::{BatchOutcome, RunBatch};
use crate::cli::session::jobs::TargetJob;
use crate::cli::session::preflight::preflight;
use crate::cli::session::run::{ignore_file_size_signal, multi_thread_runtime, single_thread_runtime, stop_on_signal};
use crate::cli::session::{replay, resume};
use crate::cli::target::resolve::EndpointKind;
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::engine::StopSignal;

/// Tests endpoints: sends the experiments, decides every row, writes the recording, the results and the matrix.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fieldtest run\n  fieldtest run deepseek --out out\n  \
                        fieldtest run --base-url http://127.0.0.1:4000 --model m --claims deepseek --out out\n  \
                        fieldtest run deepseek --simulate --flip field.top_k=supported\n  \
                        fieldtest run deepseek --replay reports --out again\n  \
                        fieldtest run deepseek --rerun reports/results-deepseek.json\n  \
                        fieldtest run deepseek --shard 1/4 --out shard-1\n  \
                        fieldtest run deepseek --model deepseek-chat --model deepseek-reasoner\n  \
                        fieldtest run --targets list.yaml --jobs 16 --repeat 5\n  \
                        fieldtest run deepseek --resume reports/recording-deepseek.jsonl")]
pub struct RunArgs {
    #[command(flatten)]
    pub endpoint: EndpointArgs,
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub cases: CaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub sending: SendArgs,
    /// The folder for the recordings, instead of the one for the reports.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Run each target so many times, with fresh draws, and tell how stable each row's verdict is.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with_all = [
        "rerun", "shard", "replay",
    ])]
    pub repeat: Option<u32>,
    /// How many targets are tested side by side.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Ask again only the rows that contradict their claim or are undetermined in this results file, with fresh draws;
    /// the other rows stay as they are there.
    #[arg(long, value_name = "FILE", conflicts_with = "shard")]
    rerun: Option<PathBuf>,
    #[command(flatten)]
    pub shard: ShardArgs,
    /// Send nothing: answer from the recording of each target that is named, or from all in this folder.
    #[arg(long, value_name = "DIR|FILE", conflicts_with_all = [
        "targets_file", "base_url", "model", "api_key_env", "api_key_file", "api_key_command", "auth", "simulate", "default_max_tokens", "record", "seed",
        "rerun", "shard", "redact", "confidence", "max_requests", "max_tokens", "max_cost", "price_input", "price_output", "rpm", "tpm",
        "concurrency", "timeout", "retries", "allow_http", "ca_file", "client_cert", "client_key", "proxy", "no_proxy",
    ])]
    replay: Option<PathBuf>,
    /// Go on with runs that were cut: from the recording of one, or from those in a folder. What was answered is not sent
    /// again. What was asked comes from the recording; where to send it, and the credential, as always.
    #[arg(long, value_name = "FILE|DIR", conflicts_with_all = ["replay", "rerun", "repeat", "record"])]
    pub resume: Option<PathBuf>,
    #[command(flatten)]
    pub simulation: SimulationArgs,
}

/// Runs the command.
pub fn main(args: &RunArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let prints = |format: &&Format| matches!(format, Format::Terminal | Format::Github);
    if let (true, Some(_)) = (args.output.format.contains(&Format::Ndjson), args.output.format.iter().find(prints)) {
        return Err(CliError::Usage(
            "--format ndjson has standard output for itself: leave out `terminal` and `github`, as in `--format \
             ndjson,json,markdown`"
                .to_owned(),
        ));
    }
    let catalog = args.cases.load()?;
    if let Some(place) = &args.replay {
        return replay(args, place, &catalog, environment);
    }
    let rerun = args.rerun.as_deref().map(RerunSource::read).transpose()?;
    let simulator = args.simulation.load()?;
    let work = TargetJob::plan_jobs(args, &catalog, environment, &simulator, rerun.as_ref())?;
    let targets = || work.iter().map(|work| &work.target);
    let names: Vec<&str> = targets().map(|tested| tested.name.as_str()).collect();
    let baseline = args.output.baseline.load(&catalog, &names, [], environment.today)?;
    let folder = match &args.resume {
        Some(place) => resume::recording_folder(place),
        None => args.record.as_ref().unwrap_or(&args.output.out).clone(),
    };
    let _held = files::lock_folder(&args.output.out)?;
    files::ensure_writable(&folder)?;
    let ready = preflight(targets().map(|tested| &tested.endpoint), &args.sending.transport, &catalog, environment)?;
    for TargetJob { target: tested, resumed: resumption, .. } in &work {
        let Some(resumption) = resumption else { continue };
        resumption.verify_base_url(&tested.endpoint, &ready.secrets)?;
        // The budget is the whole command's: what any target took counts before another sends.
        args.sending.charge_recording(tested, &resumption.recording);
    }
    for tested in targets() {
        args.sending.validate_limits(tested)?;
    }
    let simulates = targets().any(|tested| matches!(tested.endpoint, EndpointKind::Simulated(_)));
    let runtime = if simulates { multi_thread_runtime() } else { single_thread_runtime() }?;
    work.iter().for_each(|work| work.announce(args, rerun.is_some()));
    let repeats = args.repeat.unwrap_or(1) as usize;
    let ndjson = args.output.format.contains(&Format::Ndjson);
    let wanted = ProgressOptions {
        no_progress: args.sending.no_progress,
        ndjson,
        run_count: work.len().saturating_mul(repeats),
    };
    let batch = RunBatch {
        args,
        environment,
        simulator,
        catalog: &catalog,
        preflight: ready,
        recording_folder: folder,
        rerun,
        baseline,
        stop: StopSignal::default(),
        progress: ProgressReporter::new(environment, wanted),
    };
    stop_on_signal(batch.stop.clone());
    let made = runtime.block_on(async {
        let _heard = ignore_file_size_signal();
        tokio::select! {
            made = batch.run(work, usize::from(args.jobs)) => made,
            // It never ends by itself.
            () = batch.progress.heartbeat() => BatchOutcome { results: Vec::new(), errors: Vec::new() },
        }
    });
    let finished = stdout::finish(&args.output, &made.results, environment);
    // One is what the command ends with; the others are told.
    let mut errors = made.errors.into_iter();
    let first = errors.next();
    errors.for_each(|error| stdout::warn(format!("error: {error}")));
    let exit = first.map_or(finished, Err);
    batch.progress.emit_exit(&exit);
    exit
}

/// Replays instead of sending.
fn replay(
    args: &RunArgs,
    place: &Path,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<ExitStatus, CliError> {
    stdout::reject_ndjson(&args.output)?;
    if args.simulation.is_set() {
        return Err(CliError::Usage("the simulator's options change nothing in a recording".to_owned()));
    }
    let _held = files::lock_folder(&args.output.out)?;
    let mut all = replay::replay_recordings(place, &args.endpoint, &args.select, catalog)?;
    args.output.baseline.load_and_compare(&mut all, catalog, args.output.strict, environment.today)?;
    stdout::write_all_results(&args.output, &all, |_, _| false)?;
    stdout::finish(&args.output, &all, environment)
}
