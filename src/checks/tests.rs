//! Tests of all checks: for each check an exchange with its fault, and exchanges without faults.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::checks::{CheckedExchange, CheckedResponse, Finding, ProtocolCheck, check_across, check_exchange};
use crate::wire::exchange::{
    AttemptFailure, AttemptResult, BodyBytes, Exchange, ExchangeAttempt, FailureKind, HttpMethod, Request,
    RequestCredential, Response,
};

fn request(stream: bool) -> Value {
    json!({
        "model": "m", "max_tokens": 64, "stream": stream, "stop_sequences": ["7"],
        "messages": [{ "role": "user", "content": "Hello" }],
        "tools": [{ "name": "weather", "input_schema": {
            "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"],
        }}],
    })
}

fn usage() -> Value {
    json!({
        "input_tokens": 9, "output_tokens": 5, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 3,
        "cache_creation": { "ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0 },
    })
}

fn message() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
        "stop_sequence": null, "usage": usage(),
        "content": [
            { "type": "thinking", "thinking": "Hm.", "signature": "c2ln" },
            { "type": "text", "text": "Let me see." },
            { "type": "tool_use", "id": "toolu_1", "name": "weather", "input": { "city": "Bern" } },
        ],
    })
}

fn events() -> Vec<Value> {
    let mut start = message();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    let delta = |index: u64, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let stop = |index: u64| json!({ "type": "content_block_stop", "index": index });
    let block =
        |index: u64, block: Value| json!({ "type": "content_block_start", "index": index, "content_block": block });
    vec![
        json!({ "type": "message_start", "message": start }),
        block(0, json!({ "type": "thinking", "thinking": "", "signature": "" })),
        json!({ "type": "ping" }),
        delta(0, json!({ "type": "thinking_delta", "thinking": "Hm." })),
        delta(0, json!({ "type": "signature_delta", "signature": "c2ln" })),
        stop(0),
        block(1, json!({ "type": "text", "text": "" })),
        delta(1, json!({ "type": "text_delta", "text": "Let me see." })),
        stop(1),
        block(2, json!({ "type": "tool_use", "id": "toolu_1", "name": "weather", "input": {} })),
        delta(2, json!({ "type": "input_json_delta", "partial_json": "" })),
        delta(2, json!({ "type": "input_json_delta", "partial_json": "{\"city\":" })),
        delta(2, json!({ "type": "input_json_delta", "partial_json": "\"Bern\"}" })),
        stop(2),
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use", "stop_sequence": null }, "usage": usage() }),
        json!({ "type": "message_stop" }),
    ]
}

fn frames(events: &[Value]) -> String {
    events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap())).collect()
}

