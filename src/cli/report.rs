//! `fieldtest report`: renders results files.

use std::path::PathBuf;

use clap::Args;

use super::args::OutputArgs;
use super::{CliError, Environment, Exit, files, output};
use crate::report::json;

/// What every recording begins with.
const RECORDING: &str = r#"{"header":{"schema":"fieldtest-recording/"#;

/// Renders results files, one or many targets side by side.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fieldtest report reports/results-deepseek.json reports/results-tencent-lkeap.json -o out"
)]
pub struct ReportArgs {
    /// The results files, in the order of the columns.
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
pub fn main(args: &ReportArgs, environment: &Environment) -> Result<Exit, CliError> {
    let mut all = Vec::new();
    for path in &args.results {
        let text = files::read_text(path)?;
        let recording = text.starts_with(RECORDING);
        all.push(json::parse(&path.display().to_string(), &text).map_err(|e| {
            let hint = if recording { "; it is a recording: `fieldtest judge` makes results of it" } else { "" };
            CliError::Usage(format!("{e}{hint}"))
        })?);
    }
    files::writable(&args.output.out)?;
    // No file that is rendered here is written over with another's results.
    let inputs: Vec<Option<PathBuf>> = args.results.iter().map(|path| path.canonicalize().ok()).collect();
    output::write_all_results(&args.output, &all, |of, path| {
        let there = path.canonicalize().ok();
        there.is_some() && inputs.iter().enumerate().any(|(i, input)| i != of && *input == there)
    })?;
    output::write_reports(&args.output, &all, environment)?;
    output::tell_files(&args.output.out, &args.output.format);
    // Rendering succeeded; what the results say was said when they were made. `--strict` asks to hear it again.
    Ok(if args.output.strict { output::exit_of(&all, true) } else { Exit::Success })
}
