//! The reference server: its other endpoints, conversations of several turns, and newer fields.

use crate::simulator::pipeline::tests::*;

fn reference_pipeline() -> RequestPipeline {
    RequestPipeline::new(test_config())
}

fn thinking_request(kind: Value, text: &str) -> SimulatorRequest {
    let messages = json!([{"role": "user", "content": text}]);
    SimulatorRequest::with_keys(json!({"thinking": kind, "tools": [tool_definition("find")], "messages": messages}))
}

#[test]
fn every_client_error_has_its_status() {
    let pipeline = reference_pipeline();
    let good = || SimulatorRequest::with_keys(json!({}));
    for (request, expected) in [
        (good().without_header("x-api-key"), 401),
        (good().with_header("x-api-key", "wrong"), 401),
        (good().with_header("anthropic-version", "2020-01-01"), 400),
        (good().without_header("anthropic-version"), 400),
        (good().with_header("anthropic-beta", "no-such-beta-2020-01-01"), 400),
        (SimulatorRequest::with_keys(json!({"model": "none"})), 404),
    ] {
        assert_eq!(get_status(&pipeline, &request), expected, "{request:?}");
    }
    for (method, path, expected) in [
        (Method::POST, "/v1/none", 404),
        (Method::HEAD, "/", 404),
        (Method::GET, "/v1/messages", 405),
        (Method::POST, "/v1/messages?beta=true", 200),
        (Method::GET, "/v1/models/none", 404),
    ] {
        assert_eq!(send_to_path(&pipeline, method, path, &good()).0, expected, "{path}");
    }
    // An unknown path is not found, with or without a credential.
    assert_eq!(send_to_path(&pipeline, Method::POST, "/v1/none", &good().without_header("x-api-key")).0, 404);
}

#[test]
fn a_prompt_over_the_context_window_is_rejected_with_its_size() {
    let pipeline = RequestPipeline::new(SimulatorConfig { context_tokens: 500, ..test_config() });
    let (status, message) = get_error(&pipeline, &SimulatorRequest::from_user("word ".repeat(600)));
    assert_eq!(status, 400);
    let tokens = count_tokens(&pipeline, &SimulatorRequest::from_user("word ".repeat(600))).unwrap();
    assert_eq!(message, format!("prompt is too long: {tokens} tokens > 500 maximum"));
    get_text(&pipeline, &SimulatorRequest::from_user("word ".repeat(400)));
}

#[test]
fn token_counts_grow_with_the_request_and_equal_its_usage() {
    let pipeline = reference_pipeline();
    let used = |request: &SimulatorRequest| get_message(&pipeline, request)["usage"]["input_tokens"].as_u64().unwrap();
    let plain = count_tokens(&pipeline, &SimulatorRequest::with_keys(json!({}))).unwrap();
    for request in [
        SimulatorRequest::with_keys(json!({"system": "Be brief."})),
        SimulatorRequest::with_keys(json!({"tools": [tool_definition("find")]})),
    ] {
        assert!(count_tokens(&pipeline, &request).unwrap() > plain);
        assert_eq!(count_tokens(&pipeline, &request).unwrap(), used(&request));
    }
    assert!(plain > 0);
    assert_eq!(count_tokens(&pipeline, &SimulatorRequest::with_keys(json!({"zz_unknown": 1}))), Err(400));
    let search = json!([{"type": "web_search_20250305", "name": "web_search"}]);
    assert_eq!(count_tokens(&pipeline, &SimulatorRequest::with_keys(json!({"tools": search}))), Err(400));
}

#[test]
fn models_are_listed_in_pages() {
    let pipeline = reference_pipeline();
    let get = |uri: &str| send_to_path(&pipeline, Method::GET, uri, &SimulatorRequest::with_keys(json!({})));
    let (status, list) = get("/v1/models?limit=5");
    assert_eq!((status, &list["first_id"], &list["last_id"]), (200, &json!("m"), &json!("m")));
    let one = &list["data"][0];
    assert_eq!((&one["type"], &one["id"], &one["max_tokens"]), (&json!("model"), &json!("m"), &json!(8192)));
    assert!(one["created_at"].as_str().is_some() && one["display_name"].as_str().is_some());
    for cursor in ["after_id=m", "before_id=m"] {
        let (status, list) = get(&format!("/v1/models?{cursor}"));
        assert_eq!((status, &list["data"], &list["has_more"]), (200, &json!([]), &json!(false)));
    }
    for limit in ["0", "1001", "x"] {
        assert_eq!(get(&format!("/v1/models?limit={limit}")).0, 400);
    }
    assert_eq!(get("/v1/models/m").1["id"], "m");
}

