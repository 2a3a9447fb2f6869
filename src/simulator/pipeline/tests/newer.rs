//! What the fully supporting server does at its side endpoints, over several turns, and with newer fields.

use crate::simulator::pipeline::tests::*;

fn reference() -> Service {
    Service::new(behaviour())
}

fn thinking(kind: Value, text: &str) -> Ask {
    let messages = json!([{"role": "user", "content": text}]);
    Ask::with(json!({"thinking": kind, "tools": [tool("find")], "messages": messages}))
}

#[test]
fn every_client_mistake_has_its_status_and_names_its_place() {
    let service = reference();
    let good = || Ask::with(json!({}));
    for (ask, expected) in [
        (good().no_header("x-api-key"), 401),
        (good().header("x-api-key", "wrong"), 401),
        (good().header("anthropic-version", "2020-01-01"), 400),
        (good().no_header("anthropic-version"), 400),
        (good().header("anthropic-beta", "no-such-beta-2020-01-01"), 400),
        (Ask::with(json!({"model": "none"})), 404),
    ] {
        assert_eq!(status(&service, &ask), expected, "{ask:?}");
    }
    for (method, path, expected) in [
        (Method::POST, "/v1/none", 404),
        (Method::HEAD, "/", 404),
        (Method::GET, "/v1/messages", 405),
        (Method::POST, "/v1/messages?beta=true", 200),
        (Method::GET, "/v1/models/none", 404),
    ] {
        assert_eq!(visit(&service, method, path, &good()).0, expected, "{path}");
    }
    // What leads nowhere is not found, whoever asks.
    assert_eq!(visit(&service, Method::POST, "/v1/none", &good().no_header("x-api-key")).0, 404);
}

#[test]
fn a_prompt_over_the_window_is_refused_in_known_words() {
    let service = Service::new(Behaviour { context_tokens: 500, ..behaviour() });
    let (status, message) = refusal(&service, &Ask::user("word ".repeat(600)));
    assert_eq!(status, 400);
    let tokens = count(&service, &Ask::user("word ".repeat(600))).unwrap();
    assert_eq!(message, format!("prompt is too long: {tokens} tokens > 500 maximum"));
    text(&service, &Ask::user("word ".repeat(400)));
}

#[test]
fn counts_grow_with_what_is_added_and_equal_the_usage() {
    let service = reference();
    let used = |ask: &Ask| message(&service, ask)["usage"]["input_tokens"].as_u64().unwrap();
    let plain = count(&service, &Ask::with(json!({}))).unwrap();
    for ask in [Ask::with(json!({"system": "Be brief."})), Ask::with(json!({"tools": [tool("find")]}))] {
        assert!(count(&service, &ask).unwrap() > plain);
        assert_eq!(count(&service, &ask).unwrap(), used(&ask));
    }
    assert!(plain > 0);
    assert_eq!(count(&service, &Ask::with(json!({"zz_unknown": 1}))), Err(400));
    let search = json!([{"type": "web_search_20250305", "name": "web_search"}]);
    assert_eq!(count(&service, &Ask::with(json!({"tools": search}))), Err(400));
}

