//! The checks of the fields beside the messages and the tools.

use serde_json::{Map, Value};

use crate::simulator::api_error::Refusal;
use crate::simulator::error_path::Path;
use crate::simulator::fault::ConductFault;
use crate::simulator::fields::row::Row;
use crate::simulator::validate::types::{Checked, array, known_keys, object, one_of, required, string, whole, words};
use crate::simulator::validate::{Endpoint, Rules, types};

/// The keys that a request of messages may have and a request to count tokens may too.
const SHARED_KEYS: &[&str] =
    &["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "speed"];

/// The keys that only a request of messages may have.
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

/// Keys that exist only together with a beta of the family named beside them.
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

impl Rules<'_> {
    pub(super) fn keys(&self, body: &Map<String, Value>) -> Checked {
        if self.behaviour.commits(ConductFault::ErrorsUnknownKeyAccepted) {
            return Ok(());
        }
        let beta: Vec<&str> =
            BETA_KEYS.iter().filter(|(_, family)| self.contract.has_beta(family)).map(|(key, _)| *key).collect();
        let own: &[&str] = match self.endpoint {
            Endpoint::Messages => MESSAGES_KEYS,
            Endpoint::CountTokens if self.behaviour.commits(ConductFault::CountTokensWantsMaxTokens) => {
                &["mcp_servers", "max_tokens"]
            }
            Endpoint::CountTokens => &["mcp_servers"],
        };
        known_keys(body, None, &[SHARED_KEYS, own, &beta])
    }

    pub(super) fn fields(&self, body: &Map<String, Value>) -> Checked {
        self.when(Row::Model, || {
            let path = Path::root("model");
            words(body.get("model").ok_or_else(|| Refusal::at(&path, "required"))?, &path).map(drop)
        })?;
        if self.endpoint == Endpoint::Messages {
            let commits = |fault, there: bool| there && self.behaviour.commits(fault);
            let asked = body.get("max_tokens");
            let passes = commits(ConductFault::ErrorsMissingMaxTokensAccepted, asked.is_none())
                || commits(ConductFault::ErrorsWrongTypeAccepted, asked.is_some_and(Value::is_string));
            if !passes {
                self.when(Row::MaxTokens, || max_tokens(body))?;
            }
            self.max_output_tokens(body)?;
        }
        self.field(body, Row::Stream, "stream", |value, path| types::boolean(value, path).map(drop))?;
        self.field(body, Row::StopSequences, "stop_sequences", stop_sequences)?;
        self.field(body, Row::Metadata, "metadata", metadata)?;
        self.field(body, Row::ServiceTier, "service_tier", |value, path| {
            one_of(value, path, &["auto", "standard_only"]).map(drop)
        })?;
        self.field(body, Row::Container, "container", container)?;
        self.field(body, Row::McpServers, "mcp_servers", mcp_servers)?;
        self.sampling(body)?;
        self.thinking(body)?;
        self.rowless(body)
    }

    fn field(
        &self,
        body: &Map<String, Value>,
        row: Row,
        key: &str,
        check: impl FnOnce(&Value, &Path) -> Checked,
    ) -> Checked {
        match body.get(key) {
            Some(value) if self.on(row) => check(value, &Path::root(key)),
            _ => Ok(()),
        }
    }

    /// A server that does not support its own documented limit has a smaller one.
    fn max_output_tokens(&self, body: &Map<String, Value>) -> Checked {
        let (Some(asked), Some(limit)) =
            (body.get("max_tokens").and_then(Value::as_u64), self.behaviour.max_output_tokens)
        else {
            return Ok(());
        };
        let limit = if self.filter.refuses(Row::MaxOutputTokens) { limit / 4 } else { limit };
        if asked <= u64::from(limit) || self.filter.ignores(Row::MaxOutputTokens) {
            return Ok(());
        }
        let model = &self.behaviour.model;
        Err(Refusal::at(
            &Path::root("max_tokens"),
            format!("{asked} is above the limit of {limit} output tokens of {model}"),
        ))
    }

    fn sampling(&self, body: &Map<String, Value>) -> Checked {
        if self.is_newer_contract()
            && let Some(key) = ["temperature", "top_p", "top_k"].into_iter().find(|key| body.contains_key(*key))
        {
            return Err(Refusal::at(&Path::root(key), "not allowed under anthropic-version 2026-10-21"));
        }
        self.field(body, Row::Temperature, "temperature", |value, path| number(value, path).map(drop))?;
        self.temperature_range(body)?;
        self.field(body, Row::TopP, "top_p", |value, path| match number(value, path)? {
            p if (0.0..=1.0).contains(&p) => Ok(()),
            _ => Err(Refusal::at(path, "expected a number from 0 to 1")),
        })?;
        self.field(body, Row::TopK, "top_k", |value, path| whole(value, path).map(drop))
    }

    /// A server that does not support its own documented range has a smaller one.
    fn temperature_range(&self, body: &Map<String, Value>) -> Checked {
        let Some(given) = body.get("temperature").and_then(Value::as_f64) else { return Ok(()) };
        let min = self.behaviour.temperature.min;
        let share = if self.filter.refuses(Row::TemperatureRange) { 2.0 } else { 1.0 };
        let max = self.behaviour.temperature.max / share;
        if (min..=max).contains(&given) || self.filter.ignores(Row::TemperatureRange) {
            return Ok(());
        }
        Err(Refusal::at(&Path::root("temperature"), format!("expected a number from {min} to {max}")))
    }
}

