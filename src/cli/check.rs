//! `fieldtest check`: checks case files.

use clap::Args;

use super::args::CaseArgs;
use super::{CliError, Exit, output};

/// Checks case files: that they can be read, that nothing in them is unknown, and that they refer to what exists.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fieldtest check --cases my-cases")]
pub struct CheckArgs {
    #[command(flatten)]
    cases: CaseArgs,
}

/// Runs the command.
pub fn main(args: &CheckArgs) -> Result<Exit, CliError> {
    let catalog = args.cases.load()?;
    let claims: usize = catalog.targets.values().map(|t| t.claims.len()).sum();
    output::say(format!(
        "{} rows, {} targets, {claims} claims: the case files are sound",
        catalog.rows.len(),
        catalog.targets.len()
    ));
    Ok(Exit::Success)
}