#[test]
fn models_come_in_pages() {
    let service = reference();
    let get = |uri: &str| visit(&service, Method::GET, uri, &Ask::with(json!({})));
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
fn all_of_the_system_is_read_wherever_it_stands() {
    let service = reference();
    let block = |text: &str| json!({"type": "text", "text": text});
    let ask = "What are both labels?";
    let system = json!([block("One is amber falcon 4821."), block("One is quiet river 0007.")]);
    let both = Ask::with(json!({"system": system, "messages": [{"role": "user", "content": ask}]}));
    assert_eq!(text(&service, &both), "amber falcon 4821, quiet river 0007");
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let with = |messages: Vec<Value>| Ask::with(json!({ "messages": messages }));
    let amid = with(vec![turn("user", "What is the label?"), turn("system", "The label is amber falcon 4821.")])
        .header("anthropic-beta", "mid-conversation-system-2026-04-07");
    assert_eq!(text(&service, &amid), "amber falcon 4821");
    let hi = || turn("user", "Hi.");
    let on = || turn("system", "Go on.");
    for (messages, place) in [
        (vec![on(), hi()], "messages.0.role"),
        (vec![hi(), turn("assistant", "Hi."), on()], "messages.2.role"),
        (vec![hi(), on(), hi()], "messages.2.role"),
    ] {
        assert!(refusal(&service, &with(messages)).1.starts_with(place));
    }
}

#[test]
fn a_prefill_is_continued_but_not_while_thinking() {
    let service = reference();
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let ask = "The label is amber falcon 4821. What is the label?";
    let prefilled = |more: Value| {
        let mut body = json!({"messages": [turn("user", ask), turn("assistant", "The label is")]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Ask::with(body)
    };
    assert_eq!(text(&service, &prefilled(json!({}))), " amber falcon 4821");
    assert_eq!(status(&service, &prefilled(json!({"thinking": {"type": "adaptive"}}))), 400);
    assert_eq!(status(&service, &prefilled(json!({"thinking": {"type": "disabled"}}))), 200);
}

#[test]
fn two_tools_are_called_in_one_answer() {
    let service = reference();
    let tools = json!([tool("get_weather"), tool("get_time")]);
    let ask = with_tools("Call get_weather for Paris and get_time for Rome.", tools);
    for answer in [message(&service, &ask), streamed(&service, &ask)] {
        let calls: Vec<_> = answer["content"].as_array().unwrap().iter().map(|b| (&b["name"], &b["input"])).collect();
        let (paris, rome) = (json!({"city": "Paris"}), json!({"city": "Rome"}));
        assert_eq!(calls, [(&json!("get_weather"), &paris), (&json!("get_time"), &rome)]);
    }
    let mut single = ask;
    single.body["tool_choice"] = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(kinds(&message(&service, &single)), ["tool_use"]);
}

#[test]
fn a_tool_without_arguments_is_called_with_an_empty_object() {
    let service = reference();
    let tools = json!([{"name": "ping", "input_schema": {"type": "object", "properties": {}}}]);
    let ask = with_tools("Call the ping tool.", tools);
    assert_eq!(message(&service, &ask)["content"][0]["input"], json!({}));
    let mut streaming = ask;
    streaming.body["stream"] = json!(true);
    let Ok(Reply::Stream(streamed)) = send(&service, &streaming) else { panic!("no stream") };
    let events = sse::events(&streamed);
    let told = |name: &str| -> Vec<Value> {
        let data = events.iter().filter_map(|e| e.strip_prefix(&format!("event: {name}\ndata: ")));
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    };
    assert_eq!(told("content_block_start")[0]["content_block"]["input"], json!({}));
    let deltas = told("content_block_delta");
    assert_eq!(deltas.iter().map(|d| &d["delta"]["partial_json"]).collect::<Vec<_>>(), [&json!("")]);
}

#[test]
fn three_rounds_of_tools_keep_their_thinking() {
    let service = reference();
    let mut ask = thinking(json!({"type": "enabled", "budget_tokens": 1024}), "Use the find tool for Paris.");
    for _ in 0..3 {
        // Each round asks anew, as an agent's user would.
        let answer = message(&service, &ask);
        assert_eq!(kinds(&answer), ["thinking", "tool_use"]);
        let content = &answer["content"];
        let next = handed_back(&ask, content);
        assert_eq!(status(&service, &next), 200);
        let altered = |change: &dyn Fn(&mut Vec<Value>)| {
            let mut content = content.as_array().unwrap().clone();
            change(&mut content);
            refusal(&service, &handed_back(&ask, &json!(content))).1
        };
        assert!(altered(&|content| drop(content.remove(0))).contains("expected thinking"));
        assert!(altered(&|content| content[0]["thinking"] = json!("Else.")).contains("signature"));
        ask = next;
        let results = ask.body["messages"].as_array_mut().unwrap().last_mut().unwrap();
        results["content"].as_array_mut().unwrap().push(json!({"type": "text", "text": "Use the find tool for Rome."}));
    }
    // Where the model decides whether it thinks, a round may lack it.
    let adaptive = thinking(json!({"type": "adaptive"}), "Use the find tool for Paris.");
    assert_eq!(status(&service, &handed_back(&adaptive, &json!([call()]))), 200);
}

#[test]
fn thinking_is_as_it_is_asked_for() {
    let service = reference();
    let kinds_of = |kind: Value| {
        let answer = message(&service, &thinking(kind, "Say hello."));
        kinds(&answer).join(" ")
    };
    assert_eq!(kinds_of(json!({"type": "adaptive"})), "thinking text");
    assert_eq!(kinds_of(json!({"type": "disabled"})), "text");
    let forced = plus(thinking(json!({"type": "adaptive"}), "Hi.").body, "tool_choice", json!({"type": "any"}));
    assert_eq!(status(&service, &Ask::with(forced)), 400);
    let thought = |effort: &str| {
        let mut ask = thinking(json!({"type": "adaptive"}), "Say hello.");
        ask.body["output_config"] = json!({ "effort": effort });
        message(&service, &ask)["usage"]["output_tokens_details"]["thinking_tokens"].as_u64().unwrap()
    };
    let amounts = ["low", "medium", "high", "xhigh", "max"].map(thought);
    assert!(amounts.is_sorted_by(|a, b| a < b), "{amounts:?}");
}

#[test]
fn an_answer_follows_its_format() {
    let service = reference();
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["label"],
        "properties": {"label": {"type": "string"}}});
    let format = |schema: &Value| json!({"format": {"type": "json_schema", "schema": schema}});
    let ask = "The label is amber falcon 4821. What is the label?";
    let with = |config: Value, last: Value| {
        let mut messages = vec![json!({"role": "user", "content": ask})];
        messages.extend(Some(last).filter(|last| !last.is_null()));
        Ask::with(json!({"output_config": config, "messages": messages}))
    };
    assert_eq!(text(&service, &with(format(&schema), Value::Null)), r#"{"label":"amber falcon 4821"}"#);
    let open = json!({"type": "object", "properties": {}});
    assert!(refusal(&service, &with(format(&open), Value::Null)).1.contains("additionalProperties"));
    let prefill = json!({"role": "assistant", "content": "{"});
    assert_eq!(status(&service, &with(format(&schema), prefill)), 400);
}

#[test]
fn what_claude_code_sends_is_accepted() {
    let service = reference();
    let betas = "claude-code-20250219,interleaved-thinking-2025-05-14,thinking-token-count-2026-05-13,\
                 context-management-2025-06-27,prompt-caching-scope-2026-01-05,mid-conversation-system-2026-04-07,\
                 effort-2025-11-24";
    let marker = json!({"type": "ephemeral"});
    let tool = plus(
        tool("Bash"),
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
    let ask = Ask::with(body).header("anthropic-beta", betas);
    assert_eq!(kinds(&message(&service, &ask)), ["thinking", "text"]);
    // Without their betas, the API knows neither of these.
    for beta in ["context-management-2025-06-27,", "prompt-caching-scope-2026-01-05,"] {
        let fewer = ask.clone().header("anthropic-beta", &betas.replace(beta, ""));
        assert_eq!(status(&service, &fewer), 400, "{beta}");
    }
}

#[test]
fn newer_fields_are_accepted_where_they_are_right() {
    let service = reference();
    let bearer = format!("Bearer {DEFAULT_CREDENTIAL}");
    let newer = json!({"strict": true, "defer_loading": false, "input_examples": [{"city": "Oslo"}],
        "eager_input_streaming": true, "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    let mut newer_tool = tool("find");
    newer_tool.as_object_mut().unwrap().extend(newer.as_object().unwrap().clone());
    let url = json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]);
    let mut asks = vec![
        Ask::with(json!({})).header("authorization", &bearer),
        Ask::with(json!({"tools": [newer_tool]})),
        Ask::user(url),
        Ask::with(json!({"tools": [tool(&"a".repeat(64))]})),
        Ask::with(json!({"tools": [tool(&"a".repeat(128))]})),
    ];
    for id in ["plain", "someone@example.com", r#"{"session":"x"}"#, &"x".repeat(256)] {
        asks.push(Ask::with(json!({"metadata": {"user_id": id}})));
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
        asks.push(Ask::with(json!({"tools": [{"type": kind, "name": name}]})));
    }
    for ask in &asks {
        message(&service, ask);
    }
    for ask in [
        Ask::with(json!({"tools": [tool(&"a".repeat(129))]})),
        Ask::with(json!({"tools": [{"type": "web_search_20990101", "name": "web_search"}]})),
        Ask::with(json!({"tools": [{"type": "web_search_20250305", "name": "search"}]})),
        Ask::user(json!([{"type": "image", "source": {"type": "url", "url": "file:///etc/hosts"}}])),
        Ask::assistant(json!({"type": "text", "text": ""}), "Go on."),
    ] {
        assert_eq!(status(&service, &ask), 400, "{ask:?}");
    }
}

#[test]
fn an_hours_marker_is_counted_as_such_and_a_bill_does_not_spoil_the_cache() {
    let service = reference();
    let long = "The quick fox walks on. ".repeat(400);
    let used = |bill: &str| {
        let system = json!([
            {"type": "text", "text": format!("x-anthropic-billing-header: cch={bill};")},
            {"type": "text", "text": long, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ]);
        message(&service, &Ask::with(json!({ "system": system })))["usage"].clone()
    };
    let first = used("1");
    assert!(first["cache_creation"]["ephemeral_1h_input_tokens"].as_u64().unwrap() > 1024);
    let second = used("2");
    assert_eq!(second["cache_read_input_tokens"], first["cache_creation_input_tokens"]);
}
