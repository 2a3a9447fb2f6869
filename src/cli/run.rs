//! `fieldtest run`: tests endpoints.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;

use super::args::{CaseArgs, EndpointArgs, OutputArgs, SelectArgs, SimulatorArgs, parse_confidence, parse_dollars};
use super::endpoint::{Place, Tested, resolve};
use super::listeners::{Progress, RecordingFile};
use super::{CliError, Environment, Exit, files, output};
use crate::case::{AuthScheme, Catalog, CatalogRow};
use crate::client::{Client, ClientConfig, Scheme};
use crate::engine::recording::{Ended, Footer, Header, Line, Recording, SCHEMA};
use crate::engine::{Budget, Memory, Options, Stop, judge, run};
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
    /// The confidence that statistical verdicts must reach.
    #[arg(long, value_name = "P", default_value_t = 0.99, value_parser = parse_confidence)]
    confidence: f64,
    /// How many requests are under way at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Requests a minute at most; the target's own limit unless told.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Tokens a minute at most; the target's own limit unless told.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    token_rate: Option<u32>,
    /// Stop after this many requests.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_requests: Option<u64>,
    /// Stop after this many input and output tokens.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_tokens: Option<u64>,
    /// Stop after this many US dollars; needs the target's prices.
    #[arg(long, value_name = "USD", value_parser = parse_dollars, allow_negative_numbers = true)]
    max_cost: Option<f64>,
    /// Seconds until a request is given up.
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// How often a request is sent again after 429, 5xx or a broken connection.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=20))]
    retries: u32,
    /// The folder for the recordings, instead of the one for the reports.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// The seed of every random draw; the same seed asks the same questions. Simulations use 1 unless told.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Show no progress bar.
    #[arg(long)]
    no_progress: bool,
    #[command(flatten)]
    simulator: SimulatorArgs,
}

/// Runs the command.
pub fn main(args: &RunArgs, environment: &Environment) -> Result<Exit, CliError> {
    let catalog = args.cases.load()?;
    let targets = resolve(&args.endpoint, &catalog, environment)?;
    if args.simulator.given() && targets.iter().any(|t| matches!(t.place, Place::Live { .. })) {
        return Err(CliError::Usage("the simulator's options go with a simulation: add --simulate".to_owned()));
    }
    if args.max_cost.is_some() && targets.iter().any(|t| t.prices.is_none()) {
        return Err(CliError::Usage(
            "--max-cost needs the prices of every target, in its file under `prices`".to_owned(),
        ));
    }
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
            let behaviour = args.simulator.behaviour(target, catalog, args.seed.unwrap_or(1))?;
            let key = behaviour.right_credential().to_owned();
            let running = simulator::start(behaviour)
                .await
                .map_err(|e| CliError::Fault(format!("cannot start the simulator: {e}")))?;
            (running.base_url(), Some(key.into()), Some(running))
        }
    };
    let simulated = matches!(tested.place, Place::Simulated(_));
    let mut config = ClientConfig::new(
        &base_url,
        match tested.scheme {
            AuthScheme::XApiKey => Scheme::XApiKey,
            AuthScheme::Bearer => Scheme::Bearer,
        },
    );
    config.credential = credential;
    config.timeout = Duration::from_secs(args.timeout);
    config.retries = args.retries;
    config.concurrency = usize::from(args.concurrency);
    config.proxies = !simulated;
    config.run_started = started;
    if simulated {
        // Nothing is gained by being polite to ourselves.
        config.first_wait = Duration::from_millis(5);
        config.retries = args.retries.max(8);
    } else {
        config.requests_per_minute = args.rate.or(tested.limits.requests_per_minute);
        config.tokens_per_minute = args.token_rate.or(tested.limits.tokens_per_minute);
    }
    let client = Client::new(config).map_err(|e| CliError::Usage(e.to_string()))?;
    let options = Options {
        settings: tested.settings.clone(),
        seed: args.seed.unwrap_or(if simulated { 1 } else { environment.entropy }),
        confidence: args.confidence,
        concurrency: usize::from(args.concurrency),
        budget: Budget { requests: args.max_requests, tokens: args.max_tokens, cost: args.max_cost.zip(tested.prices) },
    };
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
            confidence: args.confidence,
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
    let mut progress = Progress::new(&tested.name, rows.len(), environment.interactive && !args.no_progress);
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
