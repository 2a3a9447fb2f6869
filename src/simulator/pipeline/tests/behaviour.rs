//! What each fault of conduct makes the server do, beside what it does without.

use crate::simulator::Fault;
use crate::simulator::fault::ConductFault as F;
use crate::simulator::pipeline::tests::*;

/// What is seen of a server.
type Observe = Box<dyn Fn(&Service) -> Value>;

/// A fault, what is looked at, and what is seen without and with it.
struct Case(F, Observe, Value, Value);

fn case(fault: F, observe: impl Fn(&Service) -> Value + 'static, without: Value, with: Value) -> Case {
    Case(fault, Box::new(observe), without, with)
}

/// A request that is answered with one status, and with another under the fault.
fn statuses(fault: F, ask: Ask, without: u16, with: u16) -> Case {
    case(fault, move |service| json!(status(service, &ask)), json!(without), json!(with))
}

/// A request that is answered, and refused under the fault.
fn refused(fault: F, ask: Ask) -> Case {
    statuses(fault, ask, 200, 400)
}

/// A request that is refused, and answered under the fault.
fn accepted(fault: F, ask: Ask, without: u16) -> Case {
    statuses(fault, ask, without, 200)
}

fn path(fault: F, method: Method, uri: &'static str, ask: Ask, without: u16, with: u16) -> Case {
    case(fault, move |service| json!(visit(service, method.clone(), uri, &ask).0), json!(without), json!(with))
}

fn plain() -> Ask {
    Ask::with(json!({}))
}

fn system(blocks: Value) -> Ask {
    Ask::with(json!({"system": blocks, "messages": [{"role": "user", "content": "What is the label?"}]}))
}

fn two_turns(role: &str, first: &str, second: &str) -> Ask {
    Ask::with(json!({"messages": [{"role": "user", "content": first}, {"role": role, "content": second}]}))
}

fn role_system() -> Ask {
    two_turns("system", "What is the label?", "The label is amber falcon 4821.")
}

fn prefill() -> Ask {
    two_turns("assistant", "Count from 1 to 5.", "1 2 3")
}

fn two_calls() -> Ask {
    with_tools("Use the find tool once for each of: Paris, Rome.", json!([tool("find")]))
}

fn thinks(kind: &str, text: &str) -> Ask {
    let thinking = match kind {
        "enabled" => json!({"type": kind, "budget_tokens": 1024}),
        _ => json!({"type": kind}),
    };
    let messages = json!([{"role": "user", "content": text}]);
    Ask::with(json!({"thinking": thinking, "tools": [tool("find")], "messages": messages}))
}

/// The status of an own answer that is handed back, changed.
fn replay(ask: Ask, change: fn(&mut Vec<Value>)) -> impl Fn(&Service) -> Value {
    move |service| {
        let mut content = message(service, &ask)["content"].as_array().unwrap().clone();
        change(&mut content);
        json!(status(service, &handed_back(&ask, &json!(content))))
    }
}

fn forced_thinking() -> Ask {
    let mut ask = thinks("enabled", "Use the find tool for Paris.");
    ask.body["tool_choice"] = json!({"type": "any"});
    ask
}

fn no_such_edit() -> Ask {
    Ask::with(json!({"context_management": {"edits": [{"type": "no_such_edit"}]}}))
        .header("anthropic-beta", "context-management-2025-06-27")
}

fn kinds_of(ask: Ask) -> impl Fn(&Service) -> Value {
    move |service| json!(kinds(&message(service, &ask)))
}

fn kinds_streamed(ask: Ask) -> impl Fn(&Service) -> Value {
    move |service| json!(kinds(&streamed(service, &ask)))
}

fn marked(marker: Value) -> Ask {
    let long = "The quick fox walks on. ".repeat(400);
    Ask::with(json!({"system": [{"type": "text", "text": long, "cache_control": marker}]}))
}

fn counted(ask: Ask, see: fn(u64, u64) -> Value) -> impl Fn(&Service) -> Value {
    move |service| {
        let used = message(service, &ask)["usage"]["input_tokens"].as_u64().unwrap();
        count(service, &ask).map_or_else(|status| json!(status), |counted| see(counted, used))
    }
}

/// How often the counted tokens are the used ones.
fn ratio(counted: u64, used: u64) -> Value {
    json!(counted as f64 / used as f64)
}

