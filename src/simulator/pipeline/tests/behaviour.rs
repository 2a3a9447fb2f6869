//! What the server does with and without each fault of behaviour.

use crate::simulator::SimulatorFault;
use crate::simulator::fault::catalog::{BehaviourFault as F, FaultKind};
use crate::simulator::pipeline::tests::*;

/// Observes a server.
type PipelineObserver = Box<dyn Fn(&RequestPipeline) -> Value>;

/// A fault, an observer, and its results without and with the fault.
struct FaultCase(F, PipelineObserver, Value, Value);

fn new_case(fault: F, observe: impl Fn(&RequestPipeline) -> Value + 'static, without: Value, with: Value) -> FaultCase {
    FaultCase(fault, Box::new(observe), without, with)
}

/// A request whose status changes with the fault.
fn status_case(fault: F, request: SimulatorRequest, without: u16, with: u16) -> FaultCase {
    new_case(fault, move |pipeline| json!(get_status(pipeline, &request)), json!(without), json!(with))
}

/// A request that is rejected only with the fault.
fn rejected_case(fault: F, request: SimulatorRequest) -> FaultCase {
    status_case(fault, request, 200, 400)
}

/// A request that is accepted only with the fault.
fn accepted_case(fault: F, request: SimulatorRequest, without: u16) -> FaultCase {
    status_case(fault, request, without, 200)
}

fn path_case(
    fault: F,
    method: Method,
    uri: &'static str,
    request: SimulatorRequest,
    without: u16,
    with: u16,
) -> FaultCase {
    new_case(
        fault,
        move |pipeline| json!(send_to_path(pipeline, method.clone(), uri, &request).0),
        json!(without),
        json!(with),
    )
}

fn plain_request() -> SimulatorRequest {
    SimulatorRequest::with_keys(json!({}))
}

fn system_request(blocks: Value) -> SimulatorRequest {
    SimulatorRequest::with_keys(
        json!({"system": blocks, "messages": [{"role": "user", "content": "What is the label?"}]}),
    )
}

fn two_turn_request(role: &str, first: &str, second: &str) -> SimulatorRequest {
    SimulatorRequest::with_keys(
        json!({"messages": [{"role": "user", "content": first}, {"role": role, "content": second}]}),
    )
}

fn role_system_request() -> SimulatorRequest {
    two_turn_request("system", "What is the label?", "The label is amber falcon 4821.")
}

fn prefill_request() -> SimulatorRequest {
    two_turn_request("assistant", "Count from 1 to 5.", "1 2 3")
}

fn two_calls_request() -> SimulatorRequest {
    request_with_tools("Use the find tool once for each of: Paris, Rome.", json!([tool_definition("find")]))
}

fn thinking_request(kind: &str, text: &str) -> SimulatorRequest {
    let thinking = match kind {
        "enabled" => json!({"type": kind, "budget_tokens": 1024}),
        _ => json!({"type": kind}),
    };
    let messages = json!([{"role": "user", "content": text}]);
    SimulatorRequest::with_keys(json!({"thinking": thinking, "tools": [tool_definition("find")], "messages": messages}))
}

/// The status when a response of the server is sent back, changed.
fn observe_echo_status(request: SimulatorRequest, change: fn(&mut Vec<Value>)) -> impl Fn(&RequestPipeline) -> Value {
    move |pipeline| {
        let mut content = get_message(pipeline, &request)["content"].as_array().unwrap().clone();
        change(&mut content);
        json!(get_status(pipeline, &echo_back(&request, &json!(content))))
    }
}

fn forced_thinking_request() -> SimulatorRequest {
    let mut request = thinking_request("enabled", "Use the find tool for Paris.");
    request.body["tool_choice"] = json!({"type": "any"});
    request
}

fn unknown_edit_request() -> SimulatorRequest {
    SimulatorRequest::with_keys(json!({"context_management": {"edits": [{"type": "no_such_edit"}]}}))
        .with_header("anthropic-beta", "context-management-2025-06-27")
}

