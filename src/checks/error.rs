//! The checks of HTTP errors: the error envelope, and its type and status.

use serde_json::Value;

use crate::checks::catalog::ProtocolCheck;
use crate::checks::collector::FindingCollector;
use crate::checks::error_leak;
use crate::wire::exchange::Response;
use crate::wire::message::excerpt;

/// Checks a response with an error status. `json` is its body if that is JSON, otherwise null.
pub(super) fn check(request_body: &Value, response: &Response, json: &Value, found: &mut FindingCollector) {
    let text = response.text();
    error_leak::check(request_body, &text, found);
    if !json.is_object() {
        if response.cut.is_none() {
            found.add(ProtocolCheck::ErrorNotJson, format!("HTTP {}: {}", response.status, excerpt(&text, 120)));
        }
        return;
    }
    let Some(kind) = check_envelope(json, ProtocolCheck::ErrorEnvelope, found) else { return };
    if is_known_type(&kind) && !type_matches_status(response.status, &kind) {
        found.add(ProtocolCheck::ErrorTypeStatus, format!("HTTP {} with {kind}", response.status));
    }
    match (json["request_id"].as_str(), response.header("request-id")) {
        (None, _) => found.add(ProtocolCheck::ErrorRequestIdMissing, "no request_id in the body"),
        (Some(id), Some(header)) if id != header => {
            found.add(ProtocolCheck::ErrorRequestIdMismatch, format!("request_id {id}, header {header}"));
        }
        _ => {}
    }
}

/// Checks the envelope of a body or an event: `outer` is the check for its outer form. Returns the
/// type of the error if the envelope has one.
pub(super) fn check_envelope(json: &Value, outer: ProtocolCheck, found: &mut FindingCollector) -> Option<String> {
    let error = &json["error"];
    if json["type"] != "error" || !error.is_object() {
        found.add(outer, excerpt(&json.to_string(), 160));
        return None;
    }
    if error["message"].as_str().is_none_or(str::is_empty) {
        found.add_value(ProtocolCheck::ErrorMessageMissing, "error.message", error.get("message"));
    }
    let is_error = |inner: Value| inner["error"].is_object() || inner["type"] == "error";
    if error["error"].is_object() || error["message"].as_str().and_then(find_first_json).is_some_and(is_error) {
        found.add(ProtocolCheck::ErrorNested, excerpt(&error.to_string(), 160));
    }
    let Some(kind) = error["type"].as_str().filter(|kind| !kind.is_empty()) else {
        found.add_value(ProtocolCheck::ErrorTypeMissing, "error.type", error.get("type"));
        return None;
    };
    if !is_known_type(kind) {
        found.add(ProtocolCheck::ErrorTypeUnknown, format!("error.type is {kind}"));
    }
    Some(kind.to_owned())
}

/// A longer text is not parsed. Messages of real errors are much shorter.
const MAX_NESTED_ERROR_BYTES: usize = 64 * 1024;

/// Returns the first JSON object in a text. Gateways put their own words around it.
fn find_first_json(text: &str) -> Option<Value> {
    let at = text.find('{')?;
    // Values take a hundred times the memory of their text. A nested error begins with its type.
    if text.len() - at > MAX_NESTED_ERROR_BYTES {
        return None;
    }
    serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>().next()?.ok()
}

/// Returns true for an error type that the API reference lists.
fn is_known_type(kind: &str) -> bool {
    // The statuses of errors of memory stores are not published.
    kind.starts_with("memory_") || !allowed_statuses(kind).is_empty()
}

fn type_matches_status(status: u16, kind: &str) -> bool {
    kind.starts_with("memory_") || allowed_statuses(kind).contains(&status)
}

/// Returns the statuses that belong to an error type, or nothing for an unknown type.
fn allowed_statuses(kind: &str) -> &'static [u16] {
    match kind {
        // The type of every client error that has no own type.
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
