//! `fieldtest baseline`: writes, updates and checks files of expectations.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::civil::Date;

use crate::catalog::Catalog;
use crate::cli::args::baseline::{all_rows, catalog_names};
use crate::cli::args::common::CaseArgs;
use crate::cli::io::{files, stdout};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::results::baseline::{
    CatalogNames, CompareOptions, ExpectationList, ParsedFile, collect_failures, combine_results,
};
use crate::results::model::Results;
use crate::results::{baseline, json};

/// Writes, updates and checks files of expectations: what is known to fail, and why.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fieldtest run deepseek --simulate --baseline known.yaml\n  \
                        fieldtest baseline write reports/results-deepseek.json -o known.yaml --reason before-1.4\n  \
                        fieldtest baseline update known.yaml reports/results-deepseek.json --reason since-1.4\n  \
                        fieldtest baseline lint known.yaml\n\n\
                        What fails and is listed passes; what fails otherwise is a regression; what is listed and fails no \
                        longer is stale. docs/baselines.md tells all of it.")]
pub struct BaselineCommand {
    #[command(subcommand)]
    command: BaselineAction,
}

#[derive(Debug, Subcommand)]
enum BaselineAction {
    Write(WriteArgs),
    Update(UpdateArgs),
    Lint(LintArgs),
}

/// Writes a file of expectations with everything that fails in results.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fieldtest baseline write reports/results-deepseek.json -o known.yaml --reason before-1.4"
)]
struct WriteArgs {
    /// The results files, of one target.
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Why all of it is known to fail. Edit the file where there are several reasons.
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
    /// Where more is said.
    #[arg(long, value_name = "URL", value_parser = parse_link)]
    link: Option<String>,
    /// The last day on which the entries hold.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    until: Option<Date>,
    /// List silent rows and warnings as well.
    #[arg(long)]
    strict: bool,
    /// Write over the file if it is there.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    cases: CaseArgs,
}

/// Brings a file of expectations up to date with results, and says each change. Entries that still hold keep their
/// reason, link and day; comments of the file are lost.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fieldtest baseline update known.yaml reports/results-deepseek.json --reason since-1.4"
)]
struct UpdateArgs {
    /// The file of expectations.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The results files, of one target.
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
    /// Why what is new, or fails otherwise than before, is known to fail.
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
    /// List silent rows and warnings as well.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    cases: CaseArgs,
}

/// Checks a file of expectations: names, reasons, doubles, days and links; and tells which entries have expired.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fieldtest baseline lint known.yaml\n\n\
                        Exit codes: 0 sound; 1 entries have expired; 2 something is wrong with the file")]
struct LintArgs {
    /// The file of expectations.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    cases: CaseArgs,
}

/// Runs the command.
pub fn main(args: &BaselineCommand, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    match &args.command {
        BaselineAction::Write(args) => write_baseline(args),
        BaselineAction::Update(args) => update_baseline(args, environment.today),
        BaselineAction::Lint(args) => lint_baseline(args, environment.today),
    }
}

fn write_baseline(args: &WriteArgs) -> Result<ExitStatus, CliError> {
    let catalog = args.cases.load()?;
    let results = read_results(&args.results)?;
    if args.out.exists() && !args.force {
        return Err(CliError::Usage(format!(
            "{}: it is there already: `fieldtest baseline update` changes it, --force writes over it",
            args.out.display()
        )));
    }
    let mut expect = collect_failures(&results, args.strict);
    for listed in &mut expect {
        listed.reason = Some(args.reason.clone());
        listed.link.clone_from(&args.link);
        listed.until = args.until;
    }
    let name = &results.target.name;
    // A name that no file has, a host and a port for instance, binds a list to nothing that lasts.
    let target = catalog.targets.contains_key(name).then(|| name.clone());
    let expectations = ExpectationList { target, expect };
    write_expectations(&args.out, &expectations, &catalog_names_for_results(&catalog, &results))?;
    let open = results.rows.iter().filter(|row| !row.verdict.status.is_decided()).count();
    if open > 0 {
        stdout::warn(format!("{open} rows were not decided, and are not listed"));
    }
    stdout::print(format!("{}: {}", args.out.display(), format_entry_count(expectations.expect.len())));
    Ok(ExitStatus::Success)
}

