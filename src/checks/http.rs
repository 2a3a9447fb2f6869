//! The checks of HTTP: status, content type and headers.

use serde_json::Value;

use crate::checks::catalog::ProtocolCheck;
use crate::checks::collector::FindingCollector;
use crate::wire::exchange::{FailureKind, Response};

/// The statuses that the documentation defines, and 405, which HTTP defines.
const DOCUMENTED_STATUSES: [u16; 13] = [400, 401, 402, 403, 404, 405, 409, 413, 429, 500, 503, 504, 529];

pub(super) fn check(request_body: &Value, response: &Response, found: &mut FindingCollector) {
    let status = response.status;
    match status {
        200 => {}
        201..=299 => found.add(ProtocolCheck::SuccessStatus, format!("HTTP {status}")),
        300..=399 => found.add(ProtocolCheck::Redirect, format!("HTTP {status}")),
        _ if !DOCUMENTED_STATUSES.contains(&status) => {
            found.add(ProtocolCheck::StatusUndocumented, format!("HTTP {status}"))
        }
        500 => found.add(ProtocolCheck::ServerError, "HTTP 500"),
        _ => {}
    }
    if response.header("request-id").is_none_or(str::is_empty) {
        found.add(ProtocolCheck::RequestIdMissing, format!("HTTP {status} without a request-id"));
    }
    match response.header("retry-after") {
        None if matches!(status, 429 | 529) => {
            found.add(ProtocolCheck::RetryAfterMissing, format!("HTTP {status} without retry-after"));
        }
        Some(wait) if !is_valid_retry_after(wait) => {
            found.add(ProtocolCheck::RetryAfterInvalid, format!("retry-after: {wait}"))
        }
        _ => {}
    }
    check_rate_limit_headers(response, found);
    if (300..400).contains(&status) {
        return;
    }
    check_content_type(request_body, response, found);
    if let Some(cut) = response.cut.as_ref().filter(|c| c.kind != FailureKind::TooLarge)
        && !response.is_event_stream()
    {
        found.add(ProtocolCheck::BodyCut, &cut.message);
    }
}

fn check_content_type(request_body: &Value, response: &Response, found: &mut FindingCollector) {
    let kind = response.header("content-type").unwrap_or("nothing");
    let is_json = kind.split(';').next().is_some_and(|t| t.trim().to_ascii_lowercase().ends_with("json"));
    let success = response.status < 300;
    match (success && request_body["stream"] == true, response.is_event_stream()) {
        (true, true) => {}
        (true, false) => found.add(ProtocolCheck::StreamNotStreamed, format!("requested a stream, got {kind}")),
        (false, true) if success => {
            found.add(ProtocolCheck::StreamUnasked, format!("did not request a stream, got {kind}"))
        }
        (false, _) if !is_json => {
            found.add(ProtocolCheck::ContentType, format!("HTTP {} with content type {kind}", response.status))
        }
        (false, _) => {}
    }
}

/// Checks the documented rate-limit headers. Other headers with the same prefix may have any value.
fn check_rate_limit_headers(response: &Response, found: &mut FindingCollector) {
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
            found.add(ProtocolCheck::RateLimitHeader, format!("{name}: {value}"));
        }
    }
}

/// Returns true for a number of seconds or an HTTP date.
fn is_valid_retry_after(text: &str) -> bool {
    let days = ["Mon,", "Tue,", "Wed,", "Thu,", "Fri,", "Sat,", "Sun,"];
    text.trim().parse::<f64>().is_ok_and(|s| s >= 0.0 && s.is_finite())
        || (text.trim().ends_with("GMT") && days.iter().any(|d| text.trim().starts_with(d)))
}
