//! The process around the command line: its arguments and its exit code.

use std::ffi::OsString;
use std::io::Write as _;
use std::panic::{UnwindSafe, catch_unwind};
use std::process::ExitCode;

use crate::cli::environment::ProcessEnvironment;
use crate::cli::error::ExitStatus;
use crate::cli::io::stderr;

/// Runs a command with the environment of this process, and returns its exit code.
pub fn run_process(run: impl Fn(&ProcessEnvironment, Vec<OsString>) -> ExitStatus + UnwindSafe) -> ExitCode {
    let environment = ProcessEnvironment::from_process();
    stderr::register_secrets(&environment.well_known_secrets());
    stderr::install_panic_hook();
    let exit = catch_unwind(move || run(&environment, std::env::args_os().collect())).unwrap_or_else(|panic| {
        // libtest-mimic panics if the reader of its output closes the pipe. That is not an error.
        if panic.downcast_ref::<String>().is_some_and(|text| text.contains("Broken pipe")) {
            return ExitStatus::Success;
        }
        let _ = writeln!(
            std::io::stderr(),
            "error: this is a bug in fieldtest, not in the endpoint. Please report it with the lines above"
        );
        ExitStatus::InternalError
    });
    ExitCode::from(exit.code())
}
