//! `fieldtest compare`: sends the same plan to an upstream and to the gateway in front of it, in lockstep.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use clap::builder::NonEmptyStringValueParser as NonEmpty;
use secrecy::SecretString;

use crate::catalog::{Catalog, CatalogRow};
use crate::checks::CheckSeverity;
use crate::cli::args::cases::CaseArgs;
use crate::cli::args::endpoint::{CredentialArgs, EndpointArgs, MaxTokensArgs};
use crate::cli::args::output::{OutputArgs, ReportFormat};
use crate::cli::args::parse::parse_secret;
use crate::cli::args::select::SelectArgs;
use crate::cli::args::send::SendArgs;
use crate::cli::error::CliError;
use crate::cli::io::{files, report_files, stderr, stdout};
use crate::cli::progress::{ProgressOptions, ProgressReporter};
use crate::cli::runtime::{multi_thread_runtime, run_to_end, stop_on_signal};
use crate::cli::session::preflight::{PreflightResult, preflight};
use crate::cli::session::run::{RunJob, run_target};
use crate::cli::session::shared::SharedState;
use crate::cli::target::credential::{CredentialPolicy, LazyCredential};
use crate::cli::target::model::{EndpointKind, ResolvedTarget};
use crate::cli::target::resolve::resolve_targets;
use crate::cli::{ExitStatus, ProcessEnvironment};
use crate::client::{Client, LockstepGate, LockstepSide};
use crate::engine::{RowSelection, StopSignal};
use crate::recording::run::RunEnd;
use crate::recording::scope::RunScope;
use crate::redact::SecretRedactor;
use crate::report;
use crate::results::gateway_diff::{GatewayAttribution, GatewayComparison, ResultsPair};
use crate::results::model::Results;
use crate::results::{gateway_diff, json};
use crate::wire::exchange::AuthScheme;

/// Test an upstream and the gateway in front of it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fieldtest compare --direct http://127.0.0.1:8787 --via http://127.0.0.1:4000 \\
      --model m
  fieldtest compare --direct https://a.example --via http://b:4000 --model m \\
      --via-key-env KEY")]
pub struct CompareArgs {
    /// Upstream; `/v1/messages` is appended
    #[arg(long, value_name = "URL", help_heading = "Comparison")]
    direct: String,
    /// Gateway; `/v1/messages` is appended
    #[arg(long, value_name = "URL", help_heading = "Comparison")]
    via: String,
    /// Model to request from both
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new(), help_heading = "Comparison")]
    model: Option<String>,
    /// Model to request from the upstream
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new(), help_heading = "Comparison")]
    direct_model: Option<String>,
    /// Model to request from the gateway
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new(), help_heading = "Comparison")]
    via_model: Option<String>,
    /// Table to compare both with
    #[arg(long, value_name = "TARGET", help_heading = "Comparison")]
    claims: Option<String>,
    /// Environment variable with the upstream's credential
    #[arg(long, value_name = "VAR", value_parser = NonEmpty::new(), conflicts_with = "direct_key_file", help_heading = "Credential")]
    direct_key_env: Option<String>,
    /// File with the upstream's credential
    #[arg(long, value_name = "FILE", help_heading = "Credential", hide_short_help = true)]
    direct_key_file: Option<PathBuf>,
    /// Command that prints the upstream's credential
    #[arg(long, value_name = "CMD", value_parser = parse_secret, conflicts_with_all = ["direct_key_env", "direct_key_file"], help_heading = "Credential", hide_short_help = true)]
    direct_key_command: Option<SecretString>,
    /// Environment variable with the gateway's credential
    #[arg(long, value_name = "VAR", value_parser = NonEmpty::new(), conflicts_with = "via_key_file", help_heading = "Credential")]
    via_key_env: Option<String>,
    /// File with the gateway's credential
    #[arg(long, value_name = "FILE", help_heading = "Credential", hide_short_help = true)]
    via_key_file: Option<PathBuf>,
    /// Command that prints the gateway's credential
    #[arg(long, value_name = "CMD", value_parser = parse_secret, conflicts_with_all = ["via_key_env", "via_key_file"], help_heading = "Credential", hide_short_help = true)]
    via_key_command: Option<SecretString>,
    /// Header for the upstream: x-api-key, bearer
    #[arg(long, value_name = "HEADER", help_heading = "Credential")]
    direct_auth: Option<AuthScheme>,
    /// Header for the gateway: x-api-key, bearer
    #[arg(long, value_name = "HEADER", help_heading = "Credential")]
    via_auth: Option<AuthScheme>,
    #[command(flatten)]
    max_tokens: MaxTokensArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    sending: SendArgs,
}

/// The names of the sides, in files and messages.
const DIRECT_NAME: &str = "direct";
const VIA_NAME: &str = "via";

