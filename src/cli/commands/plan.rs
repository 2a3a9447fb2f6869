//! `fieldtest plan`: the requests of a run, and their cost.

use std::time::Duration;

use clap::Args;

use crate::cli::args::budget::{BudgetArgs, RateArgs};
use crate::cli::args::cases::CaseArgs;
use crate::cli::args::endpoint::EndpointArgs;
use crate::cli::args::output::TableFormat;
use crate::cli::args::parse::parse_seconds;
use crate::cli::args::select::SelectArgs;
use crate::cli::args::shard::ShardArgs;
use crate::cli::io::{stderr, stdout};
use crate::cli::session::forecast::{ForecastAssumptions, build_plan};
use crate::cli::target::credential::CredentialPolicy;
use crate::cli::target::model::{EndpointKind, ResolvedTarget};
use crate::cli::target::resolve::resolve_targets;
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::report;
use crate::results::plan::{BudgetFit, FitStatus, PlanReport, SCHEMA, TargetPlan};
use crate::results::plan_estimate::PlanEstimate;
use crate::results::{json, plan};

/// Show requests, tokens, cost and time; send nothing
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fieldtest plan deepseek
  fieldtest plan deepseek --price-input 0.28 --price-output 0.42 --max-cost 0.50
  fieldtest plan --base-url http://127.0.0.1:4000 --model m --format json")]
pub struct PlanArgs {
    #[command(flatten)]
    endpoint: EndpointArgs,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    rate: RateArgs,
    /// Plan N runs of each target
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Rows")]
    repeat: u32,
    /// Assumed seconds per response
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = parse_seconds, help_heading = "Requests")]
    answer_seconds: f64,
    /// Assumed thinking tokens per response
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Requests")]
    thinking_tokens: u64,
    /// terminal, json
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    format: TableFormat,
    #[command(flatten)]
    budget: BudgetArgs,
}

/// Runs the command.
pub fn main(args: &PlanArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let catalog = args.cases.load()?;
    let targets = resolve_targets(&args.endpoint, CredentialPolicy::Optional, &catalog, environment)?;
    args.budget.require_prices(targets.iter())?;
    let assumed = ForecastAssumptions {
        response_time: Duration::from_secs_f64(args.answer_seconds),
        thinking_tokens: args.thinking_tokens,
    };
    let mut plans = Vec::new();
    for target in &targets {
        let rows = args.select.select_rows(&catalog, |needed| target.meets_requirement(needed))?;
        let selection = args.shard.select_rows(rows, []);
        if let (Some(part), true) = (args.shard.shard, selection.run.is_empty()) {
            stderr::warn(format!("{}: shard {part} has none of the {} rows", target.name, selection.plan.len()));
            continue;
        }
        let plan = build_plan(target, &selection.run, (&args.budget, &args.rate), assumed);
        let rates = args.rate.rate_limits(target);
        plans.push(TargetPlan {
            name: target.name.clone(),
            model: target.settings.model.clone(),
            missing_credential: missing_credential(target),
            concurrency: args.rate.concurrency(target) as u64,
            requests_per_minute: rates.requests,
            tokens_per_minute: rates.tokens,
            prices: args.budget.prices(target),
            first: plan.probes,
            rows: plan.rows,
            planned: plan.total,
            rows_without_estimate: plan.rows_without_estimate,
        });
    }
    let runs = u64::from(args.repeat);
    let Some(sum) = plans.iter().map(|target| target.planned.repeat(runs)).reduce(|sum, more| sum.add_parallel(&more))
    else {
        return Ok(ExitStatus::Success);
    };
    let plan = PlanReport {
        schema: SCHEMA.to_owned(),
        assumed: plan::PlanAssumptions {
            seconds_an_answer: args.answer_seconds,
            thinking_tokens: args.thinking_tokens,
        },
        fits: compare_with_budget(&args.budget, &sum),
        targets: plans,
        runs,
        planned: sum,
    };
    match args.format {
        TableFormat::Json => stdout::print_json(json::render(&plan).trim_end()),
        TableFormat::Terminal => {
            stdout::print(report::terminal::plan::render(&plan, stdout::table_width(environment)));
        }
    }
    Ok(ExitStatus::Success)
}

/// Why a live run would have no credential.
fn missing_credential(target: &ResolvedTarget) -> Option<String> {
    match &target.endpoint {
        EndpointKind::Live { missing_credential: missing, .. } => missing.clone(),
        EndpointKind::Simulated(_) => None,
    }
}

/// Compares the plan with the limits of the budget.
fn compare_with_budget(money: &BudgetArgs, planned: &PlanEstimate) -> Vec<BudgetFit> {
    let (input, output) = (planned.input_tokens, planned.output_tokens);
    let tokens = input.expected.zip(output.expected).map(|(input, output)| (input + output) as f64);
    let cost = planned.cost_usd.unwrap_or_default();
    let requests = planned.requests;
    [
        (
            "--max-requests",
            money.max_requests.map(|n| n as f64),
            requests.expected.map(|n| n as f64),
            requests.max as f64,
        ),
        ("--max-tokens", money.max_tokens.map(|n| n as f64), tokens, input.max.saturating_add(output.max) as f64),
        ("--max-cost", money.max_cost, cost.expected, cost.max),
    ]
    .into_iter()
    .filter_map(|(bound, limit, expected, max)| {
        let limit = limit?;
        Some(BudgetFit { bound: bound.to_owned(), limit, fits: FitStatus::from_estimate(limit, expected, max) })
    })
    .collect()
}
