//! Writing the reports of a command, and its exit status.

use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, Outcome};
use crate::checks::CheckSeverity;
use crate::cli::args::output::{OutputArgs, ReportFormat};
use crate::cli::environment::ProcessEnvironment;
use crate::cli::error::{CliError, ExitStatus};
use crate::cli::io::stdout::{print, print_as_is, table_width};
use crate::cli::io::{files, stderr};
use crate::report;
use crate::report::TerminalStyle;
use crate::report::common::ci_status::FailurePolicy;
use crate::results::baseline::{BaselineComparison, EntryStatus};
use crate::results::model::Results;

/// Writes the results of one target.
pub fn write_results(out: &OutputArgs, results: &Results) -> Result<(), CliError> {
    if !out.format.contains(&ReportFormat::Json) {
        return Ok(());
    }
    files::write(&out.out.join(report::results_file_name(&results.target.name)), &crate::results::json::render(results))
}

/// Writes the results of several runs. If two have the same target, the later one gets a number. Paths that are taken
/// for the run at an index are not used.
pub fn write_all_results(
    out: &OutputArgs,
    all: &[Results],
    is_taken: impl Fn(usize, &Path) -> bool,
) -> Result<(), CliError> {
    if !out.format.contains(&ReportFormat::Json) {
        return Ok(());
    }
    let mut used: Vec<PathBuf> = Vec::new();
    for (i, results) in all.iter().enumerate() {
        let path = unique_report_path(
            &results.target.name,
            |name| out.out.join(report::results_file_name(name)),
            |path| used.contains(path) || is_taken(i, path),
        );
        files::write(&path, &crate::results::json::render(results))?;
        used.push(path);
    }
    Ok(())
}

/// Reports partial results, and results without a verdict.
pub fn print_shortfalls(all: &[Results]) {
    for results in all {
        let name = &results.target.name;
        match (&results.partial, results.rows.first()) {
            (Some(why), _) => stderr::warn(format!("{name}: partial results: {why}")),
            (None, Some(row)) if results.summary.decided == 0 => {
                stderr::warn(format!("{name}: no row is decided: {}: {}", row.id, row.verdict.reason));
            }
            (None, _) => {}
        }
    }
}

/// Writes the reports of all targets: first to standard output, then to files, which may fail.
pub fn write_reports(out: &OutputArgs, results: &[Results], environment: &ProcessEnvironment) -> Result<(), CliError> {
    if out.format.contains(&ReportFormat::Terminal) {
        let style = TerminalStyle { width: table_width(environment), colour: environment.colour, unicode: true };
        print(report::terminal::render(results, style).trim_end());
    }
    if out.format.contains(&ReportFormat::Github) {
        let commands = report::github::commands(results, out.failure_policy());
        if !commands.is_empty() {
            print_as_is(commands.trim_end());
        }
        write_summary(out, results, environment)?;
    }
    if out.format.contains(&ReportFormat::Markdown) {
        files::write(&out.out.join("matrix.md"), &report::markdown::render(results))?;
    }
    if out.format.contains(&ReportFormat::Html) {
        let page =
            report::html::render(results).map_err(|e| CliError::Render { file: "matrix.html", source: Box::new(e) })?;
        files::write(&out.out.join("matrix.html"), &page)?;
    }
    if out.format.contains(&ReportFormat::Junit) {
        let suites = report::junit::render(results, out.failure_policy())
            .map_err(|e| CliError::Render { file: "junit.xml", source: Box::new(e) })?;
        files::write(&out.out.join("junit.xml"), &suites)?;
    }
    if out.format.contains(&ReportFormat::Badge) {
        let mut used: Vec<PathBuf> = Vec::new();
        for run in results {
            let path = unique_report_path(
                &run.target.name,
                |name| out.out.join(report::badge::badge_file_name(name)),
                |p| used.contains(p),
            );
            files::write(&path, &report::badge::render(run))?;
            used.push(path);
        }
    }
    Ok(())
}

/// The first free path for a target: its own name, then numbered names.
fn unique_report_path(name: &str, path: impl Fn(&str) -> PathBuf, is_taken: impl Fn(&PathBuf) -> bool) -> PathBuf {
    let mut wanted = path(name);
    for n in 2u32.. {
        if !is_taken(&wanted) {
            break;
        }
        wanted = path(&format!("{name}-{n}"));
    }
    wanted
}

