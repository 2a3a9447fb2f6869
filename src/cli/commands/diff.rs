//! `fieldtest diff`: the changes between two results files.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::catalog::{Claim, claim_changes};
use crate::cli::args::cases::CaseArgs;
use crate::cli::args::output::TextFormat;
use crate::cli::io::{files, stdout, table};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::report;
use crate::report::TerminalStyle;
use crate::results::{diff, json};

/// Show what changed between two results files
#[derive(Debug, Args)]
#[command(
    long_about = "Show what changed between two results files

The files may be of two targets. Two names of targets show the changed claims.",
    after_help = "Examples:
  fieldtest diff before/results-kimi.json after/results-kimi.json
  fieldtest diff reports/results-a.json reports/results-b.json --format markdown
  fieldtest diff deepseek@2025-12 deepseek

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
    #[command(flatten)]
    cases: CaseArgs,
}

/// Runs the command.
pub fn main(args: &DiffArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    if let Some(text) = diff_claims(args, environment)? {
        match &args.out {
            Some(path) => files::write(path, &text)?,
            None => stdout::print(text.trim_end()),
        }
        return Ok(ExitStatus::Success);
    }
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
        (None, TextFormat::Json) => stdout::print_json(text.trim_end()),
        (None, TextFormat::Terminal | TextFormat::Markdown) => stdout::print(text.trim_end()),
    }
    Ok(if diff.regressions > 0 { ExitStatus::Contradiction } else { ExitStatus::Success })
}

/// The changed claims, if both arguments name targets and no files.
fn diff_claims(args: &DiffArgs, environment: &ProcessEnvironment) -> Result<Option<String>, CliError> {
    if args.old.exists() || args.new.exists() {
        return Ok(None);
    }
    let catalog = args.cases.load()?;
    let find = |path: &Path| path.to_str().and_then(|name| catalog.target(name));
    let (Some(old), Some(new)) = (find(&args.old), find(&args.new)) else { return Ok(None) };
    let changes = claim_changes(old, new);
    let show = |claim: Option<&Claim>| claim.map_or_else(|| "-".to_owned(), Claim::summary);
    Ok(Some(match args.format {
        TextFormat::Json => json::render(&changes),
        TextFormat::Terminal => {
            let mut table = table::new_table(environment);
            table.set_header(["row", old.name.as_str(), new.name.as_str()]);
            for change in &changes {
                table.add_row([change.row.clone(), show(change.old.as_ref()), show(change.new.as_ref())]);
            }
            format!("{table}\n{} claims changed\n", changes.len())
        }
        TextFormat::Markdown => {
            let cell = |claim| show(claim).replace('|', "\\|");
            let lines = changes
                .iter()
                .map(|c| format!("| `{}` | {} | {} |\n", c.row, cell(c.old.as_ref()), cell(c.new.as_ref())));
            format!("| row | {} | {} |\n| --- | --- | --- |\n{}", old.name, new.name, lines.collect::<String>())
        }
    }))
}
