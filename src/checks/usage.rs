//! The checks of the token counters: they exist, are counts, and add up.

use serde_json::Value;

use crate::checks::catalog::ProtocolCheck;
use crate::checks::collector::FindingCollector;

const CACHE_COUNTERS: [&str; 2] = ["cache_creation_input_tokens", "cache_read_input_tokens"];

pub(super) fn check(request_body: &Value, message: &Value, found: &mut FindingCollector) {
    let usage = &message["usage"];
    if !usage.is_object() {
        found.add_value(ProtocolCheck::UsageMissing, "usage", message.get("usage"));
        return;
    }
    for key in ["input_tokens", "output_tokens"] {
        if usage[key].as_u64().is_none() {
            found.add_value(ProtocolCheck::UsageCounter, key, usage.get(key));
        }
    }
    for key in CACHE_COUNTERS {
        match usage.get(key) {
            None => found.add(ProtocolCheck::UsageCacheMissing, format!("no key {key}")),
            Some(value) if !value.is_null() && value.as_u64().is_none() => {
                found.add_value(ProtocolCheck::UsageCounter, key, Some(value));
            }
            Some(_) => {}
        }
    }
    match total_input_tokens(usage) {
        Some(0) => found.add(ProtocolCheck::UsageInputZero, "all input counters are 0"),
        // A small count is plausible for any request.
        Some(counted) if counted > MAX_TEMPLATE_TOKENS && is_text_only(request_body) => {
            let sent = request_body.to_string().len() as u64;
            if counted > sent.saturating_add(MAX_TEMPLATE_TOKENS) {
                found.add(
                    ProtocolCheck::InputMoreThanSent,
                    format!("{counted} input tokens, but the request has {sent} bytes"),
                );
            }
        }
        _ => {}
    }
    check_output(request_body, message, usage, found);
    let parts = usage["cache_creation"]
        .as_object()
        .map(|parts| parts.values().filter_map(Value::as_u64).fold(0, u64::saturating_add));
    if let (Some(parts), Some(written)) = (parts, usage[CACHE_COUNTERS[0]].as_u64())
        && parts != written
    {
        found.add(
            ProtocolCheck::UsageCacheSum,
            format!("the sum of cache_creation is {parts}, {} is {written}", CACHE_COUNTERS[0]),
        );
    }
}

fn check_output(request_body: &Value, message: &Value, usage: &Value, found: &mut FindingCollector) {
    let Some(output) = usage["output_tokens"].as_u64() else { return };
    let blocks = message["content"].as_array().map_or(&[][..], Vec::as_slice);
    let has_output =
        blocks.iter().any(|b| b["text"].as_str().is_some_and(|t| !t.is_empty()) || b["type"] == "tool_use");
    if output == 0 && has_output {
        found.add(ProtocolCheck::UsageOutputZero, "output_tokens is 0, but there is content");
    }
    if let Some(limit) = request_body["max_tokens"].as_u64().filter(|limit| output > *limit) {
        found.add(ProtocolCheck::UsageOverMaxTokens, format!("output_tokens is {output}, max_tokens is {limit}"));
    }
    let ends_by_itself = message["stop_reason"] == "end_turn";
    if let Some(limit) = request_body["max_tokens"].as_u64().filter(|limit| output == *limit && ends_by_itself) {
        let what = format!("max_tokens {limit}, output_tokens {output}, stop_reason end_turn");
        found.add(ProtocolCheck::StopReasonLost, what);
    }
    if let Some(thinking) = usage["output_tokens_details"]["thinking_tokens"].as_u64().filter(|t| *t > output) {
        found.add(ProtocolCheck::UsageThinking, format!("thinking_tokens is {thinking}, output_tokens is {output}"));
    }
}

/// The number of tokens that a template may add to a prompt: marks around turns, the date, a line
/// about the model.
const MAX_TEMPLATE_TOKENS: u64 = 200;

/// Returns true for a request that contains only text. Its prompt has at most as many tokens as the
/// request has bytes, because a token is at least one byte. Tools, thinking and output formats add
/// instructions of the server, media have more tokens than bytes, and a stored conversation is not
/// in the request. So only keys that add none of these are allowed.
fn is_text_only(request_body: &Value) -> bool {
    const TEXT_ONLY_KEYS: [&str; 11] = [
        "model",
        "max_tokens",
        "messages",
        "system",
        "stream",
        "stop_sequences",
        "metadata",
        "service_tier",
        "temperature",
        "top_k",
        "top_p",
    ];
    let is_text = |content: &Value| match content {
        Value::Array(blocks) => blocks.iter().all(|block| block["type"] == "text"),
        other => other.is_string(),
    };
    let Some(keys) = request_body.as_object() else { return false };
    let turns = request_body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    keys.keys().all(|key| TEXT_ONLY_KEYS.contains(&key.as_str()))
        && turns.iter().all(|turn| is_text(&turn["content"]))
        && request_body.get("system").is_none_or(is_text)
}

/// Returns the size of the whole prompt: uncached, written to a cache and read from a cache.
pub(super) fn total_input_tokens(usage: &Value) -> Option<u64> {
    let uncached = usage["input_tokens"].as_u64()?;
    Some(CACHE_COUNTERS.iter().filter_map(|key| usage[*key].as_u64()).fold(uncached, u64::saturating_add))
}

/// Checks the counters of `message_start`.
pub(super) fn check_start(usage: &Value, found: &mut FindingCollector) {
    let missing = ["input_tokens", "output_tokens"].into_iter().find(|key| usage[*key].as_u64().is_none());
    if let Some(key) = missing {
        found.add_value(ProtocolCheck::UsageStartMissing, &format!("usage.{key}"), usage.get(key));
    }
}

/// Checks the counters of a `message_delta` against the counters before it.
pub(super) fn check_delta(before: &Value, usage: &Value, found: &mut FindingCollector) {
    let Some(output) = usage["output_tokens"].as_u64() else {
        found.add_value(ProtocolCheck::UsageDeltaMissing, "usage.output_tokens", usage.get("output_tokens"));
        return;
    };
    if let Some(earlier) = before["output_tokens"].as_u64().filter(|earlier| *earlier > output) {
        found.add(ProtocolCheck::UsageShrinks, format!("output_tokens falls from {earlier} to {output}"));
    }
    match (total_input_tokens(before), total_input_tokens(usage)) {
        (Some(1..), Some(0)) => {
            found.add(ProtocolCheck::UsageDeltaInputZero, "input_tokens is 0 at the end, but not at the start")
        }
        (Some(0), Some(later @ 1..)) => {
            found
                .add(ProtocolCheck::UsageStartInputZero, format!("input_tokens is 0 at the start, {later} at the end"));
        }
        _ => {}
    }
}
