//! Validation of the top-level fields except messages and tools.

use serde_json::Value;

use crate::simulator::error_path::ErrorPath;
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::row::SupportRow;
use crate::simulator::route::MessagesRoute;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::request_value::{
    ApiResult, KeyPresence, KeyRule, RequestObject, RequestValue, ValueRule, reject,
};

/// The keys of both endpoints.
const SHARED_KEYS: &[&str] =
    &["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "speed"];

/// The keys of the messages endpoint only.
const MESSAGES_KEYS: &[&str] = &[
    "max_tokens",
    "container",
    "mcp_servers",
    "metadata",
    "service_tier",
    "stop_sequences",
    "stream",
    "temperature",
    "top_k",
    "top_p",
    "inference_geo",
    "diagnostics",
];

/// Keys that are only allowed with a beta of this family.
const BETA_KEYS: &[(&str, &str)] = &[
    ("compaction", "compact-2026-09"),
    ("context_management", "context-management-"),
    ("context_management", "compact-2026-01"),
    ("thread", "message-threads-"),
    ("fallbacks", "server-side-fallback-"),
    ("fallback_credit_token", "fallback-credit-"),
    ("billing_policy", "user-profiles-billing-"),
    ("output_format", "structured-outputs-"),
];

/// The keys of an MCP server.
const MCP_SERVER_KEYS: &[&str] = &["type", "name", "url", "authorization_token", "tool_configuration"];
const MCP_SERVER_RULES: &[KeyRule] = &[
    (KeyPresence::Required, "type", ValueRule::OneOf(&["url"])),
    (KeyPresence::Required, "name", ValueRule::NonEmptyString),
    (KeyPresence::Required, "url", ValueRule::NonEmptyString),
];

impl RequestValidator<'_> {
    pub(super) fn validate_keys(&self, body: &RequestObject) -> ApiResult {
        if self.config.has_fault(BehaviourFault::ErrorsUnknownKeyAccepted) {
            return Ok(());
        }
        let beta_keys: Vec<&str> =
            BETA_KEYS.iter().filter(|(_, family)| self.protocol.has_beta(family)).map(|(key, _)| *key).collect();
        let endpoint_keys: &[&str] = match self.endpoint {
            MessagesRoute::Messages => MESSAGES_KEYS,
            MessagesRoute::CountTokens if self.config.has_fault(BehaviourFault::CountTokensWantsMaxTokens) => {
                &["mcp_servers", "max_tokens"]
            }
            MessagesRoute::CountTokens => &["mcp_servers"],
        };
        body.reject_unknown_keys(&[SHARED_KEYS, endpoint_keys, &beta_keys])
    }

    pub(super) fn validate_fields(&self, body: &RequestObject) -> ApiResult {
        use KeyPresence::{Given, Required};
        let enforce_key = |row, rule: KeyRule| self.enforce(row, || body.validate_keys(&[rule]));
        enforce_key(SupportRow::Model, (Required, "model", ValueRule::NonEmptyString))?;
        if self.endpoint == MessagesRoute::Messages {
            let accepts = |fault, is_present: bool| is_present && self.config.has_fault(fault);
            let max_tokens = body.map.get("max_tokens");
            let is_accepted = accepts(BehaviourFault::ErrorsMissingMaxTokensAccepted, max_tokens.is_none())
                || accepts(BehaviourFault::ErrorsWrongTypeAccepted, max_tokens.is_some_and(Value::is_string));
            if !is_accepted {
                enforce_key(SupportRow::MaxTokens, (Required, "max_tokens", ValueRule::Integer))?;
            }
            self.validate_max_output_tokens(body)?;
        }
        let enforce_field = |row, key: &str, validate: fn(&RequestValue) -> ApiResult| match body.given(key) {
            Some(value) => self.enforce(row, || validate(&value)),
            None => Ok(()),
        };
        enforce_key(SupportRow::Stream, (Given, "stream", ValueRule::Boolean))?;
        enforce_field(SupportRow::StopSequences, "stop_sequences", validate_stop_sequences)?;
        enforce_field(SupportRow::Metadata, "metadata", validate_metadata)?;
        enforce_key(SupportRow::ServiceTier, (Given, "service_tier", ValueRule::OneOf(&["auto", "standard_only"])))?;
        enforce_field(SupportRow::Container, "container", validate_container)?;
        enforce_field(SupportRow::McpServers, "mcp_servers", validate_mcp_servers)?;
        let mut sampling_keys = ["temperature", "top_p", "top_k"].into_iter().filter_map(|key| body.given(key));
        if let (true, Some(value)) = (self.is_newer_version(), sampling_keys.next()) {
            return value.reject("not allowed under anthropic-version 2026-10-21");
        }
        enforce_key(SupportRow::Temperature, (Given, "temperature", ValueRule::Number))?;
        self.validate_temperature_range(body)?;
        enforce_field(SupportRow::TopP, "top_p", |value| match value.number()? {
            p if (0.0..=1.0).contains(&p) => Ok(()),
            _ => value.reject("expected a number from 0 to 1"),
        })?;
        enforce_key(SupportRow::TopK, (Given, "top_k", ValueRule::Integer))?;
        self.validate_thinking(body)?;
        self.validate_other_fields(body)
    }

    /// Validates the limit of `max_tokens`. A server that does not support its documented limit has
    /// a smaller one.
    fn validate_max_output_tokens(&self, body: &RequestObject) -> ApiResult {
        let max_tokens = body.map.get("max_tokens").and_then(Value::as_u64);
        let Some((max_tokens, limit)) = max_tokens.zip(self.config.max_output_tokens) else { return Ok(()) };
        let limit = if self.support.rejects(SupportRow::MaxOutputTokens) { limit / 4 } else { limit };
        if max_tokens <= u64::from(limit) || self.support.ignores(SupportRow::MaxOutputTokens) {
            return Ok(());
        }
        let model = &self.config.model;
        let message = format!("{max_tokens} is above the limit of {limit} output tokens of {model}");
        reject(&ErrorPath::root("max_tokens"), message)
    }

    /// Validates the range of `temperature`. A server that does not support its documented range
    /// has a smaller one.
    fn validate_temperature_range(&self, body: &RequestObject) -> ApiResult {
        let Some(temperature) = body.map.get("temperature").and_then(Value::as_f64) else { return Ok(()) };
        let min = self.config.temperature.min;
        let divisor = if self.support.rejects(SupportRow::TemperatureRange) { 2.0 } else { 1.0 };
        let max = self.config.temperature.max / divisor;
        if (min..=max).contains(&temperature) || self.support.ignores(SupportRow::TemperatureRange) {
            return Ok(());
        }
        reject(&ErrorPath::root("temperature"), format!("expected a number from {min} to {max}"))
    }
}

