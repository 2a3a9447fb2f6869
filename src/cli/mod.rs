//! The command line: one file per subcommand. Knows everything below; nothing below knows it.
//!
//! What the environment says (variables, terminal, clock) is gathered once, by `main`, and handed in.

pub mod args;
mod commands;
pub mod io;
mod process;
mod progress;
mod session;
mod target;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

pub use crate::cli::process::{run_binary, run_test_binary};
pub use crate::cli::session::run::single_thread_runtime;

/// What a run of the program ends with. Other tools rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// No claim is contradicted, and something was decided.
    Success,
    /// A contradiction; against a baseline, a regression or a stale entry; or, with `--strict`, a silent row, an undetermined row or a finding. Of `check`: a row without
    /// proof that it can fail.
    Contradiction,
    /// Wrong usage, a broken case file, or a selection that selects nothing.
    Usage,
    /// The target could not be tested: unreachable, credential refused, no row decided, budget spent before the end.
    Untested,
    /// Of `test` alone: a test failed. The number is that of Rust's test programs.
    TestFailed,
    /// A fault of fieldtest itself.
    InternalError,
}

impl ExitStatus {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Contradiction => 1,
            Self::Usage => 2,
            Self::Untested => 3,
            Self::TestFailed => 101,
            Self::InternalError => 70,
        }
    }
}

/// What the process finds around itself, gathered once.
#[derive(Debug, Clone)]
pub struct ProcessEnvironment {
    /// Looks up an environment variable.
    pub variable: fn(&str) -> Option<OsString>,
    /// The terminal's width in columns, where standard output is a terminal.
    pub terminal_width: Option<usize>,
    /// True where standard output is a terminal and colours are welcome.
    pub colour: bool,
    /// True where standard error is a terminal.
    pub interactive: bool,
    /// True where standard error has a log on it.
    pub log_enabled: bool,
    /// A number that differs from run to run.
    pub entropy: u64,
    /// Today, in UTC: entries of baselines expire.
    pub today: jiff::civil::Date,
}

/// What went wrong before or beside the testing.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments, or what they name, are wrong.
    #[error("{0}")]
    Usage(String),
    /// Case files are wrong.
    #[error("{0}")]
    Cases(#[from] crate::catalog::CaseErrors),
    /// Something failed that should not have.
    #[error("{0}")]
    Internal(String),
}

impl CliError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Usage(_) | Self::Cases(_) => ExitStatus::Usage,
            Self::Internal(_) => ExitStatus::InternalError,
        }
    }
}

/// Does this endpoint really do what it says?
#[derive(Debug, Parser)]
#[command(
    name = "fieldtest",
    version,
    about = "Tells by experiment which fields of the Anthropic Messages API an endpoint honours, ignores or refuses, and \
             holds that against what its documentation claims.",
    after_help = "Examples:\n  fieldtest run                      the two bundled tables against their simulations: no network, no key\n  \
                  fieldtest run deepseek             the live endpoint; needs DEEPSEEK_API_KEY\n  \
                  fieldtest run --base-url http://127.0.0.1:4000 --model m --claims deepseek --out out\n\n\
                  Exit codes: 0 no contradiction; 1 contradiction; 2 usage or case files; 3 could not be tested; 70 a fault of fieldtest; `test` ends with 101 where a test failed"
)]
struct CliArgs {
    #[command(subcommand)]
    command: CliCommand,
    /// Say more on standard error: verdicts and waits; twice, each request; thrice, all. `RUST_LOG` says which modules.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    Run(Box<commands::run::RunArgs>),
    Gateway(Box<commands::gateway::GatewayArgs>),
    Plan(commands::plan::PlanArgs),
    Judge(commands::judge::JudgeArgs),
    Compare(Box<commands::compare::CompareArgs>),
    Merge(commands::merge::MergeArgs),
    Report(commands::report::ReportArgs),
    Rows(commands::rows::RowsArgs),
    Simulate(commands::simulate::SimulateArgs),
    Check(commands::check::CheckArgs),
    Test(Box<commands::test::TestArgs>),
    Diff(commands::diff::DiffArgs),
    Baseline(commands::baseline::BaselineCommand),
}

/// Whether the command line takes these arguments; nothing is done. For those who check scripts that call the program.
///
/// # Errors
/// What is wrong with them.
pub fn accepts(arguments: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    CliArgs::try_parse_from(arguments).map(|_| ()).map_err(|error| error.to_string())
}

/// Runs the program.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &ProcessEnvironment) -> ExitStatus {
    let cli = match CliArgs::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            print_usage_error(&error);
            return if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Success };
        }
    };
    let logs = io::logging::init(cli.verbose, (environment.variable)("RUST_LOG"));
    let environment = &ProcessEnvironment { log_enabled: logs, ..environment.clone() };
    let result = match &cli.command {
        CliCommand::Run(args) => commands::run::main(args, environment),
        CliCommand::Gateway(args) => commands::gateway::main(args, environment),
        CliCommand::Plan(args) => commands::plan::main(args, environment),
        CliCommand::Judge(args) => commands::judge::main(args, environment),
        CliCommand::Compare(args) => commands::compare::main(args, environment),
        CliCommand::Merge(args) => commands::merge::main(args, environment),
        CliCommand::Report(args) => commands::report::main(args, environment),
        CliCommand::Rows(args) => commands::rows::main(args, environment),
        CliCommand::Simulate(args) => commands::simulate::main(args),
        CliCommand::Check(args) => commands::check::main(args, environment),
        CliCommand::Test(args) => commands::test::main(args, environment),
        CliCommand::Diff(args) => commands::diff::main(args, environment),
        CliCommand::Baseline(args) => commands::baseline::main(args, environment),
    };
    exit_with(result)
}

/// Prints what is wrong with the arguments, or the help that was asked for.
fn print_usage_error(error: &clap::Error) {
    let text = error.to_string();
    let hushed = io::stderr::redact(&text);
    // Help quotes nobody; what quotes an argument may quote a secret.
    if hushed == text || !error.use_stderr() {
        // Where standard output is closed there is nobody to tell.
        let _ = error.print();
    } else {
        io::stdout::warn(hushed.trim_end());
    }
}

/// Runs `fieldtest test` with these arguments, as a test program that is `given` its own.
fn run_test_harness(
    arguments: impl IntoIterator<Item = OsString>,
    given: impl IntoIterator<Item = OsString>,
    environment: &ProcessEnvironment,
) -> ExitStatus {
    exit_with(commands::test::run_harness(arguments, given, environment))
}

fn exit_with(result: Result<ExitStatus, CliError>) -> ExitStatus {
    result.map(io::stdout::apply_stdout_failure).unwrap_or_else(|error| {
        let text = error.to_string();
        io::stdout::warn(if text.starts_with("error") { text } else { format!("error: {text}") });
        error.exit_status()
    })
}
