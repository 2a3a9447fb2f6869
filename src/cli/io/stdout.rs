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

/// Prints a line.
pub fn print(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush());
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

/// Prints text that may contain the words of a server. A workflow that reads it must not run commands in it.
pub fn print_untrusted(text: impl AsRef<str>) {
    print(report::escape_workflow_commands(text.as_ref()));
}
