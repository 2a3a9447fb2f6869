//! Validation of fields that no row owns.

use serde_json::{Map, Value};

use crate::simulator::error_path::ErrorPath;
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::lookup::{has_type, non_null};
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::types::{
    ApiResult, array, object, one_of, reject, reject_unknown_keys, required_one_of, required_value,
};

/// The edits of `context_management`.
const CONTEXT_EDIT_TYPES: &[&str] = &["clear_tool_uses_20250919", "clear_thinking_20251015", "compact_20260112"];

impl RequestValidator<'_> {
    /// Validates fields that most servers accept. Most of them have no effect here.
    pub(super) fn validate_other_fields(&self, body: &Map<String, Value>) -> ApiResult {
        if let Some(value) = body.get("output_config") {
            validate_output_config(value, self.config.has_fault(BehaviourFault::EffortDropped))?;
        }
        let ignores_edits = self.config.has_fault(BehaviourFault::ContextManagementDropped);
        if let Some(value) = non_null(body, "context_management").filter(|_| !ignores_edits) {
            validate_context_management(value)?;
        }
        if let Some(value) = non_null(body, "speed") {
            one_of(value, &ErrorPath::root("speed"), &["standard", "fast"])?;
        }
        if let Some(value) = non_null(body, "inference_geo") {
            one_of(value, &ErrorPath::root("inference_geo"), &["global", "us"])?;
        }
        if let Some(value) = non_null(body, "diagnostics") {
            let path = ErrorPath::root("diagnostics");
            reject_unknown_keys(object(value, &path)?, Some(&path), &[&["previous_message_id"]])?;
        }
        Ok(())
    }
}

fn validate_context_management(value: &Value) -> ApiResult {
    let path = ErrorPath::root("context_management");
    let map = object(value, &path)?;
    reject_unknown_keys(map, Some(&path), &[&["edits"]])?;
    let Some(edits) = map.get("edits") else { return Ok(()) };
    let path = path.key("edits");
    for (i, edit) in array(edits, &path)?.iter().enumerate() {
        let path = path.index(i);
        one_of(required_value(object(edit, &path)?, &path, "type")?, &path.key("type"), CONTEXT_EDIT_TYPES)?;
    }
    Ok(())
}

fn validate_output_config(value: &Value, ignores_effort: bool) -> ApiResult {
    let path = ErrorPath::root("output_config");
    let map = object(value, &path)?;
    reject_unknown_keys(map, Some(&path), &[&["effort", "format", "task_budget"]])?;
    if let Some(effort) = non_null(map, "effort").filter(|_| !ignores_effort) {
        one_of(effort, &path.key("effort"), &["low", "medium", "high", "xhigh", "max"])?;
    }
    if let Some(format) = non_null(map, "format") {
        let path = path.key("format");
        let map = object(format, &path)?;
        reject_unknown_keys(map, Some(&path), &[&["type", "schema"]])?;
        required_one_of(map, &path, "type", &["json_schema"])?;
        let schema = required_value(map, &path, "schema")?;
        let path = path.key("schema");
        object(schema, &path)?;
        validate_closed_schema(schema, &path)?;
    }
    Ok(())
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