fn update_baseline(args: &UpdateArgs, today: Date) -> Result<ExitStatus, CliError> {
    let catalog = args.cases.load()?;
    let results = read_results(&args.results)?;
    let known = catalog_names_for_results(&catalog, &results);
    let (file, old) = read_baseline_file(&args.file, &known)?;
    if let Some(target) = old.expectations.target.as_ref().filter(|target| **target != results.target.name) {
        return Err(CliError::Usage(format!(
            "{file}: it is for the target `{target}`, and the results are of `{}`",
            results.target.name
        )));
    }
    let whole = all_rows(&catalog, &results);
    let setting = CompareOptions { file: &file, today, strict: args.strict, all_rows: &whole };
    let (new, changes) = baseline::update(&old.expectations, &results, &setting, &args.reason);
    if changes.is_empty() {
        stdout::print(format!("{file}: {}, nothing to change", format_entry_count(new.expect.len())));
        return Ok(ExitStatus::Success);
    }
    write_expectations(&args.file, &new, &known)?;
    for change in &changes {
        stdout::print(change.to_string());
    }
    stdout::print(format!("{file}: {}", format_entry_count(new.expect.len())));
    Ok(ExitStatus::Success)
}

fn lint_baseline(args: &LintArgs, today: Date) -> Result<ExitStatus, CliError> {
    let catalog = args.cases.load()?;
    let (file, read) = read_baseline_file(&args.file, &catalog_names(&catalog, &[], []))?;
    let placed = read.expectations.expect.iter().zip(&read.locations);
    let expired: Vec<_> = placed.filter(|(listed, _)| listed.is_expired(today)).collect();
    for (listed, place) in &expired {
        let until = listed.until.map_or(String::new(), |day| format!(" after {day}"));
        stdout::warn(format!("{file}:{}:{}: `{}` expired{until}", place.line, place.column, listed.subject.id()));
    }
    let count = format_entry_count(read.expectations.expect.len());
    if expired.is_empty() {
        stdout::print(format!("{file}: {count}, all sound"));
        return Ok(ExitStatus::Success);
    }
    stdout::print(format!("{file}: {count}, {} of them expired", expired.len()));
    Ok(ExitStatus::Contradiction)
}

/// The results files as one.
fn read_results(paths: &[PathBuf]) -> Result<Results, CliError> {
    let mut all = Vec::new();
    for path in paths {
        let text = files::read_text(path)?;
        all.push(json::parse(&path.display().to_string(), &text).map_err(|e| CliError::Usage(e.to_string()))?);
    }
    combine_results(&all).map_err(CliError::Usage)
}

fn catalog_names_for_results(catalog: &Catalog, results: &Results) -> CatalogNames {
    catalog_names(catalog, &[&results.target.name], results.rows.iter().map(|row| row.id.as_str()))
}

fn read_baseline_file(path: &Path, known: &CatalogNames) -> Result<(String, ParsedFile), CliError> {
    let file = path.display().to_string();
    let text = files::read_text(path)?;
    if !baseline::is_expectations(&text) {
        return Err(CliError::Usage(format!(
            "{file}: expected a file of expectations (YAML with `schema: {}`), and this looks like results",
            baseline::SCHEMA
        )));
    }
    let read = baseline::read_expectations(&file, &text, known)?;
    Ok((file, read))
}

/// Writes a file, after making sure that it will be read again as it was meant.
fn write_expectations(path: &Path, expectations: &ExpectationList, known: &CatalogNames) -> Result<(), CliError> {
    let text = baseline::write_expectations(expectations).map_err(CliError::Internal)?;
    let file = path.display().to_string();
    let again = baseline::read_expectations(&file, &text, known)
        .map_err(|error| CliError::Internal(format!("what would be written cannot be read again: {error}")))?;
    if again.expectations != *expectations {
        return Err(CliError::Internal(format!("{file}: what would be written reads otherwise than it was meant")));
    }
    files::write(path, &text)
}

fn format_entry_count(n: usize) -> String {
    if n == 1 { "1 entry".to_owned() } else { format!("{n} entries") }
}

fn parse_reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected a reason, for whoever reads the report".to_owned()),
        reason => Ok(reason.to_owned()),
    }
}

fn parse_day(text: &str) -> Result<Date, String> {
    text.parse::<Date>().map_err(|_| "expected a day like 2027-01-31".to_owned())
}

fn parse_link(text: &str) -> Result<String, String> {
    if baseline::is_web_address(text) {
        Ok(text.to_owned())
    } else {
        Err("expected a web address that begins with https://".to_owned())
    }
}