fn response(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Response {
    let headers = [("content-type", kind), ("request-id", "req_1")];
    Response {
        status,
        headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
        body: BodyBytes(body.into()),
        arrivals: Vec::new(),
        cut: None,
    }
}

fn exchange(id: &str, request_body: Value, response: Response) -> Exchange {
    Exchange {
        id: id.to_owned(),
        request: Request {
            method: HttpMethod::Post,
            raw: None,
            path: "/v1/messages".to_owned(),
            headers: BTreeMap::new(),
            credential: RequestCredential::Target,
            body: request_body,
        },
        attempts: vec![ExchangeAttempt { started_ms: 0, duration_ms: 1, result: AttemptResult::Response(response) }],
    }
}

fn findings(request_body: Value, response: Response) -> Vec<Finding> {
    check_exchange(&exchange("x1", request_body, response)).findings
}

/// The findings across responses, each check once. The order of the responses does not matter.
fn cross_response_findings(messages: &[(Value, Value)]) -> Vec<Finding> {
    let checked: Vec<(Exchange, CheckedExchange)> = messages
        .iter()
        .enumerate()
        .map(|(i, (request_body, message))| {
            let exchange = exchange(
                &format!("x{i}"),
                request_body.clone(),
                response(200, "application/json", message.to_string()),
            );
            let checked = check_exchange(&exchange);
            (exchange, checked)
        })
        .collect();
    let responses = || checked.iter().map(|(exchange, c)| CheckedResponse { exchange, message: c.message().unwrap() });
    let found = check_across(responses());
    assert_eq!(check_across(responses().collect::<Vec<_>>().into_iter().rev()), found);
    let mut once: Vec<Finding> = Vec::new();
    for (_, finding) in found {
        if once.iter().all(|f| f.check != finding.check) {
            once.push(finding);
        }
    }
    once
}

/// The findings of two responses to different prompts, which are correct before the change.
fn two_response_findings(change: impl Fn(&mut [(Value, Value); 2])) -> Vec<Finding> {
    let mut responses = [1, 2].map(|n| {
        let (mut request_body, mut message) = (request(false), message());
        request_body["messages"][0]["content"] = format!("Hello {n}").into();
        message["id"] = format!("msg_{n}").into();
        message["content"][0] =
            json!({ "type": "thinking", "thinking": format!("Hm {n}."), "signature": format!("s{n}") });
        message["content"][2]["id"] = format!("toolu_{n}").into();
        (request_body, message)
    });
    change(&mut responses);
    cross_response_findings(&responses)
}

/// The findings of ten responses to prompts of 5 to 50 characters, with this token count of each.
fn prompt_count_findings(count: impl Fn(usize) -> usize) -> Vec<Finding> {
    let responses = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(|n: usize| {
        let mut request_body = request(false);
        request_body["messages"] = json!([{ "role": "user", "content": "Hello".repeat(n) }]);
        let mut message = message();
        (message["id"], message["stop_reason"]) = (format!("msg_{n}").into(), "end_turn".into());
        message["content"] = json!([{ "type": "text", "text": "Hi." }]);
        message["usage"] = json!({ "input_tokens": count(n), "output_tokens": 2 });
        (request_body, message)
    });
    cross_response_findings(&responses)
}

/// The findings of a response to a prompt that contains only text.
fn text_only_findings(change: impl Fn(&mut Value, &mut Value)) -> Vec<Finding> {
    let mut request_body =
        json!({ "model": "m", "max_tokens": 64, "messages": [{ "role": "user", "content": "Hello" }] });
    let mut message = message();
    (message["content"], message["stop_reason"]) = (json!([{ "type": "text", "text": "Hi." }]), "end_turn".into());
    change(&mut request_body, &mut message);
    findings(request_body, response(200, "application/json", message.to_string()))
}

/// The findings of a stream of many deltas. The first events arrive immediately, the first delta
/// after `first_ms`, and each further event `between_ms` later.
fn timing_findings(first_ms: u64, between_ms: u64) -> Vec<Finding> {
    let mut all = events();
    let delta = all[7].clone();
    all.splice(7..7, std::iter::repeat_n(delta, 30));
    let mut arrivals = Vec::new();
    for (i, event) in all.iter().enumerate() {
        let size = frames(std::slice::from_ref(event)).len() as u64;
        arrivals.push((if i < 3 { 5 } else { first_ms + between_ms * (i as u64 - 3) }, size));
    }
    let mut response = response(200, "text/event-stream", frames(&all));
    response.arrivals = arrivals;
    findings(request(true), response)
}

fn response_findings(change: impl Fn(&mut Response)) -> Vec<Finding> {
    let mut response = response(200, "application/json", message().to_string());
    change(&mut response);
    findings(request(false), response)
}

fn message_findings(change: impl Fn(&mut Value)) -> Vec<Finding> {
    let mut message = message();
    change(&mut message);
    response_findings(|r| r.body = BodyBytes(message.to_string().into()))
}

fn stream_text_findings(change: impl Fn(String) -> String) -> Vec<Finding> {
    findings(request(true), response(200, "text/event-stream", change(frames(&events()))))
}

fn event_findings(change: impl Fn(&mut Vec<Value>)) -> Vec<Finding> {
    stream_text_findings(|_| {
        let mut events = events();
        change(&mut events);
        frames(&events)
    })
}

fn error_findings(status: u16, change: impl Fn(&mut Value)) -> Vec<Finding> {
    let mut body = json!({
        "type": "error", "error": { "type": "invalid_request_error", "message": "no" }, "request_id": "req_1",
    });
    change(&mut body);
    findings(request(false), response(status, "application/json", body.to_string()))
}

#[test]
fn exchanges_without_faults_have_no_findings() {
    for found in [
        response_findings(|_| {}),
        message_findings(|_| {}),
        event_findings(|_| {}),
        stream_text_findings(|t| t),
        error_findings(400, |_| {}),
    ] {
        assert_eq!(found, []);
    }
    for found in
        [two_response_findings(|_| {}), text_only_findings(|_, _| {}), timing_findings(10, 20), timing_findings(900, 1)]
    {
        assert_eq!(found, []);
    }
    assert_eq!(stream_text_findings(|t| format!("\u{feff}: hello\n\n{}", t.replace('\n', "\r\n"))), []);
}

/// For each check an exchange with its fault, and the other checks that also find this fault.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn check_examples() -> Vec<(ProtocolCheck, Vec<Finding>, &'static [ProtocolCheck])> {
    use ProtocolCheck as C;
    let cut = |kind| Some(AttemptFailure { kind, message: "the connection broke".to_owned() });
    vec![
        (C::ContentType, response_findings(|r| r.headers[0].1 = "text/plain".into()), &[]),
        (C::StreamNotStreamed, findings(request(true), response(200, "application/json", message().to_string())), &[]),
        (C::StreamUnasked, findings(request(false), response(200, "text/event-stream", frames(&events()))), &[]),
        (C::Redirect, response_findings(|r| r.status = 307), &[]),
        (C::SuccessStatus, response_findings(|r| r.status = 201), &[]),
        (C::ServerError, error_findings(500, |e| e["error"]["type"] = "api_error".into()), &[]),
        (C::StatusUndocumented, error_findings(422, |_| {}), &[]),
        (C::RequestIdMissing, response_findings(|r| drop(r.headers.pop())), &[]),
        (C::RetryAfterMissing, error_findings(429, |e| e["error"]["type"] = "rate_limit_error".into()), &[]),
        (C::RetryAfterInvalid, response_findings(|r| r.headers.push(("retry-after".into(), "soon".into()))), &[]),
        (
            C::RateLimitHeader,
            response_findings(|r| r.headers.push(("anthropic-ratelimit-tokens-reset".into(), "30".into()))),
            &[],
        ),
        (C::BodyCut, response_findings(|r| r.cut = cut(FailureKind::Reset)), &[]),
        (C::BodyNotJson, response_findings(|r| r.body = BodyBytes(b"<html>".to_vec())), &[]),
        (C::ErrorInSuccess, response_findings(|r| r.body = BodyBytes(br#"{"type":"error","error":{}}"#.to_vec())), &[]),
        (C::NoMessage, response_findings(|r| r.body = BodyBytes(br#"{"choices":[]}"#.to_vec())), &[]),
        (C::MessageType, message_findings(|m| m["type"] = Value::Null), &[]),
        (C::MessageRole, message_findings(|m| m["role"] = "user".into()), &[]),
        (C::MessageIdMissing, message_findings(|m| m["id"] = Value::Null), &[]),
        (C::MessageIdPrefix, message_findings(|m| m["id"] = "chatcmpl-1".into()), &[]),
        (C::MessageIdRepeated, two_response_findings(|a| a[1].1["id"] = a[0].1["id"].clone()), &[]),
        (C::ModelMissing, message_findings(|m| m["model"] = Value::Null), &[]),
        (C::ContentShape, message_findings(|m| m["content"] = Value::Null), &[]),
        (C::ContentEmpty, message_findings(|m| (m["content"], m["stop_reason"]) = (json!([]), "end_turn".into())), &[]),
        (C::BlockUnknown, message_findings(|m| m["content"][1] = json!({ "type": "hologram" })), &[]),
        (C::BlockShape, message_findings(|m| m["content"][1]["text"] = Value::Null), &[]),
        (C::TextEmpty, message_findings(|m| m["content"][1]["text"] = "".into()), &[]),
        (C::SignatureMissing, message_findings(|m| m["content"][0]["signature"] = "".into()), &[]),
        (C::SignatureConstant, two_response_findings(|a| a[1].1["content"][0]["signature"] = "s1".into()), &[]),
        (C::SignatureStray, message_findings(|m| m["content"][1]["signature"] = "c2ln".into()), &[]),
        (C::ThinkingInText, message_findings(|m| m["content"][1]["text"] = "<think>Hm".into()), &[]),
        (C::StopReasonMissing, message_findings(|m| m["stop_reason"] = Value::Null), &[]),
        (C::StopReasonUnknown, message_findings(|m| m["stop_reason"] = "length".into()), &[]),
        (
            C::StopReasonLost,
            message_findings(|m| {
                m["content"].as_array_mut().unwrap().pop();
                m["stop_reason"] = "end_turn".into();
                m["usage"]["output_tokens"] = 64.into();
            }),
            &[],
        ),
        (
            C::StopSequenceKeyMissing,
            message_findings(|m| drop(m.as_object_mut().unwrap().remove("stop_sequence"))),
            &[],
        ),
        (C::StopSequenceMismatch, message_findings(|m| m["stop_reason"] = "stop_sequence".into()), &[]),
        (
            C::StopSequenceInText,
            message_findings(|m| {
                (m["stop_reason"], m["stop_sequence"]) = ("stop_sequence".into(), "7".into());
                m["content"][1]["text"] = "5, 6, 7, 8".into();
            }),
            &[],
        ),
        (C::StopToolUseWithoutTool, message_findings(|m| drop(m["content"].as_array_mut().unwrap().pop())), &[]),
        (C::ToolWithoutStopToolUse, message_findings(|m| m["stop_reason"] = "end_turn".into()), &[]),
        (C::MessageKeyUnknown, message_findings(|m| m["created"] = 1.into()), &[]),
        (
            C::NotUtf8,
            findings(request(true), {
                let mut bytes = frames(&events()).into_bytes();
                bytes.splice(0..0, *b": \xff\n\n");
                response(200, "text/event-stream", bytes)
            }),
            &[],
        ),
        (C::LineStray, stream_text_findings(|t| format!("hello\n{t}")), &[]),
        (C::FrameUnfinished, stream_text_findings(|t| t.trim_end().to_owned() + "\n"), &[]),
        (C::DataMissing, stream_text_findings(|t| format!("event: ping\n\n{t}")), &[]),
        (C::DataNotJson, stream_text_findings(|t| format!("event: ping\ndata: x\n\n{t}")), &[]),
        (C::DoneRecord, stream_text_findings(|t| t + "data: [DONE]\n\n"), &[]),
        (C::EventNameMissing, stream_text_findings(|t| t.replace("event: message_start\n", "")), &[]),
        (C::EventNameMismatch, stream_text_findings(|t| t.replace("event: message_start\n", "event: message\n")), &[]),
        (C::EventUnknown, event_findings(|e| e.insert(1, json!({ "type": "progress" }))), &[]),
        (C::MessageStartMissing, event_findings(|e| drop(e.remove(0))), &[C::EventBeforeStart]),
        (C::EventBeforeStart, event_findings(|e| e.swap(0, 1)), &[]),
        (C::MessageStartTwice, event_findings(|e| e.insert(1, e[0].clone())), &[]),
        (C::StartNotEmpty, event_findings(|e| e[0]["message"]["stop_reason"] = "end_turn".into()), &[]),
        (C::MessageDeltaMissing, event_findings(|e| drop(e.remove(14))), &[C::StopReasonMissing]),
        (C::MessageStopMissing, event_findings(|e| drop(e.pop())), &[]),
        (C::MessageStopTwice, event_findings(|e| e.push(e[15].clone())), &[]),
        (C::EventAfterStop, event_findings(|e| e.push(e[14].clone())), &[]),
        (
            C::StreamCut,
            findings(request(true), {
                let mut response = response(200, "text/event-stream", frames(&events()[..4]));
                response.cut = cut(FailureKind::Reset);
                response
            }),
            &[],
        ),
        (C::BlockIndex, event_findings(|e| e[6]["index"] = 5.into()), &[]),
        (C::BlockNested, event_findings(|e| e.swap(5, 6)), &[]),
        (C::BlockStartShape, event_findings(|e| e[6]["content_block"] = json!([])), &[C::ContentShape]),
        (C::BlockPrefilled, event_findings(|e| e[6]["content_block"]["text"] = "Well. ".into()), &[]),
        (C::ToolInputInStart, event_findings(|e| e[9]["content_block"]["input"] = json!({ "city": "Bern" })), &[]),
        (C::BlockNotStopped, event_findings(|e| drop(e.remove(8))), &[C::BlockNested]),
        (C::BlockStopStray, event_findings(|e| e.insert(6, e[5].clone())), &[]),
        (C::BlockAfterDelta, event_findings(|e| e.swap(13, 14)), &[C::BlockNotStopped, C::BlockStopStray]),
        (C::DeltaWithoutBlock, event_findings(|e| e.insert(6, e[7].clone())), &[]),
        (C::DeltaAfterStop, event_findings(|e| e.swap(7, 8)), &[]),
        (
            C::DeltaType,
            event_findings(|e| e[7]["delta"] = json!({ "type": "input_json_delta", "partial_json": "{}" })),
            &[C::TextEmpty],
        ),
        (
            C::DeltaTypeUnknown,
            event_findings(|e| {
                e.insert(8, json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "audio_delta" } }))
            }),
            &[],
        ),
        (C::DeltaShape, event_findings(|e| e[7]["delta"]["text"] = Value::Null), &[C::TextEmpty]),
        (C::ToolJson, event_findings(|e| drop(e.remove(11))), &[C::ToolInputShape]),
        (C::SignatureOrder, event_findings(|e| e.swap(3, 4)), &[]),
        (C::PingMissing, event_findings(|e| drop(e.remove(2))), &[]),
        (C::SilentGap, timing_findings(15_006, 30), &[]),
        (C::Buffered, timing_findings(1200, 1), &[]),
        (C::ErrorEvent, stream_text_findings(|_| "event: error\ndata: {\"message\":\"no\"}\n\n".to_owned()), &[]),
        (
            C::ErrorInStream,
            event_findings(|e| {
                e.truncate(4);
                e.push(json!({ "type": "error", "error": { "type": "overloaded_error", "message": "busy" } }));
            }),
            &[],
        ),
        (C::UsageMissing, message_findings(|m| m["usage"] = Value::Null), &[]),
        (C::UsageCounter, message_findings(|m| m["usage"]["output_tokens"] = "5".into()), &[]),
        (C::UsageStartMissing, event_findings(|e| e[0]["message"]["usage"] = Value::Null), &[]),
        (
            C::UsageStartInputZero,
            event_findings(|e| e[0]["message"]["usage"] = json!({ "input_tokens": 0, "output_tokens": 1 })),
            &[],
        ),
        (C::UsageDeltaMissing, event_findings(|e| e[14]["usage"] = Value::Null), &[]),
        (
            C::UsageDeltaInputZero,
            event_findings(|e| e[14]["usage"] = json!({ "input_tokens": 0, "output_tokens": 5 })),
            &[],
        ),
        (C::UsageShrinks, event_findings(|e| e[14]["usage"]["output_tokens"] = 4.into()), &[]),
        (
            C::UsageInputZero,
            message_findings(|m| {
                let none = json!({ "input_tokens": 0, "output_tokens": 5, "cache_read_input_tokens": null, "cache_creation_input_tokens": null });
                m["usage"] = none;
            }),
            &[],
        ),
        (C::InputMoreThanSent, text_only_findings(|_, m| m["usage"]["input_tokens"] = 2000.into()), &[]),
        (C::UsageOutputZero, message_findings(|m| m["usage"]["output_tokens"] = 0.into()), &[]),
        (C::UsageOverMaxTokens, message_findings(|m| m["usage"]["output_tokens"] = 65.into()), &[]),
        (C::UsageCacheSum, message_findings(|m| m["usage"]["cache_creation_input_tokens"] = 4.into()), &[]),
        (
            C::UsageCacheMissing,
            message_findings(|m| drop(m["usage"].as_object_mut().unwrap().remove("cache_read_input_tokens"))),
            &[],
        ),
        (
            C::UsageThinking,
            message_findings(|m| m["usage"]["output_tokens_details"] = json!({ "thinking_tokens": 6 })),
            &[],
        ),
        (C::InputConstant, prompt_count_findings(|_| 21), &[]),
        (
            C::RepeatDiffers,
            two_response_findings(|a| {
                a[1].0 = a[0].0.clone();
                a[1].1["usage"]["cache_read_input_tokens"] = 30.into();
            }),
            &[],
        ),
        (
            C::TwinDiffers,
            two_response_findings(|a| {
                a[1].0 = a[0].0.clone();
                a[1].0["stream"] = true.into();
                a[1].1["usage"]["input_tokens"] = 39.into();
            }),
            &[],
        ),
        (C::ErrorNotJson, findings(request(false), response(400, "application/json", "no")), &[]),
        (C::ErrorEnvelope, error_findings(400, |e| *e = json!({ "error": { "message": "no" } })), &[]),
        (C::ErrorTypeMissing, error_findings(400, |e| e["error"]["type"] = Value::Null), &[]),
        (C::ErrorMessageMissing, error_findings(400, |e| e["error"]["message"] = Value::Null), &[]),
        (C::ErrorTypeUnknown, error_findings(400, |e| e["error"]["type"] = "BadRequestError".into()), &[]),
        (C::ErrorTypeStatus, error_findings(401, |_| {}), &[]),
        (C::ErrorNested, error_findings(400, |e| e["error"]["error"] = json!({})), &[]),
        (C::ErrorRequestIdMissing, error_findings(400, |e| e["request_id"] = Value::Null), &[]),
        (C::ErrorRequestIdMismatch, error_findings(400, |e| e["request_id"] = "req_2".into()), &[]),
        (
            C::LeakTraceback,
            error_findings(400, |e| e["error"]["message"] = "Traceback (most recent call last): …".into()),
            &[],
        ),
        (C::LeakPath, error_findings(400, |e| e["error"]["message"] = "File \"/usr/lib/app.py\"".into()), &[]),
        (C::LeakKey, error_findings(400, |e| e["error"]["message"] = format!("key sk-{}", "a".repeat(32)).into()), &[]),
        (C::ToolShape, message_findings(|m| m["content"][2]["id"] = Value::Null), &[]),
        (C::ToolIdPattern, message_findings(|m| m["content"][2]["id"] = "f.w:0".into()), &[]),
        (C::ToolIdDuplicate, message_findings(|m| m["content"][1] = m["content"][2].clone()), &[]),
        (
            C::ToolIdRepeated,
            two_response_findings(|a| {
                let call = a[0].1["content"][2].clone();
                a[1].0["messages"] = json!([
                    { "role": "user", "content": "Hello" },
                    { "role": "assistant", "content": [{ "type": "tool_use", "id": "t", "name": "weather", "input": {} }] },
                    { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t" }] },
                ]);
                a[1].1["content"][2] = call;
            }),
            &[],
        ),
        (C::ToolNameUnknown, message_findings(|m| m["content"][2]["name"] = "get_weather".into()), &[]),
        (C::ToolInputShape, message_findings(|m| m["content"][2]["input"] = "{}".into()), &[]),
        (C::ToolInputSchema, message_findings(|m| m["content"][2]["input"] = json!({ "city": 7 })), &[]),
        (C::ToolMarkup, message_findings(|m| m["content"][1]["text"] = "<tool_call>{}".into()), &[]),
    ]
}

#[test]
fn each_fault_is_found_by_its_check_and_the_listed_companions_only() {
    let mut wrong = Vec::new();
    for (check, found, companions) in check_examples() {
        let mut found: Vec<ProtocolCheck> = found.into_iter().map(|f| f.check).collect();
        let mut wanted = [&[check], companions].concat();
        found.sort();
        wanted.sort();
        if found != wanted {
            wrong.push((check.id(), found, wanted));
        }
    }
    assert!(wrong.is_empty(), "check, found, wanted: {wrong:#?}");
}

#[test]
fn every_check_has_an_example() {
    let tried: Vec<ProtocolCheck> = check_examples().into_iter().map(|(check, ..)| check).collect();
    assert_eq!(tried, ProtocolCheck::ALL);
}

#[test]
fn ids_have_an_area_and_kebab_case_words_and_are_unique() {
    let mut ids: Vec<&str> = ProtocolCheck::ALL.iter().map(|c| c.id()).collect();
    for id in &ids {
        let (area, words) = id.split_once('.').unwrap();
        assert!(["http", "message", "sse", "usage", "error", "tool"].contains(&area), "{id}");
        assert!(
            words.split('-').all(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())),
            "{id}"
        );
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), ProtocolCheck::ALL.len());
}

#[test]
fn a_token_count_that_moves_once_is_not_constant() {
    assert_eq!(prompt_count_findings(|n| if n == 10 { 22 } else { 21 }), []);
    assert_eq!(prompt_count_findings(|_| 0), [], "another check reports counts of 0");
}

#[test]
fn allowed_similarities_of_responses_are_not_findings() {
    // A response from a cache, streamed or not.
    let cached = |a: &mut [(Value, Value); 2]| {
        a[1] = a[0].clone();
        a[1].0["stream"] = true.into();
    };
    // Ids that number the calls of a conversation, and a token count that a date changes.
    let counted = |a: &mut [(Value, Value); 2]| {
        for (_, message) in a.iter_mut() {
            message["content"][2]["id"] = "functions_weather_0".into();
        }
        a[1].0 = a[0].0.clone();
        a[1].1["usage"]["input_tokens"] = 20.into();
    };
    // Tokens that a cache serves were written to it before, so the sum stays the same.
    let read = |a: &mut [(Value, Value); 2]| {
        a[1].0 = a[0].0.clone();
        for (i, key) in ["cache_creation_input_tokens", "cache_read_input_tokens"].into_iter().enumerate() {
            a[i].1["usage"] = json!({ "input_tokens": 9, "output_tokens": 5 });
            a[i].1["usage"][key] = 4000.into();
        }
    };
    // Thinking without its text, and a search with different results.
    let hidden = |a: &mut [(Value, Value); 2]| {
        a[1].0 = a[0].0.clone();
        a[0].0["tools"] = json!([{ "type": "web_search_20250305", "name": "web_search" }]);
        a[1].0["tools"] = a[0].0["tools"].clone();
        a[1].1["usage"]["input_tokens"] = 4000.into();
        for (_, message) in a.iter_mut() {
            message["content"][0] = json!({ "type": "thinking", "thinking": "", "signature": "s" });
        }
    };
    for found in [
        two_response_findings(cached),
        two_response_findings(counted),
        two_response_findings(read),
        two_response_findings(hidden),
    ] {
        assert_eq!(found, []);
    }
}

#[test]
fn a_prompt_with_more_than_text_may_have_more_tokens_than_bytes() {
    for more in [
        json!({ "tools": [] }),
        json!({ "thinking": { "type": "adaptive" } }),
        json!({ "thread": { "type": "create" } }),
        json!({ "messages": [{ "role": "user", "content": [{ "type": "image", "source": {} }] }] }),
        json!({ "system": [{ "type": "text", "text": "Hi." }, { "type": "document" }] }),
    ] {
        let found = text_only_findings(|request_body, message| {
            let more = more.as_object().unwrap().clone();
            request_body.as_object_mut().unwrap().extend(more);
            message["usage"]["input_tokens"] = 2000.into();
        });
        assert_eq!(found, [], "{more}");
    }
}

#[test]
fn valid_and_undocumented_rate_limit_headers_are_not_findings() {
    for (name, value) in [
        ("anthropic-ratelimit-requests-remaining", "49"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-11-22T02:30:00Z"),
        ("anthropic-ratelimit-unified-reset", "1763778600"),
        ("anthropic-ratelimit-unified-status", "allowed"),
        ("x-should-retry", "false"),
    ] {
        assert_eq!(response_findings(|r| r.headers.push((name.to_owned(), value.to_owned()))), [], "{name}");
    }
    let found = response_findings(|r| r.headers.push(("x-should-retry".to_owned(), "1".to_owned())));
    assert_eq!(found.iter().map(|f| f.check).collect::<Vec<_>>(), [ProtocolCheck::RateLimitHeader]);
}

#[test]
fn text_of_the_request_is_not_a_leak() {
    let mut request_body = request(false);
    request_body["system"] = "/usr/lib/app.py".into();
    let body = json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "system: /usr/lib/app.py" }, "request_id": "req_1" });
    assert_eq!(findings(request_body, response(400, "application/json", body.to_string())), []);
}

