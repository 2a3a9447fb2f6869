//! The checks of fields that no row of the tables owns.

use serde_json::{Map, Value};

use crate::simulator::api_error::Refusal;
use crate::simulator::error_path::Path;
use crate::simulator::fault::ConductFault;
use crate::simulator::validate::Rules;
use crate::simulator::validate::types::{Checked, array, known_keys, object, one_of, required};

/// The edits that `context_management` knows.
const EDITS: &[&str] = &["clear_tool_uses_20250919", "clear_thinking_20251015", "compact_20260112"];

impl Rules<'_> {
    /// Fields that are known and checked lightly; most have no effect here.
    pub(super) fn rowless(&self, body: &Map<String, Value>) -> Checked {
        if let Some(value) = body.get("output_config") {
            output_config(value, self.behaviour.commits(ConductFault::EffortDropped))?;
        }
        let passes_over = self.behaviour.commits(ConductFault::ContextManagementDropped);
        if let Some(value) = body.get("context_management").filter(|v| !v.is_null() && !passes_over) {
            context_management(value)?;
        }
        if let Some(value) = body.get("speed").filter(|v| !v.is_null()) {
            one_of(value, &Path::root("speed"), &["standard", "fast"])?;
        }
        if let Some(value) = body.get("inference_geo").filter(|v| !v.is_null()) {
            one_of(value, &Path::root("inference_geo"), &["global", "us"])?;
        }
        if let Some(value) = body.get("diagnostics").filter(|v| !v.is_null()) {
            let path = Path::root("diagnostics");
            known_keys(object(value, &path)?, Some(&path), &[&["previous_message_id"]])?;
        }
        Ok(())
    }
}

fn context_management(value: &Value) -> Checked {
    let path = Path::root("context_management");
    let map = object(value, &path)?;
    known_keys(map, Some(&path), &[&["edits"]])?;
    let Some(edits) = map.get("edits") else { return Ok(()) };
    let path = path.key("edits");
    for (i, edit) in array(edits, &path)?.iter().enumerate() {
        let path = path.index(i);
        one_of(required(object(edit, &path)?, &path, "type")?, &path.key("type"), EDITS)?;
    }
    Ok(())
}

fn output_config(value: &Value, passes_over_effort: bool) -> Checked {
    let path = Path::root("output_config");
    let map = object(value, &path)?;
    known_keys(map, Some(&path), &[&["effort", "format", "task_budget"]])?;
    if let Some(effort) = map.get("effort").filter(|v| !v.is_null() && !passes_over_effort) {
        one_of(effort, &path.key("effort"), &["low", "medium", "high", "xhigh", "max"])?;
    }
    if let Some(format) = map.get("format").filter(|v| !v.is_null()) {
        let path = path.key("format");
        let map = object(format, &path)?;
        known_keys(map, Some(&path), &[&["type", "schema"]])?;
        one_of(required(map, &path, "type")?, &path.key("type"), &["json_schema"])?;
        let at = path.key("schema");
        object(required(map, &path, "schema")?, &at)?;
        closed(required(map, &path, "schema")?, &at)?;
    }
    Ok(())
}

/// Every object of an answer's schema must say that it has no further properties.
fn closed(schema: &Value, path: &Path) -> Checked {
    match schema {
        Value::Object(map) => {
            if map.get("type").and_then(Value::as_str) == Some("object")
                && map.get("additionalProperties") != Some(&Value::Bool(false))
            {
                return Err(Refusal::at(&path.key("additionalProperties"), "expected false"));
            }
            map.iter().try_for_each(|(key, inner)| closed(inner, &path.key(key)))
        }
        Value::Array(entries) => entries.iter().enumerate().try_for_each(|(i, inner)| closed(inner, &path.index(i))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
