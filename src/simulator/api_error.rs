//! Errors in the format of the API: an [`ApiError`] has a status, the type that belongs to it, and
//! a message that names the place in the request.

use serde_json::{Value, json};

use crate::simulator::error_path::ErrorPath;

/// Why a request gets an error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub kind: ApiErrorKind,
    pub message: String,
}

/// The kinds of error that the simulator returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ApiErrorKind {
    InvalidRequest,
    Authentication,
    Permission,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    /// The validation error of a web framework. Not part of the API.
    Unprocessable,
    RateLimit,
    Internal,
    Overloaded,
}

impl ApiErrorKind {
    pub fn status(self) -> u16 {
        self.status_and_type().0
    }

    /// The status, and the `type` that belongs to it.
    fn status_and_type(self) -> (u16, &'static str) {
        match self {
            Self::InvalidRequest => (400, "invalid_request_error"),
            Self::Authentication => (401, "authentication_error"),
            Self::Permission => (403, "permission_error"),
            Self::NotFound => (404, "not_found_error"),
            Self::MethodNotAllowed => (405, "invalid_request_error"),
            Self::TooLarge => (413, "request_too_large"),
            Self::Unprocessable => (422, "invalid_request_error"),
            Self::RateLimit => (429, "rate_limit_error"),
            Self::Internal => (500, "api_error"),
            Self::Overloaded => (529, "overloaded_error"),
        }
    }
}

impl ApiError {
    pub fn new(kind: ApiErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A 400 about one place of the body.
    pub fn invalid_field(path: &ErrorPath, what: impl std::fmt::Display) -> Self {
        Self::new(ApiErrorKind::InvalidRequest, format!("{path}: {what}"))
    }

    /// A 400 about one header.
    pub fn invalid_header(name: &str, what: impl std::fmt::Display) -> Self {
        Self::new(ApiErrorKind::InvalidRequest, format!("header {name}: {what}"))
    }

    /// A 500 with a traceback.
    pub fn internal_error(what: &str) -> Self {
        let trace = "Traceback (most recent call last):\n  File \"/srv/app/serving.py\", line 211, in create_message";
        Self::new(ApiErrorKind::Internal, format!("{trace}\nValueError: {what}"))
    }

    /// A 400 that lists places of the request that this server does not support.
    pub fn unsupported<'a>(paths: impl Iterator<Item = &'a String>) -> Self {
        let parts: Vec<String> = paths.map(|path| format!("{path}: not supported by this endpoint")).collect();
        Self::new(ApiErrorKind::InvalidRequest, parts.join("; "))
    }

    /// The error envelope.
    pub fn to_envelope(&self, request_id: &str) -> Value {
        if self.kind == ApiErrorKind::Unprocessable {
            return json!({ "detail": [{ "type": "value_error", "loc": ["body"], "msg": self.message }] });
        }
        json!({
            "type": "error",
            "error": { "type": self.kind.status_and_type().1, "message": self.message },
            "request_id": request_id,
        })
    }
}
