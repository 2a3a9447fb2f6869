//! What the upstream returns: the plain response of each API, with a row's changes.
//!
//! Pure. It knows no model: a response depends only on the request and the [`ResponseScript`].

use serde_json::{Map, Value, json};

use crate::catalog::{ApiDialect, UpstreamResponse};
use crate::gateway::upstream::sse;
use crate::gateway::upstream::sse::SseChunk;
use crate::variables::fill::{VariableValues, filler_from_values};

/// The response to a request with a label.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResponseScript {
    /// The word that identifies the request in its response.
    pub reply: String,
    /// The changes to the plain response, with variables filled in.
    pub response: UpstreamResponse,
}

/// A response, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RenderedResponse {
    /// A status, headers in addition to those of the transport, and a complete body.
    Json { status: u16, headers: Vec<(String, String)>, body: Value },
    /// An event stream. `aborts` aborts the connection after the last record.
    Stream { headers: Vec<(String, String)>, chunks: Vec<SseChunk>, aborts: bool },
    /// An aborted connection without a response.
    Disconnect,
}

/// What a call requests, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpstreamRoute {
    /// A message of the Messages API.
    Messages,
    /// The token count of a prompt.
    CountTokens,
    /// A chat completion.
    ChatCompletions,
    /// The list of models.
    Models,
    /// A path that this upstream does not have.
    Unknown,
}

impl UpstreamRoute {
    /// The route of a request. Only the end of the path matters: gateways add prefixes.
    pub(crate) fn from_request(method: &str, path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        match method {
            "POST" if path.ends_with("/messages/count_tokens") => Self::CountTokens,
            "POST" if path.ends_with("/messages") => Self::Messages,
            "POST" if path.ends_with("/chat/completions") => Self::ChatCompletions,
            "GET" if path.ends_with("/models") => Self::Models,
            _ => Self::Unknown,
        }
    }

    /// True for a request to a model, in the API that the upstream speaks.
    pub(crate) fn is_model_call(self, dialect: ApiDialect) -> bool {
        match self {
            Self::Messages | Self::CountTokens => dialect == ApiDialect::Anthropic,
            Self::ChatCompletions => dialect == ApiDialect::Openai,
            Self::Models | Self::Unknown => false,
        }
    }
}

/// The response to a call with this body.
pub(crate) fn render_response(
    dialect: ApiDialect,
    route: UpstreamRoute,
    request_body: &Value,
    script: &ResponseScript,
) -> RenderedResponse {
    let overrides = &script.response;
    if overrides.dies {
        return RenderedResponse::Disconnect;
    }
    let mut headers: Vec<(String, String)> = overrides.headers.clone().into_iter().collect();
    let request_id = match dialect {
        ApiDialect::Anthropic => "request-id",
        ApiDialect::Openai => "x-request-id",
    };
    if !overrides.headers.contains_key(request_id) {
        headers.push((request_id.to_owned(), format!("req_01{}", script.reply)));
    }
    if !route.is_model_call(dialect) && route != UpstreamRoute::Models {
        let message = format!("this upstream speaks {} and has nothing at this path", dialect.as_str());
        let body = json!({ "type": "error", "error": { "type": "not_found_error", "message": message } });
        return RenderedResponse::Json { status: 404, headers, body };
    }
    let body = overrides.body.clone().unwrap_or_else(|| match route {
        UpstreamRoute::Messages | UpstreamRoute::Unknown => build_message(request_body, script),
        UpstreamRoute::CountTokens => json!({ "input_tokens": 41 }),
        UpstreamRoute::ChatCompletions => build_completion(request_body, script),
        UpstreamRoute::Models => build_model_list(dialect),
    });
    let is_message =
        overrides.body.is_none() && matches!(route, UpstreamRoute::Messages | UpstreamRoute::ChatCompletions);
    if request_body["stream"] != true || overrides.status.is_some() || !is_message {
        return RenderedResponse::Json { status: overrides.status.unwrap_or(200), headers, body };
    }
    let plain = match dialect {
        ApiDialect::Anthropic => sse::stream_message(&body),
        ApiDialect::Openai => sse::stream_completion(&body, request_body["stream_options"]["include_usage"] == true),
    };
    let (chunks, aborts) = sse::apply_edits(plain, &overrides.stream, dialect);
    RenderedResponse::Stream { headers, chunks, aborts }
}

/// A response with its variables filled in.
pub(crate) fn fill_response(template: &UpstreamResponse, values: &VariableValues) -> UpstreamResponse {
    let filler = filler_from_values(values);
    let mut response = template.clone();
    response.headers.values_mut().for_each(|header| *header = filler.fill_text(header));
    response.message = filler.fill_object(&template.message);
    response.choice = filler.fill_object(&template.choice);
    response.body = template.body.as_ref().map(|body| filler.fill_value(body));
    for insert in &mut response.stream.insert {
        insert.data = insert.data.as_ref().map(|data| filler.fill_value(data));
    }
    response
}

