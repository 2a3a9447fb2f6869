//! `fieldtest report`: renders results files.

use std::path::PathBuf;

use clap::Args;

use super::args::OutputArgs;
use super::{CliError, Environment, Exit, files, output};
use crate::report::json;

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
        all.push(json::parse(&path.display().to_string(), &text).map_err(|e| CliError::Usage(e.to_string()))?);
    }
    files::writable(&args.output.out)?;
    for results in &all {
        output::write_results(&args.output, results)?;
    }
    output::write_reports(&args.output, &all, environment)?;
    output::tell_files(&args.output.out, &args.output.format);
    // Rendering succeeded; what the results say was said when they were made. `--strict` asks to hear it again.
    Ok(if args.output.strict { output::exit_of(&all, true) } else { Exit::Success })
}
