//! `fieldtest report`: renders results files.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::common::{CaseArgs, OutputArgs};
use crate::cli::io::{files, stdout};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::results::json;

/// Renders results files, one or many targets side by side.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fieldtest report reports/results-deepseek.json reports/results-tencent-lkeap.json -o out"
)]
pub struct ReportArgs {
    /// The results files, in the order of the columns.
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
    /// Only the names of rows that a baseline may use come from them.
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
pub fn main(args: &ReportArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    stdout::reject_ndjson(&args.output)?;
    let mut all = Vec::new();
    for path in &args.results {
        let text = files::read_text(path)?;
        let recording = files::is_recording(&text);
        all.push(json::parse(&path.display().to_string(), &text).map_err(|e| {
            let hint = if recording { "; it is a recording: `fieldtest judge` makes results of it" } else { "" };
            CliError::Usage(format!("{e}{hint}"))
        })?);
    }
    let catalog = args.cases.load()?;
    args.output.baseline.load_and_compare(&mut all, &catalog, args.output.strict, environment.today)?;
    let is_held = args.output.baseline.baseline.is_some();
    let _held = files::lock_folder(&args.output.out)?;
    // No file that is rendered here is written over with another's results.
    let inputs: Vec<Option<PathBuf>> = args.results.iter().map(|path| path.canonicalize().ok()).collect();
    stdout::write_all_results(&args.output, &all, |of, path| {
        let there = path.canonicalize().ok();
        there.is_some() && inputs.iter().enumerate().any(|(i, input)| i != of && *input == there)
    })?;
    stdout::write_reports(&args.output, &all, environment)?;
    if is_held {
        stdout::print_baseline_failures(&all);
    }
    stdout::print_written_files(&args.output.out, &args.output.format);
    // Rendering succeeded; what the results say was said when they were made. `--strict` and a baseline ask to hear it
    // again.
    Ok(if args.output.strict || is_held { stdout::exit_status(&all, args.output.strict) } else { ExitStatus::Success })
}