fn observe_block_types(request: SimulatorRequest) -> impl Fn(&RequestPipeline) -> Value {
    move |pipeline| json!(block_types(&get_message(pipeline, &request)))
}

fn observe_streamed_types(request: SimulatorRequest) -> impl Fn(&RequestPipeline) -> Value {
    move |pipeline| json!(block_types(&get_streamed_message(pipeline, &request)))
}

fn cached_request(marker: Value) -> SimulatorRequest {
    let long = "The quick fox walks on. ".repeat(400);
    SimulatorRequest::with_keys(json!({"system": [{"type": "text", "text": long, "cache_control": marker}]}))
}

fn observe_count(request: SimulatorRequest, see: fn(u64, u64) -> Value) -> impl Fn(&RequestPipeline) -> Value {
    move |pipeline| {
        let used = get_message(pipeline, &request)["usage"]["input_tokens"].as_u64().unwrap();
        count_tokens(pipeline, &request).map_or_else(|status| json!(status), |counted| see(counted, used))
    }
}

/// The ratio of counted tokens to used tokens.
fn count_ratio(counted: u64, used: u64) -> Value {
    json!(counted as f64 / used as f64)
}

fn header_cases() -> Vec<FaultCase> {
    let bearer = format!("Bearer {DEFAULT_CREDENTIAL}");
    let long = || SimulatorRequest::from_user("word ".repeat(6000));
    let broken = || plain_request().without_key("messages");
    vec![
        accepted_case(F::AuthMissingAccepted, plain_request().without_header("x-api-key"), 401),
        accepted_case(F::AuthWrongAccepted, plain_request().with_header("x-api-key", "wrong"), 401),
        status_case(F::AuthStatus, plain_request().with_header("x-api-key", "wrong"), 401, 403),
        path_case(F::AuthBeforeRouting, Method::POST, "/none", plain_request().without_header("x-api-key"), 404, 401),
        status_case(F::AuthOneHeaderOnly, plain_request().with_header("authorization", &bearer), 200, 401),
        status_case(F::ErrorsServerError, broken(), 400, 500),
        status_case(F::ErrorsStatus422, broken(), 400, 422),
        accepted_case(F::ErrorsMissingMaxTokensAccepted, plain_request().without_key("max_tokens"), 400),
        accepted_case(F::ErrorsEmptyMessagesAccepted, SimulatorRequest::with_keys(json!({"messages": []})), 400),
        accepted_case(F::ErrorsUnknownModelAccepted, SimulatorRequest::with_keys(json!({"model": "none"})), 404),
        accepted_case(
            F::ErrorsUnknownRoleAccepted,
            SimulatorRequest::with_keys(json!({"messages": [{"role": "ctx", "content": "Hi."}]})),
            400,
        ),
        accepted_case(F::ErrorsUnknownKeyAccepted, SimulatorRequest::with_keys(json!({"zz_unknown": 1})), 400),
        accepted_case(F::ErrorsWrongTypeAccepted, SimulatorRequest::with_keys(json!({"max_tokens": "10"})), 400),
        path_case(F::ErrorsUnknownPath200, Method::POST, "/v1/none", plain_request(), 404, 200),
        status_case(F::ErrorsOverflow500, long(), 400, 500),
        new_case(
            F::ErrorsOverflowWording,
            move |pipeline| json!(get_error(pipeline, &long()).1.contains("prompt is too long")),
            json!(true),
            json!(false),
        ),
        accepted_case(F::ErrorsOverflowTruncates, SimulatorRequest::from_user("word ".repeat(6000)), 400),
        accepted_case(F::ErrorsVersionAccepted, plain_request().with_header("anthropic-version", "1999-01-01"), 400),
        accepted_case(F::ErrorsBetaAccepted, plain_request().with_header("anthropic-beta", "none-such"), 400),
        rejected_case(F::BetaKnownRefused, plain_request().with_header("anthropic-beta", "claude-code-20250219")),
        path_case(F::QueryNotRouted, Method::POST, "/v1/messages?beta=true", plain_request(), 200, 404),
        path_case(F::PathNoV1, Method::POST, "/v1/messages", plain_request(), 200, 404),
        path_case(F::PathNoV1, Method::POST, "/messages", plain_request(), 404, 200),
        path_case(F::ModelsMissing, Method::GET, "/v1/models", plain_request(), 200, 404),
        path_case(F::ModelsMissing, Method::GET, "/v1/models/m", plain_request(), 200, 404),
        new_case(
            F::ModelsOpenaiShape,
            |pipeline| send_to_path(pipeline, Method::GET, "/v1/models", &plain_request()).1["object"].clone(),
            Value::Null,
            json!("list"),
        ),
        path_case(F::ModelsIdMissing, Method::GET, "/v1/models/m", plain_request(), 200, 404),
        path_case(
            F::CountTokensMissing,
            Method::POST,
            "/v1/messages/count_tokens",
            plain_request().without_key("max_tokens"),
            200,
            404,
        ),
    ]
}

