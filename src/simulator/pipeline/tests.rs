use axum::http::{HeaderName, HeaderValue};
use base64::Engine as _;
use serde_json::Value;

use crate::catalog::{ClaimStatus, ClaimedRange};
use crate::simulator::media::image;
use crate::simulator::pipeline::*;
use crate::simulator::{DEFAULT_CREDENTIAL, ROW_IDS, sse};

mod behaviour;
mod newer;
mod reference;
mod rows;
mod survival;

/// A request with the usual headers, changes to them, and a body.
#[derive(Debug, Clone)]
struct SimulatorRequest {
    headers: Vec<(&'static str, Option<String>)>,
    body: Value,
}

impl SimulatorRequest {
    /// A simple request with some keys replaced.
    fn with_keys(changes: Value) -> Self {
        let mut body =
            json!({"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "Say hello."}]});
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        Self { headers: Vec::new(), body }
    }

    /// A conversation of one user message.
    fn from_user(content: impl Into<Value>) -> Self {
        Self::with_keys(json!({"messages": [{"role": "user", "content": content.into()}]}))
    }

    /// A conversation whose second message is the assistant's.
    fn from_assistant(block: Value, last: impl Into<Value>) -> Self {
        Self::with_keys(json!({"messages": [
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": [block]},
            {"role": "user", "content": last.into()},
        ]}))
    }

    fn without_key(mut self, key: &str) -> Self {
        self.body.as_object_mut().unwrap().remove(key);
        self
    }

    fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, Some(value.to_owned())));
        self
    }

    fn without_header(mut self, name: &'static str) -> Self {
        self.headers.push((name, None));
        self
    }

    fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert("x-api-key", HeaderValue::from_static(DEFAULT_CREDENTIAL));
        map.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        for (name, value) in &self.headers {
            let name = HeaderName::from_static(name);
            match value {
                Some(value) => drop(map.insert(name, HeaderValue::from_str(value).unwrap())),
                None => drop(map.remove(name)),
            }
        }
        map
    }
}

fn test_config() -> SimulatorConfig {
    SimulatorConfig { model: "m".into(), max_output_tokens: Some(8192), ..SimulatorConfig::default() }
}

fn config_with_status(row: &str, status: ClaimStatus) -> SimulatorConfig {
    let mut config = test_config();
    config.set_status(row, status).unwrap();
    config
}

fn send(pipeline: &RequestPipeline, request: &SimulatorRequest) -> Result<PipelineResponse, ApiError> {
    let body = request.body.to_string();
    let mut rng = pipeline.rng_source.request_rng("/v1/messages", body.as_bytes());
    pipeline.respond(
        &SimulatorRoute::Messages(MessagesRoute::Messages),
        &request.header_map(),
        body.as_bytes(),
        &mut rng,
        &mut RequestActivity::default(),
    )
}

/// The message of the response.
fn get_message(pipeline: &RequestPipeline, request: &SimulatorRequest) -> Value {
    match send(pipeline, request) {
        Ok(PipelineResponse::Json(message)) => message,
        other => panic!("{request:?} got {other:?}"),
    }
}

fn get_text(pipeline: &RequestPipeline, request: &SimulatorRequest) -> String {
    get_message(pipeline, request)["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

/// The status and the message of the error.
fn get_error(pipeline: &RequestPipeline, request: &SimulatorRequest) -> (u16, String) {
    match send(pipeline, request) {
        Err(error) => (error.kind.status(), error.message),
        Ok(response) => panic!("{request:?} got {response:?}"),
    }
}

/// The status of the response.
fn get_status(pipeline: &RequestPipeline, request: &SimulatorRequest) -> u16 {
    send(pipeline, request).map_or_else(|error| error.kind.status(), |_| 200)
}

/// The status and the body of the response to a path.
fn send_to_path(pipeline: &RequestPipeline, method: Method, uri: &str, request: &SimulatorRequest) -> (u16, Value) {
    let headers = request.header_map();
    let answer = pipeline.resolve_route(&method, &uri.parse().unwrap(), &headers).and_then(|route| {
        let body = request.body.to_string();
        pipeline.respond(&route, &headers, body.as_bytes(), &mut RequestRng::new(0), &mut RequestActivity::default())
    });
    match answer {
        Ok(PipelineResponse::Json(value)) => (200, value),
        Ok(PipelineResponse::Stream(_)) => (200, Value::Null),
        Err(error) => (error.kind.status(), error.to_envelope("req_1")),
    }
}

/// The token count of a request, or the status of the error.
fn count_tokens(pipeline: &RequestPipeline, request: &SimulatorRequest) -> Result<u64, u16> {
    let request = request.clone().without_key("max_tokens");
    let (status, body) = send_to_path(pipeline, Method::POST, "/v1/messages/count_tokens", &request);
    if status == 200 { Ok(body["input_tokens"].as_u64().unwrap()) } else { Err(status) }
}

/// The message of a stream.
fn get_streamed_message(pipeline: &RequestPipeline, request: &SimulatorRequest) -> Value {
    let mut request = request.clone();
    request.body["stream"] = json!(true);
    match send(pipeline, &request) {
        Ok(PipelineResponse::Stream(message)) => reference::assemble_stream(&sse::encode_events(&message)).0,
        other => panic!("{request:?} got {other:?}"),
    }
}

/// The types of the blocks of a message.
fn block_types(message: &Value) -> Vec<&str> {
    message["content"].as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect()
}

/// A request of one user message with tools.
fn request_with_tools(text: &str, tools: Value) -> SimulatorRequest {
    SimulatorRequest::with_keys(json!({"tools": tools, "messages": [{"role": "user", "content": text}]}))
}

/// Continues a conversation: sends the content back with a result for each tool call.
fn echo_back(request: &SimulatorRequest, content: &Value) -> SimulatorRequest {
    let mut next = request.clone();
    let calls = content.as_array().unwrap().iter().filter(|block| block["type"] == "tool_use");
    let results: Vec<Value> =
        calls.map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "Sunny."})).collect();
    let last = if results.is_empty() { json!("Go on.") } else { json!(results) };
    let messages = next.body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": content}));
    messages.push(json!({"role": "user", "content": last}));
    next
}

fn image_block(colour: [u8; 3]) -> Value {
    let data = base64::engine::general_purpose::STANDARD.encode(image::tests::solid_png(colour, 64));
    json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
}

fn tool_definition(name: &str) -> Value {
    json!({"name": name, "description": "Tells the weather of a city.", "input_schema": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}})
}

/// A tool call, its result, and a question after it.
fn tool_round(call: Value, result: Value, request: &str) -> SimulatorRequest {
    SimulatorRequest::from_assistant(call, json!([result, {"type": "text", "text": request}]))
}

fn tool_use_block() -> Value {
    json!({"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"city": "Paris"}})
}

fn tool_result_block() -> Value {
    json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "Done."})
}

/// A value with an additional key.
fn with_key(mut value: Value, key: &str, more: impl Into<Value>) -> Value {
    value[key] = more.into();
    value
}
