//! Errors as the API tells them: a status, a type that belongs to it, and a message that names the place.

use serde_json::{Value, json};

use crate::simulator::config::SimulatorConfig;
use crate::simulator::error_path::ErrorPath;
use crate::simulator::fault::BehaviourFault;

/// A request that is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub kind: ApiErrorKind,
    pub message: String,
}

/// The kinds of error that the simulator answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ApiErrorKind {
    InvalidRequest,
    Authentication,
    Permission,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    /// A framework's own refusal: no part of the API.
    Unprocessable,
    RateLimit,
    Internal,
    Overloaded,
}

impl ApiErrorKind {
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::RateLimit => 429,
            Self::Internal => 500,
            Self::Overloaded => 529,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::MethodNotAllowed | Self::Unprocessable => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::TooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
            Self::Internal => "api_error",
            Self::Overloaded => "overloaded_error",
        }
    }
}

impl ApiError {
    pub fn new(kind: ApiErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A 400 about one place.
    pub fn invalid_field(path: &ErrorPath, what: impl std::fmt::Display) -> Self {
        Self::new(ApiErrorKind::InvalidRequest, format!("{path}: {what}"))
    }

    /// A 400 about one header.
    pub fn invalid_header(name: &str, what: impl std::fmt::Display) -> Self {
        Self::new(ApiErrorKind::InvalidRequest, format!("header {name}: {what}"))
    }

    /// The refusal as a server tells it that is at fault with a client's mistakes.
    pub fn with_faults(self, behaviour: &SimulatorConfig) -> Self {
        if !matches!(self.kind, ApiErrorKind::InvalidRequest | ApiErrorKind::NotFound) {
            return self;
        }
        let Self { kind, message } = self;
        if behaviour.has_fault(BehaviourFault::ErrorsServerError) {
            return Self::internal_error(&message);
        }
        let kind = match () {
            () if behaviour.has_fault(BehaviourFault::ErrorsStatus422) => ApiErrorKind::Unprocessable,
            () if behaviour.has_fault(BehaviourFault::ErrorsAsOverloaded) => ApiErrorKind::Overloaded,
            () => kind,
        };
        Self { kind, message }
    }

    /// A server that fell over a request.
    pub fn internal_error(what: &str) -> Self {
        let trace = "Traceback (most recent call last):\n  File \"/srv/app/serving.py\", line 211, in create_message";
        Self::new(ApiErrorKind::Internal, format!("{trace}\nValueError: {what}"))
    }

    /// The error envelope.
    pub fn to_envelope(&self, request_id: &str) -> Value {
        if self.kind == ApiErrorKind::Unprocessable {
            return json!({ "detail": [{ "type": "value_error", "loc": ["body"], "msg": self.message }] });
        }
        json!({
            "type": "error",
            "error": { "type": self.kind.as_str(), "message": self.message },
            "request_id": request_id,
        })
    }
}
