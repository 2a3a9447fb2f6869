//! The binary: hands the process to the library's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    fieldtest::cli::run_binary()
}