fn counting_cases() -> Vec<FaultCase> {
    let smaller = |counted: u64, used: u64| json!(counted < used);
    let system = || SimulatorRequest::with_keys(json!({"system": "Be brief."}));
    let tools = || SimulatorRequest::with_keys(json!({"tools": [tool_definition("find")]}));
    let twin = |pipeline: &RequestPipeline| {
        let request = plain_request();
        let of = |message: Value| message["usage"]["input_tokens"].as_i64().unwrap();
        json!(of(get_streamed_message(pipeline, &request)) - of(get_message(pipeline, &request)))
    };
    vec![
        new_case(F::CountTokensZero, observe_count(plain_request(), count_ratio), json!(1.0), json!(0.0)),
        new_case(F::CountTokensBlindToSystem, observe_count(system(), smaller), json!(false), json!(true)),
        new_case(F::CountTokensBlindToTools, observe_count(tools(), smaller), json!(false), json!(true)),
        new_case(F::CountTokensWantsMaxTokens, observe_count(plain_request(), count_ratio), json!(1.0), json!(400)),
        new_case(F::CountTokensOff, observe_count(plain_request(), count_ratio), json!(1.0), json!(2.0)),
        new_case(F::StreamTwinUsage, twin, json!(0), json!(50)),
        new_case(
            F::CacheCountedTwice,
            |pipeline| {
                let usage = get_message(pipeline, &cached_request(json!({"type": "ephemeral"})))["usage"].clone();
                json!(usage["input_tokens"].as_u64() > usage["cache_creation_input_tokens"].as_u64())
            },
            json!(false),
            json!(true),
        ),
        new_case(
            F::CacheTtlDropped,
            |pipeline| {
                let usage =
                    get_message(pipeline, &cached_request(json!({"type": "ephemeral", "ttl": "1h"})))["usage"].clone();
                json!(usage["cache_creation"]["ephemeral_1h_input_tokens"].as_u64() > Some(0))
            },
            json!(true),
            json!(false),
        ),
        new_case(
            F::CacheBillingHeader,
            |pipeline| {
                let used = |bill: &str| {
                    let mut request = cached_request(json!({"type": "ephemeral"}));
                    let header = json!({"type": "text", "text": format!("x-anthropic-billing-header: {bill}")});
                    request.body["system"].as_array_mut().unwrap().insert(0, header);
                    get_message(pipeline, &request)["usage"]["cache_read_input_tokens"].as_u64()
                };
                used("1");
                json!(used("2") > Some(0))
            },
            json!(true),
            json!(false),
        ),
        rejected_case(
            F::CacheScopeRefused,
            cached_request(json!({"type": "ephemeral", "scope": "global"}))
                .with_header("anthropic-beta", "prompt-caching-scope-2026-01-05"),
        ),
        rejected_case(F::CacheTtlRefused, cached_request(json!({"type": "ephemeral", "ttl": "5m"}))),
        rejected_case(
            F::CacheWithThinkingRefused,
            SimulatorRequest::with_keys(with_key(
                cached_request(json!({"type": "ephemeral"})).body,
                "thinking",
                json!({"type": "adaptive"}),
            )),
        ),
    ]
}