/// Runs the command.
pub fn main(args: &CompareArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    if args.sending.budget.max_cost.is_some() && args.sending.budget.price_input.is_none() {
        return Err(CliError::Options("--max-cost needs --price-input and --price-output"));
    }
    let is_other =
        |format: &ReportFormat| !matches!(format, ReportFormat::Terminal | ReportFormat::Markdown | ReportFormat::Json);
    if args.output.format.iter().any(is_other) || args.output.baseline.baseline.is_some() {
        return Err(CliError::Options(
            "compare writes terminal, markdown and json, and takes no --baseline. For other formats: `fieldtest report \
             OUT/results-via.json --baseline OUT/results-direct.json --format junit,github`",
        ));
    }
    let catalog = args.cases.load()?;
    let sides =
        [resolve_side(args, DIRECT_NAME, &catalog, environment)?, resolve_side(args, VIA_NAME, &catalog, environment)?];
    let rows = args.select.select_rows(&catalog, |needed| sides.iter().all(|side| side.meets_requirement(needed)))?;
    let _lock = files::lock_folder(&args.output.out)?;
    let preflight = preflight(sides.iter().map(|side| &side.endpoint), &args.sending.transport, &catalog, environment)?;
    let comparison =
        run_to_end(multi_thread_runtime()?, run_comparison(args, environment, &catalog, &sides, &rows, &preflight))?;
    let out = &args.output.out;
    for format in &args.output.format {
        match format {
            ReportFormat::Terminal => {
                stdout::print(
                    report::terminal::gateway_diff::render(&comparison, stdout::table_width(environment)).trim_end(),
                );
            }
            ReportFormat::Markdown => {
                files::write(&out.join("comparison.md"), &report::markdown::gateway_diff::render(&comparison))?
            }
            ReportFormat::Json => files::write(&out.join("comparison.json"), &json::render(&comparison))?,
            // Rejected above.
            ReportFormat::Html
            | ReportFormat::Junit
            | ReportFormat::Github
            | ReportFormat::Badge
            | ReportFormat::Ndjson => {}
        }
    }
    stderr::warn(format!("written to {}: comparison.*, results-*.json, recording-*.jsonl", out.display()));
    Ok(exit_status(&comparison, args.output.strict))
}

/// Resolves one side.
fn resolve_side(
    args: &CompareArgs,
    name: &'static str,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<ResolvedTarget, CliError> {
    let is_direct = name == DIRECT_NAME;
    let (url, model, auth, credential) = if is_direct {
        let credential = CredentialArgs {
            api_key_env: args.direct_key_env.clone(),
            api_key_file: args.direct_key_file.clone(),
            api_key_command: args.direct_key_command.clone(),
        };
        (&args.direct, &args.direct_model, args.direct_auth, credential)
    } else {
        let credential = CredentialArgs {
            api_key_env: args.via_key_env.clone(),
            api_key_file: args.via_key_file.clone(),
            api_key_command: args.via_key_command.clone(),
        };
        (&args.via, &args.via_model, args.via_auth, credential)
    };
    let endpoint = EndpointArgs {
        base_url: Some(url.clone()),
        name: Some(name.to_owned()),
        model: model.clone().or(args.model.clone()).into_iter().collect(),
        claims: args.claims.clone(),
        credential,
        auth,
        max_tokens: args.max_tokens,
        ..EndpointArgs::default()
    };
    let mut sides = resolve_targets(&endpoint, CredentialPolicy::Required, catalog, environment)
        .map_err(|error| CliError::ComparisonSide { side: name, source: Box::new(error) })?;
    sides.pop().ok_or(CliError::Unreachable("a base URL is one target"))
}

/// Runs both sides, and the doubtful rows again.
async fn run_comparison(
    args: &CompareArgs,
    environment: &ProcessEnvironment,
    catalog: &Catalog,
    sides: &[ResolvedTarget; 2],
    rows: &[&CatalogRow],
    preflight: &PreflightResult,
) -> Result<GatewayComparison, CliError> {
    let stop = StopSignal::default();
    stop_on_signal(stop.clone());
    let seed = args.sending.seed.unwrap_or(environment.entropy);
    let options =
        ProgressOptions { no_progress: args.sending.progress.no_progress, ndjson: false, run_count: sides.len() };
    let progress = ProgressReporter::new(environment, options);
    let round = ComparisonRound { args, catalog, sides, preflight, stop: &stop, progress: &progress };
    // Rows on which the selected rows depend are run too.
    let is_available = |row: &&CatalogRow| {
        row.experiment.requires.is_none_or(|needed| sides.iter().all(|side| side.meets_requirement(needed)))
    };
    let available: Vec<&CatalogRow> = catalog.rows.iter().filter(is_available).collect();
    let extent = RowSelection::new(rows.to_vec(), available.iter().copied(), |_| true);
    let (direct, via, ended) = round.run_sides(extent, seed, "").await?;
    for results in [&direct, &via] {
        report_files::write_results(&args.output, results)?;
    }
    report_files::print_shortfalls(&[direct.clone(), via.clone()]);
    let first = ResultsPair { direct: &direct, via: &via };
    let doubtful = gateway_diff::rows_to_confirm(first);
    let is_tested = |results: &Results| results.summary.decided > 0;
    let mut again = None;
    if !doubtful.is_empty() && ended != RunEnd::Interrupted && is_tested(&direct) && is_tested(&via) {
        stderr::warn(format!("{} of {} rows are in doubt and are tested again", doubtful.len(), rows.len()));
        let extent = RowSelection::new(rows.to_vec(), available, |row| doubtful.iter().any(|id| id == row));
        let (direct, via, _) = round.run_sides(extent, seed.wrapping_add(2), "-again").await?;
        again = Some((direct, via));
    }
    if stop.is_stopped() {
        stderr::warn("a comparison cannot be resumed: `fieldtest compare` starts over");
    }
    Ok(gateway_diff::compare(first, again.as_ref().map(|(direct, via)| ResultsPair { direct, via })))
}

