//! Printing to standard output.

use std::io::{ErrorKind, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::environment::ProcessEnvironment;
use crate::cli::error::ExitStatus;
use crate::cli::io::stderr;
use crate::report;

/// The width of tables if standard output is not a terminal.
const DEFAULT_WIDTH_COLUMNS: usize = 120;

/// The least width of tables.
const MIN_WIDTH_COLUMNS: usize = 60;

/// The width of tables.
pub fn table_width(environment: &ProcessEnvironment) -> usize {
    environment.terminal_width.unwrap_or(DEFAULT_WIDTH_COLUMNS).max(MIN_WIDTH_COLUMNS)
}

/// True after a failed write. A closed pipe is not a failure: its reader has read enough.
static STDOUT_FAILED: AtomicBool = AtomicBool::new(false);

/// Prints text. It may contain the words of a server or of a file, and a CI system that reads the
/// output must not run commands in it.
pub fn print(text: impl AsRef<str>) {
    print_as_is(&report::escape_workflow_commands(text.as_ref()));
}

/// Prints JSON, without commands for a CI system.
pub fn print_json(json: &str) {
    print_as_is(&report::escape_commands_in_json(json));
}

/// Prints text whose commands a CI system is to run.
pub fn print_as_is(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe && !STDOUT_FAILED.swap(true, Ordering::Relaxed) => {
            stderr::warn(format!("error: standard output cannot be written: {error}"));
        }
        Ok(()) | Err(_) => {}
    }
}

/// The exit status of a command after its output may have failed.
pub fn apply_stdout_failure(exit: ExitStatus) -> ExitStatus {
    if exit == ExitStatus::Success && STDOUT_FAILED.load(Ordering::Relaxed) { ExitStatus::Usage } else { exit }
}
