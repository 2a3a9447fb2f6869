//! What a run is expected to take: the same rules, run against the built-in simulation of the target's claims. No
//! network, no credential, nothing written.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::catalog::{Catalog, CatalogRow, Target};
use crate::cli::CliError;
use crate::cli::args::budget::{MoneyArgs, PaceArgs};
use crate::cli::args::send::SendArgs;
use crate::cli::session::run::now;
use crate::cli::target::resolve::Tested;
use crate::client::{Bounds, Budget, Client, ClientConfig, Rates, Scheme};
use crate::engine::plan::estimate::Expected;
use crate::engine::request::build::Settings;
use crate::engine::{Basis, Options, Pace, Plan, plan};
use crate::recording::in_memory::record;
use crate::recording::run::{Header, SCHEMA};
use crate::recording::scope::{Foreseen, Scope};
use crate::simulator;
use crate::simulator::Behaviour;

/// What is assumed where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assumed {
    /// The time until an answer is there.
    pub answer: Duration,
    /// How often the model does not do as it is told.
    pub disobedience: f64,
    /// Tokens that the model thinks unasked before each answer.
    pub thinking: u64,
}

impl Default for Assumed {
    fn default() -> Self {
        Self { answer: Duration::from_secs(2), disobedience: 0.0, thinking: 0 }
    }
}

/// Simulations that were made: targets with the same claims and rows are expected to take the same.
#[derive(Debug, Default)]
pub struct Forecasts(Mutex<Vec<(String, Expected)>>);

impl Forecasts {
    /// What the rows are expected to take. `confidence` is what verdicts must reach.
    ///
    /// # Errors
    ///
    /// When the simulation cannot start.
    pub async fn expected(
        &self,
        tested: &Tested,
        catalog: &Catalog,
        rows: &[&CatalogRow],
        confidence: f64,
        assumed: Assumed,
    ) -> Result<Expected, CliError> {
        // The model's name is all that may differ.
        let settings = Settings { model: "simulated".to_owned(), ..tested.settings.clone() };
        let ids: Vec<&str> = rows.iter().map(|row| row.experiment.id()).collect();
        let claims = tested.claims.as_ref().map(|t| (&t.claims, &t.limits));
        let key = format!("{settings:?} {ids:?} {claims:?} {confidence} {assumed:?}");
        let known = |all: &Vec<(String, Expected)>| all.iter().find(|(k, _)| *k == key).map(|(_, e)| e.clone());
        if let Some(expected) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(expected);
        }
        // Chance has its part where the model does not always obey: of several runs, the one in the middle.
        let runs = if assumed.disobedience > 0.0 { 5 } else { 1 };
        let mut all = Vec::new();
        for seed in 1..=runs {
            let options =
                Options { settings: settings.clone(), seed, confidence, concurrency: 4, budget: Budget::default() };
            all.push(simulated(tested.claims.as_ref(), catalog, rows, &options, assumed).await?);
        }
        all.sort_by_key(|expected| expected.all().requests);
        let expected = all.swap_remove(all.len() / 2);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((key, expected.clone()));
        Ok(expected)
    }
}

async fn simulated(
    claims: Option<&Target>,
    catalog: &Catalog,
    rows: &[&CatalogRow],
    options: &Options,
    assumed: Assumed,
) -> Result<Expected, CliError> {
    let mut behaviour = claims.map_or_else(Behaviour::default, Behaviour::of);
    if let Some(target) = claims {
        behaviour.know(target, catalog.fields());
    }
    behaviour.model.clone_from(&options.settings.model);
    behaviour.knobs.disobedience = assumed.disobedience;
    behaviour.seed = options.seed;
    let credential = behaviour.right_credential().to_owned();
    let running =
        simulator::start(behaviour).await.map_err(|e| CliError::Fault(format!("cannot start the simulator: {e}")))?;
    // Its own header is what the simulator of any target takes.
    let mut config = ClientConfig::new(running.base_url(), Scheme::XApiKey);
    config.credential = Some(credential.into());
    config.proxies = false;
    let client = Client::new(config).map_err(|e| CliError::Fault(e.to_string()))?;
    let header = Header {
        schema: SCHEMA.to_owned(),
        name: "forecast".to_owned(),
        base_url: running.base_url(),
        simulated: true,
        claims: claims.cloned(),
        settings: options.settings.clone(),
        rows: rows.iter().map(|row| row.experiment.id().to_owned()).collect(),
        confidence: options.confidence,
        seed: options.seed,
        started_at: now(),
        scope: Scope::default(),
    };
    Ok(Expected::of(&record(&client, rows, options, header).await, assumed.thinking))
}

/// Plans what a target would be sent.
pub fn planned(
    tested: &Tested,
    rows: &[&CatalogRow],
    (money, pace): (&MoneyArgs, &PaceArgs),
    assumed: Assumed,
    expected: Option<&Expected>,
) -> Plan {
    let pace = Pace { rates: pace.rates(tested), concurrency: pace.concurrency(tested), answer: assumed.answer };
    plan(rows, Basis { settings: &tested.settings, prices: money.prices(tested), pace, expected })
}

/// What a run writes down of its plan. A simulation is made for it only where something is at stake: money, a bound, or
/// the time that a rate limit takes.
///
/// # Errors
///
/// When the simulation cannot start.
pub async fn foreseen(
    tested: &Tested,
    catalog: &Catalog,
    rows: &[&CatalogRow],
    sending: &SendArgs,
    is_simulated: bool,
) -> Result<Foreseen, CliError> {
    let SendArgs { money, pace, common, confidence, .. } = sending;
    let (bounds, rates, prices) = (money.bounds(), pace.rates(tested), money.prices(tested));
    let at_stake = prices.is_some() || bounds != Bounds::default() || rates != Rates::default();
    let expected = if at_stake && !is_simulated && !rows.is_empty() {
        Some(common.forecasts.expected(tested, catalog, rows, *confidence, Assumed::default()).await?)
    } else {
        None
    };
    let planned = planned(tested, rows, (money, pace), Assumed::default(), expected.as_ref()).planned;
    Ok(Foreseen { planned, prices, expected })
}
