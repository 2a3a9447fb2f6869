//! [`TestedTarget`]: the tested endpoint and the claims that its verdicts are compared with.

use serde::{Deserialize, Serialize};

use crate::catalog::{ClaimSource, Target, TargetLimits};

/// The tested endpoint and the claims that its verdicts are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TestedTarget {
    /// The target's name, as in `results-<name>.json`.
    pub name: String,
    /// The base URL of the endpoint.
    pub base_url: String,
    /// The requested model.
    pub model: String,
    /// True if the endpoint was the built-in simulator.
    pub simulated: bool,
    /// The API version: the value of the `anthropic-version` header.
    pub anthropic_version: String,
    /// The claims that the verdicts are compared with; `null` if there are none.
    pub claims: Option<TestedClaims>,
}

/// The target that claims were taken from, and its documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TestedClaims {
    /// The name of the claiming target.
    pub target: String,
    /// The display name of the provider.
    pub title: String,
    /// The documents that the claims come from, with revision and date.
    pub sources: Vec<ClaimSource>,
    /// The limits that the documents state. The run respects them; only rows about limits test them.
    pub limits: TargetLimits,
}

impl From<&Target> for TestedClaims {
    fn from(target: &Target) -> Self {
        Self {
            target: target.name.clone(),
            title: target.title.clone(),
            sources: target.sources.clone(),
            limits: target.limits.clone(),
        }
    }
}
