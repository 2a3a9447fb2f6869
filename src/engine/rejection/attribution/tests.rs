//! Errors in the words of real servers, and what they are about. Each server words its errors in its
//! own way: FastAPI and pydantic, Go, Rust, JavaScript validators, OpenAI's and Anthropic's APIs.

use serde_json::{Value, json};

use super::*;
use crate::catalog::Catalog;
use crate::engine::request::sent::SentRequest;
use crate::wire::exchange::{
    AttemptResult, BodyBytes, Exchange, ExchangeAttempt, HttpMethod, Request, RequestCredential, Response,
};
use crate::wire::parsed_exchange::parse_exchange;

/// What an error is expected to be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExpectedSubject {
    Field,
    Elsewhere,
    Nothing,
}
use ExpectedSubject::{Elsewhere, Field, Nothing};

/// The subject of a body that rejects an arm of a bundled row.
fn attribute(row: &str, variant: Option<&str>, arm: ArmKind, body: &Value) -> RejectionSubject {
    let catalog = Catalog::load_bundled().expect("the bundled case files are valid");
    let experiment = catalog.experiment(row).expect(row);
    let response = Response {
        status: 400,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: BodyBytes(body.as_str().map_or_else(|| body.to_string(), str::to_owned).into_bytes()),
        arrivals: Vec::new(),
        cut: None,
    };
    let layers = arms::layers(experiment, variant, arm);
    let outline = RequestOutline::new(experiment, &layers, &BTreeMap::new()).expect("the body is JSON");
    let request = Request {
        method: HttpMethod::Post,
        path: String::new(),
        headers: BTreeMap::new(),
        credential: RequestCredential::Target,
        body: outline.root["body"].clone(),
        raw: None,
    };
    let sent = vec![SentRequest::new(&request, experiment, &BTreeMap::new())];
    let attempts = vec![ExchangeAttempt { started_ms: 0, duration_ms: 1, result: AttemptResult::Response(response) }];
    let parsed = parse_exchange(&Exchange { id: String::new(), request, attempts });
    let trial = CompletedTrial {
        variant: variant.map(str::to_owned),
        arm,
        sent,
        responses: vec![parsed.interpretation],
        last_response: parsed.response,
        values: BTreeMap::from([
            ("name".to_owned(), "kestrel-weaver".to_owned()),
            ("id".to_owned(), "q7x9k2m4".to_owned()),
        ]),
    };
    let trials = [trial];
    let Some(InterpretedExchange::HttpError(error)) = trials[0].responses.first() else { panic!("no error: {body}") };
    if experiment.reply.as_ref().is_some_and(|reply| reply.expects_http_error()) {
        attribute_documented_error(experiment, &trials, error)
    } else {
        attribute_rejection(experiment, &trials, error)
    }
}

fn anthropic(message: &str) -> Value {
    json!({ "type": "error", "error": { "type": "invalid_request_error", "message": message } })
}

fn openai(message: &str, param: Option<&str>) -> Value {
    json!({ "error": { "message": message, "type": "invalid_request_error", "param": param, "code": null } })
}

fn fastapi(loc: &Value, message: &str) -> Value {
    json!({ "detail": [{ "type": "x", "loc": loc, "msg": message, "input": { "temperature": 1 } }] })
}

const TREATMENT: ArmKind = ArmKind::Treatment;
const CHALLENGE: ArmKind = ArmKind::Challenge(0);