fn turn_cases() -> Vec<FaultCase> {
    let block = |text: &str| json!({"type": "text", "text": text});
    let label = json!("amber falcon 4821");
    let unknown = json!("I do not know.");
    let said = |request: SimulatorRequest| move |pipeline: &RequestPipeline| json!(get_text(pipeline, &request));
    let words = |request: SimulatorRequest| {
        move |pipeline: &RequestPipeline| {
            json!(send(pipeline, &request).err().map(|error| error.message.contains("not supported")))
        }
    };
    let second = system_request(json!([block("Hi."), block("The label is amber falcon 4821.")]));
    let mut rounds = tool_round(tool_use_block(), tool_result_block(), "Go on.");
    let again = [tool_use_block(), tool_result_block()].map(|block| with_key(block, "id", "toolu_2"));
    let messages = rounds.body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": [again[0]]}));
    messages.push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_2"}]}));
    let search = json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}});
    let found = json!([{"type": "search_result", "source": "s", "title": "t", "content": [block("Hi.")]}]);
    let url = json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]);
    let managed = json!({"context_management": {"edits": []}});
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {}});
    let format = json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
    let effort = |pipeline: &RequestPipeline| {
        let thought = |effort: &str| {
            let mut request = thinking_request("adaptive", "Say hello.");
            request.body["output_config"] = json!({ "effort": effort });
            get_message(pipeline, &request)["usage"]["output_tokens_details"]["thinking_tokens"].as_u64()
        };
        json!(thought("max") > thought("low"))
    };
    vec![
        new_case(F::SystemFirstBlockOnly, said(second), label.clone(), unknown.clone()),
        rejected_case(F::SystemArrayRefused, system_request(json!([block("Hi.")]))),
        rejected_case(F::RoleSystemRefused, role_system_request()),
        rejected_case(F::RoleSystemRefusedUnclearly, role_system_request()),
        status_case(F::RoleSystemCrashes, role_system_request(), 200, 500),
        new_case(F::RoleSystemDropped, said(role_system_request()), label, unknown),
        rejected_case(F::PrefillRefused, prefill_request()),
        new_case(F::PrefillRepeated, said(prefill_request()), json!(" 4 5"), json!("1 2 3 4 5")),
        new_case(F::PrefillIgnored, said(prefill_request()), json!(" 4 5"), json!("1 2 3 4 5")),
        rejected_case(F::ToolsHistoryRefused, rounds),
        rejected_case(F::HistorySearchRefused, SimulatorRequest::from_assistant(search, "Go on.")),
        rejected_case(F::HistorySearchRefused, SimulatorRequest::from_user(found)),
        rejected_case(F::ImageUrlRefused, SimulatorRequest::from_user(url)),
        rejected_case(F::MetadataStrict, SimulatorRequest::with_keys(json!({"metadata": {"user_id": "a@b"}}))),
        rejected_case(
            F::ContextManagementRefused,
            SimulatorRequest::with_keys(managed).with_header("anthropic-beta", "context-management-2025-06-27"),
        ),
        new_case(
            F::FormatDropped,
            move |pipeline| json!(get_text(pipeline, &SimulatorRequest::with_keys(format.clone())) == "{}"),
            json!(true),
            json!(false),
        ),
        new_case(F::EffortDropped, effort, json!(true), json!(false)),
        rejected_case(F::MaxTokens32000Refused, SimulatorRequest::with_keys(json!({"max_tokens": 32_000}))),
        new_case(F::RoleSystemRefused, words(role_system_request()), Value::Null, json!(true)),
        new_case(F::RoleSystemRefusedUnclearly, words(role_system_request()), Value::Null, json!(false)),
    ]
}