fn validate_stop_sequences(value: &RequestValue) -> ApiResult {
    for entry in value.items()? {
        if entry.string()?.trim().is_empty() {
            return entry.reject("each stop sequence must contain a character that is not white space");
        }
    }
    Ok(())
}

fn validate_metadata(value: &RequestValue) -> ApiResult {
    let map = value.object()?;
    map.reject_unknown_keys(&[&["user_id"]])?;
    match map.non_null("user_id") {
        Some(id) if id.string()?.chars().count() > 512 => id.reject("expected at most 512 characters"),
        _ => Ok(()),
    }
}

fn validate_container(value: &RequestValue) -> ApiResult {
    match value.json {
        Value::Null | Value::String(_) => return Ok(()),
        Value::Object(_) => {}
        _ => return value.reject("expected a container id or an object"),
    }
    let map = value.object()?;
    map.reject_unknown_keys(&[&["id", "skills"]])?;
    map.validate_keys(&[
        (KeyPresence::NonNull, "id", ValueRule::String),
        (KeyPresence::NonNull, "skills", ValueRule::Array),
    ])?;
    map.non_null("skills").map_or(Ok(()), |skills| skills.reject("needs the code execution tool"))
}

fn validate_mcp_servers(value: &RequestValue) -> ApiResult {
    let servers = value.items()?;
    if servers.len() > 20 {
        return value.reject("expected at most 20 servers");
    }
    for server in servers {
        let map = server.object()?;
        map.reject_unknown_keys(&[MCP_SERVER_KEYS])?;
        map.validate_keys(MCP_SERVER_RULES)?;
    }
    Ok(())
}
