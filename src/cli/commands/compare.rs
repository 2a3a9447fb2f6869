//! `fieldtest compare`: the same plan to an upstream and through the gateway in front of it, in step.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use clap::builder::NonEmptyStringValueParser as NonEmpty;
use secrecy::SecretString;

use crate::catalog::{Catalog, CatalogRow};
use crate::checks::CheckSeverity;
use crate::cli::args::common::{AuthArg, CaseArgs, EndpointArgs, Format, OutputArgs, SelectArgs};
use crate::cli::args::send::SendArgs;
use crate::cli::args::transport::parse_secret;
use crate::cli::io::{files, stdout};
use crate::cli::progress::{ProgressOptions, ProgressReporter};
use crate::cli::session::preflight::{PreflightResult, preflight};
use crate::cli::session::run::{RunJob, multi_thread_runtime, run_target, stop_on_signal};
use crate::cli::target::credential::LazyCredential;
use crate::cli::target::resolve::{EndpointKind, ResolvedTarget, resolve_targets};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::client::{Client, LockstepGate, LockstepSide};
use crate::engine::{RowSelection, StopSignal};
use crate::recording::run::RunEnd;
use crate::recording::scope::RunScope;
use crate::redact::SecretRedactor;
use crate::report;
use crate::results::gateway_diff;
use crate::results::gateway_diff::{GatewayAttribution, GatewayComparison, ResultsPair};
use crate::results::json;
use crate::results::model::Results;

/// Asks an upstream and the gateway in front of it the same rows, in step, and says of each whether it passes through.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        fieldtest compare --direct http://127.0.0.1:8787 --via http://127.0.0.1:4000 --model m\n  \
                        fieldtest compare --direct https://a.example --via http://b:4000 --via-key-env KEY --model m")]
pub struct CompareArgs {
    /// The upstream's base URL.
    #[arg(long, value_name = "URL")]
    direct: String,
    /// The gateway's base URL.
    #[arg(long, value_name = "URL")]
    via: String,
    /// The model to ask both for.
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new())]
    model: Option<String>,
    /// The model to ask the upstream for, where it has another name there.
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new())]
    direct_model: Option<String>,
    /// The model to ask the gateway for, where it has another name there.
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new())]
    via_model: Option<String>,
    /// The environment variable that holds the upstream's credential.
    #[arg(long, value_name = "VAR", value_parser = NonEmpty::new(), conflicts_with = "direct_key_file")]
    direct_key_env: Option<String>,
    /// A file that holds the upstream's credential.
    #[arg(long, value_name = "FILE")]
    direct_key_file: Option<PathBuf>,
    /// A command, for the system's shell, that prints the upstream's credential.
    #[arg(long, value_name = "COMMAND", value_parser = parse_secret, conflicts_with_all = ["direct_key_env", "direct_key_file"])]
    direct_key_command: Option<SecretString>,
    /// The environment variable that holds the gateway's credential.
    #[arg(long, value_name = "VAR", value_parser = NonEmpty::new(), conflicts_with = "via_key_file")]
    via_key_env: Option<String>,
    /// A file that holds the gateway's credential.
    #[arg(long, value_name = "FILE")]
    via_key_file: Option<PathBuf>,
    /// A command, for the system's shell, that prints the gateway's credential.
    #[arg(long, value_name = "COMMAND", value_parser = parse_secret, conflicts_with_all = ["via_key_env", "via_key_file"])]
    via_key_command: Option<SecretString>,
    /// The header that carries the upstream's credential.
    #[arg(long, value_name = "HEADER")]
    direct_auth: Option<AuthArg>,
    /// The header that carries the gateway's credential.
    #[arg(long, value_name = "HEADER")]
    via_auth: Option<AuthArg>,
    /// Whose claims to hold the verdicts of both sides against, in their results.
    #[arg(long, value_name = "TARGET")]
    claims: Option<String>,
    /// `max_tokens` of requests that do not set it: room for a model that thinks unasked.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    default_max_tokens: u32,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    sending: SendArgs,
}

/// A side's name, in files and messages.
const DIRECT_NAME: &str = "direct";
const VIA_NAME: &str = "via";

