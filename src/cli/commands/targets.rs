//! `fieldtest targets`: lists targets with their revisions, sources and credentials.

use clap::Args;
use serde_json::{Value, json};

use crate::catalog::{Target, find_target};
use crate::cli::args::cases::CaseArgs;
use crate::cli::args::output::TableFormat;
use crate::cli::io::{stdout, table};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};

/// List the targets, their revisions and the sources of their claims
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fieldtest targets
  fieldtest diff deepseek@2025-12 deepseek     what the provider changed")]
pub struct TargetsArgs {
    #[command(flatten)]
    cases: CaseArgs,
    /// terminal, json
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    format: TableFormat,
}

/// Runs the command.
pub fn main(args: &TargetsArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let catalog = args.cases.load()?;
    let is_newest = |target: &Target| {
        let alias = target.name.split('@').next().unwrap_or_default();
        find_target(&catalog.targets, alias).is_some_and(|newest| newest.name == target.name)
    };
    match args.format {
        TableFormat::Json => {
            let list: Vec<Value> = catalog
                .targets
                .values()
                .map(|target| {
                    json!({
                        "name": target.name, "title": target.title, "revision": target.revision,
                        "newest": is_newest(target), "base_url": target.base_url, "model": target.model,
                        "claims": target.claims.len(), "sources": target.sources,
                        "credential_variables": target.auth.env,
                    })
                })
                .collect();
            stdout::print_json(&serde_json::to_string_pretty(&list)?);
        }
        TableFormat::Terminal => {
            let mut table = table::new_table(environment);
            table.set_header(["target", "provider", "claims", "source", "read", "sureness", "credential"]);
            for target in catalog.targets.values() {
                let source = target.sources.first();
                let newest = if target.revision.is_some() && is_newest(target) { " (newest)" } else { "" };
                table.add_row([
                    format!("{}{newest}", target.name),
                    target.title.clone(),
                    target.claims.len().to_string(),
                    source.map(|source| source.revision.clone()).unwrap_or_default(),
                    source.map(|source| source.read_on.clone()).unwrap_or_default(),
                    source.map(|source| source.sureness.to_string()).unwrap_or_default(),
                    target.auth.env.join(", "),
                ]);
            }
            stdout::print(table.to_string());
        }
    }
    Ok(ExitStatus::Success)
}
