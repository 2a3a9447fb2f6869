//! `fieldtest rows`: lists rows, with the claims of all targets.

use clap::Args;
use serde_json::json;

use crate::catalog::{ApiDialect, Catalog, GatewayRow};
use crate::cli::args::cases::CaseArgs;
use crate::cli::args::output::TableFormat;
use crate::cli::args::select::SelectArgs;
use crate::cli::args::shard::ShardArgs;
use crate::cli::io::{stdout, table};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};

/// List the rows and the claims of each target
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fieldtest rows --select 'tool_choice.*'
  fieldtest rows --gateway")]
pub struct RowsArgs {
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    cases: CaseArgs,
    /// Gateway rows, with the usual claims
    #[arg(long, conflicts_with_all = ["shard"], help_heading = "Rows")]
    gateway: bool,
    /// terminal, json
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    format: TableFormat,
}

/// Runs the command.
pub fn main(args: &RowsArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let catalog = args.cases.load()?;
    if args.gateway {
        return list_gateway_rows(args, &catalog, environment);
    }
    // Rows that need limits are listed too.
    let rows = args.shard.reported_rows(&args.select.select_rows(&catalog, |_| true)?);
    let claim = |target: &crate::catalog::Target, row: &str| target.claims.get(row).map(|c| c.status.as_str());
    match args.format {
        TableFormat::Json => {
            let list: Vec<_> = rows
                .iter()
                .map(|row| {
                    let id = row.experiment.id();
                    let claims: serde_json::Map<_, _> =
                        catalog.targets.values().map(|t| (t.name.clone(), json!(claim(t, id)))).collect();
                    json!({
                        "id": id, "section": row.section, "title": row.experiment.title,
                        "statuses": row.experiment.statuses, "claims": claims,
                    })
                })
                .collect();
            stdout::print(serde_json::to_string_pretty(&list)?);
        }
        TableFormat::Terminal => {
            let mut table = table::new_table(environment);
            let names = catalog.targets.keys().cloned();
            table.set_header(["row".to_owned(), "title".to_owned()].into_iter().chain(names));
            for row in &rows {
                let id = row.experiment.id();
                let claims = catalog.targets.values().map(|t| claim(t, id).unwrap_or("-").to_owned());
                table.add_row([id.to_owned(), row.experiment.title.clone()].into_iter().chain(claims));
            }
            stdout::print(table.to_string());
        }
    }
    Ok(ExitStatus::Success)
}

/// Lists the gateway rows.
fn list_gateway_rows(
    args: &RowsArgs,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<ExitStatus, CliError> {
    let rows = args.select.select_gateway_rows(catalog)?;
    let usual = |row: &GatewayRow, shape: ApiDialect| match row.applies_to_dialect(shape) {
        true => row.default_claim(shape).map_or("-", |claim| claim.as_str()),
        false => "no such row",
    };
    match args.format {
        TableFormat::Json => {
            let list: Vec<_> = rows
                .iter()
                .map(|row| {
                    let usual: serde_json::Map<_, _> = ApiDialect::ALL
                        .iter()
                        .map(|shape| (shape.as_str().to_owned(), json!(usual(&row.row, *shape))))
                        .collect();
                    json!({ "id": row.row.id(), "section": row.section, "title": row.row.title, "usual": usual })
                })
                .collect();
            stdout::print(serde_json::to_string_pretty(&list)?);
        }
        TableFormat::Terminal => {
            let mut table = table::new_table(environment);
            table.set_header(["row", "title", ApiDialect::Anthropic.as_str(), ApiDialect::Openai.as_str()]);
            for row in rows {
                let usual = ApiDialect::ALL.map(|shape| usual(&row.row, shape).to_owned());
                table.add_row([row.row.id().to_owned(), row.row.title.clone()].into_iter().chain(usual));
            }
            stdout::print(table.to_string());
        }
    }
    Ok(ExitStatus::Success)
}
