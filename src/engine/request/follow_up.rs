//! The next request of a trial of several: the conversation so far, the endpoint's own answer handed back, and what is
//! said to it.
//!
//! Pure. The answer's blocks are handed back as they came, byte for byte of their JSON values, unless the step says
//! otherwise: a client that keeps a history does the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::catalog::{EchoBack, FollowUp};
use crate::engine::predicate::matches;
use crate::engine::request::build::{ArmFiller, BuildContext, merge_objects};
use crate::wire::exchange::Request;
use crate::wire::message::Message;

/// True when an answer has what the next request hands back.
pub(crate) fn has_next(then: &FollowUp, answer: &Message, values: &BTreeMap<String, String>) -> bool {
    !answer.content.is_empty()
        && then.when.as_ref().is_none_or(|when| matches(when, answer, values))
        && (then.results.is_none() || answer.blocks("tool_use").next().is_some())
}

/// The request that goes on from an answer.
pub(crate) fn next_request(before: &Request, answer: &Message, then: &FollowUp, context: BuildContext<'_>) -> Request {
    let fill = ArmFiller::new(context);
    let mut request = before.clone();
    let Value::Object(body) = &mut request.body else { return request };
    merge_objects(body, &fill.fill_object(&then.body));
    let handed: Vec<Value> = answer.content.iter().filter_map(|block| echo_back(block, then.hand_back)).collect();
    let results = then.results.iter().flat_map(|text| {
        let text = fill.fill_text(text);
        answer
            .blocks("tool_use")
            .map(move |call| json!({ "type": "tool_result", "tool_use_id": call["id"], "content": text }))
    });
    let results: Vec<Value> = results.collect();
    let said = then.user.as_ref().map(|said| fill.fill_content(said));
    let said = match (results.is_empty(), said) {
        (true, said) => said.unwrap_or_default(),
        (false, said) => {
            let said = match said {
                Some(Value::String(text)) => vec![json!({ "type": "text", "text": text })],
                Some(Value::Array(blocks)) => blocks,
                _ => Vec::new(),
            };
            Value::Array([results, said].concat())
        }
    };
    if let Some(Value::Array(messages)) = body.get_mut("messages") {
        messages.push(json!({ "role": "assistant", "content": handed }));
        messages.push(json!({ "role": "user", "content": said }));
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

/// The same letters but one, in the midst: it stays base64 where it was.
fn alter_signature(signature: &str) -> String {
    let middle = signature.chars().count() / 2;
    let other = |c: char| if c == 'A' { 'B' } else { 'A' };
    signature.chars().enumerate().map(|(i, c)| if i == middle { other(c) } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_signature_is_another_of_the_same_length() {
        for signature in ["", "A", "EqQBCgIYAhIM", "AAAA"] {
            let other = alter_signature(signature);
            assert_eq!(other.len(), signature.len());
            assert_eq!(other == signature, signature.is_empty());
        }
    }

    #[test]
    fn thinking_is_left_out_or_altered_as_told() {
        let thinking = json!({ "type": "thinking", "thinking": "so", "signature": "AAAA" });
        let text = json!({ "type": "text", "text": "so" });
        assert_eq!(echo_back(&thinking, EchoBack::Whole), Some(thinking.clone()));
        assert_eq!(echo_back(&thinking, EchoBack::WithoutThinking), None);
        assert_eq!(echo_back(&text, EchoBack::WithoutThinking), Some(text));
        assert_eq!(echo_back(&thinking, EchoBack::AlteredSignature).unwrap()["signature"], "AABA");
    }
}
