//! `fieldtest check`: checks case files, and proves that each experiment can fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::catalog::Catalog;
use crate::cli::args::common::{CaseArgs, SelectArgs, TextFormat};
use crate::cli::io::{files, stdout};
use crate::cli::progress::gateway::MutationProgressBar;
use crate::cli::target::resolve::find_target;
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::mutation;
use crate::mutation::{MutationError, MutationOptions};
use crate::report;
use crate::results::json;
use crate::results::mutation::MutationReport;

/// The files in `--out`.
const JSON_FILE: &str = "check.json";
const MARKDOWN_FILE: &str = "check.md";

/// Checks case files: that they can be read, that they refer to what exists, and that every experiment can fail. For
/// each verdict that a row can have, a simulated server is made to deserve it; the row must reach it, and no other row
/// may follow. Needs no network and no key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fieldtest check\n  fieldtest check --cases my-cases --select 'my.*'\n  \
                        fieldtest check --format json --out out\n  fieldtest check --cases my-cases --no-proof\n\n\
                        Exit codes: 0 every row can fail; 1 a row has no such proof; 2 usage or case files")]
pub struct CheckArgs {
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    cases: CaseArgs,
    /// The target whose simulation is changed, `anthropic` for instance; all of them unless told. May be repeated.
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// Only read the files and check what they refer to.
    #[arg(long, conflicts_with_all = ["target", "select", "one_by_one", "format", "out"])]
    no_proof: bool,
    /// Give each change of the server a run of its own: slower, and no run is shared.
    #[arg(long)]
    one_by_one: bool,
    /// The reports to make. Without --out one of them, on standard output.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "terminal")]
    format: Vec<TextFormat>,
    /// The folder for check.md and check.json.
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show no progress bar.
    #[arg(long)]
    no_progress: bool,
}

/// Runs the command.
pub fn main(args: &CheckArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let catalog = args.cases.load()?;
    let claims: usize = catalog.targets.values().map(|t| t.claims.len()).sum();
    let sound = format!(
        "{} rows, {} targets, {claims} claims: the case files are sound",
        catalog.rows.len(),
        catalog.targets.len()
    );
    if args.no_proof {
        stdout::print(sound);
        return Ok(ExitStatus::Success);
    }
    let options = build_options(args, &catalog)?;
    match &args.out {
        Some(folder) => files::ensure_writable(folder)?,
        None if args.format.len() > 1 => {
            return Err(CliError::Usage(
                "--format: one of them goes to standard output; several need --out".to_owned(),
            ));
        }
        None => {}
    }
    stdout::warn(sound);
    let proof = prove(catalog, &options, environment.interactive && !args.no_progress)?;
    for format in &args.format {
        let text = match format {
            TextFormat::Terminal => report::terminal::mutation::render(&proof, stdout::table_width(environment)),
            TextFormat::Markdown => report::markdown::mutation::render(&proof),
            TextFormat::Json => json::render(&proof),
        };
        match (&args.out, report_file_name(*format)) {
            (Some(folder), Some(name)) => files::write(&folder.join(name), &text)?,
            _ => stdout::print(text.trim_end()),
        }
    }
    print_written_files(args.out.as_deref(), &args.format);
    Ok(if proof.passed { ExitStatus::Success } else { ExitStatus::Contradiction })
}

fn build_options(args: &CheckArgs, catalog: &Catalog) -> Result<MutationOptions, CliError> {
    let mut targets: Vec<String> = args.target.clone();
    for (i, name) in targets.iter().enumerate() {
        find_target(catalog, name)?;
        if targets[..i].contains(name) {
            return Err(CliError::Usage(format!("target `{name}` is named twice")));
        }
    }
    if targets.is_empty() {
        targets = catalog.targets.keys().cloned().collect();
    }
    // Which targets a row needs is the proof's business: here, none is left out for want of a limit.
    let rows = args.select.select_rows(catalog, |_| true)?;
    Ok(MutationOptions {
        targets,
        rows: rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
        one_by_one: args.one_by_one,
        jobs: std::thread::available_parallelism().map_or(2, usize::from).min(8),
    })
}

fn prove(catalog: Catalog, options: &MutationOptions, shown: bool) -> Result<MutationReport, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::Internal(format!("cannot start the runtime: {e}")))?;
    let mut bar = MutationProgressBar::new(shown);
    let proved = runtime.block_on(mutation::prove(&Arc::new(catalog), options, &mut |told| bar.update(told)));
    bar.clear();
    proved.map_err(|e| match e {
        MutationError::UnknownTarget(_) => CliError::Usage(e.to_string()),
        MutationError::Start(_)
        | MutationError::Client(_)
        | MutationError::UnknownRow(_)
        | MutationError::Judge(_)
        | MutationError::Run(_) => CliError::Internal(e.to_string()),
    })
}

fn report_file_name(format: TextFormat) -> Option<&'static str> {
    match format {
        TextFormat::Terminal => None,
        TextFormat::Markdown => Some(MARKDOWN_FILE),
        TextFormat::Json => Some(JSON_FILE),
    }
}

fn print_written_files(out: Option<&Path>, format: &[TextFormat]) {
    let made: Vec<&str> = format.iter().filter_map(|f| report_file_name(*f)).collect();
    if let (Some(out), false) = (out, made.is_empty()) {
        stdout::warn(format!("written to {}: {}", out.display(), made.join(", ")));
    }
}
