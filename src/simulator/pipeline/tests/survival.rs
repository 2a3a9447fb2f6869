//! Any request gets a message or an error envelope, in a short time.

use proptest::prelude::*;

use crate::simulator::pipeline::tests::*;

/// Any JSON, often with words of the API.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        3 => prop::sample::select(API_WORDS).prop_map(str::to_owned),
        1 => ".{0,12}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

const API_WORDS: &[&str] = &[
    "type",
    "text",
    "role",
    "user",
    "assistant",
    "system",
    "content",
    "messages",
    "tools",
    "name",
    "input_schema",
    "properties",
    "required",
    "object",
    "string",
    "array",
    "items",
    "enum",
    "const",
    "$ref",
    "#/properties",
    "tool_use",
    "tool_result",
    "tool_use_id",
    "id",
    "input",
    "is_error",
    "cache_control",
    "ephemeral",
    "thinking",
    "signature",
    "budget_tokens",
    "enabled",
    "adaptive",
    "image",
    "document",
    "source",
    "base64",
    "media_type",
    "image/png",
    "application/pdf",
    "data",
    "JVBERi0xLjQK",
    "iVBORw0KGgo=",
    "search_result",
    "server_tool_use",
    "web_search_tool_result",
    "code_execution_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "container_upload",
    "tool_choice",
    "any",
    "auto",
    "none",
    "tool",
    "stop_sequences",
    " ",
    "max_tokens",
    "stream",
    "temperature",
    "top_k",
    "top_p",
    "container",
    "mcp_servers",
    "metadata",
    "model",
    "output_config",
    "format",
    "schema",
    "json_schema",
    "Count from 1 to 99",
    "Use the tool once for each of: Paris, Rome",
    "What is today's label for Paris?",
    "amber falcon 4821",
    "Name one random word",
    "What is 3 times 4?",
    "Did it fail? yes or no",
    "What colour is it?",
];

/// Fields that can have any value if their rows are ignored.
const IGNORABLE_FIELDS: &[&str] = &[
    "model",
    "max_tokens",
    "container",
    "mcp_servers",
    "metadata",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "top_k",
    "top_p",
];

/// A body with valid keys and arbitrary values.
fn any_body() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(
        &[
            "messages",
            "system",
            "tools",
            "tool_choice",
            "thinking",
            "stop_sequences",
            "stream",
            "temperature",
            "top_k",
            "top_p",
            "metadata",
            "container",
            "mcp_servers",
            "output_config",
            "cache_control",
            "max_tokens",
            "model",
        ][..],
    );
    let block = prop::collection::vec((prop::sample::select(API_WORDS), any_json()), 0..6);
    let content = (prop::sample::select(API_WORDS), block).prop_map(|(kind, entries)| {
        let mut block: Map<String, Value> = entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        block.insert("type".to_owned(), json!(kind));
        json!([block])
    });
    let content = prop_oneof![content, any_json()];
    (prop::collection::vec((keys, any_json()), 0..5), content, any_json(), any::<bool>()).prop_map(
        |(entries, content, tool, is_assistant)| {
            let last = if is_assistant { "assistant" } else { "user" };
            let messages = json!([{"role": "user", "content": "Use the tool."}, {"role": last, "content": content}]);
            let mut request = SimulatorRequest::with_keys(json!({ "messages": messages, "tools": [tool] })).body;
            for (key, value) in entries {
                request[key] = value;
            }
            request
        },
    )
}

/// A server that ignores some rows and rejects others.
fn any_config() -> impl Strategy<Value = SimulatorConfig> {
    let status = prop::sample::select(&[ClaimStatus::Supported, ClaimStatus::Ignored, ClaimStatus::Unsupported][..]);
    let all = Just(ClaimStatus::Ignored);
    prop_oneof![prop::collection::vec(status, ROW_IDS.len()), prop::collection::vec(all, ROW_IDS.len()),].prop_map(
        |statuses| {
            let mut config = test_config();
            for (row, status) in ROW_IDS.iter().zip(statuses) {
                config.set_status(row, status).unwrap();
            }
            config
        },
    )
}