fn number(value: &Value, path: &Path) -> Checked<f64> {
    value.as_f64().ok_or_else(|| Refusal::at(path, "expected a number"))
}

fn max_tokens(body: &Map<String, Value>) -> Checked {
    let path = Path::root("max_tokens");
    whole(body.get("max_tokens").ok_or_else(|| Refusal::at(&path, "required"))?, &path).map(drop)
}

fn stop_sequences(value: &Value, path: &Path) -> Checked {
    for (i, entry) in array(value, path)?.iter().enumerate() {
        let path = path.index(i);
        if string(entry, &path)?.trim().is_empty() {
            return Err(Refusal::at(&path, "each stop sequence must contain a character that is not white space"));
        }
    }
    Ok(())
}

fn metadata(value: &Value, path: &Path) -> Checked {
    let map = object(value, path)?;
    known_keys(map, Some(path), &[&["user_id"]])?;
    let Some(user) = map.get("user_id").filter(|v| !v.is_null()) else { return Ok(()) };
    let path = path.key("user_id");
    if string(user, &path)?.chars().count() > 512 {
        return Err(Refusal::at(&path, "expected at most 512 characters"));
    }
    Ok(())
}

fn container(value: &Value, path: &Path) -> Checked {
    match value {
        Value::Null | Value::String(_) => Ok(()),
        Value::Object(map) => {
            known_keys(map, Some(path), &[&["id", "skills"]])?;
            if map.get("id").is_some_and(|id| !id.is_null() && !id.is_string()) {
                return Err(Refusal::at(&path.key("id"), "expected a string"));
            }
            match map.get("skills").filter(|v| !v.is_null()) {
                None => Ok(()),
                Some(skills) => {
                    array(skills, &path.key("skills"))?;
                    Err(Refusal::at(&path.key("skills"), "needs the code execution tool"))
                }
            }
        }
        _ => Err(Refusal::at(path, "expected a container id or an object")),
    }
}

fn mcp_servers(value: &Value, path: &Path) -> Checked {
    let servers = array(value, path)?;
    if servers.len() > 20 {
        return Err(Refusal::at(path, "expected at most 20 servers"));
    }
    for (i, server) in servers.iter().enumerate() {
        let path = path.index(i);
        let map = object(server, &path)?;
        known_keys(map, Some(&path), &[&["type", "name", "url", "authorization_token", "tool_configuration"]])?;
        one_of(required(map, &path, "type")?, &path.key("type"), &["url"])?;
        words(required(map, &path, "name")?, &path.key("name"))?;
        words(required(map, &path, "url")?, &path.key("url"))?;
    }
    Ok(())
}