fn cases_of_the_gate() -> Vec<Case> {
    let bearer = format!("Bearer {DEFAULT_CREDENTIAL}");
    let long = || Ask::user("word ".repeat(6000));
    let broken = || plain().without("messages");
    vec![
        accepted(F::AuthMissingAccepted, plain().no_header("x-api-key"), 401),
        accepted(F::AuthWrongAccepted, plain().header("x-api-key", "wrong"), 401),
        statuses(F::AuthStatus, plain().header("x-api-key", "wrong"), 401, 403),
        path(F::AuthBeforeRouting, Method::POST, "/none", plain().no_header("x-api-key"), 404, 401),
        statuses(F::AuthOneHeaderOnly, plain().header("authorization", &bearer), 200, 401),
        statuses(F::ErrorsServerError, broken(), 400, 500),
        statuses(F::ErrorsStatus422, broken(), 400, 422),
        statuses(F::ErrorsAsOverloaded, broken(), 400, 529),
        accepted(F::ErrorsMissingMaxTokensAccepted, plain().without("max_tokens"), 400),
        accepted(F::ErrorsEmptyMessagesAccepted, Ask::with(json!({"messages": []})), 400),
        accepted(F::ErrorsUnknownModelAccepted, Ask::with(json!({"model": "none"})), 404),
        accepted(
            F::ErrorsUnknownRoleAccepted,
            Ask::with(json!({"messages": [{"role": "ctx", "content": "Hi."}]})),
            400,
        ),
        accepted(F::ErrorsUnknownKeyAccepted, Ask::with(json!({"zz_unknown": 1})), 400),
        accepted(F::ErrorsWrongTypeAccepted, Ask::with(json!({"max_tokens": "10"})), 400),
        path(F::ErrorsUnknownPath200, Method::POST, "/v1/none", plain(), 404, 200),
        statuses(F::ErrorsOverflow500, long(), 400, 500),
        case(
            F::ErrorsOverflowWording,
            move |service| json!(refusal(service, &long()).1.contains("prompt is too long")),
            json!(true),
            json!(false),
        ),
        accepted(F::ErrorsOverflowTruncates, Ask::user("word ".repeat(6000)), 400),
        accepted(F::ErrorsVersionAccepted, plain().header("anthropic-version", "1999-01-01"), 400),
        accepted(F::ErrorsBetaAccepted, plain().header("anthropic-beta", "none-such"), 400),
        refused(F::BetaKnownRefused, plain().header("anthropic-beta", "claude-code-20250219")),
        path(F::QueryNotRouted, Method::POST, "/v1/messages?beta=true", plain(), 200, 404),
        path(F::PathNoV1, Method::POST, "/v1/messages", plain(), 200, 404),
        path(F::PathNoV1, Method::POST, "/messages", plain(), 404, 200),
        path(F::ModelsMissing, Method::GET, "/v1/models", plain(), 200, 404),
        path(F::ModelsMissing, Method::GET, "/v1/models/m", plain(), 200, 404),
        case(
            F::ModelsOpenaiShape,
            |service| visit(service, Method::GET, "/v1/models", &plain()).1["object"].clone(),
            Value::Null,
            json!("list"),
        ),
        path(F::ModelsIdMissing, Method::GET, "/v1/models/m", plain(), 200, 404),
        path(F::CountTokensMissing, Method::POST, "/v1/messages/count_tokens", plain().without("max_tokens"), 200, 404),
    ]
}

