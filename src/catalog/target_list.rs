//! [`TargetList`]: endpoints to test in one command, as targets by name or as base URLs.
//!
//! A list contains no claims; they are in target files. Whether the named targets exist is validated
//! here, because only here the locations in the file are known.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_yaml::Spanned;

use crate::catalog::credential_source::CredentialSource;
use crate::catalog::error::{CaseError, CaseErrors, SourceLocation};
use crate::catalog::load::{find_target, read_yaml};
use crate::catalog::target::{Target, TargetAuth, TargetLimits, TargetPrices};

/// The file of `--targets`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TargetList {
    /// What to test, in the order of the reports.
    pub targets: Vec<ListedTarget>,
}

/// One entry: a target by name, or an endpoint by base URL.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ListedTarget {
    /// A target: its endpoint, credential, model, limits, prices and claims, unless this entry overrides
    /// them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The name in results. By default, the target's name, or the host and port of the base URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The base URL. A credential is sent there only if this entry names its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The models to request, one run each, named `NAME@MODEL` if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The target whose claims the verdicts are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<String>,
    /// The header of the credential, and its environment variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<TargetAuth>,
    /// The source of the credential if no variable of `auth` is set.
    #[serde(skip_serializing)]
    pub credential: Option<CredentialSource>,
    /// Rate limits of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<TargetLimits>,
    /// The price of a million tokens, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<TargetPrices>,
    /// The account. Entries with the same account share their limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Test the simulated target.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub simulate: bool,
}

/// The list, parsed a second time for its locations.
#[derive(Deserialize)]
struct TargetListLocations {
    targets: Vec<Spanned<HashMap<String, Spanned<serde::de::IgnoredAny>>>>,
}

impl TargetList {
    /// Parses a list whose entries may name these targets.
    ///
    /// # Errors
    /// All problems, each with its location.
    pub fn parse(file: &str, text: &str, targets: &BTreeMap<String, Target>) -> Result<Self, CaseErrors> {
        let list: Self = read_yaml(file, text).map_err(|error| CaseErrors(vec![error]))?;
        let places: TargetListLocations = read_yaml(file, text).map_err(|error| CaseErrors(vec![error]))?;
        if list.targets.is_empty() {
            let none = CaseError::new_at_location(file, SourceLocation::new(text, 1, 1), "the list is empty");
            return Err(CaseErrors(vec![none.with_help("each entry has a `target`, or a `base_url`")]));
        }
        let mut errors = Vec::new();
        for (entry, place) in list.targets.iter().zip(&places.targets) {
            for (key, what, help) in entry.validate(targets) {
                let at = place.value.get(key).map_or(&place.defined, |value| &value.defined);
                let at = SourceLocation::new(text, at.line() as usize, at.column() as usize);
                errors.push(CaseError::new_at_location(file, at, what).with_help(help));
            }
        }
        if errors.is_empty() { Ok(list) } else { Err(CaseErrors(errors)) }
    }
}

impl ListedTarget {
    /// All problems: the key, the problem, and what to do.
    fn validate(&self, targets: &BTreeMap<String, Target>) -> Vec<(&'static str, String, String)> {
        let known = || format!("known targets: {}", targets.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
        let mut problems = Vec::new();
        for (key, name) in [("target", &self.target), ("claims", &self.claims)] {
            if let Some(name) = name.as_ref().filter(|name| find_target(targets, name).is_none()) {
                problems.push((key, format!("there is no target `{name}`"), known()));
            }
        }
        let mut wrong = |key, what: &str, help: &str| problems.push((key, what.to_owned(), help.to_owned()));
        if self.target.is_none() && self.base_url.is_none() {
            wrong("name", "the entry has no `target` and no `base_url`", "add one of them");
        }
        if self.target.is_none() && self.claims.is_none() && self.models.is_empty() {
            wrong("base_url", "the entry has no model", "add `models: [NAME]`");
        }
        if let Some(what) = self.credential.as_ref().and_then(CredentialSource::validation_message) {
            wrong("credential", what, "complete it, or remove it");
        }
        if self.simulate && self.target.is_none() {
            wrong("simulate", "only a target can be simulated", "add a `target`");
        }
        if self.simulate && self.base_url.is_some() {
            wrong("base_url", "a simulated target has no base URL", "remove `base_url` or `simulate`");
        }
        if self.models.iter().any(String::is_empty) || self.name.as_ref().is_some_and(String::is_empty) {
            wrong("models", "a name is empty", "remove it, or complete it");
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::load::Catalog;

    fn parse_list(text: &str) -> Result<TargetList, String> {
        TargetList::parse("list.yaml", text, &Catalog::load_bundled().unwrap().targets).map_err(|e| e.to_string())
    }

    #[test]
    fn targets_and_endpoints_can_be_listed() {
        let list = parse_list(
            "targets:\n  - { target: deepseek, models: [a, b] }\n  - { base_url: http://h, models: [m], claims: deepseek }\n",
        );
        let list = list.unwrap();
        assert_eq!(list.targets[0].models, ["a", "b"]);
        assert_eq!(list.targets[1].base_url.as_deref(), Some("http://h"));
    }

    #[test]
    fn each_problem_is_reported_with_its_location() {
        for (text, told) in [
            ("targets: []\n", "list.yaml:1:1: the list is empty"),
            ("targets:\n  - target: deepsek\n", "list.yaml:2:13: there is no target `deepsek`"),
            ("targets:\n  - { name: x }\n", "list.yaml:2:13: the entry has no `target` and no `base_url`"),
            ("targets:\n  - { base_url: http://h }\n", "list.yaml:2:17: the entry has no model"),
            ("targets:\n  - { target: deepseek, modles: [a] }\n", "list.yaml:2:25"),
            ("targets:\n  - { base_url: http://h, models: [m], simulate: true }\n", "only a target can be simulated"),
            ("", "the file is empty"),
        ] {
            let said = parse_list(text).unwrap_err();
            assert!(said.contains(told), "{text}: {said}");
        }
    }
}
