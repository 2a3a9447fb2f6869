//! Removes the content of an exchange ([`without_content`]): the texts, but not their structure.
//!
//! A fixed list of things stays: protocol words, their numbers, identifiers, lengths and times. All
//! other text is removed, also in unknown places. The rest shows how an endpoint responds, but
//! cannot be judged, so such a recording also contains the results.

use serde_json::{Map, Value};

use crate::redact::replacement::resize_chunks;
use crate::wire::bounded_json::parse_json;
use crate::wire::exchange::{AttemptResult, BodyBytes, Exchange, Request, Response};

/// The words of the protocol, as keys and as values.
const KEPT_WORDS: &str = "any array assistant auto base64 batch block boolean budget_tokens cache_control cache_creation \
    cache_creation_input_tokens cache_read_input_tokens caller char_location citation citations citations_delta code \
    container content content_block content_block_delta content_block_location content_block_start content_block_stop \
    context context_management created_at data delta description detail details direct disable_parallel_tool_use \
    disabled display_name document effort enabled encrypted_content end_turn enum ephemeral ephemeral_1h_input_tokens \
    ephemeral_5m_input_tokens error file file_id first_id format has_more high id image index input input_json_delta \
    input_schema input_tokens integer invalid_request_error is_error items json_schema last_id low max_tokens \
    mcp_servers mcp_tool_result mcp_tool_use media_type medium message message_delta message_start message_stop \
    messages metadata model model_context_window_exceeded name none not_found_error null number object output_config \
    output_format output_tokens overloaded_error page_location param partial_json pause_turn permission_error ping \
    priority properties rate_limit_error redacted_thinking refusal request_id request_too_large required role schema \
    search_result search_result_location server_tool_use service_tier signature signature_delta source standard \
    standard_only status stop_details stop_reason stop_sequence stop_sequences stream string strict system \
    temperature text text_delta thinking thinking_delta timeout_error title tool tool_choice tool_reference \
    tool_result tool_use tool_use_id tools top_k top_p total_tokens ttl type url usage user version \
    web_fetch_requests web_search_requests web_search_tool_result adaptive api_error authentication_error \
    billing_error image/gif image/jpeg image/png image/webp application/pdf text/plain 5m 1h [DONE]";

/// Keys with data of the user, including their nested keys and numbers.
const USER_DATA_KEYS: [&str; 5] = ["input", "input_schema", "metadata", "properties", "mcp_servers"];

/// Keys whose values are identifiers without content.
const IDENTIFIER_KEYS: [&str; 4] = ["model", "id", "tool_use_id", "request_id"];

/// Response headers whose values are kept.
const KEPT_HEADERS: [&str; 14] = [
    "anthropic-version",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "server",
    "transfer-encoding",
    "x-request-id",
    "x-should-retry",
];

/// What recordings and results leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentPolicy {
    /// Only secrets are removed.
    KeepContent,
    /// The texts of requests and responses are removed too.
    RemoveContent,
}

/// Removes all texts from an exchange.
pub fn without_content(exchange: &Exchange) -> Exchange {
    let mut exchange = exchange.clone();
    redact_request(&mut exchange.request);
    for attempt in &mut exchange.attempts {
        match &mut attempt.result {
            AttemptResult::Response(response) => redact_response(response),
            // The messages of failures are our own.
            AttemptResult::Failure(_) => {}
        }
    }
    exchange
}

fn redact_request(request: &mut Request) {
    request.body = redact_json(&request.body, false);
    request.raw = request.raw.as_deref().map(|raw| redact_body(raw).0);
}

fn redact_response(response: &mut Response) {
    for (name, value) in &mut response.headers {
        if !KEPT_HEADERS.contains(&name.as_str()) {
            *value = mask_text(value);
        }
    }
    let Ok(text) = std::str::from_utf8(&response.body.0) else {
        response.body = BodyBytes(vec![b'x'; response.body.0.len()]);
        return;
    };
    let (redacted, line_ends) = redact_body(text);
    // Move the end of each chunk to the end of its line, which is close enough for timing.
    resize_chunks(&mut response.arrivals, |end| {
        let line = line_ends.partition_point(|(old_end, _)| *old_end < end);
        line_ends.get(line).map_or(redacted.len(), |(_, new_end)| *new_end)
    });
    response.body = BodyBytes(redacted.into_bytes());
}

/// The body without its texts, and the old and new end of each line.
fn redact_body(text: &str) -> (String, Vec<(usize, usize)>) {
    if let Ok(value) = parse_json(text) {
        let redacted = redact_json(&value, false).to_string();
        let line_ends = vec![(text.len(), redacted.len())];
        return (redacted, line_ends);
    }
    let (mut redacted, mut line_ends, mut old_end) = (String::new(), Vec::new(), 0);
    for line in text.split_inclusive(['\n', '\r']) {
        let content = line.trim_end_matches(['\n', '\r']);
        redacted.push_str(&redact_line(content));
        redacted.push_str(&line[content.len()..]);
        old_end += line.len();
        line_ends.push((old_end, redacted.len()));
    }
    (redacted, line_ends)
}