/// The text of the plain response.
pub(crate) fn plain_text(reply: &str) -> String {
    format!("{reply} is the answer.")
}

fn build_message(request_body: &Value, script: &ResponseScript) -> Value {
    let mut message = json!({
        "id": format!("msg_01{}", script.reply),
        "type": "message",
        "role": "assistant",
        "model": request_body["model"],
        "content": [{ "type": "text", "text": plain_text(&script.reply) }],
        "stop_reason": "end_turn",
        "stop_sequence": null,
        "usage": {
            "input_tokens": 41, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 17,
        },
    });
    extend_object(&mut message, &script.response.message);
    message
}

fn build_completion(request_body: &Value, script: &ResponseScript) -> Value {
    let mut choice = json!({
        "index": 0,
        "message": { "role": "assistant", "content": plain_text(&script.reply), "refusal": null },
        "logprobs": null,
        "finish_reason": "stop",
    });
    for (key, value) in &script.response.choice {
        match (choice[key].as_object_mut(), value) {
            (Some(into), Value::Object(from)) => into.extend(from.clone()),
            _ => choice[key] = value.clone(),
        }
    }
    let mut completion = json!({
        "id": format!("chatcmpl-{}", script.reply),
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": request_body["model"],
        "choices": [choice],
        "usage": { "prompt_tokens": 41, "completion_tokens": 17, "total_tokens": 58 },
    });
    extend_object(&mut completion, &script.response.message);
    completion
}

fn extend_object(into: &mut Value, keys: &Map<String, Value>) {
    if let Some(into) = into.as_object_mut() {
        into.extend(keys.clone());
    }
}

fn build_model_list(dialect: ApiDialect) -> Value {
    match dialect {
        ApiDialect::Anthropic => json!({
            "data": [{ "type": "model", "id": "fieldtest", "display_name": "fieldtest", "created_at": "2026-01-01T00:00:00Z" }],
            "has_more": false, "first_id": "fieldtest", "last_id": "fieldtest",
        }),
        ApiDialect::Openai => json!({
            "object": "list",
            "data": [{ "id": "fieldtest", "object": "model", "created": 1_767_225_600, "owned_by": "fieldtest" }],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script_from_json(response: Value) -> ResponseScript {
        ResponseScript { reply: "rp1".to_owned(), response: serde_json::from_value(response).unwrap() }
    }

    #[test]
    fn a_route_is_known_by_the_end_of_its_path() {
        assert_eq!(UpstreamRoute::from_request("POST", "/v1/messages?beta=true"), UpstreamRoute::Messages);
        assert_eq!(UpstreamRoute::from_request("POST", "/v1/v1/messages/count_tokens"), UpstreamRoute::CountTokens);
        assert_eq!(UpstreamRoute::from_request("POST", "/chat/completions"), UpstreamRoute::ChatCompletions);
        assert_eq!(UpstreamRoute::from_request("GET", "/v1/models?limit=2"), UpstreamRoute::Models);
        assert_eq!(UpstreamRoute::from_request("POST", "/v1/responses"), UpstreamRoute::Unknown);
        assert!(!UpstreamRoute::Messages.is_model_call(ApiDialect::Openai));
    }

    #[test]
    fn keys_of_a_row_replace_those_of_the_plain_response() {
        let request_body = json!({ "model": "m" });
        let render = |dialect, route, overrides| match render_response(
            dialect,
            route,
            &request_body,
            &script_from_json(overrides),
        ) {
            RenderedResponse::Json { status, body, .. } => (status, body),
            other => panic!("{other:?}"),
        };
        let (status, body) =
            render(ApiDialect::Anthropic, UpstreamRoute::Messages, json!({ "message": { "stop_reason": "refusal" } }));
        assert_eq!((status, &body["stop_reason"], &body["model"]), (200, &json!("refusal"), &json!("m")));
        assert_eq!(body["content"][0]["text"], "rp1 is the answer.");
        let overrides = json!({ "choice": { "finish_reason": "length", "message": { "reasoning_content": "hm" } } });
        let (_, body) = render(ApiDialect::Openai, UpstreamRoute::ChatCompletions, overrides);
        assert_eq!(body["choices"][0]["finish_reason"], "length");
        assert_eq!(body["choices"][0]["message"]["reasoning_content"], "hm");
        assert_eq!(body["choices"][0]["message"]["content"], "rp1 is the answer.");
        assert_eq!(render(ApiDialect::Openai, UpstreamRoute::Messages, json!({})).0, 404);
    }
}
