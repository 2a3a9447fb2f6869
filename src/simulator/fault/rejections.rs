//! The faults of behaviour that reject requests which the reference server accepts.

use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::error_path::ErrorPath;
use crate::simulator::fault::catalog::BehaviourFault as Fault;
use crate::simulator::fields::lookup::{array_items, block_kind, has_role, has_type, string_at, tool_tag};
use crate::simulator::route::MessagesRoute;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::cache_control::find_markers;
use crate::simulator::validate::request_value::{ApiResult, reject};
use crate::simulator::validate::thinking::{has_tool_results, is_thinking};
use crate::simulator::validate::tools::is_identifier;

/// The tool keys that older servers do not know.
const NEW_TOOL_KEYS: [&str; 4] = ["strict", "defer_loading", "input_examples", "eager_input_streaming"];

/// The schema keywords for references and alternatives.
const SCHEMA_KEYWORDS: [&str; 4] = ["$ref", "anyOf", "oneOf", "allOf"];

/// The smallest `max_tokens` that a server with a small limit rejects.
const LARGE_MAX_TOKENS: u64 = 32_000;

/// The longest tool name that a narrow server accepts.
const MAX_NARROW_TOOL_NAME_BYTES: usize = 60;

impl RequestValidator<'_> {
    /// Rejects requests because of the server's faults.
    pub(crate) fn reject_by_faults(&self, body: &Map<String, Value>) -> ApiResult {
        self.reject_fields(body)?;
        self.reject_tools(body)?;
        self.reject_thinking(body)?;
        self.reject_cache_control(body)?;
        for (i, message) in array_items(body.get("messages")).iter().enumerate() {
            let path = ErrorPath::root("messages").index(i);
            self.reject_role(message, &path)?;
            for (j, block) in array_items(message.get("content")).iter().enumerate() {
                self.reject_block(block, &path.key("content").index(j))?;
            }
        }
        Ok(())
    }

    /// Rejects with this message if the server has the fault and the request has what it rejects.
    fn reject_if(&self, fault: Fault, is_present: bool, path: &ErrorPath, message: &str) -> ApiResult {
        if is_present && self.config.has_fault(fault) { reject(path, message) } else { Ok(()) }
    }

    fn reject_fields(&self, body: &Map<String, Value>) -> ApiResult {
        let root = ErrorPath::root;
        let field = |key: &str| body.get(key).unwrap_or(&Value::Null);
        self.reject_if(Fault::SystemArrayRefused, field("system").is_array(), &root("system"), "expected a string")?;
        let is_unbounded_count = self.endpoint == MessagesRoute::CountTokens && !body.contains_key("max_tokens");
        self.reject_if(Fault::CountTokensWantsMaxTokens, is_unbounded_count, &root("max_tokens"), "required")?;
        let is_large = field("max_tokens").as_u64().is_some_and(|max_tokens| max_tokens >= LARGE_MAX_TOKENS);
        self.reject_if(Fault::MaxTokens32000Refused, is_large, &root("max_tokens"), "more than the model can give")?;
        let is_managed = body.contains_key("context_management");
        self.reject_if(Fault::ContextManagementRefused, is_managed, &root("context_management"), "unknown key")?;
        self.reject_if(Fault::StreamRefused, field("stream") == true, &root("stream"), "not supported")?;
        for (fault, key) in [(Fault::EffortRefused, "effort"), (Fault::FormatRefused, "format")] {
            let is_present = field("output_config").get(key).is_some();
            self.reject_if(fault, is_present, &root("output_config").key(key), "unknown key")?;
        }
        let effort = string_at(field("output_config"), "effort");
        let is_high = matches!(effort, Some("xhigh" | "max"));
        let effort_path = root("output_config").key("effort");
        self.reject_if(Fault::EffortLevelsRefused, is_high, &effort_path, "expected low, medium or high")?;
        let user_id = string_at(field("metadata"), "user_id");
        let is_unusual = user_id.is_some_and(|id| !is_identifier(id, usize::MAX));
        self.reject_if(
            Fault::MetadataStrict,
            is_unusual,
            &root("metadata").key("user_id"),
            "does not match ^[a-zA-Z0-9_-]+$",
        )?;
        let messages = array_items(body.get("messages"));
        let is_prefilled = messages.last().is_some_and(|last| has_role(last, "assistant"));
        self.reject_if(
            Fault::PrefillRefused,
            is_prefilled,
            &root("messages"),
            "the last message must be of role user",
        )?;
        let rounds = messages.iter().filter(|m| has_tool_results(m)).count();
        self.reject_if(Fault::ToolsHistoryRefused, rounds > 1, &root("messages"), "invalid assistant message")
    }

    fn reject_tools(&self, body: &Map<String, Value>) -> ApiResult {
        for (i, tool) in array_items(body.get("tools")).iter().enumerate() {
            let path = ErrorPath::root("tools").index(i);
            let lacks_schema = tool_tag(tool) != Some("custom") && tool.get("input_schema").is_none();
            self.reject_if(Fault::ToolsServerToolsRefused, lacks_schema, &path.key("input_schema"), "required")?;
            if let Some(key) = NEW_TOOL_KEYS.into_iter().find(|key| tool.get(key).is_some()) {
                self.reject_if(Fault::ToolsNewKeysRefused, true, &path.key(key), "unknown key")?;
            }
            let is_new = tool_tag(tool).is_some_and(|tag| tag.contains("_2026"));
            self.reject_if(Fault::ToolsNewVersionsRefused, is_new, &path.key("type"), "unknown version")?;
            let is_long = string_at(tool, "name").is_some_and(|name| name.len() > MAX_NARROW_TOOL_NAME_BYTES);
            self.reject_if(Fault::ToolsLongNameRefused, is_long, &path.key("name"), "too long")?;
            let properties = tool.get("input_schema").and_then(|schema| schema.get("properties"));
            let is_empty = properties.and_then(Value::as_object).is_some_and(Map::is_empty);
            self.reject_if(
                Fault::ToolsWithoutArgumentsRefused,
                is_empty,
                &path.key("input_schema"),
                "has no property",
            )?;
            let has_keyword = tool.get("input_schema").is_some_and(has_schema_keyword);
            self.reject_if(Fault::ToolsSchemaRefused, has_keyword, &path.key("input_schema"), "unsupported keyword")?;
        }
        Ok(())
    }

    fn reject_thinking(&self, body: &Map<String, Value>) -> ApiResult {
        let path = ErrorPath::root("thinking").key("type");
        let thinking = body.get("thinking").unwrap_or(&Value::Null);
        let is_adaptive = has_type(thinking, "adaptive");
        let is_disabled = has_type(thinking, "disabled");
        self.reject_if(Fault::ThinkingDisabledRefused, is_disabled, &path, "expected enabled")?;
        self.reject_if(Fault::ThinkingAdaptiveRefused, is_adaptive, &path, "expected enabled or disabled")?;
        if !is_adaptive && !has_type(thinking, "enabled") {
            return Ok(());
        }
        let messages = array_items(body.get("messages")).iter().enumerate();
        for (i, message) in messages.filter(|(_, m)| has_role(m, "assistant")) {
            let thinks = array_items(message.get("content")).iter().any(is_thinking);
            let path = ErrorPath::root("messages").index(i).key("content");
            self.reject_if(Fault::ThinkingMustReplay, !thinks, &path, "the thinking must be passed back")?;
        }
        Ok(())
    }

    fn reject_cache_control(&self, body: &Map<String, Value>) -> ApiResult {
        let markers = find_markers(body);
        let Some(first) = markers.first() else { return Ok(()) };
        for (fault, key) in [(Fault::CacheTtlRefused, "ttl"), (Fault::CacheScopeRefused, "scope")] {
            if let Some(marker) = markers.iter().find(|marker| marker.value.json.get(key).is_some()) {
                self.reject_if(fault, true, &marker.value.path.key(key), "unknown key")?;
            }
        }
        let thinking = body.get("thinking").unwrap_or(&Value::Null);
        let thinks = has_type(thinking, "enabled") || has_type(thinking, "adaptive");
        let mut blocks = array_items(body.get("messages")).iter().flat_map(|m| array_items(m.get("content")));
        let has_thinking = thinks || blocks.any(is_thinking);
        let message = "not allowed with thinking";
        self.reject_if(Fault::CacheWithThinkingRefused, has_thinking, &first.value.path, message)
    }

    fn reject_role(&self, message: &Value, path: &ErrorPath) -> ApiResult {
        let is_system = has_role(message, "system");
        if is_system && self.config.has_fault(Fault::RoleSystemCrashes) {
            return Err(ApiError::internal_error("unexpected role in the chat template"));
        }
        let path = path.key("role");
        self.reject_if(Fault::RoleSystemRefused, is_system, &path, "role 'system' is not supported on this model")?;
        self.reject_if(Fault::RoleSystemRefusedUnclearly, is_system, &path, "bad value")
    }

    fn reject_block(&self, value: &Value, path: &ErrorPath) -> ApiResult {
        let Some(block) = block_kind(value) else { return Ok(()) };
        let path = path.key(block.as_str());
        let is_url =
            block == ContentBlockKind::Image && value.get("source").is_some_and(|source| has_type(source, "url"));
        self.reject_if(Fault::ImageUrlRefused, is_url, &path.key("source").key("type"), "expected base64")?;
        self.reject_if(Fault::ThinkingHistoryRefused, is_thinking(value), &path, "unknown block type")?;
        let is_of_search = matches!(
            block,
            ContentBlockKind::SearchResult
                | ContentBlockKind::ToolReference
                | ContentBlockKind::ToolSearchToolResult
                | ContentBlockKind::ServerToolUse
                | ContentBlockKind::WebSearchToolResult
                | ContentBlockKind::WebFetchToolResult
        );
        self.reject_if(Fault::HistorySearchRefused, is_of_search, &path, "unknown block type")?;
        if block == ContentBlockKind::ToolResult {
            for (i, inner) in array_items(value.get("content")).iter().enumerate() {
                self.reject_block(inner, &path.key("content").index(i))?;
            }
        }
        Ok(())
    }
}

/// Whether a schema has one of [`SCHEMA_KEYWORDS`], at any depth.
fn has_schema_keyword(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            map.keys().any(|key| SCHEMA_KEYWORDS.contains(&key.as_str())) || map.values().any(has_schema_keyword)
        }
        Value::Array(items) => items.iter().any(has_schema_keyword),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
