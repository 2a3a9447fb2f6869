//! `fieldtest gateway`: tests a gateway as its client and its upstream.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::NonEmptyStringValueParser as NonEmpty;
use tokio::net::TcpListener;

use crate::catalog::ApiDialect;
use crate::cli::args::cases::CaseArgs;
use crate::cli::args::endpoint::CredentialArgs;
use crate::cli::args::output::{OutputArgs, ProgressArgs};
use crate::cli::args::select::SelectArgs;
use crate::cli::args::transport::TransportArgs;
use crate::cli::clock::current_timestamp;
use crate::cli::io::{files, report_files, stderr};
use crate::cli::progress::gateway::GatewayRecorder;
use crate::cli::runtime::{multi_thread_runtime, run_to_end, stop_on_signal};
use crate::cli::session::preflight::preflight;
use crate::cli::session::run::report_recording;
use crate::cli::target::credential;
use crate::cli::target::credential::LazyCredential;
use crate::cli::target::gateway_claims::{load_catalog, resolve_claims};
use crate::cli::target::model::EndpointKind;
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::client::{BaseUrl, Client, ClientConfig};
use crate::engine::StopSignal;
use crate::gateway;
use crate::gateway::{GatewayRunOptions, judge};
use crate::recording::gateway::{GatewayFooter, GatewayHeader, GatewayLine, GatewayRecording, GatewayRunEnd, SCHEMA};
use crate::redact::SecretRedactor;
use crate::wire::exchange::AuthScheme;

/// Test a gateway from both sides; needs no model
#[derive(Debug, Args)]
#[command(
    long_about = "Test a gateway from both sides: fieldtest is its client and its upstream",
    override_usage = "fieldtest gateway --via <URL> --upstream-port <N> --shape <SHAPE>
                         --model <NAME> [OPTIONS]",
    after_help = "First start the gateway with http://127.0.0.1:9000 as its upstream
(openai: http://127.0.0.1:9000/v1). Then:
  fieldtest gateway --via http://127.0.0.1:4000 --upstream-port 9000 \\
      --shape anthropic --model m --api-key-env GATEWAY_KEY --out out

Exit codes:
  0   no claim is contradicted
  1   a claim is contradicted (with --baseline: a regression or a stale entry)
  2   wrong usage, or an invalid case file
  3   the gateway could not be tested, or not completely
  70  a bug in fieldtest"
)]
pub struct GatewayArgs {
    /// Gateway to test; `/v1/messages` is appended
    #[arg(long, value_name = "URL", help_heading = "Gateway")]
    via: String,
    /// Model to request from the gateway
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new(), help_heading = "Gateway")]
    model: String,
    /// API of the upstream: anthropic, openai
    #[arg(long, value_name = "SHAPE", help_heading = "Gateway")]
    shape: ApiDialect,
    /// Port of the upstream; 0 takes a free one
    #[arg(long, value_name = "N", help_heading = "Gateway")]
    upstream_port: u16,
    /// Address of the upstream
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), help_heading = "Gateway")]
    upstream_host: IpAddr,
    /// Wait for the gateway, seconds
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600), help_heading = "Gateway")]
    ready_timeout: u64,
    /// Expected results: usual, none, a target or a file
    #[arg(
        long,
        value_name = "TARGET|FILE",
        default_value = "usual",
        hide_default_value = true,
        help_heading = "Gateway"
    )]
    claims: String,
    /// Name in the reports [default: host and port]
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new(), help_heading = "Gateway")]
    name: Option<String>,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    credential: CredentialArgs,
    /// x-api-key, bearer
    #[arg(long, value_name = "HEADER", default_value = "x-api-key", help_heading = "Credential")]
    auth: AuthScheme,
    #[command(flatten)]
    select: SelectArgs,
    /// Rows tested in parallel
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Requests")]
    concurrency: u16,
    /// Timeout per request, seconds
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "Requests")]
    timeout: u64,
    /// Random seed; same seed, same requests
    #[arg(long, value_name = "N", help_heading = "Requests")]
    seed: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    transport: TransportArgs,
}

