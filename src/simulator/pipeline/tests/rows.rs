//! Every row: a server that supports it, one that ignores it and one that rejects it differ
//! visibly.

use crate::simulator::pipeline::tests::*;

const LABEL_QUESTION: &str = "What is today's label? Reply with the label alone.";
const LABEL_TEXT: &str = "Today's label is amber falcon 4821.";

/// For each row, a request whose response changes if the row is ignored, and a request that has the
/// row, for a server that rejects it. Most rows need only one.
fn row_requests(row: &str) -> (SimulatorRequest, SimulatorRequest) {
    let same = |request: SimulatorRequest| (request.clone(), request);
    let long = "The quick fox walks on. ".repeat(400);
    let marker = || json!({"type": "ephemeral"});
    let label_text = json!({"type": "text", "text": LABEL_QUESTION});
    let weather = |request: &str, choice: Value| {
        SimulatorRequest::with_keys(
            json!({"tools": [tool_definition("get_weather"), tool_definition("get_time")], "tool_choice": choice,
            "messages": [{"role": "user", "content": request}]}),
        )
    };
    let each = "Use the get_weather tool once for each of: Paris, Rome.";
    let handed_back = |block: Value| same(SimulatorRequest::from_assistant(block, LABEL_QUESTION));
    match row {
        "header.anthropic-beta" => {
            same(SimulatorRequest::with_keys(json!({})).with_header("anthropic-beta", "no-such-beta-2020-01-01"))
        }
        "header.anthropic-version" => (
            SimulatorRequest::with_keys(json!({})).without_header("anthropic-version"),
            SimulatorRequest::with_keys(json!({})),
        ),
        "header.x-api-key" => (
            SimulatorRequest::with_keys(json!({})).with_header("x-api-key", "wrong"),
            SimulatorRequest::with_keys(json!({})),
        ),
        "header.authorization" => (
            SimulatorRequest::with_keys(json!({}))
                .without_header("x-api-key")
                .with_header("authorization", "Bearer wrong"),
            SimulatorRequest::with_keys(json!({}))
                .with_header("authorization", &format!("Bearer {DEFAULT_CREDENTIAL}")),
        ),
        "field.model" => same(SimulatorRequest::with_keys(json!({"model": "none-such"}))),
        "field.max_tokens" => same(SimulatorRequest::with_keys(
            json!({"max_tokens": 12, "messages": [{"role": "user", "content": "Count from 1 to 60."}]}),
        )),
        "field.container" => same(SimulatorRequest::with_keys(json!({"container": "container_1"}))),
        "field.mcp_servers" => {
            let servers = json!([{"type": "url", "name": "s", "url": "https://nowhere.invalid/"}]);
            same(SimulatorRequest::with_keys(json!({ "mcp_servers": servers })))
        }
        "field.metadata" => same(SimulatorRequest::with_keys(json!({"metadata": {"user_id": 12345}}))),
        "field.service_tier" => same(SimulatorRequest::with_keys(json!({"service_tier": "turbo"}))),
        "field.stop_sequences" => same(SimulatorRequest::with_keys(json!({"stop_sequences": [" 7"],
            "messages": [{"role": "user", "content": "Count from 1 to 20."}]}))),
        "field.stream" => same(SimulatorRequest::with_keys(json!({"stream": true}))),
        "field.system" => same(SimulatorRequest::with_keys(
            json!({"system": LABEL_TEXT, "messages": [{"role": "user", "content": LABEL_QUESTION}]}),
        )),
        "field.temperature" => same(SimulatorRequest::with_keys(json!({"temperature": "hot"}))),
        "field.temperature.range" => (
            SimulatorRequest::with_keys(json!({"temperature": 1.01})),
            SimulatorRequest::with_keys(json!({"temperature": 1.0})),
        ),
        "field.thinking" => {
            same(SimulatorRequest::with_keys(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}})))
        }
        "field.thinking.budget_tokens" => {
            same(SimulatorRequest::with_keys(json!({"thinking": {"type": "enabled", "budget_tokens": 1}})))
        }
        "field.top_k" => same(SimulatorRequest::with_keys(json!({"top_k": -1}))),
        "field.top_p" => same(SimulatorRequest::with_keys(json!({"top_p": 1.5}))),
        "tools.name" => same(weather("Use the tool for Paris.", json!({"type": "auto"}))),
        "tools.input_schema" => same(weather("Use the tool for Paris.", json!({"type": "auto"}))),
        "tools.description" => {
            let tools = json!([with_key(tool_definition("find"), "description", LABEL_TEXT)]);
            same(SimulatorRequest::with_keys(
                json!({"tools": tools, "messages": [{"role": "user", "content": LABEL_QUESTION}]}),
            ))
        }
        "tools.cache_control" => {
            let tool = with_key(with_key(tool_definition("find"), "description", long), "cache_control", marker());
            same(SimulatorRequest::with_keys(json!({ "tools": [tool] })))
        }
        "tool_choice.string_form" => same(weather("Use the tool for Paris.", json!("none"))),
        "tool_choice.object_form" | "tool_choice.none" => {
            same(weather("Use the tool for Paris.", json!({"type": "none"})))
        }
        "tool_choice.auto" => same(weather("Say hello.", json!({"type": "auto", "name": "get_weather"}))),
        "tool_choice.any" => same(weather("Say hello.", json!({"type": "any"}))),
        "tool_choice.tool" => same(weather("Say hello.", json!({"type": "tool", "name": "get_time"}))),
        "tool_choice.auto.disable_parallel_tool_use" => {
            same(weather(each, json!({"type": "auto", "disable_parallel_tool_use": true})))
        }
        "tool_choice.any.disable_parallel_tool_use" => {
            same(weather(each, json!({"type": "any", "disable_parallel_tool_use": true})))
        }
        "tool_choice.tool.disable_parallel_tool_use" => {
            let choice = json!({"type": "tool", "name": "get_weather", "disable_parallel_tool_use": true});
            same(weather(each, choice))
        }
        "content.string" => same(SimulatorRequest::from_user(format!("{LABEL_TEXT} {LABEL_QUESTION}"))),
        "content.text.text" => same(SimulatorRequest::from_user(
            json!([{"type": "text", "text": format!("{LABEL_TEXT} {LABEL_QUESTION}")}]),
        )),
        "content.text.cache_control" => {
            same(SimulatorRequest::from_user(json!([{"type": "text", "text": long, "cache_control": marker()}])))
        }
        "content.text.citations" => {
            let text = json!({"type": "text", "text": "Hi.", "citations": [{"type": "made_up", "cited_text": "x"}]});
            handed_back(text)
        }
        "content.image" => same(SimulatorRequest::from_user(
            json!([image_block([255, 0, 0]), {"type": "text", "text": "What colour is the image?"}]),
        )),
        "content.document" => {
            let source = json!({"type": "text", "media_type": "text/plain", "data": LABEL_TEXT});
            same(SimulatorRequest::from_user(json!([{"type": "document", "source": source}, label_text])))
        }
        "content.search_result" => {
            let content = json!([{"type": "text", "text": LABEL_TEXT}]);
            let result = json!({"type": "search_result", "source": "s", "title": "t", "content": content});
            same(SimulatorRequest::from_user(json!([result, label_text])))
        }
        "content.thinking" => handed_back(json!({"type": "thinking", "thinking": LABEL_TEXT, "signature": "made up"})),
        "content.redacted_thinking" => handed_back(json!({"type": "redacted_thinking", "data": "b3BhcXVl"})),
        "content.tool_use.id" => {
            same(tool_round(tool_use_block(), with_key(tool_result_block(), "tool_use_id", "other"), "Go on."))
        }
        "content.tool_use.input" => same(tool_round(
            with_key(tool_use_block(), "input", json!({"x": "amber falcon 4821"})),
            tool_result_block(),
            LABEL_QUESTION,
        )),
        "content.tool_use.name" => same(tool_round(
            with_key(tool_use_block(), "name", "say_amber_falcon_4821"),
            tool_result_block(),
            LABEL_QUESTION,
        )),
        "content.tool_use.cache_control" => {
            let call = with_key(with_key(tool_use_block(), "input", json!({ "x": long })), "cache_control", marker());
            same(tool_round(call, tool_result_block(), "Go on."))
        }
        "content.tool_result.tool_use_id" => {
            let body = json!({"messages": [
                {"role": "user", "content": "Go on."},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "a", "name": "find", "input": {"city": "Paris"}},
                    {"type": "tool_use", "id": "b", "name": "find", "input": {"city": "Rome"}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "b", "content": "quiet river 0007"},
                    {"type": "tool_result", "tool_use_id": "a", "content": "tall cedar 9999"},
                    {"type": "text", "text": "What label did the tool return for Paris?"}]},
            ]});
            same(SimulatorRequest::with_keys(body))
        }
        "content.tool_result.content" => {
            same(tool_round(tool_use_block(), with_key(tool_result_block(), "content", LABEL_TEXT), LABEL_QUESTION))
        }
        "content.tool_result.cache_control" => {
            let result = with_key(with_key(tool_result_block(), "content", long), "cache_control", marker());
            same(tool_round(tool_use_block(), result, "Go on."))
        }
        "content.tool_result.is_error" => {
            let request = "Did the tool succeed? Answer yes or no.";
            same(tool_round(tool_use_block(), with_key(tool_result_block(), "is_error", true), request))
        }
        "content.server_tool_use" => {
            let block = json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": LABEL_TEXT}});
            handed_back(block)
        }
        "content.web_search_tool_result" => {
            let hit = json!({"type": "web_search_result", "url": "u", "title": LABEL_TEXT, "encrypted_content": "e"});
            handed_back(json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [hit]}))
        }
        "content.code_execution_tool_result" => {
            let content = json!({"type": "code_execution_result", "stdout": LABEL_TEXT, "stderr": "", "return_code": 0,
                "content": []});
            handed_back(json!({"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": content}))
        }
        "content.mcp_tool_use" => handed_back(
            json!({"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "n", "server_name": "s", "input": {"q": LABEL_TEXT}}),
        ),
        "content.mcp_tool_result" => {
            let content = json!([{"type": "text", "text": LABEL_TEXT}]);
            handed_back(
                json!({"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": false, "content": content}),
            )
        }
        "content.container_upload" => {
            same(SimulatorRequest::from_user(json!([{"type": "container_upload", "file_id": "file_1"}, label_text])))
        }
        "limit.max_output_tokens" => (
            SimulatorRequest::with_keys(json!({"max_tokens": 9000})),
            SimulatorRequest::with_keys(json!({"max_tokens": 8000})),
        ),
        other => panic!("no request for the row {other}"),
    }
}