/// What all rounds share.
struct ComparisonRound<'a> {
    args: &'a CompareArgs,
    catalog: &'a Catalog,
    sides: &'a [ResolvedTarget; 2],
    preflight: &'a PreflightResult,
    stop: &'a StopSignal,
    progress: &'a ProgressReporter,
}

impl ComparisonRound<'_> {
    /// Runs both sides in lockstep.
    async fn run_sides(
        &self,
        extent: RowSelection<'_>,
        seed: u64,
        suffix: &str,
    ) -> Result<(Results, Results, RunEnd), CliError> {
        let started = Instant::now();
        // One more than the requests in flight of a side, so that no side waits for its own requests only.
        let gate = LockstepGate::new(self.args.sending.rate.default_concurrency() as u64 + 1);
        let [direct, via] = self.sides;
        let run = |target, place, seed, extent| self.run_side(target, &gate, place, seed, extent, suffix, started);
        // Each side has its own random values, so that no cache serves the responses of the other side.
        let (direct, via) = tokio::join!(
            run(direct, LockstepSide::Left, seed, extent.clone()),
            run(via, LockstepSide::Right, seed.wrapping_add(1), extent)
        );
        let ((direct, one), (via, other)) = (direct?, via?);
        Ok((direct, via, if one == RunEnd::Interrupted { one } else { other }))
    }

    #[expect(clippy::too_many_arguments, reason = "called once, above")]
    async fn run_side(
        &self,
        target: &ResolvedTarget,
        gate: &LockstepGate,
        place: LockstepSide,
        seed: u64,
        extent: RowSelection<'_>,
        suffix: &str,
        started: Instant,
    ) -> Result<(Results, RunEnd), CliError> {
        let EndpointKind::Live { base_url, credential, .. } = &target.endpoint else {
            return Err(CliError::Unreachable("both sides are live endpoints"));
        };
        // With a shared budget, a side could wait in lockstep for money that the other side has reserved.
        let sending = &self.args.sending;
        let shared = SharedState::new(sending);
        let credential = credential.as_ref().map(LazyCredential::resolve).transpose()?;
        let mut config = shared.client_config(sending, target, base_url, credential, false, started)?;
        // A gateway may echo the credential of its upstream, so the secrets of both sides are removed.
        config.secrets.clone_from(&self.preflight.secrets);
        config.transport = self.preflight.transport.clone();
        let shown = SecretRedactor::new(config.credential.as_ref(), &config.secrets).redact_text(base_url.clone());
        let client = Client::new(config)?;
        let endpoint = gate.wrap_endpoint(place, &client);
        let job = RunJob {
            target,
            base_url: shown,
            simulated: false,
            selection: extent,
            shard: None,
            seed,
            recording: self.args.output.out.join(format!("recording-{}{suffix}.jsonl", target.name)),
            progress: self.progress,
            run_number: None,
            started,
            scope: RunScope { comparison: true, ..RunScope::default() },
            resumed: None,
        };
        run_target(&endpoint, job, sending, &shared, self.catalog, self.stop).await
    }
}

/// The exit status. Differences that the gateway introduces count even if a run ended early.
fn exit_status(comparison: &GatewayComparison, strict: bool) -> ExitStatus {
    let introduced = |least: CheckSeverity| {
        comparison
            .findings
            .iter()
            .any(|finding| finding.fate == GatewayAttribution::Introduced && finding.severity <= least)
    };
    let fates = &comparison.summary;
    let untested = [&comparison.direct, &comparison.via].iter().any(|side| side.decided == 0 || side.partial.is_some());
    let fails_strictly = fates.changed > 0 || fates.undetermined > 0 || introduced(CheckSeverity::Warning);
    if fates.introduced > 0 || introduced(CheckSeverity::Error) {
        ExitStatus::Contradiction
    } else if untested {
        ExitStatus::Untested
    } else if strict && fails_strictly {
        ExitStatus::Contradiction
    } else {
        ExitStatus::Success
    }
}