#[test]
fn every_system_block_and_system_message_is_read() {
    let pipeline = reference_pipeline();
    let block = |text: &str| json!({"type": "text", "text": text});
    let request = "What are both labels?";
    let system = json!([block("One is amber falcon 4821."), block("One is quiet river 0007.")]);
    let both =
        SimulatorRequest::with_keys(json!({"system": system, "messages": [{"role": "user", "content": request}]}));
    assert_eq!(get_text(&pipeline, &both), "amber falcon 4821, quiet river 0007");
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let with = |messages: Vec<Value>| SimulatorRequest::with_keys(json!({ "messages": messages }));
    let amid = with(vec![turn("user", "What is the label?"), turn("system", "The label is amber falcon 4821.")])
        .with_header("anthropic-beta", "mid-conversation-system-2026-04-07");
    assert_eq!(get_text(&pipeline, &amid), "amber falcon 4821");
    let hi = || turn("user", "Hi.");
    let on = || turn("system", "Go on.");
    for (messages, place) in [
        (vec![on(), hi()], "messages.0.role"),
        (vec![hi(), turn("assistant", "Hi."), on()], "messages.2.role"),
        (vec![hi(), on(), hi()], "messages.2.role"),
    ] {
        assert!(get_error(&pipeline, &with(messages)).1.starts_with(place));
    }
}

