//! [`Target`]: an endpoint with its model, its limits and one [`Claim`] per line of its support table.
//!
//! Must not know experiments: rows are only names here. `load` validates that a claimed row exists.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::catalog::credential_source::CredentialSource;
use crate::catalog::experiment::LimitRequirement;
use crate::catalog::status::ClaimStatus;
use crate::string_enum::string_enum;
use crate::wire::exchange::AuthScheme;

/// A target file: an endpoint, and what its documentation claims.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The name on the command line and in file names, for example `deepseek`. A loaded target of a file
    /// with a `revision` is named `NAME@REVISION`.
    pub name: String,
    /// The revision of the support table, for example the month in which it was published: `2026-04`.
    /// Revisions of one name are ordered as text. The name alone means the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
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
    /// Headers that every request needs besides the credential, for example `anthropic-workspace-id`.
    /// They must not be secret: recordings contain them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
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

impl Target {
    /// The claim about a row for requests to a model.
    pub fn claim(&self, row: &str, model: &str) -> Option<&Claim> {
        self.claims.get(row).filter(|claim| claim.applies_to(model))
    }
}

/// How a credential is sent, and the environment variables that may hold it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TargetAuth {
    /// The header that carries the credential.
    pub scheme: AuthScheme,
    /// Environment variables that may hold the credential. The first one that is set is used.
    #[serde(default)]
    pub env: Vec<String>,
}

/// A document with claims, and when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// How well the page is known.
    #[serde(default, skip_serializing_if = "SourceSureness::is_page_read")]
    pub sureness: SourceSureness,
}

string_enum! {
    /// How well the claims of a source are known.
    #[derive(Default)]
    pub enum SourceSureness {
        /// The provider's page was read completely.
        #[default]
        PageRead = "page-read",
        /// The page was read in part, or through a careful transcription.
        Transcribed = "transcribed",
        /// A single statement, or the word of a third party.
        Reported = "reported",
    }
}

impl SourceSureness {
    /// True for the default, which files do not state.
    fn is_page_read(&self) -> bool {
        *self == Self::PageRead
    }
}

/// Size and rate limits from the documentation. All are optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TargetLimits {
    /// Requests per minute, for the rate limiter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Input and output tokens per minute, for the rate limiter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u32>,
    /// Requests in flight, unless `--concurrency` overrides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u16>,
    /// The maximum of prompt and response together, in tokens.
    #[serde(deserialize_with = "deserialize_context_tokens", skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
    /// The maximum prompt, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_input_tokens: Option<u32>,
    /// The maximum response, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
}

/// The largest context window that can be stated: a row exceeds it with a text.
const MAX_CONTEXT_TOKENS: u32 = 12_000_000;

/// Reads a context window. A file must not be able to make a text that fills the memory.
pub(crate) fn deserialize_context_tokens<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<u32>, D::Error> {
    let tokens = Option::<u32>::deserialize(reader)?;
    match tokens {
        Some(tokens) if tokens > MAX_CONTEXT_TOKENS => {
            Err(D::Error::custom(format!("`context_tokens` is {tokens}; the largest value is {MAX_CONTEXT_TOKENS}")))
        }
        _ => Ok(tokens),
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TargetPrices {
    /// Input tokens that are neither written to a cache nor read from it.
    #[serde(deserialize_with = "deserialize_price")]
    #[cfg_attr(test, schemars(range(min = 0.0)))]
    pub input: f64,
    /// Output tokens.
    #[serde(deserialize_with = "deserialize_price")]
    #[cfg_attr(test, schemars(range(min = 0.0)))]
    pub output: f64,
}

fn deserialize_price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let price = f64::deserialize(deserializer)?;
    let is_valid = price.is_finite() && price >= 0.0;
    is_valid.then_some(price).ok_or_else(|| D::Error::custom("a price must be a number of US dollars, 0 or more"))
}

/// What the documentation states about one row.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The status.
    pub status: ClaimStatus,
    /// What is missing or different, for a claim of `partial`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// The wording of the page, if it says more than the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The claimed range of values, for rows about a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ClaimedRange>,
    /// The values that are allowed, if the page lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The models that the claim is about, as prefixes of their names. By default, all models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The title of the source, if it is not the target's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How well the claim is known, if not as well as its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sureness: Option<SourceSureness>,
}

impl Claim {
    /// A claim with a status and nothing else.
    pub fn new(status: ClaimStatus) -> Self {
        Self {
            status,
            missing: None,
            note: None,
            range: None,
            values: Vec::new(),
            models: Vec::new(),
            source: None,
            sureness: None,
        }
    }

    /// The status and what limits it, for a table: `supported (low, high; only minimax-m3)`.
    pub fn summary(&self) -> String {
        let range = self.range.map(|range| format!("{} to {}", range.min, range.max));
        let values = (!self.values.is_empty()).then(|| self.values.join(", "));
        let models = (!self.models.is_empty()).then(|| format!("only {}", self.models.join(", ")));
        let limits: Vec<String> =
            [range, values, models, self.missing.clone(), self.note.clone()].into_iter().flatten().collect();
        match limits.is_empty() {
            true => self.status.to_string(),
            false => format!("{} ({})", self.status, limits.join("; ")),
        }
    }

    /// True if the claim is about this model.
    pub fn applies_to(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|prefix| model.starts_with(prefix.as_str()))
    }
}

/// A closed range of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClaimedRange {
    /// The smallest allowed value.
    pub min: f64,
    /// The largest allowed value.
    pub max: f64,
}