/// The faults of rows with a visible effect: streamed texts, edits, thinking and deferred tools.
fn effect_cases() -> Vec<FaultCase> {
    let streamed = |pipeline: &RequestPipeline| {
        let question = "Repeat exactly the following text: one  two 知 three";
        let keys = json!({"messages": [{"role": "user", "content": question}]});
        get_streamed_message(pipeline, &SimulatorRequest::with_keys(keys))["content"][0]["text"].clone()
    };
    let whole = json!("one  two 知 three");
    let edits = |pipeline: &RequestPipeline| {
        let edit = json!({"type": "clear_tool_uses_20250919", "trigger": {"type": "input_tokens", "value": 1}, "keep": {"type": "tool_uses", "value": 0}});
        let mut request = tool_round(tool_use_block(), tool_result_block(), "Go on.");
        request.body["context_management"] = json!({"edits": [edit]});
        let request = request.with_header("anthropic-beta", "context-management-2025-06-27");
        get_message(pipeline, &request)["context_management"]["applied_edits"][0]["cleared_tool_uses"].clone()
    };
    let thought = |display: &'static str| {
        move |pipeline: &RequestPipeline| {
            let mut request = thinking_request("adaptive", "Say hello.");
            request.body["thinking"]["display"] = json!(display);
            json!(get_message(pipeline, &request)["content"][0]["thinking"] == "")
        }
    };
    let defers = |pipeline: &RequestPipeline| {
        let tokens = |deferred: bool| {
            let tool = with_key(tool_definition("find"), "defer_loading", json!(deferred));
            let request = request_with_tools("Say hello.", json!([tool_definition("other"), tool]));
            get_message(pipeline, &request)["usage"]["input_tokens"].as_u64()
        };
        json!(tokens(true) < tokens(false))
    };
    vec![
        new_case(F::StreamWhitespaceLost, streamed, whole.clone(), json!("onetwo 知 three")),
        new_case(F::StreamTextTwice, streamed, whole.clone(), json!("one  two 知 threeone  two 知 three")),
        new_case(F::StreamCharactersSplit, streamed, whole.clone(), json!("one  two \u{fffd} three")),
        new_case(F::StreamTextLost, streamed, whole, json!("one  two 知")),
        new_case(F::ContextEditsSkipped, edits, json!(1), Value::Null),
        new_case(F::ThinkingDisplayDropped, thought("omitted"), json!(true), json!(false)),
        new_case(F::ThinkingAlwaysOmitted, thought("summarized"), json!(false), json!(true)),
        new_case(F::ToolsDeferLoadingDropped, defers, json!(true), json!(false)),
        rejected_case(F::EffortLevelsRefused, SimulatorRequest::with_keys(json!({"output_config": {"effort": "max"}}))),
    ]
}

