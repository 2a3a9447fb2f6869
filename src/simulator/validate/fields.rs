//! Validation of the top-level fields except messages and tools.

use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::error_path::ErrorPath;
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::lookup::non_null;
use crate::simulator::fields::row::SupportRow;
use crate::simulator::route::MessagesRoute;
use crate::simulator::validate::types::{
    ApiResult, array, integer, non_empty_string, object, one_of, reject, reject_unknown_keys, required_one_of,
    required_value, string,
};
use crate::simulator::validate::{RequestValidator, types};

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

impl RequestValidator<'_> {
    pub(super) fn validate_keys(&self, body: &Map<String, Value>) -> ApiResult {
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
        reject_unknown_keys(body, None, &[SHARED_KEYS, endpoint_keys, &beta_keys])
    }

    pub(super) fn validate_fields(&self, body: &Map<String, Value>) -> ApiResult {
        self.enforce(SupportRow::Model, || {
            let path = ErrorPath::root("model");
            non_empty_string(required_top_level(body, &path, "model")?, &path).map(drop)
        })?;
        if self.endpoint == MessagesRoute::Messages {
            let accepts = |fault, is_present: bool| is_present && self.config.has_fault(fault);
            let max_tokens = body.get("max_tokens");
            let is_accepted = accepts(BehaviourFault::ErrorsMissingMaxTokensAccepted, max_tokens.is_none())
                || accepts(BehaviourFault::ErrorsWrongTypeAccepted, max_tokens.is_some_and(Value::is_string));
            if !is_accepted {
                self.enforce(SupportRow::MaxTokens, || validate_max_tokens(body))?;
            }
            self.validate_max_output_tokens(body)?;
        }
        self.validate_field(body, SupportRow::Stream, "stream", |value, path| types::boolean(value, path).map(drop))?;
        self.validate_field(body, SupportRow::StopSequences, "stop_sequences", validate_stop_sequences)?;
        self.validate_field(body, SupportRow::Metadata, "metadata", validate_metadata)?;
        self.validate_field(body, SupportRow::ServiceTier, "service_tier", |value, path| {
            one_of(value, path, &["auto", "standard_only"]).map(drop)
        })?;
        self.validate_field(body, SupportRow::Container, "container", validate_container)?;
        self.validate_field(body, SupportRow::McpServers, "mcp_servers", validate_mcp_servers)?;
        self.validate_sampling(body)?;
        self.validate_thinking(body)?;
        self.validate_other_fields(body)
    }

    fn validate_field(
        &self,
        body: &Map<String, Value>,
        row: SupportRow,
        key: &str,
        validate: impl FnOnce(&Value, &ErrorPath) -> ApiResult,
    ) -> ApiResult {
        match body.get(key) {
            Some(value) if self.is_enforced(row) => validate(value, &ErrorPath::root(key)),
            _ => Ok(()),
        }
    }

    /// Validates the limit of `max_tokens`. A server that does not support its documented limit has
    /// a smaller one.
    fn validate_max_output_tokens(&self, body: &Map<String, Value>) -> ApiResult {
        let (Some(max_tokens), Some(limit)) =
            (body.get("max_tokens").and_then(Value::as_u64), self.config.max_output_tokens)
        else {
            return Ok(());
        };
        let limit = if self.support.rejects(SupportRow::MaxOutputTokens) { limit / 4 } else { limit };
        if max_tokens <= u64::from(limit) || self.support.ignores(SupportRow::MaxOutputTokens) {
            return Ok(());
        }
        let model = &self.config.model;
        reject(
            &ErrorPath::root("max_tokens"),
            format!("{max_tokens} is above the limit of {limit} output tokens of {model}"),
        )
    }

    fn validate_sampling(&self, body: &Map<String, Value>) -> ApiResult {
        if self.is_newer_version()
            && let Some(key) = ["temperature", "top_p", "top_k"].into_iter().find(|key| body.contains_key(*key))
        {
            return reject(&ErrorPath::root(key), "not allowed under anthropic-version 2026-10-21");
        }
        self.validate_field(body, SupportRow::Temperature, "temperature", |value, path| number(value, path).map(drop))?;
        self.validate_temperature_range(body)?;
        self.validate_field(body, SupportRow::TopP, "top_p", |value, path| match number(value, path)? {
            p if (0.0..=1.0).contains(&p) => Ok(()),
            _ => reject(path, "expected a number from 0 to 1"),
        })?;
        self.validate_field(body, SupportRow::TopK, "top_k", |value, path| integer(value, path).map(drop))
    }

    /// Validates the range of `temperature`. A server that does not support its documented range
    /// has a smaller one.
    fn validate_temperature_range(&self, body: &Map<String, Value>) -> ApiResult {
        let Some(temperature) = body.get("temperature").and_then(Value::as_f64) else { return Ok(()) };
        let min = self.config.temperature.min;
        let divisor = if self.support.rejects(SupportRow::TemperatureRange) { 2.0 } else { 1.0 };
        let max = self.config.temperature.max / divisor;
        if (min..=max).contains(&temperature) || self.support.ignores(SupportRow::TemperatureRange) {
            return Ok(());
        }
        reject(&ErrorPath::root("temperature"), format!("expected a number from {min} to {max}"))
    }
}

