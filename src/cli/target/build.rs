//! Builds a [`ResolvedTarget`] from one target: its endpoint, its credential and its settings.

use crate::catalog::{Catalog, Target};
use crate::cli::ProcessEnvironment;
use crate::cli::args::endpoint::EndpointArgs;
use crate::cli::error::CliError;
use crate::cli::target::credential::{self, CredentialPolicy, LazyCredential};
use crate::cli::target::model::{EndpointKind, ResolvedTarget};
use crate::client::BaseUrl;
use crate::recording::request_settings::{REFERENCE_TEMPERATURE_MAX, RequestSettings, temperature_max};
use crate::wire::exchange::AuthScheme;

/// The targets of `run` without arguments: the tables that the project began with.
pub const DEFAULT_TARGETS: [&str; 2] = ["deepseek@2025-12", "tencent-lkeap@2025-12"];

/// The bundled targets that `check` simulates and `rows` shows: those of `run`, and the reference.
pub const REFERENCE_TARGETS: [&str; 3] = ["anthropic", DEFAULT_TARGETS[0], DEFAULT_TARGETS[1]];

/// The names of the reference targets and of the user's own targets.
pub fn default_targets(catalog: &Catalog) -> Result<Vec<String>, CliError> {
    let bundled = Catalog::load_bundled()?;
    let is_default = |(name, target): &(&String, &Target)| {
        REFERENCE_TARGETS.contains(&name.as_str()) || bundled.targets.get(*name) != Some(target)
    };
    Ok(catalog.targets.iter().filter(is_default).map(|(name, _)| name.clone()).collect())
}

/// Finds a target by name.
pub fn find_target<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Target, CliError> {
    catalog.target(name).ok_or_else(|| CliError::UnknownTarget { name: name.to_owned(), known: list_targets(catalog) })
}

/// The names of all targets.
pub fn list_targets(catalog: &Catalog) -> String {
    catalog.target_names().into_iter().filter(|name| !name.contains('@')).collect::<Vec<_>>().join(", ")
}

/// What the resolution of targets depends on.
#[derive(Clone, Copy)]
pub struct TargetContext<'a> {
    /// The options of the command.
    pub args: &'a EndpointArgs,
    /// Whether a target needs its credential.
    pub policy: CredentialPolicy,
    /// The case files.
    pub catalog: &'a Catalog,
    /// The environment of the process.
    pub environment: &'a ProcessEnvironment,
}

impl<'a> TargetContext<'a> {
    /// Finds the target of an option or an entry, if it names one.
    pub fn find_optional(&self, name: Option<&str>) -> Result<Option<&'a Target>, CliError> {
        name.map(|name| find_target(self.catalog, name)).transpose()
    }

    /// The live endpoint of a target, with its credential.
    pub fn resolve_live(&self, target: &Target) -> Result<EndpointKind, CliError> {
        let Some(base_url) = target.base_url.clone() else {
            return match self.policy {
                CredentialPolicy::Required => Err(CliError::Target(format!(
                    "target `{}` has no base_url. Use --base-url or --simulate",
                    target.name
                ))),
                CredentialPolicy::Optional | CredentialPolicy::None => {
                    Ok(EndpointKind::Simulated(Box::new(target.clone())))
                }
            };
        };
        BaseUrl::parse(&base_url)
            .map_err(|source| CliError::InvalidUrl { origin: format!("target `{}`", target.name), source })?;
        let from_args = self.policy.resolve(|| credential::from_args(&self.args.credential, self.environment));
        let (credential, missing_credential) = match from_args? {
            (None, None) => self.policy.resolve(|| self.find_credential(target))?,
            found => found,
        };
        Ok(EndpointKind::Live { base_url, credential, missing_credential })
    }

    /// The credential of a target file. Errors name the options that replace it.
    fn find_credential(&self, target: &Target) -> Result<Option<LazyCredential>, CliError> {
        let found = credential::from_target(&target.auth, target.credential.as_ref(), self.environment)
            .and_then(|found| found.ok_or(CliError::NoCredentialSource));
        match found {
            Ok(credential) => Ok(Some(credential)),
            Err(source) if self.policy == CredentialPolicy::Required => {
                Err(CliError::MissingCredential { target: target.name.clone(), source: Box::new(source) })
            }
            Err(source) => Err(source),
        }
    }
}

/// Combines an endpoint with the settings of its target and of the claims.
pub fn build_target(
    args: &EndpointArgs,
    name: &str,
    endpoint: EndpointKind,
    target: Option<&Target>,
    claims: Option<&Target>,
) -> ResolvedTarget {
    let either = target.or(claims);
    let temperature_max = claims.map_or(REFERENCE_TEMPERATURE_MAX, temperature_max);
    ResolvedTarget {
        name: name.to_owned(),
        auth_scheme: args.auth.or(either.map(|t| t.auth.scheme)).unwrap_or(AuthScheme::XApiKey),
        settings: RequestSettings {
            model: either.map(|t| t.model.clone()).unwrap_or_default(),
            anthropic_version: either.map_or("2023-06-01".to_owned(), |t| t.anthropic_version.clone()),
            headers: either.map(|t| t.headers.clone()).unwrap_or_default(),
            answer_tokens: args.max_tokens.default_max_tokens,
            temperature_max,
            max_output_tokens: claims.and_then(|t| t.limits.max_output_tokens),
            context_tokens: claims.and_then(|t| t.limits.context_tokens),
        },
        limits: target.map(|t| t.limits.clone()).unwrap_or_default(),
        prices: target.and_then(|t| t.prices),
        account: target.and_then(|t| t.account.clone()),
        claims: claims.cloned(),
        endpoint,
    }
}