fn cases_of_counting() -> Vec<Case> {
    let smaller = |counted: u64, used: u64| json!(counted < used);
    let system = || Ask::with(json!({"system": "Be brief."}));
    let tools = || Ask::with(json!({"tools": [tool("find")]}));
    let twin = |service: &Service| {
        let ask = plain();
        let of = |message: Value| message["usage"]["input_tokens"].as_i64().unwrap();
        json!(of(streamed(service, &ask)) - of(message(service, &ask)))
    };
    vec![
        case(F::CountTokensZero, counted(plain(), ratio), json!(1.0), json!(0.0)),
        case(F::CountTokensBlindToSystem, counted(system(), smaller), json!(false), json!(true)),
        case(F::CountTokensBlindToTools, counted(tools(), smaller), json!(false), json!(true)),
        case(F::CountTokensWantsMaxTokens, counted(plain(), ratio), json!(1.0), json!(400)),
        case(F::CountTokensOff, counted(plain(), ratio), json!(1.0), json!(2.0)),
        case(F::StreamTwinUsage, twin, json!(0), json!(50)),
        case(
            F::CacheCountedTwice,
            |service| {
                let usage = message(service, &marked(json!({"type": "ephemeral"})))["usage"].clone();
                json!(usage["input_tokens"].as_u64() > usage["cache_creation_input_tokens"].as_u64())
            },
            json!(false),
            json!(true),
        ),
        case(
            F::CacheTtlDropped,
            |service| {
                let usage = message(service, &marked(json!({"type": "ephemeral", "ttl": "1h"})))["usage"].clone();
                json!(usage["cache_creation"]["ephemeral_1h_input_tokens"].as_u64() > Some(0))
            },
            json!(true),
            json!(false),
        ),
        case(
            F::CacheBillingHeader,
            |service| {
                let used = |bill: &str| {
                    let mut ask = marked(json!({"type": "ephemeral"}));
                    let header = json!({"type": "text", "text": format!("x-anthropic-billing-header: {bill}")});
                    ask.body["system"].as_array_mut().unwrap().insert(0, header);
                    message(service, &ask)["usage"]["cache_read_input_tokens"].as_u64()
                };
                used("1");
                json!(used("2") > Some(0))
            },
            json!(true),
            json!(false),
        ),
        refused(
            F::CacheScopeRefused,
            marked(json!({"type": "ephemeral", "scope": "global"}))
                .header("anthropic-beta", "prompt-caching-scope-2026-01-05"),
        ),
        refused(F::CacheTtlRefused, marked(json!({"type": "ephemeral", "ttl": "5m"}))),
        refused(
            F::CacheWithThinkingRefused,
            Ask::with(plus(marked(json!({"type": "ephemeral"})).body, "thinking", json!({"type": "adaptive"}))),
        ),
    ]
}

fn cases_of_turns() -> Vec<Case> {
    let block = |text: &str| json!({"type": "text", "text": text});
    let label = json!("amber falcon 4821");
    let unknown = json!("I do not know.");
    let said = |ask: Ask| move |service: &Service| json!(text(service, &ask));
    let words = |ask: Ask| {
        move |service: &Service| {
            json!(send(service, &ask).err().map(|refusal| refusal.message.contains("not supported")))
        }
    };
    let second = system(json!([block("Hi."), block("The label is amber falcon 4821.")]));
    let mut rounds = exchange(call(), result(), "Go on.");
    let again = [call(), result()].map(|block| plus(block, "id", "toolu_2"));
    let messages = rounds.body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": [again[0]]}));
    messages.push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_2"}]}));
    let search = json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}});
    let found = json!([{"type": "search_result", "source": "s", "title": "t", "content": [block("Hi.")]}]);
    let url = json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]);
    let managed = json!({"context_management": {"edits": []}});
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {}});
    let format = json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
    let effort = |service: &Service| {
        let thought = |effort: &str| {
            let mut ask = thinks("adaptive", "Say hello.");
            ask.body["output_config"] = json!({ "effort": effort });
            message(service, &ask)["usage"]["output_tokens_details"]["thinking_tokens"].as_u64()
        };
        json!(thought("max") > thought("low"))
    };
    vec![
        case(F::SystemFirstBlockOnly, said(second), label.clone(), unknown.clone()),
        refused(F::SystemArrayRefused, system(json!([block("Hi.")]))),
        refused(F::RoleSystemRefused, role_system()),
        refused(F::RoleSystemRefusedUnclearly, role_system()),
        statuses(F::RoleSystemCrashes, role_system(), 200, 500),
        case(F::RoleSystemDropped, said(role_system()), label, unknown),
        refused(F::PrefillRefused, prefill()),
        case(F::PrefillRepeated, said(prefill()), json!(" 4 5"), json!("1 2 3 4 5")),
        case(F::PrefillIgnored, said(prefill()), json!(" 4 5"), json!("1 2 3 4 5")),
        refused(F::ToolsHistoryRefused, rounds),
        refused(F::HistorySearchRefused, Ask::assistant(search, "Go on.")),
        refused(F::HistorySearchRefused, Ask::user(found)),
        refused(F::ImageUrlRefused, Ask::user(url)),
        refused(F::MetadataStrict, Ask::with(json!({"metadata": {"user_id": "a@b"}}))),
        refused(
            F::ContextManagementRefused,
            Ask::with(managed).header("anthropic-beta", "context-management-2025-06-27"),
        ),
        case(
            F::FormatDropped,
            move |service| json!(text(service, &Ask::with(format.clone())) == "{}"),
            json!(true),
            json!(false),
        ),
        case(F::EffortDropped, effort, json!(true), json!(false)),
        refused(F::MaxTokens32000Refused, Ask::with(json!({"max_tokens": 32_000}))),
        case(F::RoleSystemRefused, words(role_system()), Value::Null, json!(true)),
        case(F::RoleSystemRefusedUnclearly, words(role_system()), Value::Null, json!(false)),
    ]
}

