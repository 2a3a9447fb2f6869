//! Removes ignored fields from a request, so that the rest of the server never sees them:
//! [`without_ignored`].
//!
//! The remaining request can have any shape, because an ignored row is not validated. All later
//! stages read it leniently.

use serde_json::{Map, Value, json};

use crate::simulator::fields::lookup::{array_items_mut, has_type, tool_tag};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::fields::visit::visit_fields;
use crate::simulator::support::SupportTable;

/// The request as the model of this server sees it.
pub(crate) fn without_ignored(body: Map<String, Value>, support: &SupportTable) -> Map<String, Value> {
    let mut ignored = Vec::new();
    visit_fields(&body, &mut |row, slot| {
        if support.ignores(row) {
            ignored.push((row, slot.pointer.clone()));
        }
    });
    let mut request = Value::Object(body);
    for (row, pointer) in ignored {
        remove_field(&mut request, row, &pointer);
    }
    if support.ignores(SupportRow::ToolResultCacheControl) {
        remove_nested_markers(&mut request);
    }
    if support.ignores(SupportRow::ToolName) {
        rename_tools(&mut request);
    }
    match request {
        Value::Object(body) => body,
        _ => Map::new(),
    }
}

fn remove_field(request: &mut Value, row: SupportRow, pointer: &str) {
    match row {
        // An id that is not checked still links a result to its call.
        SupportRow::ToolUseId => {}
        // `rename_tools` replaces the name.
        SupportRow::ToolName => {}
        SupportRow::ContentString => {
            if let Some(Value::String(text)) = request.pointer_mut(pointer) {
                text.clear();
            }
        }
        // An ignored kind of choice becomes `auto` and keeps its flag.
        SupportRow::ChoiceNone | SupportRow::ChoiceAuto | SupportRow::ChoiceAny | SupportRow::ChoiceTool => {
            if let Some(Value::Object(choice)) = request.pointer_mut(pointer) {
                choice.insert("type".to_owned(), json!("auto"));
                choice.shift_remove("name");
            }
        }
        _ => {
            let Some((parent, key)) = pointer.rsplit_once('/') else { return };
            match request.pointer_mut(parent) {
                Some(Value::Object(map)) => drop(map.shift_remove(key)),
                // `null` is not a block, so later stages skip it. The other blocks keep their
                // places.
                Some(Value::Array(_)) => drop(request.pointer_mut(pointer).map(Value::take)),
                _ => {}
            }
        }
    }
}

/// Removes the cache markers of blocks inside tool results: they belong to the result.
fn remove_nested_markers(request: &mut Value) {
    for message in array_items_mut(request.get_mut("messages")) {
        for result in array_items_mut(message.get_mut("content")).iter_mut().filter(|b| has_type(b, "tool_result")) {
            for block in array_items_mut(result.get_mut("content")) {
                if let Some(block) = block.as_object_mut() {
                    block.shift_remove("cache_control");
                }
            }
        }
    }
}

/// Gives the client's tools names of the server's own. A choice of one of them still means that
/// tool.
fn rename_tools(request: &mut Value) {
    let chosen = request.pointer("/tool_choice/name").cloned();
    let mut chosen_now = None;
    for (i, tool) in array_items_mut(request.get_mut("tools")).iter_mut().enumerate() {
        if tool_tag(tool) != Some("custom") {
            continue;
        }
        let name = json!(format!("tool_{i}"));
        if chosen.is_some() && chosen.as_ref() == tool.get("name") {
            chosen_now = chosen_now.or(Some(name.clone()));
        }
        tool["name"] = name;
    }
    if let (Some(name), Some(Value::Object(choice))) = (chosen_now, request.get_mut("tool_choice")) {
        choice.insert("name".to_owned(), name);
    }
}
