//! `fieldtest gateway`: both sides of a gateway.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::builder::NonEmptyStringValueParser as NonEmpty;
use clap::{Args, ValueEnum};
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::catalog::{ApiDialect, AuthScheme, CaseFile, Catalog, FileKind, GatewayCatalogRow, GatewayRow, Target};
use crate::cli::args::common::{AuthArg, CaseArgs, OutputArgs};
use crate::cli::args::transport::{TransportArgs, parse_secret};
use crate::cli::io::{files, stdout};
use crate::cli::progress::gateway::GatewayRecorder;
use crate::cli::session::preflight::preflight;
use crate::cli::session::run::{current_timestamp, multi_thread_runtime, stop_on_signal};
use crate::cli::target::credential;
use crate::cli::target::credential::{CredentialArgs, LazyCredential};
use crate::cli::target::resolve::{EndpointKind, find_target};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::client::{BaseUrl, Client, ClientConfig, CredentialHeader};
use crate::engine::StopSignal;
use crate::gateway;
use crate::gateway::{GatewayRunOptions, judge};
use crate::recording::gateway::{GatewayFooter, GatewayHeader, GatewayLine, GatewayRecording, GatewayRunEnd, SCHEMA};
use crate::redact::SecretRedactor;

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
    shape: ApiDialectArg,
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
    #[arg(long, value_name = "COMMAND", value_parser = parse_secret, conflicts_with_all = ["api_key_env", "api_key_file"])]
    api_key_command: Option<SecretString>,
    /// The header that carries the credential.
    #[arg(long, value_name = "HEADER", default_value = "x-api-key")]
    auth: AuthArg,
    /// Claims to compare with: `default` (forwards every field that the API has a place for), `none`,
    /// a target, or a target file.
    #[arg(long, value_name = "TARGET|FILE", default_value = "default")]
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
enum ApiDialectArg {
    /// The Messages API.
    Anthropic,
    /// OpenAI's chat completions.
    Openai,
}

impl From<ApiDialectArg> for ApiDialect {
    fn from(arg: ApiDialectArg) -> Self {
        match arg {
            ApiDialectArg::Anthropic => Self::Anthropic,
            ApiDialectArg::Openai => Self::Openai,
        }
    }
}

/// Runs the command.
pub fn main(args: &GatewayArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    stdout::reject_ndjson(&args.output)?;
    let shape = ApiDialect::from(args.shape);
    let (catalog, named) = load_catalog(&args.cases, &args.claims)?;
    let claims = resolve_claims(&catalog, named.as_deref().unwrap_or(&args.claims), shape)?;
    let rows = select_dialect_rows(&catalog, &args.select, shape)?;
    let via = BaseUrl::parse(&args.via).map_err(|e| CliError::Usage(format!("--via: {e}")))?;
    let key = CredentialArgs {
        variable: args.api_key_env.as_ref(),
        file: args.api_key_file.as_ref(),
        command: args.api_key_command.as_ref(),
    };
    let credential = credential::from_args(key, environment)?;
    let name = args.name.clone().unwrap_or_else(|| via.host_and_port());
    let baseline = args.output.baseline.load(&catalog, &[&name], [], environment.today)?;
    let _held = files::lock_folder(&args.output.out)?;
    let place =
        EndpointKind::Live { base_url: args.via.clone(), credential: credential.clone(), missing_credential: None };
    let ready = preflight([&place], &args.transport, &catalog, environment)?;
    let credential = credential.as_ref().map(LazyCredential::resolve).transpose()?;
    let started = Instant::now();
    let scheme = AuthScheme::from(args.auth);
    let mut config = ClientConfig::new(
        &args.via,
        match scheme {
            AuthScheme::XApiKey => CredentialHeader::XApiKey,
            AuthScheme::Bearer => CredentialHeader::Bearer,
        },
    );
    config.credential.clone_from(&credential);
    config.secrets.clone_from(&ready.secrets);
    config.transport = ready.transport;
    // A path may hold a key, too.
    let shown = SecretRedactor::new(credential.as_ref(), &ready.secrets).redact_text(args.via.clone());
    // What one row's answer says of limits is the row's, and no other waits for it.
    config.respect_server_limits = false;
    // Answers are scripted and short: more than this is none that the upstream gave.
    config.max_body_bytes = 1 << 20;
    config.timeout = Duration::from_secs(args.timeout);
    // Whoever asks again hides what the gateway does.
    config.retries = 0;
    config.concurrency = usize::from(args.concurrency).max(gateway::MAX_CONCURRENT_REQUESTS);
    config.run_started = started;
    let client = Client::new(config).map_err(|e| CliError::Usage(e.to_string()))?;
    let path = args.output.out.join(format!("gateway-{}.jsonl", crate::results::file_names::slugify(&name)));
    let recording = multi_thread_runtime()?.block_on(async {
        let address = SocketAddr::from((args.upstream_host, args.upstream_port));
        let socket = TcpListener::bind(address).await.map_err(|e| {
            CliError::Usage(format!("cannot listen on {address} for the gateway: {e}; --upstream-port takes another"))
        })?;
        let address = socket.local_addr().map_err(|e| CliError::Internal(e.to_string()))?;
        let upstream = format!("http://{address}");
        let suffix = if shape == ApiDialect::Openai { "/v1" } else { "" };
        stdout::warn(format!(
            "upstream ({}) listening on {upstream}{suffix}. Set this as the upstream of your gateway",
            shape.as_str()
        ));
        let options = GatewayRunOptions {
            dialect: shape,
            model: args.model.clone(),
            seed: args.seed.unwrap_or(environment.entropy),
            concurrency: usize::from(args.concurrency),
            ready_timeout: Duration::from_secs(args.ready_timeout),
            client_secret: credential,
            other_secrets: ready.secrets,
            started_at: started,
        };
        let header = GatewayHeader {
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
            started_at: current_timestamp(),
        };
        let shown = environment.interactive && !args.no_progress;
        let mut listener = GatewayRecorder::new(files::create_durable_file(&path)?, &name, rows.len(), shown);
        listener.write_line(&GatewayLine::Header(Box::new(header.clone())));
        let stop = StopSignal::default();
        stop_on_signal(stop.clone());
        let finished = gateway::run(&client, socket, &rows, &options, &mut listener, stop.wait_until_stopped()).await;
        let footer = GatewayFooter {
            finished_at: current_timestamp(),
            wall_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            ended: finished.end,
            trials: finished.trials.len(),
            calls: finished.calls.len(),
        };
        listener.write_line(&GatewayLine::Footer(footer.clone()));
        files::warn_if_incomplete(&path, listener.finish());
        Ok::<_, CliError>(GatewayRecording {
            header,
            trials: finished.trials,
            calls: finished.calls,
            footer: Some(footer),
        })
    })?;
    if recording.footer.as_ref().is_some_and(|footer| footer.ended == GatewayRunEnd::Interrupted) {
        stdout::warn(format!("interrupted; what was obtained so far is in {}", path.display()));
    }
    let mut results = [judge(&catalog, &recording).map_err(|e| CliError::Internal(e.to_string()))?];
    if let Some(baseline) = baseline {
        results.iter_mut().for_each(|results| baseline.compare(results, &catalog, args.output.strict));
    }
    stdout::write_results(&args.output, &results[0])?;
    let exit = stdout::finish(&args.output, &results, environment)?;
    stdout::warn(format!("recording (client and upstream side): {}", path.display()));
    Ok(exit)
}

