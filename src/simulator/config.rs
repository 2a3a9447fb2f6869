//! What a simulated server is to be like: the statuses of its rows, its limits and how bad its day is.
//!
//! Plain data. It knows targets' claims; it does not know how the server acts on them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::catalog::{ClaimStatus, ClaimedRange, FieldSpec, Target};
use crate::simulator::custom_field::CustomField;
use crate::simulator::fault::{BehaviourFault, SimulatorFault};
use crate::simulator::fields::row::ROW_IDS;

/// The credential that a simulated server accepts unless its behaviour names another.
pub const DEFAULT_CREDENTIAL: &str = "fieldtest-simulator";

/// The range of `temperature` that the Messages API itself documents.
const REFERENCE_TEMPERATURE_RANGE: ClaimedRange = ClaimedRange { min: 0.0, max: 1.0 };

/// The context window of a server whose limits name none, in tokens.
const REFERENCE_CONTEXT_TOKENS: u32 = 200_000;

/// Everything that distinguishes one simulated server from another.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorConfig {
    /// The status of each row, by id. An absent row is supported.
    pub statuses: BTreeMap<String, ClaimStatus>,
    /// Rows that the simulator does not know by name, with the places of their fields.
    pub fields: BTreeMap<String, FieldSpec>,
    /// The one model that is served.
    pub model: String,
    /// The values of `temperature` that are accepted.
    pub temperature: ClaimedRange,
    /// The largest `max_tokens` that is accepted. None accepts any.
    pub max_output_tokens: Option<u32>,
    /// The most tokens that a prompt may have.
    pub context_tokens: u32,
    /// The one right credential. None stands for [`DEFAULT_CREDENTIAL`].
    pub credential: Option<String>,
    /// How bad the server's day is.
    pub impairments: SimulatorImpairments,
    /// The rules that it breaks.
    pub faults: Vec<SimulatorFault>,
    /// Seeds every draw: the same requests to the same server get the same answers.
    pub seed: u64,
}

/// How bad the simulated server's day is. The default is a perfect day.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SimulatorImpairments {
    /// The probability that the model does not do as it is told, for each answer.
    pub disobedience: f64,
    /// How that probability changes while the server is up. None keeps it.
    pub drift: Option<DisobedienceDrift>,
    /// The wait before each answer; a tenth of it lies between two events of a stream.
    pub latency: Duration,
    /// The most that is added to the wait before an answer, drawn evenly.
    pub jitter: Duration,
    /// The probability of a 429.
    pub rate_429: f64,
    /// The `retry-after` of 429 and 529 answers, in seconds. None sends no such header.
    pub retry_after: Option<u64>,
    /// The probability of a 529.
    pub rate_529: f64,
    /// The probability that the connection breaks: before the answer, or in the midst of a stream.
    pub rate_reset: f64,
    /// Requests that are answered in a window, before they are refused with a 429. None answers all.
    pub limit_requests: Option<u32>,
    /// The same for the tokens of prompts, at four bytes each.
    pub limit_tokens: Option<u32>,
    /// The time in which these limits, used up, are filled again.
    pub limit_window: Duration,
}

/// A model that does not stay as it is: its disobedience moves to another value, in equal steps, and stays there.
///
/// Time is counted in answers of the model, so that a drift does not depend on how fast the machine is. Where requests
/// come side by side, which of them meets which step is as open as their order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DisobedienceDrift {
    /// The probability that it ends at.
    pub final_probability: f64,
    /// How many answers come before it begins.
    pub delay_responses: u64,
    /// How many answers it takes. 0 is a jump.
    pub duration_responses: u64,
}

impl SimulatorImpairments {
    /// The disobedience of the model's answer after it has given so many.
    pub(super) fn disobedience_after(&self, answers: u64) -> f64 {
        let Some(drift) = self.drift else { return self.disobedience };
        let share = match answers.checked_sub(drift.delay_responses) {
            None => 0.0,
            Some(gone) if gone >= drift.duration_responses => 1.0,
            Some(gone) => gone as f64 / drift.duration_responses as f64,
        };
        self.disobedience + (drift.final_probability - self.disobedience) * share
    }
}

/// The row is none that a simulated server can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulator has no row '{0}'")]
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
            faults: Vec::new(),
            seed: 0,
        }
    }
}

