//! `--targets FILE`: from the entries of a list to what is tested.

use std::path::Path;

use crate::catalog::{AuthScheme, Catalog, ListedTarget, Target, TargetAuth, TargetList};
use crate::cli::args::common::EndpointArgs;
use crate::cli::io::files;
use crate::cli::target::resolve::{EndpointKind, ResolvedTarget, find_target};
use crate::cli::target::{credential, resolve};
use crate::cli::{CliError, ProcessEnvironment};
use crate::client::BaseUrl;

/// Resolves a list: one of what is tested for each model of each entry.
///
/// # Errors
/// Everything that is wrong with the list; every credential that is missing, not only the first.
pub fn resolve_list(
    path: &Path,
    args: &EndpointArgs,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<Vec<ResolvedTarget>, CliError> {
    let list = TargetList::parse(&path.display().to_string(), &files::read_text(path)?, &catalog.targets)?;
    let mut all = Vec::new();
    let mut problems = Vec::new();
    for entry in &list.targets {
        match resolve_entry(entry, args, catalog, environment) {
            Ok(tested) => all.extend(tested),
            Err(CliError::Usage(problem)) => problems.push(problem),
            Err(other) => return Err(other),
        }
    }
    if problems.is_empty() {
        return Ok(all);
    }
    problems.dedup();
    Err(CliError::Usage(format!("{}: {}", path.display(), problems.join("\n"))))
}

fn resolve_entry(
    entry: &ListedTarget,
    args: &EndpointArgs,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<Vec<ResolvedTarget>, CliError> {
    let of =
        entry.target.as_deref().map(|name| find_target(catalog, name)).transpose()?.map(|of| merge_entry(of, entry));
    let claims = entry.claims.as_deref().or(args.claims.as_deref());
    let claims = claims.map(|name| find_target(catalog, name)).transpose()?;
    let place = resolve_endpoint(entry, of.as_ref(), args, environment)?;
    let name = match (&entry.name, &entry.target, &entry.base_url) {
        (Some(name), _, _) | (None, Some(name), _) => name.clone(),
        (None, None, Some(url)) => BaseUrl::parse(url).map_or_else(|_| url.clone(), |url| url.host_and_port()),
        (None, None, None) => return Err(CliError::Internal("an entry names nothing".to_owned())),
    };
    let mut tested = resolve::build_target(args, &name, place, of.as_ref(), claims.or(of.as_ref()));
    tested.account = entry.account.clone().or(tested.account);
    if let Some(auth) = &entry.auth {
        tested.auth_scheme = auth.scheme;
    }
    if let Some(limits) = &entry.limits {
        tested.limits.clone_from(limits);
    }
    tested.prices = entry.prices.or(tested.prices);
    Ok(tested.expand_models(&entry.models))
}

/// A target as an entry has it. Its claims stay what they are.
fn merge_entry(of: &Target, entry: &ListedTarget) -> Target {
    let credential = match &entry.credential {
        // Variables that the entry names are not to be outdone by a command of the target's.
        None if entry.auth.is_none() => of.credential.clone(),
        own => own.clone(),
    };
    Target { auth: entry.auth.clone().unwrap_or_else(|| of.auth.clone()), credential, ..of.clone() }
}

fn resolve_endpoint(
    entry: &ListedTarget,
    of: Option<&Target>,
    args: &EndpointArgs,
    environment: &ProcessEnvironment,
) -> Result<EndpointKind, CliError> {
    match (of, &entry.base_url) {
        (Some(of), None) if entry.simulate || args.simulate => Ok(EndpointKind::Simulated(Box::new(of.clone()))),
        (Some(of), None) => resolve::resolve_live(of, args, environment),
        (_, Some(_)) if args.simulate => Err(CliError::Usage(
            "--simulate: an entry has a base URL, and only targets can be simulated: leave the option or the entry out"
                .to_owned(),
        )),
        (_, Some(base_url)) => {
            BaseUrl::parse(base_url).map_err(|e| CliError::Usage(e.to_string()))?;
            // A credential goes only where it was told to go: never the target's to another host.
            let none = TargetAuth { scheme: AuthScheme::XApiKey, env: Vec::new() };
            let auth = entry.auth.as_ref().unwrap_or(&none);
            let found = credential::from_target(auth, entry.credential.as_ref(), environment)
                .map_err(|e| CliError::Usage(format!("{base_url}: {e}")));
            let (credential, missing) = resolve::optional_credential(args, found)?;
            Ok(EndpointKind::Live { base_url: base_url.clone(), credential, missing_credential: missing })
        }
        (None, None) => Err(CliError::Internal("an entry says nothing of where it is".to_owned())),
    }
}
