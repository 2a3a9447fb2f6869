//! `fieldtest judge`: judges a recording again, without a request.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::args::common::{CaseArgs, OutputArgs};
use crate::cli::io::{files, stdout};
use crate::cli::target::resolve::find_target;
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::engine::{judge, note_remaining_work};
use crate::gateway;
use crate::results::model::Results;

/// Judges recordings again, by these rules and case files; no request is sent.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fieldtest judge reports/recording-deepseek.jsonl --out again\n  \
                        fieldtest judge reports/recording-deepseek.jsonl --claims anthropic --out other")]
pub struct JudgeArgs {
    /// The recordings.
    #[arg(value_name = "RECORDING", required = true)]
    recordings: Vec<PathBuf>,
    /// Whose claims to hold the verdicts against, instead of those of the run.
    #[arg(long, value_name = "TARGET")]
    claims: Option<String>,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
pub fn main(args: &JudgeArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    stdout::reject_ndjson(&args.output)?;
    let catalog = args.cases.load()?;
    let of_gateways = args.recordings.iter().all(|path| files::is_gateway_recording(path).unwrap_or(false));
    let claims = args.claims.as_ref().filter(|_| !of_gateways).map(|name| find_target(&catalog, name)).transpose()?;
    let _held = files::lock_folder(&args.output.out)?;
    let mut all = Vec::new();
    for path in &args.recordings {
        if files::is_gateway_recording(path)? {
            all.push(judge_gateway_recording(args, path)?);
            continue;
        }
        let mut recording = files::read_recording(path)?;
        if let Some(claims) = claims {
            recording.header.claims = Some(claims.clone());
        }
        let mut results =
            judge(&catalog, &recording).map_err(|e| CliError::Usage(format!("{}: {e}", path.display())))?;
        note_remaining_work(&mut results, &catalog, &recording);
        all.push(results);
    }
    args.output.baseline.load_and_compare(&mut all, &catalog, args.output.strict, environment.today)?;
    stdout::write_all_results(&args.output, &all, |_, _| false)?;
    stdout::finish(&args.output, &all, environment)
}

/// The results of a gateway's recording.
fn judge_gateway_recording(args: &JudgeArgs, path: &Path) -> Result<Results, CliError> {
    let mut recording = files::read_gateway_recording(path)?;
    let (catalog, named) =
        crate::cli::commands::gateway::load_catalog(&args.cases, args.claims.as_deref().unwrap_or_default())?;
    if let Some(claims) = &args.claims {
        recording.header.claims = crate::cli::commands::gateway::resolve_claims(
            &catalog,
            named.as_deref().unwrap_or(claims),
            recording.header.shape,
        )?;
    }
    gateway::judge(&catalog, &recording).map_err(|e| CliError::Usage(format!("{}: {e}", path.display())))
}