fn tool_cases() -> Vec<FaultCase> {
    let long = "a".repeat(64);
    let named = |pipeline: &RequestPipeline| {
        let long = "a".repeat(64);
        let request = request_with_tools(&format!("Call the {long} tool."), json!([tool_definition(&long)]));
        get_message(pipeline, &request)["content"][0]["name"].clone()
    };
    let choosing = with_key(
        tool_definition("find"),
        "input_schema",
        json!({"type": "object", "properties": {"x": {"anyOf": [
        {"type": "string"}, {"type": "null"}]}}}),
    );
    let empty = json!([{"name": "ping", "input_schema": {"type": "object", "properties": {}}}]);
    let ping = request_with_tools("Call the ping tool.", empty.clone());
    let input = move |pipeline: &RequestPipeline| get_message(pipeline, &ping)["content"][0]["input"].clone();
    let events_named = |pipeline: &RequestPipeline| {
        let mut request = two_calls_request();
        request.body["stream"] = json!(true);
        let Ok(PipelineResponse::Stream(message)) = send(pipeline, &request) else { panic!("no stream") };
        let events = sse::encode_events(&message);
        let fragments = events.iter().filter_map(|e| serde_json::from_str::<Value>(e.split_once("data: ")?.1).ok());
        let parts: Vec<String> =
            fragments.filter_map(|data| data["delta"]["partial_json"].as_str().map(str::to_owned)).collect();
        json!([events.iter().filter(|e| e.contains("content_block_start")).count(), parts.concat()])
    };
    let both = r#"{"city":"Paris"}{"city":"Rome"}"#;
    vec![
        new_case(
            F::ToolsFirstCallOnly,
            observe_block_types(two_calls_request()),
            json!(["tool_use", "tool_use"]),
            json!(["tool_use", "tool_use"]),
        ),
        new_case(F::ToolsFirstCallOnly, events_named, json!([2, both]), json!([1, r#"{"city":"Paris"}"#])),
        new_case(
            F::ToolsCallsMerged,
            observe_block_types(two_calls_request()),
            json!(["tool_use", "tool_use"]),
            json!(["tool_use", "tool_use"]),
        ),
        new_case(F::ToolsCallsMerged, events_named, json!([2, both]), json!([1, both])),
        new_case(F::ToolsInputLost, events_named, json!([2, both]), json!([2, ""])),
        rejected_case(F::ToolsWithoutArgumentsRefused, request_with_tools("Call the ping tool.", empty.clone())),
        rejected_case(
            F::ToolsLongNameRefused,
            request_with_tools("Say hello.", json!([tool_definition(&"n".repeat(64))])),
        ),
        rejected_case(
            F::ToolsNewVersionsRefused,
            SimulatorRequest::with_keys(json!({"tools": [{"type": "web_search_20260209", "name": "web_search"}]})),
        ),
        rejected_case(F::StreamRefused, SimulatorRequest::with_keys(json!({"stream": true}))),
        rejected_case(
            F::FormatRefused,
            SimulatorRequest::with_keys(
                json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}}}}),
            ),
        ),
        rejected_case(F::EffortRefused, SimulatorRequest::with_keys(json!({"output_config": {"effort": "low"}}))),
        rejected_case(
            F::ThinkingDisabledRefused,
            SimulatorRequest::with_keys(json!({"thinking": {"type": "disabled"}})),
        ),
        accepted_case(
            F::ErrorsEmptyTextAccepted,
            SimulatorRequest::with_keys(
                json!({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "Say hello."}]}]}),
            ),
            400,
        ),
        accepted_case(F::ErrorsForcedToolAccepted, forced_thinking_request(), 400),
        accepted_case(F::ContextManagementDropped, unknown_edit_request(), 400),
        new_case(F::ToolsLongNameCut, named, json!(long), json!(long[..60])),
        rejected_case(F::ToolsSchemaRefused, SimulatorRequest::with_keys(json!({"tools": [choosing]}))),
        rejected_case(
            F::ToolsServerToolsRefused,
            SimulatorRequest::with_keys(json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]})),
        ),
        rejected_case(
            F::ToolsNewKeysRefused,
            SimulatorRequest::with_keys(json!({"tools": [with_key(tool_definition("find"), "strict", true)]})),
        ),
        new_case(F::ToolsEmptyInputBroken, input, json!({}), json!("")),
        new_case(
            F::TextEmptyBlock,
            |pipeline| {
                let content = get_message(pipeline, &plain_request())["content"].clone();
                json!([content[1]["text"], get_status(pipeline, &echo_back(&plain_request(), &content))])
            },
            json!([null, 200]),
            json!(["", 400]),
        ),
        new_case(
            F::StreamTwinStopReason,
            |pipeline| {
                let reason = |message: Value| message["stop_reason"].clone();
                json!(
                    reason(get_streamed_message(pipeline, &plain_request()))
                        == reason(get_message(pipeline, &plain_request()))
                )
            },
            json!(true),
            json!(false),
        ),
    ]
}

