//! Faults of errors.

use serde_json::{Value, json};

crate::simulator::fault::define_faults! { ErrorFault {
    ServerError = "http.server-error": "a mistake of the client's becomes a 500",
    RetryAfterMissing = "http.retry-after-missing": "a mistake of the client's becomes a 429 without retry-after",
    NotJson = "error.not-json": "errors have a line of text for a body",
    Envelope = "error.envelope": "errors have another envelope",
    TypeMissing = "error.type-missing": "errors have no type",
    MessageMissing = "error.message-missing": "errors have no message",
    TypeUnknown = "error.type-unknown": "errors have a type of their own",
    TypeStatus = "error.type-status": "errors have a type of another status",
    Nested = "error.nested": "errors have an error in them",
    RequestIdMissing = "error.request-id-missing": "errors have no request_id",
    RequestIdMismatch = "error.request-id-mismatch": "errors have the request_id of another",
    LeakTraceback = "error.leak-traceback": "errors have a traceback in them",
    LeakPath = "error.leak-path": "errors name a path of the server's",
    LeakKey = "error.leak-key": "errors have something like a key in them",
} }

/// An error on its way out.
#[derive(Debug)]
pub(in crate::simulator) struct OutgoingError {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub body: String,
}

pub(super) fn apply(fault: ErrorFault, error: &mut OutgoingError) {
    use ErrorFault as F;
    let mut json: Value = serde_json::from_str(&error.body).unwrap_or_default();
    let message = json["error"]["message"].clone();
    let more = |what: &str| json!(format!("{}: {what}", message.as_str().unwrap_or_default()));
    match fault {
        F::ServerError => {
            error.status = 500;
            json["error"]["type"] = json!("api_error");
        }
        F::RetryAfterMissing => {
            (error.status, error.retry_after) = (429, None);
            json["error"]["type"] = json!("rate_limit_error");
        }
        F::NotJson => {
            error.body = format!("error: {message}");
            return;
        }
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
    error.body = json.to_string();
}
