//! Errors as the API tells them: a status, a type that belongs to it, and a message that names the place.

use serde_json::{Value, json};

use crate::simulator::config::Behaviour;
use crate::simulator::error_path::Path;
use crate::simulator::fault::ConductFault;

/// A request that is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub kind: Kind,
    pub message: String,
}

/// The kinds of error that the simulator answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    InvalidRequest,
    Authentication,
    Permission,
    NotFound,
    Method,
    TooLarge,
    /// A framework's own refusal: no part of the API.
    Unprocessable,
    RateLimit,
    Internal,
    Overloaded,
}

impl Kind {
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::Method => 405,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::RateLimit => 429,
            Self::Internal => 500,
            Self::Overloaded => 529,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::Method | Self::Unprocessable => "invalid_request_error",
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

impl Refusal {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A 400 about one place.
    pub fn at(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::new(Kind::InvalidRequest, format!("{path}: {what}"))
    }

    /// A 400 about one header.
    pub fn header(name: &str, what: impl std::fmt::Display) -> Self {
        Self::new(Kind::InvalidRequest, format!("header {name}: {what}"))
    }

    /// The refusal as a server tells it that is at fault with a client's mistakes.
    pub fn told_by(self, behaviour: &Behaviour) -> Self {
        if !matches!(self.kind, Kind::InvalidRequest | Kind::NotFound) {
            return self;
        }
        let Self { kind, message } = self;
        if behaviour.commits(ConductFault::ErrorsServerError) {
            return Self::crash(&message);
        }
        let kind = match () {
            () if behaviour.commits(ConductFault::ErrorsStatus422) => Kind::Unprocessable,
            () if behaviour.commits(ConductFault::ErrorsAsOverloaded) => Kind::Overloaded,
            () => kind,
        };
        Self { kind, message }
    }

    /// A server that fell over a request.
    pub fn crash(what: &str) -> Self {
        let trace = "Traceback (most recent call last):\n  File \"/srv/app/serving.py\", line 211, in create_message";
        Self::new(Kind::Internal, format!("{trace}\nValueError: {what}"))
    }

    /// The error envelope.
    pub fn envelope(&self, request_id: &str) -> Value {
        if self.kind == Kind::Unprocessable {
            return json!({ "detail": [{ "type": "value_error", "loc": ["body"], "msg": self.message }] });
        }
        json!({
            "type": "error",
            "error": { "type": self.kind.word(), "message": self.message },
            "request_id": request_id,
        })
    }
}
