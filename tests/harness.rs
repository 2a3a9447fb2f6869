//! A test program of one's own, as `docs/ci` shows it: `cargo test` and `cargo nextest` run one test per row.

use std::process::ExitCode;

fn main() -> ExitCode {
    fieldtest::cli::run_test_binary(["anthropic", "--simulate", "--select", "field.s*"])
}
