//! `fieldtest baseline`: writes, updates and checks lists of known failures.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::civil::Date;

use crate::catalog::Catalog;
use crate::cli::args::baseline::{all_rows, catalog_names};
use crate::cli::args::cases::CaseArgs;
use crate::cli::error::CliError;
use crate::cli::io::{files, stderr, stdout};
use crate::cli::{ExitStatus, ProcessEnvironment};
use crate::results::baseline;
use crate::results::baseline::{
    CatalogNames, CompareOptions, ExpectationList, ParsedFile, collect_failures, combine_results,
};
use crate::results::model::Results;

/// Write, update or check a list of known failures
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fieldtest run deepseek --simulate --baseline known.yaml
  fieldtest baseline write out/results-kimi.json -o known.yaml --reason 1.4
  fieldtest baseline update known.yaml out/results-kimi.json --reason 1.5
  fieldtest baseline lint known.yaml")]
pub struct BaselineCommandArgs {
    #[command(subcommand)]
    command: BaselineAction,
}

#[derive(Debug, Subcommand)]
enum BaselineAction {
    Write(WriteArgs),
    Update(UpdateArgs),
    Lint(LintArgs),
}

/// Write a list of everything that fails in results
#[derive(Debug, Args)]
#[command(after_help = "Example:
  fieldtest baseline write reports/results-kimi.json -o known.yaml \\
      --reason before-1.4")]
struct WriteArgs {
    /// Results files, of one target
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Why these failures are known
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
    /// Page with details
    #[arg(long, value_name = "URL", value_parser = parse_link)]
    link: Option<String>,
    /// Last day on which the entries are valid
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    until: Option<Date>,
    /// Also list silent rows and warnings
    #[arg(long)]
    strict: bool,
    /// Overwrite the file
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    cases: CaseArgs,
}

/// Update a list with results, and print each change
#[derive(Debug, Args)]
#[command(
    long_about = "Update a list with results, and print each change\n\nEntries that still fail keep their reason, link and \
                  day. Comments of the file are lost.",
    after_help = "Example:
  fieldtest baseline update known.yaml reports/results-kimi.json \\
      --reason since-1.4"
)]
struct UpdateArgs {
    /// List of known failures
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Results files, of one target
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
    /// Why new failures are known
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
    /// Also list silent rows and warnings
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    cases: CaseArgs,
}

/// Check the names, reasons, days and links of a list
#[derive(Debug, Args)]
#[command(after_help = "Example:
  fieldtest baseline lint known.yaml

Exit codes:
  0   the list is valid
  1   entries have expired
  2   the list is invalid")]
struct LintArgs {
    /// List of known failures
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    cases: CaseArgs,
}

/// Runs the command.
pub fn main(args: &BaselineCommandArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
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
        return Err(CliError::File(format!(
            "{} already exists. `fieldtest baseline update` changes it; --force overwrites it",
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
    // A name without a target file, for example host and port, may change. Then the list applies to any target.
    let target = catalog.target(name).is_some().then(|| name.clone());
    let expectations = ExpectationList { target, expect };
    write_expectations(&args.out, &expectations, &catalog_names_for_results(&catalog, &results))?;
    let undecided = results.rows.iter().filter(|row| !row.verdict.status.is_decided()).count();
    match undecided {
        0 => {}
        1 => stderr::warn("1 undecided row is not listed"),
        n => stderr::warn(format!("{n} undecided rows are not listed")),
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
        let tested = &results.target.name;
        let problem = format!("{file}: the list is for target `{target}`, the results are for `{tested}`");
        return Err(CliError::File(problem));
    }
    let all_rows = all_rows(&catalog, &results);
    let options = CompareOptions { file: &file, today, strict: args.strict, all_rows: &all_rows };
    let (new, changes) = baseline::update(&old.expectations, &results, &options, &args.reason);
    if changes.is_empty() {
        stdout::print(format!("{file}: {}, no change", format_entry_count(new.expect.len())));
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
    let located = read.expectations.expect.iter().zip(&read.locations);
    let expired: Vec<_> = located.filter(|(listed, _)| listed.is_expired(today)).collect();
    for (listed, location) in &expired {
        let until = listed.until.map_or(String::new(), |day| format!(" after {day}"));
        stderr::warn(format!("{file}:{}:{}: `{}` expired{until}", location.line, location.column, listed.subject.id()));
    }
    let count = format_entry_count(read.expectations.expect.len());
    if expired.is_empty() {
        stdout::print(format!("{file}: {count}, all valid"));
        return Ok(ExitStatus::Success);
    }
    stdout::print(format!("{file}: {count}, {} expired", expired.len()));
    Ok(ExitStatus::Contradiction)
}

/// Reads results files and combines them.
fn read_results(paths: &[PathBuf]) -> Result<Results, CliError> {
    let all = paths.iter().map(|path| files::read_results(path)).collect::<Result<Vec<_>, _>>()?;
    combine_results(&all).map_err(CliError::CombineResults)
}

fn catalog_names_for_results(catalog: &Catalog, results: &Results) -> CatalogNames {
    catalog_names(catalog, &[&results.target.name], results.rows.iter().map(|row| row.id.as_str()))
}

fn read_baseline_file(path: &Path, known: &CatalogNames) -> Result<(String, ParsedFile), CliError> {
    let file = path.display().to_string();
    let text = files::read_text(path)?;
    if !baseline::is_expectations(&text) {
        return Err(CliError::File(format!(
            "{file}: expected a list of known failures (YAML with `schema: {}`), found results",
            baseline::SCHEMA
        )));
    }
    let read = baseline::read_expectations(&file, &text, known)?;
    Ok((file, read))
}

/// Writes a list, after verifying that it can be read again.
fn write_expectations(path: &Path, expectations: &ExpectationList, known: &CatalogNames) -> Result<(), CliError> {
    let text = baseline::write_expectations(expectations).map_err(CliError::WriteBaseline)?;
    let file = path.display().to_string();
    let again =
        baseline::read_expectations(&file, &text, known).map_err(|error| CliError::WriteBaseline(error.to_string()))?;
    if again.expectations != *expectations {
        return Err(CliError::WriteBaseline(format!("{file}: the written list would be different")));
    }
    files::write(path, &text)
}

fn format_entry_count(n: usize) -> String {
    if n == 1 { "1 entry".to_owned() } else { format!("{n} entries") }
}

fn parse_reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected a reason for readers of the report".to_owned()),
        reason => Ok(reason.to_owned()),
    }
}

fn parse_day(text: &str) -> Result<Date, String> {
    text.parse::<Date>().map_err(|_| "expected a day, for example 2027-01-31".to_owned())
}

fn parse_link(text: &str) -> Result<String, String> {
    if baseline::is_web_address(text) {
        Ok(text.to_owned())
    } else {
        Err("expected a URL that starts with https://".to_owned())
    }
}
