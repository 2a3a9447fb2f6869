//! `fieldtest rows`: lists rows, with the claims of all targets.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::catalog::{ApiDialect, Catalog, CatalogRow, GatewayCatalogRow, Target};
use crate::cli::args::cases::CaseArgs;
use crate::cli::args::output::TableFormat;
use crate::cli::args::select::SelectArgs;
use crate::cli::args::shard::ShardArgs;
use crate::cli::io::{stdout, table};
use crate::cli::target::build::{default_targets, find_target};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};

/// List the rows and the claims of each target
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fieldtest rows --select 'tool_choice.*'
  fieldtest rows kimi minimax
  fieldtest rows --gateway")]
pub struct RowsArgs {
    /// Show the claims of these targets
    #[arg(value_name = "TARGET", help_heading = "Rows")]
    targets: Vec<String>,
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

/// A row of the list: as JSON, and as the cells of a table.
type ListedRow = (Value, Vec<String>);

/// Runs the command.
pub fn main(args: &RowsArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let catalog = args.cases.load()?;
    let (columns, rows) = if args.gateway { list_gateway_rows(args, &catalog)? } else { list_rows(args, &catalog)? };
    match args.format {
        TableFormat::Json => {
            let list: Vec<Value> = rows.into_iter().map(|(json, _)| json).collect();
            stdout::print_json(&serde_json::to_string_pretty(&list)?);
        }
        TableFormat::Terminal => {
            let mut table = table::new_table(environment);
            table.set_header(["row".to_owned(), "title".to_owned()].into_iter().chain(columns));
            table.add_rows(rows.into_iter().map(|(_, cells)| cells));
            stdout::print(table.to_string());
        }
    }
    Ok(ExitStatus::Success)
}

/// The rows with the claims of each target. Rows that need limits are listed too.
fn list_rows(args: &RowsArgs, catalog: &Catalog) -> Result<(Vec<String>, Vec<ListedRow>), CliError> {
    let rows = args.shard.reported_rows(&args.select.select_rows(catalog, |_| true)?);
    let names = if args.targets.is_empty() { default_targets(catalog)? } else { args.targets.clone() };
    let targets = names.iter().map(|name| find_target(catalog, name)).collect::<Result<Vec<_>, _>>()?;
    let list_row = |row: &CatalogRow| {
        let (id, title) = (row.experiment.id(), &row.experiment.title);
        let claim = |target: &Target| target.claims.get(id).map(|claim| claim.status.as_str());
        let claims: Map<_, _> = catalog.targets.values().map(|t| (t.name.clone(), json!(claim(t)))).collect();
        let json = json!({
            "id": id, "section": row.section, "title": title,
            "statuses": row.experiment.statuses, "claims": claims,
        });
        let cells = targets.iter().map(|target| claim(target).unwrap_or("-").to_owned());
        (json, [id.to_owned(), title.clone()].into_iter().chain(cells).collect())
    };
    let columns = targets.iter().map(|target| target.name.clone()).collect();
    Ok((columns, rows.into_iter().map(list_row).collect()))
}

/// The gateway rows with the usual claims.
fn list_gateway_rows(args: &RowsArgs, catalog: &Catalog) -> Result<(Vec<String>, Vec<ListedRow>), CliError> {
    let list_row = |GatewayCatalogRow { section, row }: &GatewayCatalogRow| {
        let usual = ApiDialect::ALL.map(|dialect| match row.applies_to_dialect(dialect) {
            true => row.default_claim(dialect).map_or("-", |claim| claim.as_str()),
            false => "no such row",
        });
        let claims: Map<_, _> =
            ApiDialect::ALL.iter().zip(usual).map(|(dialect, claim)| (dialect.to_string(), json!(claim))).collect();
        let json = json!({ "id": row.id(), "section": section, "title": row.title, "usual": claims });
        (json, [row.id(), &row.title].into_iter().chain(usual).map(str::to_owned).collect())
    };
    let rows = args.select.select_gateway_rows(catalog)?.into_iter().map(list_row).collect();
    Ok((ApiDialect::ALL.map(|dialect| dialect.to_string()).to_vec(), rows))
}