fn cases_of_tools() -> Vec<Case> {
    let long = "a".repeat(64);
    let named = |service: &Service| {
        let long = "a".repeat(64);
        let ask = with_tools(&format!("Call the {long} tool."), json!([tool(&long)]));
        message(service, &ask)["content"][0]["name"].clone()
    };
    let choosing = plus(
        tool("find"),
        "input_schema",
        json!({"type": "object", "properties": {"x": {"anyOf": [
        {"type": "string"}, {"type": "null"}]}}}),
    );
    let empty = json!([{"name": "ping", "input_schema": {"type": "object", "properties": {}}}]);
    let ping = with_tools("Call the ping tool.", empty.clone());
    let input = move |service: &Service| message(service, &ping)["content"][0]["input"].clone();
    let told = |service: &Service| {
        let mut ask = two_calls();
        ask.body["stream"] = json!(true);
        let Ok(Reply::Stream(message)) = send(service, &ask) else { panic!("no stream") };
        let events = sse::events(&message);
        let fragments = events.iter().filter_map(|e| serde_json::from_str::<Value>(e.split_once("data: ")?.1).ok());
        let parts: Vec<String> =
            fragments.filter_map(|data| data["delta"]["partial_json"].as_str().map(str::to_owned)).collect();
        json!([events.iter().filter(|e| e.contains("content_block_start")).count(), parts.concat()])
    };
    let both = r#"{"city":"Paris"}{"city":"Rome"}"#;
    vec![
        case(
            F::ToolsFirstCallOnly,
            kinds_of(two_calls()),
            json!(["tool_use", "tool_use"]),
            json!(["tool_use", "tool_use"]),
        ),
        case(F::ToolsFirstCallOnly, told, json!([2, both]), json!([1, r#"{"city":"Paris"}"#])),
        case(
            F::ToolsCallsMerged,
            kinds_of(two_calls()),
            json!(["tool_use", "tool_use"]),
            json!(["tool_use", "tool_use"]),
        ),
        case(F::ToolsCallsMerged, told, json!([2, both]), json!([1, both])),
        case(F::ToolsInputLost, told, json!([2, both]), json!([2, ""])),
        refused(F::ToolsWithoutArgumentsRefused, with_tools("Call the ping tool.", empty.clone())),
        refused(F::ToolsLongNameRefused, with_tools("Say hello.", json!([tool(&"n".repeat(64))]))),
        refused(
            F::ToolsNewVersionsRefused,
            Ask::with(json!({"tools": [{"type": "web_search_20260209", "name": "web_search"}]})),
        ),
        refused(F::StreamRefused, Ask::with(json!({"stream": true}))),
        refused(
            F::FormatRefused,
            Ask::with(
                json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}}}}),
            ),
        ),
        refused(F::EffortRefused, Ask::with(json!({"output_config": {"effort": "low"}}))),
        refused(F::ThinkingDisabledRefused, Ask::with(json!({"thinking": {"type": "disabled"}}))),
        accepted(
            F::ErrorsEmptyTextAccepted,
            Ask::with(
                json!({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "Say hello."}]}]}),
            ),
            400,
        ),
        accepted(F::ErrorsForcedToolAccepted, forced_thinking(), 400),
        accepted(F::ContextManagementDropped, no_such_edit(), 400),
        case(F::ToolsLongNameCut, named, json!(long), json!(long[..60])),
        refused(F::ToolsSchemaRefused, Ask::with(json!({"tools": [choosing]}))),
        refused(
            F::ToolsServerToolsRefused,
            Ask::with(json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]})),
        ),
        refused(F::ToolsNewKeysRefused, Ask::with(json!({"tools": [plus(tool("find"), "strict", true)]}))),
        case(F::ToolsEmptyInputBroken, input, json!({}), json!("")),
        case(
            F::TextEmptyBlock,
            |service| {
                let content = message(service, &plain())["content"].clone();
                json!([content[1]["text"], status(service, &handed_back(&plain(), &content))])
            },
            json!([null, 200]),
            json!(["", 400]),
        ),
        case(
            F::StreamTwinStopReason,
            |service| {
                let reason = |message: Value| message["stop_reason"].clone();
                json!(reason(streamed(service, &plain())) == reason(message(service, &plain())))
            },
            json!(true),
            json!(false),
        ),
    ]
}