/// The parts of a response that a client can see, without ids.
fn observe_response(status: Option<ClaimStatus>, row: &str, request: &SimulatorRequest) -> String {
    let config = status.map_or_else(test_config, |status| config_with_status(row, status));
    match send(&RequestPipeline::new(config), request) {
        Err(error) => format!("{} {}", error.kind.status(), error.message),
        Ok(PipelineResponse::Stream(_)) => "a stream".to_owned(),
        Ok(PipelineResponse::Json(mut message)) => {
            message["id"] = Value::Null;
            for block in message["content"].as_array_mut().unwrap() {
                block["id"] = Value::Null;
                block["signature"] = Value::Null;
            }
            message.to_string()
        }
    }
}

#[test]
fn every_row_can_be_ignored_and_rejected() {
    for row in ROW_IDS {
        let (for_ignored, for_unsupported) = row_requests(row);
        let supported = observe_response(None, row, &for_ignored);
        let ignored = observe_response(Some(ClaimStatus::Ignored), row, &for_ignored);
        assert_ne!(supported, ignored, "{row}");
        assert!(!ignored.starts_with(|c: char| c.is_ascii_digit()), "{row}, ignored, is refused: {ignored}");
        let supported = observe_response(None, row, &for_unsupported);
        let unsupported = observe_response(Some(ClaimStatus::Unsupported), row, &for_unsupported);
        assert_ne!(supported, unsupported, "{row}");
        let expected = if row.starts_with("header.x-api") || row.starts_with("header.auth") { "401" } else { "400" };
        assert!(unsupported.starts_with(expected), "{row}, unsupported: {unsupported}");
    }
}

