//! Faults of errors.

use serde_json::{Value, json};

super::faults! { ErrorFault {
    NotJson = "error.not-json",
    Envelope = "error.envelope",
    TypeMissing = "error.type-missing",
    MessageMissing = "error.message-missing",
    TypeUnknown = "error.type-unknown",
    TypeStatus = "error.type-status",
    Nested = "error.nested",
    RequestIdMissing = "error.request-id-missing",
    RequestIdMismatch = "error.request-id-mismatch",
    LeakTraceback = "error.leak-traceback",
    LeakPath = "error.leak-path",
    LeakKey = "error.leak-key",
} }

pub(super) fn spoil(fault: ErrorFault, body: &str) -> String {
    use ErrorFault as F;
    let mut json: Value = serde_json::from_str(body).unwrap_or_default();
    let message = json["error"]["message"].clone();
    let more = |what: &str| json!(format!("{}: {what}", message.as_str().unwrap_or_default()));
    match fault {
        F::NotJson => return format!("error: {message}"),
        F::Envelope => json = json!({ "error": { "message": message, "code": 400 } }),
        F::TypeMissing => json["error"]["type"] = Value::Null,
        F::MessageMissing => json["error"]["message"] = Value::Null,
        F::TypeUnknown => json["error"]["type"] = json!("BadRequestError"),
        F::TypeStatus => json["error"]["type"] = json!("overloaded_error"),
        F::Nested => json["error"]["error"] = json!({ "message": message }),
        F::RequestIdMissing => json["request_id"] = Value::Null,
        F::RequestIdMismatch => json["request_id"] = json!("req_of_another"),
        F::LeakTraceback => json["error"]["message"] = more("Traceback (most recent call last)"),
        F::LeakPath => json["error"]["message"] = more("/usr/lib/python3/app.py"),
        F::LeakKey => json["error"]["message"] = more("sk-simulated0simulated0simulated0"),
    }
    json.to_string()
}
