//! [`next_request`]: the next request of a trial with several requests. It contains the
//! conversation so far, the response of the endpoint and the next user message.
//!
//! Pure. The blocks of the response are sent back unchanged (equal JSON values), unless the row
//! says otherwise, because a client that keeps a history does the same.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::catalog::{EchoBack, FollowUp, variable_names};
use crate::engine::predicate::matches;
use crate::engine::request::build::{BuildContext, fill_content, request_filler};
use crate::variables::fill::{TemplateFiller, merge_objects};
use crate::wire::exchange::Request;
use crate::wire::message::Message;

/// The variable with a word of the response.
pub(crate) const RESPONSE_WORD: &str = "response.word";

/// The word of a response that a request contains: the longest one after the first. `None` if the
/// request contains none, or if the response has no such word.
pub(crate) fn response_word(then: &FollowUp, response: &Message) -> Option<String> {
    if !needs_word(then) {
        return None;
    }
    let text = response.text();
    let words = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    let words: Vec<&str> = words.skip(1).filter(|word| word.chars().all(char::is_alphabetic)).collect();
    // Of equally long words, the first one counts.
    words.into_iter().rev().max_by_key(|word| word.len()).filter(|word| !word.is_empty()).map(str::to_owned)
}

fn needs_word(then: &FollowUp) -> bool {
    let body = Value::Object(then.body.clone()).to_string();
    variable_names(&body).any(|name| name == RESPONSE_WORD)
}

/// True if a response contains everything that the next request sends back.
pub(crate) fn has_next(then: &FollowUp, response: &Message, values: &BTreeMap<String, String>) -> bool {
    !response.content.is_empty()
        && (!needs_word(then) || response_word(then, response).is_some())
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
    let request_values = request_filler(context, &has_random_values);
    let word = response_word(then, response);
    let filler = TemplateFiller(|name: &str| match (name, &word) {
        (RESPONSE_WORD, Some(word)) => Value::from(word.as_str()),
        _ => (request_values.0)(name),
    });
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
    fn a_request_can_contain_a_word_of_the_response() {
        let body = json!({ "stop_sequences": ["{{response.word}}"] });
        let then = FollowUp { body: body.as_object().unwrap().clone(), ..FollowUp::default() };
        let word = |then: &FollowUp, text: &str| {
            let content = vec![json!({ "type": "text", "text": text })];
            response_word(then, &Message { content, ..Message::default() })
        };
        assert_eq!(word(&then, "Hello! How can I help you, today?").as_deref(), Some("today"));
        assert_eq!(word(&then, "Understood 4821 req_17 no-one"), None);
        assert_eq!(word(&then, "OK"), None);
        assert_eq!(word(&FollowUp::default(), "Hello you"), None, "the request has no such word");
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
