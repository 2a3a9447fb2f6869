//! The token counters: that they are there, are counts, and add up.

use serde_json::Value;

use crate::checks::{FindingCollector, ProtocolCheck, format_value};

const CACHE_COUNTERS: [&str; 2] = ["cache_creation_input_tokens", "cache_read_input_tokens"];

pub(super) fn check(asked: &Value, message: &Value, found: &mut FindingCollector) {
    let usage = &message["usage"];
    if !usage.is_object() {
        found.add(ProtocolCheck::UsageMissing, format!("usage is {}", format_value(message.get("usage"))));
        return;
    }
    for key in ["input_tokens", "output_tokens"] {
        if usage[key].as_u64().is_none() {
            found.add(ProtocolCheck::UsageCounter, format!("{key} is {}", format_value(usage.get(key))));
        }
    }
    for key in CACHE_COUNTERS {
        match usage.get(key) {
            None => found.add(ProtocolCheck::UsageCacheMissing, format!("no key {key}")),
            Some(value) if !value.is_null() && value.as_u64().is_none() => {
                found.add(ProtocolCheck::UsageCounter, format!("{key} is {}", format_value(Some(value))));
            }
            Some(_) => {}
        }
    }
    match total_input_tokens(usage) {
        Some(0) => found.add(ProtocolCheck::UsageInputZero, "all input counters are 0"),
        // So few tokens need no look at the request.
        Some(counted) if counted > MAX_TEMPLATE_TOKENS && is_text_only(asked) => {
            let sent = asked.to_string().len() as u64;
            if counted > sent.saturating_add(MAX_TEMPLATE_TOKENS) {
                found.add(
                    ProtocolCheck::InputMoreThanSent,
                    format!("{counted} tokens of input, the request has {sent} bytes"),
                );
            }
        }
        _ => {}
    }
    check_output(asked, message, usage, found);
    let parts = usage["cache_creation"]
        .as_object()
        .map(|parts| parts.values().filter_map(Value::as_u64).fold(0, u64::saturating_add));
    if let (Some(parts), Some(written)) = (parts, usage[CACHE_COUNTERS[0]].as_u64())
        && parts != written
    {
        found.add(
            ProtocolCheck::UsageCacheSum,
            format!("the parts of cache_creation make {parts}, {} says {written}", CACHE_COUNTERS[0]),
        );
    }
}

fn check_output(asked: &Value, message: &Value, usage: &Value, found: &mut FindingCollector) {
    let Some(output) = usage["output_tokens"].as_u64() else { return };
    let blocks = message["content"].as_array().map_or(&[][..], Vec::as_slice);
    let speaks = blocks.iter().any(|b| b["text"].as_str().is_some_and(|t| !t.is_empty()) || b["type"] == "tool_use");
    if output == 0 && speaks {
        found.add(ProtocolCheck::UsageOutputZero, "output_tokens is 0, and there is content");
    }
    if let Some(most) = asked["max_tokens"].as_u64().filter(|most| output > *most) {
        found.add(ProtocolCheck::UsageOverMaxTokens, format!("output_tokens is {output}, max_tokens was {most}"));
    }
    if let Some(thinking) = usage["output_tokens_details"]["thinking_tokens"].as_u64().filter(|t| *t > output) {
        found.add(ProtocolCheck::UsageThinking, format!("thinking_tokens is {thinking}, output_tokens {output}"));
    }
}

/// What a template may add to a prompt: marks around turns, the date, a line on what the model is.
const MAX_TEMPLATE_TOKENS: u64 = 200;

/// True for a request that is texts and nothing else, so that the prompt has fewer tokens than the request has bytes: a
/// token stands for a byte at least. Tools, thinking and formats bring instructions of the server's own; media are larger
/// than what is sent, and what a server holds of a conversation is not sent at all. So only keys that bring none of it pass.
fn is_text_only(asked: &Value) -> bool {
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
    let Some(keys) = asked.as_object() else { return false };
    let turns = asked["messages"].as_array().map_or(&[][..], Vec::as_slice);
    keys.keys().all(|key| TEXT_ONLY_KEYS.contains(&key.as_str()))
        && turns.iter().all(|turn| is_text(&turn["content"]))
        && asked.get("system").is_none_or(is_text)
}

/// The whole prompt: what was not cached, was written to and read from a cache.
pub(super) fn total_input_tokens(usage: &Value) -> Option<u64> {
    let plain = usage["input_tokens"].as_u64()?;
    Some(CACHE_COUNTERS.iter().filter_map(|key| usage[*key].as_u64()).fold(plain, u64::saturating_add))
}

/// The counters of `message_start`.
pub(super) fn check_start(usage: &Value, found: &mut FindingCollector) {
    let lacking = ["input_tokens", "output_tokens"].into_iter().find(|key| usage[*key].as_u64().is_none());
    if let Some(key) = lacking {
        found.add(ProtocolCheck::UsageStartMissing, format!("usage.{key} is {}", format_value(usage.get(key))));
    }
}

/// The counters of a `message_delta`, beside those before it.
pub(super) fn check_delta(before: &Value, usage: &Value, found: &mut FindingCollector) {
    let Some(output) = usage["output_tokens"].as_u64() else {
        found.add(
            ProtocolCheck::UsageDeltaMissing,
            format!("usage.output_tokens is {}", format_value(usage.get("output_tokens"))),
        );
        return;
    };
    if let Some(earlier) = before["output_tokens"].as_u64().filter(|earlier| *earlier > output) {
        found.add(ProtocolCheck::UsageShrinks, format!("output_tokens falls from {earlier} to {output}"));
    }
    match (total_input_tokens(before), total_input_tokens(usage)) {
        (Some(1..), Some(0)) => found.add(ProtocolCheck::UsageDeltaInputZero, "input_tokens becomes 0 at the end"),
        (Some(0), Some(later @ 1..)) => {
            found
                .add(ProtocolCheck::UsageStartInputZero, format!("input_tokens is 0 at the start, {later} at the end"));
        }
        _ => {}
    }
}