impl SimulatorConfig {
    /// The server that a target's document describes. Claims of rows that no server shows in its answers, such as rates,
    /// are passed over.
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
            temperature: range("field.temperature.range")
                .or_else(|| range("field.temperature"))
                .unwrap_or(REFERENCE_TEMPERATURE_RANGE),
            max_output_tokens: target.limits.max_output_tokens,
            context_tokens: target.limits.context_tokens.unwrap_or(REFERENCE_CONTEXT_TOKENS),
            ..Self::default()
        }
    }

    /// Makes rows known that the simulator has no name for, by the places of their fields, with the target's claims of
    /// them. Rows that it does know stay what they are.
    pub fn add_fields<'a>(&mut self, target: &Target, fields: impl IntoIterator<Item = (&'a str, &'a FieldSpec)>) {
        for (row, field) in fields.into_iter().filter(|(row, _)| !ROW_IDS.contains(row)) {
            self.fields.insert(row.to_owned(), field.clone());
            self.statuses.extend(target.claims.get(row).map(|claim| (row.to_owned(), claim.status)));
        }
    }

    /// The fields that it was told of, each with its status.
    pub(super) fn custom_fields(&self) -> Vec<CustomField> {
        let status = |row: &str| self.statuses.get(row).copied().unwrap_or(ClaimStatus::Supported);
        let own = self.fields.iter().filter(|(_, field)| field.at.row().is_none());
        own.map(|(row, field)| CustomField::new(row, field, status(row))).collect()
    }

    /// The row under which the simulator knows a row's field: its own, or the one that it refers to.
    pub fn field_id<'a>(&'a self, row: &'a str) -> Option<&'a str> {
        if ROW_IDS.contains(&row) {
            return Some(row);
        }
        match self.fields.get(row)?.at.row() {
            None => Some(row),
            // One step, as in case files: two rows that refer to each other lead nowhere.
            Some(other) => {
                let leads = ROW_IDS.contains(&other) || self.fields.get(other).is_some_and(|f| f.at.row().is_none());
                leads.then_some(other)
            }
        }
    }

    /// The status that a row has; none where the simulator does not know it.
    pub fn status(&self, row: &str) -> Option<ClaimStatus> {
        let row = self.field_id(row)?;
        Some(self.statuses.get(row).copied().unwrap_or(ClaimStatus::Supported))
    }

    /// Gives one row another status.
    pub fn set_status(&mut self, row: &str, status: ClaimStatus) -> Result<(), UnknownRow> {
        let known = self.field_id(row).ok_or_else(|| UnknownRow(row.to_owned()))?.to_owned();
        self.statuses.insert(known, status);
        Ok(())
    }

    /// True when the server is to have this fault.
    pub(super) fn has_fault(&self, fault: BehaviourFault) -> bool {
        self.faults.iter().any(|own| own.is_behaviour(fault))
    }

    /// The credential that is right.
    pub fn expected_credential(&self) -> &str {
        self.credential.as_deref().unwrap_or(DEFAULT_CREDENTIAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{AuthScheme, Claim, TargetAuth, TargetLimits};

    fn sample_target() -> Target {
        let claim = |status, range| Claim { status, note: None, range, source: None };
        Target {
            name: "t".into(),
            title: "T".into(),
            base_url: None,
            auth: TargetAuth { scheme: AuthScheme::XApiKey, env: vec![] },
            credential: None,
            model: "m".into(),
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
    fn a_behaviour_takes_the_targets_claims_and_limits() {
        let behaviour = SimulatorConfig::from_target(&sample_target());
        assert_eq!(behaviour.statuses.len(), 2);
        assert_eq!(behaviour.temperature.max, 2.0);
        assert_eq!(behaviour.max_output_tokens, Some(4096));
        assert_eq!((behaviour.context_tokens, SimulatorConfig::default().context_tokens), (9000, 200_000));
        assert_eq!(behaviour.expected_credential(), DEFAULT_CREDENTIAL);
    }

    #[test]
    fn disobedience_drifts_from_one_value_to_the_other_and_stays_there() {
        let rates = |drift, answers: [u64; 5]| {
            let knobs = SimulatorImpairments { disobedience: 0.25, drift, ..SimulatorImpairments::default() };
            answers.map(|n| knobs.disobedience_after(n))
        };
        let slow = DisobedienceDrift { final_probability: 0.75, delay_responses: 10, duration_responses: 20 };
        assert_eq!(rates(Some(slow), [0, 10, 20, 30, u64::MAX]), [0.25, 0.25, 0.5, 0.75, 0.75]);
        let jump = DisobedienceDrift { final_probability: 0.0, delay_responses: 10, duration_responses: 0 };
        assert_eq!(rates(Some(jump), [0, 9, 10, 11, u64::MAX]), [0.25, 0.25, 0.0, 0.0, 0.0]);
        assert_eq!(rates(None, [0, 1, 2, 3, u64::MAX]), [0.25; 5]);
    }

    #[test]
    fn flipping_names_an_unknown_row() {
        let mut behaviour = SimulatorConfig::from_target(&sample_target());
        assert_eq!(behaviour.set_status("field.top_q", ClaimStatus::Ignored), Err(UnknownRow("field.top_q".into())));
        behaviour.set_status("field.top_k", ClaimStatus::Unsupported).unwrap();
        assert_eq!(behaviour.statuses["field.top_k"], ClaimStatus::Unsupported);
    }
}
