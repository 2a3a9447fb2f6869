//! `fieldtest run`: tests endpoints.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use super::args::{CaseArgs, EndpointArgs, OutputArgs, SelectArgs, SimulatorArgs};
use super::conduct::{Job, conduct, runtime, stop_on_signal};
use super::endpoint::{Place, Tested, fit, resolve};
use super::part::{Portion, Rerun, ShardArgs};
use super::sending::{Redact, SendArgs, secrets};
use super::{CliError, Environment, Exit, files, output, replaying};
use crate::case::Catalog;
use crate::client::{Client, Mask};
use crate::engine::Stop;
use crate::engine::recording::Ended;
use crate::report::{self, results::Results};
use crate::simulator;

/// Tests endpoints: sends the experiments, decides every row, writes the recording, the results and the matrix.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fieldtest run\n  fieldtest run deepseek --out out\n  \
                        fieldtest run --base-url http://127.0.0.1:4000 --model m --claims deepseek --out out\n  \
                        fieldtest run deepseek --simulate --flip field.top_k=supported\n  \
                        fieldtest run deepseek --replay reports --out again\n  \
                        fieldtest run deepseek --rerun reports/results-deepseek.json\n  \
                        fieldtest run deepseek --shard 1/4 --out shard-1")]
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
    /// Ask again only the rows that contradict their claim or are undetermined in this results file, with fresh draws;
    /// the other rows stay as they are there.
    #[arg(long, value_name = "FILE", conflicts_with = "shard")]
    rerun: Option<PathBuf>,
    #[command(flatten)]
    shard: ShardArgs,
    /// Send nothing: answer from the recording of each target that is named, or from all in this folder.
    #[arg(long, value_name = "DIR|FILE", conflicts_with_all = [
        "base_url", "model", "api_key_env", "api_key_file", "auth", "simulate", "answer_tokens", "record", "seed",
        "rerun", "shard", "redact", "confidence", "max_requests", "max_tokens", "max_cost", "price_input",
        "price_output", "rate", "token_rate",
        "concurrency", "timeout", "retries",
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
    fit(&targets, args.simulator.given(), &args.sending.money)?;
    let rerun = args.rerun.as_deref().map(Rerun::read).transpose()?;
    if rerun.is_some() && targets.len() != 1 {
        return Err(CliError::Usage("--rerun goes with one target: name the one that the file is of".to_owned()));
    }
    // What can be wrong is found out for every target before anything is sent to the first.
    let mut portions: Vec<Portion<'_>> = Vec::new();
    for tested in &targets {
        let plan = args.select.rows(&catalog, |needed| tested.states(needed))?;
        portions.push(match &rerun {
            Some(rerun) => rerun.portion(&catalog, &plan)?,
            None => Portion { extent: args.shard.extent(&catalog, &plan), plan },
        });
    }
    let names: Vec<&str> = targets.iter().map(|tested| tested.name.as_str()).collect();
    let baseline = args.output.baseline.load(&catalog, &names, [], environment.today)?;
    let folder = args.record.as_ref().unwrap_or(&args.output.out);
    files::writable(&args.output.out)?;
    files::writable(folder)?;
    let runtime = runtime()?;
    let mut all = Vec::new();
    let mut written = Ok(());
    for (tested, portion) in targets.iter().zip(portions) {
        tell_portion(tested, &portion, args, rerun.is_some());
        let one = one(args, environment, &catalog, tested, portion, folder, rerun.as_ref());
        let (mut results, ended) = runtime.block_on(one)?;
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

/// Replays instead of sending.
fn replayed(args: &RunArgs, place: &Path, catalog: &Catalog, environment: &Environment) -> Result<Exit, CliError> {
    if args.simulator.given() {
        return Err(CliError::Usage("the simulator's options change nothing in a recording".to_owned()));
    }
    files::writable(&args.output.out)?;
    let mut all = replaying::results(place, &args.endpoint, &args.select, catalog)?;
    args.output.baseline.hold(&mut all, catalog, args.output.strict, environment.today)?;
    output::write_all_results(&args.output, &all, |_, _| false)?;
    output::write_reports(&args.output, &all, environment)?;
    output::tell_shortfalls(&all);
    output::tell_baselines(&all);
    output::tell_files(&args.output.out, &args.output.format);
    Ok(output::exit_of(&all, args.output.strict))
}

/// Says what of the plan is run, where it is not all.
fn tell_portion(tested: &Tested, portion: &Portion<'_>, args: &RunArgs, is_rerun: bool) {
    let (name, rows, beside) = (&tested.name, portion.extent.reported(), portion.extent.beside.len());
    let of = portion.plan.len();
    let more = if beside > 0 { format!(", with {beside} more that they work through") } else { String::new() };
    match args.shard.shard {
        Some(part) if rows == 0 => output::warn(format!("{name}: shard {part} has none of the {of} rows")),
        Some(part) => output::warn(format!("{name}: shard {part} has {rows} of the {of} rows{more}")),
        None if is_rerun && rows == 0 => {
            output::warn(format!("{name}: nothing to ask again: no row is contradicted or undetermined"));
        }
        None if is_rerun => output::warn(format!("{name}: {rows} of {of} rows are asked again{more}")),
        None => {}
    }
}

/// Tests one target.
async fn one(
    args: &RunArgs,
    environment: &Environment,
    catalog: &Catalog,
    tested: &Tested,
    portion: Portion<'_>,
    folder: &Path,
    rerun: Option<&Rerun>,
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
    let mut config = args.sending.config(tested, &base_url, credential, simulated, started)?;
    config.secrets = secrets(catalog, environment);
    // A path may hold a key, too.
    let shown = Mask::new(config.credential.as_ref(), &config.secrets).text(base_url);
    let client = Client::new(config).map_err(|e| CliError::Usage(e.to_string()))?;
    // A rerun asks with fresh draws: the same questions might only bring the same answers.
    let seed = args.sending.seed.unwrap_or(if simulated && rerun.is_none() { 1 } else { environment.entropy });
    let slug = report::slug(&tested.name);
    let job = Job {
        tested,
        // A simulation's port differs from run to run and means nothing to anyone.
        base_url: if simulated { "http://simulator".to_owned() } else { shown },
        simulated,
        extent: portion.extent,
        plan: portion.plan,
        shard: args.shard.shard,
        seed,
        recording: match rerun {
            Some(_) => files::unused(folder, &format!("recording-{slug}-rerun"), "jsonl"),
            None => folder.join(format!("recording-{slug}.jsonl")),
        },
        progress: environment.interactive && !args.sending.no_progress,
        started,
    };
    if let Some(rerun) = rerun {
        rerun.fits(&job.header(&args.sending), catalog)?;
        if job.extent.rows.is_empty() {
            let kept = rerun.as_it_is();
            let kept = if args.sending.redact == Redact::Texts { report::without_texts(kept) } else { kept };
            return Ok((kept, Ended::Complete));
        }
    }
    let stop = Stop::default();
    let watcher = tokio::spawn(stop_on_signal(stop.clone()));
    let ended = conduct(&client, job, &args.sending, catalog, &stop).await;
    watcher.abort();
    let (results, ended) = ended?;
    let results = match rerun {
        Some(rerun) => rerun.with(results),
        None => results,
    };
    // What a rerun keeps may have been written with its texts.
    Ok((if args.sending.redact == Redact::Texts { report::without_texts(results) } else { results }, ended))
}