/// Runs the command.
pub fn main(args: &GatewayArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    args.output.reject_ndjson()?;
    let shape = args.shape;
    let (catalog, named) = load_catalog(&args.cases, &args.claims)?;
    let claims = resolve_claims(&catalog, named.as_deref().unwrap_or(&args.claims), shape)?;
    let rows = args.select.select_dialect_rows(&catalog, shape)?;
    let via =
        BaseUrl::parse(&args.via).map_err(|source| CliError::InvalidUrl { origin: "--via".to_owned(), source })?;
    let credential = credential::from_args(&args.credential, environment)?;
    let name = args.name.clone().unwrap_or_else(|| via.host_and_port());
    let baseline = args.output.baseline.load(&catalog, &[&name], [], environment.today)?;
    let _lock = files::lock_folder(&args.output.out)?;
    let endpoint =
        EndpointKind::Live { base_url: args.via.clone(), credential: credential.clone(), missing_credential: None };
    let preflight = preflight([&endpoint], &args.transport, &catalog, environment)?;
    let credential = credential.as_ref().map(LazyCredential::resolve).transpose()?;
    let started = Instant::now();
    let scheme = args.auth;
    let mut config = ClientConfig::new(&args.via, scheme);
    config.credential.clone_from(&credential);
    config.secrets.clone_from(&preflight.secrets);
    config.transport = preflight.transport;
    // A path may contain a key.
    let shown = SecretRedactor::new(credential.as_ref(), &preflight.secrets).redact_text(args.via.clone());
    // Rate-limit headers are part of scripted responses; other rows must not wait for them.
    config.respect_server_limits = false;
    // Scripted responses are short: a longer one is not from the upstream.
    config.max_body_bytes = 1 << 20;
    config.timeout = Duration::from_secs(args.timeout);
    // Retries would hide the behaviour of the gateway.
    config.retries = 0;
    config.concurrency = usize::from(args.concurrency).max(gateway::MAX_CONCURRENT_REQUESTS);
    config.run_started = started;
    let client = Client::new(config)?;
    let path = args.output.out.join(format!("gateway-{}.jsonl", crate::results::file_names::slugify(&name)));
    let recording = run_to_end(multi_thread_runtime()?, async {
        let address = SocketAddr::from((args.upstream_host, args.upstream_port));
        let error = |source| CliError::CannotListen { address, option: "--upstream-port", source };
        let socket = TcpListener::bind(address).await.map_err(error)?;
        let address = socket.local_addr().map_err(error)?;
        let upstream = format!("http://{address}");
        let suffix = if shape == ApiDialect::Openai { "/v1" } else { "" };
        stderr::warn(format!(
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
            other_secrets: preflight.secrets,
            started_at: started,
        };
        let header = GatewayHeader {
            schema: SCHEMA.to_owned(),
            name: name.clone(),
            via: shown,
            upstream,
            shape,
            model: args.model.clone(),
            auth: scheme,
            claims,
            rows: rows.iter().map(|row| row.id().to_owned()).collect(),
            seed: options.seed,
            started_at: current_timestamp(),
        };
        let is_visible = environment.interactive && !args.progress.no_progress;
        let mut listener = GatewayRecorder::new(files::create_durable_file(&path)?, &name, rows.len(), is_visible);
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
        let is_interrupted = finished.end == GatewayRunEnd::Interrupted;
        report_recording(&path, listener.finish(), is_interrupted);
        if is_interrupted {
            stderr::warn("the test of a gateway cannot be resumed: `fieldtest gateway` starts over");
        }
        Ok::<_, CliError>(GatewayRecording {
            header,
            trials: finished.trials,
            calls: finished.calls,
            footer: Some(footer),
        })
    })?;
    let mut results = [judge(&catalog, &recording).map_err(|e| CliError::Judge(Box::new(e)))?];
    if let Some(baseline) = baseline {
        results.iter_mut().for_each(|results| baseline.compare(results, &catalog, args.output.strict));
    }
    report_files::write_results(&args.output, &results[0])?;
    let exit = report_files::finish(&args.output, &results, environment)?;
    stderr::warn(format!("recording (client and upstream side): {}", path.display()));
    Ok(exit)
}
