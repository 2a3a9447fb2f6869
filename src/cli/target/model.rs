//! The data of a resolved target: [`ResolvedTarget`].

use crate::catalog::{Catalog, CatalogRow, LimitRequirement, Target, TargetLimits, TargetPrices};
use crate::cli::target::credential::LazyCredential;
use crate::recording::request_settings::RequestSettings;
use crate::wire::exchange::AuthScheme;

/// An endpoint with one model and the claims to compare it with.
#[derive(Debug, Clone)]
pub struct ResolvedTarget {
    /// The name in results.
    pub name: String,
    /// The endpoint.
    pub endpoint: EndpointKind,
    /// The header that carries the credential.
    pub auth_scheme: AuthScheme,
    /// The claims to compare the verdicts with.
    pub claims: Option<Target>,
    /// The account with which it shares limits.
    pub account: Option<String>,
    /// The settings of requests.
    pub settings: RequestSettings,
    /// The limits of the target itself. The limits of a target whose claims are borrowed do not apply.
    pub limits: TargetLimits,
    /// The prices of the target itself.
    pub prices: Option<TargetPrices>,
}

/// The place of an endpoint.
#[derive(Debug, Clone)]
pub enum EndpointKind {
    /// On the network.
    Live {
        /// The base URL.
        base_url: String,
        /// The credential, if there is one.
        credential: Option<LazyCredential>,
        /// Why there is no credential, for a plan.
        missing_credential: Option<String>,
    },
    /// In this process: a simulation of this target.
    Simulated(Box<Target>),
}

impl ResolvedTarget {
    /// True if its claims meet a requirement of a row.
    pub fn meets_requirement(&self, requirement: LimitRequirement) -> bool {
        self.claims.as_ref().is_some_and(|claims| claims.limits.satisfies(requirement))
    }

    /// The rows of the catalog that can be tested with its claims.
    pub fn testable_rows<'a>(&self, catalog: &'a Catalog) -> impl Iterator<Item = &'a CatalogRow> + use<'a, '_> {
        let is_met = |row: &&CatalogRow| row.experiment.requires.is_none_or(|needed| self.meets_requirement(needed));
        catalog.rows.iter().filter(is_met)
    }

    /// Removes the credential, since nothing will be sent.
    pub fn clear_credential(&mut self) {
        if let EndpointKind::Live { credential, .. } = &mut self.endpoint {
            *credential = None;
        }
    }

    /// The same target with each of these models; unchanged without models.
    pub fn expand_models(self, models: &[String]) -> Vec<Self> {
        let with_model = |model: &String| {
            let name = if models.len() > 1 { format!("{}@{model}", self.name) } else { self.name.clone() };
            Self { name, settings: RequestSettings { model: model.clone(), ..self.settings.clone() }, ..self.clone() }
        };
        if models.is_empty() { vec![self] } else { models.iter().map(with_model).collect() }
    }
}
