//! A faithful translation between the Messages API and chat completions, in both directions.

use std::collections::VecDeque;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};

use super::quirk::GatewayQuirk;
use super::{ClientRequest, Shared, UPSTREAM_KEY, error, event_stream, is_stream, json_response, records};

/// Responds to a client of the Messages API, with an upstream that speaks chat completions.
pub async fn respond(shared: &Shared, request: ClientRequest) -> Response {
    let path = request.path.split('?').next().unwrap();
    if path == "/v1/models" {
        return json_response(200, &json!({ "data": [{ "type": "model", "id": "m" }], "has_more": false }));
    }
    if path != "/v1/messages" {
        return error(404, "not_found_error", "no such path");
    }
    let mut body = translate_request(&request.body);
    if shared.quirk == GatewayQuirk::WrongTranslation {
        mistranslate(&mut body);
    }
    let sent = shared
        .client
        .post(format!("{}/chat/completions", shared.upstream))
        .header(header::AUTHORIZATION, format!("Bearer {UPSTREAM_KEY}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.to_string())
        .send()
        .await;
    let response = match sent {
        Ok(response) => response,
        Err(_) => return error(502, "api_error", "the upstream aborted"),
    };
    let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
    let status = response.status().as_u16();
    if is_stream(&response) {
        return event_stream(stream(records(response), request.body["model"].clone()));
    }
    let Ok(bytes) = response.bytes().await else { return error(502, "api_error", "the upstream aborted") };
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status >= 400 || body.get("error").is_some() {
        let status = if status >= 400 { status } else { 502 };
        let mut response = error(status, error_type(status), body["error"]["message"].as_str().unwrap_or("unknown"));
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        return response;
    }
    let mut response = json_response(200, &translate_message(&body, &request.body["model"]));
    response.headers_mut().insert("request-id", HeaderValue::from_static("req_own"));
    response
}

/// Makes the mistakes of a careless translation.
fn mistranslate(body: &mut Value) {
    if let Some(body) = body.as_object_mut() {
        body.remove("stop");
        if let Some(value) = body.remove("temperature") {
            body.insert("temp".to_owned(), value);
        }
        if body.contains_key("top_p") {
            body.insert("top_p".to_owned(), json!(1.0));
        }
    }
}

fn error_type(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

/// The text of a content, with its blocks joined.
fn join_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().filter_map(|b| b["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

fn translate_block(block: &Value) -> Option<Value> {
    let source = &block["source"];
    let data = |source: &Value| {
        format!("data:{};base64,{}", source["media_type"].as_str().unwrap(), source["data"].as_str().unwrap())
    };
    match (block["type"].as_str()?, source["type"].as_str()) {
        ("text", _) => Some(json!({ "type": "text", "text": block["text"] })),
        ("image", Some("base64")) => Some(json!({ "type": "image_url", "image_url": { "url": data(source) } })),
        ("image", Some("url")) => Some(json!({ "type": "image_url", "image_url": { "url": source["url"] } })),
        ("document", Some("base64")) => {
            Some(json!({ "type": "file", "file": { "filename": "document.pdf", "file_data": data(source) } }))
        }
        ("document", Some("text")) => Some(json!({ "type": "text", "text": source["data"] })),
        ("document", Some("content")) => Some(json!({ "type": "text", "text": join_text(&source["content"]) })),
        _ => None,
    }
}

fn translate_turn(message: &Value, out: &mut Vec<Value>) {
    let content = &message["content"];
    let role = message["role"].as_str().unwrap_or_default();
    let Some(blocks) = content.as_array() else {
        out.push(json!({ "role": role, "content": content }));
        return;
    };
    for result in blocks.iter().filter(|block| block["type"] == "tool_result") {
        let content = join_text(&result["content"]);
        out.push(json!({ "role": "tool", "tool_call_id": result["tool_use_id"], "content": content }));
    }
    let calls: Vec<Value> = blocks
        .iter()
        .filter(|block| block["type"] == "tool_use")
        .map(|block| {
            let function = json!({ "name": block["name"], "arguments": block["input"].to_string() });
            json!({ "id": block["id"], "type": "function", "function": function })
        })
        .collect();
    let parts: Vec<Value> = blocks.iter().filter_map(translate_block).collect();
    if role == "assistant" {
        let mut translated = json!({ "role": "assistant", "content": join_text(content) });
        if !calls.is_empty() {
            translated["tool_calls"] = Value::from(calls);
        }
        out.push(translated);
    } else if !parts.is_empty() {
        out.push(json!({ "role": role, "content": parts }));
    }
}

/// Translates a request of the Messages API to chat completions.
pub fn translate_request(body: &Value) -> Value {
    let mut out = Map::new();
    let mut messages = Vec::new();
    if let Some(system) = body.get("system") {
        messages.push(json!({ "role": "system", "content": join_text(system) }));
    }
    for message in body["messages"].as_array().into_iter().flatten() {
        translate_turn(message, &mut messages);
    }
    out.insert("messages".to_owned(), Value::from(messages));
    for (from, to) in [
        ("model", "model"),
        ("max_tokens", "max_completion_tokens"),
        ("temperature", "temperature"),
        ("top_p", "top_p"),
        ("stop_sequences", "stop"),
        ("stream", "stream"),
    ] {
        if let Some(value) = body.get(from) {
            out.insert(to.to_owned(), value.clone());
        }
    }
    if body["stream"] == true {
        out.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    }
    if let Some(user) = body["metadata"].get("user_id") {
        out.insert("user".to_owned(), user.clone());
    }
    if let Some(tools) = body["tools"].as_array() {
        let tools: Value = tools.iter().filter(|tool| tool.get("input_schema").is_some()).map(translate_tool).collect();
        out.insert("tools".to_owned(), tools);
    }
    let choice = &body["tool_choice"];
    match choice["type"].as_str() {
        Some("auto") => drop(out.insert("tool_choice".to_owned(), json!("auto"))),
        Some("any") => drop(out.insert("tool_choice".to_owned(), json!("required"))),
        Some("none") => drop(out.insert("tool_choice".to_owned(), json!("none"))),
        Some("tool") => drop(
            out.insert("tool_choice".to_owned(), json!({ "type": "function", "function": { "name": choice["name"] } })),
        ),
        _ => {}
    }
    if choice["disable_parallel_tool_use"] == true {
        out.insert("parallel_tool_calls".to_owned(), json!(false));
    }
    Value::Object(out)
}

fn translate_tool(tool: &Value) -> Value {
    json!({ "type": "function", "function": {
        "name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"],
    } })
}

fn stop_reason(finish: &Value) -> Value {
    match finish.as_str() {
        Some("length") => json!("max_tokens"),
        Some("tool_calls") => json!("tool_use"),
        Some("content_filter") => json!("refusal"),
        _ => json!("end_turn"),
    }
}

fn usage(usage: &Value) -> Value {
    let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0);
    json!({
        "input_tokens": usage["prompt_tokens"].as_u64().unwrap_or(0) - cached,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": usage["completion_tokens"],
    })
}

/// Translates a chat completion to a message.
fn translate_message(completion: &Value, model: &Value) -> Value {
    let choice = &completion["choices"][0];
    let original = &choice["message"];
    let mut content = Vec::new();
    if let Some(thought) = original["reasoning_content"].as_str() {
        content.push(json!({ "type": "thinking", "thinking": thought, "signature": "none" }));
    }
    if let Some(text) = original["content"].as_str() {
        content.push(json!({ "type": "text", "text": text }));
    }
    for call in original["tool_calls"].as_array().into_iter().flatten() {
        let input: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        content.push(json!({ "type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": input }));
    }
    json!({
        "id": format!("msg_{}", completion["id"].as_str().unwrap()),
        "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": stop_reason(&choice["finish_reason"]), "stop_sequence": null,
        "usage": usage(&completion["usage"]),
    })
}

/// The state of the translation of a stream.
struct StreamState {
    model: Value,
    started: bool,
    /// The type of the open block.
    open: Option<&'static str>,
    index: i64,
    finish: Value,
    usage: Value,
    done: bool,
    failed: bool,
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

impl StreamState {
    fn close(&mut self, out: &mut VecDeque<String>) {
        if self.open.take().is_some() {
            out.push_back(event(&json!({ "type": "content_block_stop", "index": self.index })));
        }
    }

    fn block(&mut self, kind: &'static str, block: &Value, out: &mut VecDeque<String>) {
        self.close(out);
        self.open = Some(kind);
        self.index += 1;
        out.push_back(event(&json!({ "type": "content_block_start", "index": self.index, "content_block": block })));
    }

    fn delta(&self, delta: &Value, out: &mut VecDeque<String>) {
        out.push_back(event(&json!({ "type": "content_block_delta", "index": self.index, "delta": delta })));
    }

    fn record(&mut self, record: &str, out: &mut VecDeque<String>) {
        let Some(data) = record.lines().find_map(|line| line.strip_prefix("data: ")) else { return };
        if !self.started {
            self.started = true;
            let chunk: Value = serde_json::from_str(data).unwrap_or_default();
            out.push_back(event(&json!({ "type": "message_start", "message": {
                "id": format!("msg_{}", chunk["id"].as_str().unwrap_or("none")), "type": "message", "role": "assistant",
                "model": self.model, "content": [], "stop_reason": null, "stop_sequence": null,
                "usage": { "input_tokens": 0, "output_tokens": 0 },
            } })));
        }
        if data == "[DONE]" {
            self.close(out);
            out.push_back(event(&json!({
                "type": "message_delta", "delta": { "stop_reason": stop_reason(&self.finish), "stop_sequence": null },
                "usage": usage(&self.usage),
            })));
            out.push_back(event(&json!({ "type": "message_stop" })));
            self.done = true;
            return;
        }
        let chunk: Value = serde_json::from_str(data).unwrap();
        if let Some(failed) = chunk.get("error") {
            let error = json!({ "type": "api_error", "message": failed["message"] });
            out.push_back(event(&json!({ "type": "error", "error": error })));
            self.done = true;
            return;
        }
        if chunk["usage"].is_object() {
            self.usage = chunk["usage"].clone();
        }
        let choice = &chunk["choices"][0];
        if choice["finish_reason"].is_string() {
            self.finish = choice["finish_reason"].clone();
        }
        let delta = &choice["delta"];
        if let Some(thought) = delta["reasoning_content"].as_str() {
            if self.open != Some("thinking") {
                self.block("thinking", &json!({ "type": "thinking", "thinking": "", "signature": "" }), out);
            }
            self.delta(&json!({ "type": "thinking_delta", "thinking": thought }), out);
        }
        if let Some(text) = delta["content"].as_str().filter(|text| !text.is_empty()) {
            if self.open != Some("text") {
                self.block("text", &json!({ "type": "text", "text": "" }), out);
            }
            self.delta(&json!({ "type": "text_delta", "text": text }), out);
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            if call["id"].is_string() {
                let block =
                    json!({ "type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": {} });
                self.block("tool_use", &block, out);
            }
            self.delta(&json!({ "type": "input_json_delta", "partial_json": call["function"]["arguments"] }), out);
        }
    }
}

/// Translates a stream of chunks to a stream of events. An abort of the upstream becomes an error event.
fn stream(
    records: impl futures_util::Stream<Item = Result<String, reqwest::Error>> + Send + 'static,
    model: Value,
) -> impl futures_util::Stream<Item = Result<String, reqwest::Error>> + Send {
    let state = StreamState {
        model,
        started: false,
        open: None,
        index: -1,
        finish: Value::Null,
        usage: Value::Null,
        done: false,
        failed: false,
    };
    let start = (Box::pin(records), state, VecDeque::new());
    futures_util::stream::unfold(start, |(mut records, mut state, mut out)| async move {
        loop {
            if let Some(text) = out.pop_front() {
                return Some((Ok(text), (records, state, out)));
            }
            if state.done || state.failed {
                return None;
            }
            match records.next().await {
                Some(Ok(record)) => state.record(&record, &mut out),
                Some(Err(_)) | None => {
                    state.failed = true;
                    let error = json!({ "type": "api_error", "message": "the upstream aborted" });
                    out.push_back(event(&json!({ "type": "error", "error": error })));
                }
            }
        }
    })
}
