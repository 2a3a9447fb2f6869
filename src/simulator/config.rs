//! The configuration of a simulated server: [`SimulatorConfig`] has the statuses of its rows, its
//! limits, its faults and its [`SimulatorImpairments`].
//!
//! Plain data. It knows the claims of targets. It must not know how the server implements them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::catalog::{ClaimStatus, ClaimedRange, FieldSpec, Target};
use crate::simulator::fault::catalog::{BehaviourFault, SimulatorFault};
use crate::simulator::fields::row::ROW_IDS;
use crate::string_enum::string_enum;
use crate::wire::exchange::AuthScheme;

/// The credential of a server whose configuration sets none.
pub const DEFAULT_CREDENTIAL: &str = "fieldtest-simulator";

/// The range of `temperature` that the Messages API itself documents.
const REFERENCE_TEMPERATURE_RANGE: ClaimedRange = ClaimedRange { min: 0.0, max: 1.0 };

/// The context window in tokens, if the target's limits do not set one.
const REFERENCE_CONTEXT_TOKENS: u32 = 200_000;

/// Everything that distinguishes one simulated server from another.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorConfig {
    /// The status of each row, by id. Missing rows are supported.
    pub statuses: BTreeMap<String, ClaimStatus>,
    /// The locations of fields that the simulator does not know by name, by row.
    pub fields: BTreeMap<String, FieldSpec>,
    /// The one model that is served.
    pub model: String,
    /// The accepted values of `temperature`.
    pub temperature: ClaimedRange,
    /// The largest accepted `max_tokens`. `None` accepts any.
    pub max_output_tokens: Option<u32>,
    /// The largest number of tokens in a prompt.
    pub context_tokens: u32,
    /// The header of the target's credential. `api-key` is read only if it is that header.
    pub auth: AuthScheme,
    /// The accepted credential. `None` means [`DEFAULT_CREDENTIAL`].
    pub credential: Option<String>,
    /// Errors, delays and rate limits.
    pub impairments: SimulatorImpairments,
    /// The rules that the server breaks.
    pub faults: Vec<SimulatorFault>,
    /// The seed of all random values. Equal requests to servers with the same seed get equal
    /// responses.
    pub seed: u64,
}

/// Errors, delays and rate limits of a server. The default has none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SimulatorImpairments {
    /// The probability that the model disobeys, for each response.
    pub disobedience: f64,
    /// How that probability changes over time. `None` keeps it constant.
    pub drift: Option<DisobedienceDrift>,
    /// The delay before each response. The events of a stream are a tenth of it apart.
    pub latency: Duration,
    /// The upper bound of a uniformly distributed additional delay.
    pub jitter: Duration,
    /// The probability of a 429.
    pub rate_429: f64,
    /// The `retry-after` header of 429 and 529 responses, in seconds. `None` sends no header.
    pub retry_after: Option<u64>,
    /// The probability of a 529.
    pub rate_529: f64,
    /// The probability that the connection is reset, before the response or in the middle of a
    /// stream.
    pub rate_reset: f64,
    /// A stretch of trouble that has nothing to do with the requests.
    pub trouble: Option<SimulatedTrouble>,
    /// The probability that a content filter rejects a request, whatever it contains.
    pub rate_filter: f64,
    /// The number of requests that are accepted in a window. Others get 429. `None` accepts all.
    pub limit_requests: Option<u32>,
    /// The same for prompt tokens, at four bytes per token.
    pub limit_tokens: Option<u32>,
    /// The time in which an empty limit fills up again.
    pub limit_window: Duration,
}

string_enum! {
    /// The kinds of trouble.
    pub enum SimulatedTroubleKind {
        /// 400: the credit is used up.
        Credit = "credit",
        /// 400: the quota is exceeded.
        Quota = "quota",
        /// 400: too many requests.
        RateLimit = "rate-limit",
        /// 404: the model does not exist.
        Deployment = "deployment",
        /// 403: the model is not available in this region.
        Region = "region",
        /// 401: the key has expired.
        Key = "key",
        /// 200 with a web page.
        Page = "page",
        /// 500: an internal error.
        Internal = "internal",
    }
}