fn number(value: &Value, path: &ErrorPath) -> ApiResult<f64> {
    value.as_f64().ok_or_else(|| ApiError::invalid_field(path, "expected a number"))
}

fn validate_max_tokens(body: &Map<String, Value>) -> ApiResult {
    let path = ErrorPath::root("max_tokens");
    integer(required_top_level(body, &path, "max_tokens")?, &path).map(drop)
}

fn required_top_level<'a>(body: &'a Map<String, Value>, path: &ErrorPath, key: &str) -> ApiResult<&'a Value> {
    body.get(key).ok_or_else(|| ApiError::invalid_field(path, "required"))
}

fn validate_stop_sequences(value: &Value, path: &ErrorPath) -> ApiResult {
    for (i, entry) in array(value, path)?.iter().enumerate() {
        let path = path.index(i);
        if string(entry, &path)?.trim().is_empty() {
            return reject(&path, "each stop sequence must contain a character that is not white space");
        }
    }
    Ok(())
}

fn validate_metadata(value: &Value, path: &ErrorPath) -> ApiResult {
    let map = object(value, path)?;
    reject_unknown_keys(map, Some(path), &[&["user_id"]])?;
    let Some(user) = non_null(map, "user_id") else { return Ok(()) };
    let path = path.key("user_id");
    if string(user, &path)?.chars().count() > 512 {
        return reject(&path, "expected at most 512 characters");
    }
    Ok(())
}

fn validate_container(value: &Value, path: &ErrorPath) -> ApiResult {
    match value {
        Value::Null | Value::String(_) => Ok(()),
        Value::Object(map) => {
            reject_unknown_keys(map, Some(path), &[&["id", "skills"]])?;
            if map.get("id").is_some_and(|id| !id.is_null() && !id.is_string()) {
                return reject(&path.key("id"), "expected a string");
            }
            match non_null(map, "skills") {
                None => Ok(()),
                Some(skills) => {
                    array(skills, &path.key("skills"))?;
                    reject(&path.key("skills"), "needs the code execution tool")
                }
            }
        }
        _ => reject(path, "expected a container id or an object"),
    }
}

fn validate_mcp_servers(value: &Value, path: &ErrorPath) -> ApiResult {
    let servers = array(value, path)?;
    if servers.len() > 20 {
        return reject(path, "expected at most 20 servers");
    }
    for (i, server) in servers.iter().enumerate() {
        let path = path.index(i);
        let map = object(server, &path)?;
        reject_unknown_keys(
            map,
            Some(&path),
            &[&["type", "name", "url", "authorization_token", "tool_configuration"]],
        )?;
        required_one_of(map, &path, "type", &["url"])?;
        non_empty_string(required_value(map, &path, "name")?, &path.key("name"))?;
        non_empty_string(required_value(map, &path, "url")?, &path.key("url"))?;
    }
    Ok(())
}
