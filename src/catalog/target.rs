//! [`Target`]: an endpoint with its model, its limits and one [`Claim`] per line of its support table.
//!
//! Must not know experiments: rows are only names here. `load` validates that a claimed row exists.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::catalog::credential_source::CredentialSource;
use crate::catalog::experiment::LimitRequirement;
use crate::catalog::status::ClaimStatus;

/// A target file: an endpoint, and what its documentation claims.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The name on the command line and in file names, for example `deepseek`.
    pub name: String,
    /// The provider's display name.
    pub title: String,
    /// The base URL for SDKs; `/v1/messages` is appended. Absent for targets that are only simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// How the credential is sent.
    pub auth: TargetAuth,
    /// The source of the credential if no variable of `auth` is set. Recordings do not contain it.
    #[serde(default, skip_serializing)]
    pub credential: Option<CredentialSource>,
    /// The model to request, unless `--model` names another.
    pub model: String,
    /// The API version to test: the value of the `anthropic-version` header.
    #[serde(default = "default_version")]
    pub anthropic_version: String,
    /// The documents that contain the claims. The first is the main one.
    pub sources: Vec<ClaimSource>,
    /// Size and rate limits that the documentation states.
    #[serde(default)]
    pub limits: TargetLimits,
    /// The published price of a million tokens, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<TargetPrices>,
    /// The account, with any name. Targets with the same account share its limits. By default, targets
    /// with the same server and credential share them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The claims, by row id: one per line of the support table.
    pub claims: BTreeMap<String, Claim>,
}

fn default_version() -> String {
    "2023-06-01".to_owned()
}

/// How a credential is sent, and the environment variables that may hold it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetAuth {
    /// The header that carries the credential.
    pub scheme: AuthScheme,
    /// Environment variables that may hold the credential. The first one that is set is used.
    #[serde(default)]
    pub env: Vec<String>,
}

/// The header that carries the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthScheme {
    /// `x-api-key: KEY`
    XApiKey,
    /// `authorization: Bearer KEY`
    Bearer,
}

/// A document with claims, and when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimSource {
    /// A short name for reports.
    pub title: String,
    /// The URL of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The revision of the page, in words or as the provider numbers it.
    pub revision: String,
    /// The day on which the page was read, `YYYY-MM-DD`.
    pub read_on: String,
}

/// Size and rate limits from the documentation. All are optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetLimits {
    /// Requests per minute, for the rate limiter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Input and output tokens per minute, for the rate limiter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u32>,
    /// Requests in flight, unless `--concurrency` overrides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u16>,
    /// The maximum of prompt and response together, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
    /// The maximum prompt, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_input_tokens: Option<u32>,
    /// The maximum response, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
}

impl TargetLimits {
    /// True if the limit that a row requires is stated.
    pub fn satisfies(&self, requirement: LimitRequirement) -> bool {
        match requirement {
            LimitRequirement::MaxOutputTokens => self.max_output_tokens.is_some(),
            LimitRequirement::ContextTokens => self.context_tokens.is_some(),
        }
    }
}

/// Prices of a million tokens, in US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetPrices {
    /// Input tokens that are neither written to a cache nor read from it.
    #[serde(deserialize_with = "deserialize_price")]
    #[schemars(range(min = 0.0))]
    pub input: f64,
    /// Output tokens.
    #[serde(deserialize_with = "deserialize_price")]
    #[schemars(range(min = 0.0))]
    pub output: f64,
}

fn deserialize_price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let price = f64::deserialize(deserializer)?;
    let is_valid = price.is_finite() && price >= 0.0;
    is_valid.then_some(price).ok_or_else(|| D::Error::custom("a price must be a number of US dollars, 0 or more"))
}

/// What the documentation states about one row.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The status.
    pub status: ClaimStatus,
    /// The wording of the page, if it says more than the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The claimed range of values, for rows about a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ClaimedRange>,
    /// The title of the source, if it is not the target's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A closed range of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimedRange {
    /// The smallest allowed value.
    pub min: f64,
    /// The largest allowed value.
    pub max: f64,
}