/// A stretch of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulatedTrouble {
    /// What the server returns.
    pub kind: SimulatedTroubleKind,
    /// The number of requests before it.
    pub after_requests: u64,
    /// Its duration. `None` means that it does not end.
    pub duration: Option<Duration>,
}

/// A model that changes: its disobedience moves in equal steps to another probability and stays
/// there.
///
/// Time is counted in responses of the model, so a drift does not depend on the speed of the
/// machine. The step that applies to a request depends on the order of parallel requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DisobedienceDrift {
    /// The probability at the end.
    pub final_probability: f64,
    /// The number of responses before the drift starts.
    pub delay_responses: u64,
    /// The number of responses that the drift takes. 0 is a jump.
    pub duration_responses: u64,
}

impl SimulatorImpairments {
    /// The disobedience after this number of responses.
    pub(super) fn disobedience_after(&self, responses: u64) -> f64 {
        let Some(drift) = self.drift else { return self.disobedience };
        let share = match responses.checked_sub(drift.delay_responses) {
            None => 0.0,
            Some(elapsed) if elapsed >= drift.duration_responses => 1.0,
            Some(elapsed) => elapsed as f64 / drift.duration_responses as f64,
        };
        self.disobedience + (drift.final_probability - self.disobedience) * share
    }
}

/// The simulator does not know the row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulator has no row `{0}`. `fieldtest rows` lists the rows")]
pub struct UnknownRow(pub String);

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            statuses: BTreeMap::new(),
            fields: BTreeMap::new(),
            model: "simulated-model".to_owned(),
            temperature: REFERENCE_TEMPERATURE_RANGE,
            max_output_tokens: None,
            context_tokens: REFERENCE_CONTEXT_TOKENS,
            credential: None,
            impairments: SimulatorImpairments::default(),
            auth: AuthScheme::XApiKey,
            faults: Vec::new(),
            seed: 0,
        }
    }
}

impl SimulatorConfig {
    /// The server that a target's claims describe. Claims that do not show in responses, such as
    /// rate limits, are left out.
    pub fn from_target(target: &Target) -> Self {
        let statuses = target
            .claims
            .iter()
            .filter(|(row, _)| ROW_IDS.contains(&row.as_str()))
            .map(|(row, claim)| (row.clone(), claim.status))
            .collect();
        let range = |row: &str| target.claims.get(row).and_then(|claim| claim.range);
        Self {
            statuses,
            model: target.model.clone(),
            auth: target.auth.scheme,
            temperature: range("field.temperature.range")
                .or_else(|| range("field.temperature"))
                .unwrap_or(REFERENCE_TEMPERATURE_RANGE),
            max_output_tokens: target.limits.max_output_tokens,
            context_tokens: target.limits.context_tokens.unwrap_or(REFERENCE_CONTEXT_TOKENS),
            ..Self::default()
        }
    }

