//! Faults of error responses: [`ErrorFault`] changes the response, and some [`BehaviourFault`]s
//! change the kind of error.

use serde_json::{Value, json};

use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::SimulatorConfig;
use crate::simulator::fault::catalog::{BehaviourFault, ErrorFault};
use crate::simulator::outgoing::OutgoingError;

/// The error of a server that reports client errors in a wrong way.
pub(in crate::simulator) fn with_faults(error: ApiError, config: &SimulatorConfig) -> ApiError {
    if !matches!(error.kind, ApiErrorKind::InvalidRequest | ApiErrorKind::NotFound) {
        return error;
    }
    if config.has_fault(BehaviourFault::ErrorsServerError) {
        return ApiError::internal_error(&error.message);
    }
    let kind = if config.has_fault(BehaviourFault::ErrorsStatus422) { ApiErrorKind::Unprocessable } else { error.kind };
    ApiError { kind, ..error }
}

pub(super) fn apply(fault: ErrorFault, error: &mut OutgoingError) {
    use ErrorFault as F;
    let mut json: Value = serde_json::from_str(&error.body).unwrap_or_default();
    let message = json["error"]["message"].clone();
    let with_leak = |leak: &str| json!(format!("{}: {leak}", message.as_str().unwrap_or_default()));
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
        F::LeakTraceback => json["error"]["message"] = with_leak("Traceback (most recent call last)"),
        F::LeakPath => json["error"]["message"] = with_leak("/usr/lib/python3/app.py"),
        F::LeakKey => json["error"]["message"] = with_leak("sk-simulated0simulated0simulated0"),
    }
    error.body = json.to_string();
}