fn assert_valid_response(config: SimulatorConfig, body: Value) {
    let pipeline = RequestPipeline::new(config);
    let mut request = SimulatorRequest::with_keys(json!({}));
    request.body = body;
    match send(&pipeline, &request) {
        Ok(PipelineResponse::Json(message) | PipelineResponse::Stream(message)) => {
            assert_eq!(message["type"], "message")
        }
        Err(error) => assert!(matches!(error.kind.status(), 400 | 401 | 404) && !error.message.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_json_never_panics(body in any_json()) {
        assert_valid_response(test_config(), body);
    }

    #[test]
    fn nearly_right_requests_never_panic(body in any_body(), config in any_config()) {
        assert_valid_response(config, body);
    }

    #[test]
    fn ignored_fields_change_nothing(
        fields in prop::collection::vec((prop::sample::select(IGNORABLE_FIELDS), any_json()), 0..8),
        keys in prop::collection::vec((prop::sample::select(&["text", "cache_control", "citations"][..]), any_json()), 0..3),
    ) {
        let mut config = test_config();
        for row in ROW_IDS {
            config.set_status(row, ClaimStatus::Ignored).unwrap();
        }
        let mut block = json!({"type": "text"});
        for (key, value) in keys {
            block[key] = value;
        }
        let mut request = SimulatorRequest::from_user(json!([block]));
        for (key, value) in fields {
            request.body[key] = value;
        }
        let response = send(&RequestPipeline::new(config), &request);
        prop_assert!(matches!(response, Ok(PipelineResponse::Json(_))), "{response:?}");
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let pipeline = RequestPipeline::new(test_config());
        let route = SimulatorRoute::Messages(MessagesRoute::Messages);
        let _ = pipeline.respond(&route, &SimulatorRequest::with_keys(json!({})).header_map(), &bytes, &mut RequestRng::new(0), &mut RequestActivity::default());
    }
}

#[test]
fn hostile_requests_end_quickly() {
    let started = Instant::now();
    let pipeline = RequestPipeline::new(SimulatorConfig { context_tokens: u32::MAX, ..test_config() });
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let route = SimulatorRoute::Messages(MessagesRoute::Messages);
    let headers = SimulatorRequest::with_keys(json!({})).header_map();
    assert!(
        pipeline
            .respond(&route, &headers, deep.as_bytes(), &mut RequestRng::new(0), &mut RequestActivity::default())
            .is_err()
    );
    let properties: Map<String, Value> = (0..40).map(|i| (format!("p{i}"), json!({"$ref": "#"}))).collect();
    let required: Vec<String> = properties.keys().cloned().collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    let tools = json!([{"name": "t", "input_schema": schema}]);
    get_message(
        &pipeline,
        &SimulatorRequest::with_keys(json!({"tools": tools, "tool_choice": {"type": "any"}, "max_tokens": 8000})),
    );
    let calls: Vec<Value> = (0..20_000).map(|i| with_key(tool_use_block(), "id", format!("t{i}"))).collect();
    let results: Vec<Value> =
        (0..20_000).rev().map(|i| with_key(tool_result_block(), "tool_use_id", format!("t{i}"))).collect();
    get_message(
        &pipeline,
        &SimulatorRequest::with_keys(json!({"messages": [
            {"role": "user", "content": "Hello."}, {"role": "assistant", "content": calls}, {"role": "user", "content": results},
        ]})),
    );
    get_message(&pipeline, &SimulatorRequest::from_user("Count from 1 to 18446744073709551615."));
    get_message(&pipeline, &SimulatorRequest::from_user(format!("label for {}", "Paris 1234 for ".repeat(50_000))));
    let many: Vec<Value> = (0..20_000).map(|i| tool_definition(&format!("t{i}"))).collect();
    let request = SimulatorRequest::from_user("use look the call ".repeat(50_000));
    get_message(&pipeline, &add_tools(request, many));
    assert!(started.elapsed().as_secs() < 600, "{:?}", started.elapsed());
}

fn add_tools(mut request: SimulatorRequest, tools: Vec<Value>) -> SimulatorRequest {
    request.body["tools"] = json!(tools);
    request
}
