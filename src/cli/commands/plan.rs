//! `fieldtest plan`: what a run would send, and what that may cost.

use std::time::Duration;

use clap::Args;

use crate::cli::args::budget::{BudgetArgs, RateArgs};
use crate::cli::args::common::{CaseArgs, EndpointArgs, SelectArgs, parse_seconds};
use crate::cli::args::shard::ShardArgs;
use crate::cli::commands::rows::RowsFormat;
use crate::cli::io::stdout;
use crate::cli::session::forecast::{ForecastAssumptions, build_plan};
use crate::cli::target::resolve::{EndpointKind, ResolvedTarget, resolve_targets};
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::report;
use crate::results::plan::{BudgetFit, FitStatus, PlanReport, SCHEMA, TargetPlan};
use crate::results::plan_estimate::PlanEstimate;
use crate::results::{json, plan};

/// Says what a run would send: requests, tokens, cost and time, row by row. Sends nothing, and needs no credential.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fieldtest plan deepseek\n  fieldtest plan deepseek --price-input 0.28 --price-output 0.42 \
                        --max-cost 0.50\n  fieldtest plan --base-url http://127.0.0.1:4000 --model m --format json"
)]
pub struct PlanArgs {
    #[command(flatten)]
    endpoint: EndpointArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    pace: RateArgs,
    /// Plan so many runs of each target, as `fieldtest run --repeat` makes them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repeat: u32,
    /// Seconds that an answer is assumed to take.
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = parse_seconds)]
    answer_seconds: f64,
    /// Tokens that the model is assumed to think unasked before each answer.
    #[arg(long, value_name = "N", default_value_t = 0)]
    thinking_tokens: u64,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    format: RowsFormat,
    #[command(flatten)]
    money: BudgetArgs,
}

/// Runs the command.
pub fn main(args: &PlanArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let catalog = args.cases.load()?;
    // A plan touches no endpoint: it needs no credential, and says where a run would lack one.
    let targets = resolve_targets(&args.endpoint.with_optional_credential(), &catalog, environment)?;
    args.money.require_prices(targets.iter())?;
    let assumed = ForecastAssumptions {
        response_time: Duration::from_secs_f64(args.answer_seconds),
        thinking_tokens: args.thinking_tokens,
    };
    let mut told = Vec::new();
    for tested in &targets {
        let rows = args.select.select_rows(&catalog, |needed| tested.meets_requirement(needed))?;
        let selection = args.shard.select_rows(rows);
        if let (Some(part), true) = (args.shard.shard, selection.run.is_empty()) {
            stdout::warn(format!("{}: shard {part} has none of the {} rows", tested.name, selection.plan.len()));
            continue;
        }
        let plan = build_plan(tested, &selection.run, (&args.money, &args.pace), assumed);
        let rates = args.pace.rate_limits(tested);
        told.push(TargetPlan {
            name: tested.name.clone(),
            model: tested.settings.model.clone(),
            missing_credential: missing_credential(tested),
            concurrency: args.pace.concurrency(tested) as u64,
            requests_per_minute: rates.requests,
            tokens_per_minute: rates.tokens,
            prices: args.money.prices(tested),
            first: plan.probes,
            rows: plan.rows,
            planned: plan.total,
            rows_without_estimate: plan.rows_without_estimate,
        });
    }
    let runs = u64::from(args.repeat);
    let Some(sum) = told.iter().map(|target| target.planned.repeat(runs)).reduce(|sum, more| sum.add_parallel(&more))
    else {
        return Ok(ExitStatus::Success);
    };
    let plan = PlanReport {
        schema: SCHEMA.to_owned(),
        assumed: plan::PlanAssumptions {
            seconds_an_answer: args.answer_seconds,
            thinking_tokens: args.thinking_tokens,
        },
        fits: compare_with_budget(&args.money, &sum),
        targets: told,
        runs,
        planned: sum,
    };
    stdout::print(match args.format {
        RowsFormat::Json => json::render(&plan).trim_end().to_owned(),
        RowsFormat::Terminal => report::terminal::plan::render(&plan, stdout::table_width(environment)),
    });
    Ok(ExitStatus::Success)
}

/// What a live run would lack: never what is there.
fn missing_credential(tested: &ResolvedTarget) -> Option<String> {
    match &tested.endpoint {
        EndpointKind::Live { missing_credential: missing, .. } => missing.clone(),
        EndpointKind::Simulated(_) => None,
    }
}

/// Holds the whole against the bounds that were given.
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