#[test]
fn a_prefill_is_continued_but_not_while_thinking() {
    let pipeline = reference_pipeline();
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let request = "The label is amber falcon 4821. What is the label?";
    let prefilled = |more: Value| {
        let mut body = json!({"messages": [turn("user", request), turn("assistant", "The label is")]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        SimulatorRequest::with_keys(body)
    };
    assert_eq!(get_text(&pipeline, &prefilled(json!({}))), " amber falcon 4821");
    assert_eq!(get_status(&pipeline, &prefilled(json!({"thinking": {"type": "adaptive"}}))), 400);
    assert_eq!(get_status(&pipeline, &prefilled(json!({"thinking": {"type": "disabled"}}))), 200);
}

#[test]
fn two_tools_are_called_in_one_response() {
    let pipeline = reference_pipeline();
    let tools = json!([tool_definition("get_weather"), tool_definition("get_time")]);
    let request = request_with_tools("Call get_weather for Paris and get_time for Rome.", tools);
    for answer in [get_message(&pipeline, &request), get_streamed_message(&pipeline, &request)] {
        let calls: Vec<_> = answer["content"].as_array().unwrap().iter().map(|b| (&b["name"], &b["input"])).collect();
        let (paris, rome) = (json!({"city": "Paris"}), json!({"city": "Rome"}));
        assert_eq!(calls, [(&json!("get_weather"), &paris), (&json!("get_time"), &rome)]);
    }
    let mut single = request;
    single.body["tool_choice"] = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(block_types(&get_message(&pipeline, &single)), ["tool_use"]);
}

#[test]
fn a_tool_without_arguments_is_called_with_an_empty_object() {
    let pipeline = reference_pipeline();
    let tools = json!([{"name": "ping", "input_schema": {"type": "object", "properties": {}}}]);
    let request = request_with_tools("Call the ping tool.", tools);
    assert_eq!(get_message(&pipeline, &request)["content"][0]["input"], json!({}));
    let mut streaming = request;
    streaming.body["stream"] = json!(true);
    let Ok(PipelineResponse::Stream(streamed)) = send(&pipeline, &streaming) else { panic!("no stream") };
    let events = sse::encode_events(&streamed);
    let events_named = |name: &str| -> Vec<Value> {
        let data = events.iter().filter_map(|e| e.strip_prefix(&format!("event: {name}\ndata: ")));
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    };
    assert_eq!(events_named("content_block_start")[0]["content_block"]["input"], json!({}));
    let deltas = events_named("content_block_delta");
    assert_eq!(deltas.iter().map(|d| &d["delta"]["partial_json"]).collect::<Vec<_>>(), [&json!("")]);
}

#[test]
fn three_rounds_of_tools_keep_their_thinking() {
    let pipeline = reference_pipeline();
    let mut request =
        thinking_request(json!({"type": "enabled", "budget_tokens": 1024}), "Use the find tool for Paris.");
    for _ in 0..3 {
        // Each round has a new instruction, like the user of an agent.
        let answer = get_message(&pipeline, &request);
        assert_eq!(block_types(&answer), ["thinking", "tool_use"]);
        let content = &answer["content"];
        let next = echo_back(&request, content);
        assert_eq!(get_status(&pipeline, &next), 200);
        let altered = |change: &dyn Fn(&mut Vec<Value>)| {
            let mut content = content.as_array().unwrap().clone();
            change(&mut content);
            get_error(&pipeline, &echo_back(&request, &json!(content))).1
        };
        assert!(altered(&|content| drop(content.remove(0))).contains("expected thinking"));
        assert!(altered(&|content| content[0]["thinking"] = json!("Else.")).contains("signature"));
        request = next;
        let results = request.body["messages"].as_array_mut().unwrap().last_mut().unwrap();
        results["content"].as_array_mut().unwrap().push(json!({"type": "text", "text": "Use the find tool for Rome."}));
    }
    // With `adaptive`, a round may have no thinking.
    let adaptive = thinking_request(json!({"type": "adaptive"}), "Use the find tool for Paris.");
    assert_eq!(get_status(&pipeline, &echo_back(&adaptive, &json!([tool_use_block()]))), 200);
}

#[test]
fn thinking_follows_its_type_and_effort() {
    let pipeline = reference_pipeline();
    let kinds_of = |kind: Value| {
        let answer = get_message(&pipeline, &thinking_request(kind, "Say hello."));
        block_types(&answer).join(" ")
    };
    assert_eq!(kinds_of(json!({"type": "adaptive"})), "thinking text");
    assert_eq!(kinds_of(json!({"type": "disabled"})), "text");
    let forced =
        with_key(thinking_request(json!({"type": "adaptive"}), "Hi.").body, "tool_choice", json!({"type": "any"}));
    assert_eq!(get_status(&pipeline, &SimulatorRequest::with_keys(forced)), 400);
    let thought = |effort: &str| {
        let mut request = thinking_request(json!({"type": "adaptive"}), "Say hello.");
        request.body["output_config"] = json!({ "effort": effort });
        get_message(&pipeline, &request)["usage"]["output_tokens_details"]["thinking_tokens"].as_u64().unwrap()
    };
    let amounts = ["low", "medium", "high", "xhigh", "max"].map(thought);
    assert!(amounts.is_sorted_by(|a, b| a < b), "{amounts:?}");
}

#[test]
fn a_response_follows_its_format() {
    let pipeline = reference_pipeline();
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["label"],
        "properties": {"label": {"type": "string"}}});
    let format = |schema: &Value| json!({"format": {"type": "json_schema", "schema": schema}});
    let request = "The label is amber falcon 4821. What is the label?";
    let with = |config: Value, last: Value| {
        let mut messages = vec![json!({"role": "user", "content": request})];
        messages.extend(Some(last).filter(|last| !last.is_null()));
        SimulatorRequest::with_keys(json!({"output_config": config, "messages": messages}))
    };
    assert_eq!(get_text(&pipeline, &with(format(&schema), Value::Null)), r#"{"label":"amber falcon 4821"}"#);
    let open = json!({"type": "object", "properties": {}});
    assert!(get_error(&pipeline, &with(format(&open), Value::Null)).1.contains("additionalProperties"));
    let prefill = json!({"role": "assistant", "content": "{"});
    assert_eq!(get_status(&pipeline, &with(format(&schema), prefill)), 400);
}

#[test]
fn requests_of_claude_code_are_accepted() {
    let pipeline = reference_pipeline();
    let betas = "claude-code-20250219,interleaved-thinking-2025-05-14,thinking-token-count-2026-05-13,\
                 context-management-2025-06-27,prompt-caching-scope-2026-01-05,mid-conversation-system-2026-04-07,\
                 effort-2025-11-24";
    let marker = json!({"type": "ephemeral"});
    let tool = with_key(
        tool_definition("Bash"),
        "input_schema",
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
            "properties": {"command": {"type": "string"}}, "required": ["command"],
        }),
    );
    let body = json!({
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi."}, {"type": "text", "text": "Go.", "cache_control": marker}]},
            {"role": "system", "content": "Be brief."},
        ],
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=1;"},
            {"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral", "scope": "global"}},
            {"type": "text", "text": "Well.", "cache_control": marker},
        ],
        "tools": [tool],
        "metadata": {"user_id": "{\"device_id\":\"d\",\"account_uuid\":\"\",\"session_id\":\"s\"}"},
        "max_tokens": 8000, "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    });
    let request = SimulatorRequest::with_keys(body).with_header("anthropic-beta", betas);
    assert_eq!(block_types(&get_message(&pipeline, &request)), ["thinking", "text"]);
    // Without their betas, these fields are unknown.
    for beta in ["context-management-2025-06-27,", "prompt-caching-scope-2026-01-05,"] {
        let fewer = request.clone().with_header("anthropic-beta", &betas.replace(beta, ""));
        assert_eq!(get_status(&pipeline, &fewer), 400, "{beta}");
    }
}

