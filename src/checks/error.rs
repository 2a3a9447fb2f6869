//! Errors: the envelope, and its type against the status.

use serde_json::Value;

use crate::checks::{FindingCollector, ProtocolCheck, error_leak, format_value};
use crate::wire::exchange::Response;
use crate::wire::message::excerpt;

pub(super) fn check(asked: &Value, response: &Response, found: &mut FindingCollector) {
    let text = String::from_utf8_lossy(&response.body.0);
    error_leak::check(asked, &text, found);
    let Ok(json @ Value::Object(_)) = serde_json::from_str::<Value>(&text) else {
        if response.cut.is_none() {
            found.add(ProtocolCheck::ErrorNotJson, format!("HTTP {}: {}", response.status, excerpt(&text, 120)));
        }
        return;
    };
    let Some(kind) = check_envelope(&json, ProtocolCheck::ErrorEnvelope, found) else { return };
    if is_known_type(&kind) && !type_matches_status(response.status, &kind) {
        found.add(ProtocolCheck::ErrorTypeStatus, format!("HTTP {} with {kind}", response.status));
    }
    match (json["request_id"].as_str(), response.header("request-id")) {
        (None, _) => found.add(ProtocolCheck::ErrorRequestIdMissing, "no request_id in the body"),
        (Some(told), Some(header)) if told != header => {
            found.add(ProtocolCheck::ErrorRequestIdMismatch, format!("request_id {told}, header {header}"));
        }
        _ => {}
    }
}

/// Looks at the envelope of a body or an event; its type, where the envelope holds.
pub(super) fn check_envelope(json: &Value, outer: ProtocolCheck, found: &mut FindingCollector) -> Option<String> {
    let error = &json["error"];
    if json["type"] != "error" || !error.is_object() {
        found.add(outer, excerpt(&json.to_string(), 160));
        return None;
    }
    if error["message"].as_str().is_none_or(str::is_empty) {
        found.add(
            ProtocolCheck::ErrorMessageMissing,
            format!("error.message is {}", format_value(error.get("message"))),
        );
    }
    let says_error = error["message"].as_str().and_then(find_first_json).is_some_and(|inner| {
        // Gateways put words of their own around it.
        inner["error"].is_object() || inner["type"] == "error"
    });
    if error["error"].is_object() || says_error {
        found.add(ProtocolCheck::ErrorNested, excerpt(&error.to_string(), 160));
    }
    let Some(kind) = error["type"].as_str().filter(|kind| !kind.is_empty()) else {
        found.add(ProtocolCheck::ErrorTypeMissing, format!("error.type is {}", format_value(error.get("type"))));
        return None;
    };
    if !is_known_type(kind) {
        found.add(ProtocolCheck::ErrorTypeUnknown, format!("error.type is {kind}"));
    }
    Some(kind.to_owned())
}

/// The first JSON value with a brace in a text, whatever stands around it.
fn find_first_json(text: &str) -> Option<Value> {
    let at = text.find('{')?;
    serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>().next()?.ok()
}

/// The types that the reference names.
fn is_known_type(kind: &str) -> bool {
    // Memory stores have errors of their own, whose statuses are not published.
    kind.starts_with("memory_") || !allowed_statuses(kind).is_empty()
}

fn type_matches_status(status: u16, kind: &str) -> bool {
    kind.starts_with("memory_") || allowed_statuses(kind).contains(&status)
}

/// The statuses that a type may come with; none for a type that the reference does not name.
fn allowed_statuses(kind: &str) -> &'static [u16] {
    match kind {
        // It serves every client error without a type of its own.
        "invalid_request_error" => &[400, 405, 406, 408, 410, 411, 412, 414, 415, 416, 422, 431],
        "authentication_error" => &[401],
        "billing_error" => &[402, 403],
        "permission_error" => &[403],
        "not_found_error" => &[404],
        "conflict_error" => &[409],
        "request_too_large" => &[413],
        "rate_limit_error" => &[429],
        "api_error" => &[500, 501, 502, 503],
        "timeout_error" => &[408, 504],
        "overloaded_error" => &[503, 529],
        _ => &[],
    }
}
