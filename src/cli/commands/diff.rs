//! `fieldtest diff`: what changed between two results files.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::args::common::TextFormat;
use crate::cli::io::{files, stdout};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::report;
use crate::report::TerminalStyle;
use crate::results::model::Results;
use crate::results::{diff, json};

/// Tells what changed between two results files: rows and findings that were lost, gained, changed, or are no longer
/// decided. They may be of two targets: what moving from one to the other would change.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fieldtest diff before/results-deepseek.json after/results-deepseek.json\n  \
                        fieldtest diff reports/results-deepseek.json reports/results-tencent-lkeap.json --format markdown\n\n\
                        Exit codes: 0 nothing was lost; 1 a row was lost, or a finding of severity error came (with --strict \
                        also a row that is no longer decided or no longer there, a row that changed, a warning); 2 usage, or a broken file")]
pub struct DiffArgs {
    /// The results file to compare with.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The results file to compare.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// How to tell it.
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    format: TextFormat,
    /// Write it to a file instead of to standard output.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Count rows that are no longer decided or no longer there, changed rows and new warnings as regressions.
    #[arg(long)]
    strict: bool,
}

/// Runs the command.
pub fn main(args: &DiffArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let (old, new) = (read_results(&args.old)?, read_results(&args.new)?);
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

fn read_results(path: &Path) -> Result<Results, CliError> {
    let text = files::read_text(path)?;
    json::parse(&path.display().to_string(), &text).map_err(|error| {
        let recording = files::is_recording(&text);
        let hint = if recording { "; it is a recording: `fieldtest judge` makes results of it" } else { "" };
        CliError::Usage(format!("{error}{hint}"))
    })
}
