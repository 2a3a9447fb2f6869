//! Lenient lookups in a request. A value of another shape counts as missing.

use serde_json::Value;

use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::error_path::truncate_text;

/// The items of an array. Empty for other values.
pub(crate) fn array_items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The items of an array, to edit them. Empty for other values.
pub(crate) fn array_items_mut(value: Option<&mut Value>) -> &mut [Value] {
    value.and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

/// The string under a key.
pub(crate) fn string_at<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// Whether the message has this role.
pub(crate) fn has_role(message: &Value, role: &str) -> bool {
    string_at(message, "role") == Some(role)
}

/// Whether the value has this `type`.
pub(crate) fn has_type(value: &Value, kind: &str) -> bool {
    string_at(value, "type") == Some(kind)
}

/// The kind of a content block, if its `type` is known.
pub(crate) fn block_kind(value: &Value) -> Option<ContentBlockKind> {
    ContentBlockKind::from_type(string_at(value, "type")?)
}

/// The tag of a tool in error paths: its type, or `custom` for the client's own tools.
pub(crate) fn tool_tag(tool: &Value) -> Option<&str> {
    match tool.as_object()?.get("type") {
        None | Some(Value::Null) => Some("custom"),
        Some(Value::String(word)) => Some(truncate_text(word)),
        Some(_) => None,
    }
}