#[test]
fn an_unknown_block_with_deltas_is_one_note() {
    let found = event_findings(|e| e[6]["content_block"] = json!({ "type": "hologram" }));
    assert_eq!(found.iter().map(|f| f.check).collect::<Vec<_>>(), [ProtocolCheck::BlockUnknown]);
}

#[test]
fn a_call_that_max_tokens_truncated_may_have_no_stop() {
    let found = event_findings(|e| {
        e.remove(13);
        e[13]["delta"]["stop_reason"] = "max_tokens".into();
    });
    assert_eq!(found, []);
}

fn any_event() -> impl Strategy<Value = Value> {
    let index = prop::sample::select(vec![json!(0), json!(1), json!(-1), json!(null), json!(u64::MAX), json!("x")]);
    let inner = prop::sample::select(vec![
        json!({}),
        json!(null),
        json!([]),
        json!("text"),
        json!(7),
        json!({ "type": "text", "text": "" }),
        json!({ "type": "tool_use", "input": {} }),
        json!({ "type": "tool_use", "input": "x" }),
        json!({ "type": "thinking" }),
        json!({ "type": "text_delta", "text": "a" }),
        json!({ "type": "input_json_delta", "partial_json": "{" }),
        json!({ "type": "signature_delta", "signature": "" }),
        json!({ "usage": [], "content": {} }),
        json!({ "input_tokens": -1, "output_tokens": u64::MAX }),
    ]);
    let kind = prop::sample::select(vec![
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
        "other",
    ]);
    (kind, index, prop::collection::vec(inner, 4)).prop_map(|(kind, index, inner)| {
        json!({ "type": kind, "index": index, "message": inner[0], "content_block": inner[1], "delta": inner[2], "usage": inner[3] })
    })
}

proptest! {
    #[test]
    fn any_order_of_events_is_checked(events in prop::collection::vec(any_event(), 0..24)) {
        let _ = stream_text_findings(|_| frames(&events));
    }

    #[test]
    fn any_bytes_are_checked(bytes in prop::collection::vec(any::<u8>(), 0..300), status in 200u16..600) {
        let _ = findings(request(true), response(status, "text/event-stream", bytes.clone()));
        let _ = findings(request(false), response(status, "application/json", bytes));
    }

    #[test]
    fn any_damaged_stream_is_checked(at in 0usize..2000, byte in any::<u8>()) {
        let mut bytes = frames(&events()).into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = findings(request(true), response(200, "text/event-stream", bytes));
    }
}
