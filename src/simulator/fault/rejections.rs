//! What a server refuses only because a fault of its conduct makes it: requests that the reference answers.

use serde_json::{Map, Value};

use crate::simulator::api_error::Refusal;
use crate::simulator::content_block::Block;
use crate::simulator::error_path::Path;
use crate::simulator::fault::ConductFault as Fault;
use crate::simulator::fields::find::{array, block_of, tool_tag};
use crate::simulator::validate::cache_control::markers;
use crate::simulator::validate::thinking::{brings_results, is_thinking};
use crate::simulator::validate::tools::is_identifier;
use crate::simulator::validate::types::Checked;
use crate::simulator::validate::{Endpoint, Rules};

/// The keys of tools that older servers do not know.
const NEW_TOOL_KEYS: [&str; 4] = ["strict", "defer_loading", "input_examples", "eager_input_streaming"];

/// The keywords by which schemas refer and choose.
const SCHEMA_KEYWORDS: [&str; 4] = ["$ref", "anyOf", "oneOf", "allOf"];

/// The most tokens that a server with a small default lets a request ask for, and one more.
const LARGE: u64 = 32_000;

/// The longest name of a tool that a narrower server takes.
const LONG_NAME: usize = 60;

impl Rules<'_> {
    /// Refuses what the server's faults make it refuse.
    pub(crate) fn refused(&self, body: &Map<String, Value>) -> Checked {
        self.refused_fields(body)?;
        self.refused_tools(body)?;
        self.refused_thinking(body)?;
        self.refused_markers(body)?;
        for (i, message) in array(body.get("messages")).iter().enumerate() {
            let path = Path::root("messages").index(i);
            self.refused_role(message, &path)?;
            for (j, block) in array(message.get("content")).iter().enumerate() {
                self.refused_block(block, &path.key("content").index(j))?;
            }
        }
        Ok(())
    }

    /// Refuses under a fault, where what it minds is there.
    fn minds(&self, fault: Fault, there: bool, path: &Path, what: &str) -> Checked {
        if there && self.behaviour.commits(fault) { Err(Refusal::at(path, what)) } else { Ok(()) }
    }

    fn refused_fields(&self, body: &Map<String, Value>) -> Checked {
        let root = Path::root;
        let at = |key: &str| body.get(key).unwrap_or(&Value::Null);
        self.minds(Fault::SystemArrayRefused, at("system").is_array(), &root("system"), "expected a string")?;
        let uncounted = self.endpoint == Endpoint::CountTokens && !body.contains_key("max_tokens");
        self.minds(Fault::CountTokensWantsMaxTokens, uncounted, &root("max_tokens"), "required")?;
        let is_large = at("max_tokens").as_u64().is_some_and(|asked| asked >= LARGE);
        self.minds(Fault::MaxTokens32000Refused, is_large, &root("max_tokens"), "more than the model can give")?;
        let is_managed = body.contains_key("context_management");
        self.minds(Fault::ContextManagementRefused, is_managed, &root("context_management"), "unknown key")?;
        self.minds(Fault::StreamRefused, at("stream") == true, &root("stream"), "not supported")?;
        for (fault, key) in [(Fault::EffortRefused, "effort"), (Fault::FormatRefused, "format")] {
            let there = at("output_config").get(key).is_some();
            self.minds(fault, there, &root("output_config").key(key), "unknown key")?;
        }
        let user = at("metadata").get("user_id").and_then(Value::as_str);
        let is_odd = user.is_some_and(|id| !is_identifier(id, usize::MAX));
        self.minds(Fault::MetadataStrict, is_odd, &root("metadata").key("user_id"), "does not match ^[a-zA-Z0-9_-]+$")?;
        let messages = array(body.get("messages"));
        let is_prefilled = messages.last().is_some_and(|last| is(last, "role", "assistant"));
        self.minds(Fault::PrefillRefused, is_prefilled, &root("messages"), "the last message must be of role user")?;
        let rounds = messages.iter().filter(|m| brings_results(m)).count();
        self.minds(Fault::ToolsHistoryRefused, rounds > 1, &root("messages"), "invalid assistant message")
    }

    fn refused_tools(&self, body: &Map<String, Value>) -> Checked {
        for (i, tool) in array(body.get("tools")).iter().enumerate() {
            let path = Path::root("tools").index(i);
            let lacks = tool_tag(tool) != Some("custom") && tool.get("input_schema").is_none();
            self.minds(Fault::ToolsServerToolsRefused, lacks, &path.key("input_schema"), "required")?;
            if let Some(key) = NEW_TOOL_KEYS.into_iter().find(|key| tool.get(key).is_some()) {
                self.minds(Fault::ToolsNewKeysRefused, true, &path.key(key), "unknown key")?;
            }
            let is_new = tool_tag(tool).is_some_and(|tag| tag.contains("_2026"));
            self.minds(Fault::ToolsNewVersionsRefused, is_new, &path.key("type"), "unknown version")?;
            let is_long = tool.get("name").and_then(Value::as_str).is_some_and(|name| name.len() > LONG_NAME);
            self.minds(Fault::ToolsLongNameRefused, is_long, &path.key("name"), "too long")?;
            let properties = tool.get("input_schema").and_then(|schema| schema.get("properties"));
            let is_bare = properties.and_then(Value::as_object).is_some_and(Map::is_empty);
            self.minds(Fault::ToolsWithoutArgumentsRefused, is_bare, &path.key("input_schema"), "has no property")?;
            let refers = tool.get("input_schema").is_some_and(refers);
            self.minds(Fault::ToolsSchemaRefused, refers, &path.key("input_schema"), "unsupported keyword")?;
        }
        Ok(())
    }

    fn refused_thinking(&self, body: &Map<String, Value>) -> Checked {
        let path = Path::root("thinking").key("type");
        let thinking = body.get("thinking").unwrap_or(&Value::Null);
        let is_adaptive = is(thinking, "type", "adaptive");
        self.minds(Fault::ThinkingDisabledRefused, is(thinking, "type", "disabled"), &path, "expected enabled")?;
        self.minds(Fault::ThinkingAdaptiveRefused, is_adaptive, &path, "expected enabled or disabled")?;
        if !is_adaptive && !is(thinking, "type", "enabled") {
            return Ok(());
        }
        let messages = array(body.get("messages")).iter().enumerate();
        for (i, message) in messages.filter(|(_, m)| is(m, "role", "assistant")) {
            let thinks = array(message.get("content")).iter().any(is_thinking);
            let path = Path::root("messages").index(i).key("content");
            self.minds(Fault::ThinkingMustReplay, !thinks, &path, "the thinking must be passed back")?;
        }
        Ok(())
    }

    fn refused_markers(&self, body: &Map<String, Value>) -> Checked {
        let markers = markers(body);
        let Some(first) = markers.first() else { return Ok(()) };
        for (fault, key) in [(Fault::CacheTtlRefused, "ttl"), (Fault::CacheScopeRefused, "scope")] {
            if let Some(marker) = markers.iter().find(|marker| marker.value.get(key).is_some()) {
                self.minds(fault, true, &marker.path.key(key), "unknown key")?;
            }
        }
        let thinking = body.get("thinking").unwrap_or(&Value::Null);
        let thinks = is(thinking, "type", "enabled") || is(thinking, "type", "adaptive");
        let mut blocks = array(body.get("messages")).iter().flat_map(|m| array(m.get("content")));
        let both = thinks || blocks.any(is_thinking);
        self.minds(Fault::CacheWithThinkingRefused, both, &first.path, "not allowed with thinking")
    }

    fn refused_role(&self, message: &Value, path: &Path) -> Checked {
        let there = is(message, "role", "system");
        if there && self.behaviour.commits(Fault::RoleSystemCrashes) {
            return Err(Refusal::crash("unexpected role in the chat template"));
        }
        let path = path.key("role");
        self.minds(Fault::RoleSystemRefused, there, &path, "role 'system' is not supported on this model")?;
        self.minds(Fault::RoleSystemRefusedUnclearly, there, &path, "bad value")
    }

    fn refused_block(&self, value: &Value, path: &Path) -> Checked {
        let Some(block) = block_of(value) else { return Ok(()) };
        let path = path.key(block.word());
        let is_url = block == Block::Image && value.get("source").is_some_and(|source| is(source, "type", "url"));
        self.minds(Fault::ImageUrlRefused, is_url, &path.key("source").key("type"), "expected base64")?;
        self.minds(Fault::ThinkingHistoryRefused, is_thinking(value), &path, "unknown block type")?;
        let of_search = matches!(block, Block::SearchResult | Block::ToolReference | Block::ToolSearchToolResult)
            || matches!(block, Block::ServerToolUse | Block::WebSearchToolResult | Block::WebFetchToolResult);
        self.minds(Fault::HistorySearchRefused, of_search, &path, "unknown block type")?;
        if block == Block::ToolResult {
            for (i, inner) in array(value.get("content")).iter().enumerate() {
                self.refused_block(inner, &path.key("content").index(i))?;
            }
        }
        Ok(())
    }
}

/// A key of this value is this word.
fn is(value: &Value, key: &str, word: &str) -> bool {
    value.get(key).and_then(Value::as_str) == Some(word)
}

/// A schema that refers or chooses, anywhere in it.
fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.keys().any(|key| SCHEMA_KEYWORDS.contains(&key.as_str())) || map.values().any(refers),
        Value::Array(entries) => entries.iter().any(refers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
