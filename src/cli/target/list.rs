//! `--targets`: resolves the entries of a list.

use std::path::Path;

use crate::catalog::{ListedTarget, Target, TargetAuth, TargetList};
use crate::cli::error::{CliError, ExitStatus};
use crate::cli::io::files;
use crate::cli::target::build::{TargetContext, build_target};
use crate::cli::target::credential;
use crate::cli::target::model::{EndpointKind, ResolvedTarget};
use crate::client::BaseUrl;
use crate::wire::exchange::AuthScheme;

impl TargetContext<'_> {
    /// Resolves a list: one target for each model of each entry.
    ///
    /// # Errors
    /// The errors of all entries, for example every missing credential.
    pub fn resolve_list(&self, path: &Path) -> Result<Vec<ResolvedTarget>, CliError> {
        let list = TargetList::parse(&path.display().to_string(), &files::read_text(path)?, &self.catalog.targets)?;
        let (mut targets, mut errors) = (Vec::new(), Vec::new());
        for entry in &list.targets {
            match self.resolve_entry(entry) {
                Ok(resolved) => targets.extend(resolved),
                Err(error) if error.exit_status() == ExitStatus::Usage => errors.push(error),
                Err(error) => return Err(error),
            }
        }
        if errors.is_empty() { Ok(targets) } else { Err(CliError::TargetList { path: path.to_owned(), errors }) }
    }

    fn resolve_entry(&self, entry: &ListedTarget) -> Result<Vec<ResolvedTarget>, CliError> {
        let target = self.find_optional(entry.target.as_deref())?.map(|target| merge_entry(target, entry));
        let claims = self.find_optional(entry.claims.as_deref().or(self.args.claims.as_deref()))?;
        let endpoint = self.resolve_endpoint(entry, target.as_ref())?;
        let name = match (&entry.name, &entry.target, &entry.base_url) {
            (Some(name), _, _) | (None, Some(name), _) => name.clone(),
            (None, None, Some(url)) => BaseUrl::parse(url).map_or_else(|_| url.clone(), |url| url.host_and_port()),
            (None, None, None) => return Err(CliError::Unreachable("an entry has no name, target or base URL")),
        };
        let mut resolved = build_target(self.args, &name, endpoint, target.as_ref(), claims.or(target.as_ref()));
        resolved.account = entry.account.clone().or(resolved.account);
        if let Some(auth) = &entry.auth {
            resolved.auth_scheme = auth.scheme;
        }
        if let Some(limits) = &entry.limits {
            resolved.limits.clone_from(limits);
        }
        resolved.prices = entry.prices.or(resolved.prices);
        Ok(resolved.expand_models(&entry.models))
    }

    fn resolve_endpoint(&self, entry: &ListedTarget, target: Option<&Target>) -> Result<EndpointKind, CliError> {
        match (target, &entry.base_url) {
            (Some(target), None) if entry.simulate || self.args.simulate => {
                Ok(EndpointKind::Simulated(Box::new(target.clone())))
            }
            (Some(target), None) => self.resolve_live(target),
            (_, Some(_)) if self.args.simulate => Err(CliError::Options(
                "--simulate cannot be used: an entry has a base URL, and only targets can be simulated. Remove one",
            )),
            (_, Some(base_url)) => {
                BaseUrl::parse(base_url)?;
                // The credential of a target must not be sent to another host.
                let no_auth = TargetAuth { scheme: AuthScheme::XApiKey, env: Vec::new() };
                let auth = entry.auth.as_ref().unwrap_or(&no_auth);
                let (credential, missing_credential) = self.policy.resolve(|| {
                    credential::from_target(auth, entry.credential.as_ref(), self.environment)
                        .map_err(|e| CliError::EntryCredential { base_url: base_url.clone(), source: Box::new(e) })
                })?;
                Ok(EndpointKind::Live { base_url: base_url.clone(), credential, missing_credential })
            }
            (None, None) => Err(CliError::Unreachable("an entry has neither a target nor a base URL")),
        }
    }
}

/// A target with the credential settings of an entry. Its claims do not change.
fn merge_entry(target: &Target, entry: &ListedTarget) -> Target {
    let credential = match &entry.credential {
        // The command of the target must not replace variables that the entry names.
        None if entry.auth.is_none() => target.credential.clone(),
        own => own.clone(),
    };
    Target { auth: entry.auth.clone().unwrap_or_else(|| target.auth.clone()), credential, ..target.clone() }
}
