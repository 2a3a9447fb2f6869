//! The edits of `context_management`: [`apply_context_edits`] removes old tool results from a long
//! conversation, and reports what it removed.
//!
//! Works on the request after validation. The other types of edits have no effect here.

use serde_json::{Map, Value, json};

use crate::simulator::fields::lookup::{array_items, array_items_mut, has_type};
use crate::simulator::prompt::ModelPrompt;

/// The type of edit that this server applies.
const CLEAR_TOOL_USES: &str = "clear_tool_uses_20250919";
/// The prompt tokens from which an edit without a trigger acts.
const DEFAULT_TRIGGER_TOKENS: u64 = 100_000;
/// The tool results that an edit keeps by default.
const DEFAULT_KEPT_RESULTS: u64 = 3;
/// The content of a removed result.
const CLEARED_CONTENT: &str = "[Old tool result content cleared]";

/// Applies the edits of a request. Returns the value of `context_management` in the response. `None` if
/// the request has no edits.
pub(super) fn apply_context_edits(body: &mut Map<String, Value>) -> Option<Value> {
    let edits = array_items(body.get("context_management")?.get("edits")).to_vec();
    let applied: Vec<Value> = edits
        .iter()
        .filter(|edit| has_type(edit, CLEAR_TOOL_USES))
        .filter_map(|edit| clear_results(body, edit))
        .collect();
    Some(json!({ "applied_edits": applied }))
}

/// Removes the content of all tool results but the last ones, if the prompt is long enough.
fn clear_results(body: &mut Map<String, Value>, edit: &Value) -> Option<Value> {
    let value_of = |key: &str| edit.get(key).and_then(|setting| setting.get("value")).and_then(Value::as_u64);
    let before = ModelPrompt::from_body(body).tokens();
    if before <= value_of("trigger").unwrap_or(DEFAULT_TRIGGER_TOKENS) {
        return None;
    }
    let kept = value_of("keep").unwrap_or(DEFAULT_KEPT_RESULTS);
    let mut results: Vec<&mut Value> = array_items_mut(body.get_mut("messages"))
        .iter_mut()
        .flat_map(|message| array_items_mut(message.get_mut("content")))
        .filter(|block| has_type(block, "tool_result"))
        .collect();
    let cleared = results.len().saturating_sub(usize::try_from(kept).unwrap_or(usize::MAX));
    if cleared == 0 {
        return None;
    }
    results[..cleared].iter_mut().for_each(|result| result["content"] = json!(CLEARED_CONTENT));
    let after = ModelPrompt::from_body(body).tokens();
    Some(json!({
        "type": CLEAR_TOOL_USES,
        "cleared_tool_uses": cleared,
        "cleared_input_tokens": before.saturating_sub(after),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(trigger: u64, keep: u64) -> Map<String, Value> {
        let result = |id: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": "word ".repeat(300) });
        let body = json!({
            "messages": [{ "role": "user", "content": [result("a"), result("b"), result("c")] }],
            "context_management": { "edits": [{
                "type": CLEAR_TOOL_USES,
                "trigger": { "type": "input_tokens", "value": trigger },
                "keep": { "type": "tool_uses", "value": keep },
            }] },
        });
        body.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn old_results_are_cleared_above_the_trigger() {
        let mut body = request(500, 1);
        let applied = apply_context_edits(&mut body).unwrap();
        assert_eq!(applied["applied_edits"][0]["cleared_tool_uses"], 2);
        assert!(applied["applied_edits"][0]["cleared_input_tokens"].as_u64().unwrap() > 500, "{applied}");
        assert_eq!(body["messages"][0]["content"][1]["content"], CLEARED_CONTENT);
        assert_ne!(body["messages"][0]["content"][2]["content"], CLEARED_CONTENT);
        for (trigger, keep) in [(50_000, 1), (500, 3)] {
            let applied = apply_context_edits(&mut request(trigger, keep)).unwrap();
            assert_eq!(applied, json!({ "applied_edits": [] }));
        }
        assert_eq!(apply_context_edits(&mut Map::new()), None);
    }
}
