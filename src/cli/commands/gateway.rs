//! `fieldtest gateway`: both sides of a gateway.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::builder::NonEmptyStringValueParser as NonEmpty;
use clap::{Args, ValueEnum};
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::catalog::{AuthScheme, CaseFile, Catalog, FileKind, GatewayCatalogRow, GatewayRow, Shape, Target};
use crate::cli::args::common::{AuthArg, CaseArgs, OutputArgs};
use crate::cli::args::transport::{TransportArgs, sensitive};
use crate::cli::io::{files, stdout};
use crate::cli::progress::gateway::GatewayListener;
use crate::cli::session::preflight::ready;
use crate::cli::session::run::{now, runtime, stop_on_signal};
use crate::cli::target::credential;
use crate::cli::target::credential::{Credential, Named};
use crate::cli::target::resolve::{Place, target};
use crate::cli::{CliError, Environment, Exit};
use crate::client::{BaseUrl, Client, ClientConfig, Scheme};
use crate::engine::Stop;
use crate::gateway;
use crate::gateway::{Options, judge};
use crate::recording::durable_file::Recorder;
use crate::recording::gateway::{Ended, Footer, Header, Line, Recording, SCHEMA};
use crate::redact::Mask;

/// Asks a gateway as its client, and answers it as its upstream: what becomes of each field, of each part of an answer,
/// and of errors is then seen, not inferred. Needs no model and no network.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fieldtest gateway --via http://127.0.0.1:4000 --upstream-port 9000 --shape anthropic --model m\n  \
                        fieldtest gateway --via http://127.0.0.1:4000 --upstream-port 9000 --shape openai --model m \\\n      \
                        --api-key-env GATEWAY_KEY --name my-gateway --out out\n\n\
                        Before: start the gateway with http://127.0.0.1:9000 (openai: http://127.0.0.1:9000/v1) as its upstream.\n\n\
                        Exit codes: 0 no contradiction; 1 contradiction; 2 usage or case files; 3 the gateway could not be tested"
)]
pub struct GatewayArgs {
    /// The base URL of the gateway, with or without a path; `/v1/messages` is added to it.
    #[arg(long, value_name = "URL")]
    via: String,
    /// The port on which the gateway finds its upstream; 0 takes any that is free.
    #[arg(long, value_name = "N")]
    upstream_port: u16,
    /// The address to listen on for the gateway; 0.0.0.0 where it runs in a container.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    upstream_host: IpAddr,
    /// The API that the gateway expects of its upstream.
    #[arg(long, value_name = "SHAPE")]
    shape: ShapeArg,
    /// The model to ask the gateway for.
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new())]
    model: String,
    /// The environment variable that holds the gateway's credential.
    #[arg(long, value_name = "VAR", value_parser = NonEmpty::new(), conflicts_with = "api_key_file")]
    api_key_env: Option<String>,
    /// A file that holds the gateway's credential.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// A command, for the system's shell, that prints the gateway's credential.
    #[arg(long, value_name = "COMMAND", value_parser = sensitive, conflicts_with_all = ["api_key_env", "api_key_file"])]
    api_key_command: Option<SecretString>,
    /// The header that carries the credential.
    #[arg(long, value_name = "HEADER", default_value = "x-api-key")]
    auth: AuthArg,
    /// What to hold the fates against: `usual` (all that the shape has a place for is carried), `none`, a target, or a
    /// target's file.
    #[arg(long, value_name = "TARGET|FILE", default_value = "usual")]
    claims: String,
    /// The gateway's name in the results; else its host and port.
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new())]
    name: Option<String>,
    /// Only rows whose id matches, `content.*` for instance. May be repeated.
    #[arg(long, value_name = "GLOB")]
    select: Vec<String>,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Seconds until a request is given up.
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// How many rows are asked at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Seconds until the gateway must answer at all.
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    ready_timeout: u64,
    /// The seed of every random draw; the same seed asks the same questions.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Show no progress bar.
    #[arg(long)]
    no_progress: bool,
    #[command(flatten)]
    transport: TransportArgs,
}

