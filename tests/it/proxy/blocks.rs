//! Content blocks in raw JSON: finds them, and removes them without separating a call from its
//! result.
//!
//! It knows the shapes of blocks. It must not know the reason of a change.

use serde_json::{Map, Value, json};

/// The content of a message that would otherwise be empty, which no server accepts.
const LEFT_OVER: &str = ".";

/// The messages of a request.
pub fn messages(body: &mut Value) -> &mut [Value] {
    list(body, "messages").map_or(&mut [], Vec::as_mut_slice)
}

/// A list under a key. Indexing would add a missing key.
pub fn list<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Vec<Value>> {
    value.get_mut(key)?.as_array_mut()
}

/// Calls a function with every block directly in a message. Returns whether it changed any.
pub fn each(body: &mut Value, kind: &str, mut change: impl FnMut(&mut Map<String, Value>) -> bool) -> bool {
    let mut changed = false;
    for message in messages(body) {
        for block in list(message, "content").into_iter().flatten() {
            if let Some(block) = block.as_object_mut().filter(|block| block.get("type") == Some(&json!(kind))) {
                changed |= change(block);
            }
        }
    }
    changed
}

/// Whether a message or a tool result has a block of this type.
pub fn has(body: &Value, kind: &str) -> bool {
    let blocks = |content: &Value| content.as_array().cloned().unwrap_or_default();
    let is = |block: &Value| block["type"] == kind;
    let messages = body["messages"].as_array();
    let mut all = messages.into_iter().flatten().flat_map(|message| blocks(&message["content"]));
    all.any(|block| is(&block) || blocks(&block["content"]).iter().any(is))
}

/// Removes all blocks of a type. A call or its result is emptied instead, because the other cannot
/// be
/// alone.
pub fn drop_all(body: &mut Value, kind: &str) -> bool {
    let mut changed = false;
    for message in messages(body) {
        let Some(content) = list(message, "content") else { continue };
        let ids: Vec<Value> = content.iter().filter_map(|block| pair_id(block).cloned()).collect();
        let before = content.len();
        content.retain_mut(|block| {
            if block["type"] != kind {
                changed |= block["type"] == "tool_result" && drop_within(block, kind);
                return true;
            }
            let paired = pair_id(block).is_some_and(|id| ids.iter().filter(|other| *other == id).count() > 1);
            if paired {
                changed = true;
                empty(block);
            }
            paired
        });
        changed |= content.len() != before;
        if content.is_empty() {
            content.push(json!({ "type": "text", "text": LEFT_OVER }));
        }
    }
    changed
}

/// Removes blocks from a tool result.
fn drop_within(result: &mut Value, kind: &str) -> bool {
    let Some(content) = list(result, "content") else { return false };
    let before = content.len();
    content.retain(|block| block["type"] != kind);
    content.len() != before
}

/// The id that links the call of a server tool to its result.
fn pair_id(block: &Value) -> Option<&Value> {
    match block["type"].as_str()? {
        "server_tool_use" | "mcp_tool_use" => block.get("id"),
        "web_search_tool_result" | "code_execution_tool_result" | "mcp_tool_result" => block.get("tool_use_id"),
        _ => None,
    }
}

/// Removes the readable content of a block.
fn empty(block: &mut Value) {
    match block["type"].as_str().unwrap_or_default() {
        "server_tool_use" | "mcp_tool_use" => block["input"] = json!({}),
        "code_execution_tool_result" => block["content"]["stdout"] = json!(""),
        _ => block["content"] = json!([]),
    }
}

/// Replaces string contents.
pub fn blank_strings(body: &mut Value) -> bool {
    let mut changed = false;
    for message in messages(body) {
        if message["content"].is_string() {
            message["content"] = json!(LEFT_OVER);
            changed = true;
        }
    }
    changed
}

/// Replaces the text of text blocks.
pub fn blank_texts(body: &mut Value) -> bool {
    each(body, "text", |block| block.insert("text".to_owned(), json!(LEFT_OVER)).is_some())
}

/// The ids of the calls and of the results, in order.
fn ids(body: &mut Value) -> (Vec<Value>, Vec<Value>) {
    let (mut calls, mut results) = (Vec::new(), Vec::new());
    each(body, "tool_use", |block| {
        calls.extend(block.get("id").cloned());
        false
    });
    each(body, "tool_result", |block| {
        results.extend(block.get("tool_use_id").cloned());
        false
    });
    (calls, results)
}

fn give_results(body: &mut Value, mut ids: Vec<Value>) -> bool {
    ids.reverse();
    each(body, "tool_result", |block| match ids.pop() {
        Some(id) => block.insert("tool_use_id".to_owned(), id.clone()) != Some(id),
        None => false,
    })
}

/// Links results with an unknown id to the calls in order, as a server that ignores ids does.
pub fn match_unknown_ids(body: &mut Value) -> bool {
    let (calls, results) = ids(body);
    let matched = results.iter().enumerate().map(|(i, id)| match calls.get(i) {
        Some(call) if !calls.contains(id) => call.clone(),
        _ => id.clone(),
    });
    let matched = matched.collect();
    give_results(body, matched)
}

/// Gives results the ids of the calls in order, if they have the same ids in another order.
pub fn match_by_order(body: &mut Value) -> bool {
    let (calls, results) = ids(body);
    if calls.len() != results.len() || !results.iter().all(|id| calls.contains(id)) {
        return false;
    }
    give_results(body, calls)
}
