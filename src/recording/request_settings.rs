//! [`RequestSettings`]: the properties of a target and of a run that every request uses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::{Target, deserialize_context_tokens};

/// The upper bound of `temperature` in the documentation of the Messages API.
pub const REFERENCE_TEMPERATURE_MAX: f64 = 1.0;

/// The properties of a target and of a run that every request uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestSettings {
    /// The requested model.
    pub model: String,
    /// The value of `anthropic-version`.
    pub anthropic_version: String,
    /// Other headers that every request needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `max_tokens` of requests that do not set it. It is large enough for a model that also thinks
    /// if the request does not ask for thinking.
    pub answer_tokens: u32,
    /// The claimed upper bound of `temperature`, or [`REFERENCE_TEMPERATURE_MAX`].
    pub temperature_max: f64,
    /// The claimed maximum of output tokens.
    pub max_output_tokens: Option<u32>,
    /// The claimed size of the context window.
    #[serde(default, deserialize_with = "deserialize_context_tokens")]
    pub context_tokens: Option<u32>,
}

impl RequestSettings {
    /// Settings of no target, for requests whose form matters and not their values.
    pub fn neutral() -> Self {
        Self {
            model: "model".to_owned(),
            anthropic_version: "2023-06-01".to_owned(),
            answer_tokens: 1,
            temperature_max: REFERENCE_TEMPERATURE_MAX,
            max_output_tokens: Some(1),
            context_tokens: Some(0),
            headers: BTreeMap::new(),
        }
    }

    /// The settings that follow from a target's file.
    pub fn from_target(target: &Target, answer_tokens: u32) -> Self {
        Self {
            model: target.model.clone(),
            anthropic_version: target.anthropic_version.clone(),
            headers: target.headers.clone(),
            answer_tokens,
            temperature_max: temperature_max(target),
            max_output_tokens: target.limits.max_output_tokens,
            context_tokens: target.limits.context_tokens,
        }
    }
}

/// The claimed upper bound of `temperature`, or [`REFERENCE_TEMPERATURE_MAX`].
pub fn temperature_max(target: &Target) -> f64 {
    let range = |row: &str| target.claims.get(row).and_then(|claim| claim.range);
    range("field.temperature.range")
        .or_else(|| range("field.temperature"))
        .map_or(REFERENCE_TEMPERATURE_MAX, |range| range.max)
}

/// The form of texts in messages. A run uses the form that the endpoint reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextForm {
    /// `content: "…"`
    #[default]
    String,
    /// `content: [{type: text, text: "…"}]`
    Blocks,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_window_that_would_fill_the_memory_is_rejected() {
        let mut settings = serde_json::to_value(RequestSettings::neutral()).unwrap();
        assert!(serde_json::from_value::<RequestSettings>(settings.clone()).is_ok());
        settings["context_tokens"] = u32::MAX.into();
        assert!(serde_json::from_value::<RequestSettings>(settings).is_err());
    }
}
