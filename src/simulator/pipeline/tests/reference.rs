//! The reference server: what it does and what it rejects.

use crate::simulator::pipeline::tests::*;

fn reference_pipeline() -> RequestPipeline {
    RequestPipeline::new(test_config())
}

fn user_messages(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

#[test]
fn invalid_requests_are_rejected_with_the_path() {
    let pipeline = reference_pipeline();
    let text = |more: Value| {
        let mut block = json!({"type": "text", "text": "Hi."});
        block.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        SimulatorRequest::from_user(json!([block]))
    };
    let many_markers: Vec<Value> =
        (0..5).map(|_| json!({"type": "text", "text": "Hi.", "cache_control": {"type": "ephemeral"}})).collect();
    for (request, expected) in [
        (SimulatorRequest::with_keys(json!({"zz_unknown": 1})), "zz_unknown: unknown key"),
        (
            SimulatorRequest::with_keys(json!({"messages": [{"role": "user", "content": "Hi.", "foo": 1}]})),
            "messages.0.foo: unknown key",
        ),
        (text(json!({"foo": 1})), "messages.0.content.0.text.foo: unknown key"),
        (
            SimulatorRequest::with_keys(json!({"tools": [with_key(tool_definition("t"), "foo", 1)]})),
            "tools.0.custom.foo: unknown key",
        ),
        (SimulatorRequest::with_keys(json!({})).without_key("max_tokens"), "max_tokens: required"),
        (SimulatorRequest::with_keys(json!({})).without_key("messages"), "messages: required"),
        (SimulatorRequest::with_keys(json!({})).without_key("model"), "model: required"),
        (
            SimulatorRequest::with_keys(json!({"max_tokens": -1})),
            "max_tokens: expected a whole number that is not negative",
        ),
        (
            SimulatorRequest::with_keys(json!({"max_tokens": 9000})),
            "max_tokens: 9000 is above the limit of 8192 output tokens of m",
        ),
        (SimulatorRequest::with_keys(json!({"messages": []})), "messages: expected at least 1 message"),
        (
            SimulatorRequest::with_keys(json!({"messages": [{"role": "ctx", "content": "x"}]})),
            "messages.0.role: unknown role 'ctx'",
        ),
        (SimulatorRequest::from_user(""), "messages.0.content: must not be empty"),
        (
            SimulatorRequest::from_user(json!([{"type": "text", "text": ""}])),
            "messages.0.content.0.text.text: expected at least 1 character",
        ),
        (
            SimulatorRequest::from_user(json!([{"type": "sound"}])),
            "messages.0.content.0.type: unknown block type 'sound'",
        ),
        (
            SimulatorRequest::from_user(json!([tool_use_block()])),
            "messages.0.content.0.tool_use: not allowed in user messages",
        ),
        (SimulatorRequest::with_keys(json!({"stream": "yes"})), "stream: expected a boolean"),
        (
            SimulatorRequest::with_keys(json!({"system": [image_block([0, 0, 0])]})),
            "system.0.type: expected 'text', not 'image'",
        ),
        (
            SimulatorRequest::with_keys(json!({"metadata": {"user_id": "x".repeat(513)}})),
            "metadata.user_id: expected at most 512 characters",
        ),
        (SimulatorRequest::with_keys(json!({"metadata": {"foo": 1}})), "metadata.foo: unknown key"),
        (SimulatorRequest::with_keys(json!({"top_p": 1.1})), "top_p: expected a number from 0 to 1"),
        (SimulatorRequest::with_keys(json!({"top_k": 1.5})), "top_k: expected a whole number that is not negative"),
        (SimulatorRequest::with_keys(json!({"temperature": 1.01})), "temperature: expected a number from 0 to 1"),
        (
            SimulatorRequest::with_keys(json!({"thinking": {"type": "banana"}})),
            "thinking.type: unknown value 'banana', expected one of enabled, adaptive, disabled",
        ),
        (
            SimulatorRequest::with_keys(json!({"thinking": {"type": "enabled", "budget_tokens": 2000}})),
            "thinking.enabled.budget_tokens: expected less than max_tokens",
        ),
        (
            SimulatorRequest::with_keys(json!({"tools": [tool_definition("a"), tool_definition("a")]})),
            "tools.1.custom.name: tool names must be unique",
        ),
        (
            SimulatorRequest::with_keys(json!({"tools": [tool_definition("bad name!")]})),
            "tools.0.custom.name: expected 1 to 128 letters, digits, underscores and hyphens",
        ),
        (
            SimulatorRequest::with_keys(json!({"tools": [with_key(tool_definition("a"), "type", "no_such_20250101")]})),
            "tools.0.type: unknown tool type 'no_such_20250101'",
        ),
        (
            SimulatorRequest::with_keys(
                json!({"tools": [tool_definition("a")], "tool_choice": {"type": "tool", "name": "b"}}),
            ),
            "tool_choice.tool.name: no tool is named 'b'",
        ),
        (
            SimulatorRequest::with_keys(
                json!({"tools": [tool_definition("a")], "tool_choice": {"type": "none", "disable_parallel_tool_use": true}}),
            ),
            "tool_choice.none.disable_parallel_tool_use: unknown key",
        ),
        (
            SimulatorRequest::with_keys(json!({"tools": [tool_definition("a")], "tool_choice": "required"})),
            "tool_choice: unknown value 'required'",
        ),
        (
            SimulatorRequest::from_user(json!(many_markers)),
            "messages.0.content.4.text.cache_control: expected at most 4 cache_control markers",
        ),
        (
            text(json!({"cache_control": {"type": "label"}})),
            "messages.0.content.0.text.cache_control.type: unknown value 'label', expected one of ephemeral",
        ),
        (
            SimulatorRequest::from_assistant(tool_use_block(), "Go on."),
            "messages.1.content.0.tool_use.id: no tool_result for 'toolu_1' follows in the next message",
        ),
        (
            SimulatorRequest::from_user(json!([tool_result_block()])),
            "messages.0.content.0.tool_result.tool_use_id: no tool_use 'toolu_1' stands in the previous message",
        ),
        (
            tool_round(tool_use_block(), with_key(tool_result_block(), "is_error", "banana"), "Go on."),
            "messages.2.content.0.tool_result.is_error: expected a boolean",
        ),
        (
            SimulatorRequest::from_assistant(
                tool_use_block(),
                json!([{"type": "text", "text": "Hi."}, tool_result_block()]),
            ),
            "messages.2.content.1.tool_result: tool results must come before the other blocks of their message",
        ),
        (
            SimulatorRequest::from_assistant(json!({"type": "thinking", "thinking": "x", "signature": "y"}), "Go on."),
            "messages.1.content.0.thinking.signature: does not belong to this thinking",
        ),
        (
            SimulatorRequest::from_assistant(json!({"type": "thinking", "thinking": "x"}), "Go on."),
            "messages.1.content.0.thinking.signature: required",
        ),
        (
            SimulatorRequest::from_assistant(json!({"type": "redacted_thinking", "data": "x"}), "Go on."),
            "messages.1.content.0.redacted_thinking.data: could not be decrypted",
        ),
        (
            SimulatorRequest::from_user(json!([{"type": "container_upload", "file_id": "file_9"}])),
            "messages.0.content.0.container_upload.file_id: file 'file_9' was not found",
        ),
        (
            SimulatorRequest::from_user(
                json!([{"type": "image", "source": {"type": "url", "url": "https://nowhere.invalid/x.png"}}]),
            ),
            "messages.0.content.0.image.source.url.url: could not be fetched",
        ),
        (
            SimulatorRequest::with_keys(
                json!({"mcp_servers": [{"type": "url", "name": "s", "url": "https://nowhere.invalid/"}]}),
            ),
            "mcp_servers: needs the header anthropic-beta: mcp-client-2025-11-20",
        ),
        (
            SimulatorRequest::with_keys(
                json!({"mcp_servers": [{"type": "url", "name": "s", "url": "https://nowhere.invalid/"}]}),
            )
            .with_header("anthropic-beta", "mcp-client-2025-11-20"),
            "mcp_servers.0.url: could not connect to the MCP server 's'",
        ),
        (
            SimulatorRequest::with_keys(json!({"temperature": 1.0})).with_header("anthropic-version", "2026-10-21"),
            "temperature: not allowed under anthropic-version 2026-10-21",
        ),
        (
            SimulatorRequest::with_keys(json!({})).with_header("anthropic-version", "1999-01-01"),
            "header anthropic-version: unknown version '1999-01-01'",
        ),
        (
            SimulatorRequest::with_keys(json!({})).with_header("anthropic-beta", "none-such"),
            "header anthropic-beta: unknown beta name 'none-such'",
        ),
    ] {
        assert_eq!(get_error(&pipeline, &request), (400, expected.to_owned()));
    }
    let (status, message) = get_error(&pipeline, &SimulatorRequest::with_keys(json!({"container": "container_1"})));
    assert_eq!((status, message.as_str()), (404, "container: no container 'container_1' was found"));
    assert_eq!(get_error(&pipeline, &SimulatorRequest::with_keys(json!({"model": "x"}))).0, 404);
    assert_eq!(get_error(&pipeline, &SimulatorRequest::with_keys(json!({})).without_header("x-api-key")).0, 401);
    assert_eq!(
        get_error(&pipeline, &SimulatorRequest::with_keys(json!({})).with_header("authorization", "Bearer wrong")).0,
        401
    );
}

#[test]
fn requests_of_real_clients_are_accepted() {
    let pipeline = reference_pipeline();
    let bearer = format!("Bearer {DEFAULT_CREDENTIAL}");
    let user_id = json!({"device_id": "d", "account_uuid": "", "session_id": "s"}).to_string();
    for request in [
        SimulatorRequest::with_keys(json!({})).without_header("x-api-key").with_header("authorization", &bearer),
        SimulatorRequest::with_keys(json!({}))
            .with_header("anthropic-beta", "interleaved-thinking-2025-05-14, effort-2025-11-24"),
        SimulatorRequest::with_keys(json!({"metadata": {"user_id": user_id}})),
        SimulatorRequest::with_keys(json!({"container": null, "stop_sequences": []})),
        SimulatorRequest::with_keys(
            json!({"tools": [with_key(tool_definition("a"), "type", "custom"), {"type": "web_search_20250305", "name": "web_search"}]}),
        ),
        SimulatorRequest::with_keys(
            json!({"system": [{"type": "text", "text": "Hi.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}),
        ),
        SimulatorRequest::with_keys(json!({"context_management": {"edits": []}}))
            .with_header("anthropic-beta", "context-management-2025-06-27"),
        SimulatorRequest::with_keys(json!({"output_config": {"effort": "medium"}, "thinking": {"type": "adaptive"}})),
        tool_round(tool_use_block(), tool_result_block(), "Thanks."),
        SimulatorRequest::with_keys(
            json!({"messages": [{"role": "user", "content": "A"}, {"role": "user", "content": "B"}]}),
        ),
        SimulatorRequest::with_keys(
            json!({"messages": [{"role": "user", "content": "A"}, {"role": "system", "content": "B"}]}),
        ),
    ] {
        get_message(&pipeline, &request);
    }
}

#[test]
fn the_server_applies_max_tokens_and_stop_sequences() {
    let pipeline = reference_pipeline();
    let request =
        SimulatorRequest::with_keys(json!({"max_tokens": 12, "messages": user_messages("Count from 1 to 60.")}));
    let cut = get_message(&pipeline, &request);
    assert_eq!((&cut["stop_reason"], &cut["usage"]["output_tokens"]), (&json!("max_tokens"), &json!(12)));
    assert_eq!(cut["content"][0]["text"], "1 2 3 4 5 6 7 8 9 10 11 12");
    let request = SimulatorRequest::with_keys(
        json!({"stop_sequences": ["nothing", " 7"], "messages": user_messages("Count from 1 to 20.")}),
    );
    let stopped = get_message(&pipeline, &request);
    assert_eq!((&stopped["stop_reason"], &stopped["stop_sequence"]), (&json!("stop_sequence"), &json!(" 7")));
    assert_eq!(stopped["content"][0]["text"], "1 2 3 4 5 6");
    let nothing = get_message(&pipeline, &SimulatorRequest::with_keys(json!({"max_tokens": 0})));
    assert_eq!((&nothing["content"], &nothing["stop_reason"]), (&json!([]), &json!("max_tokens")));
}

#[test]
fn thinking_is_signed_counted_and_accepted_back() {
    let pipeline = reference_pipeline();
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    let body =
        json!({"thinking": thinking, "messages": user_messages("Today's label is amber falcon 4821. Say hello.")});
    let first = get_message(&pipeline, &SimulatorRequest::with_keys(body));
    let block = first["content"][0].clone();
    assert_eq!(block["type"], "thinking");
    let usage = &first["usage"];
    let thought = usage["output_tokens_details"]["thinking_tokens"].as_u64().unwrap();
    assert!(thought > 60 && thought < usage["output_tokens"].as_u64().unwrap());
    let request = "What is today's label?";
    assert_eq!(get_text(&pipeline, &SimulatorRequest::from_assistant(block.clone(), request)), "amber falcon 4821");
    let altered = with_key(block, "thinking", "Something else.");
    assert_eq!(get_error(&pipeline, &SimulatorRequest::from_assistant(altered, request)).0, 400);
    // A server that does not support thinking cannot verify signatures.
    let other = RequestPipeline::new(config_with_status("field.thinking", ClaimStatus::Ignored));
    let made_up = json!({"type": "thinking", "thinking": "It is amber falcon 4821.", "signature": "made up"});
    assert_eq!(get_text(&other, &SimulatorRequest::from_assistant(made_up, request)), "amber falcon 4821");
}

#[test]
fn a_budget_limits_long_thinking() {
    let think = |pipeline: &RequestPipeline, budget: u64| {
        let thinking = json!({"type": "enabled", "budget_tokens": budget});
        let messages = user_messages("Think step by step, then say hello.");
        let answer = get_message(
            pipeline,
            &SimulatorRequest::with_keys(json!({"max_tokens": 8000, "thinking": thinking, "messages": messages})),
        );
        answer["usage"]["output_tokens_details"]["thinking_tokens"].as_u64().unwrap()
    };
    assert_eq!(think(&reference_pipeline(), 1024), 1024);
    assert!(think(&reference_pipeline(), 7000) > 2000);
    assert!(
        think(&RequestPipeline::new(config_with_status("field.thinking.budget_tokens", ClaimStatus::Ignored)), 1024)
            > 2000
    );
}

#[test]
fn equal_requests_cost_the_same() {
    let pipeline = reference_pipeline();
    let tokens =
        |request: SimulatorRequest| get_message(&pipeline, &request)["usage"]["input_tokens"].as_u64().unwrap();
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(
        tokens(SimulatorRequest::from_user("Say hello.")),
        tokens(SimulatorRequest::from_user(json!([text("Say hello.")])))
    );
    let two = json!([{"role": "user", "content": "A"}, {"role": "user", "content": "B"}]);
    assert_eq!(
        tokens(SimulatorRequest::with_keys(json!({ "messages": two }))),
        tokens(SimulatorRequest::from_user(json!([text("A"), text("B")])))
    );
    let system = |system: Value| tokens(SimulatorRequest::with_keys(json!({ "system": system })));
    assert_eq!(system(json!("Be brief.")), system(json!([text("Be brief.")])));
    assert!(system(json!("Be brief.")) > tokens(SimulatorRequest::with_keys(json!({}))));
    assert!(tokens(SimulatorRequest::with_keys(json!({"tools": [tool_definition("a")]}))) > 300);
}

#[test]
fn count_tokens_returns_no_message() {
    let pipeline = reference_pipeline();
    let count = |request: &SimulatorRequest| {
        let body = request.body.to_string();
        let route = SimulatorRoute::Messages(MessagesRoute::CountTokens);
        pipeline
            .respond(
                &route,
                &request.header_map(),
                body.as_bytes(),
                &mut RequestRng::new(0),
                &mut RequestActivity::default(),
            )
            .map(|response| match response {
                PipelineResponse::Json(value) => value["input_tokens"].as_u64().unwrap(),
                PipelineResponse::Stream(_) => panic!("a stream of counts"),
            })
    };
    let request = SimulatorRequest::with_keys(json!({"system": "Be brief."}));
    let expected = get_message(&pipeline, &request)["usage"]["input_tokens"].as_u64().unwrap();
    assert_eq!(count(&request.clone().without_key("max_tokens")), Ok(expected));
    assert_eq!(count(&request).unwrap_err().message, "max_tokens: unknown key");
}

#[test]
fn a_stream_has_the_same_message() {
    for body in [
        json!({"messages": user_messages("Count from 1 to 20.")}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        json!({"thinking": {"type": "adaptive", "display": "omitted"}}),
        json!({"tools": [tool_definition("find")], "messages": user_messages("Use the tool once for each of: Paris, Zürich.")}),
        json!({"max_tokens": 3, "messages": user_messages("Count from 1 to 20.")}),
        json!({"stop_sequences": ["1"], "messages": user_messages("Count from 1 to 20.")}),
    ] {
        let whole = get_message(&reference_pipeline(), &SimulatorRequest::with_keys(body.clone()));
        let Ok(PipelineResponse::Stream(streamed)) =
            send(&reference_pipeline(), &SimulatorRequest::with_keys(with_key(body, "stream", true)))
        else {
            panic!("no stream")
        };
        let (events_named, names) = assemble_stream(&sse::encode_events(&streamed));
        assert_eq!(without_ids(events_named), without_ids(whole));
        assert_eq!((names[0].as_str(), names[names.len() - 1].as_str()), ("message_start", "message_stop"));
    }
}

/// The message of a stream, and the names of its events.
pub(super) fn assemble_stream(events: &[String]) -> (Value, Vec<String>) {
    let mut message = Value::Null;
    let mut input = String::new();
    let mut names = Vec::new();
    for record in events {
        let (name, data) = record.trim_end().split_once('\n').unwrap();
        let name = name.strip_prefix("event: ").unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], name);
        names.push(name.to_owned());
        let index = data["index"].as_u64().unwrap_or_default() as usize;
        match name {
            "message_start" => message = data["message"].clone(),
            "content_block_start" => {
                assert_eq!(index, message["content"].as_array().unwrap().len());
                message["content"].as_array_mut().unwrap().push(data["content_block"].clone());
                input.clear();
            }
            "content_block_delta" => {
                let delta = &data["delta"];
                let block = &mut message["content"][index];
                for key in ["text", "thinking", "signature"] {
                    if let Some(part) = delta[key].as_str() {
                        block[key] = json!(format!("{}{part}", block[key].as_str().unwrap()));
                    }
                }
                input.push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
            "content_block_stop" if !input.is_empty() => {
                message["content"][index]["input"] = serde_json::from_str(&input).unwrap();
            }
            "message_delta" => {
                for part in ["delta", "usage"] {
                    for (key, value) in data[part].as_object().unwrap() {
                        let place = if part == "usage" { &mut message["usage"] } else { &mut message };
                        place[key] = value.clone();
                    }
                }
            }
            _ => {}
        }
    }
    (message, names)
}

fn without_ids(mut message: Value) -> Value {
    message["id"] = Value::Null;
    for block in message["content"].as_array_mut().unwrap() {
        for key in ["id", "signature"] {
            if let Some(id) = block.get_mut(key) {
                assert!(!id.as_str().unwrap().is_empty());
                *id = Value::Null;
            }
        }
    }
    message
}

#[test]
fn models_are_listed_and_paths_can_have_a_base() {
    let pipeline = reference_pipeline();
    let get = |path: &'static str| {
        let route = SimulatorRoute::resolve(&Method::GET, &Uri::from_static(path), &pipeline.config)?;
        pipeline.respond(
            &route,
            &SimulatorRequest::with_keys(json!({})).header_map(),
            b"",
            &mut RequestRng::new(0),
            &mut RequestActivity::default(),
        )
    };
    assert!(matches!(get("/v1/models"), Ok(PipelineResponse::Json(list)) if list["data"][0]["id"] == "m"));
    assert!(matches!(get("/anthropic/v1/models/m"), Ok(PipelineResponse::Json(model)) if model["type"] == "model"));
    assert_eq!(get("/v1/models/x").unwrap_err().kind, ApiErrorKind::NotFound);
    assert_eq!(get("/v1/none").unwrap_err().kind, ApiErrorKind::NotFound);
    assert_eq!(get("/v1/messages").unwrap_err().kind, ApiErrorKind::MethodNotAllowed);
    let messages = SimulatorRoute::Messages(MessagesRoute::Messages);
    let uri = Uri::from_static("/a/b/v1/messages?beta=true");
    assert_eq!(SimulatorRoute::resolve(&Method::POST, &uri, &pipeline.config), Ok(messages));
}
