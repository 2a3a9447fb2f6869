//! Encodes a message as an event stream: [`encode_events`].
//!
//! The message is sent as it is: an invalid block, or a block of a type without deltas, is sent
//! completely in its start event.

use serde_json::{Value, json};

use crate::simulator::tokenizer;
use crate::wire::message_events::{encode_event, message_events};

/// The tokens in one delta of text.
const TOKENS_PER_DELTA: usize = 2;

/// The characters in one fragment of a tool's input.
const FRAGMENT_CHARS: usize = 8;

/// The events of a message, each as the bytes of one record.
pub(super) fn encode_events(message: &Value) -> Vec<String> {
    let mut events = message_events(message, split_text, FRAGMENT_CHARS);
    let start_usage = events.first_mut().and_then(|start| start.pointer_mut("/message/usage")?.as_object_mut());
    if let Some(usage) = start_usage {
        usage.insert("output_tokens_details".to_owned(), json!({ "thinking_tokens": 0 }));
    }
    events.iter().map(encode_event).collect()
}

fn split_text(text: &str) -> Vec<String> {
    let tokens: Vec<&str> = tokenizer::split_tokens(text).collect();
    tokens.chunks(TOKENS_PER_DELTA).map(<[&str]>::concat).collect()
}
