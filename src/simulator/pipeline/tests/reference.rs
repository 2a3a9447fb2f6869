//! What the fully supporting server does and refuses.

use crate::simulator::pipeline::tests::*;

fn reference() -> Service {
    Service::new(behaviour())
}

fn last_user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

#[test]
fn invalid_requests_are_refused_by_path() {
    let service = reference();
    let text = |more: Value| {
        let mut block = json!({"type": "text", "text": "Hi."});
        block.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Ask::user(json!([block]))
    };
    let many_markers: Vec<Value> =
        (0..5).map(|_| json!({"type": "text", "text": "Hi.", "cache_control": {"type": "ephemeral"}})).collect();
    for (ask, expected) in [
        (Ask::with(json!({"zz_unknown": 1})), "zz_unknown: unknown key"),
        (Ask::with(json!({"messages": [{"role": "user", "content": "Hi.", "foo": 1}]})), "messages.0.foo: unknown key"),
        (text(json!({"foo": 1})), "messages.0.content.0.text.foo: unknown key"),
        (Ask::with(json!({"tools": [plus(tool("t"), "foo", 1)]})), "tools.0.custom.foo: unknown key"),
        (Ask::with(json!({})).without("max_tokens"), "max_tokens: required"),
        (Ask::with(json!({})).without("messages"), "messages: required"),
        (Ask::with(json!({})).without("model"), "model: required"),
        (Ask::with(json!({"max_tokens": -1})), "max_tokens: expected a whole number that is not negative"),
        (Ask::with(json!({"max_tokens": 9000})), "max_tokens: 9000 is above the limit of 8192 output tokens of m"),
        (Ask::with(json!({"messages": []})), "messages: expected at least 1 message"),
        (Ask::with(json!({"messages": [{"role": "ctx", "content": "x"}]})), "messages.0.role: unknown role 'ctx'"),
        (Ask::user(""), "messages.0.content: must not be empty"),
        (
            Ask::user(json!([{"type": "text", "text": ""}])),
            "messages.0.content.0.text.text: expected at least 1 character",
        ),
        (Ask::user(json!([{"type": "sound"}])), "messages.0.content.0.type: unknown block type 'sound'"),
        (Ask::user(json!([call()])), "messages.0.content.0.tool_use: not allowed in user messages"),
        (Ask::with(json!({"stream": "yes"})), "stream: expected a boolean"),
        (Ask::with(json!({"system": [png([0, 0, 0])]})), "system.0.type: expected 'text', not 'image'"),
        (
            Ask::with(json!({"metadata": {"user_id": "x".repeat(513)}})),
            "metadata.user_id: expected at most 512 characters",
        ),
        (Ask::with(json!({"metadata": {"foo": 1}})), "metadata.foo: unknown key"),
        (Ask::with(json!({"top_p": 1.1})), "top_p: expected a number from 0 to 1"),
        (Ask::with(json!({"top_k": 1.5})), "top_k: expected a whole number that is not negative"),
        (Ask::with(json!({"temperature": 1.01})), "temperature: expected a number from 0 to 1"),
        (
            Ask::with(json!({"thinking": {"type": "banana"}})),
            "thinking.type: unknown value 'banana', expected one of enabled, adaptive, disabled",
        ),
        (
            Ask::with(json!({"thinking": {"type": "enabled", "budget_tokens": 2000}})),
            "thinking.enabled.budget_tokens: expected less than max_tokens",
        ),
        (Ask::with(json!({"tools": [tool("a"), tool("a")]})), "tools.1.custom.name: tool names must be unique"),
        (
            Ask::with(json!({"tools": [tool("bad name!")]})),
            "tools.0.custom.name: expected 1 to 128 letters, digits, underscores and hyphens",
        ),
        (
            Ask::with(json!({"tools": [plus(tool("a"), "type", "no_such_20250101")]})),
            "tools.0.type: unknown tool type 'no_such_20250101'",
        ),
        (
            Ask::with(json!({"tools": [tool("a")], "tool_choice": {"type": "tool", "name": "b"}})),
            "tool_choice.tool.name: no tool is named 'b'",
        ),
        (
            Ask::with(
                json!({"tools": [tool("a")], "tool_choice": {"type": "none", "disable_parallel_tool_use": true}}),
            ),
            "tool_choice.none.disable_parallel_tool_use: unknown key",
        ),
        (Ask::with(json!({"tools": [tool("a")], "tool_choice": "required"})), "tool_choice: unknown value 'required'"),
        (
            Ask::user(json!(many_markers)),
            "messages.0.content.4.text.cache_control: expected at most 4 cache_control markers",
        ),
        (
            text(json!({"cache_control": {"type": "label"}})),
            "messages.0.content.0.text.cache_control.type: unknown value 'label', expected one of ephemeral",
        ),
        (
            Ask::assistant(call(), "Go on."),
            "messages.1.content.0.tool_use.id: no tool_result for 'toolu_1' follows in the next message",
        ),
        (
            Ask::user(json!([result()])),
            "messages.0.content.0.tool_result.tool_use_id: no tool_use 'toolu_1' stands in the previous message",
        ),
        (
            exchange(call(), plus(result(), "is_error", "banana"), "Go on."),
            "messages.2.content.0.tool_result.is_error: expected a boolean",
        ),
        (
            Ask::assistant(call(), json!([{"type": "text", "text": "Hi."}, result()])),
            "messages.2.content.1.tool_result: tool results must come before the other blocks of their message",
        ),
        (
            Ask::assistant(json!({"type": "thinking", "thinking": "x", "signature": "y"}), "Go on."),
            "messages.1.content.0.thinking.signature: does not belong to this thinking",
        ),
        (
            Ask::assistant(json!({"type": "thinking", "thinking": "x"}), "Go on."),
            "messages.1.content.0.thinking.signature: required",
        ),
        (
            Ask::assistant(json!({"type": "redacted_thinking", "data": "x"}), "Go on."),
            "messages.1.content.0.redacted_thinking.data: could not be decrypted",
        ),
        (
            Ask::user(json!([{"type": "container_upload", "file_id": "file_9"}])),
            "messages.0.content.0.container_upload.file_id: file 'file_9' was not found",
        ),
        (
            Ask::user(json!([{"type": "image", "source": {"type": "url", "url": "https://nowhere.invalid/x.png"}}])),
            "messages.0.content.0.image.source.url.url: could not be fetched",
        ),
        (
            Ask::with(json!({"mcp_servers": [{"type": "url", "name": "s", "url": "https://nowhere.invalid/"}]})),
            "mcp_servers: needs the header anthropic-beta: mcp-client-2025-11-20",
        ),
        (
            Ask::with(json!({"mcp_servers": [{"type": "url", "name": "s", "url": "https://nowhere.invalid/"}]}))
                .header("anthropic-beta", "mcp-client-2025-11-20"),
            "mcp_servers.0.url: could not connect to the MCP server 's'",
        ),
        (
            Ask::with(json!({"temperature": 1.0})).header("anthropic-version", "2026-10-21"),
            "temperature: not allowed under anthropic-version 2026-10-21",
        ),
        (
            Ask::with(json!({})).header("anthropic-version", "1999-01-01"),
            "header anthropic-version: unknown version '1999-01-01'",
        ),
        (
            Ask::with(json!({})).header("anthropic-beta", "none-such"),
            "header anthropic-beta: unknown beta name 'none-such'",
        ),
    ] {
        assert_eq!(refusal(&service, &ask), (400, expected.to_owned()));
    }
    let (status, message) = refusal(&service, &Ask::with(json!({"container": "container_1"})));
    assert_eq!((status, message.as_str()), (404, "container: no container 'container_1' was found"));
    assert_eq!(refusal(&service, &Ask::with(json!({"model": "x"}))).0, 404);
    assert_eq!(refusal(&service, &Ask::with(json!({})).no_header("x-api-key")).0, 401);
    assert_eq!(refusal(&service, &Ask::with(json!({})).header("authorization", "Bearer wrong")).0, 401);
}