fn cases_of_thinking() -> Vec<Case> {
    let hello = |kind: &str| thinks(kind, "Say hello.");
    let use_tool = |kind: &str| thinks(kind, "Use the find tool for Paris.");
    let (thought, said) = (json!(["thinking", "text"]), json!(["text"]));
    vec![
        case(F::ThinkingHistoryRefused, replay(hello("enabled"), |_| {}), json!(200), json!(400)),
        case(F::ThinkingMustReplay, replay(use_tool("adaptive"), |c| drop(c.remove(0))), json!(200), json!(400)),
        case(F::ThinkingMustReplay, replay(use_tool("adaptive"), |_| {}), json!(200), json!(200)),
        case(F::ThinkingStrippedAccepted, replay(use_tool("enabled"), |c| drop(c.remove(0))), json!(400), json!(200)),
        case(
            F::ThinkingSignatureUnchecked,
            replay(hello("enabled"), |c| c[0]["signature"] = json!("c2lnbmF0dXJl")),
            json!(400),
            json!(200),
        ),
        case(F::ThinkingStreamLost, kinds_streamed(hello("enabled")), thought.clone(), said.clone()),
        case(F::ThinkingStreamLost, kinds_of(hello("enabled")), thought.clone(), thought.clone()),
        case(F::ThinkingTextLost, kinds_streamed(hello("enabled")), thought.clone(), json!(["thinking"])),
        case(F::ThinkingTextLost, kinds_of(hello("enabled")), thought.clone(), thought.clone()),
        case(F::ThinkingUnasked, kinds_of(plain()), said.clone(), thought.clone()),
        case(F::ThinkingUnasked, kinds_of(hello("disabled")), said.clone(), said.clone()),
        case(F::ThinkingAlways, kinds_of(hello("disabled")), said.clone(), thought.clone()),
        refused(F::ThinkingAdaptiveRefused, hello("adaptive")),
        case(F::ThinkingAdaptiveDropped, kinds_of(hello("adaptive")), thought.clone(), said),
        case(F::ThinkingAdaptiveDropped, kinds_of(hello("enabled")), thought.clone(), thought),
        case(F::ThinkingRewritten, replay(hello("enabled"), |_| {}), json!(200), json!(400)),
    ]
}

fn cases() -> Vec<Case> {
    let all = [cases_of_the_gate(), cases_of_counting(), cases_of_turns(), cases_of_tools(), cases_of_thinking()];
    all.into_iter().flatten().collect()
}

/// A server that would give any number of tokens and take few.
fn server(faults: &[F]) -> Service {
    let faults = faults.iter().map(|fault| Fault::from(*fault)).collect();
    Service::new(Behaviour { max_output_tokens: None, context_tokens: 5000, faults, ..behaviour() })
}

#[test]
fn every_fault_does_what_it_says_and_nothing_without_it() {
    let mut wrong = Vec::new();
    for Case(fault, observe, without, with) in cases() {
        let seen = [observe(&server(&[])), observe(&server(&[fault]))];
        if seen != [without.clone(), with.clone()] {
            wrong.push(format!("{}: {seen:?} instead of {:?}", fault.id(), [without, with]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_fault_is_tried_and_described() {
    let tried: Vec<F> = cases().iter().filter(|case| case.2 != case.3).map(|case| case.0).collect();
    for fault in F::ALL {
        // How a stream is sent is seen on the wire alone.
        assert!(tried.contains(fault) || *fault == F::StreamBuffered, "{}", fault.id());
        assert!(!fault.about().is_empty() && !Fault::from(*fault).breaks_protocol(), "{}", fault.id());
        assert_eq!(fault.id().parse(), Ok(Fault::from(*fault)));
    }
}

#[test]
fn a_plain_request_is_answered_under_almost_every_fault() {
    let odd = [F::PathNoV1];
    for fault in F::ALL.iter().filter(|fault| !odd.contains(fault)) {
        assert_eq!(status(&server(&[*fault]), &plain()), 200, "{}", fault.id());
    }
}
