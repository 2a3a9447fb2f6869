//! `fieldtest judge`: decides recordings again.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::args::cases::CaseArgs;
use crate::cli::args::output::OutputArgs;
use crate::cli::io::{files, report_files};
use crate::cli::target::build::find_target;
use crate::cli::target::gateway_claims::{load_catalog, resolve_claims};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::engine::{judge, note_remaining_work};
use crate::gateway;
use crate::results::model::Results;

/// Decide recordings again; send nothing
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fieldtest judge reports/recording-kimi.jsonl --out again
  fieldtest judge reports/recording-kimi.jsonl --claims anthropic -o other")]
pub struct JudgeArgs {
    /// Recordings
    #[arg(value_name = "RECORDING", required = true, help_heading = "What to test")]
    recordings: Vec<PathBuf>,
    /// Table to compare with [default: the run's]
    #[arg(long, value_name = "TARGET", help_heading = "What to test")]
    claims: Option<String>,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
pub fn main(args: &JudgeArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    args.output.reject_ndjson()?;
    let catalog = args.cases.load()?;
    let only_gateways = args.recordings.iter().all(|path| files::is_gateway_recording(path).unwrap_or(false));
    let claims = args.claims.as_ref().filter(|_| !only_gateways).map(|name| find_target(&catalog, name)).transpose()?;
    let _lock = files::lock_folder(&args.output.out)?;
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
        let mut results = judge(&catalog, &recording).map_err(|e| CliError::recording(path, e))?;
        note_remaining_work(&mut results, &catalog, &recording);
        all.push(results);
    }
    report_files::finish_offline(&args.output, all, &catalog, environment)
}

/// Judges the recording of a gateway.
fn judge_gateway_recording(args: &JudgeArgs, path: &Path) -> Result<Results, CliError> {
    let mut recording = files::read_gateway_recording(path)?;
    let (catalog, name) = load_catalog(&args.cases, args.claims.as_deref().unwrap_or_default())?;
    if let Some(claims) = &args.claims {
        let name = name.as_deref().unwrap_or(claims);
        recording.header.claims = resolve_claims(&catalog, name, recording.header.shape)?;
    }
    gateway::judge(&catalog, &recording).map_err(|e| CliError::recording(path, e))
}