#[test]
fn a_rejection_names_every_place_of_an_unsupported_field() {
    let mut config = test_config();
    for row in ["content.image", "content.document", "tools.cache_control", "header.anthropic-beta"] {
        config.set_status(row, ClaimStatus::Unsupported).unwrap();
    }
    let document = json!({"type": "document", "source": {"type": "content", "content": [image_block([0, 0, 0])]}});
    let mut request =
        tool_round(tool_use_block(), with_key(tool_result_block(), "content", json!([document])), "Go on.");
    request.body["tools"] = json!([with_key(tool_definition("find"), "cache_control", json!({"type": "ephemeral"}))]);
    request.body["messages"][0]["content"] = json!([image_block([0, 0, 0])]);
    let (status, message) = get_error(&RequestPipeline::new(config), &request.with_header("anthropic-beta", "x"));
    assert_eq!(status, 400);
    let paths = [
        "header anthropic-beta",
        "tools.0.custom.cache_control",
        "messages.0.content.0.image",
        "messages.2.content.0.tool_result.content.0.document",
        "messages.2.content.0.tool_result.content.0.document.source.content.0.image",
    ];
    let expected: Vec<String> = paths.iter().map(|path| format!("{path}: not supported by this endpoint")).collect();
    assert_eq!(message, expected.join("; "));
}