/// Appends the summary to the summary of the workflow step, up to its size limit; or writes it to a file.
fn write_summary(out: &OutputArgs, results: &[Results], environment: &ProcessEnvironment) -> Result<(), CliError> {
    let limit = report::github::SUMMARY_LIMIT;
    let step_summary = (environment.variable)("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty());
    match step_summary.map(PathBuf::from) {
        Some(path) => files::append(&path, |size| report::github::summary(results, limit.saturating_sub(size))),
        None => files::write(&out.out.join("summary.md"), &report::github::summary(results, limit)),
    }
}

/// Ends a command that has results: writes the reports, and returns the exit status.
pub fn finish(out: &OutputArgs, all: &[Results], environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let reports = write_reports(out, all, environment);
    // Warnings are printed even if the files cannot be written.
    print_shortfalls(all);
    print_baseline_failures(all);
    reports?;
    print_written_files(&out.out, &out.format);
    Ok(exit_status(all, out.failure_policy()))
}

/// Ends a command that sends nothing and has the results of other runs: compares them with the baseline, and writes
/// results and reports.
pub fn finish_offline(
    out: &OutputArgs,
    mut all: Vec<Results>,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<ExitStatus, CliError> {
    out.baseline.load_and_compare(&mut all, catalog, out.strict, environment.today)?;
    write_all_results(out, &all, |_, _| false)?;
    finish(out, &all, environment)
}

/// Reports the written files.
pub fn print_written_files(out: &Path, format: &[ReportFormat]) {
    print_written(out, format.iter().filter_map(|format| format.file_names()));
}

/// Reports files in a folder, if there are any.
pub fn print_written<'a>(out: &Path, files: impl Iterator<Item = &'a str>) {
    let files: Vec<&str> = files.collect();
    if !files.is_empty() {
        stderr::warn(format!("written to {}: {}", out.display(), files.join(", ")));
    }
}

/// Reports regressions and stale entries.
pub fn print_baseline_failures(all: &[Results]) {
    for results in all {
        let Some(baseline) = results.baseline.as_ref().filter(|baseline| baseline.fails_run()) else { continue };
        let count = |n: u64, one: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{n} {many}")),
        };
        let regressions = count(baseline.counts.regression, "regression", "regressions");
        let stale = count(baseline.counts.stale, "stale entry", "stale entries");
        let counts: Vec<String> = regressions.into_iter().chain(stale).collect();
        stderr::warn(format!("{}: compared with {}: {}", results.target.name, baseline.file, counts.join(", ")));
    }
}

/// The exit status of results. A contradiction counts even if the run ended early. `--strict` applies to complete runs
/// only: an endpoint that could not be tested has not failed. With a baseline, regressions and stale entries count instead
/// of contradictions. `--require-effect` also applies to complete runs only.
pub fn exit_status(results: &[Results], policy: FailurePolicy) -> ExitStatus {
    let fails = |r: &Results| r.baseline.as_ref().map_or(r.summary.contradicts > 0, BaselineComparison::fails_run);
    // Entries of a strict baseline are known; an unconfirmed entry counts as undetermined.
    let has_strict_baseline = |r: &Results| r.baseline.as_ref().is_some_and(|baseline| baseline.strict);
    let fails_strictly = |r: &Results| {
        r.rows.iter().any(|row| row.outcome == Outcome::Undetermined)
            || r.baseline.as_ref().is_some_and(|baseline| baseline.counts.unconfirmed > 0)
            || (!has_strict_baseline(r) && r.summary.silent > 0)
            // Notes do not fail.
            || (!has_strict_baseline(r) && r.findings.iter().any(|finding| finding.severity != CheckSeverity::Note))
            // A contradiction that was not reproduced is not a conforming row.
            || r.rows.iter().any(crate::results::merge::is_flaky)
    };
    let is_expected = |r: &Results, id: &str| {
        r.baseline.as_ref().and_then(|b| b.find_row(id)).is_some_and(|e| e.case == EntryStatus::Expected)
    };
    let lacks_effect = |r: &Results| r.rows.iter().any(|row| row.lacks_effect() && !is_expected(r, &row.id));
    if results.iter().any(fails) {
        ExitStatus::Contradiction
    } else if results.iter().any(|r| (r.summary.decided == 0 && !is_empty_shard(r)) || r.partial.is_some()) {
        ExitStatus::Untested
    } else if (policy.strict && results.iter().any(fails_strictly))
        || (policy.require_effect && results.iter().any(lacks_effect))
    {
        ExitStatus::Contradiction
    } else {
        ExitStatus::Success
    }
}

/// True for a shard without rows: there was nothing to decide.
fn is_empty_shard(results: &Results) -> bool {
    results.shard.is_some() && results.rows.is_empty()
}
