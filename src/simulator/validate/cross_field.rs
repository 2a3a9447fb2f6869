//! Validation across fields: combinations that exclude each other, and resources that do not exist.

use serde_json::{Map, Value};

use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::error_path::{ErrorPath, truncate_text};
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::lookup::{array_items, has_role, string_at};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::request_value::{ApiResult, reject};

impl RequestValidator<'_> {
    /// Rejects combinations that the API does not allow. Both rows of a combination must be
    /// enforced.
    pub(super) fn validate_combinations(&self, body: &Map<String, Value>) -> ApiResult {
        let choice = body.get("tool_choice").and_then(|choice| string_at(choice, "type"));
        let forced = self.is_enforced(SupportRow::ChoiceObject)
            && match choice {
                Some("any") => self.is_enforced(SupportRow::ChoiceAny),
                Some("tool") => self.is_enforced(SupportRow::ChoiceTool),
                _ => false,
            };
        let thinking = body.get("thinking").and_then(|thinking| string_at(thinking, "type"));
        let thinks = self.is_enforced(SupportRow::Thinking) && matches!(thinking, Some("enabled" | "adaptive"));
        let format = body.get("output_config").and_then(|config| config.get("format"));
        let is_formatted = format.is_some_and(|format| !format.is_null());
        let reject = |key: &str, message: &str| Err(ApiError::invalid_field(&ErrorPath::root(key), message));
        if thinks {
            let is_other = |temperature: &Value| temperature.as_f64().is_some_and(|value| value != 1.0);
            if self.is_enforced(SupportRow::Temperature) && body.get("temperature").is_some_and(is_other) {
                return reject("temperature", "only 1 is allowed while thinking is on");
            }
            if self.is_enforced(SupportRow::TopK) && body.contains_key("top_k") {
                return reject("top_k", "not allowed while thinking is on");
            }
            if forced && !self.config.has_fault(BehaviourFault::ErrorsForcedToolAccepted) {
                return reject("tool_choice", "a tool cannot be forced while thinking is on");
            }
        }
        if self.is_enforced(SupportRow::MaxTokens) && body.get("max_tokens").and_then(Value::as_u64) == Some(0) {
            let streams = self.is_enforced(SupportRow::Stream) && body.get("stream") == Some(&Value::Bool(true));
            if streams || thinks || forced || is_formatted {
                return reject("max_tokens", "0 excludes stream, thinking, a format and a forced tool_choice");
            }
        }
        let messages = array_items(body.get("messages"));
        if is_formatted && messages.last().is_some_and(|last| has_role(last, "assistant")) {
            return reject("output_config", "a format excludes a final assistant message");
        }
        let cites = |block: &Value| block.pointer("/citations/enabled") == Some(&Value::Bool(true));
        if is_formatted && messages.iter().flat_map(|m| array_items(m.get("content"))).any(cites) {
            return reject("output_config", "a format excludes citations");
        }
        Ok(())
    }

    /// Rejects models, containers and MCP servers that do not exist.
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
                return reject(&path, "needs the header anthropic-beta: mcp-client-2025-11-20");
            }
            let name = body.get("mcp_servers").and_then(|s| s.pointer("/0/name")).and_then(Value::as_str);
            if let Some(name) = name {
                let what = format!("could not connect to the MCP server '{}'", truncate_text(name));
                return reject(&path.index(0).key("url"), what);
            }
        }
        Ok(())
    }
}