#[test]
fn newer_fields_are_accepted_if_valid() {
    let pipeline = reference_pipeline();
    let bearer = format!("Bearer {DEFAULT_CREDENTIAL}");
    let newer = json!({"strict": true, "defer_loading": false, "input_examples": [{"city": "Oslo"}],
        "eager_input_streaming": true, "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    let mut newer_tool = tool_definition("find");
    newer_tool.as_object_mut().unwrap().extend(newer.as_object().unwrap().clone());
    let url = json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]);
    let mut requests = vec![
        SimulatorRequest::with_keys(json!({})).with_header("authorization", &bearer),
        SimulatorRequest::with_keys(json!({"tools": [newer_tool]})),
        SimulatorRequest::from_user(url),
        SimulatorRequest::with_keys(json!({"tools": [tool_definition(&"a".repeat(64))]})),
        SimulatorRequest::with_keys(json!({"tools": [tool_definition(&"a".repeat(128))]})),
    ];
    for id in ["plain", "someone@example.com", r#"{"session":"x"}"#, &"x".repeat(256)] {
        requests.push(SimulatorRequest::with_keys(json!({"metadata": {"user_id": id}})));
    }
    let kinds = [
        "web_search_20250305",
        "web_search_20260209",
        "web_search_20260318",
        "web_fetch_20250910",
        "code_execution_20250825",
    ];
    for kind in kinds {
        let name = kind.rsplit_once('_').unwrap().0;
        requests.push(SimulatorRequest::with_keys(json!({"tools": [{"type": kind, "name": name}]})));
    }
    for request in &requests {
        get_message(&pipeline, request);
    }
    for request in [
        SimulatorRequest::with_keys(json!({"tools": [tool_definition(&"a".repeat(129))]})),
        SimulatorRequest::with_keys(json!({"tools": [{"type": "web_search_20990101", "name": "web_search"}]})),
        SimulatorRequest::with_keys(json!({"tools": [{"type": "web_search_20250305", "name": "search"}]})),
        SimulatorRequest::from_user(json!([{"type": "image", "source": {"type": "url", "url": "file:///etc/hosts"}}])),
        SimulatorRequest::from_assistant(json!({"type": "text", "text": ""}), "Go on."),
    ] {
        assert_eq!(get_status(&pipeline, &request), 400, "{request:?}");
    }
}

#[test]
fn a_one_hour_marker_is_counted_separately_and_billing_headers_do_not_change_the_cache_key() {
    let pipeline = reference_pipeline();
    let long = "The quick fox walks on. ".repeat(400);
    let used = |bill: &str| {
        let system = json!([
            {"type": "text", "text": format!("x-anthropic-billing-header: cch={bill};")},
            {"type": "text", "text": long, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ]);
        get_message(&pipeline, &SimulatorRequest::with_keys(json!({ "system": system })))["usage"].clone()
    };
    let first = used("1");
    assert!(first["cache_creation"]["ephemeral_1h_input_tokens"].as_u64().unwrap() > 1024);
    let second = used("2");
    assert_eq!(second["cache_read_input_tokens"], first["cache_creation_input_tokens"]);
}