/// Redacts a line of an event stream or of any other text.
fn redact_line(line: &str) -> String {
    let Some((field, value)) = line.split_once(':') else { return mask_text(line) };
    let (space, value) = value.strip_prefix(' ').map_or(("", value), |rest| (" ", rest));
    let value = match field {
        "data" => match parse_json(value) {
            Ok(event) => redact_json(&event, false).to_string(),
            Err(_) => redact_word(value),
        },
        "event" => redact_word(value),
        _ => return mask_text(line),
    };
    format!("{field}:{space}{value}")
}

/// The value without its texts. In user data, keys and numbers are removed too.
fn redact_json(value: &Value, is_user_data: bool) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(_) if is_user_data => Value::from(0),
        Value::Number(_) => value.clone(),
        Value::String(text) if is_user_data => Value::from(mask_text(text)),
        Value::String(text) => Value::from(redact_word(text)),
        Value::Array(items) => items.iter().map(|item| redact_json(item, is_user_data)).collect(),
        Value::Object(map) => Value::Object(redact_object(map, is_user_data)),
    }
}

fn redact_object(map: &Map<String, Value>, is_user_data: bool) -> Map<String, Value> {
    let mut redacted = Map::new();
    for (index, (key, value)) in map.iter().enumerate() {
        let is_kept = !is_user_data && is_kept_word(key);
        let value = match value {
            Value::String(text) if is_kept && IDENTIFIER_KEYS.contains(&key.as_str()) && is_identifier(text) => {
                value.clone()
            }
            _ => redact_json(value, is_user_data || !is_kept || USER_DATA_KEYS.contains(&key.as_str())),
        };
        // The index keeps two keys of equal length apart.
        let key = if is_kept { key.clone() } else { format!("{}{index}", mask_text(key)) };
        redacted.insert(key, value);
    }
    redacted
}

fn is_kept_word(text: &str) -> bool {
    KEPT_WORDS.split(' ').any(|word| word == text)
}

fn is_identifier(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/' | '@');
    text.len() <= 100 && text.chars().all(is_allowed)
}

/// Keeps a protocol word, and masks any other text.
fn redact_word(text: &str) -> String {
    if is_kept_word(text) { text.to_owned() } else { mask_text(text) }
}

/// Replaces each character except whitespace by `x`.
fn mask_text(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() { c } else { 'x' }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_structure_of_a_message_remains() {
        let message = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1",
            "content": [{ "type": "text", "text": "amber anchor" },
                        { "type": "tool_use", "id": "toolu_1", "name": "look_up", "input": { "age": 42, "who": ["me"] } }],
            "stop_reason": "tool_use", "usage": { "input_tokens": 7 }, "vendor": { "note": "hidden", "n": 3 },
        });
        assert_eq!(
            redact_json(&message, false),
            json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1",
                "content": [{ "type": "text", "text": "xxxxx xxxxxx" },
                            { "type": "tool_use", "id": "toolu_1", "name": "xxxxxxx", "input": { "xxx0": 0, "xxx1": ["xx"] } }],
                "stop_reason": "tool_use", "usage": { "input_tokens": 7 }, "xxxxxx7": { "xxxx0": "xxxxxx", "x1": 0 },
            })
        );
    }

    #[test]
    fn the_events_of_a_stream_remain() {
        let stream = ": hello\nevent: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"amber\"}}\n\ndata: [DONE]\n\ndata: {broken\n";
        let redacted = redact_body(stream).0;
        assert_eq!(
            redacted,
            ": xxxxx\nevent: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"xxxxx\"}}\n\ndata: [DONE]\n\ndata: xxxxxxx\n"
                .replace(": xxxxx\nevent", "x xxxxx\nevent")
        );
    }

    /// Any JSON value that contains a text to be removed.
    fn json_with_canary() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!("CANARY7 is here")),
            Just(json!(true)),
            any::<i32>().prop_map(Value::from),
            "[a-z ]{0,12}".prop_map(Value::from),
        ];
        let key = prop_oneof![
            Just("CANARY7".to_owned()),
            proptest::sample::select(KEPT_WORDS.split(' ').map(str::to_owned).collect::<Vec<_>>()),
            "[a-z]{1,4}",
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((key.clone(), inner), 0..5)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn all_texts_are_removed(value in json_with_canary(), pretty: bool, stream: bool, cut in 0..400usize) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let mut text = if stream { format!("event: CANARY7\ndata: {text}\n\n") } else { text };
            text.truncate(text.floor_char_boundary(text.len().saturating_sub(cut % 7)));
            let redacted = redact_body(&text).0;
            prop_assert!(!redacted.contains("CANARY7"), "{redacted}");
            prop_assert!(!redact_json(&value, false).to_string().contains("CANARY7"));
        }

        #[test]
        fn chunk_sizes_add_up_to_the_redacted_body(sizes in proptest::collection::vec(1..40u64, 1..20)) {
            let text: String = "event: ping\ndata: {\"type\":\"ping\",\"text\":\"abc\"}\n\n".repeat(20);
            let total: u64 = sizes.iter().sum();
            let mut response = Response {
                status: 200,
                headers: vec![("x-note".to_owned(), "abc".to_owned())],
                body: BodyBytes(text.as_bytes()[..total as usize].to_vec()),
                arrivals: sizes.iter().map(|size| (0, *size)).collect(),
                cut: None,
            };
            redact_response(&mut response);
            prop_assert_eq!(response.arrivals.iter().map(|a| a.1).sum::<u64>(), response.body.0.len() as u64);
        }
    }
}
