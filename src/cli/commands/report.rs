//! `fieldtest report`: renders results files.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::cases::CaseArgs;
use crate::cli::args::output::OutputArgs;
use crate::cli::io::{files, report_files};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};

/// Render results files
#[derive(Debug, Args)]
#[command(after_help = "Example:
  fieldtest report a/results-kimi.json b/results-zai.json -o out")]
pub struct ReportArgs {
    /// Results files, in the order of the columns
    #[arg(value_name = "RESULTS", required = true, help_heading = "What to test")]
    results: Vec<PathBuf>,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
pub fn main(args: &ReportArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    args.output.reject_ndjson()?;
    let mut all = args.results.iter().map(|path| files::read_results(path)).collect::<Result<Vec<_>, _>>()?;
    let catalog = args.cases.load()?;
    args.output.baseline.load_and_compare(&mut all, &catalog, args.output.strict, environment.today)?;
    let has_baseline = args.output.baseline.baseline.is_some();
    let _lock = files::lock_folder(&args.output.out)?;
    // Results must not overwrite the input file of other results.
    let inputs: Vec<Option<PathBuf>> = args.results.iter().map(|path| path.canonicalize().ok()).collect();
    report_files::write_all_results(&args.output, &all, |index, path| {
        let existing = path.canonicalize().ok();
        existing.is_some() && inputs.iter().enumerate().any(|(i, input)| i != index && *input == existing)
    })?;
    report_files::write_reports(&args.output, &all, environment)?;
    if has_baseline {
        report_files::print_baseline_failures(&all);
    }
    report_files::print_written_files(&args.output.out, &args.output.format);
    // The run that made the results has reported their failures. They count here only with `--strict` or a baseline.
    Ok(if args.output.strict || args.output.require_effect || has_baseline {
        report_files::exit_status(&all, args.output.failure_policy())
    } else {
        ExitStatus::Success
    })
}
