//! The command line. It knows all other folders; none of them may know it.
//!
//! [`main`] parses the arguments and runs one of the commands in `commands`. The process gathers its environment once and
//! passes it in.

mod args;
mod clock;
mod commands;
mod environment;
mod error;
mod help;
pub(crate) mod io;
mod process;
mod progress;
mod runtime;
mod session;
mod target;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use crate::cli::environment::ProcessEnvironment;
pub use crate::cli::error::{CliError, ExitStatus};
pub use crate::cli::runtime::single_thread_runtime;

/// Test whether an Anthropic-compatible endpoint does what its support table says
#[derive(Debug, Parser)]
#[command(
    name = "fieldtest",
    version,
    next_line_help = false,
    after_help = "Examples:
  fieldtest run --out out                  demo: no network, no key
  fieldtest run --base-url http://127.0.0.1:4000 --model m --claims anthropic
  fieldtest run deepseek                   live endpoint; needs DEEPSEEK_API_KEY

Exit codes:
  0   no claim is contradicted
  1   a claim is contradicted (with --baseline: a regression or a stale entry)
  2   wrong usage, or an invalid case file
  3   the target could not be tested, or not completely
  70  a bug in fieldtest
  101 `fieldtest test`: a test failed"
)]
struct CliArgs {
    #[command(subcommand)]
    command: CliCommand,
    /// Log to stderr: verdicts; -vv requests; -vvv all
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    Run(Box<args::run::RunArgs>),
    Gateway(Box<commands::gateway::GatewayArgs>),
    Compare(Box<commands::compare::CompareArgs>),
    Test(Box<commands::test::TestArgs>),
    Plan(commands::plan::PlanArgs),
    Rows(commands::rows::RowsArgs),
    Targets(commands::targets::TargetsArgs),
    Simulate(commands::simulate::SimulateArgs),
    Check(commands::check::CheckArgs),
    Report(commands::report::ReportArgs),
    Judge(commands::judge::JudgeArgs),
    Diff(commands::diff::DiffArgs),
    Baseline(commands::baseline::BaselineCommandArgs),
    Merge(commands::merge::MergeArgs),
}

/// Parses arguments and does nothing else, for tests of scripts and documents that call the program.
///
/// # Errors
/// The usage error.
pub fn accepts(arguments: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    match parse(arguments) {
        Err(error) if error.use_stderr() => Err(error.to_string()),
        // Requests for help and for the version are reported as errors, too.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<CliArgs, clap::Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // The texts of the help take time to build, and most commands print none.
    if let Ok(matches) = CliArgs::command().try_get_matches_from(&arguments) {
        return CliArgs::from_arg_matches(&matches);
    }
    let mut command = CliArgs::command();
    command.build();
    CliArgs::from_arg_matches(&help::with_help(command).try_get_matches_from(arguments)?)
}

/// Runs the program with the arguments and the environment of this process.
pub fn run_binary() -> ExitCode {
    process::run_process(|environment, arguments| main(arguments, environment))
}

/// The `main` of a test target with `harness = false`: `cargo test` and `cargo nextest` then run one test per row. The
/// arguments are those of `fieldtest test`; the arguments of the process are those of any test program.
pub fn run_test_binary<S: Into<OsString>>(arguments: impl IntoIterator<Item = S>) -> ExitCode {
    let fixed: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    process::run_process(move |environment, arguments| {
        exit_with(commands::test::run_harness(fixed.clone(), arguments, environment))
    })
}

/// Runs the program.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &ProcessEnvironment) -> ExitStatus {
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => return io::stderr::print_usage_error(&error),
    };
    let log_enabled = io::logging::init(cli.verbose, (environment.variable)("RUST_LOG"));
    let environment = &ProcessEnvironment { log_enabled, ..environment.clone() };
    exit_with(match &cli.command {
        CliCommand::Run(args) => commands::run::main(args, environment),
        CliCommand::Gateway(args) => commands::gateway::main(args, environment),
        CliCommand::Compare(args) => commands::compare::main(args, environment),
        CliCommand::Test(args) => commands::test::main(args, environment),
        CliCommand::Plan(args) => commands::plan::main(args, environment),
        CliCommand::Rows(args) => commands::rows::main(args, environment),
        CliCommand::Targets(args) => commands::targets::main(args, environment),
        CliCommand::Simulate(args) => commands::simulate::main(args),
        CliCommand::Check(args) => commands::check::main(args, environment),
        CliCommand::Report(args) => commands::report::main(args, environment),
        CliCommand::Judge(args) => commands::judge::main(args, environment),
        CliCommand::Diff(args) => commands::diff::main(args, environment),
        CliCommand::Baseline(args) => commands::baseline::main(args, environment),
        CliCommand::Merge(args) => commands::merge::main(args, environment),
    })
}

fn exit_with(result: Result<ExitStatus, CliError>) -> ExitStatus {
    result.map(io::stdout::apply_stdout_failure).unwrap_or_else(|error| {
        let text = error.to_string();
        io::stderr::warn(if text.starts_with("error") { text } else { format!("error: {text}") });
        error.exit_status()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help_of(arguments: &[&str]) -> String {
        let arguments = ["fieldtest"].iter().chain(arguments).map(OsString::from);
        parse(arguments).unwrap_err().to_string()
    }

    #[test]
    fn help_has_one_line_per_option_and_at_most_80_columns() {
        let names = CliArgs::command().get_subcommands().map(|c| c.get_name().to_owned()).collect::<Vec<_>>();
        for name in &names {
            for option in ["-h", "--help"] {
                let help = help_of(&[name, option]);
                assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
                assert!(help.contains("  -h, --help"), "{help}");
            }
        }
        let (short, long) = (help_of(&["run", "-h"]), help_of(&["run", "--help"]));
        assert!(short.lines().count() < 50 && !short.contains("--ca-file"), "{short}");
        assert!(long.contains("\nConnection:\n  --allow-http              Allow a credential"), "{long}");
    }
}
