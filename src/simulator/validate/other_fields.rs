//! Validation of fields that no row owns.

use serde_json::Value;

use crate::simulator::error_path::ErrorPath;
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::lookup::has_type;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::request_value::{
    ApiResult, KeyPresence, RequestObject, RequestValue, ValueRule, reject,
};

/// The edits of `context_management`.
const CONTEXT_EDIT_TYPES: &[&str] = &["clear_tool_uses_20250919", "clear_thinking_20251015", "compact_20260112"];

impl RequestValidator<'_> {
    /// Validates fields that most servers accept. Most of them have no effect here.
    pub(super) fn validate_other_fields(&self, body: &RequestObject) -> ApiResult {
        if let Some(value) = body.given("output_config") {
            validate_output_config(&value, self.config.has_fault(BehaviourFault::EffortDropped))?;
        }
        let ignores_edits = self.config.has_fault(BehaviourFault::ContextManagementDropped);
        if let Some(value) = body.non_null("context_management").filter(|_| !ignores_edits) {
            let map = value.object()?;
            map.reject_unknown_keys(&[&["edits"]])?;
            for edit in map.given("edits").map_or(Ok(Vec::new()), |edits| edits.items())? {
                edit.object()?.required("type")?.one_of(CONTEXT_EDIT_TYPES)?;
            }
        }
        body.validate_keys(&[
            (KeyPresence::NonNull, "speed", ValueRule::OneOf(&["standard", "fast"])),
            (KeyPresence::NonNull, "inference_geo", ValueRule::OneOf(&["global", "us"])),
        ])?;
        match body.non_null("diagnostics") {
            Some(value) => value.object()?.reject_unknown_keys(&[&["previous_message_id"]]),
            None => Ok(()),
        }
    }
}

fn validate_output_config(value: &RequestValue, ignores_effort: bool) -> ApiResult {
    let map = value.object()?;
    map.reject_unknown_keys(&[&["effort", "format", "task_budget"]])?;
    if let Some(effort) = map.non_null("effort").filter(|_| !ignores_effort) {
        effort.one_of(&["low", "medium", "high", "xhigh", "max"])?;
    }
    let Some(format) = map.non_null("format") else { return Ok(()) };
    let map = format.object()?;
    map.reject_unknown_keys(&[&["type", "schema"]])?;
    map.validate_keys(&[
        (KeyPresence::Required, "type", ValueRule::OneOf(&["json_schema"])),
        (KeyPresence::Required, "schema", ValueRule::Object),
    ])?;
    let schema = map.required("schema")?;
    validate_closed_schema(schema.json, &schema.path)
}

/// Every object in the schema of a response must forbid additional properties.
fn validate_closed_schema(schema: &Value, path: &ErrorPath) -> ApiResult {
    match schema {
        Value::Object(map) => {
            if has_type(schema, "object") && map.get("additionalProperties") != Some(&Value::Bool(false)) {
                return reject(&path.key("additionalProperties"), "expected false");
            }
            map.iter().try_for_each(|(key, inner)| validate_closed_schema(inner, &path.key(key)))
        }
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(i, inner)| validate_closed_schema(inner, &path.index(i)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
