//! `fieldtest run`: tests endpoints.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use super::args::{CaseArgs, EndpointArgs, OutputArgs, SelectArgs, SimulatorArgs};
use super::conduct::{Job, conduct, runtime, stop_on_signal};
use super::endpoint::{Place, Tested, resolve};
use super::sending::{SendArgs, secrets};
use super::{CliError, Environment, Exit, files, output, replaying};
use crate::case::{Catalog, CatalogRow};
use crate::client::{Client, Mask};
use crate::engine::Stop;
use crate::engine::recording::Ended;
use crate::engine::scope::Extent;
use crate::report::{self, results::Results};
use crate::simulator;

/// Tests endpoints: sends the experiments, decides every row, writes the recording, the results and the matrix.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fieldtest run\n  fieldtest run deepseek --out out\n  \
                        fieldtest run --base-url http://127.0.0.1:4000 --model m --claims deepseek --out out\n  \
                        fieldtest run deepseek --simulate --flip field.top_k=supported\n  \
                        fieldtest run deepseek --replay reports --out again")]
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
    /// Send nothing: answer from the recording of each target that is named, or from all in this folder.
    #[arg(long, value_name = "DIR|FILE", conflicts_with_all = [
        "base_url", "model", "api_key_env", "api_key_file", "auth", "simulate", "answer_tokens", "record", "seed",
        "confidence", "max_requests", "max_tokens", "max_cost", "rate", "token_rate",
    ])]
    replay: Option<PathBuf>,
    #[command(flatten)]
    simulator: SimulatorArgs,
}

/// Runs the command.
pub fn main(args: &RunArgs, environment: &Environment) -> Result<Exit, CliError> {
    let catalog = args.cases.load()?;
    if let Some(place) = &args.replay {
        return replayed(args, place, &catalog, environment);
    }
    let targets = resolve(&args.endpoint, &catalog, environment)?;
    if args.simulator.given() && targets.iter().any(|t| matches!(t.place, Place::Live { .. })) {
        return Err(CliError::Usage("the simulator's options go with a simulation: add --simulate".to_owned()));
    }
    if args.sending.max_cost.is_some() && targets.iter().any(|t| t.prices.is_none()) {
        return Err(CliError::Usage(
            "--max-cost needs the prices of every target, in its file under `prices`".to_owned(),
        ));
    }
    // What can be wrong is found out for every target before anything is sent to the first.
    let selected: Vec<Vec<&CatalogRow>> = targets
        .iter()
        .map(|tested| args.select.rows(&catalog, |needed| tested.states(needed)))
        .collect::<Result<_, _>>()?;
    let folder = args.record.as_ref().unwrap_or(&args.output.out);
    files::writable(&args.output.out)?;
    files::writable(folder)?;
    let runtime = runtime()?;
    let mut all = Vec::new();
    let mut written = Ok(());
    for (tested, rows) in targets.iter().zip(&selected) {
        let (results, ended) = runtime.block_on(one(args, environment, &catalog, tested, rows, folder))?;
        // A file that cannot be written any more costs nobody the results: they are still shown below.
        written = written.and(output::write_results(&args.output, &results));
        all.push(results);
        if ended == Ended::Interrupted {
            break;
        }
    }
    let reports = output::write_reports(&args.output, &all, environment);
    output::tell_shortfalls(&all);
    written.and(reports)?;
    output::tell_files(&args.output.out, &args.output.format);
    Ok(output::exit_of(&all, args.output.strict))
}

/// Replays instead of sending.
fn replayed(args: &RunArgs, place: &Path, catalog: &Catalog, environment: &Environment) -> Result<Exit, CliError> {
    if args.simulator.given() {
        return Err(CliError::Usage("the simulator's options change nothing in a recording".to_owned()));
    }
    files::writable(&args.output.out)?;
    let all = replaying::results(place, &args.endpoint, &args.select, catalog)?;
    output::write_all_results(&args.output, &all, |_, _| false)?;
    output::write_reports(&args.output, &all, environment)?;
    output::tell_shortfalls(&all);
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
    folder: &Path,
) -> Result<(Results, Ended), CliError> {
    let started = Instant::now();
    // The simulation lives as long as this function.
    let (base_url, credential, simulation) = match &tested.place {
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
    let simulated = simulation.is_some();
    let mut config = args.sending.config(tested, &base_url, credential, simulated, started);
    config.secrets = secrets(catalog, environment);
    // A path may hold a key, too.
    let shown = Mask::new(config.credential.as_ref(), &config.secrets).text(base_url);
    let client = Client::new(config).map_err(|e| CliError::Usage(e.to_string()))?;
    let job = Job {
        tested,
        // A simulation's port differs from run to run and means nothing to anyone.
        base_url: if simulated { "http://simulator".to_owned() } else { shown },
        simulated,
        extent: Extent { rows: rows.to_vec(), beside: Vec::new() },
        plan: rows.to_vec(),
        shard: None,
        seed: args.sending.seed.unwrap_or(if simulated { 1 } else { environment.entropy }),
        recording: folder.join(format!("recording-{}.jsonl", report::slug(&tested.name))),
        progress: environment.interactive && !args.sending.no_progress,
        started,
    };
    let stop = Stop::default();
    let watcher = tokio::spawn(stop_on_signal(stop.clone()));
    let ended = conduct(&client, job, &args.sending, catalog, &stop).await;
    watcher.abort();
    ended
}