/// The case files, with the target's file that the claims may be; and the name of the target in it.
pub(crate) fn load_catalog(cases: &CaseArgs, claims: &str) -> Result<(Catalog, Option<String>), CliError> {
    if !claims.ends_with(".yaml") && !claims.ends_with(".yml") {
        return Ok((cases.load()?, None));
    }
    let file = files::read_case_file(Path::new(claims), FileKind::Target)?;
    let before = cases.load()?;
    let catalog = Catalog::load_with_extra(&cases.files_with(file.clone())?)?;
    let named = catalog.targets.iter().find(|(name, target)| before.targets.get(*name) != Some(target));
    // A file that says just what is known already names no new target.
    let name = named.map(|(name, _)| name.clone()).or_else(|| parse_target_name(&file));
    Ok((catalog, name))
}

fn parse_target_name(file: &CaseFile) -> Option<String> {
    let text = std::str::from_utf8(&file.bytes).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix("name:")?.trim().to_owned()))
}

/// What the fates are held against.
pub(crate) fn resolve_claims(catalog: &Catalog, named: &str, shape: ApiDialect) -> Result<Option<Target>, CliError> {
    match named {
        "default" => Ok(Some(gateway::default_claims(catalog, shape))),
        "none" => Ok(None),
        name => find_target(catalog, name).cloned().map(Some),
    }
}

/// The rows about gateways whose ids match, in any shape.
pub(crate) fn select_gateway_rows<'a>(
    catalog: &'a Catalog,
    select: &[String],
) -> Result<Vec<&'a GatewayCatalogRow>, CliError> {
    let globs = crate::cli::args::common::build_glob_set(select)?;
    let rows: Vec<_> =
        catalog.gateway_rows.iter().filter(|row| select.is_empty() || globs.is_match(row.row.id())).collect();
    if rows.is_empty() {
        let select = select.join(" --select ");
        return Err(CliError::Usage(format!(
            "--select {select} selects no row about gateways; `fieldtest rows --gateway` lists them"
        )));
    }
    Ok(rows)
}

fn select_dialect_rows<'a>(
    catalog: &'a Catalog,
    select: &[String],
    shape: ApiDialect,
) -> Result<Vec<&'a GatewayRow>, CliError> {
    let rows: Vec<&GatewayRow> = select_gateway_rows(catalog, select)?
        .into_iter()
        .map(|row| &row.row)
        .filter(|row| row.applies_to_dialect(shape))
        .collect();
    if rows.is_empty() {
        return Err(CliError::Usage(format!(
            "--select {} selects only rows that the shape {} does not have; `fieldtest rows --gateway` lists them",
            select.join(" --select "),
            shape.as_str()
        )));
    }
    Ok(rows)
}
