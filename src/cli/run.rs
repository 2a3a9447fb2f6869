//! `fieldtest run`: tests endpoints.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use jiff::Timestamp;

use super::args::{CaseArgs, EndpointArgs, OutputArgs, SelectArgs, SimulatorArgs};
use super::endpoint::{Place, Tested, fit, resolve};
use super::listeners::{Progress, RecordingFile};
use super::sending::SendArgs;
use super::{CliError, Environment, Exit, files, output};
use crate::case::{Catalog, CatalogRow};
use crate::client::Client;
use crate::engine::recording::{Ended, Footer, Header, Line, Recording, SCHEMA};
use crate::engine::{Memory, Stop, judge, run};
use crate::report::results::Results;
use crate::simulator;

/// Tests endpoints: sends the experiments, decides every row, writes the recording, the results and the matrix.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fieldtest run\n  fieldtest run deepseek --out out\n  \
                        fieldtest run --base-url http://127.0.0.1:4000 --model m --claims deepseek --out out\n  \
                        fieldtest run deepseek --simulate --flip field.top_k=supported")]
pub struct RunArgs {
    #[command(flatten)]
    endpoint: EndpointArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    sending: SendArgs,
    /// The folder for the recordings, instead of the one for the reports.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    #[command(flatten)]
    simulator: SimulatorArgs,
}

/// Runs the command.
pub fn main(args: &RunArgs, environment: &Environment) -> Result<Exit, CliError> {
    let catalog = args.cases.load()?;
    let targets = resolve(&args.endpoint, &catalog, environment)?;
    fit(&targets, args.simulator.given(), args.sending.max_cost)?;
    // What can be wrong is found out for every target before anything is sent to the first.
    let selected: Vec<Vec<&CatalogRow>> = targets
        .iter()
        .map(|tested| args.select.rows(&catalog, |needed| tested.states(needed)))
        .collect::<Result<_, _>>()?;
    let names: Vec<&str> = targets.iter().map(|tested| tested.name.as_str()).collect();
    let baseline = args.output.baseline.load(&catalog, &names, [], environment.today)?;
    let folder = args.record.as_ref().unwrap_or(&args.output.out);
    files::writable(&args.output.out)?;
    files::writable(folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::Fault(format!("cannot start the runtime: {e}")))?;
    let mut all = Vec::new();
    let mut written = Ok(());
    for (tested, rows) in targets.iter().zip(&selected) {
        let (mut results, ended) = runtime.block_on(one(args, environment, &catalog, tested, rows, folder))?;
        if let Some(baseline) = &baseline {
            baseline.hold(&mut results, &catalog, args.output.strict);
        }
        // A file that cannot be written any more costs nobody the results: they are still shown below.
        written = written.and(output::write_results(&args.output, &results));
        all.push(results);
        if ended == Ended::Interrupted {
            break;
        }
    }
    let reports = output::write_reports(&args.output, &all, environment);
    output::tell_shortfalls(&all);
    output::tell_baselines(&all);
    written.and(reports)?;
    output::tell_files(&args.output.out, &args.output.format);
    Ok(output::exit_of(&all, args.output.strict))
}

/// Tests one target.
async fn one(
    args: &RunArgs,
    environment: &Environment,
    catalog: &Catalog,
    tested: &Tested,
    rows: &[&CatalogRow],
    folder: &std::path::Path,
) -> Result<(Results, Ended), CliError> {
    let started = Instant::now();
    // The simulation lives as long as this function.
    let (base_url, credential, _simulation) = match &tested.place {
        Place::Live { base_url, credential } => (base_url.clone(), credential.clone(), None),
        Place::Simulated(target) => {
            let behaviour = args.simulator.behaviour(target, catalog, args.sending.seed.unwrap_or(1))?;
            let key = behaviour.right_credential().to_owned();
            let running = simulator::start(behaviour)
                .await
                .map_err(|e| CliError::Fault(format!("cannot start the simulator: {e}")))?;
            (running.base_url(), Some(key.into()), Some(running))
        }
    };
    let simulated = matches!(tested.place, Place::Simulated(_));
    let config = args.sending.config(tested, &base_url, credential, simulated, started);
    let client = Client::new(config).map_err(|e| CliError::Usage(e.to_string()))?;
    let options =
        args.sending.options(tested, args.sending.seed.unwrap_or(if simulated { 1 } else { environment.entropy }));
    let mut recording = Recording {
        header: Header {
            schema: SCHEMA.to_owned(),
            name: tested.name.clone(),
            // A simulation's port differs from run to run and means nothing to anyone.
            base_url: if simulated { "http://simulator".to_owned() } else { base_url },
            simulated,
            claims: tested.claims.clone(),
            settings: tested.settings.clone(),
            rows: rows.iter().map(|r| r.experiment.id().to_owned()).collect(),
            confidence: options.confidence,
            seed: options.seed,
            started_at: now(),
        },
        exchanges: Vec::new(),
        trials: Vec::new(),
        footer: None,
    };
    let path = folder.join(format!("recording-{}.jsonl", crate::report::slug(&tested.name)));
    let mut file = RecordingFile::new(files::create_recording(&path)?);
    file.line(&Line::Header(Box::new(recording.header.clone())));
    let mut progress = Progress::new(&tested.name, rows.len(), environment.interactive && !args.sending.no_progress);
    let stop = Stop::default();
    let watcher = tokio::spawn(stop_on_signal(stop.clone()));
    let finished = {
        let mut memory = Memory(&mut recording);
        run(&client, rows, &options, vec![&mut file, &mut memory, &mut progress], &stop).await
    };
    watcher.abort();
    progress.clear();
    let footer = Footer {
        finished_at: now(),
        wall_ms: started.elapsed().as_millis() as u64,
        channel: finished.channel,
        ended: finished.ended,
    };
    file.line(&Line::Footer(footer.clone()));
    recording.footer = Some(footer);
    if let Some(error) = file.error() {
        output::warn(format!("the recording {} is not whole: {error}", path.display()));
    }
    if finished.ended == Ended::Interrupted {
        output::warn(format!("interrupted; what was obtained so far is in {}", path.display()));
    }
    let results = judge(catalog, &recording).map_err(|e| CliError::Fault(e.to_string()))?;
    Ok((results, finished.ended))
}

/// The first signal ends the run with what it has; the second ends the process.
async fn stop_on_signal(stop: Stop) {
    if signal().await.is_ok() {
        stop.stop();
        output::warn("\nstopping: results so far will be written (press again to quit at once)");
    }
    if signal().await.is_ok() {
        std::process::exit(i32::from(Exit::Untested.code()));
    }
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

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
