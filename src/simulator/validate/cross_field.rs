//! The checks of the request as a whole: what excludes each other, and what is not there to be used.

use serde_json::{Map, Value};

use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::error_path::{ErrorPath, truncate_text};
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::find::array_items;
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::types::ApiResult;

impl RequestValidator<'_> {
    /// What the API refuses to do together. Each refusal needs both of its rows to be honoured.
    pub(super) fn validate_combinations(&self, body: &Map<String, Value>) -> ApiResult {
        let choice = body.get("tool_choice").and_then(|c| c.get("type")).and_then(Value::as_str);
        let forced = self.is_enforced(SupportRow::ChoiceObject)
            && match choice {
                Some("any") => self.is_enforced(SupportRow::ChoiceAny),
                Some("tool") => self.is_enforced(SupportRow::ChoiceTool),
                _ => false,
            };
        let word = body.get("thinking").and_then(|t| t.get("type")).and_then(Value::as_str);
        let thinks = self.is_enforced(SupportRow::Thinking) && matches!(word, Some("enabled" | "adaptive"));
        let format = body.get("output_config").and_then(|config| config.get("format"));
        let is_formatted = format.is_some_and(|format| !format.is_null());
        let refuse = |key: &str, what: &str| Err(ApiError::invalid_field(&ErrorPath::root(key), what));
        if thinks {
            let other = |t: &Value| t.as_f64().is_some_and(|t| t != 1.0);
            if self.is_enforced(SupportRow::Temperature) && body.get("temperature").is_some_and(other) {
                return refuse("temperature", "only 1 is allowed while thinking is on");
            }
            if self.is_enforced(SupportRow::TopK) && body.contains_key("top_k") {
                return refuse("top_k", "not allowed while thinking is on");
            }
            if forced && !self.config.has_fault(BehaviourFault::ErrorsForcedToolAccepted) {
                return refuse("tool_choice", "a tool cannot be forced while thinking is on");
            }
        }
        if self.is_enforced(SupportRow::MaxTokens) && body.get("max_tokens").and_then(Value::as_u64) == Some(0) {
            let streams = self.is_enforced(SupportRow::Stream) && body.get("stream") == Some(&Value::Bool(true));
            if streams || thinks || forced || is_formatted {
                return refuse("max_tokens", "0 excludes stream, thinking, a format and a forced tool_choice");
            }
        }
        let messages = array_items(body.get("messages"));
        let role = messages.last().and_then(|last| last.get("role")).and_then(Value::as_str);
        if is_formatted && role == Some("assistant") {
            return refuse("output_config", "a format excludes a final assistant message");
        }
        let cites = |block: &Value| block.pointer("/citations/enabled") == Some(&Value::Bool(true));
        if is_formatted && messages.iter().flat_map(|m| array_items(m.get("content"))).any(cites) {
            return refuse("output_config", "a format excludes citations");
        }
        Ok(())
    }

    /// What only a look at the world tells: models, containers and servers that are not there.
    pub(super) fn validate_resources(&self, body: &Map<String, Value>) -> ApiResult {
        if self.support.supports(SupportRow::Model)
            && !self.config.has_fault(BehaviourFault::ErrorsUnknownModelAccepted)
            && let Some(model) = body.get("model").and_then(Value::as_str).filter(|m| *m != self.config.model)
        {
            return Err(ApiError::new(
                ApiErrorKind::NotFound,
                format!("model: no model '{}' was found", truncate_text(model)),
            ));
        }
        if self.is_enforced(SupportRow::Container) {
            let container = body.get("container");
            let id = container.and_then(|c| c.as_str().or_else(|| c.get("id").and_then(Value::as_str)));
            if let Some(id) = id {
                let message = format!("container: no container '{}' was found", truncate_text(id));
                return Err(ApiError::new(ApiErrorKind::NotFound, message));
            }
        }
        if self.is_enforced(SupportRow::McpServers) && body.contains_key("mcp_servers") {
            let path = ErrorPath::root("mcp_servers");
            if !self.protocol.has_beta("mcp-client-") {
                return Err(ApiError::invalid_field(&path, "needs the header anthropic-beta: mcp-client-2025-11-20"));
            }
            let name = body.get("mcp_servers").and_then(|s| s.pointer("/0/name")).and_then(Value::as_str);
            if let Some(name) = name {
                let what = format!("could not connect to the MCP server '{}'", truncate_text(name));
                return Err(ApiError::invalid_field(&path.index(0).key("url"), what));
            }
        }
        Ok(())
    }
}
