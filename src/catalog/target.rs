//! What a provider's document says: one file per target, with the endpoint, the model, the limits and one claim per
//! line of its support table.
//!
//! A target knows nothing of experiments: rows are only names here. Whether a claimed row exists is checked where the
//! two kinds of file meet (`load`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::catalog::credential_source::CredentialSource;
use crate::catalog::experiment::LimitRequirement;
use crate::catalog::status::ClaimStatus;

/// A target file: an endpoint, and what its documentation says of it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The name used on the command line and in file names, `deepseek` for instance.
    pub name: String,
    /// The provider's name, as people write it.
    pub title: String,
    /// The base URL that SDKs are given; `/v1/messages` is added to it. Absent for a target that is only simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// How the endpoint wants its credential.
    pub auth: TargetAuth,
    /// Where the credential is to be found, where none of the variables of `auth` is set. No recording tells it.
    #[serde(default, skip_serializing)]
    pub credential: Option<CredentialSource>,
    /// The model that is tested unless `--model` names another.
    pub model: String,
    /// The value of the `anthropic-version` header, which names the contract that is tested.
    #[serde(default = "default_version")]
    pub anthropic_version: String,
    /// The documents that the claims were read from. The first is the main one.
    pub sources: Vec<ClaimSource>,
    /// What the page says of sizes and rates.
    #[serde(default)]
    pub limits: TargetLimits,
    /// What a million tokens cost, in US dollars, where the provider publishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<TargetPrices>,
    /// The account that requests are charged to, by any name: targets of the same one share its limits. Without it,
    /// those with the same server and the same credential do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// One claim per line of the support table, by row.
    pub claims: BTreeMap<String, Claim>,
}

fn default_version() -> String {
    "2023-06-01".to_owned()
}

/// How a credential travels, and where it is found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetAuth {
    /// The header that carries the credential.
    pub scheme: AuthScheme,
    /// The environment variables that may hold the credential; the first that is set is used.
    #[serde(default)]
    pub env: Vec<String>,
}

/// The header that carries a credential: one at a time, as real clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthScheme {
    /// `x-api-key: KEY`
    XApiKey,
    /// `authorization: Bearer KEY`
    Bearer,
}

/// Where a claim stands, and when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimSource {
    /// A short name, for reports.
    pub title: String,
    /// The page's address, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Which revision of the page this is, in words or as the provider numbers it.
    pub revision: String,
    /// The day the page was read, `YYYY-MM-DD`.
    pub read_on: String,
}

/// Sizes and rates that the page promises. All are optional; an absent one bounds nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetLimits {
    /// Requests a minute: feeds the rate limiter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Input and output tokens a minute: feeds the rate limiter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u32>,
    /// Requests under way at once: how many are sent side by side, unless `--concurrency` says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u16>,
    /// The longest prompt and answer together, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
    /// The longest prompt, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_input_tokens: Option<u32>,
    /// The longest answer, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
}

impl TargetLimits {
    /// True when they state what a row requires.
    pub fn satisfies(&self, requirement: LimitRequirement) -> bool {
        match requirement {
            LimitRequirement::MaxOutputTokens => self.max_output_tokens.is_some(),
            LimitRequirement::ContextTokens => self.context_tokens.is_some(),
        }
    }
}

/// US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetPrices {
    /// Input tokens that were neither written to nor read from a cache.
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
    let is_one = price.is_finite() && price >= 0.0;
    is_one.then_some(price).ok_or_else(|| D::Error::custom("a price is a number of US dollars, and not below 0"))
}

/// What the document says of one row.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The status that the page's words amount to.
    pub status: ClaimStatus,
    /// The page's own words, where they say more than the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The claimed range of values, for rows about a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ClaimedRange>,
    /// The title of the source that says so, when it is not the target's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A closed range of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimedRange {
    /// The least value that is allowed.
    pub min: f64,
    /// The greatest value that is allowed.
    pub max: f64,
}
