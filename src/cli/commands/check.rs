//! `fieldtest check`: validates case files, and proves that every row can fail.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::catalog::Catalog;
use crate::cli::args::cases::CaseArgs;
use crate::cli::args::output::{ProgressArgs, TextFormat};
use crate::cli::args::select::SelectArgs;
use crate::cli::error::CliError;
use crate::cli::io::report_files::print_written;
use crate::cli::io::{files, stderr, stdout};
use crate::cli::progress::mutation::MutationProgressBar;
use crate::cli::runtime::multi_thread_runtime;
use crate::cli::target::build::{default_targets, find_target};
use crate::cli::{ExitStatus, ProcessEnvironment};
use crate::mutation::MutationOptions;
use crate::results::json;
use crate::results::mutation::MutationReport;
use crate::{mutation, report};

/// The files in `--out`.
const JSON_FILE: &str = "check.json";
const MARKDOWN_FILE: &str = "check.md";

/// Validate case files; prove that every row can fail
#[derive(Debug, Args)]
#[command(
    long_about = "Validate case files, and prove that every row can fail

For each verdict of a row, a simulated server is changed to deserve it. The row
must reach that verdict. All other rows run too: none may accuse its own field,
or keep a verdict that nothing supports. Needs no network, no key.",
    after_help = "Examples:
  fieldtest check
  fieldtest check --cases my-cases --select 'my.*'
  fieldtest check --cases my-cases --no-proof

Exit codes:
  0   every row can fail, and none is accused
  1   a row cannot be proved, or another row is wrong
  2   wrong usage, or an invalid case file"
)]
pub struct CheckArgs {
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    cases: CaseArgs,
    /// Simulate only this target; repeatable
    #[arg(long, value_name = "TARGET", help_heading = "Rows")]
    target: Vec<String>,
    /// Validate the files only; change no server
    #[arg(long, conflicts_with_all = ["target", "select", "one_by_one", "format", "out"], help_heading = "Rows")]
    no_proof: bool,
    /// Run each change alone; slower, nothing shared
    #[arg(long, help_heading = "Rows")]
    one_by_one: bool,
    /// terminal, markdown, json
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "terminal")]
    format: Vec<TextFormat>,
    /// Folder for check.md and check.json
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Runs the command.
pub fn main(args: &CheckArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let catalog = args.cases.load()?;
    let claims: usize = catalog.targets.values().map(|t| t.claims.len()).sum();
    let summary = format!(
        "{} rows, {} targets, {claims} claims: the case files are valid",
        catalog.rows.len(),
        catalog.targets.len()
    );
    if args.no_proof {
        stdout::print(summary);
        return Ok(ExitStatus::Success);
    }
    let options = build_options(args, &catalog)?;
    match &args.out {
        Some(folder) => files::ensure_writable(folder)?,
        None if args.format.len() > 1 => {
            return Err(CliError::Options("several values of --format need --out"));
        }
        None => {}
    }
    stderr::warn(summary);
    let proof = prove(catalog, &options, environment.interactive && !args.progress.no_progress)?;
    for format in &args.format {
        let text = match format {
            TextFormat::Terminal => report::terminal::mutation::render(&proof, stdout::table_width(environment)),
            TextFormat::Markdown => report::markdown::mutation::render(&proof),
            TextFormat::Json => json::render(&proof),
        };
        match (&args.out, report_file_name(*format)) {
            (Some(folder), Some(name)) => files::write(&folder.join(name), &text)?,
            _ if *format == TextFormat::Json => stdout::print_json(text.trim_end()),
            _ => stdout::print(text.trim_end()),
        }
    }
    if let Some(folder) = &args.out {
        print_written(folder, args.format.iter().filter_map(|format| report_file_name(*format)));
    }
    Ok(if proof.passed { ExitStatus::Success } else { ExitStatus::Contradiction })
}

fn build_options(args: &CheckArgs, catalog: &Catalog) -> Result<MutationOptions, CliError> {
    let mut targets: Vec<String> = args.target.clone();
    for (i, name) in targets.iter().enumerate() {
        find_target(catalog, name)?;
        if targets[..i].contains(name) {
            return Err(CliError::Target(format!("target `{name}` is named twice. Remove one")));
        }
    }
    if targets.is_empty() {
        targets = default_targets(catalog)?;
    }
    // The proof chooses the targets that meet the requirements of a row.
    let rows = args.select.select_rows(catalog, |_| true)?;
    Ok(MutationOptions {
        targets,
        rows: rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
        one_by_one: args.one_by_one,
        jobs: std::thread::available_parallelism().map_or(2, usize::from).min(8),
    })
}

fn prove(catalog: Catalog, options: &MutationOptions, is_visible: bool) -> Result<MutationReport, CliError> {
    let runtime = multi_thread_runtime()?;
    let mut bar = MutationProgressBar::new(is_visible);
    let proved = runtime.block_on(mutation::prove(&Arc::new(catalog), options, &mut |event| bar.update(event)));
    bar.clear();
    Ok(proved?)
}

fn report_file_name(format: TextFormat) -> Option<&'static str> {
    match format {
        TextFormat::Terminal => None,
        TextFormat::Markdown => Some(MARKDOWN_FILE),
        TextFormat::Json => Some(JSON_FILE),
    }
}