fn thinking_cases() -> Vec<FaultCase> {
    let hello = |kind: &str| thinking_request(kind, "Say hello.");
    let use_tool = |kind: &str| thinking_request(kind, "Use the find tool for Paris.");
    let (thought, said) = (json!(["thinking", "text"]), json!(["text"]));
    vec![
        new_case(F::ThinkingHistoryRefused, observe_echo_status(hello("enabled"), |_| {}), json!(200), json!(400)),
        new_case(
            F::ThinkingMustReplay,
            observe_echo_status(use_tool("adaptive"), |c| drop(c.remove(0))),
            json!(200),
            json!(400),
        ),
        new_case(F::ThinkingMustReplay, observe_echo_status(use_tool("adaptive"), |_| {}), json!(200), json!(200)),
        new_case(
            F::ThinkingStrippedAccepted,
            observe_echo_status(use_tool("enabled"), |c| drop(c.remove(0))),
            json!(400),
            json!(200),
        ),
        new_case(
            F::ThinkingSignatureUnchecked,
            observe_echo_status(hello("enabled"), |c| c[0]["signature"] = json!("c2lnbmF0dXJl")),
            json!(400),
            json!(200),
        ),
        new_case(F::ThinkingStreamLost, observe_streamed_types(hello("enabled")), thought.clone(), said.clone()),
        new_case(F::ThinkingStreamLost, observe_block_types(hello("enabled")), thought.clone(), thought.clone()),
        new_case(F::ThinkingTextLost, observe_streamed_types(hello("enabled")), thought.clone(), json!(["thinking"])),
        new_case(F::ThinkingTextLost, observe_block_types(hello("enabled")), thought.clone(), thought.clone()),
        new_case(F::ThinkingUnasked, observe_block_types(plain_request()), said.clone(), thought.clone()),
        new_case(F::ThinkingUnasked, observe_block_types(hello("disabled")), said.clone(), said.clone()),
        new_case(F::ThinkingAlways, observe_block_types(hello("disabled")), said.clone(), thought.clone()),
        rejected_case(F::ThinkingAdaptiveRefused, hello("adaptive")),
        new_case(F::ThinkingAdaptiveDropped, observe_block_types(hello("adaptive")), thought.clone(), said),
        new_case(F::ThinkingAdaptiveDropped, observe_block_types(hello("enabled")), thought.clone(), thought),
        new_case(F::ThinkingRewritten, observe_echo_status(hello("enabled"), |_| {}), json!(200), json!(400)),
    ]
}

fn all_cases() -> Vec<FaultCase> {
    let all = [header_cases(), counting_cases(), turn_cases(), effect_cases(), tool_cases(), thinking_cases()];
    all.into_iter().flatten().collect()
}

/// A server without an output limit and with a small context window.
fn pipeline_with_faults(faults: &[F]) -> RequestPipeline {
    let faults = faults.iter().map(|fault| SimulatorFault::from(*fault)).collect();
    RequestPipeline::new(SimulatorConfig { max_output_tokens: None, context_tokens: 5000, faults, ..test_config() })
}

/// Every fault of behaviour.
fn all_faults() -> impl Iterator<Item = F> {
    SimulatorFault::all().filter_map(|fault| match fault.0 {
        FaultKind::Behaviour(fault) => Some(fault),
        _ => None,
    })
}

fn id_of(fault: F) -> &'static str {
    SimulatorFault::from(fault).id()
}

#[test]
fn every_fault_does_what_it_says_and_nothing_without_it() {
    let mut wrong = Vec::new();
    for FaultCase(fault, observe, without, with) in all_cases() {
        let observed = [observe(&pipeline_with_faults(&[])), observe(&pipeline_with_faults(&[fault]))];
        if observed != [without.clone(), with.clone()] {
            wrong.push(format!("{}: {observed:?} instead of {:?}", id_of(fault), [without, with]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_fault_has_a_case_and_a_description() {
    let cases: Vec<F> = all_cases().iter().filter(|case| case.2 != case.3).map(|case| case.0).collect();
    for fault in all_faults() {
        // Only the server can show how a stream is sent.
        assert!(cases.contains(&fault) || fault == F::StreamBuffered, "{}", id_of(fault));
        let fault = SimulatorFault::from(fault);
        assert!(!fault.description().is_empty() && !fault.breaks_protocol(), "{fault}");
        assert_eq!(fault.id().parse(), Ok(fault));
    }
}

#[test]
fn a_plain_request_succeeds_under_every_fault_except_one() {
    for fault in all_faults().filter(|fault| *fault != F::PathNoV1) {
        assert_eq!(get_status(&pipeline_with_faults(&[fault]), &plain_request()), 200, "{}", id_of(fault));
    }
}
