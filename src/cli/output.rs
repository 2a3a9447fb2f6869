//! What the commands say, and what they leave behind: the one door for printing and for reports.

use std::io::Write as _;
use std::path::Path;

use super::args::{Format, OutputArgs};
use super::{CliError, Environment, Exit, files};
use crate::case::Outcome;
use crate::report::results::Results;
use crate::report::{self, TerminalStyle};

/// The width of tables where there is no terminal to ask.
const PLAIN_WIDTH: usize = 120;

/// Prints to standard output. A closed pipe is no error: who closed it has read enough.
pub fn say(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// Prints to standard error.
pub fn warn(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

/// Writes one target's results, as soon as there are any.
pub fn write_results(out: &OutputArgs, results: &Results) -> Result<(), CliError> {
    if !out.format.contains(&Format::Json) {
        return Ok(());
    }
    files::write(&out.out.join(report::file_name(&results.target.name)), &report::json::render(results))
}

/// Makes the reports over all targets.
pub fn write_reports(out: &OutputArgs, results: &[Results], environment: &Environment) -> Result<(), CliError> {
    if out.format.contains(&Format::Markdown) {
        files::write(&out.out.join("matrix.md"), &report::markdown::render(results))?;
    }
    if out.format.contains(&Format::Terminal) {
        let style = TerminalStyle {
            width: environment.terminal_width.unwrap_or(PLAIN_WIDTH).max(60),
            colour: environment.colour,
            unicode: true,
        };
        say(report::terminal::render(results, style).trim_end());
    }
    Ok(())
}

/// Says where things are.
pub fn tell_files(out: &Path, format: &[Format]) {
    let made: Vec<&str> = format
        .iter()
        .filter_map(|f| match f {
            Format::Terminal => None,
            Format::Markdown => Some("matrix.md"),
            Format::Json => Some("results-*.json"),
        })
        .collect();
    if !made.is_empty() {
        warn(format!("written to {}: {}", out.display(), made.join(", ")));
    }
}

/// What results amount to. A contradiction that was found stands, however the run ended.
pub fn exit_of(results: &[Results], strict: bool) -> Exit {
    let contradicted = results.iter().any(|r| {
        r.summary.contradicts > 0
            || (strict
                && (r.summary.silent > 0
                    || r.rows.iter().any(|row| row.outcome == Outcome::Undetermined)
                    || !r.findings.is_empty()))
    });
    if contradicted {
        return Exit::Contradiction;
    }
    let untested = results.iter().any(|r| r.summary.decided == 0 || r.partial.is_some());
    if untested { Exit::Untested } else { Exit::Success }
}