/// The API of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ShapeArg {
    /// The Messages API.
    Anthropic,
    /// OpenAI's chat completions.
    Openai,
}

impl From<ShapeArg> for Shape {
    fn from(arg: ShapeArg) -> Self {
        match arg {
            ShapeArg::Anthropic => Self::Anthropic,
            ShapeArg::Openai => Self::Openai,
        }
    }
}

/// Runs the command.
pub fn main(args: &GatewayArgs, environment: &Environment) -> Result<Exit, CliError> {
    stdout::without_events(&args.output)?;
    let shape = Shape::from(args.shape);
    let (catalog, named) = load(&args.cases, &args.claims)?;
    let claims = claims(&catalog, named.as_deref().unwrap_or(&args.claims), shape)?;
    let rows = selected(&catalog, &args.select, shape)?;
    let via = BaseUrl::parse(&args.via).map_err(|e| CliError::Usage(format!("--via: {e}")))?;
    let key = Named {
        variable: args.api_key_env.as_ref(),
        file: args.api_key_file.as_ref(),
        command: args.api_key_command.as_ref(),
    };
    let credential = credential::of_options(key, environment)?;
    let name = args.name.clone().unwrap_or_else(|| via.host_and_port());
    let baseline = args.output.baseline.load(&catalog, &[&name], [], environment.today)?;
    let _held = files::hold(&args.output.out)?;
    let place = Place::Live { base_url: args.via.clone(), credential: credential.clone(), missing: None };
    let ready = ready([&place], &args.transport, &catalog, environment)?;
    let credential = credential.as_ref().map(Credential::get).transpose()?;
    let started = Instant::now();
    let scheme = AuthScheme::from(args.auth);
    let mut config = ClientConfig::new(
        &args.via,
        match scheme {
            AuthScheme::XApiKey => Scheme::XApiKey,
            AuthScheme::Bearer => Scheme::Bearer,
        },
    );
    config.credential.clone_from(&credential);
    config.secrets.clone_from(&ready.secrets);
    config.transport = ready.transport;
    // A path may hold a key, too.
    let shown = Mask::new(credential.as_ref(), &ready.secrets).text(args.via.clone());
    // What one row's answer says of limits is the row's, and no other waits for it.
    config.heeds_limits = false;
    // Answers are scripted and short: more than this is none that the upstream gave.
    config.kept_bytes = 1 << 20;
    config.timeout = Duration::from_secs(args.timeout);
    // Whoever asks again hides what the gateway does.
    config.retries = 0;
    config.concurrency = usize::from(args.concurrency).max(gateway::MOST_AT_ONCE);
    config.run_started = started;
    let client = Client::new(config).map_err(|e| CliError::Usage(e.to_string()))?;
    let path = args.output.out.join(format!("gateway-{}.jsonl", crate::results::file_names::slug(&name)));
    let recording = runtime()?.block_on(async {
        let address = SocketAddr::from((args.upstream_host, args.upstream_port));
        let socket = TcpListener::bind(address).await.map_err(|e| {
            CliError::Usage(format!("cannot listen on {address} for the gateway: {e}; --upstream-port takes another"))
        })?;
        let address = socket.local_addr().map_err(|e| CliError::Fault(e.to_string()))?;
        let upstream = format!("http://{address}");
        let suffix = if shape == Shape::Openai { "/v1" } else { "" };
        stdout::warn(format!(
            "listening as the gateway's upstream ({}): configure the gateway with {upstream}{suffix}",
            shape.word()
        ));
        let options = Options {
            shape,
            model: args.model.clone(),
            seed: args.seed.unwrap_or(environment.entropy),
            concurrency: usize::from(args.concurrency),
            ready: Duration::from_secs(args.ready_timeout),
            secret: credential,
            secrets: ready.secrets,
            started,
        };
        let header = Header {
            schema: SCHEMA.to_owned(),
            name: name.clone(),
            via: shown,
            upstream,
            shape,
            model: args.model.clone(),
            bearer: scheme == AuthScheme::Bearer,
            claims,
            rows: rows.iter().map(|row| row.id().to_owned()).collect(),
            seed: options.seed,
            started_at: now(),
        };
        let shown = environment.interactive && !args.no_progress;
        let mut listener = GatewayListener::new(Recorder::create(&path)?, &name, rows.len(), shown);
        listener.line(&Line::Header(Box::new(header.clone())));
        let stop = Stop::default();
        stop_on_signal(stop.clone());
        let finished = gateway::run(&client, socket, &rows, &options, &mut listener, stop.stopped()).await;
        let footer = Footer {
            finished_at: now(),
            wall_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            ended: finished.ended,
            trials: finished.trials.len(),
            calls: finished.calls.len(),
        };
        listener.line(&Line::Footer(footer.clone()));
        let (path, wrong) = listener.end();
        if let Some(wrong) = wrong {
            stdout::warn(format!("the recording {} is not whole: {wrong}; the results are", path.display()));
        }
        Ok::<_, CliError>(Recording { header, trials: finished.trials, calls: finished.calls, footer: Some(footer) })
    })?;
    if recording.footer.as_ref().is_some_and(|footer| footer.ended == Ended::Interrupted) {
        stdout::warn(format!("interrupted; what was obtained so far is in {}", path.display()));
    }
    let mut results = [judge(&catalog, &recording).map_err(|e| CliError::Fault(e.to_string()))?];
    if let Some(baseline) = baseline {
        results.iter_mut().for_each(|results| baseline.hold(results, &catalog, args.output.strict));
    }
    stdout::write_results(&args.output, &results[0])?;
    let exit = stdout::finish(&args.output, &results, environment)?;
    stdout::warn(format!("both sides are in {}", path.display()));
    Ok(exit)
}

