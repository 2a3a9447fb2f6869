//! Errors as the API tells them: a status, a type that belongs to it, and a message that names the place.

use serde_json::{Value, json};

use super::path::Path;

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
    NotFound,
    Method,
    TooLarge,
    RateLimit,
    Overloaded,
}

impl Kind {
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::NotFound => 404,
            Self::Method => 405,
            Self::TooLarge => 413,
            Self::RateLimit => 429,
            Self::Overloaded => 529,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::Method => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::NotFound => "not_found_error",
            Self::TooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
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

    /// The error envelope.
    pub fn envelope(&self, request_id: &str) -> Value {
        json!({
            "type": "error",
            "error": { "type": self.kind.word(), "message": self.message },
            "request_id": request_id,
        })
    }
}