/// Runs the command.
pub fn main(args: &CompareArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    if args.sending.money.max_cost.is_some() && args.sending.money.price_input.is_none() {
        return Err(CliError::Usage(
            "--max-cost needs --price-input and --price-output: no target's prices are known here".to_owned(),
        ));
    }
    let others = |format: &&Format| !matches!(format, Format::Terminal | Format::Markdown | Format::Json);
    if args.output.format.iter().any(|format| others(&format)) || args.output.baseline.baseline.is_some() {
        return Err(CliError::Usage(
            "a comparison is told as terminal, markdown or json, and its baseline is the upstream; for other formats, hold \
             one side's results against the other's: `fieldtest report OUT/results-via.json --baseline \
             OUT/results-direct.json --format junit,github`"
                .to_owned(),
        ));
    }
    let catalog = args.cases.load()?;
    let sides =
        [resolve_side(args, DIRECT_NAME, &catalog, environment)?, resolve_side(args, VIA_NAME, &catalog, environment)?];
    let rows =
        args.select.select_rows(&catalog, |needed| sides.iter().all(|tested| tested.meets_requirement(needed)))?;
    let _held = files::lock_folder(&args.output.out)?;
    let ready = preflight(sides.iter().map(|side| &side.endpoint), &args.sending.transport, &catalog, environment)?;
    let comparison =
        multi_thread_runtime()?.block_on(run_comparison(args, environment, &catalog, &sides, &rows, &ready))?;
    let out = &args.output.out;
    for format in &args.output.format {
        match format {
            Format::Terminal => {
                stdout::print_untrusted(
                    report::terminal::gateway_diff::render(&comparison, stdout::table_width(environment)).trim_end(),
                );
            }
            Format::Markdown => {
                files::write(&out.join("comparison.md"), &report::markdown::gateway_diff::render(&comparison))?
            }
            Format::Json => files::write(&out.join("comparison.json"), &json::render(&comparison))?,
            // Refused above.
            Format::Html | Format::Junit | Format::Github | Format::Badge | Format::Ndjson => {}
        }
    }
    stdout::warn(format!("written to {}: comparison.*, results-*.json, recording-*.jsonl", out.display()));
    Ok(exit_status(&comparison, args.output.strict))
}

/// One side, from its arguments.
fn resolve_side(
    args: &CompareArgs,
    name: &str,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<ResolvedTarget, CliError> {
    let (url, model, auth) = match name {
        DIRECT_NAME => (&args.direct, &args.direct_model, args.direct_auth),
        _ => (&args.via, &args.via_model, args.via_auth),
    };
    let (key_env, key_file, key_command) = match name {
        DIRECT_NAME => (&args.direct_key_env, &args.direct_key_file, &args.direct_key_command),
        _ => (&args.via_key_env, &args.via_key_file, &args.via_key_command),
    };
    let endpoint = EndpointArgs {
        targets: Vec::new(),
        list: None,
        base_url: Some(url.clone()),
        name: Some(name.to_owned()),
        model: model.clone().or(args.model.clone()).into_iter().collect(),
        claims: args.claims.clone(),
        api_key_env: key_env.clone(),
        api_key_file: key_file.clone(),
        api_key_command: key_command.clone(),
        auth,
        simulate: false,
        default_max_tokens: args.default_max_tokens,
        planning: false,
    };
    let in_our_words = |error: CliError| match error {
        CliError::Usage(text) => CliError::Usage(
            text.replace("--base-url", &format!("--{name}")).replace("--api-key", &format!("--{name}-key")),
        ),
        other => other,
    };
    let mut sides = resolve_targets(&endpoint, catalog, environment).map_err(in_our_words)?;
    sides.pop().ok_or_else(|| CliError::Internal("a base URL is one target".to_owned()))
}

/// Asks both sides, and what is in doubt once more.
async fn run_comparison(
    args: &CompareArgs,
    environment: &ProcessEnvironment,
    catalog: &Catalog,
    sides: &[ResolvedTarget; 2],
    rows: &[&CatalogRow],
    ready: &PreflightResult,
) -> Result<GatewayComparison, CliError> {
    let stop = StopSignal::default();
    stop_on_signal(stop.clone());
    let seed = args.sending.seed.unwrap_or(environment.entropy);
    let wanted = ProgressOptions { no_progress: args.sending.no_progress, ndjson: false, run_count: sides.len() };
    let watch = ProgressReporter::new(environment, wanted);
    let round = ComparisonRound { args, catalog, sides, preflight: ready, stop: &stop, progress: &watch };
    let (direct, via, ended) = round.run_sides(RowSelection::all(rows.to_vec()), seed, "").await?;
    for results in [&direct, &via] {
        stdout::write_results(&args.output, results)?;
    }
    stdout::print_shortfalls(&[direct.clone(), via.clone()]);
    let first = ResultsPair { direct: &direct, via: &via };
    let doubtful = gateway_diff::rows_to_confirm(first);
    let sound = |results: &Results| results.summary.decided > 0;
    let mut again = None;
    if !doubtful.is_empty() && ended != RunEnd::Interrupted && sound(&direct) && sound(&via) {
        stdout::warn(format!("{} of {} rows are in doubt, and are asked once more", doubtful.len(), rows.len()));
        let extent = RowSelection::new(rows.to_vec(), |row| doubtful.iter().any(|id| id == row));
        let (direct, via, _) = round.run_sides(extent, seed.wrapping_add(2), "-again").await?;
        again = Some((direct, via));
    }
    Ok(gateway_diff::compare(first, again.as_ref().map(|(direct, via)| ResultsPair { direct, via })))
}

/// What every asking of both sides has in common.
struct ComparisonRound<'a> {
    args: &'a CompareArgs,
    catalog: &'a Catalog,
    sides: &'a [ResolvedTarget; 2],
    preflight: &'a PreflightResult,
    stop: &'a StopSignal,
    progress: &'a ProgressReporter,
}