#[test]
fn an_unsupported_range_or_limit_is_narrower() {
    let mut config = config_with_status("field.temperature.range", ClaimStatus::Unsupported);
    config.temperature = ClaimedRange { min: 0.0, max: 2.0 };
    let pipeline = RequestPipeline::new(config);
    get_message(&pipeline, &SimulatorRequest::with_keys(json!({"temperature": 1.0})));
    let (_, fault) = get_error(&pipeline, &SimulatorRequest::with_keys(json!({"temperature": 1.1})));
    assert_eq!(fault, "temperature: expected a number from 0 to 1");
    let pipeline = RequestPipeline::new(config_with_status("limit.max_output_tokens", ClaimStatus::Unsupported));
    let (_, fault) = get_error(&pipeline, &SimulatorRequest::with_keys(json!({"max_tokens": 8192})));
    assert_eq!(fault, "max_tokens: 8192 is above the limit of 2048 output tokens of m");
}

#[test]
fn an_ignored_row_does_not_turn_off_other_checks() {
    let pipeline = RequestPipeline::new(config_with_status("field.max_tokens", ClaimStatus::Ignored));
    get_message(&pipeline, &SimulatorRequest::with_keys(json!({"max_tokens": "many"})));
    assert_eq!(get_error(&pipeline, &SimulatorRequest::with_keys(json!({"max_tokens": 9000}))).0, 400);
    let pipeline = RequestPipeline::new(config_with_status("field.thinking", ClaimStatus::Ignored));
    let request = SimulatorRequest::with_keys(json!({"thinking": {"type": "enabled", "budget_tokens": 1}}));
    assert_eq!(get_error(&pipeline, &request).1, "thinking.enabled.budget_tokens: expected at least 1024");
}

#[test]
fn a_server_that_substitutes_models_accepts_any_name() {
    let pipeline = RequestPipeline::new(config_with_status("field.model", ClaimStatus::Substituted));
    assert_eq!(get_message(&pipeline, &SimulatorRequest::with_keys(json!({"model": "none-such"})))["model"], "m");
    assert_eq!(
        get_error(&pipeline, &SimulatorRequest::with_keys(json!({"model": 3}))),
        (400, "model: expected a string".to_owned())
    );
}

#[test]
fn tools_get_new_names_if_names_are_ignored() {
    let pipeline = RequestPipeline::new(config_with_status("tools.name", ClaimStatus::Ignored));
    let request = SimulatorRequest::with_keys(
        json!({"tools": [tool_definition("a"), tool_definition("b")], "tool_choice": {"type": "tool", "name": "b"}}),
    );
    assert_eq!(get_message(&pipeline, &request)["content"][0]["name"], "tool_1");
}

#[test]
fn the_string_form_has_its_own_path() {
    let pipeline = RequestPipeline::new(config_with_status("tool_choice.none", ClaimStatus::Unsupported));
    let request = |choice: Value| {
        SimulatorRequest::with_keys(json!({"tools": [tool_definition("find")], "tool_choice": choice,
            "messages": [{"role": "user", "content": "Use the tool."}]}))
    };
    assert_eq!(get_message(&pipeline, &request(json!("none")))["stop_reason"], "end_turn");
    assert_eq!(get_message(&pipeline, &request(json!("any")))["stop_reason"], "tool_use");
    assert_eq!(get_error(&pipeline, &request(json!({"type": "none"}))).0, 400);
}

#[test]
fn ignored_fields_use_no_tokens() {
    for row in ["field.system", "tools.description", "content.document", "content.image", "content.mcp_tool_result"] {
        let (request, _) = row_requests(row);
        let tokens =
            |config| get_message(&RequestPipeline::new(config), &request)["usage"]["input_tokens"].as_u64().unwrap();
        assert!(tokens(config_with_status(row, ClaimStatus::Ignored)) < tokens(test_config()), "{row}");
    }
}

#[test]
fn unchecked_ids_still_link_results_to_calls() {
    let (mut request, _) = row_requests("content.tool_result.tool_use_id");
    request.body["messages"][1]["content"][1]["id"] = json!("not an id!");
    request.body["messages"][2]["content"][0]["tool_use_id"] = json!("nobody's");
    let pipeline = RequestPipeline::new(config_with_status("content.tool_use.id", ClaimStatus::Ignored));
    assert_eq!(get_text(&pipeline, &request), "tall cedar 9999");
}
