//! What the commands say, and what they leave behind: the one door for printing and for reports.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::catalog::Outcome;
use crate::checks::CheckSeverity;
use crate::cli::args::common::{Format, OutputArgs};
use crate::cli::io::{files, stderr};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::report;
use crate::report::TerminalStyle;
use crate::results::baseline::BaselineComparison;
use crate::results::model::Results;

/// The width of tables where there is no terminal to ask.
const DEFAULT_WIDTH_COLUMNS: usize = 120;

/// How wide tables are.
pub fn table_width(environment: &ProcessEnvironment) -> usize {
    environment.terminal_width.unwrap_or(DEFAULT_WIDTH_COLUMNS).max(60)
}

/// True once standard output could not be written. A closed pipe is no error: who closed it has read enough.
static STDOUT_FAILED: AtomicBool = AtomicBool::new(false);

/// Prints to standard output.
pub fn print(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe && !STDOUT_FAILED.swap(true, Ordering::Relaxed) => {
            warn(format!("error: standard output cannot be written: {error}"));
        }
        Ok(()) | Err(_) => {}
    }
}

/// What a command ends with that may have printed into nothing.
pub fn apply_stdout_failure(exit: ExitStatus) -> ExitStatus {
    if exit == ExitStatus::Success && STDOUT_FAILED.load(Ordering::Relaxed) { ExitStatus::Usage } else { exit }
}

/// Prints a text in which a server's words may stand, so that nothing in it is a command to a workflow that reads it.
pub fn print_untrusted(text: impl AsRef<str>) {
    print(report::escape_workflow_commands(text.as_ref()));
}

/// Prints to standard error. What a server wrote may stand in the text, so nothing in it moves the cursor, and nothing is
/// a command to a workflow that reads it.
pub fn warn(text: impl AsRef<str>) {
    let _ = writeln!(
        std::io::stderr(),
        "{}",
        report::escape_workflow_commands(&report::visible(&stderr::redact(text.as_ref())))
    );
}

/// Writes one target's results, as soon as there are any.
pub fn write_results(out: &OutputArgs, results: &Results) -> Result<(), CliError> {
    if !out.format.contains(&Format::Json) {
        return Ok(());
    }
    files::write(&out.out.join(report::results_file_name(&results.target.name)), &crate::results::json::render(results))
}

/// Writes the results of several runs, which may be of the same target: later ones get a number then. A path that is
/// `taken`, for the run at an index, is passed over.
pub fn write_all_results(
    out: &OutputArgs,
    all: &[Results],
    taken: impl Fn(usize, &Path) -> bool,
) -> Result<(), CliError> {
    if !out.format.contains(&Format::Json) {
        return Ok(());
    }
    let mut used: Vec<PathBuf> = Vec::new();
    for (i, results) in all.iter().enumerate() {
        let name = &results.target.name;
        let path = std::iter::once(name.clone())
            .chain((2..).map(|n| format!("{name}-{n}")))
            .map(|name| out.out.join(report::results_file_name(&name)))
            .find(|path| !used.contains(path) && !taken(i, path));
        if let Some(path) = path {
            files::write(&path, &crate::results::json::render(results))?;
            used.push(path);
        }
    }
    Ok(())
}

/// Says why results are less than was asked for, where they are.
pub fn print_shortfalls(all: &[Results]) {
    for results in all {
        let name = &results.target.name;
        match (&results.partial, results.rows.first()) {
            (Some(why), _) => warn(format!("{name}: partial results: {why}")),
            (None, Some(row)) if results.summary.decided == 0 => {
                warn(format!("{name}: no row could be decided: {}: {}", row.id, row.verdict.reason));
            }
            (None, _) => {}
        }
    }
}

