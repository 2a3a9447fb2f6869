//! Whatever comes in, an answer or an envelope goes out, and soon.

use proptest::prelude::*;

use crate::simulator::pipeline::tests::*;

/// Any JSON, with a liking for the words that the API knows.
fn json_value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        3 => prop::sample::select(WORDS).prop_map(str::to_owned),
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

const WORDS: &[&str] = &[
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

/// Fields that may hold anything when their rows are ignored.
const IGNORABLE: &[&str] = &[
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

/// A body that is often nearly right: valid keys with arbitrary values under them.
fn body() -> impl Strategy<Value = Value> {
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
    let block = prop::collection::vec((prop::sample::select(WORDS), json_value()), 0..6);
    let content = (prop::sample::select(WORDS), block).prop_map(|(kind, entries)| {
        let mut block: Map<String, Value> = entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        block.insert("type".to_owned(), json!(kind));
        json!([block])
    });
    let content = prop_oneof![content, json_value()];
    (prop::collection::vec((keys, json_value()), 0..5), content, json_value(), any::<bool>()).prop_map(
        |(entries, content, tool, is_assistant)| {
            let last = if is_assistant { "assistant" } else { "user" };
            let messages = json!([{"role": "user", "content": "Use the tool."}, {"role": last, "content": content}]);
            let mut ask = Ask::with(json!({ "messages": messages, "tools": [tool] })).body;
            for (key, value) in entries {
                ask[key] = value;
            }
            ask
        },
    )
}

/// Some rows ignored, some unsupported.
fn statuses() -> impl Strategy<Value = Behaviour> {
    let status = prop::sample::select(&[ClaimStatus::Supported, ClaimStatus::Ignored, ClaimStatus::Unsupported][..]);
    let all = Just(ClaimStatus::Ignored);
    prop_oneof![prop::collection::vec(status, ROWS.len()), prop::collection::vec(all, ROWS.len()),].prop_map(
        |statuses| {
            let mut behaviour = behaviour();
            for (row, status) in ROWS.iter().zip(statuses) {
                behaviour.flip(row, status).unwrap();
            }
            behaviour
        },
    )
}

fn check(behaviour: Behaviour, body: Value) {
    let service = Service::new(behaviour);
    let mut ask = Ask::with(json!({}));
    ask.body = body;
    match send(&service, &ask) {
        Ok(Reply::Json(message) | Reply::Stream(message)) => assert_eq!(message["type"], "message"),
        Err(refusal) => assert!(matches!(refusal.kind.status(), 400 | 401 | 404) && !refusal.message.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_json_never_panics(body in json_value()) {
        check(behaviour(), body);
    }

    #[test]
    fn nearly_right_requests_never_panic(body in body(), behaviour in statuses()) {
        check(behaviour, body);
    }

    #[test]
    fn sending_what_is_ignored_does_no_harm(
        fields in prop::collection::vec((prop::sample::select(IGNORABLE), json_value()), 0..8),
        keys in prop::collection::vec((prop::sample::select(&["text", "cache_control", "citations"][..]), json_value()), 0..3),
    ) {
        let mut behaviour = behaviour();
        for row in ROWS {
            behaviour.flip(row, ClaimStatus::Ignored).unwrap();
        }
        let mut block = json!({"type": "text"});
        for (key, value) in keys {
            block[key] = value;
        }
        let mut ask = Ask::user(json!([block]));
        for (key, value) in fields {
            ask.body[key] = value;
        }
        let reply = send(&Service::new(behaviour), &ask);
        prop_assert!(matches!(reply, Ok(Reply::Json(_))), "{reply:?}");
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let service = Service::new(behaviour());
        let route = Route::Messages(Endpoint::Messages);
        let _ = service.answer(&route, &Ask::with(json!({})).map(), &bytes, &mut Draws::new(0), &mut Acts::default());
    }
}

#[test]
fn hostile_requests_end_soon() {
    let started = Instant::now();
    let service = Service::new(Behaviour { context_tokens: u32::MAX, ..behaviour() });
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let route = Route::Messages(Endpoint::Messages);
    let headers = Ask::with(json!({})).map();
    assert!(service.answer(&route, &headers, deep.as_bytes(), &mut Draws::new(0), &mut Acts::default()).is_err());
    let properties: Map<String, Value> = (0..40).map(|i| (format!("p{i}"), json!({"$ref": "#"}))).collect();
    let required: Vec<String> = properties.keys().cloned().collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    let tools = json!([{"name": "t", "input_schema": schema}]);
    message(&service, &Ask::with(json!({"tools": tools, "tool_choice": {"type": "any"}, "max_tokens": 8000})));
    let calls: Vec<Value> = (0..20_000).map(|i| plus(call(), "id", format!("t{i}"))).collect();
    let results: Vec<Value> = (0..20_000).rev().map(|i| plus(result(), "tool_use_id", format!("t{i}"))).collect();
    message(
        &service,
        &Ask::with(json!({"messages": [
            {"role": "user", "content": "Hello."}, {"role": "assistant", "content": calls}, {"role": "user", "content": results},
        ]})),
    );
    message(&service, &Ask::user("Count from 1 to 18446744073709551615."));
    message(&service, &Ask::user(format!("label for {}", "Paris 1234 for ".repeat(50_000))));
    let many: Vec<Value> = (0..20_000).map(|i| tool(&format!("t{i}"))).collect();
    let ask = Ask::user("use look the call ".repeat(50_000));
    message(&service, &plus_tools(ask, many));
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

fn plus_tools(mut ask: Ask, tools: Vec<Value>) -> Ask {
    ask.body["tools"] = json!(tools);
    ask
}
