//! `fieldtest diff`: the changes between two results files.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::output::TextFormat;
use crate::cli::io::{files, stdout};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::report;
use crate::report::TerminalStyle;
use crate::results::{diff, json};

/// Show what changed between two results files
#[derive(Debug, Args)]
#[command(
    long_about = "Show what changed between two results files

The files may be of two targets.",
    after_help = "Examples:
  fieldtest diff before/results-deepseek.json after/results-deepseek.json
  fieldtest diff reports/results-a.json reports/results-b.json --format markdown

Exit codes:
  0   nothing was lost
  1   a row was lost, or there is a new finding of severity error
      (--strict: also other changes, undecided or missing rows, new warnings)
  2   wrong usage, or an invalid file"
)]
pub struct DiffArgs {
    /// Results file to compare with
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// Results file to compare
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// terminal, markdown, json
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    format: TextFormat,
    /// Write to a file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also fail for other changes and new warnings
    #[arg(long)]
    strict: bool,
}

/// Runs the command.
pub fn main(args: &DiffArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let (old, new) = (files::read_results(&args.old)?, files::read_results(&args.new)?);
    let diff = diff::diff(&old, &new, args.strict);
    let text = match args.format {
        TextFormat::Terminal => {
            let colour = environment.colour && args.out.is_none();
            let style = TerminalStyle { width: stdout::table_width(environment), colour, unicode: true };
            report::terminal::diff::render(&diff, style)
        }
        TextFormat::Markdown => report::markdown::diff::render(&diff),
        TextFormat::Json => json::render(&diff),
    };
    match (&args.out, args.format) {
        (Some(path), _) => files::write(path, &text)?,
        (None, TextFormat::Json) => stdout::print(text.trim_end()),
        (None, TextFormat::Terminal | TextFormat::Markdown) => stdout::print_untrusted(text.trim_end()),
    }
    Ok(if diff.regressions > 0 { ExitStatus::Contradiction } else { ExitStatus::Success })
}
