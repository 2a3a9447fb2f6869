//! [`next_request`]: the next request of a trial with several requests. It contains the
//! conversation so far, the response of the endpoint and the next user message.
//!
//! Pure. The blocks of the response are sent back unchanged (equal JSON values), unless the row
//! says otherwise, because a client that keeps a history does the same.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::catalog::{EchoBack, FollowUp};
use crate::engine::predicate::matches;
use crate::engine::request::build::{BuildContext, fill_content, request_filler};
use crate::variables::fill::merge_objects;
use crate::wire::exchange::Request;
use crate::wire::message::Message;

/// True if a response contains everything that the next request sends back.
pub(crate) fn has_next(then: &FollowUp, response: &Message, values: &BTreeMap<String, String>) -> bool {
    !response.content.is_empty()
        && then.when.as_ref().is_none_or(|when| matches(when, response, values))
        && (then.results.is_none() || response.blocks("tool_use").next().is_some())
}

/// The request that continues the conversation after a response.
pub(crate) fn next_request(
    previous: &Request,
    response: &Message,
    then: &FollowUp,
    context: BuildContext<'_>,
) -> Request {
    let has_random_values = Cell::new(false);
    let filler = request_filler(context, &has_random_values);
    let mut request = previous.clone();
    let Value::Object(body) = &mut request.body else { return request };
    merge_objects(body, &filler.fill_object(&then.body));
    let echoed: Vec<Value> = response.content.iter().filter_map(|block| echo_back(block, then.hand_back)).collect();
    let results: Vec<Value> = then
        .results
        .iter()
        .map(|text| filler.fill_text(text))
        .flat_map(|text| {
            response
                .blocks("tool_use")
                .map(move |call| json!({ "type": "tool_result", "tool_use_id": call["id"], "content": text }))
        })
        .collect();
    let user = then.user.as_ref().map(|user| fill_content(&filler, user, context.text_form)).unwrap_or_default();
    let user = if results.is_empty() {
        user
    } else {
        let blocks = match user {
            Value::String(text) => vec![json!({ "type": "text", "text": text })],
            Value::Array(blocks) => blocks,
            _ => Vec::new(),
        };
        Value::Array([results, blocks].concat())
    };
    if let Some(Value::Array(messages)) = body.get_mut("messages") {
        messages.push(json!({ "role": "assistant", "content": echoed }));
        messages.push(json!({ "role": "user", "content": user }));
    }
    request
}

fn echo_back(block: &Value, how: EchoBack) -> Option<Value> {
    let is_thinking = matches!(block["type"].as_str(), Some("thinking" | "redacted_thinking"));
    match how {
        EchoBack::Whole => Some(block.clone()),
        EchoBack::WithoutThinking => (!is_thinking).then(|| block.clone()),
        EchoBack::AlteredSignature => {
            let mut block = block.clone();
            if let Some(signature) = block["signature"].as_str() {
                block["signature"] = Value::from(alter_signature(signature));
            }
            Some(block)
        }
    }
}

/// Changes one letter in the middle. Valid base64 stays valid.
fn alter_signature(signature: &str) -> String {
    let middle = signature.chars().count() / 2;
    let other = |c: char| if c == 'A' { 'B' } else { 'A' };
    signature.chars().enumerate().map(|(i, c)| if i == middle { other(c) } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_signature_differs_and_has_the_same_length() {
        for signature in ["", "A", "EqQBCgIYAhIM", "AAAA"] {
            let other = alter_signature(signature);
            assert_eq!(other.len(), signature.len());
            assert_eq!(other == signature, signature.is_empty());
        }
    }

    #[test]
    fn thinking_is_left_out_or_altered_as_the_row_says() {
        let thinking = json!({ "type": "thinking", "thinking": "so", "signature": "AAAA" });
        let text = json!({ "type": "text", "text": "so" });
        assert_eq!(echo_back(&thinking, EchoBack::Whole), Some(thinking.clone()));
        assert_eq!(echo_back(&thinking, EchoBack::WithoutThinking), None);
        assert_eq!(echo_back(&text, EchoBack::WithoutThinking), Some(text));
        assert_eq!(echo_back(&thinking, EchoBack::AlteredSignature).unwrap()["signature"], "AABA");
    }
}