impl ComparisonRound<'_> {
    /// Asks both sides these rows, in step.
    async fn run_sides(
        &self,
        extent: RowSelection<'_>,
        seed: u64,
        suffix: &str,
    ) -> Result<(Results, Results, RunEnd), CliError> {
        let started = Instant::now();
        // As many as a side may have under way, and one: neither ever waits for its own requests alone.
        let turnstile = LockstepGate::new(self.args.sending.pace.default_concurrency() as u64 + 1);
        let [direct, via] = self.sides;
        let ask = |tested, place, seed, extent| self.run_side(tested, &turnstile, place, seed, extent, suffix, started);
        // Each side has draws of its own, so that neither is served from what the other left in a cache.
        let (direct, via) = tokio::join!(
            ask(direct, LockstepSide::Left, seed, extent.clone()),
            ask(via, LockstepSide::Right, seed.wrapping_add(1), extent)
        );
        let ((direct, one), (via, other)) = (direct?, via?);
        Ok((direct, via, if one == RunEnd::Interrupted { one } else { other }))
    }

    #[expect(clippy::too_many_arguments, reason = "one call, from the line above")]
    async fn run_side(
        &self,
        tested: &ResolvedTarget,
        turnstile: &LockstepGate,
        place: LockstepSide,
        seed: u64,
        extent: RowSelection<'_>,
        suffix: &str,
        started: Instant,
    ) -> Result<(Results, RunEnd), CliError> {
        let EndpointKind::Live { base_url, credential, .. } = &tested.endpoint else {
            return Err(CliError::Internal("both sides are on the network".to_owned()));
        };
        // With one purse for both, a side that waits in step would wait for money that the other holds.
        let sending = &self.args.sending.with_own_state();
        let credential = credential.as_ref().map(LazyCredential::resolve).transpose()?;
        let mut config = sending.client_config(tested, base_url, credential, false, started)?;
        // A gateway may tell its upstream's credential, and the other way round: those of both sides are among these.
        config.secrets.clone_from(&self.preflight.secrets);
        config.transport = self.preflight.transport.clone();
        let shown = SecretRedactor::new(config.credential.as_ref(), &config.secrets).redact_text(base_url.clone());
        let client = Client::new(config).map_err(|e| CliError::Usage(e.to_string()))?;
        let endpoint = turnstile.wrap_endpoint(place, &client);
        let job = RunJob {
            target: tested,
            base_url: shown,
            simulated: false,
            selection: extent,
            shard: None,
            seed,
            recording: self.args.output.out.join(format!("recording-{}{suffix}.jsonl", tested.name)),
            progress: self.progress,
            run_number: None,
            started,
            scope: RunScope::default(),
            resumed: None,
        };
        run_target(&endpoint, job, sending, self.catalog, self.stop).await
    }
}

/// What a comparison amounts to. What the gateway was seen to introduce stands, however the runs ended.
fn exit_status(comparison: &GatewayComparison, strict: bool) -> ExitStatus {
    let introduced = |least: CheckSeverity| {
        comparison
            .findings
            .iter()
            .any(|finding| finding.fate == GatewayAttribution::Introduced && finding.severity <= least)
    };
    let fates = &comparison.summary;
    let untested = [&comparison.direct, &comparison.via].iter().any(|side| side.decided == 0 || side.partial.is_some());
    let undesired = fates.changed > 0 || fates.undetermined > 0 || introduced(CheckSeverity::Warning);
    if fates.introduced > 0 || introduced(CheckSeverity::Error) {
        ExitStatus::Contradiction
    } else if untested {
        ExitStatus::Untested
    } else if strict && undesired {
        ExitStatus::Contradiction
    } else {
        ExitStatus::Success
    }
}