#[test]
fn errors_of_real_servers_are_attributed_to_the_right_field() {
    let cases: Vec<(&str, Option<&str>, ArmKind, Value, ExpectedSubject)> = vec![
        // Words of a sentence that look like a field.
        ("field.stream", None, TREATMENT, anthropic("upstream error"), Nothing),
        // A path without the index.
        ("tools.description", None, TREATMENT, anthropic("tools.description: not supported"), Field),
        // The path of a URL.
        ("count_tokens", None, TREATMENT, anthropic("nothing is found at /v1/messages/count_tokens"), Nothing),
        // The place is another one, but the words say what is wrong.
        (
            "turns.thinking_later",
            None,
            TREATMENT,
            anthropic("messages.1.content: the thinking must be passed back"),
            Field,
        ),
        ("tools.description", None, TREATMENT, anthropic("this model does not support function calling"), Nothing),
        ("tool_choice.auto", None, TREATMENT, anthropic("the request was automatically rejected"), Nothing),
        ("content.string", None, TREATMENT, anthropic("Input should be a valid string"), Nothing),
        // Another field, which the endpoint added.
        (
            "field.thinking",
            None,
            TREATMENT,
            anthropic("temperature: only 1 is allowed while thinking is on"),
            Elsewhere,
        ),
        (
            "field.thinking",
            None,
            TREATMENT,
            anthropic("`temperature` may only be set to 1 when `thinking` is enabled."),
            Elsewhere,
        ),
        (
            "field.thinking",
            None,
            TREATMENT,
            openai("Unsupported value: 'temperature' does not support 0.7 with this model.", Some("temperature")),
            Elsewhere,
        ),
        ("field.stop_sequences", None, TREATMENT, anthropic("top_k: must be at least 1"), Elsewhere),
        // Another field of the request.
        (
            "field.thinking",
            None,
            TREATMENT,
            fastapi(&json!(["body", "messages", 0, "role"]), "Input should be 'user'"),
            Elsewhere,
        ),
        (
            "field.system",
            Some("string"),
            TREATMENT,
            anthropic("max_tokens: 64 > 32, which is the maximum allowed number of output tokens"),
            Elsewhere,
        ),
        ("field.top_k", None, ArmKind::Narrow, openai("The model `m` does not exist", Some("model")), Elsewhere),
        // The endpoint dropped a turn.
        ("error.unknown_role", None, TREATMENT, anthropic("[] is too short - 'messages'"), Elsewhere),
        (
            "error.unknown_role",
            None,
            TREATMENT,
            fastapi(&json!(["body", "messages"]), "List should have at least 1 item after validation"),
            Elsewhere,
        ),
        (
            "error.unknown_role",
            None,
            TREATMENT,
            anthropic("messages: roles must alternate between \"user\" and \"assistant\""),
            Elsewhere,
        ),
        (
            "error.unknown_role",
            None,
            TREATMENT,
            anthropic("conversation must alternate user and assistant turns"),
            Elsewhere,
        ),
        (
            "error.unknown_role",
            None,
            TREATMENT,
            anthropic("messages.1.role: Input should be 'user' or 'assistant'"),
            Field,
        ),
        (
            "error.unknown_role",
            None,
            TREATMENT,
            openai(
                "Invalid value: 'narrator'. Supported values are: 'system', 'assistant' and 'user'.",
                Some("messages[1].role"),
            ),
            Field,
        ),
        (
            "error.unknown_role",
            None,
            TREATMENT,
            anthropic(
                "Failed to deserialize the JSON body: messages[1].role: unknown variant `narrator`, expected `user` or `assistant` at line 1 column 99",
            ),
            Field,
        ),
        (
            "error.unknown_role",
            None,
            TREATMENT,
            anthropic(
                "Key: 'MessagesRequest.Messages[1].Role' Error:Field validation for 'Role' failed on the 'oneof' tag",
            ),
            Field,
        ),
        ("error.unknown_role", None, TREATMENT, anthropic("bad request"), Nothing),
        // The field of the row, in every form.
        ("field.thinking", None, TREATMENT, anthropic("thinking: Extra inputs are not permitted"), Field),
        (
            "field.thinking",
            None,
            TREATMENT,
            fastapi(&json!(["body", "thinking", "budget_tokens"]), "Extra inputs are not permitted"),
            Field,
        ),
        (
            "field.thinking",
            None,
            CHALLENGE,
            fastapi(
                &json!(["body", "thinking"]),
                "Input tag 'no_such_type' found using 'type' does not match any of the expected tags",
            ),
            Field,
        ),
        (
            "field.thinking.budget_tokens",
            None,
            ArmKind::Challenge(1),
            anthropic("`max_tokens` must be greater than `thinking.budget_tokens`."),
            Field,
        ),
        (
            "field.max_tokens",
            None,
            CHALLENGE,
            anthropic("json: cannot unmarshal number -1 into Go struct field MessagesRequest.max_tokens of type uint"),
            Field,
        ),
        ("field.top_k", None, ArmKind::Narrow, openai("Unrecognized request argument supplied: top_k", None), Field),
        (
            "field.top_k",
            None,
            ArmKind::Narrow,
            json!("Malformed input request: #: extraneous key [top_k] is not permitted, please reformat your input"),
            Field,
        ),
        (
            "field.temperature",
            None,
            ArmKind::Narrow,
            openai("Unsupported parameter: 'temperature' is not supported with this model.", None),
            Field,
        ),
        (
            "field.top_p",
            None,
            ArmKind::Narrow,
            anthropic(
                "1 validation error for MessagesRequest top_p Extra inputs are not permitted [type=extra_forbidden]",
            ),
            Field,
        ),
        (
            "tools.cache_control",
            None,
            CHALLENGE,
            anthropic("tools.0.cache_control.type: Input should be 'ephemeral'"),
            Field,
        ),
        (
            "tools.cache_control",
            None,
            TREATMENT,
            anthropic("tools.0.custom.cache_control: Extra inputs are not permitted"),
            Field,
        ),
        ("tools.cache_control", None, TREATMENT, anthropic("tools.0.custom.name: Field required"), Elsewhere),
        (
            "tools.input_schema",
            None,
            TREATMENT,
            openai("Invalid schema for function: missing type", Some("tools[0].input_schema")),
            Field,
        ),
        (
            "tools.input_schema",
            None,
            TREATMENT,
            json!({ "object": "error", "message": "[{'type': 'missing', 'loc': ('body', 'tools', 0, 'function'), 'msg': 'Field required'}]", "type": "BadRequestError" }),
            Field,
        ),
        (
            "field.metadata",
            Some("plain"),
            TREATMENT,
            json!({ "errors": [{ "instancePath": "/metadata/user_id", "message": "must match pattern" }] }),
            Field,
        ),
        (
            "field.metadata",
            Some("plain"),
            TREATMENT,
            json!({ "issues": [{ "code": "unrecognized_keys", "path": ["metadata"], "message": "Unrecognized key" }] }),
            Field,
        ),
        ("field.service_tier", None, CHALLENGE, anthropic("unknown value no_such_tier"), Field),
        (
            "field.model",
            None,
            CHALLENGE,
            openai("The model 'no-such-model-kestrel-weaver' does not exist", None),
            Field,
        ),
        (
            "field.model",
            None,
            CHALLENGE,
            anthropic("no-such-model-kestrel-weaver not found, try pulling it first"),
            Field,
        ),
        (
            "content.image",
            Some("a-turn"),
            TREATMENT,
            anthropic(
                "messages.0.content.0: Input tag 'image' found using 'type' does not match any of the expected tags: 'text'",
            ),
            Field,
        ),
        (
            "content.image",
            Some("tool-result"),
            TREATMENT,
            anthropic("messages.1.content.0.tool_use.id: String should match pattern"),
            Elsewhere,
        ),
        (
            "content.image",
            Some("tool-result"),
            TREATMENT,
            anthropic("messages.2.content.0.tool_result.content.0.type: Input should be 'text'"),
            Field,
        ),
        ("content.image", Some("a-turn"), TREATMENT, anthropic("only 'text' blocks are accepted"), Nothing),
        (
            "content.tool_use.id",
            None,
            CHALLENGE,
            anthropic("messages.2.content.0.tool_result.tool_use_id: no tool_use with this id"),
            Field,
        ),
        (
            "content.text.citations",
            None,
            CHALLENGE,
            anthropic("messages.1.content.0.text.citations.0.type: unknown value 'no_such_location'"),
            Field,
        ),
        (
            "content.redacted_thinking",
            None,
            CHALLENGE,
            anthropic("messages.1.content.0: Invalid `data` in `redacted_thinking` block"),
            Field,
        ),
        (
            "content.thinking",
            None,
            TREATMENT,
            anthropic("messages.1.content.0: Invalid `signature` in `thinking` block"),
            Field,
        ),
        (
            "header.anthropic-version",
            None,
            CHALLENGE,
            anthropic("anthropic-version: \"1999-01-01\" is not a valid version"),
            Field,
        ),
        (
            "header.anthropic-beta",
            None,
            CHALLENGE,
            anthropic("Unexpected value(s) `no-such-beta-2020-01-01` for the `anthropic-beta` header."),
            Field,
        ),
        ("error.missing_max_tokens", None, TREATMENT, fastapi(&json!(["body", "max_tokens"]), "Field required"), Field),
        (
            "error.missing_max_tokens",
            None,
            TREATMENT,
            anthropic("missing field `max_tokens` at line 1 column 80"),
            Field,
        ),
        ("error.empty_messages", None, TREATMENT, anthropic("messages: at least one message is required"), Field),
        (
            "error.oversized_prompt",
            None,
            TREATMENT,
            anthropic("prompt is too long: 210000 tokens > 200000 maximum"),
            Field,
        ),
        ("turns.empty_text", None, TREATMENT, anthropic("messages: text content blocks must be non-empty"), Field),
        (
            "turns.altered_signature",
            None,
            TREATMENT,
            anthropic("messages.1.content.0: Invalid `signature` in `thinking` block"),
            Field,
        ),
    ];
    let mut wrong = Vec::new();
    for (row, variant, arm, body, expected) in cases {
        let subject = attribute(row, variant, arm, &body);
        let is_right = match subject {
            RejectionSubject::ThisField => expected == Field,
            RejectionSubject::Elsewhere(_) => expected == Elsewhere,
            RejectionSubject::Unnamed => expected == Nothing,
        };
        if !is_right {
            wrong.push(format!("{row} {arm}: {body}: {subject:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