/// The case files, with the target's file that the claims may be; and the name of the target in it.
pub(crate) fn load(cases: &CaseArgs, claims: &str) -> Result<(Catalog, Option<String>), CliError> {
    if !claims.ends_with(".yaml") && !claims.ends_with(".yml") {
        return Ok((cases.load()?, None));
    }
    let file = files::case_file(Path::new(claims), FileKind::Target)?;
    let before = cases.load()?;
    let catalog = Catalog::with(&cases.files_with(file.clone())?)?;
    let named = catalog.targets.iter().find(|(name, target)| before.targets.get(*name) != Some(target));
    // A file that says just what is known already names no new target.
    let name = named.map(|(name, _)| name.clone()).or_else(|| name_in(&file));
    Ok((catalog, name))
}

fn name_in(file: &CaseFile) -> Option<String> {
    let text = std::str::from_utf8(&file.bytes).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix("name:")?.trim().to_owned()))
}

/// What the fates are held against.
pub(crate) fn claims(catalog: &Catalog, named: &str, shape: Shape) -> Result<Option<Target>, CliError> {
    match named {
        "usual" => Ok(Some(gateway::usual(catalog, shape))),
        "none" => Ok(None),
        name => target(catalog, name).cloned().map(Some),
    }
}

/// The rows about gateways whose ids match, in any shape.
pub(crate) fn named<'a>(catalog: &'a Catalog, select: &[String]) -> Result<Vec<&'a GatewayCatalogRow>, CliError> {
    let globs = crate::cli::args::common::globs(select)?;
    let rows: Vec<_> = catalog.gateway.iter().filter(|row| select.is_empty() || globs.is_match(row.row.id())).collect();
    if rows.is_empty() {
        let select = select.join(" --select ");
        return Err(CliError::Usage(format!(
            "--select {select} selects no row about gateways; `fieldtest rows --gateway` lists them"
        )));
    }
    Ok(rows)
}

fn selected<'a>(catalog: &'a Catalog, select: &[String], shape: Shape) -> Result<Vec<&'a GatewayRow>, CliError> {
    let rows: Vec<&GatewayRow> =
        named(catalog, select)?.into_iter().map(|row| &row.row).filter(|row| row.is_of(shape)).collect();
    if rows.is_empty() {
        return Err(CliError::Usage(format!(
            "--select {} selects only rows that the shape {} does not have; `fieldtest rows --gateway` lists them",
            select.join(" --select "),
            shape.word()
        )));
    }
    Ok(rows)
}