/// Makes the reports over all targets: first what is shown, then what is written, which may fail.
pub fn write_reports(out: &OutputArgs, results: &[Results], environment: &ProcessEnvironment) -> Result<(), CliError> {
    if out.format.contains(&Format::Terminal) {
        let style = TerminalStyle { width: table_width(environment), colour: environment.colour, unicode: true };
        print_untrusted(report::terminal::render(results, style).trim_end());
    }
    if out.format.contains(&Format::Github) {
        let commands = report::github::commands(results, out.strict);
        if !commands.is_empty() {
            print(commands.trim_end());
        }
        write_summary(out, results, environment)?;
    }
    if out.format.contains(&Format::Markdown) {
        files::write(&out.out.join("matrix.md"), &report::markdown::render(results))?;
    }
    if out.format.contains(&Format::Html) {
        let page = report::html::render(results).map_err(|e| CliError::Internal(format!("matrix.html: {e:#}")))?;
        files::write(&out.out.join("matrix.html"), &page)?;
    }
    if out.format.contains(&Format::Junit) {
        let suites = report::junit::render(results, out.strict);
        let suites = suites.map_err(|e| CliError::Internal(format!("junit.xml: {e}")))?;
        files::write(&out.out.join("junit.xml"), &suites)?;
    }
    if out.format.contains(&Format::Badge) {
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

/// The first path that is not taken, of those that the name and its numbered forms give.
fn unique_report_path(name: &str, path: impl Fn(&str) -> PathBuf, taken: impl Fn(&PathBuf) -> bool) -> PathBuf {
    let mut wanted = path(name);
    for n in 2u32.. {
        if !taken(&wanted) {
            break;
        }
        wanted = path(&format!("{name}-{n}"));
    }
    wanted
}

/// Adds the summary to the step's, as far as there is room left, or writes it where no step asks for one.
fn write_summary(out: &OutputArgs, results: &[Results], environment: &ProcessEnvironment) -> Result<(), CliError> {
    let limit = report::github::SUMMARY_LIMIT;
    let named = (environment.variable)("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty());
    match named.map(PathBuf::from) {
        Some(path) => files::append(&path, |there| report::github::summary(results, limit.saturating_sub(there))),
        None => files::write(&out.out.join("summary.md"), &report::github::summary(results, limit)),
    }
}

/// Refuses events where nothing goes on that could be told as it happens.
pub fn reject_ndjson(out: &OutputArgs) -> Result<(), CliError> {
    if out.format.contains(&Format::Ndjson) {
        return Err(CliError::Usage(
            "--format ndjson tells of what goes on, and is for `fieldtest run` alone".to_owned(),
        ));
    }
    Ok(())
}

/// Ends a command that has results: makes the reports, says what the results lack, and what they amount to.
pub fn finish(out: &OutputArgs, all: &[Results], environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let reports = write_reports(out, all, environment);
    // What is to be said of the results is said, whatever became of the files.
    print_shortfalls(all);
    print_baseline_failures(all);
    reports?;
    print_written_files(&out.out, &out.format);
    Ok(exit_status(all, out.strict))
}

/// Says where things are.
pub fn print_written_files(out: &Path, format: &[Format]) {
    let made: Vec<&str> = format
        .iter()
        .filter_map(|f| match f {
            Format::Terminal => None,
            Format::Markdown => Some("matrix.md"),
            Format::Json => Some("results-*.json"),
            Format::Html => Some("matrix.html"),
            Format::Junit => Some("junit.xml"),
            Format::Badge => Some("badge-*.json"),
            // Its summary may be elsewhere.
            Format::Github | Format::Ndjson => None,
        })
        .collect();
    if !made.is_empty() {
        warn(format!("written to {}: {}", out.display(), made.join(", ")));
    }
}

/// Says where results are worse than their baseline, or the baseline is out of date.
pub fn print_baseline_failures(all: &[Results]) {
    for results in all {
        let Some(held) = results.baseline.as_ref().filter(|held| held.fails_run()) else { continue };
        let count = |n: u64, one: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{n} {many}")),
        };
        let regressions = count(held.counts.regression, "regression", "regressions");
        let stale = count(held.counts.stale, "stale entry", "stale entries");
        let told: Vec<String> = regressions.into_iter().chain(stale).collect();
        warn(format!("{}: held against {}: {}", results.target.name, held.file, told.join(", ")));
    }
}

/// What results amount to. A contradiction that was found stands, however the run ended; what `--strict` adds is asked
/// of whole runs only: an endpoint that could not be tested has not failed the test. Where results were held against a
/// baseline, what is worse than that takes the place of contradictions.
pub fn exit_status(results: &[Results], strict: bool) -> ExitStatus {
    let broken = |r: &Results| r.baseline.as_ref().map_or(r.summary.contradicts > 0, BaselineComparison::fails_run);
    // What a strict baseline lists is known; what it speaks of and was not decided is as good as undetermined.
    let known = |r: &Results| r.baseline.as_ref().is_some_and(|held| held.strict);
    let undesired = |r: &Results| {
        r.rows.iter().any(|row| row.outcome == Outcome::Undetermined)
            || r.baseline.as_ref().is_some_and(|held| held.counts.unconfirmed > 0)
            || (!known(r) && r.summary.silent > 0)
            // What is only worth knowing breaks nobody.
            || (!known(r) && r.findings.iter().any(|finding| finding.severity != CheckSeverity::Note))
            // A contradiction that was not seen again is no conformity.
            || r.rows.iter().any(crate::results::merge::is_flaky)
    };
    if results.iter().any(broken) {
        ExitStatus::Contradiction
    } else if results.iter().any(|r| (r.summary.decided == 0 && !is_empty_shard(r)) || r.partial.is_some()) {
        ExitStatus::Untested
    } else if strict && results.iter().any(undesired) {
        ExitStatus::Contradiction
    } else {
        ExitStatus::Success
    }
}

/// True of a part that no row fell to: there was nothing to decide.
fn is_empty_shard(results: &Results) -> bool {
    results.shard.is_some() && results.rows.is_empty()
}
