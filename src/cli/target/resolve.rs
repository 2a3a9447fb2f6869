//! From options to the targets of a command: [`resolve_targets`].

use std::collections::{HashMap, HashSet};

use crate::catalog::{Catalog, Target};
use crate::cli::ProcessEnvironment;
use crate::cli::args::budget::BudgetArgs;
use crate::cli::args::endpoint::EndpointArgs;
use crate::cli::error::CliError;
use crate::cli::target::build::{DEFAULT_TARGETS, TargetContext, build_target, find_target};
use crate::cli::target::credential::{self, CredentialPolicy};
use crate::cli::target::model::{EndpointKind, ResolvedTarget};
use crate::client::BaseUrl;
use crate::results::file_names::slugify;

/// The longest name of a target as a file name. File systems allow 255 bytes with prefix and extension.
const MAX_FILE_NAME_BYTES: usize = 200;

/// Resolves the options: one target for each model of each named target.
pub fn resolve_targets(
    args: &EndpointArgs,
    policy: CredentialPolicy,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<Vec<ResolvedTarget>, CliError> {
    let context = TargetContext { args, policy, catalog, environment };
    let mut targets: Vec<ResolvedTarget> = match &args.list {
        Some(list) => context.resolve_list(list)?,
        None => context.resolve_named()?.into_iter().flat_map(|target| target.expand_models(&args.model)).collect(),
    };
    validate_unique_names(&targets)?;
    credential::dedupe_commands(targets.iter_mut().filter_map(|target| match &mut target.endpoint {
        EndpointKind::Live { credential, .. } => credential.as_mut(),
        EndpointKind::Simulated(_) => None,
    }));
    Ok(targets)
}

/// Rejects two runs that would write the same files.
fn validate_unique_names(targets: &[ResolvedTarget]) -> Result<(), CliError> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for target in targets {
        let file = slugify(&target.name);
        if file.len() > MAX_FILE_NAME_BYTES {
            let name = &target.name;
            let problem = format!("`{name}` is too long for a file name. Use a shorter --name or --model");
            return Err(CliError::Target(problem));
        }
        // Some file systems ignore case.
        match seen.insert(file.to_lowercase(), &target.name) {
            Some(name) if name == target.name => {
                return Err(CliError::Target(format!("two targets have the name `{name}`. Rename one (--name)")));
            }
            Some(name) => {
                let names = format!("`{name}` and `{}`", target.name);
                return Err(CliError::Target(format!("{names} have the same file name. Rename one (--name)")));
            }
            None => {}
        }
    }
    Ok(())
}

impl TargetContext<'_> {
    fn resolve_named(&self) -> Result<Vec<ResolvedTarget>, CliError> {
        let args = self.args;
        let claims = self.find_optional(args.claims.as_deref())?;
        if let Some(base_url) = &args.base_url {
            return self.resolve_url(base_url, claims).map(|target| vec![target]);
        }
        let is_demo = args.targets.is_empty();
        let names: Vec<&str> =
            if is_demo { DEFAULT_TARGETS.to_vec() } else { args.targets.iter().map(String::as_str).collect() };
        if names.len() > 1 && args.name.is_some() {
            return Err(CliError::Options("--name accepts one target. Remove it, or test one target"));
        }
        let mut seen = HashSet::new();
        names
            .into_iter()
            .map(|name| {
                let target = find_target(self.catalog, name)?;
                if !seen.insert(&target.name) {
                    return Err(CliError::Target(format!("target `{name}` is named twice. Remove one")));
                }
                let endpoint = if is_demo || args.simulate {
                    EndpointKind::Simulated(Box::new(target.clone()))
                } else {
                    self.resolve_live(target)?
                };
                let name = args.name.as_deref().unwrap_or(&target.name);
                Ok(build_target(args, name, endpoint, Some(target), claims.or(Some(target))))
            })
            .collect()
    }

    fn resolve_url(&self, base_url: &str, claims: Option<&Target>) -> Result<ResolvedTarget, CliError> {
        let args = self.args;
        if args.simulate {
            return Err(CliError::Options("--simulate and --base-url cannot be combined. Remove one"));
        }
        if args.targets.len() > 1 {
            return Err(CliError::Options("--base-url accepts one target. Use --targets FILE for several"));
        }
        let url = BaseUrl::parse(base_url)
            .map_err(|source| CliError::InvalidUrl { origin: "--base-url".to_owned(), source })?;
        let target = self.find_optional(args.targets.first().map(String::as_str))?;
        // The credential of a target must not be sent to another host: only the command line names one here.
        let (credential, missing_credential) =
            self.policy.resolve(|| credential::from_args(&args.credential, self.environment))?;
        let name = args.name.clone().or_else(|| args.targets.first().cloned()).unwrap_or_else(|| url.host_and_port());
        if args.model.is_empty() && target.is_none() && claims.is_none() {
            return Err(CliError::Options("--base-url needs --model NAME"));
        }
        let endpoint = EndpointKind::Live { base_url: base_url.to_owned(), credential, missing_credential };
        Ok(build_target(args, &name, endpoint, target, claims.or(target)))
    }
}

/// Rejects simulator options for a live endpoint, and a limit on the cost without prices.
pub fn validate_options<'a>(
    targets: impl Iterator<Item = &'a ResolvedTarget> + Clone,
    has_simulator_options: bool,
    budget: &BudgetArgs,
) -> Result<(), CliError> {
    if has_simulator_options && targets.clone().any(|t| matches!(t.endpoint, EndpointKind::Live { .. })) {
        return Err(CliError::Options("simulator options need --simulate"));
    }
    budget.require_prices(targets)
}
