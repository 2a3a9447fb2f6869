//! What a run is expected to take: the same rules, run against the built-in simulation of the target's claims. No
//! network, no credential, nothing written.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::catalog::{Catalog, CatalogRow, Target};
use crate::cli::CliError;
use crate::cli::args::budget::{BudgetArgs, RateArgs};
use crate::cli::args::send::SendArgs;
use crate::cli::session::run::current_timestamp;
use crate::cli::target::resolve::ResolvedTarget;
use crate::client::{Budget, BudgetLimits, Client, ClientConfig, CredentialHeader, PerMinuteLimits};
use crate::engine::plan::estimate::RunEstimate;
use crate::engine::{PlanInput, RateAssumptions, RunOptions, RunPlan, plan_run, run_in_memory};
use crate::recording::request_settings::RequestSettings;
use crate::recording::run::{RunHeader, SCHEMA};
use crate::recording::scope::{RunForecast, RunScope};
use crate::simulator;
use crate::simulator::SimulatorConfig;

/// What is assumed where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ForecastAssumptions {
    /// The time until an answer is there.
    pub response_time: Duration,
    /// How often the model does not do as it is told.
    pub disobedience: f64,
    /// Tokens that the model thinks unasked before each answer.
    pub thinking_tokens: u64,
}

impl Default for ForecastAssumptions {
    fn default() -> Self {
        Self { response_time: Duration::from_secs(2), disobedience: 0.0, thinking_tokens: 0 }
    }
}

/// Simulations that were made: targets with the same claims and rows are expected to take the same.
#[derive(Debug, Default)]
pub struct ForecastCache(Mutex<Vec<(String, RunEstimate)>>);

impl ForecastCache {
    /// What the rows are expected to take. `confidence` is what verdicts must reach.
    ///
    /// # Errors
    ///
    /// When the simulation cannot start.
    pub async fn estimate(
        &self,
        tested: &ResolvedTarget,
        catalog: &Catalog,
        rows: &[&CatalogRow],
        confidence: f64,
        assumed: ForecastAssumptions,
    ) -> Result<RunEstimate, CliError> {
        // The model's name is all that may differ.
        let settings = RequestSettings { model: "simulated".to_owned(), ..tested.settings.clone() };
        let ids: Vec<&str> = rows.iter().map(|row| row.experiment.id()).collect();
        let claims = tested.claims.as_ref().map(|t| (&t.claims, &t.limits));
        let key = format!("{settings:?} {ids:?} {claims:?} {confidence} {assumed:?}");
        let known = |all: &Vec<(String, RunEstimate)>| all.iter().find(|(k, _)| *k == key).map(|(_, e)| e.clone());
        if let Some(expected) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(expected);
        }
        // Chance has its part where the model does not always obey: of several runs, the one in the middle.
        let runs = if assumed.disobedience > 0.0 { 5 } else { 1 };
        let mut all = Vec::new();
        for seed in 1..=runs {
            let options =
                RunOptions { settings: settings.clone(), seed, confidence, concurrency: 4, budget: Budget::default() };
            all.push(simulate_run(tested.claims.as_ref(), catalog, rows, &options, assumed).await?);
        }
        all.sort_by_key(|expected| expected.total().requests);
        let expected = all.swap_remove(all.len() / 2);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((key, expected.clone()));
        Ok(expected)
    }
}

async fn simulate_run(
    claims: Option<&Target>,
    catalog: &Catalog,
    rows: &[&CatalogRow],
    options: &RunOptions,
    assumed: ForecastAssumptions,
) -> Result<RunEstimate, CliError> {
    let mut behaviour = claims.map_or_else(SimulatorConfig::default, SimulatorConfig::from_target);
    if let Some(target) = claims {
        behaviour.add_fields(target, catalog.field_specs());
    }
    behaviour.model.clone_from(&options.settings.model);
    behaviour.impairments.disobedience = assumed.disobedience;
    behaviour.seed = options.seed;
    let credential = behaviour.expected_credential().to_owned();
    let running = simulator::start(behaviour)
        .await
        .map_err(|e| CliError::Internal(format!("cannot start the simulator: {e}")))?;
    // Its own header is what the simulator of any target takes.
    let mut config = ClientConfig::new(running.base_url(), CredentialHeader::XApiKey);
    config.credential = Some(credential.into());
    config.use_proxies = false;
    let client = Client::new(config).map_err(|e| CliError::Internal(e.to_string()))?;
    let header = RunHeader {
        schema: SCHEMA.to_owned(),
        name: "forecast".to_owned(),
        base_url: running.base_url(),
        simulated: true,
        claims: claims.cloned(),
        settings: options.settings.clone(),
        rows: rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
        confidence: options.confidence,
        seed: options.seed,
        started_at: current_timestamp(),
        scope: RunScope::default(),
    };
    Ok(RunEstimate::from_recording(&run_in_memory(&client, rows, options, header).await, assumed.thinking_tokens))
}

/// Plans what a target would be sent.
pub fn build_plan(
    tested: &ResolvedTarget,
    rows: &[&CatalogRow],
    (money, pace): (&BudgetArgs, &RateArgs),
    assumed: ForecastAssumptions,
    expected: Option<&RunEstimate>,
) -> RunPlan {
    let pace = RateAssumptions {
        rates: pace.rate_limits(tested),
        concurrency: pace.concurrency(tested),
        response_time: assumed.response_time,
    };
    plan_run(
        rows,
        PlanInput {
            settings: &tested.settings,
            prices: money.prices(tested),
            rate_assumptions: pace,
            estimate: expected,
        },
    )
}

/// What a run writes down of its plan. A simulation is made for it only where something is at stake: money, a bound, or
/// the time that a rate limit takes.
///
/// # Errors
///
/// When the simulation cannot start.
pub async fn forecast(
    tested: &ResolvedTarget,
    catalog: &Catalog,
    rows: &[&CatalogRow],
    sending: &SendArgs,
    is_simulated: bool,
) -> Result<RunForecast, CliError> {
    let SendArgs { money, pace, common, confidence, .. } = sending;
    let (bounds, rates, prices) = (money.limits(), pace.rate_limits(tested), money.prices(tested));
    let at_stake = prices.is_some() || bounds != BudgetLimits::default() || rates != PerMinuteLimits::default();
    let expected = if at_stake && !is_simulated && !rows.is_empty() {
        Some(common.forecasts.estimate(tested, catalog, rows, *confidence, ForecastAssumptions::default()).await?)
    } else {
        None
    };
    let planned = build_plan(tested, rows, (money, pace), ForecastAssumptions::default(), expected.as_ref()).total;
    Ok(RunForecast { planned, prices })
}
