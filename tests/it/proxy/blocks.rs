//! Content blocks in raw JSON: finding them wherever they stand, taking them out without tearing pairs apart.
//!
//! It knows the shapes of blocks and must not know why one is looked for.

use serde_json::{Map, Value, json};

/// What is left where a message would have no content at all, which no server accepts.
const LEFT_OVER: &str = ".";

/// The messages of a request.
pub fn messages(body: &mut Value) -> &mut [Value] {
    list(body, "messages").map_or(&mut [], Vec::as_mut_slice)
}

/// A list below a value. Indexing would put a key there that was not sent.
pub fn list<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Vec<Value>> {
    value.get_mut(key)?.as_array_mut()
}

/// Calls a function with every block that stands directly in a message; true where it did something to any.
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

/// True where a block of this type stands in a message or in a tool's result.
pub fn has(body: &Value, kind: &str) -> bool {
    let blocks = |content: &Value| content.as_array().cloned().unwrap_or_default();
    let is = |block: &Value| block["type"] == kind;
    let messages = body["messages"].as_array();
    let mut all = messages.into_iter().flatten().flat_map(|message| blocks(&message["content"]));
    all.any(|block| is(&block) || blocks(&block["content"]).iter().any(is))
}

/// Drops all blocks of a type. One half of a pair (a call and its result) is emptied instead, since its other half
/// could not stand alone.
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

/// Drops blocks from a tool's result.
fn drop_within(result: &mut Value, kind: &str) -> bool {
    let Some(content) = list(result, "content") else { return false };
    let before = content.len();
    content.retain(|block| block["type"] != kind);
    content.len() != before
}

/// The id by which a server's own call and its result belong together.
fn pair_id(block: &Value) -> Option<&Value> {
    match block["type"].as_str()? {
        "server_tool_use" | "mcp_tool_use" => block.get("id"),
        "web_search_tool_result" | "code_execution_tool_result" | "mcp_tool_result" => block.get("tool_use_id"),
        _ => None,
    }
}

/// Takes out of a block what a model could read there.
fn empty(block: &mut Value) {
    match block["type"].as_str().unwrap_or_default() {
        "server_tool_use" | "mcp_tool_use" => block["input"] = json!({}),
        "code_execution_tool_result" => block["content"]["stdout"] = json!(""),
        _ => block["content"] = json!([]),
    }
}

/// Replaces contents that are strings.
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

/// The ids of the calls and of the results, each in the order in which they stand.
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

/// Gives results whose id no call has the id of the call at their place, as a server that does not look at ids would.
pub fn match_unknown_ids(body: &mut Value) -> bool {
    let (calls, results) = ids(body);
    let matched = results.iter().enumerate().map(|(i, id)| match calls.get(i) {
        Some(call) if !calls.contains(id) => call.clone(),
        _ => id.clone(),
    });
    let matched = matched.collect();
    give_results(body, matched)
}

/// Gives results the ids of the calls in their order, where they are the same ids in another order.
pub fn match_by_order(body: &mut Value) -> bool {
    let (calls, results) = ids(body);
    if calls.len() != results.len() || !results.iter().all(|id| calls.contains(id)) {
        return false;
    }
    give_results(body, calls)
}
