//! HTTP: status, content type, headers.

use serde_json::Value;

use crate::checks::{Check, Found};
use crate::wire::exchange::{FailureKind, Response};

/// The statuses that the documents give a meaning to, and 405, which HTTP itself does.
const DOCUMENTED: [u16; 13] = [400, 401, 402, 403, 404, 405, 409, 413, 429, 500, 503, 504, 529];

pub(super) fn check(asked: &Value, response: &Response, found: &mut Found) {
    let status = response.status;
    match status {
        200 => {}
        201..=299 => found.add(Check::SuccessStatus, format!("HTTP {status}")),
        300..=399 => found.add(Check::Redirect, format!("HTTP {status}")),
        _ if !DOCUMENTED.contains(&status) => found.add(Check::StatusUndocumented, format!("HTTP {status}")),
        500 => found.add(Check::ServerError, "HTTP 500"),
        _ => {}
    }
    if response.header("request-id").is_none_or(str::is_empty) {
        found.add(Check::RequestIdMissing, format!("HTTP {status} without a request-id"));
    }
    match response.header("retry-after") {
        None if matches!(status, 429 | 529) => {
            found.add(Check::RetryAfterMissing, format!("HTTP {status} without retry-after"));
        }
        Some(wait) if !is_wait(wait) => found.add(Check::RetryAfterInvalid, format!("retry-after: {wait}")),
        _ => {}
    }
    limits(response, found);
    if (300..400).contains(&status) {
        return;
    }
    content_type(asked, response, found);
    if let Some(cut) = response.cut.as_ref().filter(|c| c.kind != FailureKind::TooLarge)
        && !response.is_event_stream()
    {
        found.add(Check::BodyCut, &cut.message);
    }
}

fn content_type(asked: &Value, response: &Response, found: &mut Found) {
    let kind = response.header("content-type").unwrap_or("nothing");
    let is_json = kind.split(';').next().is_some_and(|t| t.trim().to_ascii_lowercase().ends_with("json"));
    let success = response.status < 300;
    match (success && asked["stream"] == true, response.is_event_stream()) {
        (true, true) => {}
        (true, false) => found.add(Check::StreamNotStreamed, format!("asked to stream, answered as {kind}")),
        (false, true) if success => found.add(Check::StreamUnasked, format!("not asked to stream, answered as {kind}")),
        (false, _) if !is_json => found.add(Check::ContentType, format!("HTTP {} as {kind}", response.status)),
        (false, _) => {}
    }
}

/// Headers that say how much is left, and whether to come again. Others of their prefix are not documented.
fn limits(response: &Response, found: &mut Found) {
    for (name, value) in &response.headers {
        let is_right = match name.strip_prefix("anthropic-ratelimit-").and_then(|rest| rest.rsplit_once('-')) {
            Some(("requests" | "tokens" | "input-tokens" | "output-tokens", what)) => match what {
                "limit" | "remaining" => value.trim().parse::<u64>().is_ok(),
                "reset" => value.trim().parse::<jiff::Timestamp>().is_ok(),
                _ => true,
            },
            _ => name != "x-should-retry" || matches!(value.trim(), "true" | "false"),
        };
        if !is_right {
            found.add(Check::RateLimitHeader, format!("{name}: {value}"));
        }
    }
}

/// Seconds, or a date of HTTP, which begins with the day of the week.
fn is_wait(text: &str) -> bool {
    let days = ["Mon,", "Tue,", "Wed,", "Thu,", "Fri,", "Sat,", "Sun,"];
    text.trim().parse::<f64>().is_ok_and(|s| s >= 0.0 && s.is_finite())
        || (text.trim().ends_with("GMT") && days.iter().any(|d| text.trim().starts_with(d)))
}
