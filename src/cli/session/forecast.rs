//! Plans for targets: [`build_plan`] for `fieldtest plan`, [`forecast`] for recordings.

use std::time::Duration;

use crate::catalog::CatalogRow;
use crate::cli::args::budget::{BudgetArgs, RateArgs};
use crate::cli::args::send::SendArgs;
use crate::cli::target::model::ResolvedTarget;
use crate::engine::{PlanInput, RateAssumptions, RunPlan, plan_run};
use crate::recording::scope::RunForecast;

/// What a plan assumes about the endpoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ForecastAssumptions {
    /// The time until a response is complete.
    pub response_time: Duration,
    /// The thinking tokens before each response whose request does not ask for thinking.
    pub thinking_tokens: u64,
}

impl Default for ForecastAssumptions {
    fn default() -> Self {
        Self { response_time: Duration::from_secs(2), thinking_tokens: 0 }
    }
}

/// Plans a run of a target.
pub fn build_plan(
    target: &ResolvedTarget,
    rows: &[&CatalogRow],
    (budget, rates): (&BudgetArgs, &RateArgs),
    assumptions: ForecastAssumptions,
) -> RunPlan {
    let rate_assumptions = RateAssumptions {
        rates: rates.rate_limits(target),
        concurrency: rates.concurrency(target),
        response_time: assumptions.response_time,
        eager: rates.eager,
    };
    let input = PlanInput {
        settings: &target.settings,
        prices: budget.prices(target),
        rate_assumptions,
        thinking_tokens: assumptions.thinking_tokens,
    };
    plan_run(rows, input)
}

/// The part of a plan that the recording of the run keeps.
pub fn forecast(target: &ResolvedTarget, rows: &[&CatalogRow], args: &SendArgs) -> RunForecast {
    let plan = build_plan(target, rows, (&args.budget, &args.rate), ForecastAssumptions::default());
    RunForecast { planned: plan.total, prices: args.budget.prices(target) }
}