    /// Adds rows that the simulator does not know by name, by the locations of their fields, with
    /// the target's claims. Rows that it knows stay as they are.
    pub fn add_fields<'a>(&mut self, target: &Target, fields: impl IntoIterator<Item = (&'a str, &'a FieldSpec)>) {
        for (row, field) in fields.into_iter().filter(|(row, _)| !ROW_IDS.contains(row)) {
            self.fields.insert(row.to_owned(), field.clone());
            self.statuses.extend(target.claims.get(row).map(|claim| (row.to_owned(), claim.status)));
        }
    }

    /// The row under which the simulator knows a row's field: the row itself, or the row that it
    /// refers to.
    pub fn field_id<'a>(&'a self, row: &'a str) -> Option<&'a str> {
        if ROW_IDS.contains(&row) {
            return Some(row);
        }
        match self.fields.get(row)?.at.row() {
            None => Some(row),
            // One step, as in case files. Rows that refer to each other are unknown.
            Some(other) => {
                let leads = ROW_IDS.contains(&other) || self.fields.get(other).is_some_and(|f| f.at.row().is_none());
                leads.then_some(other)
            }
        }
    }

    /// The status of a row. `None` if the simulator does not know it.
    pub fn status(&self, row: &str) -> Option<ClaimStatus> {
        let row = self.field_id(row)?;
        Some(self.statuses.get(row).copied().unwrap_or(ClaimStatus::Supported))
    }

    /// Sets the status of a row.
    pub fn set_status(&mut self, row: &str, status: ClaimStatus) -> Result<(), UnknownRow> {
        let known = self.field_id(row).ok_or_else(|| UnknownRow(row.to_owned()))?.to_owned();
        self.statuses.insert(known, status);
        Ok(())
    }

    /// Whether the server has this fault.
    pub(super) fn has_fault(&self, fault: BehaviourFault) -> bool {
        self.faults.contains(&fault.into())
    }

    /// The accepted credential.
    pub fn expected_credential(&self) -> &str {
        self.credential.as_deref().unwrap_or(DEFAULT_CREDENTIAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Claim, TargetAuth, TargetLimits};
    use crate::wire::exchange::AuthScheme;

    fn sample_target() -> Target {
        let claim = |status, range| Claim { range, ..Claim::new(status) };
        Target {
            name: "t".into(),
            title: "T".into(),
            base_url: None,
            auth: TargetAuth { scheme: AuthScheme::XApiKey, env: vec![] },
            credential: None,
            model: "m".into(),
            revision: None,
            headers: BTreeMap::new(),
            anthropic_version: "2023-06-01".into(),
            sources: vec![],
            limits: TargetLimits {
                max_output_tokens: Some(4096),
                context_tokens: Some(9000),
                ..TargetLimits::default()
            },
            prices: None,
            account: None,
            claims: BTreeMap::from([
                ("field.top_k".to_owned(), claim(ClaimStatus::Ignored, None)),
                (
                    "field.temperature".to_owned(),
                    claim(ClaimStatus::Supported, Some(ClaimedRange { min: 0.0, max: 2.0 })),
                ),
                ("limit.requests_per_minute".to_owned(), claim(ClaimStatus::Supported, None)),
            ]),
        }
    }

    #[test]
    fn from_target_takes_claims_and_limits() {
        let config = SimulatorConfig::from_target(&sample_target());
        assert_eq!(config.statuses.len(), 2);
        assert_eq!(config.temperature.max, 2.0);
        assert_eq!(config.max_output_tokens, Some(4096));
        assert_eq!((config.context_tokens, SimulatorConfig::default().context_tokens), (9000, 200_000));
        assert_eq!(config.expected_credential(), DEFAULT_CREDENTIAL);
    }

    #[test]
    fn disobedience_drifts_to_the_final_probability_and_stays_there() {
        let probabilities = |drift, responses: [u64; 5]| {
            let impairments = SimulatorImpairments { disobedience: 0.25, drift, ..SimulatorImpairments::default() };
            responses.map(|n| impairments.disobedience_after(n))
        };
        let slow = DisobedienceDrift { final_probability: 0.75, delay_responses: 10, duration_responses: 20 };
        assert_eq!(probabilities(Some(slow), [0, 10, 20, 30, u64::MAX]), [0.25, 0.25, 0.5, 0.75, 0.75]);
        let jump = DisobedienceDrift { final_probability: 0.0, delay_responses: 10, duration_responses: 0 };
        assert_eq!(probabilities(Some(jump), [0, 9, 10, 11, u64::MAX]), [0.25, 0.25, 0.0, 0.0, 0.0]);
        assert_eq!(probabilities(None, [0, 1, 2, 3, u64::MAX]), [0.25; 5]);
    }

    #[test]
    fn setting_the_status_of_an_unknown_row_fails() {
        let mut config = SimulatorConfig::from_target(&sample_target());
        assert_eq!(config.set_status("field.top_q", ClaimStatus::Ignored), Err(UnknownRow("field.top_q".into())));
        config.set_status("field.top_k", ClaimStatus::Unsupported).unwrap();
        assert_eq!(config.statuses["field.top_k"], ClaimStatus::Unsupported);
    }
}
