//! `fieldtest plan`: what a run would send.

use clap::Args;
use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle};

use super::args::{CaseArgs, EndpointArgs, SelectArgs};
use super::endpoint::resolve;
use super::part::ShardArgs;
use super::rows::RowsFormat;
use super::{CliError, Environment, Exit, output};
use crate::engine::{Plan, plan};

/// Says what a run would send: requests, tokens, cost. Sends nothing, and needs no credential.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fieldtest plan deepseek")]
pub struct PlanArgs {
    #[command(flatten)]
    endpoint: EndpointArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    cases: CaseArgs,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    format: RowsFormat,
}

/// Runs the command.
pub fn main(args: &PlanArgs, environment: &Environment) -> Result<Exit, CliError> {
    let catalog = args.cases.load()?;
    // A plan touches no endpoint, so no credential is asked for: it is the simulation that is resolved.
    let endpoint = EndpointArgs { simulate: args.endpoint.base_url.is_none(), ..args.endpoint.without_credential() };
    for tested in resolve(&endpoint, &catalog, environment)? {
        let rows = args.select.rows(&catalog, |needed| tested.states(needed))?;
        let extent = args.shard.extent(&catalog, &rows);
        if let (Some(part), true) = (args.shard.shard, extent.rows.is_empty()) {
            output::warn(format!("{}: shard {part} has none of the {} rows", tested.name, rows.len()));
            continue;
        }
        let plan = plan(&extent.rows, &tested.settings, tested.prices);
        match args.format {
            RowsFormat::Json => {
                let text = serde_json::to_string_pretty(&plan).map_err(|e| CliError::Fault(e.to_string()))?;
                output::say(text);
            }
            RowsFormat::Terminal => output::say(table(&tested.name, &tested.settings.model, &plan, environment)),
        }
    }
    Ok(Exit::Success)
}

fn table(name: &str, model: &str, plan: &Plan, environment: &Environment) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(environment.terminal_width.unwrap_or(120).clamp(60, 65_535) as u16);
    table.set_header(["row", "requests", "input tokens each", "arms"]);
    for row in &plan.rows {
        let least: u64 = row.arms.iter().map(|a| a.requests.0).sum();
        let most: u64 = row.arms.iter().map(|a| a.requests.1).sum();
        let tokens = row.arms.iter().map(|a| a.input_tokens).max().unwrap_or(0);
        let arms: Vec<String> = row
            .arms
            .iter()
            .map(|a| a.shared_with.as_ref().map_or(a.name.clone(), |with| format!("{} (sent by {with})", a.name)))
            .collect();
        table.add_row([row.id.clone(), format!("{least} to {most}"), format!("up to {tokens}"), arms.join(", ")]);
    }
    for column in 1..3 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let cost = match plan.cost_usd {
        Some((least, most)) => format!("{least:.2} to {most:.2} US dollars"),
        None => "cost unknown: the target's file states no prices".to_owned(),
    };
    format!(
        "{name}, model {model}: nothing is sent by this command\n\n{table}\n\n\
         {} rows; {} to {} requests ({:.1} to {:.1} a row), {} to {} input tokens (estimated), at most {} to {} output \
         tokens; {cost}",
        plan.rows.len(),
        plan.requests.0,
        plan.requests.1,
        plan.requests.0 as f64 / plan.rows.len().max(1) as f64,
        plan.requests.1 as f64 / plan.rows.len().max(1) as f64,
        plan.input_tokens.0,
        plan.input_tokens.1,
        plan.output_tokens.0,
        plan.output_tokens.1,
    )
}
