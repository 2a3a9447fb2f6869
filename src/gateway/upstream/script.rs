//! What the upstream says: the plain answer of each shape, changed as a row wants it. Pure.
//!
//! It knows no model: an answer is made from what was asked and from the script, and from nothing else.

use serde_json::{Map, Value, json};

use crate::catalog::{ApiDialect, UpstreamResponse};
use crate::gateway::upstream::sse;
use crate::gateway::upstream::sse::SseChunk;
use crate::variables::fill::{VariableValues, filler_from_values};

/// What is to be answered to a request with a label.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResponseScript {
    /// The word by which the answer is known to belong to its request.
    pub reply: String,
    /// How it differs from the plain answer; its variables are filled in.
    pub response: UpstreamResponse,
}

/// A scripted response with its variables filled in.
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

/// An answer, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RenderedResponse {
    /// A status, headers, and a body that is there at once.
    Json {
        /// The HTTP status.
        status: u16,
        /// Headers beside those of the transport.
        headers: Vec<(String, String)>,
        /// The body.
        body: Value,
    },
    /// An event stream, record by record.
    Stream {
        /// Headers beside those of the transport.
        headers: Vec<(String, String)>,
        /// The records.
        chunks: Vec<SseChunk>,
        /// The connection breaks behind the last of them.
        aborts: bool,
    },
    /// The connection breaks, and nothing was said.
    Disconnect,
}

/// What a call asks for, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpstreamRoute {
    /// An answer of the Messages API.
    Messages,
    /// The size of a prompt.
    CountTokens,
    /// An answer of chat completions.
    ChatCompletions,
    /// The list of models.
    Models,
    /// Nothing that this upstream knows.
    Unknown,
}

impl UpstreamRoute {
    /// What is asked for. Whatever stands before the last parts of the path is the gateway's business.
    pub(crate) fn from_request(method: &str, path: &str) -> Self {
        let bare = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        match method {
            "POST" if bare.ends_with("/messages/count_tokens") => Self::CountTokens,
            "POST" if bare.ends_with("/messages") => Self::Messages,
            "POST" if bare.ends_with("/chat/completions") => Self::ChatCompletions,
            "GET" if bare.ends_with("/models") => Self::Models,
            _ => Self::Unknown,
        }
    }

    /// True for what asks a model something.
    pub(crate) fn is_model_call(self, shape: ApiDialect) -> bool {
        match self {
            Self::Messages | Self::CountTokens => shape == ApiDialect::Anthropic,
            Self::ChatCompletions => shape == ApiDialect::Openai,
            Self::Models | Self::Unknown => false,
        }
    }
}

/// The answer to a call.
pub(crate) fn render_response(
    shape: ApiDialect,
    route: UpstreamRoute,
    asked: &Value,
    script: &ResponseScript,
) -> RenderedResponse {
    let answer = &script.response;
    if answer.dies {
        return RenderedResponse::Disconnect;
    }
    let mut headers: Vec<(String, String)> = answer.headers.clone().into_iter().collect();
    let request_id = match shape {
        ApiDialect::Anthropic => "request-id",
        ApiDialect::Openai => "x-request-id",
    };
    if !answer.headers.contains_key(request_id) {
        headers.push((request_id.to_owned(), format!("req_01{}", script.reply)));
    }
    let whole = |status: u16, body: Value| RenderedResponse::Json { status, headers: headers.clone(), body };
    if !route.is_model_call(shape) && route != UpstreamRoute::Models {
        let message = format!("this upstream speaks {} and has nothing at this path", shape.as_str());
        return whole(404, json!({ "type": "error", "error": { "type": "not_found_error", "message": message } }));
    }
    let body = answer.body.clone().unwrap_or_else(|| match route {
        UpstreamRoute::Messages | UpstreamRoute::Unknown => build_message(asked, script),
        UpstreamRoute::CountTokens => json!({ "input_tokens": 41 }),
        UpstreamRoute::ChatCompletions => build_completion(asked, script),
        UpstreamRoute::Models => build_model_list(shape),
    });
    let is_message = answer.body.is_none() && matches!(route, UpstreamRoute::Messages | UpstreamRoute::ChatCompletions);
    if asked["stream"] != true || answer.status.is_some() || !is_message {
        return whole(answer.status.unwrap_or(200), body);
    }
    let records = match shape {
        ApiDialect::Anthropic => sse::stream_message(&body),
        ApiDialect::Openai => sse::stream_completion(&body, asked["stream_options"]["include_usage"] == true),
    };
    let (records, is_cut) = sse::apply_edits(records, &answer.stream, shape);
    RenderedResponse::Stream { headers, chunks: records, aborts: is_cut }
}

/// The plain answer's text.
pub(crate) fn plain_text(reply: &str) -> String {
    format!("{reply} is the answer.")
}

fn build_message(asked: &Value, script: &ResponseScript) -> Value {
    let mut message = json!({
        "id": format!("msg_01{}", script.reply),
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
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

fn build_completion(asked: &Value, script: &ResponseScript) -> Value {
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
        "model": asked["model"],
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

fn build_model_list(shape: ApiDialect) -> Value {
    match shape {
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

    fn script_from_json(answer: Value) -> ResponseScript {
        ResponseScript { reply: "rp1".to_owned(), response: serde_json::from_value(answer).unwrap() }
    }

    #[test]
    fn a_route_is_known_wherever_the_gateway_puts_it() {
        assert_eq!(UpstreamRoute::from_request("POST", "/v1/messages?beta=true"), UpstreamRoute::Messages);
        assert_eq!(UpstreamRoute::from_request("POST", "/v1/v1/messages/count_tokens"), UpstreamRoute::CountTokens);
        assert_eq!(UpstreamRoute::from_request("POST", "/chat/completions"), UpstreamRoute::ChatCompletions);
        assert_eq!(UpstreamRoute::from_request("GET", "/v1/models?limit=2"), UpstreamRoute::Models);
        assert_eq!(UpstreamRoute::from_request("POST", "/v1/responses"), UpstreamRoute::Unknown);
        assert!(!UpstreamRoute::Messages.is_model_call(ApiDialect::Openai));
    }

    #[test]
    fn keys_are_laid_over_the_plain_answer() {
        let asked = json!({ "model": "m" });
        let of = |shape, route, answer| match render_response(shape, route, &asked, &script_from_json(answer)) {
            RenderedResponse::Json { status, body, .. } => (status, body),
            other => panic!("{other:?}"),
        };
        let (status, body) =
            of(ApiDialect::Anthropic, UpstreamRoute::Messages, json!({ "message": { "stop_reason": "refusal" } }));
        assert_eq!((status, &body["stop_reason"], &body["model"]), (200, &json!("refusal"), &json!("m")));
        assert_eq!(body["content"][0]["text"], "rp1 is the answer.");
        let changed = json!({ "choice": { "finish_reason": "length", "message": { "reasoning_content": "hm" } } });
        let (_, body) = of(ApiDialect::Openai, UpstreamRoute::ChatCompletions, changed);
        assert_eq!(body["choices"][0]["finish_reason"], "length");
        assert_eq!(body["choices"][0]["message"]["reasoning_content"], "hm");
        assert_eq!(body["choices"][0]["message"]["content"], "rp1 is the answer.");
        assert_eq!(of(ApiDialect::Openai, UpstreamRoute::Messages, json!({})).0, 404);
    }
}