#[test]
fn what_real_clients_send_is_accepted() {
    let service = reference();
    let bearer = format!("Bearer {DEFAULT_CREDENTIAL}");
    let user_id = json!({"device_id": "d", "account_uuid": "", "session_id": "s"}).to_string();
    for ask in [
        Ask::with(json!({})).no_header("x-api-key").header("authorization", &bearer),
        Ask::with(json!({})).header("anthropic-beta", "interleaved-thinking-2025-05-14, effort-2025-11-24"),
        Ask::with(json!({"metadata": {"user_id": user_id}})),
        Ask::with(json!({"container": null, "stop_sequences": []})),
        Ask::with(
            json!({"tools": [plus(tool("a"), "type", "custom"), {"type": "web_search_20250305", "name": "web_search"}]}),
        ),
        Ask::with(
            json!({"system": [{"type": "text", "text": "Hi.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}),
        ),
        Ask::with(json!({"context_management": {"edits": []}}))
            .header("anthropic-beta", "context-management-2025-06-27"),
        Ask::with(json!({"output_config": {"effort": "medium"}, "thinking": {"type": "adaptive"}})),
        exchange(call(), result(), "Thanks."),
        Ask::with(json!({"messages": [{"role": "user", "content": "A"}, {"role": "user", "content": "B"}]})),
        Ask::with(json!({"messages": [{"role": "user", "content": "A"}, {"role": "system", "content": "B"}]})),
    ] {
        message(&service, &ask);
    }
}

#[test]
fn bounds_and_stops_belong_to_the_server() {
    let service = reference();
    let ask = Ask::with(json!({"max_tokens": 12, "messages": last_user("Count from 1 to 60.")}));
    let cut = message(&service, &ask);
    assert_eq!((&cut["stop_reason"], &cut["usage"]["output_tokens"]), (&json!("max_tokens"), &json!(12)));
    assert_eq!(cut["content"][0]["text"], "1 2 3 4 5 6 7 8 9 10 11 12");
    let ask = Ask::with(json!({"stop_sequences": ["nothing", " 7"], "messages": last_user("Count from 1 to 20.")}));
    let stopped = message(&service, &ask);
    assert_eq!((&stopped["stop_reason"], &stopped["stop_sequence"]), (&json!("stop_sequence"), &json!(" 7")));
    assert_eq!(stopped["content"][0]["text"], "1 2 3 4 5 6");
    let nothing = message(&service, &Ask::with(json!({"max_tokens": 0})));
    assert_eq!((&nothing["content"], &nothing["stop_reason"]), (&json!([]), &json!("max_tokens")));
}

#[test]
fn thinking_is_signed_counted_and_taken_back() {
    let service = reference();
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    let body = json!({"thinking": thinking, "messages": last_user("Today's label is amber falcon 4821. Say hello.")});
    let first = message(&service, &Ask::with(body));
    let block = first["content"][0].clone();
    assert_eq!(block["type"], "thinking");
    let usage = &first["usage"];
    let thought = usage["output_tokens_details"]["thinking_tokens"].as_u64().unwrap();
    assert!(thought > 60 && thought < usage["output_tokens"].as_u64().unwrap());
    let ask = "What is today's label?";
    assert_eq!(text(&service, &Ask::assistant(block.clone(), ask)), "amber falcon 4821");
    let altered = plus(block, "thinking", "Something else.");
    assert_eq!(refusal(&service, &Ask::assistant(altered, ask)).0, 400);
    // Nobody else's signatures are known to a server that does not think.
    let other = Service::new(flipped("field.thinking", ClaimStatus::Ignored));
    let made_up = json!({"type": "thinking", "thinking": "It is amber falcon 4821.", "signature": "made up"});
    assert_eq!(text(&other, &Ask::assistant(made_up, ask)), "amber falcon 4821");
}

#[test]
fn a_budget_bounds_long_thought() {
    let think = |service: &Service, budget: u64| {
        let thinking = json!({"type": "enabled", "budget_tokens": budget});
        let messages = last_user("Think step by step, then say hello.");
        let answer =
            message(service, &Ask::with(json!({"max_tokens": 8000, "thinking": thinking, "messages": messages})));
        answer["usage"]["output_tokens_details"]["thinking_tokens"].as_u64().unwrap()
    };
    assert_eq!(think(&reference(), 1024), 1024);
    assert!(think(&reference(), 7000) > 2000);
    assert!(think(&Service::new(flipped("field.thinking.budget_tokens", ClaimStatus::Ignored)), 1024) > 2000);
}

#[test]
fn equal_requests_cost_the_same() {
    let service = reference();
    let tokens = |ask: Ask| message(&service, &ask)["usage"]["input_tokens"].as_u64().unwrap();
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(tokens(Ask::user("Say hello.")), tokens(Ask::user(json!([text("Say hello.")]))));
    let two = json!([{"role": "user", "content": "A"}, {"role": "user", "content": "B"}]);
    assert_eq!(tokens(Ask::with(json!({ "messages": two }))), tokens(Ask::user(json!([text("A"), text("B")]))));
    let system = |system: Value| tokens(Ask::with(json!({ "system": system })));
    assert_eq!(system(json!("Be brief.")), system(json!([text("Be brief.")])));
    assert!(system(json!("Be brief.")) > tokens(Ask::with(json!({}))));
    assert!(tokens(Ask::with(json!({"tools": [tool("a")]}))) > 300);
}

#[test]
fn tokens_are_counted_without_an_answer() {
    let service = reference();
    let count = |ask: &Ask| {
        let body = ask.body.to_string();
        let route = Route::Messages(Endpoint::CountTokens);
        service.answer(&route, &ask.map(), body.as_bytes(), &mut Draws::new(0), &mut Acts::default()).map(|reply| {
            match reply {
                Reply::Json(value) => value["input_tokens"].as_u64().unwrap(),
                Reply::Stream(_) => panic!("a stream of counts"),
            }
        })
    };
    let ask = Ask::with(json!({"system": "Be brief."}));
    let expected = message(&service, &ask)["usage"]["input_tokens"].as_u64().unwrap();
    assert_eq!(count(&ask.clone().without("max_tokens")), Ok(expected));
    assert_eq!(count(&ask).unwrap_err().message, "max_tokens: unknown key");
}

#[test]
fn a_stream_tells_the_same_message() {
    for body in [
        json!({"messages": last_user("Count from 1 to 20.")}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        json!({"thinking": {"type": "adaptive", "display": "omitted"}}),
        json!({"tools": [tool("find")], "messages": last_user("Use the tool once for each of: Paris, Zürich.")}),
        json!({"max_tokens": 3, "messages": last_user("Count from 1 to 20.")}),
        json!({"stop_sequences": ["1"], "messages": last_user("Count from 1 to 20.")}),
    ] {
        let whole = message(&reference(), &Ask::with(body.clone()));
        let Ok(Reply::Stream(streamed)) = send(&reference(), &Ask::with(plus(body, "stream", true))) else {
            panic!("no stream")
        };
        let (told, names) = put_together(&sse::events(&streamed));
        assert_eq!(without_ids(told), without_ids(whole));
        assert_eq!((names[0].as_str(), names[names.len() - 1].as_str()), ("message_start", "message_stop"));
    }
}

/// The message that a stream tells, and its events' names.
pub(super) fn put_together(events: &[String]) -> (Value, Vec<String>) {
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
fn models_are_listed_and_paths_may_have_a_base() {
    let service = reference();
    let get = |path: &'static str| {
        let route = Route::of(&Method::GET, &Uri::from_static(path), &service.behaviour)?;
        service.answer(&route, &Ask::with(json!({})).map(), b"", &mut Draws::new(0), &mut Acts::default())
    };
    assert!(matches!(get("/v1/models"), Ok(Reply::Json(list)) if list["data"][0]["id"] == "m"));
    assert!(matches!(get("/anthropic/v1/models/m"), Ok(Reply::Json(model)) if model["type"] == "model"));
    assert_eq!(get("/v1/models/x").unwrap_err().kind, Kind::NotFound);
    assert_eq!(get("/v1/none").unwrap_err().kind, Kind::NotFound);
    assert_eq!(get("/v1/messages").unwrap_err().kind, Kind::Method);
    let messages = Route::Messages(Endpoint::Messages);
    let uri = Uri::from_static("/a/b/v1/messages?beta=true");
    assert_eq!(Route::of(&Method::POST, &uri, &service.behaviour), Ok(messages));
}
